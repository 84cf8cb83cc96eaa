/* Likes and downloads: counted once, listed in order, gone with their repository. */
#include "replication/changes.h"
#include "replication/downloads.h"
#include "replication/likes.h"

#include "fixture.h"

static char *dir;
static struct namespace *ns;

static int set_up(void **state)
{
	(void)state;
	dir = directory_make();
	return namespace_open(&ns, dir, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	namespace_close(ns);
	directory_remove(dir);
	free(dir);
	return 0;
}

static struct entity_id make_repo(const char *name)
{
	struct repo repo = { .type = REPO_MODEL, .owner = "ada" };
	struct entity_id id;
	strcpy(repo.name, name);
	assert_int_equal(repo_create(ns, "ada", &repo, &id, NULL), 0);
	return id;
}

static void push(const struct entity_id *id)
{
	struct ref_update update = { .name = "refs/heads/main", .any_old = true };
	update.new_oid.bytes[0] = 7;
	assert_int_equal(refs_update(ns, "ada", id, &update, 1, NULL, NULL, NULL), 0);
}

static void days_move_on_and_old_ones_are_forgotten(void **state)
{
	(void)state;
	struct day_counts counts = { 0 };
	day_counts_add(&counts, 100, 5);
	day_counts_add(&counts, 101, 2);
	day_counts_add(&counts, 100, 1);
	assert_int_equal(day_counts_at(&counts, 101, 0), 2);
	assert_int_equal(day_counts_at(&counts, 101, 1), 6);
	assert_int_equal(day_counts_at(&counts, 103, 3), 6);
	assert_int_equal(day_counts_at(&counts, 99, 0), 0);
	assert_int_equal(day_counts_recent(&counts, 101), 8);
	assert_int_equal(day_counts_recent(&counts, 129), 8);
	assert_int_equal(day_counts_recent(&counts, 130), 2);
	assert_int_equal(day_counts_recent(&counts, 131), 0);
	day_counts_add(&counts, 140, 1);
	assert_int_equal(day_counts_recent(&counts, 140), 1);
	day_counts_add(&counts, 90, 1); /* before what is kept */
	assert_int_equal(day_counts_recent(&counts, 140), 1);
	assert_int_equal(counts.total, 10);
	day_counts_remove(&counts, 140);
	day_counts_remove(&counts, 140);
	assert_int_equal(day_counts_recent(&counts, 140), 0);
	assert_int_equal(counts.total, 8);
}

struct seen {
	struct like likes[16];
	size_t count;
};

static int see(void *context, const struct like *like)
{
	struct seen *seen = context;
	seen->likes[seen->count++] = *like;
	return 0;
}

static void a_like_counts_once_and_can_be_taken_back(void **state)
{
	(void)state;
	struct entity_id stones = make_repo("stones"), rivers = make_repo("rivers");
	struct day_counts counts;
	assert_int_equal(repo_like(ns, "ada", &stones, NULL), 0);
	assert_int_equal(repo_like(ns, "Ada", &stones, NULL), 0);
	assert_int_equal(repo_like(ns, "bob", &stones, NULL), 0);
	assert_int_equal(repo_like(ns, "ada", &rivers, NULL), 0);
	assert_int_equal(likes_of_repo(ns, NULL, &stones, &counts), 0);
	assert_int_equal(counts.total, 2);
	assert_true(repo_liked_by(ns, &stones, "ADA"));
	assert_false(repo_liked_by(ns, &rivers, "bob"));
	struct seen seen = { 0 };
	assert_int_equal(likers_list(ns, &stones, NULL, see, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.likes[0].user, "ada");
	seen.count = 0;
	assert_int_equal(likers_list(ns, &stones, "ada", see, &seen), 0);
	assert_int_equal(seen.count, 1);
	seen.count = 0;
	assert_int_equal(liked_list(ns, "ada", NULL, see, &seen), 0);
	assert_int_equal(seen.count, 2);
	struct like first = seen.likes[0];
	assert_true(first.created_ms >= seen.likes[1].created_ms);
	seen.count = 0;
	assert_int_equal(liked_list(ns, "ada", &first, see, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(repo_unlike(ns, "ada", &stones, NULL), 0);
	assert_int_equal(repo_unlike(ns, "ada", &stones, NULL), 0);
	assert_int_equal(likes_of_repo(ns, NULL, &stones, &counts), 0);
	assert_int_equal(counts.total, 1);
	assert_int_equal(repo_like(ns, "ada", &(struct entity_id){ { 1 } }, NULL), ERR_NOT_FOUND);
}

static void likes_go_with_their_repository(void **state)
{
	(void)state;
	struct entity_id id = make_repo("stones");
	struct day_counts counts;
	for (int i = 0; i < 20; i++) {
		char user[16];
		snprintf(user, sizeof(user), "user-%d", i);
		assert_int_equal(repo_like(ns, user, &id, NULL), 0);
	}
	assert_int_equal(repo_delete(ns, "ada", &id, NULL), 0);
	struct seen seen = { 0 };
	assert_int_equal(likers_list(ns, &id, NULL, see, &seen), 0);
	assert_int_equal(liked_list(ns, "user-7", NULL, see, &seen), 0);
	assert_int_equal(seen.count, 0);
	assert_int_equal(likes_of_repo(ns, NULL, &id, &counts), 0);
	assert_int_equal(counts.total, 0);
}

struct filed {
	struct entity_id repos[8];
	uint64_t indexes[8];
	size_t count;
};

static int see_filed(void *context, const struct entity_id *repo, uint64_t index)
{
	struct filed *filed = context;
	filed->repos[filed->count] = *repo;
	filed->indexes[filed->count++] = index;
	return 0;
}

static void downloads_add_up_and_say_which_repositories_they_are_of(void **state)
{
	(void)state;
	struct entity_id stones = make_repo("stones"), rivers = make_repo("rivers"), empty = make_repo("empty");
	push(&stones);
	push(&rivers);
	struct download_count adds[] = {
		{ stones, span_text(""), 3 }, { rivers, span_text(""), 1 }, { stones, span_text("model.bin"), 2 }, { empty, span_text(""), 9 },
	};
	assert_int_equal(downloads_add(ns, adds, 4, NULL, NULL), 0);
	assert_int_equal(downloads_add(ns, adds, 1, NULL, NULL), 0);
	struct day_counts counts;
	uint64_t file;
	assert_int_equal(downloads_of_repo(ns, NULL, &stones, &counts), 0);
	assert_int_equal(counts.total, 6);
	assert_int_equal(downloads_of_file(ns, &stones, span_text("model.bin"), &file), 0);
	assert_int_equal(file, 2);
	assert_int_equal(downloads_of_repo(ns, NULL, &empty, &counts), 0);
	assert_int_equal(counts.total, 0);
	struct filed filed = { 0 };
	assert_int_equal(downloads_changed(ns, 0, NULL, see_filed, &filed), 0);
	assert_int_equal(filed.count, 2);
	assert_memory_equal(filed.repos[1].bytes, stones.bytes, ENTITY_ID_BYTES);
	uint64_t first = filed.indexes[0];
	struct entity_id first_repo = filed.repos[0];
	filed.count = 0;
	assert_int_equal(downloads_changed(ns, first, &first_repo, see_filed, &filed), 0);
	assert_int_equal(filed.count, 1);
	assert_memory_equal(filed.repos[0].bytes, stones.bytes, ENTITY_ID_BYTES);
	filed.count = 0;
	assert_int_equal(downloads_changed(ns, first, NULL, see_filed, &filed), 0);
	assert_int_equal(filed.count, 1);
	assert_int_equal(repo_delete(ns, "ada", &stones, NULL), 0);
	filed.count = 0;
	assert_int_equal(downloads_changed(ns, 0, NULL, see_filed, &filed), 0);
	assert_int_equal(filed.count, 1);
	assert_int_equal(downloads_of_file(ns, &stones, span_text("model.bin"), &file), 0);
	assert_int_equal(file, 0);
}

static void a_retried_count_is_added_once(void **state)
{
	(void)state;
	struct entity_id stones = make_repo("stones");
	push(&stones);
	struct command_id id;
	command_id_make(&id);
	struct download_count add = { stones, span_text(""), 3 };
	assert_int_equal(downloads_add(ns, &add, 1, &id, NULL), 0);
	assert_int_equal(downloads_add(ns, &add, 1, &id, NULL), 0);
	struct day_counts counts;
	assert_int_equal(downloads_of_repo(ns, NULL, &stones, &counts), 0);
	assert_int_equal(counts.total, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(days_move_on_and_old_ones_are_forgotten),
		TEST(a_like_counts_once_and_can_be_taken_back),
		TEST(likes_go_with_their_repository),
		TEST(downloads_add_up_and_say_which_repositories_they_are_of),
		TEST(a_retried_count_is_added_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
