/* Organisations and their members, repositories that move, tokens with rights of their own. */
#include "replication/org.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/cairn-org-XXXXXX";
static struct namespace *ns;
static char listed[4096];

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info, (void)kind, (void)ftw;
	return remove(path);
}

static int make_user(const char *name)
{
	struct user user = { 0 };
	strcpy(user.name, name);
	return user_create(ns, "", &user, NULL);
}

static int make_org(const char *name, const char *admin)
{
	struct org org = { 0 };
	strcpy(org.name, name);
	strcpy(org.fullname, "An organisation");
	return org_create(ns, "", &org, admin, NULL);
}

static int make_repo(const char *owner, const char *name, struct entity_id *id)
{
	struct repo repo = { .type = REPO_MODEL };
	strcpy(repo.owner, owner);
	strcpy(repo.name, name);
	return repo_create(ns, "ada", &repo, id, NULL);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir) || namespace_open(&ns, dir, NULL) != 0)
		return 1;
	return make_user("ada") || make_user("Bob") || make_user("cy");
}

static int tear_down(void **state)
{
	(void)state;
	namespace_close(ns);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static enum org_role role_of(const char *org, const char *user)
{
	struct member member;
	return member_find(ns, org, user, &member) == 0 ? member.role : ORG_ROLE_NONE;
}

static int list_member(void *context, const struct member *member)
{
	(void)context;
	strcat(strcat(strcat(strcat(listed, member->user), ":"), org_role_name(member->role)), " ");
	return 0;
}

static int list_membership(void *context, const struct org *org, const struct member *member)
{
	(void)context;
	assert_memory_equal(org->id.bytes, member->org.bytes, ENTITY_ID_BYTES);
	strcat(strcat(strcat(strcat(listed, org->name), ":"), org_role_name(member->role)), " ");
	return 0;
}

/* ---- organisations ---- */

static void users_and_organisations_share_their_names(void **state)
{
	(void)state;
	struct org org;
	assert_int_equal(make_org("Acme", "ada"), 0);
	assert_int_equal(make_org("acme", "ada"), ERR_EXISTS);
	assert_int_equal(make_user("ACME"), ERR_EXISTS);
	assert_int_equal(make_org("bob", "ada"), ERR_EXISTS);
	assert_int_equal(make_org("other", "nobody"), ERR_NOT_FOUND);
	assert_int_equal(make_org("not a name", "ada"), ERR_INVALID);
	assert_int_equal(org_find(ns, "aCmE", &org), 0);
	assert_string_equal(org.name, "Acme");
	assert_string_equal(org.fullname, "An organisation");
	assert_int_equal(org.members, 1);
	assert_int_equal(org.admins, 1);
	assert_int_equal(org_find(ns, "ada", &org), ERR_NOT_FOUND);
	assert_int_equal(org_find(ns, "other", &org), ERR_NOT_FOUND);
}

static void members_have_one_role_each(void **state)
{
	(void)state;
	struct org org;
	make_org("acme", "ada");
	make_org("zeta", "cy");
	assert_int_equal(member_set(ns, "ada", "ACME", "bob", ORG_ROLE_READ, NULL), 0);
	assert_int_equal(member_set(ns, "ada", "acme", "BOB", ORG_ROLE_WRITE, NULL), 0);
	assert_int_equal(member_set(ns, "ada", "acme", "nobody", ORG_ROLE_READ, NULL), ERR_NOT_FOUND);
	assert_int_equal(member_set(ns, "ada", "nowhere", "bob", ORG_ROLE_READ, NULL), ERR_NOT_FOUND);
	assert_int_equal(member_set(ns, "ada", "acme", "bob", 9, NULL), ERR_INVALID);
	assert_int_equal(member_set(ns, "cy", "zeta", "bob", ORG_ROLE_CONTRIBUTOR, NULL), 0);
	assert_int_equal(role_of("Acme", "bOB"), ORG_ROLE_WRITE);
	assert_int_equal(role_of("acme", "cy"), ORG_ROLE_NONE);
	listed[0] = 0;
	assert_int_equal(member_list(ns, "acme", NULL, list_member, NULL), 0);
	assert_string_equal(listed, "ada:admin Bob:write ");
	listed[0] = 0;
	assert_int_equal(member_list(ns, "acme", "ada", list_member, NULL), 0);
	assert_string_equal(listed, "Bob:write ");
	listed[0] = 0;
	assert_int_equal(member_orgs(ns, "BOB", list_membership, NULL), 0);
	assert_string_equal(listed, "acme:write zeta:contributor ");
	assert_int_equal(org_find(ns, "acme", &org), 0);
	assert_int_equal(org.members, 2);
	assert_int_equal(org.admins, 1);

	assert_int_equal(member_delete(ns, "ada", "acme", "bob", NULL), 0);
	assert_int_equal(member_delete(ns, "ada", "acme", "bob", NULL), ERR_NOT_FOUND);
	assert_int_equal(role_of("acme", "bob"), ORG_ROLE_NONE);
	listed[0] = 0;
	assert_int_equal(member_orgs(ns, "bob", list_membership, NULL), 0);
	assert_string_equal(listed, "zeta:contributor ");
}

static void an_organisation_keeps_an_admin(void **state)
{
	(void)state;
	make_org("acme", "ada");
	assert_int_equal(member_set(ns, "ada", "acme", "ada", ORG_ROLE_READ, NULL), ERR_CONFLICT);
	assert_int_equal(member_delete(ns, "ada", "acme", "ada", NULL), ERR_CONFLICT);
	assert_int_equal(member_set(ns, "ada", "acme", "ada", ORG_ROLE_ADMIN, NULL), 0);
	assert_int_equal(member_set(ns, "ada", "acme", "bob", ORG_ROLE_ADMIN, NULL), 0);
	assert_int_equal(member_delete(ns, "bob", "acme", "ada", NULL), 0);
	assert_int_equal(member_set(ns, "bob", "acme", "bob", ORG_ROLE_WRITE, NULL), ERR_CONFLICT);
}

static void an_organisation_goes_when_it_is_empty(void **state)
{
	(void)state;
	struct entity_id id;
	make_org("acme", "ada");
	member_set(ns, "ada", "acme", "bob", ORG_ROLE_READ, NULL);
	assert_int_equal(make_repo("acme", "m", &id), 0);
	assert_int_equal(org_delete(ns, "ada", "acme", NULL), ERR_CONFLICT);
	assert_int_equal(repo_delete(ns, "ada", &id, NULL), 0);
	assert_int_equal(org_delete(ns, "ada", "ACME", NULL), 0);
	assert_int_equal(org_delete(ns, "ada", "acme", NULL), ERR_NOT_FOUND);
	assert_int_equal(role_of("acme", "bob"), ORG_ROLE_NONE);
	listed[0] = 0;
	assert_int_equal(member_orgs(ns, "bob", list_membership, NULL), 0);
	assert_string_equal(listed, "");
	assert_int_equal(make_org("acme", "cy"), 0); /* nobody comes back with the name */
	assert_int_equal(role_of("acme", "ada"), ORG_ROLE_NONE);
}

/* ---- moves ---- */

static int find(const char *owner, const char *name, struct repo *repo)
{
	return repo_find(ns, NULL, REPO_MODEL, span_text(owner), span_text(name), repo);
}

static int find_moved(const char *owner, const char *name, struct repo *repo)
{
	return repo_find_moved(ns, REPO_MODEL, span_text(owner), span_text(name), repo);
}

static void a_repository_is_found_by_the_names_it_had(void **state)
{
	(void)state;
	struct entity_id id;
	struct repo repo;
	make_org("acme", "ada");
	make_repo("ada", "One", &id);
	assert_int_equal(repo_move(ns, "ada", &id, "acme", "two", NULL), 0);
	assert_int_equal(repo_move(ns, "ada", &id, "acme", "three", NULL), 0);
	assert_int_equal(find("acme", "three", &repo), 0);
	assert_memory_equal(repo.id.bytes, id.bytes, ENTITY_ID_BYTES);
	assert_string_equal(repo.owner, "acme");
	assert_int_equal(find("ada", "one", &repo), ERR_NOT_FOUND);
	assert_int_equal(find("acme", "two", &repo), ERR_NOT_FOUND);
	assert_int_equal(find_moved("ADA", "one", &repo), 0);
	assert_string_equal(repo.name, "three");
	assert_int_equal(find_moved("acme", "TWO", &repo), 0);
	assert_int_equal(repo_find_moved(ns, REPO_DATASET, span_text("ada"), span_text("one"), &repo), ERR_NOT_FOUND);

	assert_int_equal(repo_move(ns, "ada", &id, "ada", "one", NULL), 0); /* and back */
	assert_int_equal(find("ada", "one", &repo), 0);
	assert_int_equal(find_moved("ada", "one", &repo), ERR_NOT_FOUND);
	assert_int_equal(find_moved("acme", "three", &repo), 0);
	assert_int_equal(repo_move(ns, "ada", &id, "ada", "ONE", NULL), 0); /* another case only */
	assert_int_equal(find("ada", "one", &repo), 0);
	assert_string_equal(repo.name, "ONE");
	assert_int_equal(find_moved("ada", "one", &repo), ERR_NOT_FOUND);
}

static void a_new_repository_takes_an_old_name_over(void **state)
{
	(void)state;
	struct entity_id first, second;
	struct repo repo;
	make_repo("ada", "one", &first);
	repo_move(ns, "ada", &first, "ada", "two", NULL);
	assert_int_equal(make_repo("ada", "one", &second), 0);
	assert_int_equal(find_moved("ada", "one", &repo), ERR_NOT_FOUND);
	assert_int_equal(repo_move(ns, "ada", &second, "ada", "two", NULL), ERR_EXISTS);
	assert_int_equal(repo_delete(ns, "ada", &second, NULL), 0);
	assert_int_equal(find_moved("ada", "one", &repo), ERR_NOT_FOUND); /* it does not lead back */
	assert_int_equal(repo_move(ns, "ada", &first, "nobody", "two", NULL), ERR_NOT_FOUND);
	assert_int_equal(repo_move(ns, "ada", &first, "ada", "no name", NULL), ERR_INVALID);
	assert_int_equal(repo_move(ns, "ada", &second, "ada", "three", NULL), ERR_NOT_FOUND);
}

static void old_names_die_with_the_repository(void **state)
{
	(void)state;
	struct entity_id id;
	struct repo repo;
	make_repo("ada", "one", &id);
	repo_move(ns, "ada", &id, "ada", "two", NULL);
	assert_int_equal(find_moved("ada", "one", &repo), 0);
	repo_delete(ns, "ada", &id, NULL);
	assert_int_equal(find_moved("ada", "one", &repo), ERR_NOT_FOUND);
}

static void the_names_of_a_repository_are_bounded(void **state)
{
	(void)state;
	struct entity_id id;
	struct repo repo;
	char name[16];
	make_repo("ada", "n0", &id);
	for (int i = 1; i <= 100; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(repo_move(ns, "ada", &id, "ada", name, NULL), 0);
	}
	assert_int_equal(repo_move(ns, "ada", &id, "ada", "n101", NULL), ERR_TOO_BIG);
	assert_int_equal(find_moved("ada", "n0", &repo), 0);
	repo_delete(ns, "ada", &id, NULL);
	assert_int_equal(find_moved("ada", "n0", &repo), ERR_NOT_FOUND);
	assert_int_equal(find_moved("ada", "n99", &repo), ERR_NOT_FOUND);
}

static void settings_change_alone(void **state)
{
	(void)state;
	struct entity_id id;
	struct repo repo;
	make_repo("ada", "m", &id);
	struct repo_settings gate = { .set_gated = true, .gated = REPO_GATE_MANUAL, .set_gate_email = true, .gate_email = "a@example.org" };
	struct repo_settings quiet = { .set_discussions_disabled = true, .discussions_disabled = true };
	struct repo_settings wrong = { .set_gated = true, .gated = 7 };
	assert_int_equal(repo_update(ns, "ada", &id, &gate, NULL), 0);
	assert_int_equal(repo_update(ns, "ada", &id, &quiet, NULL), 0);
	assert_int_equal(repo_update(ns, "ada", &id, &wrong, NULL), ERR_INVALID);
	assert_int_equal(repo_get(ns, NULL, &id, &repo), 0);
	assert_int_equal(repo.gated, REPO_GATE_MANUAL);
	assert_string_equal(repo.gate_email, "a@example.org");
	assert_true(repo.discussions_disabled);
	assert_false(repo.private);
}

/* ---- tokens ---- */

static void a_fine_grained_token_keeps_its_rights(void **state)
{
	(void)state;
	struct token token = { .user = "ada", .name = "ci", .role = TOKEN_FINE_GRAINED }, found;
	char text[TOKEN_TEXT_BYTES_MAX];
	token.rights.global = PERMISSION_DISCUSSION_WRITE;
	token.rights.read_gated = true;
	token.rights.count = TOKEN_SCOPES_MAX;
	for (uint8_t i = 0; i < TOKEN_SCOPES_MAX; i++)
		token.rights.scopes[i] = (struct token_scope){ .kind = SCOPE_MODEL, .entity.bytes = { i }, .permissions = PERMISSIONS_ALL };
	assert_int_equal(token_create(ns, "ada", &token, text, NULL), 0);
	assert_int_equal(token_find(ns, span_text(text), &found), 0);
	assert_int_equal(found.role, TOKEN_FINE_GRAINED);
	assert_memory_equal(&found.rights, &token.rights, sizeof(found.rights));
	struct entity_id id = found.id;
	memset(&found, 0, sizeof(found));
	assert_int_equal(token_get(ns, &id, &found), 0);
	assert_memory_equal(&found.rights, &token.rights, sizeof(found.rights));
	assert_int_equal(token_delete(ns, "ada", &id, NULL), 0);
	assert_int_equal(token_get(ns, &id, &found), ERR_NOT_FOUND);
	token.rights.scopes[0].permissions = 0;
	assert_int_equal(token_create(ns, "ada", &token, text, NULL), ERR_INVALID);
}

static void permissions_have_the_hubs_names(void **state)
{
	(void)state;
	assert_int_equal(permission_named(span_text("repo.write")), PERMISSION_REPO_WRITE);
	assert_string_equal(permission_name(PERMISSION_REPO_READ), "repo.content.read");
	assert_int_equal(permission_named(span_text("repo.everything")), 0);
	assert_null(permission_name(PERMISSION_REPO_READ | PERMISSION_REPO_WRITE));
	for (uint32_t bit = 1; bit < PERMISSIONS_ALL; bit <<= 1)
		assert_int_equal(permission_named(span_text(permission_name(bit))), bit);
}

static void broken_rights_are_refused(void **state)
{
	(void)state;
	struct token_rights rights = { .count = 1, .scopes[0] = { .kind = SCOPE_ORG, .permissions = PERMISSION_REPO_WRITE } }, read;
	struct buffer bytes;
	buffer_init(&bytes, 4096);
	token_rights_encode(&bytes, &rights);
	assert_int_equal(token_rights_decode(&read, buffer_span(&bytes)), 0);
	assert_true(token_rights_on(&read, &rights.scopes[0].entity, PERMISSION_REPO_WRITE | PERMISSION_REPO_READ));
	assert_false(token_rights_on(&read, &rights.scopes[0].entity, PERMISSION_REPO_READ));
	for (size_t cut = 0; cut < bytes.length; cut++)
		assert_int_not_equal(token_rights_decode(&read, span_of(bytes.data, cut)), 0);
	for (size_t i = 0; i < bytes.length; i++) {
		bytes.data[i] ^= 0xff;
		token_rights_decode(&read, buffer_span(&bytes)); /* whatever it says: no harm */
		assert_true(token_rights_valid(&read));
		bytes.data[i] ^= 0xff;
	}
	buffer_fini(&bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(users_and_organisations_share_their_names), TEST(members_have_one_role_each), TEST(an_organisation_keeps_an_admin),
		TEST(an_organisation_goes_when_it_is_empty), TEST(a_repository_is_found_by_the_names_it_had),
		TEST(a_new_repository_takes_an_old_name_over), TEST(old_names_die_with_the_repository), TEST(the_names_of_a_repository_are_bounded),
		TEST(settings_change_alone), TEST(a_fine_grained_token_keeps_its_rights), cmocka_unit_test(permissions_have_the_hubs_names),
		cmocka_unit_test(broken_rights_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
