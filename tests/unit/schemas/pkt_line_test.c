/* Git's framing: packets of every kind, cut ones, malformed ones, side bands. */
#include "schemas/pkt_line.h"
#include "schemas/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEXT(literal) span_of(literal, sizeof(literal) - 1)

static void packets_are_taken_one_by_one(void **state)
{
	(void)state;
	struct span rest = TEXT("0006a\n0007abc0004000000010002");
	struct pkt pkt;
	assert_int_equal(pkt_next(&rest, &pkt), 1);
	assert_int_equal(pkt.kind, PKT_LINE);
	assert_true(span_equal(pkt_text(&pkt), TEXT("a")));
	assert_int_equal(pkt_next(&rest, &pkt), 1);
	assert_true(span_equal(pkt_text(&pkt), TEXT("abc")));
	assert_int_equal(pkt_next(&rest, &pkt), 1);
	assert_int_equal(pkt.kind, PKT_LINE);
	assert_int_equal(pkt.payload.length, 0);
	enum pkt_kind kinds[] = { PKT_FLUSH, PKT_DELIMITER, PKT_END };
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(pkt_next(&rest, &pkt), 1);
		assert_int_equal(pkt.kind, kinds[i]);
	}
	assert_int_equal(pkt_next(&rest, &pkt), 0);
}

static void a_packet_that_is_cut_asks_for_more(void **state)
{
	(void)state;
	struct span whole = TEXT("000aabcdef");
	for (size_t length = 0; length < whole.length; length++) {
		struct span rest = span_of(whole.data, length);
		struct pkt pkt;
		assert_int_equal(pkt_next(&rest, &pkt), 0);
		assert_int_equal(rest.length, length);
	}
}

static void what_is_no_packet_is_refused(void **state)
{
	(void)state;
	const struct span bad[] = { TEXT("0003"), TEXT("00g0"), TEXT("PACK"), TEXT("-001"), TEXT("fff1"), TEXT("ffff"), TEXT(" 004") };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct span rest = bad[i];
		struct pkt pkt;
		assert_int_equal(pkt_next(&rest, &pkt), ERR_CORRUPT);
	}
}

static void the_largest_packet_is_written_and_read(void **state)
{
	(void)state;
	struct buffer out;
	buffer_init(&out, 1 << 20);
	uint8_t *data = calloc(1, PKT_PAYLOAD_BYTES_MAX + 1);
	assert_int_equal(pkt_append(&out, span_of(data, PKT_PAYLOAD_BYTES_MAX)), 0);
	assert_memory_equal(out.data, "fff0", 4);
	struct span rest = buffer_span(&out);
	struct pkt pkt;
	assert_int_equal(pkt_next(&rest, &pkt), 1);
	assert_int_equal(pkt.payload.length, PKT_PAYLOAD_BYTES_MAX);
	assert_int_equal(pkt_append(&out, span_of(data, PKT_PAYLOAD_BYTES_MAX + 1)), ERR_TOO_BIG);
	assert_true(out.failed);
	free(data);
	buffer_fini(&out);
}

static void lines_are_formatted(void **state)
{
	(void)state;
	struct buffer out;
	buffer_init(&out, 1 << 12);
	pkt_printf(&out, "ok %s\n", "refs/heads/main");
	pkt_append_flush(&out);
	assert_true(span_equal(buffer_span(&out), TEXT("0017ok refs/heads/main\n0000")));
	buffer_fini(&out);
}

static void a_band_is_cut_into_packets(void **state)
{
	(void)state;
	struct buffer out;
	buffer_init(&out, 1 << 20);
	enum { LENGTH = 150000 };
	uint8_t *data = malloc(LENGTH);
	memset(data, 'x', LENGTH);
	assert_int_equal(pkt_append_band(&out, BAND_MESSAGE, span_of(data, LENGTH)), 0);
	struct span rest = buffer_span(&out);
	size_t total = 0, packets = 0;
	struct pkt pkt;
	while (pkt_next(&rest, &pkt) == 1) {
		assert_int_equal(pkt.payload.data[0], BAND_MESSAGE);
		total += pkt.payload.length - 1;
		packets++;
	}
	assert_int_equal(rest.length, 0);
	assert_int_equal(total, LENGTH);
	assert_int_equal(packets, 3);
	free(data);
	buffer_fini(&out);
}

static void an_empty_band_is_one_packet(void **state)
{
	(void)state;
	struct buffer out;
	buffer_init(&out, 64);
	pkt_append_band(&out, BAND_DATA, span_of(NULL, 0));
	assert_true(span_equal(buffer_span(&out), TEXT("0005\1")));
	buffer_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_taken_one_by_one),
		cmocka_unit_test(a_packet_that_is_cut_asks_for_more),
		cmocka_unit_test(what_is_no_packet_is_refused),
		cmocka_unit_test(the_largest_packet_is_written_and_read),
		cmocka_unit_test(lines_are_formatted),
		cmocka_unit_test(a_band_is_cut_into_packets),
		cmocka_unit_test(an_empty_band_is_one_packet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
