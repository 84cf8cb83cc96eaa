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
#include "gateway/auth/grant.h"
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
	crypto_sign_keypair(gateway.grant_public_key, gateway.grant_secret_key);
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

/* ------------------------------------------------------------------ grants on one repository */

static int identify_for_repo(const char *value, struct actor *actor)
{
	struct http_request request = { .user_data = &gateway };
	fake_header(&request, "Authorization", value);
	int err = auth_identify_for_repo(&request, actor);
	fake_fini(&request);
	return err;
}

static struct ssh_key alices_key(void)
{
	return (struct ssh_key){ .user = "alice", .type = "ssh-ed25519", .base64 = "AAAA", .fingerprint.bytes = { 7 } };
}

static struct grant git_grant(enum grant_kind kind)
{
	return (struct grant){ .kind = kind, .actor = "alice", .repo.bytes = { 1 }, .expires_ms = unix_ms() + 60000, .object.bytes = { 7 } };
}

/* "Bearer ..." or, as git sends it, "Basic ...". */
static void sign(const struct grant *grant, bool basic, char value[1024])
{
	char text[GRANT_TEXT_BYTES_MAX], plain[GRANT_TEXT_BYTES_MAX + 8];
	grant_sign(&gateway, grant, text);
	if (!basic) {
		snprintf(value, 1024, "Bearer %s", text);
		return;
	}
	snprintf(plain, sizeof(plain), "git:%s", text);
	memcpy(value, "Basic ", 6);
	sodium_bin2base64(value + 6, 1018, (const uint8_t *)plain, strlen(plain), sodium_base64_VARIANT_ORIGINAL);
}

static void a_grant_on_a_repository_stands_where_a_token_may(void **state)
{
	(void)state;
	struct actor actor;
	struct ssh_key key = alices_key();
	struct grant grant = git_grant(GRANT_GIT_WRITE);
	char value[1024];
	assert_int_equal(ssh_key_create(gateway.ns, "", &key, NULL), 0);
	for (int basic = 0; basic < 2; basic++) {
		sign(&grant, basic, value);
		assert_int_equal(identify_for_repo(value, &actor), 0);
		assert_string_equal(actor.name, "alice");
		assert_true(actor.one_repo_only && actor.role == TOKEN_WRITE && actor.only_repo.bytes[0] == 1);
		assert_int_equal(identify("Authorization", value, &actor), ERR_UNAUTHENTICATED); /* not for calls about everything */
	}
	grant.kind = GRANT_GIT_READ;
	sign(&grant, false, value);
	assert_int_equal(identify_for_repo(value, &actor), 0);
	assert_int_equal(actor.role, TOKEN_READ);
	snprintf(value, sizeof(value), "Bearer %s", alice);
	assert_int_equal(identify_for_repo(value, &actor), 0);
	assert_false(actor.one_repo_only);
	assert_int_equal(ssh_key_delete(gateway.ns, "", &key.fingerprint, NULL, NULL), 0);
}

static void a_grant_ends_with_the_key_that_it_came_by(void **state)
{
	(void)state;
	struct actor actor;
	struct ssh_key key = alices_key();
	struct grant grant = git_grant(GRANT_GIT_WRITE);
	char value[1024];
	sign(&grant, false, value);
	assert_int_equal(identify_for_repo(value, &actor), ERR_UNAUTHENTICATED);
	assert_int_equal(ssh_key_create(gateway.ns, "", &key, NULL), 0);
	assert_int_equal(identify_for_repo(value, &actor), 0);
	assert_int_equal(ssh_key_delete(gateway.ns, "", &key.fingerprint, NULL, NULL), 0);
	assert_int_equal(identify_for_repo(value, &actor), ERR_UNAUTHENTICATED);
	snprintf(key.user, sizeof(key.user), "bob"); /* somebody else's now */
	assert_int_equal(ssh_key_create(gateway.ns, "", &key, NULL), 0);
	assert_int_equal(identify_for_repo(value, &actor), ERR_UNAUTHENTICATED);
	assert_int_equal(ssh_key_delete(gateway.ns, "", &key.fingerprint, NULL, NULL), 0);
}

static void other_and_old_grants_identify_nobody(void **state)
{
	(void)state;
	struct actor actor;
	struct ssh_key key = alices_key();
	char value[1024];
	assert_int_equal(ssh_key_create(gateway.ns, "", &key, NULL), 0);
	for (enum grant_kind kind = GRANT_XET_READ; kind <= GRANT_LFS_PART; kind++) {
		struct grant grant = git_grant(kind);
		sign(&grant, false, value);
		assert_int_equal(identify_for_repo(value, &actor), ERR_UNAUTHENTICATED);
	}
	struct grant grant = git_grant(GRANT_GIT_WRITE);
	grant.expires_ms = unix_ms() - GRANT_SKEW_MS - 1;
	sign(&grant, false, value);
	assert_int_equal(identify_for_repo(value, &actor), ERR_UNAUTHENTICATED);
	assert_int_equal(ssh_key_delete(gateway.ns, "", &key.fingerprint, NULL, NULL), 0);
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
		if (action == ACTION_ORG_READ)
			continue;
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

static void a_grant_reaches_the_content_of_its_repository_and_nothing_else(void **state)
{
	(void)state;
	struct actor actor = actor_named("root", TOKEN_WRITE, true);
	struct repo repo = { .type = REPO_MODEL, .owner = "alice", .name = "m", .id.bytes = { 1 } };
	struct resource resource = { .repo = &repo, .owner = "root" };
	actor.one_repo_only = true;
	actor.only_repo = repo.id;
	assert_int_equal(may(&actor, ACTION_READ, &resource), 0);
	assert_int_equal(may(&actor, ACTION_WRITE, &resource), 0);
	assert_int_equal(may(&actor, ACTION_ADMIN, &resource), ERR_DENIED);
	assert_int_equal(may(&actor, ACTION_CREATE, &resource), ERR_DENIED);
	assert_int_equal(may(&actor, ACTION_OPERATE, &resource), ERR_DENIED);
	repo.id.bytes[0] = 2;
	assert_int_equal(may(&actor, ACTION_READ, &resource), ERR_NOT_FOUND);
	assert_int_equal(may(&actor, ACTION_WRITE, &resource), ERR_NOT_FOUND);
	actor.role = TOKEN_READ;
	actor.only_repo = repo.id;
	assert_int_equal(may(&actor, ACTION_WRITE, &resource), ERR_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_credentials_are_the_anonymous), cmocka_unit_test(a_bearer_token_names_its_user),
		cmocka_unit_test(basic_takes_the_token_as_password), cmocka_unit_test(the_cookie_works_for_browsers),
		cmocka_unit_test(wrong_credentials_are_refused_not_ignored), cmocka_unit_test(an_expired_token_is_refused),
		cmocka_unit_test(a_revoked_token_is_refused_at_once), cmocka_unit_test(everybody_reads_what_is_public),
		cmocka_unit_test(what_is_private_does_not_exist_for_others), cmocka_unit_test(a_read_token_never_writes),
		cmocka_unit_test(only_owners_and_admins_change_things), cmocka_unit_test(a_grant_on_a_repository_stands_where_a_token_may),
		cmocka_unit_test(a_grant_ends_with_the_key_that_it_came_by), cmocka_unit_test(other_and_old_grants_identify_nobody),
		cmocka_unit_test(a_grant_reaches_the_content_of_its_repository_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, open_hub, close_hub);
}
