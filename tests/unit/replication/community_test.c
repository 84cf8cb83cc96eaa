/* Collections, webhooks, follows and buckets: places, conditions, counts. */
#include "replication/bucket.h"
#include "replication/collection.h"
#include "replication/follow.h"
#include "replication/webhook.h"

#include "fixture.h"

static char *dir;
static struct namespace *ns;

static int set_up(void **state)
{
	(void)state;
	dir = directory_make();
	int err = namespace_open(&ns, dir, NULL);
	for (int i = 0; i < 3 && err == 0; i++) {
		struct user user = { 0 };
		snprintf(user.name, sizeof(user.name), "user-%d", i);
		err = user_create(ns, "", &user, NULL);
	}
	return err;
}

static int tear_down(void **state)
{
	(void)state;
	namespace_close(ns);
	directory_remove(dir);
	free(dir);
	return 0;
}

/* ---- collections ---- */

static struct entity_id make_collection(const char *title)
{
	struct collection collection = { .owner = "user-0" };
	struct entity_id id;
	snprintf(collection.title, sizeof(collection.title), "%s", title);
	assert_int_equal(collection_create(ns, "user-0", &collection, &id, NULL), 0);
	return id;
}

static struct entity_id add_paper(const struct entity_id *id, const char *name)
{
	struct collection_item item = { .kind = ITEM_PAPER };
	snprintf(item.name, sizeof(item.name), "%s", name);
	assert_int_equal(collection_add(ns, "user-0", id, &item, NULL), 0);
	return item.id;
}

static int place_item(void *context, const struct collection_item *item)
{
	((char *)context)[item->position] = item->name[0];
	return 0;
}

static void assert_order(const struct entity_id *id, const char *expected)
{
	char order[16] = { 0 };
	assert_int_equal(collection_items(ns, id, place_item, order), 0);
	assert_string_equal(order, expected);
}

static void items_keep_dense_places_when_they_move_and_go(void **state)
{
	(void)state;
	struct entity_id id = make_collection("papers"), items[5];
	for (int i = 0; i < 5; i++)
		items[i] = add_paper(&id, (const char *[]){ "a", "b", "c", "d", "e" }[i]);
	assert_order(&id, "abcde");
	assert_int_equal(collection_change_item(ns, "user-0", &id, &items[4], NULL, 0, NULL), 0);
	assert_order(&id, "eabcd");
	assert_int_equal(collection_change_item(ns, "user-0", &id, &items[4], "a note", 3, NULL), 0);
	assert_order(&id, "abced");
	assert_int_equal(collection_change_item(ns, "user-0", &id, &items[0], NULL, 99, NULL), 0);
	assert_order(&id, "bceda");
	assert_int_equal(collection_remove(ns, "user-0", &id, &items[2], NULL), 0);
	assert_order(&id, "beda");
	assert_int_equal(collection_remove(ns, "user-0", &id, &items[2], NULL), ERR_NOT_FOUND);
	struct collection_item again = { .kind = ITEM_PAPER, .name = "a" };
	assert_int_equal(collection_add(ns, "user-0", &id, &again, NULL), ERR_EXISTS);
	strcpy(again.name, "c");
	assert_int_equal(collection_add(ns, "user-0", &id, &again, NULL), 0);
	assert_order(&id, "bedac");
}

static int count_id(void *context, const struct entity_id *id)
{
	(void)id;
	++*(size_t *)context;
	return 0;
}

static void a_title_is_its_owners_once(void **state)
{
	(void)state;
	struct entity_id first = make_collection("one"), other;
	struct collection collection = { .owner = "user-0", .title = "one" };
	assert_int_equal(collection_create(ns, "user-0", &collection, &other, NULL), ERR_EXISTS);
	assert_memory_equal(other.bytes, first.bytes, ENTITY_ID_BYTES);
	struct entity_id second = make_collection("two");
	assert_int_equal(collection_get(ns, &second, &collection), 0);
	strcpy(collection.title, "one");
	assert_int_equal(collection_update(ns, "user-0", &collection, NULL), ERR_EXISTS);
	strcpy(collection.title, "three");
	assert_int_equal(collection_update(ns, "user-0", &collection, NULL), 0);
	make_collection("two"); /* is free again */
	strcpy(collection.owner, "user-1");
	strcpy(collection.title, "one");
	assert_int_equal(collection_create(ns, "user-1", &collection, &other, NULL), 0);
	assert_int_equal(collection_delete(ns, "user-0", &first, NULL), 0);
	make_collection("one");
	size_t count = 0;
	assert_int_equal(collection_list(ns, "USER-0", NULL, count_id, &count), 0);
	assert_int_equal(count, 3);
}

