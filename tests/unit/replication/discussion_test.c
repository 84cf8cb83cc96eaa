/* Discussions, pull requests and access requests: numbers, events, conditions, and that they go with their repository. */
#include "replication/discussion.h"
#include "replication/changes.h"
#include "replication/gate.h"

#include "fixture.h"

static char *dir;
static struct namespace *ns;
static struct entity_id repo;

static void move_main(uint8_t from, uint8_t to)
{
	struct ref_update update = { .name = "refs/heads/main" };
	update.old_oid.bytes[0] = from;
	update.new_oid.bytes[0] = to;
	assert_int_equal(refs_update(ns, "ada", &repo, &update, 1, NULL, NULL, NULL), 0);
}

static int set_up(void **state)
{
	(void)state;
	dir = directory_make();
	int err = namespace_open(&ns, dir, NULL);
	struct repo made = { .type = REPO_MODEL, .owner = "ada", .name = "stones" };
	if (err == 0)
		err = repo_create(ns, "ada", &made, &repo, NULL);
	if (err == 0)
		move_main(0, 1);
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

static uint64_t open_discussion(const char *title)
{
	struct discussion_opening opening = { .title = title, .text = span_text("what it is about"), .status = DISCUSSION_OPEN };
	uint64_t number = 0;
	assert_int_equal(discussion_open(ns, "bob", &repo, &opening, &number, NULL), 0);
	return number;
}

static uint64_t open_pull_request(uint8_t base, uint8_t head)
{
	struct discussion_opening opening = { .title = "a change", .text = span_text("why"), .is_pull_request = true, .status = DISCUSSION_DRAFT,
		.base = "refs/heads/main" };
	opening.base_oid.bytes[0] = base;
	opening.head.bytes[0] = head;
	uint64_t number = 0;
	assert_int_equal(discussion_open(ns, "bob", &repo, &opening, &number, NULL), 0);
	return number;
}

struct seen {
	struct discussion_event events[16];
	char texts[16][32];
	size_t count;
};

static int see(void *context, const struct discussion_event *event, struct span text)
{
	struct seen *seen = context;
	if (text.length)
		memcpy(seen->texts[seen->count], text.data, text.length < 31 ? text.length : 31);
	seen->events[seen->count++] = *event;
	return 0;
}

static struct seen events_of(uint64_t number)
{
	struct seen seen = { 0 };
	assert_int_equal(discussion_events(ns, &repo, number, 0, see, &seen), 0);
	return seen;
}

static uint8_t ref_at(const char *name)
{
	struct ref ref;
	return ref_get(ns, NULL, &repo, name, &ref) == 0 ? ref.oid.bytes[0] : 0;
}

static void discussions_and_pull_requests_share_their_numbers(void **state)
{
	(void)state;
	assert_int_equal(open_discussion("one"), 1);
	assert_int_equal(open_pull_request(1, 1), 2);
	assert_int_equal(open_discussion("three"), 3);
	assert_int_equal(ref_at("refs/pr/2"), 1);
	struct discussion found;
	assert_int_equal(discussion_get(ns, &repo, 2, &found), 0);
	assert_true(found.is_pull_request);
	assert_int_equal(found.status, DISCUSSION_DRAFT);
	assert_string_equal(found.author, "bob");
	assert_string_equal(found.base, "refs/heads/main");
	assert_int_equal(discussion_get(ns, &repo, 4, &found), ERR_NOT_FOUND);
}

static void a_ref_made_by_other_means_keeps_its_number(void **state)
{
	(void)state;
	struct ref_update update = { .name = "refs/pr/1" };
	update.new_oid.bytes[0] = 9;
	assert_int_equal(refs_update(ns, "ada", &repo, &update, 1, NULL, NULL, NULL), 0);
	assert_int_equal(open_pull_request(1, 2), 2);
	assert_int_equal(ref_at("refs/pr/1"), 9);
}

static void everything_that_happens_is_an_event(void **state)
{
	(void)state;
	uint64_t number = open_pull_request(1, 2), event = 0;
	assert_int_equal(discussion_comment(ns, "ada", &repo, number, span_text("hello"), &event, NULL), 0);
	assert_int_equal(event, 3);
	assert_int_equal(discussion_set_title(ns, "ada", &repo, number, "another title", NULL, NULL), 0);
	assert_int_equal(discussion_set_status(ns, "ada", &repo, number, DISCUSSION_OPEN, NULL, NULL), 0);
	struct ref_update push = { .name = "refs/pr/1" };
	push.old_oid.bytes[0] = 2;
	push.new_oid.bytes[0] = 3;
	assert_int_equal(refs_update(ns, "bob", &repo, &push, 1, NULL, NULL, NULL), 0);
	struct seen seen = events_of(number);
	assert_int_equal(seen.count, 6);
	enum event_kind kinds[] = { EVENT_COMMENT, EVENT_COMMIT, EVENT_COMMENT, EVENT_TITLE, EVENT_STATUS, EVENT_COMMIT };
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(seen.events[i].kind, kinds[i]);
		assert_int_equal(seen.events[i].number, i + 1);
	}
	assert_string_equal(seen.texts[0], "why");
	assert_string_equal(seen.texts[2], "hello");
	assert_string_equal(seen.events[3].from, "a change");
	assert_string_equal(seen.events[3].to, "another title");
	assert_int_equal(seen.events[4].status, DISCUSSION_OPEN);
	assert_int_equal(seen.events[5].old_oid.bytes[0], 2);
	assert_int_equal(seen.events[5].new_oid.bytes[0], 3);
	struct discussion found;
	assert_int_equal(discussion_get(ns, &repo, number, &found), 0);
	assert_int_equal(found.events_count, 6);
	assert_int_equal(found.comments_count, 2);
	assert_string_equal(found.title, "another title");
}

