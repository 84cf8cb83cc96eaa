/* What the files of one owner take: every chunk once, compressed, and what of it would go with the owner. */
#include "schemas/volume_record.h"
#include "store/coded.h"
#include "tests/unit/store/store_fixture.h"

enum { KIB = 1 << 10, MIB = 1 << 20, CHUNKS = 10, CHUNK_BYTES = 10000, PLAIN_BYTES = CHUNK_BYTES + XORB_CHUNK_HEADER_BYTES };

static struct store_owner_stats stats_of(const struct entity_id *owner)
{
	struct store_owner_stats out;
	assert_ok(store_owner_stats(store, owner, NULL, &out, &why));
	return out;
}

/* ------------------------------------------------------------------ records as other nodes tell them */

static struct hash hash_of(uint64_t number)
{
	struct hash out;
	for (size_t i = 0; i < HASH_BYTES; i += 8) {
		uint64_t word = random_next(&number);
		memcpy(out.bytes + i, &word, 8);
	}
	return out;
}

static void tell_claim(const struct entity_id *owner, uint64_t number, uint64_t length)
{
	uint8_t payload[CLAIM_RECORD_BYTES];
	claim_record_encode(payload, &(struct claim_record){ .file = hash_of(number), .owner = *owner, .claimed_ms = 1, .length = length });
	assert_ok(store_take_records(store, &(struct store_record){ VOLUME_CLAIM, span_of(payload, sizeof(payload)) }, 1, &why));
}

/* A file of the owner, made of these terms. */
static void tell_file(const struct entity_id *owner, uint64_t number, const struct file_term *terms, uint32_t count)
{
	struct buffer payload;
	struct file_record record = { .file = hash_of(number), .terms_count = count };
	for (uint32_t i = 0; i < count; i++)
		record.length += terms[i].raw_length;
	buffer_init(&payload, VOLUME_PAYLOAD_BYTES_MAX);
	assert_ok(file_record_encode(&payload, &record, terms));
	assert_ok(store_take_records(store, &(struct store_record){ VOLUME_FILE, buffer_span(&payload) }, 1, &why));
	buffer_fini(&payload);
	tell_claim(owner, number, record.length);
}

static struct file_term term(const struct hash *xorb, uint32_t start, uint32_t end)
{
	return (struct file_term){ *xorb, (end - start) * CHUNK_BYTES, start, end };
}

/* A xorb of CHUNKS chunks; those from `text` on compress. *text_bytes: how many one of these takes. */
static struct hash send_xorb(uint64_t seed, uint32_t text, uint64_t *text_bytes)
{
	struct bytes raw = bytes_random(CHUNKS * CHUNK_BYTES, seed), body = bytes_make(CHUNKS * PLAIN_BYTES);
	struct xorb_upload *upload;
	bool inserted;
	size_t length = 0;
	memset(raw.data + (size_t)text * CHUNK_BYTES, 'a' + (int)seed, (CHUNKS - text) * (size_t)CHUNK_BYTES);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		size_t some = xorb_chunk_encode(body.data + length, raw.data + (size_t)i * CHUNK_BYTES, CHUNK_BYTES);
		assert_true(i < text ? some == PLAIN_BYTES : some < CHUNK_BYTES / 10);
		if (i >= text)
			*text_bytes = some;
		length += some;
	}
	assert_ok(xorb_made_open(&upload, store, length, &why));
	assert_ok(xorb_upload_write(upload, body.data, length, &why));
	assert_ok(xorb_upload_commit(upload, &inserted, &why));
	struct hash out = *xorb_upload_hash(upload);
	xorb_upload_close(upload);
	free(raw.data);
	free(body.data);
	return out;
}

/* ------------------------------------------------------------------ what is counted */

static void an_owner_without_files_has_nothing(void **state)
{
	(void)state;
	struct store_owner_stats none = { 0 }, out = stats_of(&ada);
	assert_memory_equal(&out, &none, sizeof(out));
}

