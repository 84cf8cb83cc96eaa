/* The head of a push: whole, cut anywhere, from shallow clones, with options, and what is refused. */
#include "gateway/git/receive_commands.h"
#include "schemas/git_object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ZERO "0000000000000000000000000000000000000000"
#define ONE "1111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222"

struct head {
	struct buffer bytes;
};

static void begin(struct head *head)
{
	buffer_init(&head->bytes, 1 << 22);
}

static void line(struct head *head, const char *text, const char *capabilities)
{
	char whole[1024];
	int length = snprintf(whole, sizeof(whole), "%s", text);
	if (capabilities)
		length += 1 + snprintf(whole + length + 1, sizeof(whole) - (size_t)length - 1, "%s", capabilities);
	pkt_append(&head->bytes, span_of(whole, (size_t)length));
}

static int take_in_pieces(struct receive_commands *commands, struct span bytes, size_t piece, size_t *total, struct why *why)
{
	int got = 0;
	*total = 0;
	while (got == 0 && *total < bytes.length) {
		size_t used, length = bytes.length - *total < piece ? bytes.length - *total : piece;
		got = receive_commands_take(commands, span_of(bytes.data + *total, length), &used, why);
		*total += used;
		if (got == 0)
			assert_int_equal(used, length);
	}
	return got;
}

static void a_list_is_read_however_it_is_cut(void **state)
{
	(void)state;
	struct head head;
	begin(&head);
	line(&head, "shallow " ONE, NULL);
	line(&head, ZERO " " ONE " refs/heads/main", " report-status-v2 side-band-64k atomic quiet push-options object-format=sha1 agent=git/2.39");
	line(&head, ONE " " ZERO " refs/tags/v1\n", NULL);
	pkt_append_flush(&head.bytes);
	line(&head, "ci.skip", NULL);
	pkt_append_flush(&head.bytes);
	size_t head_length = head.bytes.length;
	buffer_append_text(&head.bytes, "PACK....");
	for (size_t piece = 1; piece <= head.bytes.length; piece++) {
		struct receive_commands commands;
		struct why why = { 0 };
		size_t total;
		receive_commands_init(&commands);
		assert_int_equal(take_in_pieces(&commands, buffer_span(&head.bytes), piece, &total, &why), 1);
		assert_int_equal(total, head_length);
		assert_int_equal(commands.count, 2);
		assert_string_equal(commands.commands[0].name, "refs/heads/main");
		assert_true(git_oid_is_zero(&commands.commands[0].old_oid));
		assert_string_equal(commands.commands[1].name, "refs/tags/v1");
		assert_true(git_oid_is_zero(&commands.commands[1].new_oid));
		assert_int_equal(commands.shallow_count, 1);
		assert_int_equal(commands.options_count, 1);
		assert_true(commands.has_report_v2 && commands.has_side_band && commands.is_atomic && commands.is_quiet);
		assert_false(commands.has_report);
		assert_true(receive_commands_need_pack(&commands));
		receive_commands_fini(&commands);
	}
	buffer_fini(&head.bytes);
}

static int take_all(struct receive_commands *commands, struct head *head, struct why *why)
{
	size_t used;
	receive_commands_init(commands);
	int got = receive_commands_take(commands, buffer_span(&head->bytes), &used, why);
	buffer_fini(&head->bytes);
	return got;
}

static void a_flush_alone_is_an_empty_push(void **state)
{
	(void)state;
	struct head head;
	struct receive_commands commands;
	struct why why = { 0 };
	begin(&head);
	pkt_append_flush(&head.bytes);
	assert_int_equal(take_all(&commands, &head, &why), 1);
	assert_int_equal(commands.count, 0);
	assert_false(receive_commands_need_pack(&commands));
	receive_commands_fini(&commands);
}