static void what_holds_an_item_is_found_until_it_is_gone(void **state)
{
	(void)state;
	struct entity_id none = { { 0 } }, one = make_collection("one"), two = make_collection("two");
	struct entity_id item = add_paper(&one, "Paper");
	add_paper(&two, "Paper");
	size_t count = 0;
	assert_int_equal(collection_holding(ns, ITEM_PAPER, &none, "Paper", NULL, count_id, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(collection_remove(ns, "user-0", &one, &item, NULL), 0);
	assert_int_equal(collection_delete(ns, "user-0", &two, NULL), 0);
	count = 0;
	assert_int_equal(collection_holding(ns, ITEM_PAPER, &none, "Paper", NULL, count_id, &count), 0);
	assert_int_equal(count, 0);
}

/* ---- webhooks ---- */

static struct webhook hook;

static void make_hook(void)
{
	hook = (struct webhook){ .owner = "user-0", .url = "https://example.org/", .domains = WEBHOOK_REPO, .watched_count = 2,
		.watched = { { WATCHED_USER, "User-1" }, { WATCHED_MODEL, "user-1/stones" } } };
	assert_int_equal(webhook_put(ns, "user-0", &hook, NULL), 0);
}

static size_t watching(enum watched_kind kind, const char *name)
{
	size_t count = 0;
	assert_int_equal(webhook_watching(ns, kind, name, count_id, &count), 0);
	return count;
}

static void webhooks_are_found_by_what_they_watch(void **state)
{
	(void)state;
	assert_false(webhook_any(ns));
	make_hook();
	assert_true(webhook_any(ns));
	assert_int_equal(watching(WATCHED_USER, "user-1"), 1);
	assert_int_equal(watching(WATCHED_USER, "user"), 0);
	assert_int_equal(watching(WATCHED_MODEL, "USER-1/stones"), 1);
	assert_int_equal(watching(WATCHED_DATASET, "user-1/stones"), 0);
	hook.watched_count = 1;
	assert_int_equal(webhook_put(ns, "user-0", &hook, NULL), 0);
	assert_int_equal(watching(WATCHED_MODEL, "user-1/stones"), 0);
	assert_int_equal(webhook_delete(ns, "user-0", &hook.id, NULL), 0);
	assert_int_equal(watching(WATCHED_USER, "user-1"), 0);
	assert_false(webhook_any(ns));
}

static int keep_newest(void *context, const struct webhook_delivery *delivery, struct span payload)
{
	assert_true(span_equal(payload, span_text("{}")));
	if (*(uint64_t *)context == 0)
		*(uint64_t *)context = delivery->number;
	return 0;
}

static void deliveries_are_logged_and_failures_disable(void **state)
{
	(void)state;
	make_hook();
	struct webhook_delivery delivery = { .when_ms = 1, .status = 200, .attempts = 1, .delivered = true, .group = GROUP_REPOS };
	for (uint64_t i = 1; i <= WEBHOOK_LOG_MAX + 5; i++) {
		delivery.change = i;
		assert_int_equal(webhook_log(ns, &hook.id, &delivery, span_text("{}"), NULL), 0);
	}
	uint64_t newest = 0;
	assert_int_equal(webhook_log_list(ns, &hook.id, keep_newest, &newest), 0);
	assert_int_equal(newest, WEBHOOK_LOG_MAX + 5);
	static struct webhook found;
	assert_int_equal(webhook_get(ns, &hook.id, &found), 0);
	assert_int_equal(found.told_repos, WEBHOOK_LOG_MAX + 5);
	assert_int_equal(found.told_cluster, 0);
	delivery.delivered = false;
	for (int i = 0; i < WEBHOOK_FAILURES_MAX; i++) {
		assert_int_equal(webhook_get(ns, &hook.id, &found), 0);
		assert_false(found.disabled);
		delivery.change++;
		assert_int_equal(webhook_log(ns, &hook.id, &delivery, span_text("{}"), NULL), 0);
	}
	assert_int_equal(webhook_get(ns, &hook.id, &found), 0);
	assert_true(found.disabled);
	int64_t since_ms = found.since_ms;
	found.disabled = false;
	assert_int_equal(webhook_put(ns, "user-0", &found, NULL), 0);
	assert_int_equal(webhook_get(ns, &hook.id, &found), 0);
	assert_int_equal(found.failures, 0);
	assert_true(found.since_ms >= since_ms);
	assert_int_equal(found.watched_count, 2);
	delivery.replayed = true;
	assert_int_equal(webhook_log(ns, &hook.id, &delivery, span_text("{}"), NULL), 0);
	assert_int_equal(webhook_get(ns, &hook.id, &found), 0);
	assert_int_equal(found.failures, 0);
}

static void a_user_has_so_many_webhooks_and_only_their_own(void **state)
{
	(void)state;
	for (int i = 0; i < WEBHOOKS_PER_USER_MAX; i++)
		make_hook();
	struct webhook more = hook;
	more.id = (struct entity_id){ { 0 } };
	assert_int_equal(webhook_put(ns, "user-0", &more, NULL), ERR_TOO_BIG);
	assert_int_equal(webhook_put(ns, "user-0", &hook, NULL), 0);
	strcpy(hook.owner, "user-2");
	assert_int_equal(webhook_put(ns, "user-2", &hook, NULL), ERR_NOT_FOUND);
}

/* ---- follows ---- */

static int join_name(void *context, const char *name)
{
	strcat(strcat(context, name), " ");
	return 0;
}

static void follows_are_counted_once_in_both_directions(void **state)
{
	(void)state;
	char names[64] = "";
	struct follow_counts counts;
	for (int i = 0; i < 2; i++)
		assert_int_equal(follow_set(ns, "user-1", "User-0", true, NULL), 0);
	assert_int_equal(follow_set(ns, "user-2", "user-0", true, NULL), 0);
	assert_int_equal(follow_set(ns, "user-0", "user-0", true, NULL), ERR_INVALID);
	assert_int_equal(follow_set(ns, "user-0", "nobody", true, NULL), ERR_NOT_FOUND);
	assert_true(follow_is(ns, "user-1", "user-0"));
	assert_false(follow_is(ns, "user-0", "user-1"));
	assert_int_equal(follow_count(ns, "user-0", &counts), 0);
	assert_int_equal(counts.followers, 2);
	assert_int_equal(follower_list(ns, "user-0", NULL, join_name, names), 0);
	assert_string_equal(names, "user-1 user-2 ");
	names[0] = 0;
	assert_int_equal(follower_list(ns, "user-0", "user-1", join_name, names), 0);
	assert_string_equal(names, "user-2 ");
	for (int i = 0; i < 2; i++)
		assert_int_equal(follow_set(ns, "user-1", "user-0", false, NULL), 0);
	assert_int_equal(follow_count(ns, "user-0", &counts), 0);
	assert_int_equal(counts.followers, 1);
	assert_int_equal(follow_count(ns, "user-1", &counts), 0);
	assert_int_equal(counts.following, 0);
}

/* ---- buckets ---- */

static struct bucket_change put_file(const char *path, uint64_t length)
{
	struct bucket_change change = { .file.length = length };
	snprintf(change.file.path, sizeof(change.file.path), "%s", path);
	return change;
}

static int join_path(void *context, const struct bucket_file *file)
{
	strcat(strcat(context, file->path), " ");
	return 0;
}

static void a_bucket_counts_what_its_paths_lead_to(void **state)
{
	(void)state;
	struct repo made = { .type = REPO_BUCKET, .owner = "user-0", .name = "box" };
	struct entity_id id;
	struct bucket_totals totals;
	char paths[128] = "";
	assert_int_equal(repo_create(ns, "user-0", &made, &id, NULL), 0);
	struct bucket_change changes[] = { put_file("a", 1), put_file("b/c", 10), put_file("b/d", 100), put_file("a", 5), put_file("b/d", 0) };
	changes[4].remove = true;
	assert_int_equal(bucket_change(ns, "user-0", &id, changes, 5, NULL), 0);
	assert_int_equal(bucket_totals_get(ns, &id, &totals), 0);
	assert_int_equal(totals.files, 2);
	assert_int_equal(totals.bytes, 15);
	assert_int_equal(bucket_file_list(ns, &id, "", NULL, join_path, paths), 0);
	assert_string_equal(paths, "a b/c ");
	struct bucket_file file;
	assert_int_equal(bucket_file_get(ns, &id, "a", &file), 0);
	assert_int_equal(file.length, 5);
	assert_int_equal(bucket_file_get(ns, &id, "b/d", &file), ERR_NOT_FOUND);
	assert_int_equal(bucket_change(ns, "user-0", &id, changes + 4, 1, NULL), 0); /* gone already */
	assert_int_equal(repo_delete(ns, "user-0", &id, NULL), 0);
	assert_int_equal(bucket_totals_get(ns, &id, &totals), 0);
	assert_int_equal(totals.files, 0);
	assert_int_equal(bucket_change(ns, "user-0", &id, changes, 1, NULL), ERR_NOT_FOUND);
}

static void a_path_of_the_greatest_length_is_whole(void **state)
{
	(void)state;
	struct repo made = { .type = REPO_BUCKET, .owner = "user-0", .name = "deep" };
	struct entity_id id;
	struct bucket_change changes[2] = { { .file.length = 1 }, { .file.length = 2 } };
	struct bucket_file file;
	assert_int_equal(repo_create(ns, "user-0", &made, &id, NULL), 0);
	for (int i = 0; i < 2; i++) {
		memset(changes[i].file.path, 'x', BUCKET_PATH_BYTES_MAX);
		changes[i].file.path[BUCKET_PATH_BYTES_MAX - 1] = (char)('1' + i);
	}
	assert_int_equal(bucket_change(ns, "user-0", &id, changes, 2, NULL), 0);
	for (uint64_t i = 0; i < 2; i++) {
		assert_int_equal(bucket_file_get(ns, &id, changes[i].file.path, &file), 0);
		assert_int_equal(file.length, i + 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(items_keep_dense_places_when_they_move_and_go), TEST(a_title_is_its_owners_once), TEST(what_holds_an_item_is_found_until_it_is_gone),
		TEST(webhooks_are_found_by_what_they_watch), TEST(deliveries_are_logged_and_failures_disable),
		TEST(a_user_has_so_many_webhooks_and_only_their_own), TEST(follows_are_counted_once_in_both_directions),
		TEST(a_bucket_counts_what_its_paths_lead_to), TEST(a_path_of_the_greatest_length_is_whole),
	};
	return cmocka_run_group_tests_name("community", tests, NULL, NULL);
}
