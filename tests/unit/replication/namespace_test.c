/* The namespace: names, conditions, races, deletion. */
#include "replication/namespace.h"
#include "replication/namespace_keys.h"

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/cairn-namespace-XXXXXX";
static struct namespace *ns;

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	struct why why = { 0 };
	if (!mkdtemp(dir) || namespace_open(&ns, dir, &why) != 0) {
		print_message("%s\n", why.text);
		return 1;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	namespace_close(ns);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void reopen(void)
{
	struct why why;
	namespace_close(ns);
	assert_int_equal(namespace_open(&ns, dir, &why), 0);
}

static int make_user(const char *name)
{
	struct user user = { 0 };
	strcpy(user.name, name);
	strcpy(user.email, "someone@example.org");
	return user_create(ns, "", &user, NULL);
}

static int make_repo(enum repo_type type, const char *owner, const char *name, struct entity_id *id)
{
	struct repo repo = { .type = type };
	strcpy(repo.owner, owner);
	strcpy(repo.name, name);
	return repo_create(ns, "ada", &repo, id, NULL);
}

static struct ref_update move(const char *name, uint8_t from, uint8_t to)
{
	struct ref_update update = { 0 };
	strcpy(update.name, name);
	update.old_oid.bytes[0] = from;
	update.new_oid.bytes[0] = to;
	return update;
}

static int move_one(const struct entity_id *repo, const char *name, uint8_t from, uint8_t to)
{
	struct ref_update update = move(name, from, to);
	return refs_update(ns, "ada", repo, &update, 1, NULL, NULL, NULL);
}

/* ---- names ---- */

static void names_follow_the_hubs_rules(void **state)
{
	(void)state;
	static const char *const good[] = { "a", "Bert-base_uncased.v2", "0", "x.y", "_", "a-b" };
	static const char *const bad[] = { "", "-a", "a-", ".a", "a.", "a--b", "a..b", "a/b", "a b", "\xc3\xa9", "x.git", "a\n" };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(name_valid(span_text(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(name_valid(span_text(bad[i])));
	char longest[NAME_BYTES_MAX + 2];
	memset(longest, 'a', sizeof(longest));
	assert_true(name_valid(span_of(longest, NAME_BYTES_MAX)));
	assert_false(name_valid(span_of(longest, NAME_BYTES_MAX + 1)));
	assert_false(name_valid((struct span){ 0 }));
}

static void ref_names_follow_gits_rules(void **state)
{
	(void)state;
	static const char *const good[] = { "refs/heads/main", "refs/pr/1", "refs/tags/v1.0", "refs/heads/a/b/c", "refs/heads/\xc3\xa9", "refs/heads/@" };
	static const char *const bad[] = { "", "refs/", "refs", "heads/main", "refs//x", "refs/heads/", "refs/heads/.a", "refs/heads/a.lock",
		"refs/heads/a..b", "refs/heads/a b", "refs/heads/a~", "refs/heads/a^", "refs/heads/a:b", "refs/heads/a?", "refs/heads/a*", "refs/heads/[",
		"refs/heads/a\\b", "refs/heads/a@{b", "refs/heads/a.", "refs/heads/a\x7f", "refs/heads/x.lock/y", "refs/heads//y" };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(ref_name_valid(span_text(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (ref_name_valid(span_text(bad[i])))
			fail_msg("\"%s\" was taken", bad[i]);
	assert_false(ref_name_valid(span_of("refs/heads/a\0b", 14)));
	assert_false(ref_name_valid((struct span){ 0 }));
}

static void a_branch_or_tag_that_reads_as_another_ref_is_known(void **state)
{
	(void)state;
	static const char *const shadows[] = { "refs/heads/HEAD", "refs/tags/HEAD", "refs/heads/refs/heads/main", "refs/heads/refs/pr/1", "refs/tags/refs/x" };
	static const char *const plain[] = { "refs/heads/main", "refs/heads/head", "refs/heads/HEAD/x", "refs/heads/refs", "refs/heads/x/refs/y", "refs/pr/1",
		"refs/notes/HEAD", "refs/heads/HEADS", "" };
	for (size_t i = 0; i < sizeof(shadows) / sizeof(shadows[0]); i++)
		if (!ref_name_shadows(span_text(shadows[i])))
			fail_msg("\"%s\" was taken", shadows[i]);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (ref_name_shadows(span_text(plain[i])))
			fail_msg("\"%s\" was refused", plain[i]);
}

/* ---- users and tokens ---- */

static void a_user_is_found_in_any_case_and_shown_as_stored(void **state)
{
	(void)state;
	struct user user;
	assert_int_equal(make_user("AdaLovelace"), 0);
	assert_int_equal(make_user("adalovelace"), ERR_EXISTS);
	assert_int_equal(make_user("not a name"), ERR_INVALID);
	assert_int_equal(user_find(ns, "ADALOVELACE", &user), 0);
	assert_string_equal(user.name, "AdaLovelace");
	assert_string_equal(user.email, "someone@example.org");
	assert_true(user.created_ms > 0);
	assert_int_equal(user_find(ns, "nobody", &user), ERR_NOT_FOUND);
	assert_int_equal(user_find(ns, "", &user), ERR_NOT_FOUND);
	reopen();
	assert_int_equal(user_find(ns, "adalovelace", &user), 0);
}

static char listed[4096];

static int list_user(void *context, const struct user *user)
{
	strcat(strcat(listed, user->name), " ");
	return context && strcmp(user->name, context) == 0 ? 42 : 0;
}

static void users_are_listed_in_name_order_from_anywhere(void **state)
{
	(void)state;
	make_user("charlie");
	make_user("Alice");
	make_user("bob");
	listed[0] = 0;
	assert_int_equal(user_list(ns, NULL, list_user, NULL), 0);
	assert_string_equal(listed, "Alice bob charlie ");
	listed[0] = 0;
	assert_int_equal(user_list(ns, "alice", list_user, NULL), 0);
	assert_string_equal(listed, "bob charlie ");
	listed[0] = 0;
	assert_int_equal(user_list(ns, NULL, list_user, "bob"), 42);
	assert_string_equal(listed, "Alice bob ");
}

static int count_token(void *context, const struct token *token)
{
	assert_string_equal(token->user, "ada");
	++*(int *)context;
	return 0;
}

static void a_token_is_known_by_its_text_until_it_is_deleted(void **state)
{
	(void)state;
	make_user("ada");
	char text[TOKEN_TEXT_BYTES_MAX], other[TOKEN_TEXT_BYTES_MAX];
	struct token token = { .user = "ada", .name = "laptop", .role = TOKEN_WRITE, .expires_ms = 12345 }, found;
	assert_int_equal(token_create(ns, "ada", &token, text, NULL), 0);
	assert_int_equal(token_create(ns, "ada", &token, other, NULL), 0);
	assert_int_equal(strlen(text), 37);
	assert_memory_equal(text, "hf_", 3);
	assert_int_equal(strspn(text + 3, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"), 34);
	assert_string_not_equal(text, other);
	assert_int_equal(token_find(ns, span_text(text), &found), 0);
	assert_string_equal(found.user, "ada");
	assert_string_equal(found.name, "laptop");
	assert_int_equal(found.role, TOKEN_WRITE);
	assert_int_equal(found.expires_ms, 12345);
	int count = 0;
	assert_int_equal(token_list(ns, "ADA", count_token, &count), 0);
	assert_int_equal(count, 2);

	assert_int_equal(token_delete(ns, "ada", &found.id, NULL), 0);
	assert_int_equal(token_find(ns, span_text(text), &found), ERR_NOT_FOUND);
	assert_int_equal(token_delete(ns, "ada", &found.id, NULL), ERR_NOT_FOUND);
	assert_int_equal(token_find(ns, span_text(other), &found), 0);
	count = 0;
	assert_int_equal(token_list(ns, "ada", count_token, &count), 0);
	assert_int_equal(count, 1);

	strcpy(token.user, "nobody");
	assert_int_equal(token_create(ns, "ada", &token, text, NULL), ERR_NOT_FOUND);
	assert_int_equal(text[0], 0);
}

/* ---- repositories ---- */

static void a_repository_is_found_in_any_case_and_per_type(void **state)
{
	(void)state;
	struct entity_id id;
	struct repo repo;
	assert_int_equal(make_repo(REPO_MODEL, "Ada", "Engine", &id), 0);
	assert_int_equal(make_repo(REPO_MODEL, "ada", "ENGINE", NULL), ERR_EXISTS);
	assert_int_equal(make_repo(REPO_DATASET, "ada", "engine", NULL), 0);
	assert_int_equal(make_repo(9, "ada", "engine", NULL), ERR_INVALID);
	assert_int_equal(repo_find(ns, NULL, REPO_MODEL, span_text("aDA"), span_text("eNGINE"), &repo), 0);
	assert_string_equal(repo.owner, "Ada");
	assert_string_equal(repo.name, "Engine");
	assert_string_equal(repo.head, "refs/heads/main");
	assert_string_equal(repo.creator, "ada");
	assert_memory_equal(repo.id.bytes, id.bytes, ENTITY_ID_BYTES);
	assert_int_equal(repo.version, 0);
	assert_int_equal(repo.modified_ms, repo.created_ms);
	assert_int_equal(repo_find(ns, NULL, REPO_SPACE, span_text("ada"), span_text("engine"), &repo), ERR_NOT_FOUND);

	struct repo_settings settings = { .set_private = true, .private = true };
	assert_int_equal(repo_update(ns, "ada", &id, &settings, NULL), 0);
	assert_int_equal(repo_get(ns, NULL, &id, &repo), 0);
	assert_true(repo.private);
}

static int list_repo(void *context, const struct repo *repo)
{
	(void)context;
	char line[256];
	snprintf(line, sizeof(line), "%u:%s/%s ", (unsigned)repo->type, repo->owner, repo->name);
	strcat(listed, line);
	return 0;
}

static void assert_listed(enum repo_type type, const char *owner, const char *after, const char *expected)
{
	listed[0] = 0;
	assert_int_equal(repo_list(ns, type, owner, after, list_repo, NULL), 0);
	assert_string_equal(listed, expected);
}

static void repositories_are_listed_by_type_owner_and_name(void **state)
{
	(void)state;
	make_repo(REPO_DATASET, "ada", "d", NULL);
	make_repo(REPO_MODEL, "bob", "a", NULL);
	make_repo(REPO_MODEL, "ada", "b", NULL);
	make_repo(REPO_MODEL, "ada", "a", NULL);
	make_repo(REPO_MODEL, "ada2", "a", NULL);
	assert_listed(0, NULL, NULL, "1:ada/a 1:ada/b 1:ada2/a 1:bob/a 2:ada/d ");
	assert_listed(REPO_MODEL, NULL, NULL, "1:ada/a 1:ada/b 1:ada2/a 1:bob/a ");
	assert_listed(REPO_MODEL, "ADA", NULL, "1:ada/a 1:ada/b ");
	assert_listed(0, "ada", NULL, "1:ada/a 1:ada/b 2:ada/d ");
	assert_listed(0, "ada", "model/ada/a", "1:ada/b 2:ada/d ");
	assert_listed(0, "ada", "model/ada/b", "2:ada/d ");
	assert_listed(0, NULL, "model/ada/b", "1:ada2/a 1:bob/a 2:ada/d ");
	assert_listed(REPO_MODEL, NULL, "models/bob/a", "");
	assert_listed(REPO_MODEL, NULL, "1/ada/a", "1:ada/b 1:ada2/a 1:bob/a ");
	assert_listed(0, "nobody", NULL, "");
	assert_int_equal(repo_list(ns, 0, NULL, "nonsense", list_repo, NULL), ERR_INVALID);
}

enum { RACERS = 8 };
static pthread_barrier_t race_start;

static void *race_to_create(void *context)
{
	pthread_barrier_wait(&race_start);
	*(int *)context = make_repo(REPO_MODEL, "ada", "race", NULL);
	return NULL;
}

static void *race_to_push(void *context)
{
	struct repo repo;
	repo_find(ns, NULL, REPO_MODEL, span_text("ada"), span_text("race"), &repo);
	pthread_barrier_wait(&race_start);
	*(int *)context = move_one(&repo.id, "refs/heads/main", 0, (uint8_t)((uintptr_t)context | 1));
	return NULL;
}

static void race(void *(*run)(void *), int loser)
{
	pthread_t threads[RACERS];
	int results[RACERS], winners = 0;
	pthread_barrier_init(&race_start, NULL, RACERS);
	for (size_t i = 0; i < RACERS; i++)
		pthread_create(&threads[i], NULL, run, &results[i]);
	for (size_t i = 0; i < RACERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&race_start);
	for (size_t i = 0; i < RACERS; i++) {
		winners += results[i] == 0;
		assert_true(results[i] == 0 || results[i] == loser);
	}
	assert_int_equal(winners, 1);
}

static void of_racing_creates_and_pushes_one_wins(void **state)
{
	(void)state;
	race(race_to_create, ERR_EXISTS);
	race(race_to_push, ERR_CONFLICT);
}

/* ---- refs ---- */

static int list_ref(void *context, const struct ref *ref)
{
	(void)context;
	strcat(strcat(listed, ref->name), " ");
	return 0;
}

static int count_pack(void *context, const struct pack *pack)
{
	(void)pack;
	++*(int *)context;
	return 0;
}

static int list_reflog(void *context, const struct reflog_entry *entry)
{
	(void)context;
	char line[128];
	snprintf(line, sizeof(line), "%d>%d@%llu:%s ", entry->old_oid.bytes[0], entry->new_oid.bytes[0], (unsigned long long)entry->version, entry->actor);
	strcat(listed, line);
	return 0;
}

static void refs_move_only_when_every_condition_holds(void **state)
{
	(void)state;
	struct entity_id id;
	struct ref ref;
	struct repo repo;
	struct why why = { 0 };
	make_repo(REPO_MODEL, "ada", "refs", &id);
	assert_int_equal(move_one(&id, "refs/heads/main", 0, 1), 0);
	assert_int_equal(move_one(&id, "refs/heads/main", 0, 2), ERR_CONFLICT);
	assert_int_equal(move_one(&id, "refs/heads/main", 1, 2), 0);
	assert_int_equal(ref_get(ns, NULL, &id, "refs/heads/main", &ref), 0);
	assert_int_equal(ref.oid.bytes[0], 2);

	struct ref_update both[] = { move("refs/heads/dev", 0, 9), move("refs/heads/main", 1, 3) };
	struct pack pack = { .length = 100, .objects = 3, .class = PACK_RECEIVE };
	assert_int_equal(refs_update(ns, "ada", &id, both, 2, &pack, NULL, &why), ERR_CONFLICT);
	assert_non_null(strstr(why.text, "refs/heads/main"));
	assert_int_equal(ref_get(ns, NULL, &id, "refs/heads/dev", &ref), ERR_NOT_FOUND);
	int packs = 0;
	pack_list(ns, NULL, &id, count_pack, &packs);
	assert_int_equal(packs, 0);

	both[1] = move("refs/heads/main", 2, 3);
	assert_int_equal(refs_update(ns, "ada", &id, both, 2, &pack, NULL, &why), 0);
	pack_list(ns, NULL, &id, count_pack, &packs);
	assert_int_equal(packs, 1);
	assert_int_equal(repo_get(ns, NULL, &id, &repo), 0);
	assert_int_equal(repo.version, 3);
	assert_true(repo.modified_ms >= repo.created_ms);

	assert_int_equal(move_one(&id, "refs/heads/dev", 9, 0), 0); /* delete */
	assert_int_equal(ref_get(ns, NULL, &id, "refs/heads/dev", &ref), ERR_NOT_FOUND);
	struct ref_update force = { .name = "refs/heads/main", .any_old = true };
	force.new_oid.bytes[0] = 77;
	assert_int_equal(refs_update(ns, "ada", &id, &force, 1, NULL, NULL, &why), 0);
	listed[0] = 0;
	assert_int_equal(reflog_list(ns, NULL, &id, "refs/heads/main", list_reflog, NULL), 0);
	assert_string_equal(listed, "0>1@1:ada 1>2@2:ada 2>3@3:ada 3>77@5:ada ");
}

static void nonsense_changes_of_refs_are_refused(void **state)
{
	(void)state;
	struct entity_id id, nobody = { { 1 } };
	make_repo(REPO_MODEL, "ada", "refs", &id);
	struct ref_update twice[] = { move("refs/heads/a", 0, 1), move("refs/heads/a", 0, 2) };
	assert_int_equal(refs_update(ns, "ada", &id, twice, 2, NULL, NULL, NULL), ERR_INVALID);
	assert_int_equal(move_one(&id, "refs/heads/a..b", 0, 1), ERR_INVALID);
	assert_int_equal(move_one(&nobody, "refs/heads/a", 0, 1), ERR_NOT_FOUND);
	assert_int_equal(refs_update(ns, "ada", &id, NULL, 0, NULL, NULL, NULL), ERR_INVALID);
	assert_int_equal(refs_update(ns, "ada", &id, twice, REFS_PER_COMMAND_MAX + 1, NULL, NULL, NULL), ERR_TOO_BIG);
}

static void a_ref_is_not_a_folder_of_another(void **state)
{
	(void)state;
	struct entity_id id;
	make_repo(REPO_MODEL, "ada", "refs", &id);
	assert_int_equal(move_one(&id, "refs/heads/a", 0, 1), 0);
	assert_int_equal(move_one(&id, "refs/heads/a/b", 0, 1), ERR_CONFLICT);
	assert_int_equal(move_one(&id, "refs/heads/ab", 0, 1), 0);
	assert_int_equal(move_one(&id, "refs/heads/c/d/e", 0, 1), 0);
	assert_int_equal(move_one(&id, "refs/heads/c", 0, 1), ERR_CONFLICT);
	assert_int_equal(move_one(&id, "refs/heads/c/d", 0, 1), ERR_CONFLICT);
	struct ref_update swap[] = { move("refs/heads/a", 1, 0), move("refs/heads/a/b", 0, 2) };
	assert_int_equal(refs_update(ns, "ada", &id, swap, 2, NULL, NULL, NULL), 0);
	struct ref_update back[] = { move("refs/heads/a", 0, 3), move("refs/heads/a/b", 2, 0) };
	assert_int_equal(refs_update(ns, "ada", &id, back, 2, NULL, NULL, NULL), 0);
	struct ref_update both_new[] = { move("refs/heads/n", 0, 3), move("refs/heads/n/m", 0, 2) };
	assert_int_equal(refs_update(ns, "ada", &id, both_new, 2, NULL, NULL, NULL), ERR_CONFLICT);
}

static void refs_are_listed_by_prefix(void **state)
{
	(void)state;
	struct entity_id id, other;
	make_repo(REPO_MODEL, "ada", "refs", &id);
	make_repo(REPO_MODEL, "ada", "other", &other);
	move_one(&id, "refs/tags/v1", 0, 1);
	move_one(&id, "refs/heads/main", 0, 1);
	move_one(&id, "refs/heads/dev", 0, 1);
	move_one(&other, "refs/heads/x", 0, 1);
	listed[0] = 0;
	assert_int_equal(ref_list(ns, NULL, &id, "refs/heads/", list_ref, NULL), 0);
	assert_string_equal(listed, "refs/heads/dev refs/heads/main ");
	listed[0] = 0;
	assert_int_equal(ref_list(ns, NULL, &id, NULL, list_ref, NULL), 0);
	assert_string_equal(listed, "refs/heads/dev refs/heads/main refs/tags/v1 ");
}

static void a_retried_push_is_applied_once(void **state)
{
	(void)state;
	struct entity_id id;
	struct command_id command;
	make_repo(REPO_MODEL, "ada", "refs", &id);
	command_id_make(&command);
	struct ref_update update = move("refs/heads/main", 0, 1);
	assert_int_equal(refs_update(ns, "ada", &id, &update, 1, NULL, &command, NULL), 0);
	assert_int_equal(refs_update(ns, "ada", &id, &update, 1, NULL, &command, NULL), 0);
	assert_int_equal(refs_update(ns, "ada", &id, &update, 1, NULL, NULL, NULL), ERR_CONFLICT);
}

static void a_snapshot_does_not_see_later_changes(void **state)
{
	(void)state;
	struct entity_id id;
	struct ref ref;
	struct repo repo;
	make_repo(REPO_MODEL, "ada", "refs", &id);
	move_one(&id, "refs/heads/main", 0, 1);
	uint64_t version = namespace_version(ns);
	struct namespace_snapshot *snapshot = namespace_snapshot_open(ns);
	move_one(&id, "refs/heads/main", 1, 2);
	assert_int_equal(ref_get(ns, snapshot, &id, "refs/heads/main", &ref), 0);
	assert_int_equal(ref.oid.bytes[0], 1);
	assert_int_equal(repo_get(ns, snapshot, &id, &repo), 0);
	assert_int_equal(repo.version, 1);
	assert_int_equal(ref_get(ns, NULL, &id, "refs/heads/main", &ref), 0);
	assert_int_equal(ref.oid.bytes[0], 2);
	assert_true(namespace_version(ns) > version);
	namespace_snapshot_close(snapshot);
}

/* ---- deletion ---- */

static void a_deleted_repository_takes_its_refs_and_packs_with_it(void **state)
{
	(void)state;
	struct entity_id id, again;
	struct repo repo;
	struct pack pack = { .class = PACK_INSERT };
	make_repo(REPO_MODEL, "ada", "gone", &id);
	for (uint8_t i = 1; i <= 20; i++) {
		char name[64];
		snprintf(name, sizeof(name), "refs/heads/b%u", i);
		struct ref_update update = move(name, 0, i);
		assert_int_equal(refs_update(ns, "ada", &id, &update, 1, &pack, NULL, NULL), 0);
	}
	assert_int_equal(repo_delete(ns, "ada", &id, NULL), 0);
	assert_int_equal(repo_delete(ns, "ada", &id, NULL), ERR_NOT_FOUND);
	assert_int_equal(repo_find(ns, NULL, REPO_MODEL, span_text("ada"), span_text("gone"), &repo), ERR_NOT_FOUND);
	listed[0] = 0;
	int packs = 0;
	ref_list(ns, NULL, &id, NULL, list_ref, NULL);
	pack_list(ns, NULL, &id, count_pack, &packs);
	reflog_list(ns, NULL, &id, "refs/heads/b1", list_reflog, NULL);
	assert_string_equal(listed, "");
	assert_int_equal(packs, 0);
	assert_int_equal(move_one(&id, "refs/heads/main", 0, 1), ERR_NOT_FOUND);
	assert_int_equal(make_repo(REPO_MODEL, "ada", "gone", &again), 0);
	assert_memory_not_equal(id.bytes, again.bytes, ENTITY_ID_BYTES);
	assert_int_equal(repo_get(ns, NULL, &again, &repo), 0);
	assert_int_equal(repo.version, 0);
	reopen();
	assert_int_equal(repo_get(ns, NULL, &again, &repo), 0);
}

/* ---- secrets ---- */

static void a_secret_is_made_once_and_kept(void **state)
{
	(void)state;
	uint8_t first[64], second[64], other[32], zero[64] = { 0 };
	assert_int_equal(secret_get_or_create(ns, "grant", first, 64, NULL), 0);
	assert_memory_not_equal(first, zero, 64);
	reopen();
	assert_int_equal(secret_get_or_create(ns, "grant", second, 64, NULL), 0);
	assert_memory_equal(first, second, 64);
	assert_int_equal(secret_get_or_create(ns, "grant", other, 32, NULL), ERR_CONFLICT);
	assert_int_equal(secret_get_or_create(ns, "other", other, 32, NULL), 0);
	assert_memory_not_equal(first, other, 32);
	assert_int_equal(secret_get_or_create(ns, "big", other, 65, NULL), ERR_INVALID);
}

static void everything_is_there_after_a_flush_mark_and_a_restart(void **state)
{
	(void)state;
	struct entity_id id;
	struct repo repo;
	struct ref ref;
	struct why why;
	make_user("ada");
	make_repo(REPO_SPACE, "ada", "kept", &id);
	move_one(&id, "refs/heads/main", 0, 1);
	assert_int_equal(consensus_snapshot(namespace_consensus(ns), &why), 0);
	assert_int_equal(consensus_snapshot(namespace_consensus(ns), &why), 0);
	move_one(&id, "refs/heads/main", 1, 2);
	reopen();
	assert_int_equal(repo_find(ns, NULL, REPO_SPACE, span_text("ada"), span_text("kept"), &repo), 0);
	assert_int_equal(repo.version, 2);
	assert_int_equal(ref_get(ns, NULL, &id, "refs/heads/main", &ref), 0);
	assert_int_equal(ref.oid.bytes[0], 2);
}

static void resolving_a_head_is_a_matter_of_microseconds(void **state)
{
	(void)state;
	enum { ROUNDS = 20000 };
	struct entity_id id;
	struct repo repo;
	struct ref ref;
	make_repo(REPO_MODEL, "ada", "fast", &id);
	move_one(&id, "refs/heads/main", 0, 1);
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(repo_find(ns, NULL, REPO_MODEL, span_text("ada"), span_text("fast"), &repo), 0);
		assert_int_equal(ref_get(ns, NULL, &repo.id, repo.head, &ref), 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	double us = ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) / 1e3 / ROUNDS;
	print_message("%.2f us for name, record, state and ref\n", us);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_follow_the_hubs_rules),
		cmocka_unit_test(ref_names_follow_gits_rules), cmocka_unit_test(a_branch_or_tag_that_reads_as_another_ref_is_known),
		TEST(a_user_is_found_in_any_case_and_shown_as_stored),
		TEST(users_are_listed_in_name_order_from_anywhere),
		TEST(a_token_is_known_by_its_text_until_it_is_deleted),
		TEST(a_repository_is_found_in_any_case_and_per_type),
		TEST(repositories_are_listed_by_type_owner_and_name),
		TEST(of_racing_creates_and_pushes_one_wins),
		TEST(refs_move_only_when_every_condition_holds),
		TEST(nonsense_changes_of_refs_are_refused),
		TEST(a_ref_is_not_a_folder_of_another),
		TEST(refs_are_listed_by_prefix),
		TEST(a_retried_push_is_applied_once),
		TEST(a_snapshot_does_not_see_later_changes),
		TEST(a_deleted_repository_takes_its_refs_and_packs_with_it),
		TEST(a_secret_is_made_once_and_kept),
		TEST(everything_is_there_after_a_flush_mark_and_a_restart),
		TEST(resolving_a_head_is_a_matter_of_microseconds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
