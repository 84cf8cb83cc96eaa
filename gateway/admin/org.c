#include "gateway/admin/org.h"

#include "gateway/admin/admin.h"
#include "gateway/admin/admin_body.h"
#include "gateway/admin/operator.h"
#include "gateway/admin/people.h"
#include "gateway/answer.h"
#include "replication/org.h"

/* A call on one organisation, by an operator or one of its admins. */
struct org_call {
	struct actor actor;
	struct org org;
	char user[NAME_BYTES_MAX + 1]; /* second capture; "" when there is none */
};

static void write_org(struct json_writer *json, const struct org *org)
{
	json_object_begin(json, NULL);
	json_entity_id(json, "id", &org->id);
	json_text(json, "name", org->name);
	json_text(json, "fullname", org->fullname);
	json_text(json, "email", org->email);
	json_bool(json, "private_by_default", org->private_by_default);
	json_u64(json, "members", org->members);
	json_u64(json, "admins", org->admins);
	json_date(json, "created_at", org->created_ms);
	json_object_end(json);
}

static void reply_org(struct http_request *request, const char *name)
{
	struct org org;
	int err = org_find(gateway_of(request)->ns, name, &org);
	if (err) {
		answer_err(request, err, NULL);
		return;
	}
	struct buffer out;
	buffer_init(&out, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &out);
	write_org(&json, &org);
	answer_json(request, 200, &out);
}

