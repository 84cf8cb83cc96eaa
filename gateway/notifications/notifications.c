#include "gateway/notifications/notifications.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "gateway/leading.h"
#include "gateway/notifications/recipients.h"
#include "gateway/process.h"
#include "replication/changes.h"
#include "replication/discussion.h"
#include "replication/gate.h"

enum {
	GROUPS = 2,
	IDLE_MS_MAX = 5000,
	SAVE_MS = 2000,          /* after a change: how late the position is stored */
	ROUND_MS_MIN = 20,       /* between looks at the changes, however often they come */
	FAILED_MS = 500,         /* the state could not be read or written */
	BARRIER_MS = 2000,
	POSITION_LAG_MAX = 1024, /* changes read again after a crash, at most */
};

static const char follower[] = "notifications";

struct notifications {
	struct gateway *gateway;
	pthread_t thread;
	atomic_bool stopping;
	bool leading;
	uint64_t read[GROUPS], saved[GROUPS]; /* numbers of changes: read last, stored last as position */
	int64_t read_ms;                      /* when something was read last */
	bool failed;
};

struct reading {
	struct notifications *notifications;
	uint32_t group;
};

/* ------------------------------------------------------------------ from a change to those whom it concerns */

static int tell(struct gateway *gateway, const struct notification *event, bool joins, const struct recipients *recipients)
{
	size_t at = 0;
	int err = 0;
	do {
		struct why why = { 0 };
		size_t left = recipients->count - at, count = left < NOTIFY_RECIPIENTS_MAX ? left : NOTIFY_RECIPIENTS_MAX;
		if (count || joins)
			err = notify(gateway->ns, event, joins, recipients->list + at, count, &why);
		at += count;
		joins = false;
	} while (err == 0 && at < recipients->count);
	return err;
}

/* A repository is of another group than the changes in it, and what was told of that one may be applied here later. ERR_NOT_FOUND: it is gone. */
static int find_repo(struct gateway *gateway, const struct change *change, struct repo *out)
{
	int err = repo_get_record(gateway->ns, NULL, &change->repo, out);
	if (err != ERR_NOT_FOUND)
		return err;
	int late = consensus_read_barrier(namespace_consensus(gateway->ns), GROUP_CLUSTER, BARRIER_MS, NULL);
	return late ? late : repo_get_record(gateway->ns, NULL, &change->repo, out);
}

struct found_event {
	struct discussion_event event;
	struct buffer text;
	bool wants_text;
};

static int take_event(void *context, const struct discussion_event *event, struct span text)
{
	struct found_event *found = context;
	found->event = *event;
	if (found->wants_text && !event->hidden)
		buffer_append(&found->text, text.data, text.length);
	return 1;
}

/* `event` 0: the newest. */
static int tell_discussion(struct gateway *gateway, const struct change *change, uint64_t number, uint64_t event, bool says)
{
	struct repo repo;
	struct discussion discussion;
	struct recipients recipients = { 0 };
	struct found_event found = { .wants_text = says };
	int err = find_repo(gateway, change, &repo);
	if (err == 0)
		err = discussion_get(gateway->ns, &change->repo, number, &discussion);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err; /* gone meanwhile */
	event = event ? event : discussion.events_count;
	buffer_init(&found.text, COMMENT_BYTES_MAX);
	err = event ? discussion_events(gateway->ns, &change->repo, number, event - 1, take_event, &found) : 0;
	if (err == 1) {
		struct notification told = { .repo = repo.id, .subject = discussion.id, .discussion = number, .event = event, .event_id = found.event.id,
			.updated_ms = change->when_ms };
		memcpy(told.actor, change->actor, sizeof(told.actor));
		err = recipients_of_discussion(gateway, &repo, number, buffer_span(&found.text), change->actor, &recipients);
		if (err == 0)
			err = tell(gateway, &told, says, &recipients);
		recipients_fini(&recipients);
	}
	buffer_fini(&found.text);
	return err;
}

/* The change's owner is the user whom the request is of, its action what the request is now; 0: it was taken back. */
static int tell_access(struct gateway *gateway, const struct change *change)
{
	struct repo repo;
	struct recipients recipients = { 0 };
	int err = find_repo(gateway, change, &repo);
	if (err || change->action == 0)
		return err == ERR_NOT_FOUND ? 0 : err;
	struct notification told = { .repo = repo.id, .subject = repo.id, .event = change->number, .updated_ms = change->when_ms, .access = change->action };
	memcpy(told.actor, change->owner, sizeof(told.actor));
	bool asks = strcasecmp(change->actor, change->owner) == 0;
	if (!asks && change->action == ACCESS_PENDING)
		return 0; /* a decision taken back */
	err = asks ? recipients_of_access(gateway, &repo, change->actor, &recipients) : recipients_of_decision(gateway, change->owner, &recipients);
	if (err == 0)
		err = tell(gateway, &told, false, &recipients);
	recipients_fini(&recipients);
	return err;
}

static int tell_push(struct gateway *gateway, const struct change *change)
{
	static const struct oid zero;
	uint64_t number = pull_request_of_ref(change->ref);
	bool moved = memcmp(&change->old_oid, &zero, sizeof(zero)) != 0 && memcmp(&change->new_oid, &zero, sizeof(zero)) != 0;
	return number && moved ? tell_discussion(gateway, change, number, 0, false) : 0;
}

