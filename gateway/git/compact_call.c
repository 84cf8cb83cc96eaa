/* compact_call.c - an operator asks for the packs of one repository to be merged now. */
#include "gateway/answer.h"
#include "gateway/auth/auth.h"
#include "gateway/git/compaction.h"
#include "gateway/git/git.h"
#include "schemas/json_writer.h"

enum { PACKS_MIN = 2 };

static void compact_work(struct http_request *request, void *context)
{
	struct gateway *gateway = gateway_of(request);
	struct compaction_report report;
	struct why why = { 0 };
	int err = repo_compact(gateway, context, PACKS_MIN, &report, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer body;
	buffer_init(&body, 256);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_u64(&json, "packs_before", report.before);
	json_u64(&json, "packs_after", report.after);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

void git_compact(struct http_request *request, const struct route_match *match)
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
		http_work(request, compact_work, id);
		return;
	}
	answer_err(request, ERR_NOT_FOUND, NULL);
}
