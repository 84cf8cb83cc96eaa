/* Erasure coding: any k of k + m units bring back the rest; xorbs are cut into parts and joined again; parts live as long as what they are parts of. */
#include "store/coded.h"
#include "store/erasure.h"
#include "tests/unit/store/store_fixture.h"

enum { KIB = 1 << 10, MIB = 1 << 20, DAY_MS = 24 * 3600 * 1000 };

/* ------------------------------------------------------------------ the code */

static uint64_t chance = 1;

static uint8_t next_byte(void)
{
	chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint8_t)(chance >> 56);
}

/* Exact sizes, so that a sanitizer sees what is read or written beyond them. */
static void check_code(unsigned k, unsigned m, size_t length)
{
	uint8_t *units[CODED_PARTS_MAX], *made[CODED_PARTS_MAX], numbers[CODED_PARTS_MAX];
	struct erasure_map map;
	for (unsigned i = 0; i < k + m; i++) {
		units[i] = malloc(length);
		made[i] = malloc(length);
		numbers[i] = (uint8_t)i;
		for (size_t at = 0; at < length; at++)
			units[i][at] = next_byte();
	}
	assert_int_equal(erasure_map_init(&map, k, m, numbers, numbers + k, m), 0);
	erasure_map_apply(&map, length, units, units + k);
	for (unsigned lost = 0; lost < 1u << (k + m); lost++) {
		uint8_t from[CODED_PARTS_MAX], wanted[CODED_PARTS_MAX], *sources[CODED_PARTS_MAX];
		unsigned have = 0, rows = 0;
		if (__builtin_popcount(lost) > (int)m || lost == 0)
			continue;
		for (unsigned i = 0; i < k + m; i++)
			if (lost >> i & 1)
				wanted[rows++] = (uint8_t)i;
			else if (have < k)
				from[have] = (uint8_t)i, sources[have++] = units[i];
		assert_int_equal(erasure_map_init(&map, k, m, from, wanted, rows), 0);
		erasure_map_apply(&map, length, sources, made);
		for (unsigned i = 0; i < rows; i++)
			if (memcmp(made[i], units[wanted[i]], length) != 0)
				fail_msg("%u+%u, %zu bytes: unit %u differs when %x are lost", k, m, length, wanted[i], lost);
	}
	for (unsigned i = 0; i < k + m; i++) {
		free(units[i]);
		free(made[i]);
	}
}

static void any_k_units_bring_back_the_others(void **state)
{
	(void)state;
	static const unsigned codes[][2] = { { 2, 1 }, { 2, 2 }, { 3, 2 }, { 4, 2 }, { 5, 3 }, { 6, 3 }, { 8, 4 }, { 10, 4 } };
	static const size_t lengths[] = { 1, 31, 32, 33, 63, 100, 1000, 4097 };
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++)
			if (codes[i][0] < 8 || lengths[k] < 1000)
				check_code(codes[i][0], codes[i][1], lengths[k]);
}

/* What is stored must not depend on the library: by the definition in erasure.h. */
static uint8_t product(uint8_t a, uint8_t b)
{
	uint8_t out = 0;
	for (; b; b >>= 1, a = (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1d : 0)))
		out ^= b & 1 ? a : 0;
	return out;
}

static uint8_t inverse(uint8_t a)
{
	for (unsigned b = 1; b < 256; b++)
		if (product(a, (uint8_t)b) == 1)
			return (uint8_t)b;
	return 0;
}

static void parity_is_what_the_definition_says(void **state)
{
	(void)state;
	uint8_t data[4][64], parity[2][64], numbers[] = { 0, 1, 2, 3, 4, 5 };
	uint8_t *sources[] = { data[0], data[1], data[2], data[3] }, *out[] = { parity[0], parity[1] };
	struct erasure_map map;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i / 64][i % 64] = next_byte();
	assert_int_equal(erasure_map_init(&map, 4, 2, numbers, numbers + 4, 2), 0);
	erasure_map_apply(&map, 64, sources, out);
	for (uint8_t i = 4; i < 6; i++)
		for (size_t at = 0; at < 64; at++) {
			uint8_t sum = 0;
			for (uint8_t j = 0; j < 4; j++)
				sum ^= product(data[j][at], inverse(i ^ j));
			assert_int_equal(parity[i - 4][at], sum);
		}
}