static int keep_version(void *context, const char *author, int64_t when_ms, struct span text)
{
	assert_string_equal(author, "bob");
	assert_true(when_ms > 0);
	snprintf(context, 64, "%.*s", (int)text.length, (const char *)text.data);
	return 0;
}

static void an_edited_comment_keeps_its_earlier_text_until_it_is_hidden(void **state)
{
	(void)state;
	uint64_t number = open_discussion("one");
	char version[64] = "";
	assert_int_equal(discussion_edit(ns, "bob", &repo, number, 1, false, span_text("better"), NULL), 0);
	struct seen seen = events_of(number);
	assert_string_equal(seen.texts[0], "better");
	assert_int_equal(seen.events[0].edits_count, 1);
	assert_int_equal(discussion_history(ns, &repo, number, 1, keep_version, version), 0);
	assert_string_equal(version, "what it is about");
	assert_int_equal(discussion_edit(ns, "ada", &repo, number, 1, true, (struct span){ 0 }, NULL), 0);
	seen = events_of(number);
	assert_true(seen.events[0].hidden);
	assert_string_equal(seen.texts[0], "");
	version[0] = 0;
	assert_int_equal(discussion_history(ns, &repo, number, 1, keep_version, version), 0);
	assert_string_equal(version, "");
	assert_int_equal(discussion_edit(ns, "bob", &repo, number, 1, false, span_text("again"), NULL), ERR_CONFLICT);
	assert_int_equal(discussion_edit(ns, "bob", &repo, number, 7, false, span_text("again"), NULL), ERR_NOT_FOUND);
}

static void a_status_is_set_once_and_never_after_a_merge(void **state)
{
	(void)state;
	uint64_t number = open_pull_request(1, 2);
	assert_int_equal(discussion_set_status(ns, "ada", &repo, number, DISCUSSION_CLOSED, NULL, NULL), 0);
	assert_int_equal(discussion_set_status(ns, "ada", &repo, number, DISCUSSION_CLOSED, NULL, NULL), ERR_CONFLICT);
	struct pull_request_merge merge = { 0 };
	merge.head.bytes[0] = merge.base_new.bytes[0] = 2;
	merge.base_old.bytes[0] = 1;
	assert_int_equal(pull_request_merge(ns, "ada", &repo, number, &merge, NULL), ERR_CONFLICT);
	assert_int_equal(ref_at("refs/heads/main"), 1);
	assert_int_equal(discussion_set_status(ns, "ada", &repo, number, DISCUSSION_OPEN, NULL, NULL), 0);
	assert_int_equal(pull_request_merge(ns, "ada", &repo, number, &merge, NULL), 0);
	assert_int_equal(ref_at("refs/heads/main"), 2);
	struct discussion found;
	assert_int_equal(discussion_get(ns, &repo, number, &found), 0);
	assert_int_equal(found.status, DISCUSSION_MERGED);
	assert_int_equal(found.merge_commit.bytes[0], 2);
	assert_int_equal(discussion_set_status(ns, "ada", &repo, number, DISCUSSION_OPEN, NULL, NULL), ERR_CONFLICT);
	assert_int_equal(pull_request_merge(ns, "ada", &repo, number, &merge, NULL), ERR_CONFLICT);
}