static void every_chunk_counts_once_and_as_it_is_stored(void **state)
{
	(void)state;
	uint64_t text = 0;
	struct hash a = send_xorb(1, CHUNKS, &text), b = send_xorb(2, CHUNKS, &text), c = send_xorb(3, 5, &text), d = send_xorb(4, CHUNKS, &text);
	/* Within a file: chunks 0 to 5 of A, some of them twice. */
	tell_file(&ada, 100, (struct file_term[]){ term(&a, 2, 6), term(&a, 0, 4), term(&a, 0, 1) }, 3);
	/* Between files: 3 to 7 of A, of which 6 and 7 are new; all of B, in two pieces. */
	tell_file(&ada, 101, (struct file_term[]){ term(&b, 4, 10), term(&a, 3, 8), term(&b, 0, 4) }, 3);
	/* Of text: two plain chunks and three that compress. */
	tell_file(&ada, 102, (struct file_term[]){ term(&c, 3, 8) }, 1);
	/* Between owners: another file in B, and the very same file in D. */
	tell_file(&bob, 103, (struct file_term[]){ term(&b, 9, 10) }, 1);
	tell_file(&ada, 104, (struct file_term[]){ term(&d, 1, 2), term(&d, 5, 7) }, 2);
	tell_claim(&bob, 104, 3 * CHUNK_BYTES);

	struct store_owner_stats out = stats_of(&ada);
	assert_int_equal(out.files, 4);
	assert_int_equal(out.logical_bytes, (9 + 15 + 5 + 3) * CHUNK_BYTES);
	assert_int_equal(out.shared_files, 1);
	assert_int_equal(out.shared_files_bytes, 3 * CHUNK_BYTES);
	assert_int_equal(out.unread_files, 0);
	assert_int_equal(out.xorbs, 4);
	assert_int_equal(out.unique_bytes, (8 + 10 + 5 + 3) * CHUNK_BYTES);
	assert_int_equal(out.stored_bytes, (8 + 10 + 2 + 3) * PLAIN_BYTES + 3 * text);
	assert_int_equal(out.shared_bytes, (10 + 3) * PLAIN_BYTES);                 /* B and D */
	assert_int_equal(out.freed_bytes, 10 * PLAIN_BYTES + 5 * PLAIN_BYTES + 5 * text); /* all of A and C */
	assert_true(out.coded_bytes == 0 && out.parts_bytes == 0 && out.estimated_bytes == 0);

	out = stats_of(&bob);
	assert_int_equal(out.files, 2);
	assert_int_equal(out.unique_bytes, (1 + 3) * CHUNK_BYTES);
	assert_int_equal(out.stored_bytes, (1 + 3) * PLAIN_BYTES);
	assert_int_equal(out.shared_bytes, (1 + 3) * PLAIN_BYTES);
	assert_int_equal(out.freed_bytes, 0);
}

static int name_those_of_bob(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *unused)
{
	(void)unused;
	return emit(gc, &bob, context);
}

static void what_is_said_to_be_freed_is_what_gc_frees(void **state)
{
	(void)state;
	struct bytes own = bytes_random(900 * KIB, 1), common = bytes_random(500 * KIB, 2), text = bytes_make(32 * 20000), twice = bytes_make(2 * own.length);
	for (size_t i = 0; i < text.length; i += 32)
		snprintf((char *)text.data + i, 33, "%08zx is a line of a longer log\n", i);
	memcpy(twice.data, own.data, own.length);
	memcpy(twice.data + own.length, own.data, own.length);
	push(&ada, &own);
	push(&ada, &twice);
	push(&ada, &text);
	push(&ada, &common);
	struct upload_result kept = push(&bob, &common);
	struct store_owner_stats out = stats_of(&ada);
	struct store_stats all;
	struct store_gc_report report;
	store_stats(store, &all);
	assert_int_equal(out.files, 4);
	assert_int_equal(out.logical_bytes, own.length + twice.length + text.length + common.length);
	assert_int_equal(out.unique_bytes, all.raw_bytes);
	assert_int_equal(out.stored_bytes, all.stored_bytes);
	assert_true(out.unique_bytes < own.length + 256 * KIB + text.length + common.length && out.stored_bytes < out.unique_bytes - text.length / 2);
	assert_int_equal(out.freed_bytes + out.shared_bytes, all.stored_bytes);
	usleep(2000);
	assert_ok(store_gc(store, name_those_of_bob, (void *)&kept.file, 0, false, NULL, &report, &why));
	assert_int_equal(report.bytes_freed, out.freed_bytes);
	out = stats_of(&bob);
	assert_true(out.shared_bytes == 0 && out.freed_bytes == out.stored_bytes && out.files == 1);
	free(own.data);
	free(common.data);
	free(text.data);
	free(twice.data);
}

/* ------------------------------------------------------------------ in a cluster */

static void xorbs_of_other_nodes_are_estimated(void **state)
{
	(void)state;
	uint64_t text = 0;
	struct hash here = send_xorb(1, CHUNKS, &text), away = hash_of(7);
	/* Of ranges that overlap, the bytes of a part are taken as evenly spread. */
	tell_file(&ada, 100, (struct file_term[]){ term(&here, 0, 3), term(&away, 0, 4), term(&away, 2, 6), term(&away, 8, 9) }, 4);
	tell_claim(&ada, 101, 5000); /* its record has not come yet */
	struct store_owner_stats out = stats_of(&ada);
	assert_int_equal(out.files, 2);
	assert_int_equal(out.unread_files, 1);
	assert_int_equal(out.logical_bytes, 12 * CHUNK_BYTES + 5000);
	assert_int_equal(out.unique_bytes, (3 + 7) * CHUNK_BYTES);
	assert_int_equal(out.stored_bytes, (3 + 7) * PLAIN_BYTES);
	assert_int_equal(out.estimated_bytes, 7 * PLAIN_BYTES);
	assert_int_equal(out.freed_bytes, CHUNKS * PLAIN_BYTES + 7 * PLAIN_BYTES);
}