static void units_that_are_not_k_different_ones_are_refused(void **state)
{
	(void)state;
	struct erasure_map map;
	uint8_t twice[] = { 0, 1, 1, 3 }, beyond[] = { 0, 1, 2, 6 }, good[] = { 0, 1, 2, 3 }, wanted = 4;
	assert_int_equal(erasure_map_init(&map, 4, 2, twice, &wanted, 1), ERR_INVALID);
	assert_int_equal(erasure_map_init(&map, 4, 2, beyond, &wanted, 1), ERR_INVALID);
	assert_int_equal(erasure_map_init(&map, 11, 2, good, &wanted, 1), ERR_INVALID);
	assert_int_equal(erasure_map_init(&map, 4, 5, good, &wanted, 1), ERR_INVALID);
	assert_int_equal(erasure_map_init(&map, 4, 2, good, &wanted, 1), 0);
	wanted = 6;
	assert_int_equal(erasure_map_init(&map, 4, 2, good, &wanted, 1), ERR_INVALID);
}

static void a_record_reads_back_and_a_wrong_one_is_refused(void **state)
{
	(void)state;
	struct coded_record record = { .xorb = { "x" }, .body_length = 77, .k = 4, .m = 2 }, back;
	uint8_t bytes[CODED_RECORD_BYTES_MAX + 1] = { 0 };
	for (uint8_t i = 0; i < 6; i++)
		record.parts[i].bytes[5] = (uint8_t)(i + 1);
	size_t length = coded_record_encode(bytes, &record);
	assert_int_equal(length, coded_record_bytes(&record));
	assert_int_equal(coded_record_decode(&back, span_of(bytes, length)), 0);
	assert_memory_equal(&back, &record, sizeof(back));
	assert_int_equal(coded_record_decode(&back, span_of(bytes, length - 1)), ERR_CORRUPT);
	assert_int_equal(coded_record_decode(&back, span_of(bytes, length + 1)), ERR_CORRUPT);
	for (size_t at = 36; at < 40; at++) {
		uint8_t was = bytes[at];
		bytes[at] = 1;
		assert_int_equal(coded_record_decode(&back, span_of(bytes, length)), ERR_CORRUPT);
		bytes[at] = was;
	}
}

/* ------------------------------------------------------------------ a store */

static void say_yes(void *context, const struct hash *xorbs, size_t count, const struct record_place *end, bool *ok)
{
	(void)context, (void)xorbs, (void)end;
	for (size_t i = 0; i < count; i++)
		ok[i] = true;
}

static bool begin(void *context)
{
	(void)context;
	return true;
}

static void end(void *context)
{
	(void)context;
}

static void give_up(const struct hash *xorb)
{
	uint64_t bytes;
	assert_ok(store_give_up(store, xorb, 1, &(struct store_give_up){ .confirm = say_yes, .begin = begin, .end = end }, &bytes, &why));
	assert_true(bytes > 0 && !store_has_xorb(store, xorb));
}

static struct hash only_xorb(void)
{
	struct hash xorbs[2];
	assert_int_equal(store_needed_xorbs(store, NULL, xorbs, 2), 1);
	return xorbs[0];
}

static struct coded_record code(const struct hash *xorb, unsigned k, unsigned m)
{
	struct coded_record codings[CODINGS_MAX];
	uint64_t bytes;
	assert_ok(store_code_xorb(store, xorb, k, m, &bytes, &why));
	assert_int_equal(store_codings(store, xorb, codings), 1);
	assert_true(bytes == (uint64_t)coded_part_length(codings[0].body_length, k) * (k + m));
	return codings[0];
}

