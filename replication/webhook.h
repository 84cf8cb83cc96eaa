/* webhook.h - who wants to be told of what, where, and what became of telling them.
 *
 * DESIGN. A webhook belongs to a user and watches namespaces and repositories by name. What it watches is indexed by name, so that finding the webhooks for
 * a change costs as much as there are webhooks for it. Each webhook remembers the last change of each group that it was told of (changes.h): deliveries
 * are in order per webhook, and one that is logged is not made again after a restart. The log keeps the newest WEBHOOK_LOG_MAX deliveries of each webhook. All in
 * group 0. */
#ifndef CAIRN_REPLICATION_WEBHOOK_H
#define CAIRN_REPLICATION_WEBHOOK_H

#include "replication/namespace.h"

enum {
	WEBHOOK_URL_BYTES_MAX = 2048,
	WEBHOOK_SECRET_BYTES_MAX = 256,
	WEBHOOK_WATCHED_MAX = 100,
	WEBHOOKS_PER_USER_MAX = 100,
	WEBHOOK_LOG_MAX = 50,
	WEBHOOK_PAYLOAD_BYTES_MAX = 128 << 10,
	WEBHOOK_FAILURES_MAX = 10,   /* deliveries given up in a row: then it is disabled */
	WEBHOOK_ERROR_BYTES_MAX = 200,
};

enum webhook_domain { WEBHOOK_REPO = 1, WEBHOOK_DISCUSSION = 2 };
enum watched_kind { WATCHED_USER = 1, WATCHED_ORG = 2, WATCHED_MODEL = 3, WATCHED_DATASET = 4, WATCHED_SPACE = 5, WATCHED_KERNEL = 6 };

struct watched {
	enum watched_kind kind;
	char name[REPO_ID_BYTES_MAX];
};

struct webhook {
	struct entity_id id;
	char owner[NAME_BYTES_MAX + 1];
	char url[WEBHOOK_URL_BYTES_MAX + 1];
	char secret[WEBHOOK_SECRET_BYTES_MAX + 1];
	char base_url[256];          /* of this hub, as its owner addressed it: begins the addresses in payloads */
	uint32_t domains;            /* enum webhook_domain bits */
	bool disabled;
	int64_t created_ms, since_ms; /* since_ms: created or enabled; earlier changes are not told */
	uint64_t failures;           /* deliveries given up in a row */
	uint64_t told_cluster, told_repos; /* the last changes it was told of, by group */
	uint64_t deliveries;         /* ever: numbers the log */
	uint32_t watched_count;
	struct watched watched[WEBHOOK_WATCHED_MAX];
};

struct webhook_delivery {
	uint64_t number;
	int64_t when_ms;
	uint32_t status;             /* HTTP status; 0: no answer */
	uint32_t attempts;
	bool delivered, replayed;
	uint32_t group;              /* of the change; replays: unused */
	uint64_t change;
	char error[WEBHOOK_ERROR_BYTES_MAX + 1];
};

/* [blocks] Creates (id zero: made and filled in) or replaces a webhook: url, secret, base_url, domains, watched, disabled. ERR_TOO_BIG: the user has too many;
 * ERR_NOT_FOUND: no such webhook of `hook->owner`. Enabling forgets earlier failures, and changes from before. */
int webhook_put(struct namespace *ns, const char *actor, struct webhook *hook, struct why *why);
int webhook_delete(struct namespace *ns, const char *actor, const struct entity_id *id, struct why *why);
/* [blocks] Logs a delivery; counts failures, and disables after too many. ERR_NOT_FOUND: the webhook is gone. */
int webhook_log(struct namespace *ns, const struct entity_id *id, const struct webhook_delivery *delivery, struct span payload, struct why *why);

int webhook_get(struct namespace *ns, const struct entity_id *id, struct webhook *out); /* 0, ERR_NOT_FOUND */
/* Ids of a user's webhooks. Non-zero from `each` stops every listing here and is returned. */
int webhook_list(struct namespace *ns, const char *owner, int (*each)(void *context, const struct entity_id *id), void *context);
/* Ids of the webhooks that watch this name: a namespace, or "owner/name" of a type. */
int webhook_watching(struct namespace *ns, enum watched_kind kind, const char *name, int (*each)(void *context, const struct entity_id *id), void *context);
/* Newest first; `payload` lives as long as the call. */
int webhook_log_list(struct namespace *ns, const struct entity_id *id, int (*each)(void *context, const struct webhook_delivery *delivery, struct span payload),
	void *context);
/* True when any webhook exists. */
bool webhook_any(struct namespace *ns);

#endif