static void deletions_alone_need_no_pack(void **state)
{
	(void)state;
	struct head head;
	struct receive_commands commands;
	struct why why = { 0 };
	begin(&head);
	line(&head, ONE " " ZERO " refs/heads/x", "report-status delete-refs");
	pkt_append_flush(&head.bytes);
	assert_int_equal(take_all(&commands, &head, &why), 1);
	assert_true(commands.has_report && !commands.has_report_v2);
	assert_false(receive_commands_need_pack(&commands));
	receive_commands_fini(&commands);
}

static void bad_names_are_kept_for_the_report(void **state)
{
	(void)state;
	struct head head;
	struct receive_commands commands;
	struct why why = { 0 };
	char text[1024], name[512];
	begin(&head);
	line(&head, ZERO " " ONE " refs/heads/a..b", "report-status");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	snprintf(text, sizeof(text), ZERO " " ONE " refs/heads/%s", name);
	line(&head, text, NULL);
	line(&head, ZERO " " ONE " refs/heads/\033[31m", NULL);
	pkt_append_flush(&head.bytes);
	assert_int_equal(take_all(&commands, &head, &why), 1);
	assert_int_equal(commands.count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(commands.commands[i].is_malformed);
	assert_string_equal(commands.commands[2].name, "refs/heads/?[31m");
	receive_commands_fini(&commands);
}

static void refuse(const char *text, const char *capabilities, int err)
{
	struct head head;
	struct receive_commands commands;
	struct why why = { 0 };
	begin(&head);
	line(&head, text, capabilities);
	pkt_append_flush(&head.bytes);
	assert_int_equal(take_all(&commands, &head, &why), err);
	assert_true(why.text[0]);
	receive_commands_fini(&commands);
}

static void what_is_no_push_is_refused(void **state)
{
	(void)state;
	refuse("push-cert", "report-status", ERR_UNSUPPORTED);
	refuse(ZERO " " ONE " refs/heads/main", "object-format=sha256", ERR_UNSUPPORTED);
	refuse(ZERO " " ONE, NULL, ERR_CORRUPT);
	refuse(ZERO " " ONE " ", NULL, ERR_CORRUPT);
	refuse("x" ZERO " " ONE " refs/heads/main", NULL, ERR_CORRUPT);
	refuse(ZERO "-" ONE " refs/heads/main", NULL, ERR_CORRUPT);
	refuse("", NULL, ERR_CORRUPT);
}

static void a_ref_is_named_once(void **state)
{
	(void)state;
	struct head head;
	struct receive_commands commands;
	struct why why = { 0 };
	begin(&head);
	line(&head, ZERO " " ONE " refs/heads/main", "report-status");
	line(&head, ZERO " " TWO " refs/heads/main", NULL);
	pkt_append_flush(&head.bytes);
	assert_int_equal(take_all(&commands, &head, &why), ERR_CORRUPT);
	receive_commands_fini(&commands);
}

static void more_refs_than_one_change_may_have_are_refused(void **state)
{
	(void)state;
	struct head head;
	struct receive_commands commands;
	struct why why = { 0 };
	char text[256];
	begin(&head);
	for (int i = 0; i <= RECEIVE_COMMANDS_MAX; i++) {
		snprintf(text, sizeof(text), ZERO " " ONE " refs/heads/b%d", i);
		line(&head, text, i == 0 ? "report-status" : NULL);
	}
	pkt_append_flush(&head.bytes);
	assert_int_equal(take_all(&commands, &head, &why), ERR_TOO_BIG);
	receive_commands_fini(&commands);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_read_however_it_is_cut),
		cmocka_unit_test(a_flush_alone_is_an_empty_push),
		cmocka_unit_test(deletions_alone_need_no_pack),
		cmocka_unit_test(bad_names_are_kept_for_the_report),
		cmocka_unit_test(what_is_no_push_is_refused),
		cmocka_unit_test(a_ref_is_named_once),
		cmocka_unit_test(more_refs_than_one_change_may_have_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