static void what_was_cut_is_joined_from_any_k_parts(void **state)
{
	(void)state;
	/* Lengths around a stripe and its units: incompressible, so that the body is a little longer. */
	static const size_t lengths[] = { 100, 9 * KIB, 4 * 128 * KIB - 40, 700 * KIB, 3 * MIB + 17 };
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct bytes content = bytes_random(lengths[i], 100 + i);
		struct upload_result pushed = push(&ada, &content);
		struct hash xorb = only_xorb();
		struct coded_record coded = code(&xorb, 4, 2);
		give_up(&xorb);
		for (unsigned a = 0; a < 6; a++)
			for (unsigned b = 0; b < a; b++) {
				give_up(&coded.parts[a]);
				give_up(&coded.parts[b]);
				assert_ok(store_join_parts(store, &coded, &why));
				assert_content(&pushed.file, &content);
				assert_ok(store_make_part(store, &coded, a, &why));
				assert_ok(store_make_part(store, &coded, b, &why));
				assert_true(store_has_xorb(store, &coded.parts[a]) && store_has_xorb(store, &coded.parts[b]));
				give_up(&xorb);
			}
		for (unsigned part = 0; part < 3; part++)
			give_up(&coded.parts[part]);
		assert_int_equal(store_join_parts(store, &coded, &why), ERR_NOT_FOUND);
		free(content.data);
		tear_down(NULL);
		set_up(NULL);
	}
}

static void every_code_cuts_and_joins(void **state)
{
	(void)state;
	struct bytes content = bytes_random(1500 * KIB, 7);
	struct upload_result pushed = push(&ada, &content);
	struct hash xorb = only_xorb();
	for (unsigned k = 2; k <= 10; k += 4)
		for (unsigned m = 1; m <= 4; m += 3) {
			struct coded_record coded[CODINGS_MAX];
			uint64_t bytes;
			assert_ok(store_code_xorb(store, &xorb, k, m, &bytes, &why));
			size_t count = store_codings(store, &xorb, coded), at = 0;
			while (at < count && (coded[at].k != k || coded[at].m != m))
				at++;
			if (at == count) /* only so many are known */
				continue;
			give_up(&xorb);
			give_up(&coded[at].parts[0]);
			assert_ok(store_join_parts(store, &coded[at], &why));
			assert_content(&pushed.file, &content);
		}
	free(content.data);
}

static void a_damaged_part_is_one_more_that_is_missing(void **state)
{
	(void)state;
	struct bytes content = bytes_random(2 * MIB, 9);
	struct upload_result pushed = push(&ada, &content);
	struct hash xorb = only_xorb();
	struct coded_record coded = code(&xorb, 4, 2);
	give_up(&xorb);
	/* What part 1 begins with is in the volume once since the whole is cut into 128 KiB: its first unit. */
	close_store();
	char path[128];
	snprintf(path, sizeof(path), "%s/volumes/00000001.vol", store_dir);
	int fd = open(path, O_RDWR);
	struct stat status;
	assert_true(fd >= 0 && fstat(fd, &status) == 0);
	uint8_t *volume = malloc((size_t)status.st_size);
	assert_int_equal(pread(fd, volume, (size_t)status.st_size, 0), status.st_size);
	unsigned flipped = 0;
	for (size_t at = 0; at + 64 < (size_t)status.st_size; at += 1)
		if (memcmp(volume + at, content.data + 200 * KIB, 64) == 0) {
			uint8_t wrong = volume[at] ^ 1;
			assert_int_equal(pwrite(fd, &wrong, 1, (off_t)at), 1);
			flipped++;
		}
	assert_true(flipped >= 1);
	close(fd);
	free(volume);
	open_store();
	assert_ok(store_join_parts(store, &coded, &why));
	assert_content(&pushed.file, &content);
	assert_false(store_has_xorb(store, &coded.parts[1]));
	assert_ok(store_make_part(store, &coded, 1, &why));
	assert_true(store_has_xorb(store, &coded.parts[1]));
	free(content.data);
}

