/* Inboxes: one entry for each subject, bounded, and the same event twice is once. */
#include "replication/notification.h"

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

static struct entity_id repo_id(uint8_t number)
{
	return (struct entity_id){ { number } };
}

static void tell(uint8_t repo, uint64_t discussion, uint64_t event, const char *user, uint32_t reasons)
{
	struct notification told = { .repo = repo_id(repo), .subject = repo_id(repo), .discussion = discussion, .event = event, .updated_ms = (int64_t)event,
		.actor = "speaker" };
	struct recipient recipient = { .reasons = reasons };
	strcpy(recipient.user, user);
	assert_int_equal(notify(ns, &told, true, &recipient, 1, NULL), 0);
}

struct inbox {
	struct notification list[NOTIFICATIONS_MAX + 1];
	size_t count;
};

static int take(void *context, const struct notification *notification)
{
	struct inbox *inbox = context;
	inbox->list[inbox->count++] = *notification;
	return inbox->count > NOTIFICATIONS_MAX;
}

static void read_inbox(const char *user, struct inbox *out)
{
	out->count = 0;
	assert_int_equal(notification_list(ns, user, take, out), 0);
}

static void a_newer_event_moves_the_notification_to_the_end(void **state)
{
	(void)state;
	static struct inbox inbox;
	tell(1, 1, 1, "ada", NOTIFIED_WATCHING);
	tell(1, 2, 1, "ADA", NOTIFIED_WATCHING);
	tell(1, 1, 2, "ada", NOTIFIED_MENTIONED);
	read_inbox("Ada", &inbox);
	assert_int_equal(inbox.count, 2);
	assert_int_equal(inbox.list[0].discussion, 2);
	assert_int_equal(inbox.list[1].discussion, 1);
	assert_int_equal(inbox.list[1].event, 2);
	assert_int_equal(inbox.list[1].reasons, NOTIFIED_WATCHING | NOTIFIED_MENTIONED);
}

static void the_same_event_twice_changes_nothing_but_the_reasons(void **state)
{
	(void)state;
	static struct inbox inbox;
	tell(2, 1, 5, "bea", NOTIFIED_WATCHING);
	read_inbox("bea", &inbox);
	assert_int_equal(notifications_change(ns, "bea", NOTIFICATION_READ, &inbox.list[0].place, 1, NULL), 0);
	tell(2, 1, 5, "bea", NOTIFIED_MENTIONED);
	tell(2, 1, 4, "bea", NOTIFIED_PARTICIPATING);
	read_inbox("bea", &inbox);
	assert_int_equal(inbox.count, 1);
	assert_true(inbox.list[0].read);
	assert_int_equal(inbox.list[0].event, 5);
	assert_int_equal(inbox.list[0].reasons, NOTIFIED_WATCHING | NOTIFIED_MENTIONED | NOTIFIED_PARTICIPATING);
}

static void what_moved_on_meanwhile_stays_unread(void **state)
{
	(void)state;
	static struct inbox inbox;
	tell(3, 1, 1, "cid", NOTIFIED_WATCHING);
	read_inbox("cid", &inbox);
	uint64_t seen = inbox.list[0].place;
	tell(3, 1, 2, "cid", NOTIFIED_WATCHING);
	assert_int_equal(notifications_change(ns, "cid", NOTIFICATION_READ, &seen, 1, NULL), 0);
	assert_int_equal(notifications_change(ns, "cid", NOTIFICATION_DELETE, &seen, 1, NULL), 0);
	read_inbox("cid", &inbox);
	assert_int_equal(inbox.count, 1);
	assert_false(inbox.list[0].read);
	assert_int_equal(notifications_change(ns, "cid", NOTIFICATION_DELETE, &inbox.list[0].place, 1, NULL), 0);
	read_inbox("cid", &inbox);
	assert_int_equal(inbox.count, 0);
	tell(3, 1, 3, "cid", NOTIFIED_WATCHING);
	read_inbox("cid", &inbox);
	assert_int_equal(inbox.count, 1);
}

static void the_oldest_makes_room(void **state)
{
	(void)state;
	static struct inbox inbox;
	for (uint64_t number = 1; number <= NOTIFICATIONS_MAX + 2; number++)
		tell(4, number, 1, "dot", NOTIFIED_WATCHING);
	read_inbox("dot", &inbox);
	assert_int_equal(inbox.count, NOTIFICATIONS_MAX);
	assert_int_equal(inbox.list[0].discussion, 3);
	tell(4, 3, 2, "dot", NOTIFIED_WATCHING); /* moves: nothing needs to go */
	read_inbox("dot", &inbox);
	assert_int_equal(inbox.count, NOTIFICATIONS_MAX);
	assert_int_equal(inbox.list[0].discussion, 4);
	assert_int_equal(inbox.list[NOTIFICATIONS_MAX - 1].discussion, 3);
}

static int count_subscriber(void *context, const char *user, enum subscription subscription)
{
	(void)user;
	*(size_t *)context += subscription != SUBSCRIPTION_NONE;
	return 0;
}