static void xorbs_that_were_cut_into_parts_say_what_these_take(void **state)
{
	(void)state;
	uint64_t text = 0, bytes;
	struct hash plain = send_xorb(1, CHUNKS, &text), coded = send_xorb(2, CHUNKS, &text);
	tell_file(&ada, 100, (struct file_term[]){ term(&plain, 0, 3), term(&coded, 0, 5) }, 2);
	assert_ok(store_code_xorb(store, &coded, 4, 2, &bytes, &why));
	struct store_owner_stats out = stats_of(&ada);
	assert_int_equal(out.stored_bytes, 8 * PLAIN_BYTES);
	assert_int_equal(out.coded_bytes, 5 * PLAIN_BYTES);
	assert_int_equal(out.parts_bytes, bytes / 2);
	assert_true(out.parts_bytes >= 5 * PLAIN_BYTES * 3 / 2 && out.estimated_bytes == 0);

	/* Known by its coding alone, it has no more than its body. */
	struct hash away = hash_of(8);
	uint8_t payload[CODED_RECORD_BYTES_MAX];
	struct coded_record record = { .xorb = away, .body_length = 2000, .k = 2, .m = 1, .parts = { hash_of(20), hash_of(21), hash_of(22) } };
	size_t length = coded_record_encode(payload, &record);
	assert_ok(store_take_records(store, &(struct store_record){ VOLUME_CODED, span_of(payload, length) }, 1, &why));
	tell_file(&bob, 101, (struct file_term[]){ term(&away, 0, 1) }, 1);
	out = stats_of(&bob);
	assert_int_equal(out.unique_bytes, CHUNK_BYTES);
	assert_true(out.stored_bytes == 2000 && out.estimated_bytes == 2000 && out.freed_bytes == 2000);
	assert_int_equal(out.parts_bytes, 3 * coded_part_length(2000, 2));
}

/* ------------------------------------------------------------------ much, and not to the end */

static void more_ranges_than_there_is_room_for_take_more_passes(void **state)
{
	(void)state;
	enum { XORBS = 150, RANGES = XORB_CHUNKS_MAX / 2, TERMS = XORBS * RANGES, FILES = 2 };
	struct file_term *terms = malloc(TERMS * sizeof(*terms));
	/* Every second chunk: nothing touches. */
	for (uint32_t x = 0; x < XORBS; x++) {
		struct hash xorb = hash_of(1000 + x);
		for (uint32_t i = 0; i < RANGES; i++)
			terms[x * RANGES + i] = (struct file_term){ xorb, 100, 2 * i, 2 * i + 1 };
	}
	for (uint32_t i = 0; i < FILES; i++)
		tell_file(&ada, 100 + i, terms, TERMS);
	tell_file(&bob, 102, &terms[5 * RANGES], 1);
	free(terms);
	struct store_progress progress = { 0 };
	struct store_owner_stats out;
	assert_ok(store_owner_stats(store, &ada, &(struct store_owner_stats_watch){ .progress = &progress }, &out, &why));
	assert_int_equal(out.files, FILES);
	assert_int_equal(out.logical_bytes, (uint64_t)FILES * TERMS * 100);
	assert_int_equal(out.unread_files, 0);
	assert_int_equal(out.xorbs, XORBS);
	assert_int_equal(out.unique_bytes, (uint64_t)TERMS * 100);
	assert_int_equal(out.stored_bytes, (uint64_t)TERMS * (100 + XORB_CHUNK_HEADER_BYTES));
	assert_int_equal(out.shared_bytes, RANGES * (100 + XORB_CHUNK_HEADER_BYTES));
	assert_int_equal(out.freed_bytes, out.stored_bytes - out.shared_bytes);
	assert_int_equal(progress.done_bytes, progress.total_bytes);
	assert_true(progress.total_bytes > 2 * out.logical_bytes + out.unique_bytes); /* more than two passes */
}

static bool so_often(void *context)
{
	return --*(int *)context > 0;
}

static void it_stops_when_it_is_told_to(void **state)
{
	(void)state;
	uint64_t text = 0;
	struct hash xorb = send_xorb(1, CHUNKS, &text);
	for (uint64_t i = 0; i < 5; i++)
		tell_file(&ada, 100 + i, (struct file_term[]){ term(&xorb, (uint32_t)i, (uint32_t)i + 1) }, 1);
	struct store_owner_stats out;
	for (int calls = 1; calls <= 10; calls++) { /* after each file, then at each that names the xorb */
		int left = calls;
		assert_int_equal(store_owner_stats(store, &ada, &(struct store_owner_stats_watch){ .go_on = so_often, .context = &left }, &out, &why), ERR_CLOSED);
		assert_string_equal(why.text, "it was stopped");
	}
	int enough = 11;
	assert_ok(store_owner_stats(store, &ada, &(struct store_owner_stats_watch){ .go_on = so_often, .context = &enough }, &out, &why));
	assert_int_equal(out.unique_bytes, 5 * CHUNK_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_owner_without_files_has_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_chunk_counts_once_and_as_it_is_stored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_said_to_be_freed_is_what_gc_frees, set_up, tear_down),
		cmocka_unit_test_setup_teardown(xorbs_of_other_nodes_are_estimated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(xorbs_that_were_cut_into_parts_say_what_these_take, set_up, tear_down),
		cmocka_unit_test_setup_teardown(more_ranges_than_there_is_room_for_take_more_passes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_stops_when_it_is_told_to, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