static void chunks_of_parts_are_nobodys(void **state)
{
	(void)state;
	struct bytes content = bytes_random(2 * MIB, 11);
	push(&ada, &content);
	struct hash xorb = only_xorb();
	struct coded_record coded = code(&xorb, 2, 1);
	assert_true(store_is_part(store, &coded.parts[0]) && !store_is_part(store, &xorb));
	struct hash of;
	assert_int_equal(store_xorb_of_part(store, &coded.parts[2], &of), 0);
	assert_true(hash_equal(&of, &xorb));
	assert_int_equal(store_xorb_of_part(store, &xorb, &of), ERR_NOT_FOUND);

	/* The bytes of a unit, sent as a file, make chunks of their own, not of the part. */
	struct xorb_reader *reader;
	struct bytes unit = bytes_make(128 * KIB);
	assert_ok(xorb_reader_open(&reader, store, &coded.parts[2], 96, UINT64_MAX, &why));
	assert_int_equal(xorb_reader_read(reader, unit.data, unit.length, true, &why), unit.length);
	xorb_reader_close(reader);
	struct upload_result pushed = push(&ada, &unit);
	assert_true(pushed.new_bytes > 0);

	/* A client that sends a part, or something that looks like one, is refused. */
	struct xorb_info info;
	struct xorb_upload *upload;
	bool inserted;
	assert_ok(store_xorb_info(store, &coded.parts[0], &info));
	struct bytes body = bytes_make(info.body_length);
	assert_ok(xorb_reader_open(&reader, store, &coded.parts[0], 0, UINT64_MAX, &why));
	assert_int_equal(xorb_reader_read(reader, body.data, body.length, true, &why), body.length);
	xorb_reader_close(reader);
	assert_ok(xorb_upload_open(&upload, store, &coded.parts[0], body.length, &why));
	assert_ok(xorb_upload_write(upload, body.data, body.length, &why));
	assert_int_equal(xorb_upload_commit(upload, &inserted, &why), ERR_INVALID);
	xorb_upload_close(upload);
	free(body.data);
	free(unit.data);
	free(content.data);
}

/* ------------------------------------------------------------------ care */

static struct hash named;
static bool is_named;

static int tell_roots(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *unused)
{
	(void)context, (void)unused;
	return is_named ? emit(gc, &ada, &named) : 0;
}

static struct store_gc_report collect(void)
{
	struct store_gc_report report;
	usleep(2000);
	assert_ok(store_gc(store, tell_roots, NULL, 0, false, NULL, &report, &why));
	return report;
}

static void parts_live_as_long_as_what_they_are_parts_of(void **state)
{
	(void)state;
	struct bytes content = bytes_random(2 * MIB, 13);
	struct upload_result pushed = push(&ada, &content);
	struct hash xorb = only_xorb(), of;
	struct coded_record coded = code(&xorb, 4, 2), codings[CODINGS_MAX];
	give_up(&xorb);
	named = pushed.file;
	is_named = true;
	assert_int_equal(collect().xorbs_dropped, 0);
	assert_int_equal(store_codings(store, &xorb, codings), 1);
	assert_ok(store_join_parts(store, &coded, &why));
	assert_content(&pushed.file, &content);
	is_named = false;
	assert_int_equal(collect().xorbs_dropped, 7);
	collect();
	assert_int_equal(store_codings(store, &xorb, codings), 0);
	assert_int_equal(store_xorb_of_part(store, &coded.parts[3], &of), ERR_NOT_FOUND);
	struct store_stats stats = recount();
	assert_true(stats.xorbs == 0 && stats.stored_bytes == 0);
	assert_int_equal(store_codings(store, &xorb, codings), 0);
	assert_sound();
	free(content.data);
}