static int count_watcher(void *context, const char *user, enum watch_state watch)
{
	(void)user;
	*(size_t *)context += watch == WATCH_YES;
	return 0;
}

static void who_speaks_takes_part_but_a_word_of_their_own_counts_more(void **state)
{
	(void)state;
	struct entity_id repo = repo_id(5);
	tell(5, 1, 1, "eve", NOTIFIED_WATCHING);
	assert_int_equal(subscription_get(ns, "Speaker", &repo, 1), SUBSCRIPTION_PARTICIPATES);
	assert_int_equal(subscription_set(ns, "speaker", &repo, 1, SUBSCRIPTION_MUTED, NULL), 0);
	tell(5, 1, 2, "eve", NOTIFIED_WATCHING);
	assert_int_equal(subscription_get(ns, "speaker", &repo, 1), SUBSCRIPTION_MUTED);
	assert_int_equal(subscription_set(ns, "speaker", &repo, 1, SUBSCRIPTION_NONE, NULL), 0);
	assert_int_equal(subscription_get(ns, "speaker", &repo, 1), SUBSCRIPTION_NONE);
	assert_int_not_equal(subscription_set(ns, "speaker", &repo, 0, SUBSCRIPTION_MUTED, NULL), 0);
}

static void a_repository_that_goes_is_forgotten(void **state)
{
	(void)state;
	struct entity_id repo = repo_id(6), other = repo_id(7);
	char user[32];
	for (int i = 0; i < 1100; i++) { /* more than one command forgets */
		snprintf(user, sizeof(user), "fan-%d", i);
		assert_int_equal(subscription_set(ns, user, &repo, 1 + (uint64_t)i % 3, SUBSCRIPTION_WANTED, NULL), 0);
	}
	for (int i = 0; i < 10; i++) {
		snprintf(user, sizeof(user), "fan-%d", i);
		assert_int_equal(watch_set(ns, user, WATCH_REPO, &repo, WATCH_YES, NULL), 0);
		assert_int_equal(watch_set(ns, user, WATCH_REPO, &other, WATCH_YES, NULL), 0);
	}
	assert_int_equal(notifications_forget(ns, &repo, 2, NULL), 0);
	assert_int_equal(subscription_get(ns, "fan-1", &repo, 2), SUBSCRIPTION_NONE);
	assert_int_equal(subscription_get(ns, "fan-0", &repo, 1), SUBSCRIPTION_WANTED);
	assert_int_equal(notifications_forget(ns, &repo, 0, NULL), 0);
	size_t subscribers = 0, watchers = 0, others = 0;
	for (uint64_t number = 1; number <= 3; number++)
		assert_int_equal(subscription_list(ns, &repo, number, count_subscriber, &subscribers), 0);
	assert_int_equal(watcher_list(ns, &repo, count_watcher, &watchers), 0);
	assert_int_equal(watcher_list(ns, &other, count_watcher, &others), 0);
	assert_int_equal(subscribers + watchers, 0);
	assert_int_equal(others, 10);
}

static int count_watch(void *context, enum watch_kind kind, const struct entity_id *id, enum watch_state watch)
{
	(void)kind;
	(void)id;
	*(size_t *)context += watch != WATCH_UNSAID;
	return 0;
}

static void a_user_watches_so_many_and_no_more(void **state)
{
	(void)state;
	size_t count = 0;
	for (int i = 0; i < WATCHES_MAX; i++)
		assert_int_equal(watch_set(ns, "gus", WATCH_USER, &(struct entity_id){ { 9, (uint8_t)i, (uint8_t)(i >> 8) } }, WATCH_YES, NULL), 0);
	assert_int_equal(watch_set(ns, "gus", WATCH_ORG, &(struct entity_id){ { 8 } }, WATCH_YES, NULL), ERR_TOO_BIG);
	assert_int_equal(watch_set(ns, "gus", WATCH_USER, &(struct entity_id){ { 9 } }, WATCH_NO, NULL), 0);
	assert_int_equal(watch_set(ns, "gus", WATCH_USER, &(struct entity_id){ { 9 } }, WATCH_UNSAID, NULL), 0);
	assert_int_equal(watch_set(ns, "gus", WATCH_ORG, &(struct entity_id){ { 8 } }, WATCH_YES, NULL), 0);
	assert_int_equal(watch_list(ns, "gus", count_watch, &count), 0);
	assert_int_equal(count, WATCHES_MAX);
	uint64_t off = 0;
	assert_int_equal(notification_settings_set(ns, "gus", 5, NULL), 0);
	assert_int_equal(notification_settings_get(ns, "gus", &off), 0);
	assert_int_equal(off, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_newer_event_moves_the_notification_to_the_end),
		cmocka_unit_test(the_same_event_twice_changes_nothing_but_the_reasons),
		cmocka_unit_test(what_moved_on_meanwhile_stays_unread),
		cmocka_unit_test(the_oldest_makes_room),
		cmocka_unit_test(who_speaks_takes_part_but_a_word_of_their_own_counts_more),
		cmocka_unit_test(a_repository_that_goes_is_forgotten),
		cmocka_unit_test(a_user_watches_so_many_and_no_more),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
