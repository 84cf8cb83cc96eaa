/* Bodies of Git LFS calls: what clients send, and what they should not. */
#include "gateway/hub/lfs_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OID "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct why why;

static int read_batch(struct lfs_batch_body *out, const char *text)
{
	why = (struct why){ 0 };
	return lfs_batch_body_read(span_text(text), out, &why);
}

static void a_batch_is_read(void **state)
{
	(void)state;
	struct lfs_batch_body body;
	assert_int_equal(read_batch(&body, "{\"operation\":\"upload\",\"transfers\":[\"lfs-standalone-file\",\"basic\",\"multipart\",7],\"ref\":{\"name\":\"refs/heads/main\"},"
		"\"hash_algo\":\"sha256\",\"objects\":[{\"oid\":\"" OID "\",\"size\":5},{\"oid\":\"" OID "\",\"size\":6},{\"oid\":\"x\",\"size\":1},"
		"{\"oid\":\"" OID "0\",\"size\":-1},{\"size\":1},{\"oid\":\"y\",\"size\":\"1\"}]}"), 0);
	assert_true(body.is_upload && body.offers_multipart && !body.offers_xet);
	assert_int_equal(body.objects_count, 5);
	assert_true(body.objects[0].valid && body.objects[0].size == 5); /* an oid that comes twice counts once, as it came first */
	for (size_t i = 1; i < body.objects_count; i++)
		assert_false(body.objects[i].valid);
	assert_string_equal(body.objects[3].text, "");
	lfs_batch_body_fini(&body);
}

static void only_one_spelling_of_an_oid_is_one(void **state)
{
	(void)state;
	struct sha256 oid;
	char upper[] = OID;
	upper[0] = 'E';
	assert_int_equal(lfs_oid_read(OID, &oid), 0);
	assert_int_equal(oid.bytes[0], 0xe3);
	assert_int_equal(lfs_oid_read(upper, &oid), ERR_INVALID);
	assert_int_equal(lfs_oid_read(OID "0", &oid), ERR_INVALID);
	assert_int_equal(lfs_oid_read(&OID[1], &oid), ERR_INVALID);
	assert_int_equal(lfs_oid_read("", &oid), ERR_INVALID);
}

static void what_is_wrong_has_its_status(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *text;
	} cases[] = {
		{ 422, "" }, { 422, "[]" }, { 422, "{" }, { 422, "{}" }, { 422, "{\"operation\":\"upload\"}" }, { 422, "{\"operation\":\"x\",\"objects\":[]}" },
		{ 422, "{\"operation\":\"upload\",\"objects\":{}}" }, { 422, "{\"operation\":\"upload\",\"objects\":[null]}" },
		{ 409, "{\"operation\":\"upload\",\"hash_algo\":\"md5\",\"objects\":[]}" }, { 409, "{\"operation\":\"upload\",\"hash_algo\":{},\"objects\":[]}" },
		{ 422, "{\"operation\":\"upload\",\"ref\":[],\"objects\":[]}" }, { 422, "{\"operation\":\"upload\",\"transfers\":{},\"objects\":[]}" },
		{ 0, "{\"operation\":\"download\",\"ref\":null,\"transfers\":null,\"hash_algo\":null,\"objects\":[]}" },
		{ 0, "{\"operation\":\"download\",\"ref\":{},\"objects\":[]}" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lfs_batch_body body;
		int status = read_batch(&body, cases[i].text);
		if (status != cases[i].status || (status && !why.text[0]))
			fail_msg("%s: %d, %s", cases[i].text, status, why.text);
		lfs_batch_body_fini(&body);
	}
}

static void a_lock_body_may_lack_everything(void **state)
{
	(void)state;
	struct lfs_lock_body body;
	assert_int_equal(lfs_lock_body_read(span_text(""), &body, &why), 0);
	assert_true(!*body.path && !*body.ref && !*body.cursor && !body.force && body.limit == LFS_LOCKS_PAGE);
	lfs_lock_body_fini(&body);
	assert_int_equal(lfs_lock_body_read(span_text("{\"path\":\"a\",\"ref\":{\"name\":\"r\"},\"cursor\":\"c\",\"limit\":1000000,\"force\":true}"), &body, &why), 0);
	assert_true(strcmp(body.path, "a") == 0 && strcmp(body.ref, "r") == 0 && strcmp(body.cursor, "c") == 0 && body.force);
	assert_int_equal(body.limit, LFS_LOCKS_PAGE_MAX);
	lfs_lock_body_fini(&body);
	static const char *const wrong[] = { "{\"path\":1}", "{\"cursor\":[]}", "{\"limit\":\"5\"}", "{\"limit\":-1}", "{\"force\":1}", "{\"ref\":\"main\"}", "{", "[]" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (lfs_lock_body_read(span_text(wrong[i]), &body, &why) != 422)
			fail_msg("%s was taken", wrong[i]);
		lfs_lock_body_fini(&body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_is_read),
		cmocka_unit_test(only_one_spelling_of_an_oid_is_one),
		cmocka_unit_test(what_is_wrong_has_its_status),
		cmocka_unit_test(a_lock_body_may_lack_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
