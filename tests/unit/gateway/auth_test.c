/* Tests of gateway/auth: who a request is, and what they may do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway/auth/auth.h"
#include "gateway/process.h"
#include "tests/unit/gateway/fake_request.h"

static char dir[64];
static struct gateway gateway;
static char alice[TOKEN_TEXT_BYTES_MAX], alice_read[TOKEN_TEXT_BYTES_MAX], root[TOKEN_TEXT_BYTES_MAX];

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status, (void)kind, (void)walk;
	return remove(path);
}

static void mint(const char *user, enum token_role role, int64_t expires_ms, char text[TOKEN_TEXT_BYTES_MAX])
{
	struct why why = { 0 };
	struct token token = { .name = "test", .role = role, .expires_ms = expires_ms };
	snprintf(token.user, sizeof(token.user), "%s", user);
	assert_int_equal(token_create(gateway.ns, "", &token, text, &why), 0);
}

static int open_hub(void **state)
{
	(void)state;
	struct why why = { 0 };
	snprintf(dir, sizeof(dir), "/tmp/cairn-auth-XXXXXX");
	if (sodium_init() < 0 || !mkdtemp(dir) || namespace_open(&gateway.ns, dir, &why) != 0)
		return -1;
	struct user users[] = { { .name = "alice" }, { .name = "bob" }, { .name = "root", .admin = true } };
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(user_create(gateway.ns, "", &users[i], &why), 0);
	mint("alice", TOKEN_WRITE, 0, alice);
	mint("alice", TOKEN_READ, 0, alice_read);
	mint("root", TOKEN_WRITE, 0, root);
	return 0;
}

static int close_hub(void **state)
{
	(void)state;
	namespace_close(gateway.ns);
	return nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* What auth_identify says of a request with this one header. */
static int identify(const char *name, const char *value, struct actor *actor)
{
	struct http_request request = { .user_data = &gateway };
	if (name)
		fake_header(&request, name, value);
	int err = auth_identify(&request, actor);
	fake_fini(&request);
	return err;
}

static int identify_bearer(const char *token, struct actor *actor)
{
	char value[256];
	snprintf(value, sizeof(value), "Bearer %s", token);
	return identify("Authorization", value, actor);
}

static void no_credentials_are_the_anonymous(void **state)
{
	(void)state;
	struct actor actor;
	assert_int_equal(identify(NULL, NULL, &actor), 0);
	assert_true(actor.anonymous);
	assert_int_equal(identify("Cookie", "theme=dark", &actor), 0);
	assert_true(actor.anonymous);
}

static void a_bearer_token_names_its_user(void **state)
{
	(void)state;
	struct actor actor;
	for (int round = 0; round < 2; round++) { /* the second time from the cache */
		assert_int_equal(identify_bearer(alice, &actor), 0);
		assert_string_equal(actor.name, "alice");
		assert_int_equal(actor.role, TOKEN_WRITE);
		assert_false(actor.admin);
		assert_true(hash_is_zero(&actor.token.digest));
	}
	assert_int_equal(identify_bearer(root, &actor), 0);
	assert_true(actor.admin);
}

static void basic_takes_the_token_as_password(void **state)
{
	(void)state;
	struct actor actor;
	char plain[128], encoded[256], value[300];
	snprintf(plain, sizeof(plain), "hf_user:%s", alice);
	sodium_bin2base64(encoded, sizeof(encoded), (const uint8_t *)plain, strlen(plain), sodium_base64_VARIANT_ORIGINAL);
	snprintf(value, sizeof(value), "Basic %s", encoded);
	assert_int_equal(identify("Authorization", value, &actor), 0);
	assert_string_equal(actor.name, "alice");
}

static void the_cookie_works_for_browsers(void **state)
{
	(void)state;
	struct actor actor;
	char value[128];
	snprintf(value, sizeof(value), "theme=dark; token=%s; x=y", alice_read);
	assert_int_equal(identify("Cookie", value, &actor), 0);
	assert_string_equal(actor.name, "alice");
	assert_int_equal(actor.role, TOKEN_READ);
}

static void wrong_credentials_are_refused_not_ignored(void **state)
{
	(void)state;
	struct actor actor;
	assert_int_equal(identify_bearer("hf_wrong", &actor), ERR_UNAUTHENTICATED);
	assert_int_equal(identify("Authorization", "Bearer ", &actor), ERR_UNAUTHENTICATED);
	assert_int_equal(identify("Authorization", "Digest x", &actor), ERR_UNAUTHENTICATED);
	assert_int_equal(identify("Authorization", "Basic ***", &actor), ERR_UNAUTHENTICATED);
	assert_int_equal(identify("Cookie", "token=hf_wrong", &actor), ERR_UNAUTHENTICATED);
}

