/* app_tokens.h - the tokens of one user that apps hold, and those that ran out. */
#ifndef CAIRN_GATEWAY_AUTH_APP_TOKENS_H
#define CAIRN_GATEWAY_AUTH_APP_TOKENS_H

#include "gateway/gateway.h"

enum {
	APP_TOKENS_SWEPT_MAX = 64, /* at once */
	APP_TOKENS_ROUNDS_MAX = 64,
};
#define APP_TOKENS_SWEEP_AFTER_MS ((int64_t)24 * 3600 * 1000)
#define OAUTH_CODE_MS ((int64_t)2 * 60 * 1000) /* a code is good for so long */

/* [blocks] Deletes some of a user's tokens that ran out long ago. */
void app_tokens_sweep(struct namespace *ns, const char *user);
/* [blocks] Deletes every token of the user that an app holds and was made since, in Unix milliseconds. */
int app_tokens_revoke(struct namespace *ns, const char *user, const struct entity_id *app, int64_t since_ms, struct why *why);

#endif
