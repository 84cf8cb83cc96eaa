/* notification.h - what users are told of: the inbox of each, what they watch, and which discussions they follow or want no word from.
 *
 * DESIGN. Everything is in group 0, while discussions lie with their repositories: whoever follows the stream of changes (gateway/notifications) finds out whom an
 * event concerns and proposes it here, at least once. A user has one notification for each discussion, which moves to the end of the inbox with
 * every newer event; the same event a second time changes nothing. An inbox holds the newest NOTIFICATIONS_MAX. What it says is looked up when it
 * is read: a notification names a repository and a discussion and repeats nothing of them, so that it tells nobody what they may no longer see. */
#ifndef CAIRN_REPLICATION_NOTIFICATION_H
#define CAIRN_REPLICATION_NOTIFICATION_H

#include "replication/namespace.h"

enum {
	NOTIFICATIONS_MAX = 1000,       /* in one inbox: beyond, the oldest goes */
	NOTIFY_RECIPIENTS_MAX = 256,    /* of one command */
	WATCHES_MAX = 1000,             /* of one user */
	SUBSCRIBERS_MAX = 10000,        /* of one discussion: beyond, who joins is not noted */
};

/* Why somebody was told, as bits. */
enum notified { NOTIFIED_PARTICIPATING = 1, NOTIFIED_MENTIONED = 2, NOTIFIED_WATCHING = 4, NOTIFIED_ACCESS = 8 };

struct notification {
	struct entity_id repo;
	struct entity_id subject;       /* the discussion, or the repository that access was asked to */
	uint64_t discussion;            /* its number; 0: requests for access */
	uint64_t event;                 /* the newest one, by its number in the discussion; of access, by its place in the changes */
	struct entity_id event_id;      /* zero: none in particular */
	int64_t updated_ms;
	uint32_t reasons;               /* enum notified */
	uint32_t access;                /* enum access_status: what became of a request */
	char actor[NAME_BYTES_MAX + 1]; /* who did it */
	bool read;
	uint64_t place;                 /* in the inbox, growing; set by notification_list alone */
};

struct recipient {
	char user[NAME_BYTES_MAX + 1];
	uint32_t reasons;
};
/* [blocks] Tells users of one event; `joins`: its actor takes part in the discussion from now on. At most NOTIFY_RECIPIENTS_MAX. */
int notify(struct namespace *ns, const struct notification *event, bool joins, const struct recipient *recipients, size_t count, struct why *why);

enum notification_action { NOTIFICATION_READ = 1, NOTIFICATION_UNREAD = 2, NOTIFICATION_DELETE = 3 };
/* [blocks] Changes those at these places; what moved on with a newer event meanwhile stays as it is. At most NOTIFICATIONS_MAX. */
int notifications_change(struct namespace *ns, const char *user, enum notification_action action, const uint64_t *places, size_t count, struct why *why);
/* Oldest first. Non-zero from `each` stops and is returned. */
int notification_list(struct namespace *ns, const char *user, int (*each)(void *context, const struct notification *notification), void *context);

/* ---- what a user wants to hear of ---- */
/* By id: all repositories of a namespace, or one repository. Saying no matters for what is watched unasked: one's own, and one's organisations'. */
enum watch_kind { WATCH_USER = 1, WATCH_ORG = 2, WATCH_REPO = 3 };
enum watch_state { WATCH_UNSAID = 0, WATCH_YES = 1, WATCH_NO = 2 };
/* [blocks] ERR_TOO_BIG: WATCHES_MAX. */
int watch_set(struct namespace *ns, const char *user, enum watch_kind kind, const struct entity_id *id, enum watch_state state, struct why *why);
int watch_list(struct namespace *ns, const char *user, int (*each)(void *context, enum watch_kind kind, const struct entity_id *id, enum watch_state state),
	void *context);
/* Users in lower case who said something of `id`. */
int watcher_list(struct namespace *ns, const struct entity_id *id, int (*each)(void *context, const char *user, enum watch_state state), void *context);

enum subscription { SUBSCRIPTION_NONE = 0, SUBSCRIPTION_PARTICIPATES = 1, SUBSCRIPTION_WANTED = 2, SUBSCRIPTION_MUTED = 3 };
/* [blocks] SUBSCRIPTION_NONE forgets what was said. */
int subscription_set(struct namespace *ns, const char *user, const struct entity_id *repo, uint64_t number, enum subscription state, struct why *why);
enum subscription subscription_get(struct namespace *ns, const char *user, const struct entity_id *repo, uint64_t number);
int subscription_list(struct namespace *ns, const struct entity_id *repo, uint64_t number,
	int (*each)(void *context, const char *user, enum subscription state), void *context);

/* Kinds of messages that a user switched off, as bits of the view's own. */
int notification_settings_get(struct namespace *ns, const char *user, uint64_t *off);
int notification_settings_set(struct namespace *ns, const char *user, uint64_t off, struct why *why); /* [blocks] */

/* [blocks] Forgets who watches a repository that is gone and who follows its discussions, or (`number` not 0) one discussion. */
int notifications_forget(struct namespace *ns, const struct entity_id *repo, uint64_t number, struct why *why);

#endif
