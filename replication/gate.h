/* gate.h - who asked for the files of a gated repository, and what was decided.
 *
 * DESIGN. Whether a repository is gated is a setting of the repository (group 0). Requests lie with the repository's content (group 1) and go with it: one per
 * user, and one key per status and time for lists, newest first. Whoever has an accepted request reads the files; gateway/auth/may.c asks
 * access_get for every read of a gated repository. */
#ifndef CAIRN_REPLICATION_GATE_H
#define CAIRN_REPLICATION_GATE_H

#include "replication/namespace.h"

enum {
	ACCESS_FIELDS_BYTES_MAX = 8192, /* JSON object of what the gate's form asked for */
	ACCESS_REASON_BYTES_MAX = 500,
};

enum access_status { ACCESS_PENDING = 1, ACCESS_ACCEPTED = 2, ACCESS_REJECTED = 3 };

struct access_request {
	char user[NAME_BYTES_MAX + 1];
	enum access_status status;
	int64_t asked_ms, decided_ms;   /* decided_ms 0: not yet */
	char decided_by[NAME_BYTES_MAX + 1];
	char reason[ACCESS_REASON_BYTES_MAX + 1];
	char fields[ACCESS_FIELDS_BYTES_MAX + 1]; /* "": none */
};

/* [blocks] A user asks: pending, or accepted at once where the gate is automatic (`accepted`). ERR_EXISTS: asked before. */
int access_ask(struct namespace *ns, const char *user, const struct entity_id *repo, bool accepted, const char *fields, struct why *why);
/* [blocks] Decides a request; ACCESS_PENDING takes a decision back. ERR_NOT_FOUND: no request; ERR_EXISTS: that is its status. */
int access_decide(struct namespace *ns, const char *actor, const struct entity_id *repo, const char *user, enum access_status status, const char *reason,
	struct why *why);
/* [blocks] Lets a user in who need not have asked. ERR_EXISTS: is in. */
int access_grant(struct namespace *ns, const char *actor, const struct entity_id *repo, const char *user, struct why *why);
/* [blocks] Removes a request, whatever its status. ERR_NOT_FOUND. */
int access_cancel(struct namespace *ns, const char *actor, const struct entity_id *repo, const char *user, struct why *why);

int access_get(struct namespace *ns, const struct entity_id *repo, const char *user, struct access_request *out); /* 0, ERR_NOT_FOUND */
/* Requests of a status, newest first, behind the request of `asked_ms` and `after` (NULL: all). Non-zero from `each` stops. */
int access_list(struct namespace *ns, const struct entity_id *repo, enum access_status status, int64_t asked_ms, const char *after,
	int (*each)(void *context, const struct access_request *request), void *context);

#endif
