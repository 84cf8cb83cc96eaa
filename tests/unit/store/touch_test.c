/* How old xorbs are to a garbage collection: one that a client sends again is young again, on other nodes too, and what nobody sends grows old everywhere. */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "schemas/volume_record.h"
#include "tests/unit/store/store_fixture.h"

enum { KIB = 1 << 10, SECOND_MS = 1000, HOUR_MS = 3600 * 1000 };

/* ------------------------------------------------------------------ the time of day, which stands still unless a test says otherwise */

static _Atomic int64_t clock_ms = INT64_C(1700000000000);

int clock_gettime(clockid_t clock, struct timespec *out)
{
	if (clock != CLOCK_REALTIME)
		return (int)syscall(SYS_clock_gettime, clock, out);
	*out = (struct timespec){ .tv_sec = (time_t)(clock_ms / 1000), .tv_nsec = (long)(clock_ms % 1000 * 1000000) };
	return 0;
}

static void wait_ms(int64_t ms)
{
	clock_ms += ms;
}

/* ------------------------------------------------------------------ a xorb that no file needs */

static struct hash xorb;
static struct bytes body;

static int no_roots(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *unused)
{
	(void)context, (void)emit, (void)gc, (void)unused;
	return 0;
}

static void collect(int64_t grace_ms)
{
	struct store_gc_report report;
	assert_ok(store_gc(store, no_roots, NULL, grace_ms, false, NULL, &report, &why));
}

static void send(bool is_copy)
{
	struct xorb_upload *upload;
	bool inserted;
	assert_ok((is_copy ? xorb_copy_open : xorb_upload_open)(&upload, store, &xorb, body.length, &why));
	assert_ok(xorb_upload_write(upload, body.data, body.length, &why));
	assert_ok(xorb_upload_commit(upload, &inserted, &why));
	xorb_upload_close(upload);
}

static int64_t age_ms(void)
{
	struct xorb_info info;
	assert_ok(store_xorb_info(store, &xorb, &info));
	return info.age_ms;
}

static void make_as_young(uint64_t as_ms)
{
	assert_ok(store_make_as_young(store, &xorb, &as_ms, 1, &why));
}

/* An upload makes it; then it is only in memory. */
static int set_up_xorb(void **state)
{
	if (set_up(state) != 0)
		return 1;
	struct bytes content = bytes_random(200 * KIB, 1);
	struct held_xorb held;
	struct xorb_reader *reader;
	push(&ada, &content);
	assert_int_equal(store_held_xorbs(store, NULL, &held, 1), 1);
	xorb = held.xorb;
	body = bytes_make(held.body_length);
	assert_ok(xorb_reader_open(&reader, store, &xorb, 0, held.body_length, &why));
	size_t have = 0;
	for (int64_t some; (some = xorb_reader_read(reader, body.data + have, body.length - have, true, &why)) > 0;)
		have += (size_t)some;
	assert_int_equal(have, body.length);
	xorb_reader_close(reader);
	wait_ms(SECOND_MS);
	collect(0);
	assert_false(store_has_xorb(store, &xorb));
	free(content.data);
	return 0;
}

static int tear_down_xorb(void **state)
{
	free(body.data);
	return tear_down(state);
}

/* ------------------------------------------------------------------ what others are told */

struct told {
	unsigned sent, copied, touched;
	int64_t touched_ms;
};

static int note(void *context, uint8_t kind, struct span payload)
{
	struct told *told = context;
	struct xorb_record record;
	struct touch_record touch;
	if (kind == VOLUME_XORB) {
		assert_int_equal(xorb_record_decode(&record, payload), 0);
		told->sent += hash_equal(&record.xorb, &xorb) && record.sent;
		told->copied += hash_equal(&record.xorb, &xorb) && !record.sent;
	} else if (kind == VOLUME_TOUCH) {
		assert_int_equal(touch_record_decode(&touch, payload), 0);
		assert_true(hash_equal(&touch.xorb, &xorb));
		told->touched++;
		told->touched_ms = touch.touched_ms;
	}
	return 0;
}

