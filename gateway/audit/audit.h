/* audit.h - who changed what, and, when asked for, who read what: JSON lines in a file that others keep and rotate.
 *
 * DESIGN. Changes come from the stream that the state machine keeps (replication/changes.h), so the log has what was applied and nothing else, whatever view it
 * came through. A thread follows the stream and remembers, behind each sync, how far the file is: after a crash it goes on there. Each line has its
 * group and number; the newest lines of the file are read at the start, so that nothing is there twice. When the log cannot be written the changes wait
 * in the stream, and when they have waited too long (CHANGES_KEPT) a line says how many are missing.
 *
 * Reads are told by the HTTP server when they were answered, and go through a bounded buffer: what does not fit is counted, and a line says so. No line holds
 * a token, a grant or a query.
 *
 *   {"time", "event": "repo-move", "actor", "repo": {"id", "type", "name"}, "old_name", "group": 0, "number": 17, ...}
 *   {"time", "event": "read", "actor", "address", "method", "path", "status", "request_id"}
 *
 * Threads: any. */
#ifndef CAIRN_GATEWAY_AUDIT_AUDIT_H
#define CAIRN_GATEWAY_AUDIT_AUDIT_H

#include "gateway/gateway.h"

enum {
	AUDIT_READS_BUFFER_BYTES = 1 << 20,
	AUDIT_SYNC_MS = 1000,        /* changes may be on disk in the stream and not in the log for so long */
	AUDIT_PATH_BYTES_MAX = 1024,
	AUDIT_TAIL_BYTES = 8 << 20,  /* of the file, that a look back reads */
	AUDIT_ENTRIES_MAX = 1000,    /* of one look back */
};

struct audit;
/* `file` NULL: no log, and *out is NULL. */
int audit_open(struct audit **out, struct gateway *gateway, const char *file, bool reads, struct why *why);
void audit_close(struct audit *audit); /* NULL is fine */
/* After the file was renamed away: the next line goes to a new one. */
int audit_reopen(struct audit *audit, struct why *why);
/* A request was answered. Never blocks. `audit` may be NULL. */
void audit_answered(struct audit *audit, const struct http_answered *answered);

struct audit_query {
	const char *actor, *event, *repo; /* NULL: any; `repo` is "owner/name" */
	int64_t since_ms;
	unsigned limit;
};
/* [blocks] Appends a JSON array of the newest entries that fit, oldest first. ERR_NOT_FOUND: there is no log. */
int audit_look_back(struct audit *audit, const struct audit_query *query, struct buffer *out, struct why *why);

#endif
