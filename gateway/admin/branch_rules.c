#include "gateway/admin/branch_rules.h"

#include <stdio.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/admin_body.h"
#include "gateway/answer.h"
#include "gateway/auth/auth.h"
#include "replication/branch_rule.h"
#include "schemas/json_writer.h"

struct rules_call {
	struct actor actor;
	struct repo repo;
	const char *pattern; /* of a deletion */
};

static int find_repo(struct http_request *request, const struct route_match *match, struct repo *out)
{
	static const char *const types[] = { [REPO_MODEL] = "model", [REPO_DATASET] = "dataset", [REPO_SPACE] = "space", [REPO_KERNEL] = "kernel" };
	for (unsigned type = REPO_MODEL; type <= REPO_KERNEL; type++)
		if (span_equal(match->captures[0], span_text(types[type])))
			return repo_find(gateway_of(request)->ns, NULL, (enum repo_type)type, match->captures[1], match->captures[2], out);
	return ERR_NOT_FOUND;
}

/* NULL: answered already. */
static struct rules_call *open_call(struct http_request *request, const struct route_match *match)
{
	struct rules_call *call = http_alloc(request, sizeof(*call));
	if (auth_identify(request, &call->actor) != 0) {
		answer_bad_token(request);
		return NULL;
	}
	int err = find_repo(request, match, &call->repo);
	if (err == 0)
		err = may(&call->actor, ACTION_ADMIN, &(struct resource){ .repo = &call->repo });
	if (err == 0)
		return call;
	if (err == ERR_NOT_FOUND || err == ERR_UNAUTHENTICATED)
		answer_repo_missing(request, call->actor.anonymous);
	else
		answer_err(request, err, NULL);
	return NULL;
}

/* ------------------------------------------------------------------ listing */

static int each_rule(void *context, const struct branch_rule *rule)
{
	struct json_writer *json = context;
	json_object_begin(json, NULL);
	json_text(json, "pattern", rule->pattern);
	json_bool(json, "allow_force", rule->allow_force);
	json_bool(json, "allow_delete", rule->allow_delete);
	json_bool(json, "admins_only", rule->admins_only);
	json_object_end(json);
	return 0;
}

static void reply_rules(struct http_request *request, const struct rules_call *call)
{
	struct buffer body;
	struct json_writer json;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_array_begin(&json, NULL);
	int err = branch_rule_list(gateway_of(request)->ns, &call->repo.id, each_rule, &json);
	json_array_end(&json);
	if (err == 0) {
		answer_json(request, 200, &body);
	} else {
		buffer_fini(&body);
		answer_err(request, err, NULL);
	}
}

static void list_work(struct http_request *request, void *context)
{
	reply_rules(request, context);
}

void admin_branch_rules_list(struct http_request *request, const struct route_match *match)
{
	struct rules_call *call = open_call(request, match);
	if (call)
		http_work(request, list_work, call);
}

/* ------------------------------------------------------------------ changing */

static int read_rule(const struct admin_body *body, struct branch_rule *out, struct why *why)
{
	*out = (struct branch_rule){ 0 };
	if (!body)
		return why_set(why, ERR_INVALID, "The body must be a JSON object");
	int err = 0;
	const char *pattern = admin_body_text(body, "pattern", "", &err, why);
	out->allow_force = admin_body_bool(body, "allow_force", false, &err, why);
	out->allow_delete = admin_body_bool(body, "allow_delete", false, &err, why);
	out->admins_only = admin_body_bool(body, "admins_only", false, &err, why);
	if (err == 0 && !branch_pattern_valid(span_text(pattern)))
		return why_set(why, ERR_INVALID, "\"pattern\" must be the name of a branch, in which * stands for any characters but / and ** for any");
	if (err == 0)
		snprintf(out->pattern, sizeof(out->pattern), "%s", pattern);
	return err;
}

static void set_body(struct http_request *request, struct span text, void *context)
{
	const struct rules_call *call = context;
	struct branch_rule rule;
	struct why why = { 0 };
	struct admin_body *body = admin_body_parse(text);
	int err = read_rule(body, &rule, &why);
	admin_body_free(body);
	if (err == 0)
		err = branch_rule_set(gateway_of(request)->ns, call->actor.name, &call->repo.id, &rule, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_rules(request, call);
}

void admin_branch_rules_set(struct http_request *request, const struct route_match *match)
{
	struct rules_call *call = open_call(request, match);
	if (call)
		http_collect(request, ADMIN_BODY_BYTES_MAX, set_body, call);
}

static void delete_work(struct http_request *request, void *context)
{
	const struct rules_call *call = context;
	struct why why = { 0 };
	int err = branch_rule_delete(gateway_of(request)->ns, call->actor.name, &call->repo.id, call->pattern, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_rules(request, call);
}

void admin_branch_rules_delete(struct http_request *request, const struct route_match *match)
{
	struct rules_call *call = open_call(request, match);
	if (!call)
		return;
	call->pattern = http_query_value(request, "pattern", 0);
	if (call->pattern)
		http_work(request, delete_work, call);
	else
		answer_err(request, ERR_INVALID, &(struct why){ "\"pattern\" is missing" });
}