static void a_merge_needs_both_refs_where_it_was_made_for(void **state)
{
	(void)state;
	uint64_t number = open_pull_request(1, 2);
	struct pull_request_merge merge = { 0 };
	merge.head.bytes[0] = merge.base_new.bytes[0] = 2;
	merge.base_old.bytes[0] = 7;
	assert_int_equal(pull_request_merge(ns, "ada", &repo, number, &merge, NULL), ERR_CONFLICT);
	merge.base_old.bytes[0] = 1;
	merge.head.bytes[0] = 5;
	assert_int_equal(pull_request_merge(ns, "ada", &repo, number, &merge, NULL), ERR_CONFLICT);
	assert_int_equal(ref_at("refs/heads/main"), 1);
	assert_int_equal(events_of(number).count, 2);
}

static void what_is_deleted_takes_its_ref_along(void **state)
{
	(void)state;
	uint64_t number = open_pull_request(1, 2);
	assert_int_equal(discussion_delete(ns, "ada", &repo, number, NULL), 0);
	assert_int_equal(ref_at("refs/pr/1"), 0);
	assert_int_equal(events_of(number).count, 0);
	assert_int_equal(discussion_delete(ns, "ada", &repo, number, NULL), ERR_NOT_FOUND);
	assert_int_equal(open_discussion("the next"), 2);
}

static void a_text_or_title_that_is_too_long_is_refused(void **state)
{
	(void)state;
	uint64_t number = open_discussion("one");
	char *text = malloc(COMMENT_BYTES_MAX + 2);
	memset(text, 'x', COMMENT_BYTES_MAX + 1);
	text[COMMENT_BYTES_MAX + 1] = 0;
	assert_int_equal(discussion_comment(ns, "bob", &repo, number, span_text(text), NULL, NULL), ERR_TOO_BIG);
	assert_int_equal(discussion_comment(ns, "bob", &repo, number, span_of(text, COMMENT_BYTES_MAX), NULL, NULL), 0);
	assert_int_equal(discussion_set_title(ns, "bob", &repo, number, text, NULL, NULL), ERR_INVALID);
	free(text);
}

static int count_discussion(void *context, const struct discussion *discussion)
{
	uint64_t *numbers = context;
	numbers[++numbers[0]] = discussion->number;
	return 0;
}

static void discussions_are_listed_newest_first(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		open_discussion("one");
	uint64_t numbers[8] = { 0 };
	assert_int_equal(discussion_list(ns, &repo, 0, count_discussion, numbers), 0);
	assert_int_equal(numbers[0], 5);
	assert_int_equal(numbers[1], 5);
	assert_int_equal(numbers[5], 1);
	numbers[0] = 0;
	assert_int_equal(discussion_list(ns, &repo, 3, count_discussion, numbers), 0);
	assert_int_equal(numbers[0], 2);
	assert_int_equal(numbers[1], 2);
}

static int see_change(void *context, const struct change *change)
{
	struct change *changes = context;
	memmove(changes + 1, changes, 7 * sizeof(*changes));
	changes[0] = *change;
	return 0;
}

static void followers_see_a_merge_as_a_moved_branch_and_a_status(void **state)
{
	(void)state;
	uint64_t number = open_pull_request(1, 2);
	struct pull_request_merge merge = { 0 };
	merge.head.bytes[0] = merge.base_new.bytes[0] = 2;
	merge.base_old.bytes[0] = 1;
	assert_int_equal(pull_request_merge(ns, "ada", &repo, number, &merge, NULL), 0);
	struct change changes[8] = { 0 };
	assert_int_equal(changes_read(ns, GROUP_REPOS, 0, see_change, changes), 0);
	assert_int_equal(changes[0].type, COMMAND_PULL_REQUEST_MERGE);
	assert_int_equal(changes[0].item, number);
	assert_int_equal(changes[0].event, 3);
	assert_int_equal(changes[1].type, COMMAND_REFS_UPDATE);
	assert_string_equal(changes[1].ref, "refs/heads/main");
	assert_string_equal(changes[1].actor, "ada");
	assert_int_equal(changes[2].type, COMMAND_DISCUSSION_OPEN);
}

