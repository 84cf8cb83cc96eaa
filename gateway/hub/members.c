/* members.c - who belongs to an organisation: listed in pages by name, and given another role. Roles are shown to members only. */
#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

#include "gateway/hub/body_call.h"
#include "gateway/hub/person.h"
#include "replication/org.h"
#include "schemas/json_writer.h"

enum { MEMBERS_LIMIT_MIN = 10, MEMBERS_LIMIT_MAX = 10000, MEMBERS_LIMIT_DEFAULT = 500, ROLE_BODY_BYTES_MAX = 64 << 10 };

enum { STOP_PAGE_FULL = 1 };

struct members {
	struct http_request *request;
	struct namespace *ns;
	const char *search, *email;
	bool show_roles;
	uint64_t limit, count;
	struct json_writer json;
	struct buffer body;
	char last[NAME_BYTES_MAX + 1];
};

static bool matches(const struct members *members, const struct user *user)
{
	if (members->search && !strcasestr(user->name, members->search) && !strcasestr(user->fullname, members->search))
		return false;
	return !members->email || strcasecmp(members->email, user->email) == 0;
}

static int write_member(void *context, const struct member *member)
{
	struct members *members = context;
	struct json_writer *json = &members->json;
	struct user user;
	char id[ENTITY_ID_TEXT_BYTES];
	int err = user_find(members->ns, member->user, &user);
	if (err || !matches(members, &user))
		return err == ERR_NOT_FOUND ? 0 : err;
	if (members->count == members->limit)
		return STOP_PAGE_FULL;
	members->count++;
	memcpy(members->last, member->user, sizeof(members->last));
	hex_encode(id, user.id.bytes, ENTITY_ID_BYTES);
	json_object_begin(json, NULL);
	json_text(json, "_id", id);
	json_text(json, "user", user.name);
	json_text(json, "fullname", user.fullname[0] ? user.fullname : user.name);
	json_text(json, "avatarUrl", avatar_url(members->request, user.name));
	json_text(json, "type", "user");
	json_bool(json, "isPro", false);
	if (members->show_roles)
		json_text(json, "role", org_role_name(member->role));
	json_object_end(json);
	return members->body.failed ? ERR_TOO_BIG : 0;
}

static int members_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	const struct org *org = call->state;
	struct resource resource = { .owner = org->name };
	struct members members = { .request = request, .ns = call->gateway->ns, .show_roles = may(&call->actor, ACTION_ORG_READ, &resource) == 0 };
	const char *limit = http_query_value(request, "limit", 0), *cursor = http_query_value(request, "cursor", 0);
	members.search = http_query_value(request, "search", 0);
	members.email = members.show_roles ? http_query_value(request, "email", 0) : NULL; /* strangers cannot look addresses up */
	members.limit = limit ? strtoull(limit, NULL, 10) : MEMBERS_LIMIT_DEFAULT;
	if (members.limit < MEMBERS_LIMIT_MIN)
		members.limit = MEMBERS_LIMIT_MIN;
	if (members.limit > MEMBERS_LIMIT_MAX)
		members.limit = MEMBERS_LIMIT_MAX;
	if (cursor && !name_valid(span_text(cursor))) {
		http_reply_error(request, 400, NULL, "Invalid cursor");
		return 0;
	}
	buffer_init(&members.body, ANSWER_BYTES_MAX);
	json_writer_init(&members.json, &members.body);
	json_array_begin(&members.json, NULL);
	int stop = member_list(call->gateway->ns, org->name, cursor, write_member, &members);
	json_array_end(&members.json);
	if (stop < 0) {
		buffer_fini(&members.body);
		answer_err(request, stop, NULL);
		return 0;
	}
	if (stop == STOP_PAGE_FULL)
		add_next_link(request, "cursor", members.last);
	answer_json(request, 200, &members.body);
	return 0;
}

static struct call *open_org(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open(request);
	if (!call)
		return NULL;
	struct org *org = http_alloc(request, sizeof(*org));
	const char *name = http_decode(request, match->captures[0], false);
	int err = name ? org_find(call->gateway->ns, name, org) : ERR_NOT_FOUND;
	if (err) {
		answer_err(request, err, NULL);
		return NULL;
	}
	call->state = org;
	return call;
}

void org_members(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_org(request, match);
	if (call)
		call_work(request, call, members_run);
}

static void set_role(struct http_request *request, struct call *call, const json_t *body)
{
	const struct org *org = call->state;
	const char *user = http_decode(request, call->captures[0], false);
	enum org_role role = org_role_named(json_body_text(body, "role", ""));
	struct why why = { 0 };
	struct member member;
	int err = 0;
	if (role == ORG_ROLE_NONE)
		err = why_set(&why, ERR_INVALID, "\"role\" must be read, contributor, write or admin");
	if (err == 0 && (!user || member_find(call->gateway->ns, org->name, user, &member) != 0))
		err = why_set(&why, ERR_NOT_FOUND, "There is no such member");
	if (err == 0)
		err = member_set(call->gateway->ns, call->actor.name, org->name, user, role, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
}

void org_member_role(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_org(request, match);
	if (!call)
		return;
	struct resource resource = { .owner = ((const struct org *)call->state)->name };
	int err = may(&call->actor, ACTION_ORG_ADMIN, &resource);
	if (err == ERR_UNAUTHENTICATED) {
		answer_login(request);
	} else if (err) {
		answer_err(request, err, NULL);
	} else {
		call->captures[0] = match->captures[1];
		body_call(request, call, ROLE_BODY_BYTES_MAX, set_role);
	}
}
