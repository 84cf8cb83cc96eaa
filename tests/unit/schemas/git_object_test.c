/* Git objects as bytes: good ones, malformed ones, and what we write. */
#include "schemas/git_object.h"
#include "schemas/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEXT(literal) span_of(literal, sizeof(literal) - 1)
#define OID20 "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14"
#define HEX40 "0102030405060708090a0b0c0d0e0f1011121314"

/* ------------------------------------------------------------------ trees */

static void a_tree_is_read_entry_by_entry(void **state)
{
	(void)state;
	struct span rest = TEXT("100644 a.txt\0" OID20 "40000 dir\0" OID20 "100755 run\0" OID20);
	struct git_tree_entry entry;
	assert_int_equal(git_tree_next(&rest, &entry), 1);
	assert_int_equal(entry.mode, GIT_MODE_FILE);
	assert_true(span_equal(entry.name, span_text("a.txt")));
	assert_memory_equal(entry.oid.bytes, OID20, OID_BYTES);
	assert_int_equal(git_tree_next(&rest, &entry), 1);
	assert_true(git_mode_is_directory(entry.mode));
	assert_int_equal(git_tree_next(&rest, &entry), 1);
	assert_int_equal(entry.mode, GIT_MODE_EXECUTABLE);
	assert_int_equal(git_tree_next(&rest, &entry), 0);
}

static void malformed_trees_are_refused(void **state)
{
	(void)state;
	const struct span bad[] = {
		TEXT("100644 a.txt\0short"), TEXT("100644 a.txt"), TEXT("100644a.txt\0" OID20), TEXT("100648 a\0" OID20), TEXT(" a\0" OID20),
		TEXT("1006440 a\0" OID20), TEXT("100644 \0" OID20), TEXT("100644 a/b\0" OID20), TEXT("1"), TEXT("100644 "),
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct span rest = bad[i];
		struct git_tree_entry entry;
		assert_int_equal(git_tree_next(&rest, &entry), ERR_CORRUPT);
	}
}

static void a_written_tree_reads_back(void **state)
{
	(void)state;
	struct buffer out;
	buffer_init(&out, 4096);
	struct git_tree_entry entry = { .mode = GIT_MODE_DIRECTORY, .name = span_text("x y"), .oid = { OID20 } };
	assert_int_equal(git_tree_append(&out, &entry), 0);
	assert_true(span_equal(buffer_span(&out), TEXT("40000 x y\0" OID20)));
	buffer_fini(&out);
}