static void reply_done(struct http_request *request, int err, const struct why *why)
{
	if (err)
		answer_err(request, err, why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{}"));
}

static int copy(char *out, size_t size, const char *text, const char *key, struct why *why)
{
	if (strlen(text) >= size)
		return why_set(why, ERR_INVALID, "\"%s\" is longer than %zu bytes", key, size - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

/* NULL: answered already. */
static struct org_call *org_open(struct http_request *request, const struct route_match *match)
{
	struct org_call *call = http_alloc(request, sizeof(*call));
	if (auth_identify(request, &call->actor) != 0) {
		answer_bad_token(request);
		return NULL;
	}
	const char *name = http_decode(request, match->captures[0], false);
	const char *user = match->count > 1 ? http_decode(request, match->captures[1], false) : "";
	struct resource resource = { .owner = name ? name : "" };
	int err = may(&call->actor, ACTION_ORG_ADMIN, &resource);
	if (err == 0 && (!name || !user || strlen(user) > NAME_BYTES_MAX))
		err = ERR_INVALID;
	if (err == 0)
		err = org_find(gateway_of(request)->ns, name, &call->org);
	if (err == ERR_UNAUTHENTICATED) {
		answer_login(request);
		return NULL;
	}
	if (err) {
		answer_err(request, err, NULL);
		return NULL;
	}
	memcpy(call->user, user, strlen(user) + 1);
	return call;
}

/* ------------------------------------------------------------------ organisations */

static int each_org(void *context, const struct org *org)
{
	write_org(context, org);
	return 0;
}

static void orgs_work(struct http_request *request, void *context)
{
	(void)context;
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_array_begin(&json, NULL);
	org_list(gateway_of(request)->ns, NULL, each_org, &json);
	json_array_end(&json);
	answer_json(request, 200, &body);
}

void admin_orgs_list(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (operator_open(request))
		http_work(request, orgs_work, NULL);
}

/* What may be changed later; what the body does not name stays. */
static int read_profile(const struct admin_body *body, struct org *org, struct why *why)
{
	int err = 0;
	const char *fullname = admin_body_text(body, "fullname", org->fullname, &err, why);
	const char *email = admin_body_text(body, "email", org->email, &err, why);
	org->private_by_default = admin_body_bool(body, "private_by_default", org->private_by_default, &err, why);
	if (err == 0 && fullname != org->fullname)
		err = copy(org->fullname, sizeof(org->fullname), fullname, "fullname", why);
	if (err == 0 && email != org->email)
		err = copy(org->email, sizeof(org->email), email, "email", why);
	return err;
}

static void create_body(struct http_request *request, struct span text, void *context)
{
	const struct actor *actor = context;
	struct org org = { 0 };
	struct why why = { 0 };
	struct admin_body *body = admin_body_parse(text);
	int err = body ? 0 : why_set(&why, ERR_INVALID, "The body must be a JSON object");
	const char *name = body ? admin_body_text(body, "name", "", &err, &why) : "", *admin = body ? admin_body_text(body, "admin", "", &err, &why) : "";
	if (err == 0)
		err = read_profile(body, &org, &why);
	if (err == 0 && user_name_reserved(name))
		err = why_set(&why, ERR_INVALID, "The name \"%s\" is reserved", name);
	if (err == 0)
		err = copy(org.name, sizeof(org.name), name, "name", &why);
	if (err == 0)
		err = org_create(gateway_of(request)->ns, actor->name, &org, admin, &why);
	admin_body_free(body);
	if (err)
		answer_err(request, err, &why);
	else
		reply_org(request, org.name);
}

void admin_orgs_create(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = operator_open(request);
	if (actor)
		http_collect(request, ADMIN_BODY_BYTES_MAX, create_body, actor);
}

static void update_body(struct http_request *request, struct span text, void *context)
{
	struct org_call *call = context;
	struct why why = { 0 };
	struct admin_body *body = admin_body_parse(text);
	int err = body ? read_profile(body, &call->org, &why) : why_set(&why, ERR_INVALID, "The body must be a JSON object");
	if (err == 0)
		err = org_update(gateway_of(request)->ns, call->actor.name, &call->org, &why);
	admin_body_free(body);
	if (err)
		answer_err(request, err, &why);
	else
		reply_org(request, call->org.name);
}

void admin_orgs_update(struct http_request *request, const struct route_match *match)
{
	struct org_call *call = org_open(request, match);
	if (call)
		http_collect(request, ADMIN_BODY_BYTES_MAX, update_body, call);
}

static void delete_work(struct http_request *request, void *context)
{
	const struct org_call *call = context;
	struct why why = { 0 };
	reply_done(request, org_delete(gateway_of(request)->ns, call->actor.name, call->org.name, &why), &why);
}

void admin_orgs_delete(struct http_request *request, const struct route_match *match)
{
	struct org_call *call = org_open(request, match);
	if (call)
		http_work(request, delete_work, call);
}

/* ------------------------------------------------------------------ members */

static int each_member(void *context, const struct member *member)
{
	struct json_writer *json = context;
	json_object_begin(json, NULL);
	json_text(json, "user", member->user);
	json_text(json, "role", org_role_name(member->role));
	json_date(json, "since", member->since_ms);
	json_object_end(json);
	return 0;
}

static void members_work(struct http_request *request, void *context)
{
	const struct org_call *call = context;
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_array_begin(&json, NULL);
	member_list(gateway_of(request)->ns, call->org.name, NULL, each_member, &json);
	json_array_end(&json);
	answer_json(request, 200, &body);
}

void admin_members_list(struct http_request *request, const struct route_match *match)
{
	struct org_call *call = org_open(request, match);
	if (call)
		http_work(request, members_work, call);
}

static void set_body(struct http_request *request, struct span text, void *context)
{
	const struct org_call *call = context;
	struct why why = { 0 };
	struct admin_body *body = admin_body_parse(text);
	int err = body ? 0 : why_set(&why, ERR_INVALID, "The body must be a JSON object");
	enum org_role role = body ? org_role_named(admin_body_text(body, "role", "", &err, &why)) : ORG_ROLE_NONE;
	admin_body_free(body);
	if (err == 0 && role == ORG_ROLE_NONE)
		err = why_set(&why, ERR_INVALID, "\"role\" must be read, contributor, write or admin");
	if (err == 0)
		err = member_set(gateway_of(request)->ns, call->actor.name, call->org.name, call->user, role, &why);
	reply_done(request, err, &why);
}

void admin_members_set(struct http_request *request, const struct route_match *match)
{
	struct org_call *call = org_open(request, match);
	if (call)
		http_collect(request, ADMIN_BODY_BYTES_MAX, set_body, call);
}

static void member_delete_work(struct http_request *request, void *context)
{
	const struct org_call *call = context;
	struct why why = { 0 };
	reply_done(request, member_delete(gateway_of(request)->ns, call->actor.name, call->org.name, call->user, &why), &why);
}

void admin_members_delete(struct http_request *request, const struct route_match *match)
{
	struct org_call *call = org_open(request, match);
	if (call)
		http_work(request, member_delete_work, call);
}
