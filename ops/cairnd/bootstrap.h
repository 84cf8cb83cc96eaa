/* bootstrap.h - the first user and the first token. */
#ifndef CAIRN_OPS_CAIRND_BOOTSTRAP_H
#define CAIRN_OPS_CAIRND_BOOTSTRAP_H

#include "replication/namespace.h"

/* Makes the user "admin" if there is none, and writes a token of theirs to `token_file` (0600, durable) when they have none yet or `new_token`
 * says so. *made tells whether a token was written. The token is printed nowhere. */
int bootstrap_admin(struct namespace *ns, const char *token_file, bool new_token, bool *made, struct why *why);

#endif