static void names_are_ordered_as_git_orders_them(void **state)
{
	(void)state;
	static const struct {
		const char *a;
		bool a_is_directory;
		const char *b;
		bool b_is_directory;
		int order;
	} cases[] = {
		{ "a", false, "b", false, -1 }, { "a", false, "a", false, 0 }, { "a", true, "a", true, 0 }, { "a", false, "a", true, -1 },
		{ "a-b", false, "a", true, -1 }, { "a0", false, "a", true, 1 }, { "a.b", false, "a", true, -1 }, { "a", false, "a-b", false, -1 },
		{ "ab", true, "a", true, 1 }, { "\xff", false, "a", false, 1 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span a = span_text(cases[i].a), b = span_text(cases[i].b);
		assert_int_equal(git_name_compare(a, cases[i].a_is_directory, b, cases[i].b_is_directory), cases[i].order);
		assert_int_equal(git_name_compare(b, cases[i].b_is_directory, a, cases[i].a_is_directory), -cases[i].order);
	}
}

/* ------------------------------------------------------------------ commits and tags */

static void a_commit_is_read(void **state)
{
	(void)state;
	struct git_commit commit;
	struct span text = TEXT("tree " HEX40 "\nparent " HEX40 "\nparent " HEX40 "\nauthor Ada L <ada@x.org> 1700000000 +0130\n"
		"committer Bob <> 1700000001 -0800\nencoding x\ngpgsig begin\n end\n\ntitle\n\nbody\n");
	assert_int_equal(git_commit_decode(&commit, text), 0);
	assert_int_equal(commit.parents_count, 2);
	assert_true(span_equal(commit.author.name, span_text("Ada L")));
	assert_true(span_equal(commit.author.email, span_text("ada@x.org")));
	assert_int_equal(commit.author.when_seconds, 1700000000);
	assert_int_equal(commit.author.zone_minutes, 90);
	assert_int_equal(commit.committer.zone_minutes, -480);
	assert_int_equal(commit.committer.email.length, 0);
	assert_true(span_equal(commit.message, span_text("title\n\nbody\n")));
}

static void malformed_commits_are_refused(void **state)
{
	(void)state;
	const struct span bad[] = {
		TEXT(""), TEXT("tree 12\n"), TEXT("tree " HEX40), TEXT("tree " HEX40 "\n"), TEXT("tree " HEX40 "\nparent x\nauthor A <a> 1 +0000\n"),
		TEXT("tree " HEX40 "\nauthor A a 1 +0000\ncommitter A <a> 1 +0000\n\nx"), TEXT("tree " HEX40 "\nauthor A <a 1 +0000\ncommitter A <a> 1 +0000\n\nx"),
		TEXT("tree " HEX40 "\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\nno end"),
	};
	struct git_commit commit;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(git_commit_decode(&commit, bad[i]), ERR_CORRUPT);
}

static void a_commit_with_too_many_parents_is_refused(void **state)
{
	(void)state;
	struct buffer text;
	buffer_init(&text, 1 << 16);
	buffer_append_text(&text, "tree " HEX40 "\n");
	for (int i = 0; i <= GIT_PARENTS_MAX; i++)
		buffer_append_text(&text, "parent " HEX40 "\n");
	buffer_append_text(&text, "author A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nx");
	struct git_commit commit;
	assert_int_equal(git_commit_decode(&commit, buffer_span(&text)), ERR_TOO_BIG);
	buffer_fini(&text);
}

static void names_that_would_break_a_commit_are_cleaned(void **state)
{
	(void)state;
	struct git_commit commit = { .author = { .name = span_text(" Eve <evil>\nparent x. "), .email = span_text("<e@x>\n"), .when_seconds = -5 },
		.committer = { .name = span_text("..."), .when_seconds = 7, .zone_minutes = -90 }, .message = TEXT("a\0b\n") };
	struct buffer out;
	buffer_init(&out, 4096);
	assert_int_equal(git_commit_encode(&out, &commit), 0);
	assert_true(span_equal(buffer_span(&out), span_text("tree 0000000000000000000000000000000000000000\n"
		"author Eve evilparent x <e@x> 0 +0000\ncommitter unknown <> 7 -0130\n\nab\n")));
	buffer_fini(&out);
}

static void a_tag_names_its_target(void **state)
{
	(void)state;
	struct oid oid;
	enum git_type type;
	assert_int_equal(git_tag_object_of(TEXT("object " HEX40 "\ntype commit\ntag v1\n"), &oid, &type), 0);
	assert_int_equal(type, GIT_COMMIT);
	assert_memory_equal(oid.bytes, OID20, OID_BYTES);
	assert_int_equal(git_tag_object_of(TEXT("object " HEX40 "\ntype horse\n"), &oid, &type), ERR_CORRUPT);
	assert_int_equal(git_tag_object_of(TEXT("object " HEX40 "\n"), &oid, &type), ERR_CORRUPT);
}

/* ------------------------------------------------------------------ pointers */

#define SHA "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
#define VERSION "version https://git-lfs.github.com/spec/v1\n"

static void a_pointer_is_read_in_its_variants(void **state)
{
	(void)state;
	const struct span good[] = {
		TEXT(VERSION "oid sha256:" SHA "\nsize 12345\n"), TEXT(VERSION "oid sha256:" SHA "\nsize 12345"),
		TEXT("version https://git-lfs.github.com/spec/v1\r\noid sha256:" SHA "\r\nsize 12345\r\n"),
		TEXT("version https://hawser.github.com/spec/v1\noid sha256:" SHA "\nsize 12345\n"),
		TEXT(VERSION "ext-0-foo sha256:" SHA "\noid sha256:" SHA "\nsize 12345\n"),
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct git_pointer pointer;
		assert_int_equal(git_pointer_decode(&pointer, good[i]), 0);
		assert_int_equal(pointer.length, 12345);
		assert_int_equal(pointer.sha256.bytes[0], 0x4d);
	}
}

static void what_is_no_pointer_is_an_ordinary_file(void **state)
{
	(void)state;
	const struct span bad[] = {
		TEXT(""), TEXT("v"), TEXT(VERSION), TEXT(VERSION "oid sha256:" SHA "\n"), TEXT(VERSION "size 1\noid sha256:" SHA "\n"),
		TEXT(VERSION "oid sha256:4D7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 1\n"),
		TEXT(VERSION "oid sha256:" SHA "0\nsize 1\n"), TEXT(VERSION "oid sha256:" SHA "\nsize -1\n"), TEXT(VERSION "oid sha256:" SHA "\nsize 1x\n"),
		TEXT(VERSION "oid sha256:" SHA "\nsize 99999999999999999999\n"), TEXT(VERSION "oid sha256:" SHA "\nsize 1\nmore\n"),
		TEXT("version 2\noid sha256:" SHA "\nsize 1\n"), TEXT(VERSION "\noid sha256:" SHA "\nsize 1\n"),
	};
	struct git_pointer pointer;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(git_pointer_decode(&pointer, bad[i]), ERR_INVALID);
}

static void a_written_pointer_reads_back(void **state)
{
	(void)state;
	struct git_pointer pointer = { .length = 42 }, again;
	assert_int_equal(hex_decode(pointer.sha256.bytes, HASH_BYTES, SHA, 64), 0);
	struct buffer out;
	buffer_init(&out, GIT_POINTER_BYTES_MAX);
	assert_int_equal(git_pointer_encode(&out, &pointer), 0);
	assert_true(span_equal(buffer_span(&out), TEXT(VERSION "oid sha256:" SHA "\nsize 42\n")));
	assert_int_equal(git_pointer_decode(&again, buffer_span(&out)), 0);
	assert_memory_equal(&pointer, &again, sizeof(pointer));
	buffer_fini(&out);
}

/* ------------------------------------------------------------------ packs */

static void entry_headers_of_every_size_read_back(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 60; bits++) {
		for (uint64_t length = (1ull << bits) - 1; length <= 1ull << bits; length++) {
			uint8_t bytes[GIT_ENTRY_HEADER_BYTES_MAX];
			size_t used = git_entry_header_encode(bytes, GIT_TREE, length);
			enum git_type type;
			uint64_t read;
			assert_int_equal(git_entry_header_decode(span_of(bytes, used), &type, &read), used);
			assert_int_equal(type, GIT_TREE);
			assert_true(read == length);
			assert_int_equal(git_entry_header_decode(span_of(bytes, used - 1), &type, &read), ERR_CORRUPT);
		}
	}
	enum git_type type;
	uint64_t length;
	assert_int_equal(git_entry_header_decode(TEXT("\x00"), &type, &length), ERR_CORRUPT);
	assert_int_equal(git_entry_header_decode(TEXT("\x50"), &type, &length), ERR_CORRUPT);
	assert_int_equal(git_entry_header_decode(TEXT("\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), &type, &length), ERR_CORRUPT);
}

static void a_pack_header_is_checked(void **state)
{
	(void)state;
	struct buffer out;
	buffer_init(&out, 64);
	uint32_t count;
	assert_int_equal(git_pack_header_encode(&out, 0x01020304), 0);
	assert_int_equal(git_pack_header_decode(buffer_span(&out), &count), 0);
	assert_int_equal(count, 0x01020304);
	buffer_fini(&out);
	assert_int_equal(git_pack_header_decode(TEXT("PACK\0\0\0\3\0\0\0\1"), &count), ERR_UNSUPPORTED);
	assert_int_equal(git_pack_header_decode(TEXT("PACH\0\0\0\2\0\0\0\1"), &count), ERR_CORRUPT);
	assert_int_equal(git_pack_header_decode(TEXT("PACK\0\0\0\2\0\0\0"), &count), ERR_CORRUPT);
}

static void a_delta_is_applied(void **state)
{
	(void)state;
	struct span base = span_text("hello cruel world");
	struct buffer out;
	buffer_init(&out, 1024);
	/* 17 -> 11: copy 6 from 0, copy 5 from 12 */
	assert_int_equal(git_delta_apply(base, TEXT("\x11\x0b\x90\x06\x91\x0c\x05"), &out), 0);
	assert_true(span_equal(buffer_span(&out), span_text("hello world")));
	buffer_clear(&out);
	/* 17 -> 3: insert */
	assert_int_equal(git_delta_apply(base, TEXT("\x11\x03\x03""abc"), &out), 0);
	assert_true(span_equal(buffer_span(&out), span_text("abc")));
	const struct span bad[] = { TEXT(""), TEXT("\x10\x03\x03""abc"), TEXT("\x11\x03\x03""ab"), TEXT("\x11\x04\x03""abc"), TEXT("\x11\x02\x03""abc"),
		TEXT("\x11\x05\x91\x0d\x05"), TEXT("\x11\x05\x00"), TEXT("\x11\x05\x91"), TEXT("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01") };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buffer_clear(&out);
		assert_int_equal(git_delta_apply(base, bad[i], &out), ERR_CORRUPT);
	}
	buffer_clear(&out);
	assert_int_equal(git_delta_apply(base, TEXT("\x11\xff\xff\xff\xff\x7f\x90\x05"), &out), ERR_TOO_BIG);
	buffer_fini(&out);
}

static void a_delta_base_distance_is_read(void **state)
{
	(void)state;
	uint64_t distance;
	assert_int_equal(git_delta_base_decode(TEXT("\x05"), &distance), 1);
	assert_int_equal(distance, 5);
	assert_int_equal(git_delta_base_decode(TEXT("\x80\x00"), &distance), 2);
	assert_int_equal(distance, 128);
	assert_int_equal(git_delta_base_decode(TEXT("\x80"), &distance), ERR_CORRUPT);
	assert_int_equal(git_delta_base_decode(TEXT(""), &distance), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_is_read_entry_by_entry),
		cmocka_unit_test(malformed_trees_are_refused),
		cmocka_unit_test(a_written_tree_reads_back),
		cmocka_unit_test(names_are_ordered_as_git_orders_them),
		cmocka_unit_test(a_commit_is_read),
		cmocka_unit_test(malformed_commits_are_refused),
		cmocka_unit_test(a_commit_with_too_many_parents_is_refused),
		cmocka_unit_test(names_that_would_break_a_commit_are_cleaned),
		cmocka_unit_test(a_tag_names_its_target),
		cmocka_unit_test(a_pointer_is_read_in_its_variants),
		cmocka_unit_test(what_is_no_pointer_is_an_ordinary_file),
		cmocka_unit_test(a_written_pointer_reads_back),
		cmocka_unit_test(entry_headers_of_every_size_read_back),
		cmocka_unit_test(a_pack_header_is_checked),
		cmocka_unit_test(a_delta_is_applied),
		cmocka_unit_test(a_delta_base_distance_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
