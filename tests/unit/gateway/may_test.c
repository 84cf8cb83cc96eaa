/* Tests of may(): roles in organisations and rights of fine-grained tokens, as tables. */
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
#include "replication/gate.h"
#include "replication/org.h"
#include "tests/unit/gateway/fake_request.h"

static char dir[64];
static struct gateway gateway;

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status, (void)kind, (void)walk;
	return remove(path);
}

/* One person per role, named after it; "mine" was created by whoever is asked about, "theirs" by somebody else. */
static int open_hub(void **state)
{
	(void)state;
	struct why why = { 0 };
	snprintf(dir, sizeof(dir), "/tmp/cairn-may-XXXXXX");
	if (sodium_init() < 0 || !mkdtemp(dir) || namespace_open(&gateway.ns, dir, &why) != 0)
		return -1;
	static const char *const names[] = { "admin", "writer", "contributor", "reader", "stranger", "root" };
	for (size_t i = 0; i < 6; i++) {
		struct user user = { .admin = strcmp(names[i], "root") == 0 };
		snprintf(user.name, sizeof(user.name), "%s", names[i]);
		assert_int_equal(user_create(gateway.ns, "", &user, &why), 0);
	}
	assert_int_equal(org_create(gateway.ns, "", &(struct org){ .name = "acme" }, "admin", &why), 0);
	assert_int_equal(member_set(gateway.ns, "", "acme", "writer", ORG_ROLE_WRITE, &why), 0);
	assert_int_equal(member_set(gateway.ns, "", "acme", "contributor", ORG_ROLE_CONTRIBUTOR, &why), 0);
	assert_int_equal(member_set(gateway.ns, "", "acme", "reader", ORG_ROLE_READ, &why), 0);
	return 0;
}