static int count_requests(void *context, const struct access_request *request)
{
	snprintf((char *)context + strlen(context), 64, "%s ", request->user);
	return 0;
}

static void requests_go_from_pending_to_a_decision_and_back(void **state)
{
	(void)state;
	char names[256] = "";
	assert_int_equal(access_ask(ns, "Bob", &repo, false, "{\"a\":1}", NULL), 0);
	assert_int_equal(access_ask(ns, "bob", &repo, false, "", NULL), ERR_EXISTS);
	assert_int_equal(access_ask(ns, "carl", &repo, true, "", NULL), 0);
	assert_int_equal(access_decide(ns, "ada", &repo, "dan", ACCESS_ACCEPTED, NULL, NULL), ERR_NOT_FOUND);
	assert_int_equal(access_decide(ns, "ada", &repo, "bob", ACCESS_ACCEPTED, NULL, NULL), 0);
	assert_int_equal(access_decide(ns, "ada", &repo, "bob", ACCESS_ACCEPTED, NULL, NULL), ERR_EXISTS);
	struct access_request found;
	assert_int_equal(access_get(ns, &repo, "BOB", &found), 0);
	assert_int_equal(found.status, ACCESS_ACCEPTED);
	assert_string_equal(found.decided_by, "ada");
	assert_string_equal(found.fields, "{\"a\":1}");
	assert_int_equal(access_grant(ns, "ada", &repo, "dan", NULL), 0);
	assert_int_equal(access_grant(ns, "ada", &repo, "dan", NULL), ERR_EXISTS);
	assert_int_equal(access_list(ns, &repo, ACCESS_ACCEPTED, 0, NULL, count_requests, names), 0);
	assert_int_equal(strlen(names), strlen("dan carl Bob "));
	assert_int_equal(access_cancel(ns, "dan", &repo, "dan", NULL), 0);
	assert_int_equal(access_get(ns, &repo, "dan", &found), ERR_NOT_FOUND);
	names[0] = 0;
	assert_int_equal(access_list(ns, &repo, ACCESS_PENDING, 0, NULL, count_requests, names), 0);
	assert_string_equal(names, "");
}

static void all_of_it_goes_with_the_repository(void **state)
{
	(void)state;
	uint64_t number = open_pull_request(1, 2);
	assert_int_equal(access_ask(ns, "bob", &repo, false, "", NULL), 0);
	assert_int_equal(repo_delete(ns, "ada", &repo, NULL), 0);
	struct discussion found;
	struct access_request request;
	assert_int_equal(discussion_get(ns, &repo, number, &found), ERR_NOT_FOUND);
	assert_int_equal(events_of(number).count, 0);
	assert_int_equal(access_get(ns, &repo, "bob", &request), ERR_NOT_FOUND);
	struct discussion_opening opening = { .title = "late", .status = DISCUSSION_OPEN };
	assert_int_equal(discussion_open(ns, "bob", &repo, &opening, &number, NULL), ERR_NOT_FOUND);
	assert_int_equal(access_ask(ns, "bob", &repo, false, "", NULL), ERR_NOT_FOUND);
}

static void only_its_own_number_is_read_from_a_ref(void **state)
{
	(void)state;
	assert_int_equal(pull_request_of_ref("refs/pr/12"), 12);
	const char *const others[] = { "refs/pr/", "refs/pr/0", "refs/pr/01", "refs/pr/1/head", "refs/pr/x", "refs/heads/pr/1", "refs/pr/99999999999999999999" };
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(pull_request_of_ref(others[i]), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(discussions_and_pull_requests_share_their_numbers), TEST(a_ref_made_by_other_means_keeps_its_number),
		TEST(everything_that_happens_is_an_event), TEST(an_edited_comment_keeps_its_earlier_text_until_it_is_hidden),
		TEST(a_status_is_set_once_and_never_after_a_merge), TEST(a_merge_needs_both_refs_where_it_was_made_for),
		TEST(what_is_deleted_takes_its_ref_along), TEST(a_text_or_title_that_is_too_long_is_refused), TEST(discussions_are_listed_newest_first),
		TEST(followers_see_a_merge_as_a_moved_branch_and_a_status), TEST(requests_go_from_pending_to_a_decision_and_back),
		TEST(all_of_it_goes_with_the_repository), TEST(only_its_own_number_is_read_from_a_ref),
	};
	return cmocka_run_group_tests_name("discussion", tests, NULL, NULL);
}
