#include "gateway/auth/grant_holder.h"

int grant_holder(struct gateway *gateway, const struct grant *grant, enum action action, struct actor *actor, struct repo *repo)
{
	int err = repo_get(gateway->ns, NULL, &grant->repo, repo);
	if (err == 0)
		err = auth_by_token(gateway->ns, grant->actor, &grant->token, action == ACTION_PROPOSE || action == ACTION_WRITE ? TOKEN_WRITE : TOKEN_READ, actor);
	struct resource resource = { .repo = repo, .ns = gateway->ns };
	if (err == 0)
		err = may(actor, action, &resource);
	return err == 0 || err == ERR_IO ? err : ERR_DENIED;
}