static int close_hub(void **state)
{
	(void)state;
	namespace_close(gateway.ns);
	return nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct actor actor_of(const char *name, enum token_role role)
{
	struct actor actor;
	assert_int_equal(auth_by_name(gateway.ns, name, role, &actor), 0);
	return actor;
}

static struct repo repo_of(const char *owner, const char *creator, bool private, enum repo_gate gate)
{
	struct repo repo = { .type = REPO_MODEL, .private = private, .gated = gate, .id.bytes = { 7 } };
	snprintf(repo.owner, sizeof(repo.owner), "%s", owner);
	snprintf(repo.creator, sizeof(repo.creator), "%s", creator);
	return repo;
}

static int asked(const struct actor *actor, enum action action, const struct repo *repo)
{
	struct resource resource = { .repo = repo, .owner = repo->owner, .ns = gateway.ns };
	return may(actor, action, &resource);
}

/* '+' yes, '-' denied, '.' hidden, 'g' gated */
static char sign_of(int err)
{
	return err == 0 ? '+' : err == ERR_DENIED ? '-' : err == ERR_NOT_FOUND ? '.' : err == ERR_GATED ? 'g' : '?';
}

static const enum action repo_actions[] = { ACTION_READ, ACTION_READ_FILES, ACTION_PROPOSE, ACTION_WRITE, ACTION_ADMIN };
static const enum action namespace_actions[] = { ACTION_CREATE, ACTION_ORG_READ, ACTION_ORG_ADMIN };

static void assert_signs(const char *what, const struct actor *actor, const struct repo *repo, const char *expected)
{
	char signs[9] = "";
	for (size_t i = 0; i < 5; i++)
		signs[i] = sign_of(asked(actor, repo_actions[i], repo));
	for (size_t i = 0; i < 3; i++)
		signs[5 + i] = sign_of(asked(actor, namespace_actions[i], repo));
	if (strcmp(signs, expected) != 0)
		fail_msg("%s: %s may \"%s\", not \"%s\"", what, actor->anonymous ? "nobody" : actor->name, signs, expected);
}

static void roles_of_an_organisation_give_what_the_table_says(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		/* read, files, propose, write, admin of a repository; create, org read, org admin */
		const char *theirs, *mine, *theirs_private, *mine_private;
	} rows[] = {
		{ "admin",       "++++++++", "++++++++", "++++++++", "++++++++" },
		{ "writer",      "++++-++-", "+++++++-", "++++-++-", "+++++++-" },
		{ "contributor", "+++--++-", "+++++++-", "+++--++-", "+++++++-" },
		{ "reader",      "+++---+-", "+++---+-", "+++---+-", "+++---+-" },
		{ "stranger",    "+++-----", "+++-----", ".....---", ".....---" },
		{ "root",        "++++++++", "++++++++", "++++++++", "++++++++" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct actor actor = actor_of(rows[i].name, TOKEN_WRITE);
		struct repo theirs = repo_of("acme", "somebody", false, REPO_GATE_NONE), mine = repo_of("Acme", rows[i].name, false, REPO_GATE_NONE);
		struct repo theirs_private = repo_of("acme", "somebody", true, REPO_GATE_NONE), mine_private = repo_of("acme", rows[i].name, true, REPO_GATE_NONE);
		assert_signs("theirs", &actor, &theirs, rows[i].theirs);
		assert_signs("mine", &actor, &mine, rows[i].mine);
		assert_signs("theirs, private", &actor, &theirs_private, rows[i].theirs_private);
		assert_signs("mine, private", &actor, &mine_private, rows[i].mine_private);
	}
}

static void a_read_token_only_looks(void **state)
{
	(void)state;
	static const char *const names[] = { "admin", "writer", "contributor", "reader", "root" };
	struct repo repo = repo_of("acme", "somebody", true, REPO_GATE_NONE);
	for (size_t i = 0; i < 5; i++) {
		struct actor actor = actor_of(names[i], TOKEN_READ);
		assert_signs("read token", &actor, &repo, "++----+-");
	}
}

static void a_gate_stands_before_the_files_of_others(void **state)
{
	(void)state;
	struct repo repo = repo_of("acme", "somebody", false, REPO_GATE_MANUAL);
	struct actor reader = actor_of("reader", TOKEN_WRITE), stranger = actor_of("stranger", TOKEN_WRITE), writer = actor_of("writer", TOKEN_WRITE);
	assert_signs("gated", &reader, &repo, "+++---+-");
	assert_signs("gated", &stranger, &repo, "+gg-----");
	repo.org_members_gated = true;
	assert_signs("gated for members", &reader, &repo, "+gg---+-");
	assert_signs("gated for members", &writer, &repo, "++++-++-");
}

static void a_member_who_left_is_a_stranger_at_once(void **state)
{
	(void)state;
	struct repo repo = repo_of("acme", "stranger", true, REPO_GATE_NONE);
	struct actor actor = actor_of("stranger", TOKEN_WRITE);
	assert_signs("before", &actor, &repo, ".....---");
	assert_int_equal(member_set(gateway.ns, "", "acme", "stranger", ORG_ROLE_WRITE, NULL), 0);
	assert_signs("as a member", &actor, &repo, "+++++++-");
	assert_int_equal(member_delete(gateway.ns, "", "acme", "stranger", NULL), 0);
	assert_signs("after", &actor, &repo, ".....---");
}

/* ------------------------------------------------------------------ fine-grained tokens */

static struct actor fine(const char *name, enum scope_kind kind, const struct entity_id *entity, uint32_t permissions)
{
	struct actor actor = actor_of(name, TOKEN_FINE_GRAINED);
	actor.token.role = TOKEN_FINE_GRAINED;
	if (entity)
		actor.token.rights = (struct token_rights){ .count = 1, .scopes[0] = { .kind = kind, .entity = *entity, .permissions = permissions } };
	return actor;
}

static void a_fine_grained_token_reaches_as_far_as_its_scopes(void **state)
{
	(void)state;
	struct org acme;
	assert_int_equal(org_find(gateway.ns, "acme", &acme), 0);
	struct repo repo = repo_of("acme", "somebody", true, REPO_GATE_NONE), public = repo_of("acme", "somebody", false, REPO_GATE_NONE);
	struct repo other = repo;
	other.id.bytes[0] = 8;
	static const char *const nothing = ".....---", *const public_only = "++------";
	static const struct {
		enum scope_kind kind;
		bool on_org;
		uint32_t permissions;
		const char *repo, *other;
	} rows[] = {
		{ SCOPE_MODEL, false, PERMISSION_REPO_READ, "++------", ".....---" },
		{ SCOPE_MODEL, false, PERMISSION_REPO_WRITE, "+++++---", ".....---" },
		{ SCOPE_MODEL, false, PERMISSION_DISCUSSION_WRITE, ".....---", ".....---" },
		{ SCOPE_MODEL, false, PERMISSION_REPO_READ | PERMISSION_DISCUSSION_WRITE, "+++-----", ".....---" },
		{ SCOPE_ORG, true, PERMISSION_REPO_READ, "++------", "++------" },
		{ SCOPE_ORG, true, PERMISSION_REPO_WRITE, "++++++--", "++++++--" },
		{ SCOPE_ORG, true, PERMISSION_ORG_READ, ".....-+-", ".....-+-" },
		{ SCOPE_ORG, true, PERMISSION_ORG_WRITE, ".....-++", ".....-++" },
	};
	struct actor empty = fine("admin", SCOPE_MODEL, NULL, 0);
	assert_signs("no scope", &empty, &repo, nothing);
	assert_signs("no scope, public", &empty, &public, public_only);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct actor actor = fine("admin", rows[i].kind, rows[i].on_org ? &acme.id : &repo.id, rows[i].permissions);
		char what[32];
		snprintf(what, sizeof(what), "row %zu", i);
		assert_signs(what, &actor, &repo, rows[i].repo);
		assert_signs(what, &actor, &other, rows[i].other);
	}
	/* It never gives what its user has not. */
	struct actor reader = fine("reader", SCOPE_ORG, &acme.id, PERMISSIONS_ALL), stranger = fine("stranger", SCOPE_ORG, &acme.id, PERMISSIONS_ALL);
	struct actor root = fine("root", SCOPE_ORG, &acme.id, PERMISSIONS_ALL), lost = fine("root", SCOPE_MODEL, NULL, 0);
	assert_signs("reader", &reader, &repo, "+++---+-");
	assert_signs("stranger", &stranger, &repo, ".....---");
	assert_signs("root", &root, &repo, "++++++++");
	assert_signs("root without scope", &lost, &repo, nothing);
	assert_int_equal(may(&root, ACTION_OPERATE, &(struct resource){ 0 }), ERR_DENIED);
}