static void an_expired_token_is_refused(void **state)
{
	(void)state;
	struct actor actor;
	char text[TOKEN_TEXT_BYTES_MAX];
	mint("alice", TOKEN_WRITE, unix_ms() - 1, text);
	assert_int_equal(identify_bearer(text, &actor), ERR_UNAUTHENTICATED);
	assert_int_equal(identify_bearer(text, &actor), ERR_UNAUTHENTICATED);
}

static void a_revoked_token_is_refused_at_once(void **state)
{
	(void)state;
	struct actor actor;
	struct why why = { 0 };
	char text[TOKEN_TEXT_BYTES_MAX];
	mint("alice", TOKEN_WRITE, 0, text);
	assert_int_equal(identify_bearer(text, &actor), 0);
	assert_int_equal(token_delete(gateway.ns, "alice", &actor.token_id, &why), 0);
	assert_int_equal(identify_bearer(text, &actor), ERR_UNAUTHENTICATED);
}

/* ------------------------------------------------------------------ may */

static struct actor actor_named(const char *name, enum token_role role, bool admin)
{
	struct actor actor = { .role = role, .admin = admin, .anonymous = name[0] == 0 };
	snprintf(actor.name, sizeof(actor.name), "%s", name);
	return actor;
}

static int asked(struct actor actor, enum action action, bool private)
{
	struct repo repo = { .type = REPO_MODEL, .owner = "alice", .name = "m", .private = private };
	struct resource resource = { .repo = &repo, .owner = "alice" };
	return may(&actor, action, &resource);
}

static void everybody_reads_what_is_public(void **state)
{
	(void)state;
	assert_int_equal(asked(actor_named("", 0, false), ACTION_READ, false), 0);
	assert_int_equal(asked(actor_named("bob", TOKEN_READ, false), ACTION_READ, false), 0);
}

static void what_is_private_does_not_exist_for_others(void **state)
{
	(void)state;
	for (enum action action = ACTION_READ; action <= ACTION_ADMIN; action++) {
		assert_int_equal(asked(actor_named("bob", TOKEN_WRITE, false), action, true), ERR_NOT_FOUND);
		assert_int_equal(asked(actor_named("", 0, false), action, true), ERR_UNAUTHENTICATED);
		assert_int_equal(asked(actor_named("Alice", TOKEN_WRITE, false), action, true), 0);
		assert_int_equal(asked(actor_named("root", TOKEN_WRITE, true), action, true), 0);
	}
}

static void a_read_token_never_writes(void **state)
{
	(void)state;
	for (enum action action = ACTION_WRITE; action <= ACTION_OPERATE; action++) {
		assert_int_equal(asked(actor_named("alice", TOKEN_READ, false), action, false), ERR_DENIED);
		assert_int_equal(asked(actor_named("root", TOKEN_READ, true), action, false), ERR_DENIED);
	}
}

static void only_owners_and_admins_change_things(void **state)
{
	(void)state;
	for (enum action action = ACTION_WRITE; action <= ACTION_CREATE; action++) {
		assert_int_equal(asked(actor_named("alice", TOKEN_WRITE, false), action, false), 0);
		assert_int_equal(asked(actor_named("bob", TOKEN_WRITE, false), action, false), ERR_DENIED);
		assert_int_equal(asked(actor_named("root", TOKEN_WRITE, true), action, false), 0);
		assert_int_equal(asked(actor_named("", 0, false), action, false), ERR_UNAUTHENTICATED);
	}
	assert_int_equal(asked(actor_named("alice", TOKEN_WRITE, false), ACTION_OPERATE, false), ERR_DENIED);
	assert_int_equal(asked(actor_named("root", TOKEN_WRITE, true), ACTION_OPERATE, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_credentials_are_the_anonymous), cmocka_unit_test(a_bearer_token_names_its_user),
		cmocka_unit_test(basic_takes_the_token_as_password), cmocka_unit_test(the_cookie_works_for_browsers),
		cmocka_unit_test(wrong_credentials_are_refused_not_ignored), cmocka_unit_test(an_expired_token_is_refused),
		cmocka_unit_test(a_revoked_token_is_refused_at_once), cmocka_unit_test(everybody_reads_what_is_public),
		cmocka_unit_test(what_is_private_does_not_exist_for_others), cmocka_unit_test(a_read_token_never_writes),
		cmocka_unit_test(only_owners_and_admins_change_things),
	};
	return cmocka_run_group_tests(tests, open_hub, close_hub);
}