static int tell_change(struct gateway *gateway, const struct change *change)
{
	struct why why = { 0 };
	switch (change->type) {
	case COMMAND_DISCUSSION_OPEN:
	case COMMAND_DISCUSSION_COMMENT:
		return tell_discussion(gateway, change, change->item, change->event, true);
	case COMMAND_DISCUSSION_UPDATE:
		return change->action == EVENT_STATUS ? tell_discussion(gateway, change, change->item, change->event, false) : 0;
	case COMMAND_PULL_REQUEST_MERGE:
		return tell_discussion(gateway, change, change->item, change->event, false);
	case COMMAND_REFS_UPDATE:
		return tell_push(gateway, change);
	case COMMAND_ACCESS:
		return tell_access(gateway, change);
	case COMMAND_DISCUSSION_DELETE:
		return notifications_forget(gateway->ns, &change->repo, change->item, &why);
	case COMMAND_REPO_DELETE:
		return notifications_forget(gateway->ns, &change->repo, 0, &why);
	default:
		return 0;
	}
}

/* ------------------------------------------------------------------ the thread */

/* What is wrong with the change itself, and will be the next time. */
static bool is_hopeless(int err)
{
	return err == ERR_INVALID || err == ERR_NOT_FOUND || err == ERR_TOO_BIG || err == ERR_CORRUPT;
}

static int read_change(void *context, const struct change *change)
{
	struct reading *reading = context;
	struct notifications *notifications = reading->notifications;
	if (notifications->stopping)
		return 1;
	int err = tell_change(notifications->gateway, change);
	if (err && !is_hopeless(err))
		return err;
	if (err)
		fprintf(stderr, "cairnd: nobody was told of change %llu of group %u: %s\n", (unsigned long long)change->number, reading->group, err_name(err));
	notifications->read[reading->group] = change->number;
	notifications->read_ms = unix_ms();
	return 0;
}

static void read_changes(struct notifications *notifications)
{
	struct namespace *ns = notifications->gateway->ns;
	notifications->failed = false;
	for (uint32_t group = 0; group < GROUPS; group++) {
		struct reading reading = { .notifications = notifications, .group = group };
		int err = changes_read(ns, group, notifications->read[group], read_change, &reading);
		if (err == ERR_RANGE) {
			fprintf(stderr, "cairnd: notifications fell behind: those of some changes behind %llu of group %u are lost\n",
				(unsigned long long)notifications->read[group], group);
			changes_last(ns, group, &notifications->read[group]);
		} else if (err < 0) {
			notifications->failed = true;
		}
	}
}

static void save_position(struct notifications *notifications, bool now)
{
	const uint64_t *read = notifications->read, *saved = notifications->saved;
	bool moved = read[0] != saved[0] || read[1] != saved[1];
	bool lags = read[0] >= saved[0] + POSITION_LAG_MAX || read[1] >= saved[1] + POSITION_LAG_MAX || unix_ms() >= notifications->read_ms + SAVE_MS;
	struct changes_position position = { .cluster = read[GROUP_CLUSTER], .repos = read[GROUP_REPOS] };
	if (moved && (now || lags) && changes_position_put(notifications->gateway->ns, follower, &position, NULL) == 0)
		memcpy(notifications->saved, read, sizeof(notifications->saved));
}

/* Goes on where the last leader was. */
static void begin(struct notifications *notifications)
{
	struct namespace *ns = notifications->gateway->ns;
	struct changes_position position;
	if (changes_position_get(ns, follower, &position) != 0)
		return;
	notifications->read[GROUP_CLUSTER] = notifications->saved[GROUP_CLUSTER] = position.cluster;
	notifications->read[GROUP_REPOS] = notifications->saved[GROUP_REPOS] = position.repos;
	if (position.cluster == 0 && position.repos == 0) {
		changes_last(ns, GROUP_CLUSTER, &notifications->read[GROUP_CLUSTER]);
		changes_last(ns, GROUP_REPOS, &notifications->read[GROUP_REPOS]);
		if (notifications->read[GROUP_CLUSTER] == 0)
			return; /* before the first change of all, which concerns nobody: a position of zeros would say to the next leader that nobody has begun */
		save_position(notifications, true);
	}
	notifications->leading = true;
}

static void *run(void *context)
{
	struct notifications *notifications = context;
	struct namespace *ns = notifications->gateway->ns;
	struct leading watch;
	int err = leading_init(&watch);
	while (err == 0 && !notifications->stopping) {
		uint64_t version = namespace_version(ns);
		bool leads = leading_now(&watch, ns);
		if (leads && !notifications->leading)
			begin(notifications);
		notifications->leading = notifications->leading && leads;
		if (notifications->leading) {
			read_changes(notifications);
			save_position(notifications, false);
		}
		bool unsaved = memcmp(notifications->read, notifications->saved, sizeof(notifications->saved)) != 0;
		changes_wait(ns, version, notifications->failed ? FAILED_MS : notifications->leading && unsaved ? SAVE_MS : IDLE_MS_MAX);
		if (!notifications->stopping)
			usleep((notifications->failed ? FAILED_MS : ROUND_MS_MIN) * 1000);
	}
	if (notifications->leading)
		save_position(notifications, true);
	leading_fini(&watch);
	return NULL;
}

int notifications_open(struct notifications **out, struct gateway *gateway, struct why *why)
{
	*out = NULL;
	struct notifications *notifications = calloc(1, sizeof(*notifications));
	if (!notifications)
		return why_set(why, ERR_NO_MEMORY, "no memory for notifications");
	notifications->gateway = gateway;
	if (pthread_create(&notifications->thread, NULL, run, notifications) != 0) {
		free(notifications);
		return why_set(why, ERR_NO_MEMORY, "notifications cannot be started");
	}
	*out = notifications;
	return 0;
}

void notifications_close(struct notifications *notifications)
{
	if (!notifications)
		return;
	notifications->stopping = true;
	changes_wake(notifications->gateway->ns);
	pthread_join(notifications->thread, NULL);
	free(notifications);
}
