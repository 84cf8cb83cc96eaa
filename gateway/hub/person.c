#include "gateway/hub/person.h"

#include <stdlib.h>

#include "gateway/auth/owner.h"
#include "gateway/hub/call.h"
#include "gateway/hub/likes.h"
#include "gateway/hub/related.h"
#include "replication/follow.h"
#include "schemas/json_writer.h"

enum { COUNTED_LIKES_MAX = 100000, COUNT_WAIT_MS = 250 /* for the index to know of what was just done */ };

/* What the caller may see of somebody's repositories. A token that may reach only some of its user's counts none of the private ones. */
static int write_counts(struct json_writer *json, const struct call *call, const char *owner)
{
	static const struct {
		enum repo_type type;
		const char *key;
	} kinds[] = { { REPO_MODEL, "numModels" }, { REPO_DATASET, "numDatasets" }, { REPO_SPACE, "numSpaces" }, { REPO_KERNEL, "numKernels" } };
	struct search *search = call->gateway->search;
	struct query_owners *owners = malloc(sizeof(*owners));
	int err = owners ? 0 : ERR_NO_MEMORY;
	if (search)
		search_catch_up(search, COUNT_WAIT_MS);
	for (size_t i = 0; search && err == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct search_query query = { .type = kinds[i].type, .author = owner, .gated = -1 };
		uint64_t count = 0;
		if (call->actor.role != TOKEN_FINE_GRAINED)
			query_owners_set(call->gateway->ns, &call->actor, owners, &query);
		err = search_count(search, &query, &count);
		json_u64(json, kinds[i].key, count);
	}
	free(owners);
	return err;
}

struct overview {
	struct http_request *request;
	struct json_writer json;
	struct buffer body;
};

static int write_org_of_user(void *context, const struct org *org, const struct member *member)
{
	(void)member;
	struct overview *overview = context;
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, org->id.bytes, ENTITY_ID_BYTES);
	json_object_begin(&overview->json, NULL);
	json_text(&overview->json, "id", id);
	json_text(&overview->json, "name", org->name);
	json_text(&overview->json, "fullname", org->fullname[0] ? org->fullname : org->name);
	json_text(&overview->json, "avatarUrl", avatar_url(overview->request, org->name));
	json_object_end(&overview->json);
	return overview->body.failed ? ERR_TOO_BIG : 0;
}

static void write_follows(struct json_writer *json, const struct call *call, const char *name)
{
	struct follow_counts counts;
	follow_count(call->gateway->ns, name, &counts);
	json_bool(json, "isFollowing", !call->actor.anonymous && follow_is(call->gateway->ns, call->actor.name, name));
	json_u64(json, "numFollowers", counts.followers);
	json_u64(json, "numFollowing", counts.following);
}

static void write_user(struct overview *overview, const struct call *call, const struct owner *owner)
{
	struct json_writer *json = &overview->json;
	json_text(json, "user", owner->name);
	json_text(json, "fullname", owner->fullname);
	json_text(json, "type", "user");
	json_bool(json, "isPro", false);
	write_follows(json, call, owner->name);
	json_u64(json, "numLikes", count_likes(call->gateway->ns, owner->name, COUNTED_LIKES_MAX));
	json_date(json, "createdAt", owner->created_ms);
	json_array_begin(json, "orgs");
	member_orgs(call->gateway->ns, owner->name, write_org_of_user, overview);
	json_array_end(json);
}

static void write_org(struct overview *overview, const struct call *call, const struct owner *owner)
{
	struct json_writer *json = &overview->json;
	struct org org;
	struct resource resource = { .owner = owner->name };
	json_text(json, "name", owner->name);
	json_text(json, "fullname", owner->fullname);
	json_text(json, "type", "org");
	json_bool(json, "isVerified", false);
	json_bool(json, "isEnterprise", false);
	write_follows(json, call, owner->name);
	json_date(json, "createdAt", owner->created_ms);
	if (org_find(call->gateway->ns, owner->name, &org) == 0)
		json_u64(json, "numUsers", org.members);
	if (may(&call->actor, ACTION_ORG_ADMIN, &resource) == 0)
		json_bool(json, "privateByDefault", owner->private_by_default);
}

static int overview_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	const struct owner *owner = call->state;
	struct overview overview = { .request = request };
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, owner->id.bytes, ENTITY_ID_BYTES);
	buffer_init(&overview.body, ANSWER_BYTES_MAX);
	json_writer_init(&overview.json, &overview.body);
	json_object_begin(&overview.json, NULL);
	json_text(&overview.json, "_id", id);
	json_text(&overview.json, "avatarUrl", avatar_url(request, owner->name));
	(owner->is_org ? write_org : write_user)(&overview, call, owner);
	int err = write_counts(&overview.json, call, owner->name);
	json_object_end(&overview.json);
	if (err) {
		buffer_fini(&overview.body);
		answer_err(request, err, NULL);
	} else {
		answer_json(request, 200, &overview.body);
	}
	return 0;
}

/* The user or organisation of the first capture. NULL: answered already. */
static struct call *open_person(struct http_request *request, const struct route_match *match, bool is_org)
{
	struct call *call = call_open(request);
	if (!call)
		return NULL;
	struct owner *owner = http_alloc(request, sizeof(*owner));
	const char *name = http_decode(request, match->captures[0], false);
	int err = name ? owner_find(call->gateway->ns, name, owner) : ERR_NOT_FOUND;
	if (err == 0 && owner->is_org != is_org)
		err = ERR_NOT_FOUND;
	if (err) {
		answer_err(request, err, &(struct why){ .text = "" });
		return NULL;
	}
	call->state = owner;
	return call;
}

void user_overview(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_person(request, match, false);
	if (call)
		call_work(request, call, overview_run);
}

void org_overview(struct http_request *request, const struct route_match *match)
{
	struct call *call = open_person(request, match, true);
	if (call)
		call_work(request, call, overview_run);
}
