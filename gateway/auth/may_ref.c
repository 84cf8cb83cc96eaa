/* may_ref.c - who may move a ref: branches and tags by the rights on the repository, refs/pr/N by who opened that pull request. Declared in auth.h. */
#include "gateway/auth/auth.h"

#include <strings.h>

#include "replication/discussion.h"

int may_move_ref(const struct actor *actor, const struct resource *resource, const char *ref)
{
	struct discussion discussion;
	uint64_t number = pull_request_of_ref(ref);
	int err = number ? discussion_get(resource->ns, &resource->repo->id, number, &discussion) : ERR_NOT_FOUND;
	if (err && err != ERR_NOT_FOUND)
		return err;
	bool is_pull_request = err == 0 && discussion.is_pull_request;
	bool is_author = is_pull_request && !actor->anonymous && strcasecmp(discussion.author, actor->name) == 0;
	err = may(actor, is_author ? ACTION_PROPOSE : ACTION_WRITE, resource);
	if (err == 0 && is_pull_request && discussion.status != DISCUSSION_OPEN && discussion.status != DISCUSSION_DRAFT)
		return ERR_CONFLICT;
	return err;
}
