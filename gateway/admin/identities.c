#include <jansson.h> /* before json_writer.h */

#include "gateway/admin/identities.h"

#include "gateway/admin/admin.h"
#include "gateway/admin/admin_body.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "replication/outside_identity.h"

static void link_body(struct http_request *request, struct span text, void *context)
{
	const struct actor *actor = context;
	struct why why = { 0 };
	struct admin_body *body = admin_body_parse(text);
	int err = body ? 0 : why_set(&why, ERR_INVALID, "The body must be a JSON object");
	const char *issuer = body ? admin_body_text(body, "issuer", "", &err, &why) : "";
	const char *subject = body ? admin_body_text(body, "subject", "", &err, &why) : "", *user = body ? admin_body_text(body, "user", "", &err, &why) : "";
	if (err == 0)
		err = outside_identity_link(gateway_of(request)->ns, actor->name, issuer, subject, user, &why);
	admin_body_free(body);
	if (err)
		answer_err(request, err, &why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{}"));
}

void admin_identities_link(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = operator_open(request);
	if (actor)
		http_collect(request, ADMIN_BODY_BYTES_MAX, link_body, actor);
}