static struct told told_since(struct record_place *place)
{
	struct told told = { 0 };
	bool at_end = false;
	while (!at_end)
		assert_ok(store_read_records(store, place, 64, 64 << 20, note, &told, &at_end, &why));
	return told;
}

static int enough_have_it(void *context, const struct record_place *end, struct why *unused)
{
	(void)context, (void)end, (void)unused;
	return 0;
}

static void what_another_node_has_is_as_young_as_it_is_there_and_no_younger(void **state)
{
	(void)state;
	send(false);
	wait_ms(3 * HOUR_MS);
	make_as_young(HOUR_MS);
	assert_int_equal(age_ms(), HOUR_MS);
	make_as_young(2 * HOUR_MS); /* it is younger here */
	assert_int_equal(age_ms(), HOUR_MS);
	make_as_young(UINT64_MAX); /* any age will do */
	assert_int_equal(age_ms(), HOUR_MS);
	make_as_young(HOUR_MS - SECOND_MS); /* questions travel */
	assert_int_equal(age_ms(), HOUR_MS);
	make_as_young(0);
	assert_int_equal(age_ms(), 0);
}

static void what_is_not_here_is_passed_over(void **state)
{
	(void)state;
	struct hash xorbs[] = { { { 7 } }, xorb };
	uint64_t ages_ms[] = { 0, 0 };
	send(false);
	wait_ms(HOUR_MS);
	assert_ok(store_make_as_young(store, xorbs, ages_ms, 2, &why));
	assert_int_equal(age_ms(), 0);
	assert_false(store_has_xorb(store, &xorbs[0]));
}

static void garbage_that_was_made_young_outlives_a_collection_and_grows_old_again(void **state)
{
	(void)state;
	send(false);
	wait_ms(2 * HOUR_MS);
	make_as_young(0);
	close_store();
	remove_index();
	open_store();
	collect(HOUR_MS);
	assert_true(store_has_xorb(store, &xorb));
	wait_ms(2 * HOUR_MS);
	collect(HOUR_MS);
	assert_false(store_has_xorb(store, &xorb));
}

static void a_record_tells_whether_a_client_sent_the_xorb(void **state)
{
	(void)state;
	for (int is_copy = 0; is_copy < 2; is_copy++) {
		struct record_place place;
		store_position(store, &place);
		send(is_copy);
		struct told told = told_since(&place);
		assert_int_equal(told.sent, !is_copy);
		assert_int_equal(told.copied, is_copy);
		wait_ms(SECOND_MS);
		collect(0);
	}
}

static void others_are_told_of_whatever_is_sent_again(void **state)
{
	(void)state;
	struct record_place place;
	send(false);
	store_position(store, &place);
	wait_ms(SECOND_MS);
	send(false);
	assert_int_equal(told_since(&place).touched, 0); /* there are none, and it is young */
	store_set_copies(store, &(struct store_copies){ .await = enough_have_it });
	send(true);
	assert_int_equal(told_since(&place).touched, 0); /* another node's copy is nothing new to them */
	send(false);
	struct told told = told_since(&place);
	assert_int_equal(told.touched, 1);
	assert_int_equal(told.touched_ms, clock_ms);
	assert_int_equal(told.sent + told.copied, 0);
	store_set_copies(store, &(struct store_copies){ 0 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_another_node_has_is_as_young_as_it_is_there_and_no_younger, set_up_xorb, tear_down_xorb),
		cmocka_unit_test_setup_teardown(what_is_not_here_is_passed_over, set_up_xorb, tear_down_xorb),
		cmocka_unit_test_setup_teardown(garbage_that_was_made_young_outlives_a_collection_and_grows_old_again, set_up_xorb, tear_down_xorb),
		cmocka_unit_test_setup_teardown(a_record_tells_whether_a_client_sent_the_xorb, set_up_xorb, tear_down_xorb),
		cmocka_unit_test_setup_teardown(others_are_told_of_whatever_is_sent_again, set_up_xorb, tear_down_xorb),
	};
	return cmocka_run_group_tests_name("touch", tests, NULL, NULL);
}
