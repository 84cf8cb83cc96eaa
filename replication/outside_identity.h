/* outside_identity.h - who a person is elsewhere: the account here of somebody whom another OpenID provider knows.
 *
 * Providers promise that issuer and subject together stay one person's; names and addresses they do not. So those two alone lead to an account. Group 0. */
#ifndef CAIRN_REPLICATION_OUTSIDE_IDENTITY_H
#define CAIRN_REPLICATION_OUTSIDE_IDENTITY_H

#include "replication/namespace.h"

enum { SUBJECT_BYTES_MAX = 255, ISSUER_BYTES_MAX = 512 };

/* 0 and the user's name; ERR_NOT_FOUND. */
int outside_identity_find(struct namespace *ns, const char *issuer, const char *subject, char user[NAME_BYTES_MAX + 1]);
/* From now on it is this user's. ERR_EXISTS: it is somebody's already; ERR_NOT_FOUND: no such user. */
int outside_identity_link(struct namespace *ns, const char *actor, const char *issuer, const char *subject, const char *user, struct why *why);

#endif