static void an_index_made_anew_knows_codings_and_compaction_keeps_them(void **state)
{
	(void)state;
	struct bytes content = bytes_random(6 * MIB, 15), other = bytes_random(30 * MIB, 16);
	struct upload_result pushed = push(&ada, &content);
	struct hash xorb = only_xorb();
	struct coded_record coded = code(&xorb, 4, 2), codings[CODINGS_MAX];
	push(&bob, &other);
	give_up(&xorb);
	named = pushed.file;
	is_named = true;
	struct store_gc_report report = collect(); /* most of the volume is dead now */
	assert_true(report.volumes_compacted >= 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_codings(store, &xorb, codings), 1);
		assert_memory_equal(&codings[0], &coded, sizeof(coded));
		for (unsigned part = 0; part < 6; part++)
			assert_true(store_is_part(store, &coded.parts[part]));
		recount();
	}
	assert_ok(store_join_parts(store, &coded, &why));
	assert_content(&pushed.file, &content);
	assert_sound();
	free(content.data);
	free(other.data);
}

static int count_told(void *context, uint8_t kind, struct span payload)
{
	assert_int_equal(kind, VOLUME_CODED);
	assert_ok(store_take_records(store, &(struct store_record){ kind, payload }, 1, &why));
	++*(unsigned *)context;
	return 0;
}

static void codings_are_told_and_taken_once(void **state)
{
	(void)state;
	struct bytes content = bytes_random(2 * MIB, 17);
	push(&ada, &content);
	struct hash xorb = only_xorb(), nothing = { "none" };
	struct coded_record coded = code(&xorb, 4, 2), told = coded, codings[CODINGS_MAX];
	unsigned count = 0;
	struct record_place before, after;
	store_position(store, &before);
	assert_ok(store_tell_codings(store, &xorb, count_told, &count, &why));
	assert_int_equal(count, 1);
	store_position(store, &after);
	assert_true(before.volume == after.volume && before.offset == after.offset); /* it was known */
	assert_int_equal(store_tell_codings(store, &nothing, count_told, &count, &why), ERR_NOT_FOUND);

	/* Of another body of the same xorb: both are known, in an order that does not depend on who came first. */
	uint8_t payload[CODED_RECORD_BYTES_MAX];
	told.body_length = 1;
	assert_ok(store_take_records(store, &(struct store_record){ VOLUME_CODED, span_of(payload, coded_record_encode(payload, &told)) }, 1, &why));
	assert_int_equal(store_codings(store, &xorb, codings), 2);
	assert_int_equal(codings[0].body_length, (coded.body_length & 0xff) < 1 ? coded.body_length : 1);
	for (unsigned i = 2; i < 9; i++) {
		told.body_length = i;
		assert_ok(store_take_records(store, &(struct store_record){ VOLUME_CODED, span_of(payload, coded_record_encode(payload, &told)) }, 1, &why));
	}
	assert_int_equal(store_codings(store, &xorb, codings), CODINGS_MAX);
	recount();
	assert_int_equal(store_codings(store, &xorb, codings), CODINGS_MAX);
	free(content.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_k_units_bring_back_the_others),
		cmocka_unit_test(parity_is_what_the_definition_says),
		cmocka_unit_test(units_that_are_not_k_different_ones_are_refused),
		cmocka_unit_test(a_record_reads_back_and_a_wrong_one_is_refused),
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		TEST(what_was_cut_is_joined_from_any_k_parts),
		TEST(every_code_cuts_and_joins),
		TEST(a_damaged_part_is_one_more_that_is_missing),
		TEST(chunks_of_parts_are_nobodys),
		TEST(parts_live_as_long_as_what_they_are_parts_of),
		TEST(an_index_made_anew_knows_codings_and_compaction_keeps_them),
		TEST(codings_are_told_and_taken_once),
	};
	return cmocka_run_group_tests_name("coded", tests, NULL, NULL);
}
