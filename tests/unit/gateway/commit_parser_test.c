/* The body of a commit, as clients of either language send it, whole and byte by byte. */
#include "gateway/hub/commit_parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TRACE_BYTES_MAX = 1 << 16 };

/* What came out, one short line an operation. */
struct trace {
	struct buffer text;
	int stop_at; /* the operation that is refused, from 1; 0: none */
	int count;
};

static int note(void *context, const struct operation *operation, struct why *why)
{
	static const char *const kinds[] = { "?", "header", "file", "lfs", "delete", "copy" };
	struct trace *trace = context;
	if (++trace->count == trace->stop_at)
		return why_set(why, ERR_DENIED, "stopped");
	struct buffer *out = &trace->text;
	buffer_printf(out, "%s", kinds[operation->kind]);
	const struct span shown[] = { operation->path, operation->old_path, operation->content, operation->source, operation->source_revision,
		operation->summary, operation->description, operation->parent_commit };
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (shown[i].length)
			buffer_printf(out, " %.*s", (int)shown[i].length, (const char *)shown[i].data);
	if (operation->kind == OPERATION_LFS_FILE && operation->length != UINT64_MAX)
		buffer_printf(out, " %llu", (unsigned long long)operation->length);
	buffer_append_byte(out, '\n');
	return 0;
}

static int run(struct trace *trace, const char *body, bool is_document, size_t piece, struct why *why)
{
	struct commit_parser parser;
	const char *dir = getenv("TMPDIR");
	size_t length = strlen(body);
	int err = 0;
	buffer_init(&trace->text, TRACE_BYTES_MAX);
	commit_parser_init(&parser, dir ? dir : "/tmp", is_document, note, trace);
	for (size_t at = 0; at < length && err == 0; at += piece)
		err = commit_parser_feed(&parser, (const uint8_t *)body + at, piece < length - at ? piece : length - at, why);
	if (err == 0)
		err = commit_parser_finish(&parser, why);
	commit_parser_fini(&parser);
	return err;
}

static void assert_operations(const char *body, bool is_document, const char *expected)
{
	static const size_t pieces[] = { 1, 2, 7, 1 << 20 };
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct trace trace = { .stop_at = 0 };
		struct why why = { 0 };
		assert_int_equal(run(&trace, body, is_document, pieces[i], &why), 0);
		buffer_append_byte(&trace.text, 0);
		assert_string_equal((const char *)trace.text.data, expected);
		buffer_fini(&trace.text);
	}
}

static int error_of(const char *body, bool is_document)
{
	struct trace trace = { .stop_at = 0 };
	struct why why = { 0 };
	int err = run(&trace, body, is_document, SIZE_MAX, &why);
	if (err)
		assert_true(why.text[0] != 0);
	buffer_fini(&trace.text);
	return err;
}

#define OID "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static void every_operation_is_understood(void **state)
{
	(void)state;
	assert_operations(
		"{\"key\": \"header\", \"value\": {\"summary\": \"a title\", \"description\": \"more\", \"parentCommit\": \"abc\"}}\n"
		"{\"key\": \"file\", \"value\": {\"content\": \"Zm9v\", \"path\": \"a.txt\", \"encoding\": \"base64\"}}\n"
		"{\"key\": \"file\", \"value\": {\"content\": \"b\\u00e4r\", \"path\": \"b.txt\", \"encoding\": \"utf-8\", \"oldPath\": \"c.txt\"}}\n"
		"{\"key\": \"lfsFile\", \"value\": {\"path\": \"m.bin\", \"algo\": \"sha256\", \"oid\": \"" OID "\", \"size\": 4}}\n"
		"{\"key\": \"lfsFile\", \"value\": {\"path\": \"n.bin\", \"algo\": \"sha256\", \"oid\": \"" OID "\"}}\n"
		"{\"key\": \"deletedFile\", \"value\": {\"path\": \"d\"}}\n"
		"{\"key\": \"deletedFolder\", \"value\": {\"path\": \"e/\"}}\n"
		"{\"key\": \"deletedEntry\", \"value\": {\"path\": \"f\"}}\n"
		"{\"key\": \"copyFile\", \"value\": {\"path\": \"g\", \"srcPath\": \"h\", \"srcRevision\": \"main\"}}\n",
		false,
		"header a title more abc\nfile a.txt foo\nfile b.txt c.txt b\u00e4r\nlfs m.bin 4\nlfs n.bin\ndelete d\ndelete e/\ndelete f\ncopy g h main\n");
}

static void the_last_line_may_lack_its_end(void **state)
{
	(void)state;
	assert_operations("{\"key\":\"header\",\"value\":{\"summary\":\"x\"}}\r\n\n{\"value\":{\"path\":\"a\"},\"key\":\"deletedFile\"}", false,
		"header x\ndelete a\n");
}

static void unknown_members_are_passed_over(void **state)
{
	(void)state;
	assert_operations("{\"id\":[1,{\"key\":2}],\"key\":\"deletedFile\",\"value\":{\"new\":{\"path\":\"no\"},\"path\":\"a\"}}\n", false, "delete a\n");
}

