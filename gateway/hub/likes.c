#include "gateway/hub/likes.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "gateway/auth/owner.h"
#include "gateway/hub/call.h"
#include "gateway/hub/person.h"
#include "replication/likes.h"
#include "schemas/json_writer.h"

enum { LIKES_LIMIT_MAX = 500, LIKES_VISITED_MAX = 5000 /* of one page: what the caller may not see is passed over */ };

enum { STOP_PAGE_FULL = 1 };

/* ------------------------------------------------------------------ liking */

/* A like is public and changes a number: it takes a token that may write something. */
static bool may_like(const struct actor *actor)
{
	if (actor->anonymous || actor->one_repo_only)
		return false;
	return actor->role == TOKEN_WRITE || (actor->role == TOKEN_FINE_GRAINED && (actor->token.rights.global & PERMISSION_DISCUSSION_WRITE));
}

struct change_of_mind {
	bool likes;
};

static int like_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	const struct change_of_mind *change = call->state;
	struct why why = { 0 };
	int err = (change->likes ? repo_like : repo_unlike)(call->gateway->ns, call->actor.name, &call->repo.id, &why);
	if (err)
		answer_err(request, err, &why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{\"success\":true}"));
	return 0;
}

static void like_start(struct http_request *request, const struct route_match *match, bool likes)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_READ);
	if (!call)
		return;
	if (call->actor.anonymous) {
		answer_login(request);
		return;
	}
	if (!may_like(&call->actor)) {
		answer_err(request, ERR_DENIED, NULL);
		return;
	}
	struct change_of_mind *change = http_alloc(request, sizeof(*change));
	change->likes = likes;
	call->state = change;
	call_work(request, call, like_run);
}

void repo_like_post(struct http_request *request, const struct route_match *match)
{
	like_start(request, match, true);
}

void repo_like_delete(struct http_request *request, const struct route_match *match)
{
	like_start(request, match, false);
}

/* ------------------------------------------------------------------ listing */

struct page {
	struct http_request *request;
	struct call *call;
	struct owner owner;
	struct json_writer json;
	struct buffer body;
	uint64_t limit, count, visited;
	struct like last;
	bool more;
};

static void read_limit(struct http_request *request, struct page *page)
{
	const char *limit = http_query_value(request, "limit", 0);
	unsigned long long number = limit ? strtoull(limit, NULL, 10) : LIKES_LIMIT_MAX;
	page->limit = number == 0 || number > LIKES_LIMIT_MAX ? LIKES_LIMIT_MAX : number;
}

/* "milliseconds.repository" or a user name, as it was given out. False: malformed, answered. */
static bool read_cursor(struct http_request *request, char out[NAME_BYTES_MAX + 1], bool *given)
{
	const char *cursor = http_query_value(request, "cursor", 0);
	size_t length = 0;
	*given = cursor && *cursor;
	if (!*given)
		return true;
	if (sodium_base642bin((uint8_t *)out, NAME_BYTES_MAX, cursor, strlen(cursor), NULL, &length, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0) {
		out[length] = 0;
		return true;
	}
	answer_err(request, ERR_INVALID, &(struct why){ .text = "Invalid cursor" });
	return false;
}

static void add_cursor(struct http_request *request, const char *text)
{
	char cursor[4 * NAME_BYTES_MAX];
	sodium_bin2base64(cursor, sizeof(cursor), (const uint8_t *)text, strlen(text), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	add_next_link(request, "cursor", cursor);
}

static void begin(struct http_request *request, struct page *page)
{
	page->request = request;
	buffer_init(&page->body, ANSWER_BYTES_MAX);
	json_writer_init(&page->json, &page->body);
	json_array_begin(&page->json, NULL);
}

static void finish(struct http_request *request, struct page *page, int err)
{
	if (err < 0) {
		buffer_fini(&page->body);
		answer_err(request, err, NULL);
		return;
	}
	json_array_end(&page->json);
	answer_json(request, 200, &page->body);
}

static int write_liker(void *context, const struct like *like)
{
	struct page *page = context;
	struct user user;
	if (page->count == page->limit) {
		page->more = true;
		return STOP_PAGE_FULL;
	}
	page->last = *like;
	if (user_find(page->call->gateway->ns, like->user, &user) != 0)
		return 0;
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, user.id.bytes, ENTITY_ID_BYTES);
	json_object_begin(&page->json, NULL);
	json_text(&page->json, "_id", id);
	json_text(&page->json, "user", user.name);
	json_text(&page->json, "fullname", user.fullname[0] ? user.fullname : user.name);
	json_text(&page->json, "avatarUrl", avatar_url(page->request, user.name));
	json_text(&page->json, "type", "user");
	json_bool(&page->json, "isPro", false);
	json_date(&page->json, "likedAt", like->created_ms);
	json_object_end(&page->json);
	page->count++;
	return page->body.failed ? ERR_TOO_BIG : 0;
}

static int likers_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct page *page = call->state;
	char after[NAME_BYTES_MAX + 1];
	bool given;
	if (!read_cursor(request, after, &given))
		return 0;
	begin(request, page);
	int err = likers_list(call->gateway->ns, &call->repo.id, given ? after : NULL, write_liker, page);
	if (err >= 0 && page->more)
		add_cursor(request, page->last.user);
	finish(request, page, err);
	return 0;
}

