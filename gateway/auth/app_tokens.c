#include "gateway/auth/app_tokens.h"

#include "gateway/process.h"

struct sweep {
	int64_t before_ms;            /* those that ran out before; 0: those of `app` made since */
	const struct entity_id *app;
	int64_t since_ms;
	struct entity_id ids[APP_TOKENS_SWEPT_MAX];
	size_t count;
};

static int sweep_one(void *context, const struct token *token)
{
	struct sweep *sweep = context;
	bool wanted = token->expires_ms && token->expires_ms < sweep->before_ms;
	if (sweep->app)
		wanted = memcmp(&token->app, sweep->app, ENTITY_ID_BYTES) == 0 && token->created_ms >= sweep->since_ms;
	if (wanted)
		sweep->ids[sweep->count++] = token->id;
	return sweep->count == APP_TOKENS_SWEPT_MAX;
}

void app_tokens_sweep(struct namespace *ns, const char *user)
{
	struct sweep sweep = { .before_ms = unix_ms() - APP_TOKENS_SWEEP_AFTER_MS };
	token_list(ns, user, sweep_one, &sweep);
	for (size_t i = 0; i < sweep.count; i++)
		token_delete(ns, user, &sweep.ids[i], NULL);
}

int app_tokens_revoke(struct namespace *ns, const char *user, const struct entity_id *app, int64_t since_ms, struct why *why)
{
	struct sweep sweep = { .app = app, .since_ms = since_ms, .count = 1 };
	for (int round = 0; sweep.count > 0 && round < APP_TOKENS_ROUNDS_MAX; round++) { /* one may be renewed meanwhile */
		sweep.count = 0;
		int err = token_list(ns, user, sweep_one, &sweep);
		if (err < 0)
			return err;
		for (size_t i = 0; i < sweep.count; i++) {
			err = token_delete(ns, user, &sweep.ids[i], why);
			if (err && err != ERR_NOT_FOUND)
				return err;
		}
	}
	return 0;
}
