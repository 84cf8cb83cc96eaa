/* How many copies repositories want: kept, counted, told as a table of one moment, gone with the repository. */
#include "replication/cluster_settings.h"
#include "replication/namespace_keys.h"
#include "replication/namespace_state.h"
#include "replication/repo_copies.h"
#include "tests/unit/replication/fixture.h"

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

static struct entity_id make_repo(unsigned number)
{
	struct repo repo = { .type = REPO_MODEL, .owner = "ada" };
	struct entity_id id;
	snprintf(repo.name, sizeof(repo.name), "repo-%u", number);
	assert_int_equal(repo_create(ns, "ada", &repo, &id, NULL), 0);
	return id;
}

static struct cluster_settings settings_now(void)
{
	struct cluster_settings settings;
	assert_int_equal(cluster_settings_get(ns, NULL, &settings), 0);
	return settings;
}

static unsigned copies_of(const struct entity_id *repo)
{
	unsigned copies = 77;
	assert_int_equal(repo_copies_get(ns, repo, &copies), 0);
	return copies;
}

static void what_a_repository_wants_is_kept_and_goes_with_it(void **state)
{
	(void)state;
	struct why why;
	struct entity_id first = make_repo(1), second = make_repo(2);
	uint64_t epoch = settings_now().epoch;
	assert_int_equal(copies_of(&first), 0);
	assert_int_equal(repo_copies_set(ns, "ada", &first, 1, &why), 0);
	assert_int_equal(repo_copies_set(ns, "ada", &second, 1, &why), 0);
	assert_int_equal(repo_copies_set(ns, "ada", &second, 1, &why), 0); /* again: counted once */
	assert_true(settings_now().repos == 2 && settings_now().epoch == epoch + 3);
	namespace_close(ns);
	assert_int_equal(namespace_open(&ns, dir, &why), 0);
	assert_int_equal(copies_of(&first), 1);
	assert_int_equal(repo_copies_set(ns, "ada", &first, 0, &why), 0);
	assert_int_equal(copies_of(&first), 0);
	assert_true(settings_now().repos == 1 && settings_now().epoch == epoch + 4);
	assert_int_equal(repo_copies_set(ns, "ada", &first, 0, &why), 0); /* nothing changes, so no epoch begins */
	assert_int_equal(repo_delete(ns, "ada", &second, &why), 0);
	assert_true(settings_now().repos == 0 && settings_now().epoch == epoch + 5);
	assert_int_equal(copies_of(&second), 0);
	assert_int_equal(repo_delete(ns, "ada", &first, &why), 0);
	assert_int_equal(settings_now().epoch, epoch + 5);
}

static void what_cannot_be_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	struct why why;
	struct entity_id repo = make_repo(1), nobody = { { 1 } };
	uint64_t epoch = settings_now().epoch;
	assert_int_equal(repo_copies_set(ns, "ada", &repo, 2, &why), ERR_INVALID);
	assert_string_equal(why.text, "2 copies of a repository cannot lie in different failure domains: there is only 1");
	assert_int_equal(repo_copies_set(ns, "ada", &repo, 6, &why), ERR_INVALID);
	assert_non_null(strstr(why.text, "1 to 5 copies"));
	assert_int_equal(repo_copies_set(ns, "ada", &nobody, 1, &why), ERR_NOT_FOUND);
	assert_int_equal(copies_of(&repo), 0);
	assert_true(settings_now().epoch == epoch && settings_now().repos == 0);
}

static void the_table_has_all_that_say_something(void **state)
{
	(void)state;
	enum { REPOS = 150 };
	struct entity_id ids[REPOS], silent = make_repo(REPOS);
	struct repo_copies_table table;
	assert_int_equal(repo_copies_load(ns, &table, NULL), 0);
	assert_true(table.count == 0 && table.least == 0 && table.most == 0 && table.epoch == settings_now().epoch);
	assert_int_equal(repo_copies_find(&table, &silent), 0);
	for (unsigned i = 0; i < REPOS; i++) {
		ids[i] = make_repo(i);
		assert_int_equal(repo_copies_set(ns, "ada", &ids[i], 1, NULL), 0);
	}
	assert_int_equal(repo_copies_load(ns, &table, NULL), 0);
	assert_true(table.count == REPOS && table.least == 1 && table.most == 1 && table.epoch == settings_now().epoch);
	for (unsigned i = 0; i < REPOS; i++)
		assert_int_equal(repo_copies_find(&table, &ids[i]), 1);
	assert_int_equal(repo_copies_find(&table, &silent), 0);
	repo_copies_fini(&table);
}

/* Settings that a node wrote before repositories could want anything. */
static void settings_of_before_say_that_no_repository_wants_anything(void **state)
{
	(void)state;
	struct buffer bytes;
	struct cluster_settings settings = { .repos = 9 };
	buffer_init(&bytes, 256);
	pack_array(&bytes, 2);
	pack_u64(&bytes, 1);
	pack_map(&bytes, 2);
	pack_text(&bytes, span_text("epoch"));
	pack_u64(&bytes, 12);
	pack_text(&bytes, span_text("replication_factor"));
	pack_u64(&bytes, 2);
	struct cursor cursor = cursor_of(buffer_span(&bytes));
	assert_true(cluster_settings_take(&cursor, &settings));
	assert_true(settings.epoch == 12 && settings.replication_factor == 2 && settings.repos == 0);
	buffer_fini(&bytes);

	settings = (struct cluster_settings){ .epoch = 3, .repos = 70000 };
	buffer_init(&bytes, 256);
	cluster_settings_pack(&bytes, &settings);
	cursor = cursor_of(buffer_span(&bytes));
	settings = (struct cluster_settings){ 0 };
	assert_true(cluster_settings_take(&cursor, &settings));
	assert_true(settings.epoch == 3 && settings.repos == 70000);
	buffer_fini(&bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_a_repository_wants_is_kept_and_goes_with_it),
		TEST(what_cannot_be_is_refused_and_changes_nothing),
		TEST(the_table_has_all_that_say_something),
		TEST(settings_of_before_say_that_no_repository_wants_anything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
