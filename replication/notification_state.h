/* notification_state.h - how notifications are kept and what their commands carry. Private to replication/.
 *
 *   notification.c         applying
 *   notification_access.c  proposing and reading
 *
 * Of NOTIFY: [event, joins, [[user, reasons], ...]]. Of NOTIFICATIONS_CHANGE: [user, action, [place, ...]]. */
#ifndef CAIRN_REPLICATION_NOTIFICATION_STATE_H
#define CAIRN_REPLICATION_NOTIFICATION_STATE_H

#include "replication/community_keys.h"
#include "replication/namespace_state.h"
#include "replication/notification.h"

enum { FORGOTTEN_AT_ONCE = 1000 };

extern const struct schema notification_schema;

struct inbox {
	uint64_t last, count; /* place given last; how many are in it */
	uint64_t off;         /* kinds of messages */
};
extern const struct schema inbox_schema;

enum wish_kind { WISH_WATCH = 1, WISH_SUBSCRIPTION = 2, WISH_SETTINGS = 3 };

/* Of NOTIFICATION_WISH: a record. */
struct wish_body {
	char user[NAME_BYTES_MAX + 1];
	enum wish_kind wish;
	enum watch_kind kind;  /* WISH_WATCH */
	struct entity_id id;   /* of what is watched, or of the repository */
	uint64_t number;       /* of the discussion */
	uint64_t value;        /* state, or kinds that are off */
};
extern const struct schema wish_schema;

/* Of NOTIFICATIONS_FORGET: a record. */
struct forget_body {
	struct entity_id repo;
	uint64_t number;       /* 0: all */
};
extern const struct schema forget_schema;

#endif