void repo_likers(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_READ);
	if (!call)
		return;
	struct page *page = http_alloc(request, sizeof(*page));
	page->call = call;
	read_limit(request, page);
	call->state = page;
	call_work(request, call, likers_run);
}

static const char *type_of(enum repo_type type)
{
	return type == REPO_DATASET ? "dataset" : type == REPO_SPACE ? "space" : type == REPO_KERNEL ? "kernel" : "model";
}

static int write_liked(void *context, const struct like *like)
{
	struct page *page = context;
	struct repo repo;
	if (page->count == page->limit || page->visited == LIKES_VISITED_MAX) {
		page->more = true;
		return STOP_PAGE_FULL;
	}
	page->visited++;
	page->last = *like;
	if (repo_get(page->call->gateway->ns, NULL, &like->repo, &repo) != 0)
		return 0;
	struct resource resource = { .repo = &repo, .ns = page->call->gateway->ns };
	if (may(&page->call->actor, ACTION_READ, &resource) != 0)
		return 0;
	json_object_begin(&page->json, NULL);
	json_date(&page->json, "createdAt", like->created_ms);
	json_object_begin(&page->json, "repo");
	json_text(&page->json, "name", http_printf(page->request, "%s/%s", repo.owner, repo.name));
	json_text(&page->json, "type", type_of(repo.type));
	json_object_end(&page->json);
	json_object_end(&page->json);
	page->count++;
	return page->body.failed ? ERR_TOO_BIG : 0;
}

static int liked_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct page *page = call->state;
	char text[NAME_BYTES_MAX + 1], id[ENTITY_ID_TEXT_BYTES];
	struct like after = { 0 };
	long long ms;
	bool given;
	if (!read_cursor(request, text, &given))
		return 0;
	if (given) {
		if (sscanf(text, "%lld.%24[0-9a-f]", &ms, id) != 2 || hex_decode(after.repo.bytes, ENTITY_ID_BYTES, id, strlen(id)) != 0) {
			answer_err(request, ERR_INVALID, &(struct why){ .text = "Invalid cursor" });
			return 0;
		}
		after.created_ms = ms;
	}
	begin(request, page);
	int err = liked_list(call->gateway->ns, page->owner.name, given ? &after : NULL, write_liked, page);
	if (err >= 0 && page->more) {
		hex_encode(id, page->last.repo.bytes, ENTITY_ID_BYTES);
		add_cursor(request, http_printf(request, "%lld.%s", (long long)page->last.created_ms, id));
	}
	finish(request, page, err);
	return 0;
}

/* The user or organisation of the first capture. NULL: answered already. */
static struct call *open_person(struct http_request *request, const struct route_match *match, struct page **page)
{
	struct call *call = call_open(request);
	if (!call)
		return NULL;
	*page = http_alloc(request, sizeof(**page));
	const char *name = http_decode(request, match->captures[0], false);
	int err = name ? owner_find(call->gateway->ns, name, &(*page)->owner) : ERR_NOT_FOUND;
	if (err) {
		answer_err(request, err, NULL);
		return NULL;
	}
	(*page)->call = call;
	call->state = *page;
	return call;
}

void user_likes(struct http_request *request, const struct route_match *match)
{
	struct page *page;
	struct call *call = open_person(request, match, &page);
	if (!call)
		return;
	read_limit(request, page);
	call_work(request, call, liked_run);
}

struct counting {
	uint64_t count, max;
};

static int count_one(void *context, const struct like *like)
{
	(void)like;
	struct counting *counting = context;
	return ++counting->count == counting->max;
}

uint64_t count_likes(struct namespace *ns, const char *user, uint64_t max)
{
	struct counting counting = { .max = max };
	liked_list(ns, user, NULL, count_one, &counting);
	return counting.count;
}
