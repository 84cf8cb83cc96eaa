/* operate.c - what an operator asks of one repository: who may, and which one. */
#include "gateway/answer.h"
#include "gateway/auth/auth.h"
#include "gateway/git/git.h"

void git_operate(struct http_request *request, const struct route_match *match, http_work_fn work)
{
	static const char *const types[] = { [REPO_MODEL] = "model", [REPO_DATASET] = "dataset", [REPO_SPACE] = "space", [REPO_KERNEL] = "kernel" };
	struct actor actor;
	struct resource hub = { 0 };
	struct repo repo;
	if (auth_identify(request, &actor) != 0 || may(&actor, ACTION_OPERATE, &hub) != 0) {
		answer_err(request, ERR_DENIED, &(struct why){ "This needs the write token of an administrator" });
		return;
	}
	for (enum repo_type type = REPO_MODEL; type <= REPO_KERNEL; type++) {
		if (!span_equal(match->captures[0], span_text(types[type])) ||
			repo_find(gateway_of(request)->ns, NULL, type, match->captures[1], match->captures[2], &repo) != 0)
			continue;
		struct entity_id *id = http_alloc(request, sizeof(*id));
		*id = repo.id;
		http_work(request, work, id);
		return;
	}
	answer_err(request, ERR_NOT_FOUND, NULL);
}