static void a_fine_grained_token_passes_gates_if_it_may(void **state)
{
	(void)state;
	struct repo repo = repo_of("acme", "somebody", false, REPO_GATE_MANUAL);
	struct actor reader = fine("reader", SCOPE_MODEL, NULL, 0), own = fine("reader", SCOPE_MODEL, &repo.id, PERMISSION_REPO_READ);
	assert_signs("gated", &reader, &repo, "+g" "g-----");
	assert_signs("gated, in scope", &own, &repo, "++------");
	reader.token.rights.read_gated = true;
	assert_signs("gated, allowed", &reader, &repo, "++------");
}

/* ------------------------------------------------------------------ who holds a grant */

static void what_a_token_asked_for_dies_with_it(void **state)
{
	(void)state;
	struct token token = { .user = "writer", .name = "t", .role = TOKEN_WRITE }, found;
	char text[TOKEN_TEXT_BYTES_MAX];
	struct actor actor;
	assert_int_equal(token_create(gateway.ns, "", &token, text, NULL), 0);
	assert_int_equal(token_find(gateway.ns, span_text(text), &found), 0);
	assert_int_equal(auth_by_token(gateway.ns, "writer", &found.id, TOKEN_WRITE, &actor), 0);
	assert_int_equal(actor.role, TOKEN_WRITE);
	assert_int_equal(auth_by_token(gateway.ns, "writer", &found.id, TOKEN_READ, &actor), 0);
	assert_int_equal(actor.role, TOKEN_READ); /* a read grant reads */
	assert_int_equal(auth_by_token(gateway.ns, "reader", &found.id, TOKEN_WRITE, &actor), ERR_UNAUTHENTICATED);
	assert_int_equal(auth_by_token(gateway.ns, "writer", &(struct entity_id){ 0 }, TOKEN_WRITE, &actor), 0); /* no token was in play */
	assert_int_equal(token_delete(gateway.ns, "", &found.id, NULL), 0);
	assert_int_equal(auth_by_token(gateway.ns, "writer", &found.id, TOKEN_WRITE, &actor), ERR_UNAUTHENTICATED);
	assert_int_equal(actor.name[0], 0);
	token.expires_ms = unix_ms() - 1;
	assert_int_equal(token_create(gateway.ns, "", &token, text, NULL), 0);
	assert_int_equal(token_find(gateway.ns, span_text(text), &found), 0);
	assert_int_equal(auth_by_token(gateway.ns, "writer", &found.id, TOKEN_WRITE, &actor), ERR_UNAUTHENTICATED);
}

