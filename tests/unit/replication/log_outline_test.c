/* The outline of a log gives the terms that a list of all entries gives, whatever is appended, replaced, compacted and installed; and a compaction leaves what is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/log_outline.h"

#include <stdlib.h>

enum { STEPS = 20000, INDEX_MAX = 64 * STEPS };

static void terms_are_those_of_all_entries(void **state)
{
	(void)state;
	struct log_outline outline = { 0 };
	uint64_t *terms = calloc(INDEX_MAX, sizeof(*terms)), first = 1, last = 0, term = 1;
	srandom(7);
	for (int i = 0; i < STEPS; i++) {
		long chance = random() % 100;
		if (chance < 10) {
			term++;
		} else if (chance < 15 && last > first) {
			last = first + (uint64_t)random() % (last - first);
			outline_truncate(&outline, last + 1);
			term++;
		} else if (chance < 18 && last > first) {
			first += (uint64_t)random() % (last - first);
			outline_compact(&outline, first);
		} else if (chance == 18) { /* a snapshot from elsewhere */
			first = last += 1 + (uint64_t)random() % 20;
			terms[first] = ++term;
			outline_reset(&outline, first, term);
		}
		for (long count = random() % 20; count > 0; count--) {
			terms[++last] = term;
			outline_append(&outline, last, term, 1);
		}
		for (int k = 0; k < 5 && last >= first; k++) {
			uint64_t index = first + (uint64_t)random() % (last + 1 - first);
			assert_int_equal(outline_term(&outline, index), terms[index]);
		}
		assert_true(last < first || outline.runs[outline.runs_count - 1].index <= last);
	}
	assert_int_equal(outline_term(&(struct log_outline){ 0 }, 5), 0);
	outline_fini(&outline);
	free(terms);
}

static void as_many_bytes_stay_behind_as_are_asked_for(void **state)
{
	(void)state;
	const size_t length = 64 << 10, per_mark = OUTLINE_MARK_BYTES / length;
	struct log_outline outline = { 0 };
	const uint64_t last = 3 * OUTLINE_MARKS * per_mark + 5; /* the ring goes round */
	for (uint64_t index = 1; index <= last; index++)
		outline_append(&outline, index, 1, length);
	assert_int_equal(outline.bytes_since_snapshot, last * length);
	for (uint64_t mib = 1; mib <= OUTLINE_MARKS; mib++) {
		uint64_t from = outline_keep_from(&outline, last, mib << 20);
		uint64_t kept = (last + 1 - from) * length;
		assert_in_range(kept, (mib - 1) << 20, (mib + 1) << 20);
	}
	assert_int_equal(outline_keep_from(&outline, last, UINT64_MAX), outline_keep_from(&outline, last, LOG_TRAILING_BYTES));
	assert_int_equal(outline_keep_from(&outline, last, 0), last);
	assert_int_equal(outline_keep_from(&outline, 10, LOG_TRAILING_BYTES), 10); /* never more than is compacted */
	outline_fini(&outline);
}

static void a_log_that_is_shorter_is_kept_whole(void **state)
{
	(void)state;
	struct log_outline outline = { 0 };
	for (uint64_t index = 1; index <= 1000; index++)
		outline_append(&outline, index, 1, 100);
	assert_int_equal(outline_keep_from(&outline, 1000, LOG_TRAILING_BYTES), 1);
	outline_fini(&outline);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(terms_are_those_of_all_entries),
		cmocka_unit_test(as_many_bytes_stay_behind_as_are_asked_for),
		cmocka_unit_test(a_log_that_is_shorter_is_kept_whole),
	};
	return cmocka_run_group_tests_name("log_outline", tests, NULL, NULL);
}
