/* list.c - GET /api/{models|datasets|spaces}: repositories in (owner, name) order, those that the caller may read.
 *
 * Counters that are not kept (downloads, likes) are all zero, so sorting by them leaves the order as it is. Filters over content are
 * refused rather than ignored: an unfiltered answer to a filtered question would be wrong. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "gateway/hub/call.h"
#include "gateway/hub/info.h"
#include "gateway/hub/repo_object.h"

enum {
	LIST_LIMIT_MAX = 500,
	LIST_VISITED_MAX = 20000, /* repositories looked at for one page */
	SEARCHES_MAX = 8,
	AFTER_BYTES_MAX = REPO_ID_BYTES_MAX + 16,
};

enum { STOP_PAGE_FULL = 1, STOP_VISITED = 2 };

struct list {
	enum repo_type type;
	const char *author;
	const char *searches[SEARCHES_MAX + 1];
	uint64_t limit;
	unsigned show;
	char after[AFTER_BYTES_MAX];

	/* while listing */
	const struct actor *actor;
	struct repo *repos;
	uint64_t count, visited;
	char last[AFTER_BYTES_MAX]; /* last repository looked at */
};

static bool matches(const struct list *list, const struct repo *repo)
{
	char id[REPO_ID_BYTES_MAX];
	snprintf(id, sizeof(id), "%s/%s", repo->owner, repo->name);
	for (int i = 0; list->searches[i]; i++)
		if (!strcasestr(id, list->searches[i]))
			return false;
	return !list->author || strcasecmp(list->author, repo->owner) == 0;
}

static int visit(void *context, const struct repo *repo)
{
	struct list *list = context;
	struct resource resource = { .repo = repo };
	bool wanted = repo->type == list->type && matches(list, repo) && may(list->actor, ACTION_READ, &resource) == 0;
	if (wanted && list->count == list->limit)
		return STOP_PAGE_FULL;
	if (list->visited == LIST_VISITED_MAX)
		return STOP_VISITED;
	list->visited++;
	if (wanted)
		list->repos[list->count++] = *repo;
	snprintf(list->last, sizeof(list->last), "%s/%s/%s", type_singular(repo->type), repo->owner, repo->name);
	return 0;
}

static int write_item(struct call *call, struct json_writer *json, const struct list *list, const struct repo *repo)
{
	struct oid sha;
	struct card *card = NULL;
	struct repo_view view = { .repo = repo, .show = list->show };
	int err = 0;
	if (list->show & (SHOW_SHA | SHOW_NEEDS_CARD)) {
		err = repo_resolve(call->gateway, repo, span_text(repo->head), REPO_MAY_WAIT, &sha, NULL);
		if (err == 0) {
			view.sha = &sha;
			if (list->show & SHOW_NEEDS_CARD)
				err = card_get(call->gateway, repo, &sha, REPO_MAY_WAIT, &card);
		}
		if (err == ERR_NOT_FOUND)
			err = 0;
	}
	view.card = card;
	uint64_t files;
	if (err == 0 && (list->show & SHOW_USED_STORAGE))
		err = store_owner_usage(call->gateway->store, &repo->id, &files, &view.used_bytes);
	json_object_begin(json, NULL);
	write_repo_members(json, &view);
	json_object_end(json);
	card_release(card);
	return err;
}

static void reply_list(struct http_request *request, struct call *call, struct list *list)
{
	int stop = repo_list(call->gateway->ns, list->type, list->author, list->after[0] ? list->after : NULL, visit, list);
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_array_begin(&json, NULL);
	int err = stop < 0 ? stop : 0;
	for (uint64_t i = 0; err == 0 && i < list->count; i++)
		err = write_item(call, &json, list, &list->repos[i]);
	if (err) {
		buffer_fini(&body);
		answer_err(request, err, NULL);
		return;
	}
	json_array_end(&json);
	if (stop > 0) {
		char cursor[2 * AFTER_BYTES_MAX];
		sodium_bin2base64(cursor, sizeof(cursor), (const uint8_t *)list->last, strlen(list->last),
			sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		add_next_link(request, "cursor", cursor);
	}
	answer_json(request, 200, &body);
}

static int list_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct list *list = call->state;
	list->actor = &call->actor;
	list->repos = malloc(list->limit * sizeof(*list->repos));
	if (list->repos)
		reply_list(request, call, list);
	else
		answer_err(request, ERR_NO_MEMORY, NULL);
	free(list->repos);
	return 0;
}

/* The first query key that asks for something that is not built, or NULL. */
static const char *unbuilt_filter(struct http_request *request)
{
	static const char *const filters[] = { "filter", "gated", "inference", "inference_provider", "pipeline_tag",
		"num_parameters", "apps", "linked", "datasets", "models" };
	static const char *const orders[] = { "downloads", "likes", "likes30d", "trendingScore", "trending_score" };
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		const char *value = http_query_value(request, filters[i], 0);
		if (value && *value)
			return filters[i];
	}
	const char *sort = http_query_value(request, "sort", 0);
	if (!sort || !*sort)
		return NULL;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (strcmp(sort, orders[i]) == 0)
			return NULL;
	return "sort";
}

static int read_query(struct http_request *request, struct list *list, struct why *why)
{
	list->author = http_query_value(request, "author", 0);
	for (int k = 0; k < SEARCHES_MAX; k++)
		list->searches[k] = http_query_value(request, "search", k);
	const char *text = http_query_value(request, "limit", 0);
	unsigned long long limit = text ? strtoull(text, NULL, 10) : LIST_LIMIT_MAX;
	list->limit = limit == 0 || limit > LIST_LIMIT_MAX ? LIST_LIMIT_MAX : limit;
	unsigned fallback = SHOW_IN_LIST;
	if (http_query_bool(request, "full", false))
		fallback |= SHOW_SHA | SHOW_CARD;
	if (http_query_bool(request, "cardData", false))
		fallback |= SHOW_CARD;
	const char *cursor = http_query_value(request, "cursor", 0);
	size_t length = 0;
	if (cursor && sodium_base642bin((uint8_t *)list->after, sizeof(list->after) - 1, cursor, strlen(cursor), NULL, &length, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return why_set(why, ERR_INVALID, "Invalid cursor");
	list->after[length] = 0;
	int err = expand_from_query(request, list->type, fallback, &list->show, why);
	list->show &= ~(unsigned)SHOW_SIBLINGS;
	return err;
}

void info_list(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open(request);
	if (!call)
		return;
	struct list *list = http_alloc(request, sizeof(*list));
	struct why why = { 0 };
	int err = type_from_plural(match->captures[0], &list->type);
	const char *unbuilt = unbuilt_filter(request);
	if (err == 0 && unbuilt) {
		answer_unbuilt(request, http_printf(request, "Listing with \"%s\"", unbuilt));
		return;
	}
	if (err == 0)
		err = read_query(request, list, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	call->state = list;
	call_work(request, call, list_run);
}
