/* move.c - POST /api/repos/move: another name, another owner, or both. From then on every address under the old name answers 307 (gateway/moved.h). */
#include "gateway/hub/repos.h"

#include "gateway/auth/owner.h"
#include "gateway/hub/body_call.h"
#include "schemas/json_writer.h"

enum { MOVE_BODY_BYTES_MAX = 64 << 10 };

struct move {
	enum repo_type type;
	char from_owner[NAME_BYTES_MAX + 1], from_name[NAME_BYTES_MAX + 1];
	char owner[NAME_BYTES_MAX + 1], name[NAME_BYTES_MAX + 1];
};

static int read_move(struct call *call, const json_t *body, struct move *move, struct why *why)
{
	const char *from, *to;
	int err = json_body_needed_text(body, "fromRepo", &from, why);
	if (err == 0)
		err = json_body_needed_text(body, "toRepo", &to, why);
	if (err)
		return err;
	if (type_from_singular(json_body_text(body, "type", NULL), &move->type) != 0)
		return why_set(why, ERR_INVALID, "The type must be model, dataset, space or kernel");
	if (repo_name_split(from, "", move->from_owner, move->from_name) != 0)
		return why_set(why, ERR_INVALID, "\"fromRepo\" must be \"namespace/name\"");
	if (repo_name_split(to, "", move->owner, move->name) != 0)
		return why_set(why, ERR_INVALID, "\"%.100s\" is not a valid repository name", to);
	struct owner owner;
	if (owner_find(call->gateway->ns, move->owner, &owner) == 0)
		memcpy(move->owner, owner.name, sizeof(move->owner));
	return 0;
}

/* Both ends: whoever moves a repository must be able to delete it here and create it there. */
static int check_rights(struct call *call, const struct move *move, struct why *why)
{
	struct resource source = { .repo = &call->repo }, target = { .owner = move->owner };
	int err = repo_find(call->gateway->ns, NULL, move->type, span_text(move->from_owner), span_text(move->from_name), &call->repo);
	if (err == 0)
		err = may(&call->actor, ACTION_ADMIN, &source);
	if (err == 0 && may(&call->actor, ACTION_CREATE, &target) != 0)
		err = why_set(why, ERR_DENIED, "You don't have the rights to create a %s under the namespace \"%s\"", type_singular(move->type), move->owner);
	return err;
}

static void reply_moved(struct http_request *request, struct call *call)
{
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_bool(&json, "success", true);
	json_text(&json, "url", repo_url(request, &call->repo));
	json_text(&json, "name", http_printf(request, "%s/%s", call->repo.owner, call->repo.name));
	json_object_end(&json);
	answer_json(request, 200, &body);
}

static void move_from(struct http_request *request, struct call *call, const json_t *body)
{
	struct move move = { 0 };
	struct why why = { 0 };
	int err = read_move(call, body, &move, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	err = check_rights(call, &move, &why);
	if (err == ERR_NOT_FOUND || err == ERR_UNAUTHENTICATED) {
		answer_repo_missing(request, call->actor.anonymous);
		return;
	}
	if (err == 0)
		err = repo_move(call->gateway->ns, call->actor.name, &call->repo.id, move.owner, move.name, &why);
	if (err == 0)
		err = repo_get(call->gateway->ns, NULL, &call->repo.id, &call->repo);
	if (err == ERR_EXISTS)
		http_reply_error(request, 409, NULL, http_printf(request, "A %s repository called %s/%s already exists", type_singular(move.type),
			move.owner, move.name));
	else if (err)
		answer_err(request, err, &why);
	else
		reply_moved(request, call);
}

void repos_move(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = call_open_user(request);
	if (call)
		body_call(request, call, MOVE_BODY_BYTES_MAX, move_from);
}