static int identify(const char *token, enum http_method method, const char *name, const char *value)
{
	char cookie[128];
	struct actor actor;
	struct http_request request = { .user_data = &gateway, .method = method };
	snprintf(cookie, sizeof(cookie), "token=%s", token);
	fake_header(&request, "Cookie", cookie);
	if (name)
		fake_header(&request, name, value);
	int err = auth_identify(&request, &actor);
	fake_fini(&request);
	return err;
}

static void the_cookie_changes_nothing_for_other_sites(void **state)
{
	(void)state;
	struct token token = { .user = "writer", .name = "t", .role = TOKEN_WRITE };
	char text[TOKEN_TEXT_BYTES_MAX];
	assert_int_equal(token_create(gateway.ns, "", &token, text, NULL), 0);
	assert_int_equal(identify(text, HTTP_GET, "Origin", "https://evil.example"), 0);
	assert_int_equal(identify(text, HTTP_POST, NULL, NULL), 0);
	assert_int_equal(identify(text, HTTP_POST, "Origin", "https://hub.example.org"), 0);
	assert_int_equal(identify(text, HTTP_POST, "Origin", "http://hub.example.org"), 0); /* TLS ends at a proxy */
	assert_int_equal(identify(text, HTTP_POST, "Sec-Fetch-Site", "same-origin"), 0);
	static const char *const bad[] = { "https://evil.example", "null", "https://hub.example.org.evil.example", "https://hub.example.org:8443" };
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(identify(text, HTTP_POST, "Origin", bad[i]), ERR_UNAUTHENTICATED);
	assert_int_equal(identify(text, HTTP_DELETE, "Sec-Fetch-Site", "cross-site"), ERR_UNAUTHENTICATED);
	assert_int_equal(identify(text, HTTP_PUT, "Sec-Fetch-Site", "same-site"), ERR_UNAUTHENTICATED);
}

static void a_refresh_token_opens_nothing(void **state)
{
	(void)state;
	struct token token = { .user = "writer", .name = "t", .role = TOKEN_REFRESH };
	char text[TOKEN_TEXT_BYTES_MAX];
	assert_int_equal(token_create(gateway.ns, "", &token, text, NULL), 0);
	assert_int_equal(identify(text, HTTP_GET, NULL, NULL), ERR_UNAUTHENTICATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_of_an_organisation_give_what_the_table_says), cmocka_unit_test(a_read_token_only_looks),
		cmocka_unit_test(a_gate_stands_before_the_files_of_others), cmocka_unit_test(a_member_who_left_is_a_stranger_at_once),
		cmocka_unit_test(a_fine_grained_token_reaches_as_far_as_its_scopes), cmocka_unit_test(a_fine_grained_token_passes_gates_if_it_may),
		cmocka_unit_test(what_a_token_asked_for_dies_with_it), cmocka_unit_test(the_cookie_changes_nothing_for_other_sites),
		cmocka_unit_test(a_refresh_token_opens_nothing),
	};
	return cmocka_run_group_tests(tests, open_hub, close_hub);
}
