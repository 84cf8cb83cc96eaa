#include "gateway/hub/body_call.h"

#include "gateway/hub/quicksearch.h"

#include <stdlib.h>
#include <strings.h>

#include "gateway/hub/list_query.h"
#include "gateway/hub/person.h"
#include "gateway/search/scoring.h"
#include "replication/org.h"
#include "schemas/json_writer.h"

enum { QUICK_LIMIT = 5, QUICK_LIMIT_MAX = 50, QUICK_BODY_BYTES_MAX = 16 << 10, TRENDING_LIMIT = 10, TRENDING_LIMIT_MAX = 20 };

static const struct {
	enum repo_type type;
	const char *singular, *plural, *count;
} kinds[] = {
	{ REPO_MODEL, "model", "models", "modelsCount" },
	{ REPO_DATASET, "dataset", "datasets", "datasetsCount" },
	{ REPO_SPACE, "space", "spaces", "spacesCount" },
	{ REPO_KERNEL, "kernel", "kernels", "kernelsCount" },
};

struct quick {
	struct http_request *request;
	struct call *call;
	const char *text, *type; /* type NULL or "all": all kinds */
	uint64_t limit;
	struct query_owners owners;
	struct json_writer json;
	struct buffer body;
	uint64_t people;
};

static uint64_t limit_of(const char *text, uint64_t fallback, uint64_t max)
{
	unsigned long long limit = text ? strtoull(text, NULL, 10) : fallback;
	return limit == 0 ? fallback : limit > max ? max : limit;
}

static bool wants(const struct quick *quick, const char *singular, const char *plural)
{
	return !quick->type || !*quick->type || strcmp(quick->type, "all") == 0 || strcmp(quick->type, singular) == 0 || strcmp(quick->type, plural) == 0;
}

/* The most wanted repositories of a kind that match; `write` puts one of those that the caller may see. */
static int write_kind(struct quick *quick, enum repo_type type, void (*write)(struct quick *quick, const struct repo *repo, const struct search_hit *hit))
{
	struct search_query query = { .type = type, .gated = -1, .sort = SORT_TREND, .limit = quick->limit };
	struct search_result result = { 0 };
	struct why why = { 0 };
	struct gateway *gateway = quick->call->gateway;
	if (quick->text)
		query.searches[query.searches_count++] = quick->text;
	int err = query_owners_set(gateway->ns, &quick->call->actor, &quick->owners, &query);
	if (err == 0)
		err = search_run(gateway->search, &query, &result, &why);
	for (size_t i = 0; i < result.count && err == 0; i++) {
		struct repo repo;
		struct resource resource = { .repo = &repo, .ns = gateway->ns };
		if (repo_get_record(gateway->ns, NULL, &result.hits[i].doc.repo, &repo) != 0)
			continue;
		repo.modified_ms = (int64_t)result.hits[i].values.by[SORT_MODIFIED];
		if (may(&quick->call->actor, ACTION_READ, &resource) == 0)
			write(quick, &repo, &result.hits[i]);
	}
	search_result_fini(&result);
	return err;
}

static int count_kind(struct quick *quick, enum repo_type type, uint64_t *out)
{
	struct search_query query = { .type = type, .gated = -1, .searches = { quick->text }, .searches_count = 1 };
	if (quick->call->actor.role != TOKEN_FINE_GRAINED) {
		int err = query_owners_set(quick->call->gateway->ns, &quick->call->actor, &quick->owners, &query);
		if (err)
			return err;
	}
	return search_count(quick->call->gateway->search, &query, out);
}

static void write_found(struct quick *quick, const struct repo *repo, const struct search_hit *hit)
{
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, repo->id.bytes, ENTITY_ID_BYTES);
	json_object_begin(&quick->json, NULL);
	json_text(&quick->json, "_id", id);
	json_text(&quick->json, "id", http_printf(quick->request, "%s/%s", repo->owner, repo->name));
	json_u64(&quick->json, "trendingWeight", trending_score(hit->values.by[SORT_TREND], day_of_ms(unix_ms())));
	json_bool(&quick->json, "private", repo->private);
	json_object_end(&quick->json);
}

/* ------------------------------------------------------------------ people */

static bool begins(const char *name, const char *text)
{
	return strncasecmp(name, text, strlen(text)) == 0;
}

static void write_person(struct quick *quick, const struct entity_id *entity, const char *name_key, const char *name, const char *fullname, const char *type)
{
	char id[ENTITY_ID_TEXT_BYTES];
	hex_encode(id, entity->bytes, ENTITY_ID_BYTES);
	json_object_begin(&quick->json, NULL);
	json_text(&quick->json, "_id", id);
	json_text(&quick->json, name_key, name);
	json_text(&quick->json, "fullname", fullname[0] ? fullname : name);
	json_text(&quick->json, "avatarUrl", avatar_url(quick->request, name));
	json_text(&quick->json, "type", type);
	json_object_end(&quick->json);
	quick->people++;
}

/* Names lie in order: those that begin alike lie together, behind the text itself. */
static int see_user(void *context, const struct user *user)
{
	struct quick *quick = context;
	if (!begins(user->name, quick->text) || quick->people == quick->limit)
		return 1;
	write_person(quick, &user->id, "user", user->name, user->fullname, "user");
	return 0;
}

static int see_org(void *context, const struct org *org)
{
	struct quick *quick = context;
	if (!begins(org->name, quick->text) || quick->people == quick->limit)
		return 1;
	write_person(quick, &org->id, "name", org->name, org->fullname, "org");
	return 0;
}

