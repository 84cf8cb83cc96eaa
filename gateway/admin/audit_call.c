/* audit_call.c - GET /api/admin/audit: the newest entries of this node's audit log. */
#include "gateway/admin/audit_call.h"

#include <stdlib.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "gateway/audit/audit.h"

static void look_back(struct http_request *request, void *context)
{
	const struct audit_query *query = context;
	struct buffer body;
	struct why why = { 0 };
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	int err = audit_look_back(gateway_of(request)->audit, query, &body, &why);
	if (err == 0) {
		answer_json(request, 200, &body);
		return;
	}
	buffer_fini(&body);
	answer_err(request, err, &why);
}

void admin_audit(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (!operator_open(request))
		return;
	struct audit_query *query = http_alloc(request, sizeof(*query));
	const char *limit = http_query_value(request, "limit", 0), *since = http_query_value(request, "since_ms", 0);
	query->actor = http_query_value(request, "actor", 0);
	query->event = http_query_value(request, "event", 0);
	query->repo = http_query_value(request, "repo", 0);
	query->limit = limit ? (unsigned)strtoul(limit, NULL, 10) : 0;
	query->since_ms = since ? strtoll(since, NULL, 10) : 0;
	http_work(request, look_back, query);
}
