/* The text at the beginning of a bundle. */
#include "gateway/git/bundle_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OID_A "1111111111111111111111111111111111111111"
#define OID_B "2222222222222222222222222222222222222222"

static int header_read(const char *text, struct buffer *out)
{
	buffer_clear(out);
	return bundle_header_read(span_text(text), out);
}

static void what_it_brings_is_told_and_what_it_wants_is_not(void **state)
{
	(void)state;
	struct buffer out;
	buffer_init(&out, 4096);
	assert_int_equal(header_read("# v2 git bundle\n-" OID_A " first\n-" OID_A "\n" OID_B " refs/heads/main\n\nPACK", &out), 1);
	assert_true(span_equal(buffer_span(&out), span_text("^" OID_B "\n")));
	assert_int_equal(header_read("# v2 git bundle\n" OID_A " refs/heads/a\n" OID_B " refs/tags/b\n\n", &out), 1);
	assert_true(span_equal(buffer_span(&out), span_text("^" OID_A "\n^" OID_B "\n")));
	buffer_fini(&out);
}

static void every_beginning_of_one_wants_more(void **state)
{
	(void)state;
	static const char text[] = "# v2 git bundle\n-" OID_A " first\n" OID_B " refs/heads/main\n\n";
	struct buffer out;
	buffer_init(&out, 4096);
	for (size_t length = 0; length < sizeof(text) - 1; length++) {
		buffer_clear(&out);
		assert_int_equal(bundle_header_read(span_of(text, length), &out), 0);
	}
	buffer_fini(&out);
}

static void what_is_no_header_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "# v3 git bundle\n\n", "PACK is no bundle, not at all", "# v2 git bundle\nxyz\n\n", "# v2 git bundle\n-\n\n",
		"# v2 git bundle\n111111111111111111111111111111111111111 short\n\n", "# v2 git bundle\n" OID_A "1 refs/heads/long\n\n",
		"# v2 git bundle\n" OID_A "refs/heads/a\n\n" };
	struct buffer out;
	buffer_init(&out, 4096);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(header_read(bad[i], &out), ERR_CORRUPT);
	buffer_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_brings_is_told_and_what_it_wants_is_not),
		cmocka_unit_test(every_beginning_of_one_wants_more),
		cmocka_unit_test(what_is_no_header_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