static void write_people(struct quick *quick)
{
	struct namespace *ns = quick->call->gateway->ns;
	struct user user;
	struct org org;
	bool is_name = name_valid(span_text(quick->text));
	json_array_begin(&quick->json, "users");
	quick->people = 0;
	if (is_name && user_find(ns, quick->text, &user) == 0)
		write_person(quick, &user.id, "user", user.name, user.fullname, "user");
	if (is_name)
		user_list(ns, quick->text, see_user, quick);
	json_array_end(&quick->json);
	json_u64(&quick->json, "usersCount", quick->people);
	json_array_begin(&quick->json, "orgs");
	quick->people = 0;
	if (is_name && org_find(ns, quick->text, &org) == 0)
		write_person(quick, &org.id, "name", org.name, org.fullname, "org");
	if (is_name)
		org_list(ns, quick->text, see_org, quick);
	json_array_end(&quick->json);
	json_u64(&quick->json, "orgsCount", quick->people);
}

/* ------------------------------------------------------------------ the calls */

static void begin(struct quick *quick)
{
	buffer_init(&quick->body, ANSWER_BYTES_MAX);
	json_writer_init(&quick->json, &quick->body);
	json_object_begin(&quick->json, NULL);
}

static void finish(struct quick *quick, int err)
{
	if (err) {
		buffer_fini(&quick->body);
		answer_err(quick->request, err, NULL);
		return;
	}
	json_object_end(&quick->json);
	answer_json(quick->request, 200, &quick->body);
}

static int quick_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct quick *quick = call->state;
	quick->request = request;
	begin(quick);
	int err = 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && err == 0; i++) {
		uint64_t count = 0;
		json_array_begin(&quick->json, kinds[i].plural);
		if (wants(quick, kinds[i].singular, kinds[i].plural)) {
			err = write_kind(quick, kinds[i].type, write_found);
			if (err == 0)
				err = count_kind(quick, kinds[i].type, &count);
		}
		json_array_end(&quick->json);
		json_u64(&quick->json, kinds[i].count, count);
	}
	write_people(quick);
	json_text(&quick->json, "q", quick->text);
	finish(quick, err);
	return 0;
}

static bool text_is_usable(const char *text)
{
	return text && *text && strlen(text) <= REPO_ID_BYTES_MAX;
}

static void quick_start(struct http_request *request, struct call *call, struct quick *quick)
{
	if (!call->gateway->search) {
		answer_err(request, ERR_UNSUPPORTED, NULL);
		return;
	}
	if (!text_is_usable(quick->text)) {
		answer_err(request, ERR_INVALID, &(struct why){ .text = "\"q\" must say what is searched for" });
		return;
	}
	call->state = quick;
	quick->call = call;
	call_work(request, call, quick_run);
}

static void quick_body(struct http_request *request, struct call *call, const json_t *body)
{
	struct quick *quick = http_alloc(request, sizeof(*quick));
	const char *text = json_body_text(body, "q", ""), *type = json_body_text(body, "type", "");
	const json_t *limit = json_object_get(body, "limit");
	quick->text = http_strndup(request, text, strlen(text));
	quick->type = http_strndup(request, type, strlen(type));
	quick->limit = json_integer_value(limit) > 0 ? (uint64_t)json_integer_value(limit) : QUICK_LIMIT;
	if (quick->limit > QUICK_LIMIT_MAX)
		quick->limit = QUICK_LIMIT_MAX;
	quick_start(request, call, quick);
}

void quicksearch(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = call_open(request);
	if (!call)
		return;
	if (http_method(request) == HTTP_POST) {
		body_call(request, call, QUICK_BODY_BYTES_MAX, quick_body);
		return;
	}
	struct quick *quick = http_alloc(request, sizeof(*quick));
	quick->text = http_query_value(request, "q", 0);
	quick->type = http_query_value(request, "type", 0);
	quick->limit = limit_of(http_query_value(request, "limit", 0), QUICK_LIMIT, QUICK_LIMIT_MAX);
	quick_start(request, call, quick);
}

static void write_trending(struct quick *quick, const struct repo *repo, const struct search_hit *hit)
{
	struct repo_view view = { .repo = repo, .small = hit->small, .show = properties_of_list(repo->type, false), .likes = hit->values.by[SORT_LIKES],
		.downloads = hit->values.by[SORT_DOWNLOADS], .downloads_all = hit->values.downloads_all, .in_list = true,
		.trending_score = trending_score(hit->values.by[SORT_TREND], day_of_ms(unix_ms())) };
	json_object_begin(&quick->json, NULL);
	json_text(&quick->json, "repoType", type_singular(repo->type));
	json_object_begin(&quick->json, "repoData");
	write_repo_members(&quick->json, &view);
	json_object_end(&quick->json);
	json_object_end(&quick->json);
}

static int trending_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct quick *quick = call->state;
	quick->request = request;
	begin(quick);
	json_array_begin(&quick->json, "recentlyTrending");
	int err = 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && err == 0; i++)
		if (kinds[i].type != REPO_KERNEL && wants(quick, kinds[i].singular, kinds[i].plural))
			err = write_kind(quick, kinds[i].type, write_trending);
	json_array_end(&quick->json);
	finish(quick, err);
	return 0;
}

void trending_list(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct call *call = call_open(request);
	if (!call)
		return;
	if (!call->gateway->search) {
		answer_err(request, ERR_UNSUPPORTED, NULL);
		return;
	}
	struct quick *quick = http_alloc(request, sizeof(*quick));
	quick->type = http_query_value(request, "type", 0);
	quick->limit = limit_of(http_query_value(request, "limit", 0), TRENDING_LIMIT, TRENDING_LIMIT_MAX);
	quick->call = call;
	call->state = quick;
	call_work(request, call, trending_run);
}
