/* Tests of gateway/auth/grant: what is signed comes back, and nothing else does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sodium.h>

#include "gateway/auth/grant.h"
#include "gateway/process.h"

static struct gateway gateway, other;

static int make_keys(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	crypto_sign_keypair(gateway.grant_public_key, gateway.grant_secret_key);
	crypto_sign_keypair(other.grant_public_key, other.grant_secret_key);
	return 0;
}

static struct grant example(void)
{
	struct grant grant = { .kind = GRANT_LFS_PART, .actor = "alice", .expires_ms = unix_ms() + 60000, .length = UINT64_MAX, .number = 7 };
	memset(grant.repo.bytes, 0xab, sizeof(grant.repo.bytes));
	memset(grant.object.bytes, 0xcd, sizeof(grant.object.bytes));
	return grant;
}

static void a_grant_comes_back_as_it_was_signed(void **state)
{
	(void)state;
	struct grant grant = example(), back;
	char text[GRANT_TEXT_BYTES_MAX];
	memset(grant.actor, 'x', NAME_BYTES_MAX); /* the longest */
	grant_sign(&gateway, &grant, text);
	assert_int_equal(grant_verify(&gateway, span_text(text), &back), 0);
	assert_int_equal(back.kind, grant.kind);
	assert_memory_equal(&back.repo, &grant.repo, sizeof(grant.repo));
	assert_memory_equal(&back.object, &grant.object, sizeof(grant.object));
	assert_string_equal(back.actor, grant.actor);
	assert_true(back.length == UINT64_MAX && back.number == 7 && back.expires_ms == grant.expires_ms);
	assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(text));
}

static void any_changed_character_is_refused(void **state)
{
	(void)state;
	struct grant grant = example(), back;
	char text[GRANT_TEXT_BYTES_MAX];
	grant_sign(&gateway, &grant, text);
	size_t length = strlen(text);
	for (size_t i = 0; i < length; i++) {
		char was = text[i];
		text[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(grant_verify(&gateway, span_of(text, length), &back), ERR_UNAUTHENTICATED);
		text[i] = was;
		assert_int_equal(grant_verify(&gateway, span_of(text, i), &back), ERR_UNAUTHENTICATED);
	}
}

static void another_hubs_grant_is_refused(void **state)
{
	(void)state;
	struct grant grant = example(), back;
	char text[GRANT_TEXT_BYTES_MAX];
	grant_sign(&other, &grant, text);
	assert_int_equal(grant_verify(&gateway, span_text(text), &back), ERR_UNAUTHENTICATED);
}

static void a_grant_ends_after_its_skew(void **state)
{
	(void)state;
	struct grant grant = example(), back;
	char text[GRANT_TEXT_BYTES_MAX];
	grant.expires_ms = unix_ms() - GRANT_SKEW_MS / 2;
	grant_sign(&gateway, &grant, text);
	assert_int_equal(grant_verify(&gateway, span_text(text), &back), 0);
	grant.expires_ms = unix_ms() - GRANT_SKEW_MS - 1000;
	grant_sign(&gateway, &grant, text);
	assert_int_equal(grant_verify(&gateway, span_text(text), &back), ERR_UNAUTHENTICATED);
}

static void nonsense_is_refused(void **state)
{
	(void)state;
	struct grant back;
	char text[2 * GRANT_TEXT_BYTES_MAX];
	memset(text, 'A', sizeof(text));
	for (size_t length = 0; length < sizeof(text); length++)
		assert_int_equal(grant_verify(&gateway, span_of(text, length), &back), ERR_UNAUTHENTICATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_grant_comes_back_as_it_was_signed), cmocka_unit_test(any_changed_character_is_refused),
		cmocka_unit_test(another_hubs_grant_is_refused), cmocka_unit_test(a_grant_ends_after_its_skew),
		cmocka_unit_test(nonsense_is_refused),
	};
	return cmocka_run_group_tests(tests, make_keys, NULL);
}