static void the_single_document_is_understood(void **state)
{
	(void)state;
	assert_operations("{\"files\":[{\"path\":\"a\",\"content\":\"x\"}],\n\"lfsFiles\":[{\"path\":\"b\",\"oid\":\"" OID "\",\"size\":1}],"
		"\"deletedEntries\":[{\"path\":\"c\"}],\"summary\":\"late\"}\n", true, "header late\nfile a x\nlfs b 1\ndelete c\n");
}

static void a_long_line_is_as_good_as_a_short_one(void **state)
{
	(void)state;
	size_t content = 3 * LINE_MEMORY_BYTES_MAX;
	char *body = malloc(content + 256);
	size_t at = (size_t)sprintf(body, "{\"key\":\"file\",\"value\":{\"path\":\"a\",\"encoding\":\"base64\",\"content\":\"");
	memset(body + at, 'A', content);
	strcpy(body + at + content, "\"}}\n{\"key\":\"deletedFile\",\"value\":{\"path\":\"b\"}}\n");
	struct trace trace = { .stop_at = 0 };
	struct why why = { 0 };
	assert_int_equal(run(&trace, body, false, 4096, &why), 0);
	assert_int_equal(trace.count, 2);
	buffer_fini(&trace.text);
	free(body);
}

static void a_line_has_a_limit(void **state)
{
	(void)state;
	size_t length = COMMIT_LINE_BYTES_MAX + 1;
	char *body = malloc(length + 1);
	memset(body, ' ', length);
	body[length] = 0;
	assert_int_equal(error_of(body, false), ERR_TOO_BIG);
	free(body);
}

static void bad_lines_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"x", "[]", "{}", "{\"key\":\"file\"}", "{\"value\":{}}", "{\"key\":\"file\",\"value\":[]}", "{\"key\":\"file\",\"value\":{\"content\":\"x\"}}",
		"{\"key\":\"unknown\",\"value\":{\"path\":\"a\"}}", "{\"key\":\"deletedFile\",\"value\":{\"path\":\"\"}}",
		"{\"key\":\"deletedFile\",\"value\":{\"path\":7}}", "{\"key\":\"deletedFile\",\"value\":{\"path\":\"a\"}} x",
		"{\"key\":\"file\",\"value\":{\"path\":\"a\",\"content\":\"*\",\"encoding\":\"base64\"}}",
		"{\"key\":\"file\",\"value\":{\"path\":\"a\",\"content\":\"x\",\"encoding\":\"utf-16\"}}",
		"{\"key\":\"lfsFile\",\"value\":{\"path\":\"a\",\"oid\":\"12\"}}", "{\"key\":\"lfsFile\",\"value\":{\"path\":\"a\"}}",
		"{\"key\":\"lfsFile\",\"value\":{\"path\":\"a\",\"algo\":\"md5\",\"oid\":\"" OID "\"}}",
		"{\"key\":\"lfsFile\",\"value\":{\"path\":\"a\",\"oid\":\"" OID "\",\"size\":-1}}",
		"{\"key\":\"copyFile\",\"value\":{\"path\":\"a\"}}",
		"{\"key\":\"header\",\"value\":{\"summary\":\"a\xff\"}}", "{\"key\":\"header\",\"value\":{\"description\":\"12345678\xc3\"}}",
		"{\"key\":\"file\",\"value\":{\"path\":\"a\",\"content\":\"12345678\xed\xa0\x80 12345678\"}}",
		"{\"key\":\"file\",\"value\":{\"path\":\"a\",\"content\":\"\xc0\x80\",\"encoding\":\"utf-8\"}}",
		"{\"key\":\"copyFile\",\"value\":{\"path\":\"a\",\"srcPath\":\"\xe2\x82\"}}",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (error_of(bad[i], false) != ERR_INVALID)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(error_of("{\"key\":\"copyFile\",\"value\":{\"path\":\"a\",\"xetHash\":\"" OID "\"}}", false), ERR_UNSUPPORTED);
}

static void bad_documents_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "[]", "{\"files\":{}}", "{\"files\":[1]}", "{\"files\":[{\"path\":\"a\",\"content\":\"x\"}", "{\"summary\":1}", "{} {}" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (error_of(bad[i], true) != ERR_INVALID)
			fail_msg("accepted: %s", bad[i]);
}

static void what_the_receiver_says_ends_the_parsing(void **state)
{
	(void)state;
	struct trace trace = { .stop_at = 2 };
	struct why why = { 0 };
	static const char line[] = "{\"key\":\"deletedFile\",\"value\":{\"path\":\"a\"}}\n";
	char body[4 * sizeof(line)];
	snprintf(body, sizeof(body), "%s%s%s", line, line, line);
	assert_int_equal(run(&trace, body, false, SIZE_MAX, &why), ERR_DENIED);
	assert_string_equal(why.text, "stopped");
	assert_int_equal(trace.count, 2);
	buffer_fini(&trace.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_is_understood),
		cmocka_unit_test(the_last_line_may_lack_its_end),
		cmocka_unit_test(unknown_members_are_passed_over),
		cmocka_unit_test(the_single_document_is_understood),
		cmocka_unit_test(a_long_line_is_as_good_as_a_short_one),
		cmocka_unit_test(a_line_has_a_limit),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(bad_documents_are_refused),
		cmocka_unit_test(what_the_receiver_says_ends_the_parsing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
