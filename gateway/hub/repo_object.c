#include "gateway/hub/repo_object.h"

#include <stdio.h>

#include "gateway/hub/names.h"

enum { ON_MODEL = 1, ON_DATASET = 2, ON_SPACE = 4, ON_ALL = 7 };

static const struct {
	const char *name;
	unsigned on;
	enum repo_property property;
} properties[] = {
	{ "author", ON_ALL, PROPERTY_AUTHOR },
	{ "cardData", ON_ALL, PROPERTY_CARD_DATA },
	{ "createdAt", ON_ALL, PROPERTY_CREATED },
	{ "disabled", ON_ALL, PROPERTY_DISABLED },
	{ "lastModified", ON_ALL, PROPERTY_MODIFIED },
	{ "likes", ON_ALL, PROPERTY_LIKES },
	{ "private", ON_ALL, PROPERTY_PRIVATE },
	{ "sha", ON_ALL, PROPERTY_SHA },
	{ "siblings", ON_ALL, PROPERTY_SIBLINGS },
	{ "tags", ON_ALL, PROPERTY_TAGS },
	{ "usedStorage", ON_ALL, PROPERTY_USED_STORAGE },
	{ "xetEnabled", ON_ALL, PROPERTY_XET },
	{ "trendingScore", ON_ALL, PROPERTY_TRENDING },
	{ "resourceGroup", ON_ALL, PROPERTY_NOTHING },
	{ "gated", ON_ALL, PROPERTY_GATED },
	{ "downloads", ON_MODEL | ON_DATASET, PROPERTY_DOWNLOADS },
	{ "downloadsAllTime", ON_MODEL | ON_DATASET, PROPERTY_DOWNLOADS_ALL_TIME },
	{ "library_name", ON_MODEL, PROPERTY_LIBRARY_NAME },
	{ "pipeline_tag", ON_MODEL, PROPERTY_PIPELINE_TAG },
	{ "inferenceProviderMapping", ON_MODEL, PROPERTY_PROVIDERS },
	{ "baseModels", ON_MODEL, PROPERTY_BASE_MODELS },
	{ "childrenModelCount", ON_MODEL, PROPERTY_CHILDREN },
	{ "config", ON_MODEL, PROPERTY_CONFIG },
	{ "evalResults", ON_MODEL, PROPERTY_EVAL_RESULTS },
	{ "gguf", ON_MODEL, PROPERTY_GGUF },
	{ "inference", ON_MODEL, PROPERTY_NOTHING },
	{ "mask_token", ON_MODEL, PROPERTY_MASK_TOKEN },
	{ "model-index", ON_MODEL, PROPERTY_MODEL_INDEX },
	{ "safetensors", ON_MODEL, PROPERTY_SAFETENSORS },
	{ "spaces", ON_MODEL, PROPERTY_SPACES },
	{ "transformersInfo", ON_MODEL, PROPERTY_TRANSFORMERS_INFO },
	{ "widgetData", ON_MODEL, PROPERTY_WIDGET_DATA },
	{ "securityRepoStatus", ON_MODEL, PROPERTY_NOTHING },
	{ "citation", ON_DATASET, PROPERTY_CITATION },
	{ "description", ON_DATASET, PROPERTY_DESCRIPTION },
	{ "mainSize", ON_DATASET, PROPERTY_MAIN_SIZE },
	{ "paperswithcode_id", ON_DATASET, PROPERTY_PAPERSWITHCODE_ID },
	{ "sdk", ON_SPACE, PROPERTY_SDK },
	{ "datasets", ON_SPACE, PROPERTY_DATASETS },
	{ "models", ON_SPACE, PROPERTY_MODELS },
	{ "region", ON_SPACE, PROPERTY_REGION },
	{ "runtime", ON_SPACE, PROPERTY_NOTHING },
	{ "subdomain", ON_SPACE, PROPERTY_NOTHING },
};

/* Facts, in the order in which they are written. */
static const struct {
	enum repo_property property;
	enum fact fact;
	const char *key;
} facts_shown[] = {
	{ PROPERTY_PIPELINE_TAG, FACT_PIPELINE_TAG, "pipeline_tag" },
	{ PROPERTY_LIBRARY_NAME, FACT_LIBRARY_NAME, "library_name" },
	{ PROPERTY_TAGS, FACT_TAGS, "tags" },
	{ PROPERTY_SDK, FACT_SDK, "sdk" },
	{ PROPERTY_CARD_DATA, FACT_CARD_DATA, "cardData" },
	{ PROPERTY_CONFIG, FACT_CONFIG, "config" },
	{ PROPERTY_TRANSFORMERS_INFO, FACT_TRANSFORMERS_INFO, "transformersInfo" },
	{ PROPERTY_SAFETENSORS, FACT_SAFETENSORS, "safetensors" },
	{ PROPERTY_GGUF, FACT_GGUF, "gguf" },
	{ PROPERTY_MODEL_INDEX, FACT_MODEL_INDEX, "model-index" },
	{ PROPERTY_EVAL_RESULTS, FACT_EVAL_RESULTS, "evalResults" },
	{ PROPERTY_WIDGET_DATA, FACT_WIDGET_DATA, "widgetData" },
	{ PROPERTY_MASK_TOKEN, FACT_MASK_TOKEN, "mask_token" },
	{ PROPERTY_BASE_MODELS, FACT_BASE_MODELS, "baseModels" },
	{ PROPERTY_MODELS, FACT_MODELS, "models" },
	{ PROPERTY_DATASETS, FACT_DATASETS, "datasets" },
	{ PROPERTY_DESCRIPTION, FACT_DESCRIPTION, "description" },
	{ PROPERTY_CITATION, FACT_CITATION, "citation" },
	{ PROPERTY_PAPERSWITHCODE_ID, FACT_PAPERSWITHCODE_ID, "paperswithcode_id" },
};

enum { PROPERTY_NAMES_COUNT = sizeof(properties) / sizeof(properties[0]), EXPANDS_MAX = 64, FACTS_SHOWN_COUNT = sizeof(facts_shown) / sizeof(facts_shown[0]) };

/* ------------------------------------------------------------------ which */

static unsigned on_type(enum repo_type type)
{
	return type == REPO_DATASET ? ON_DATASET : type == REPO_SPACE ? ON_SPACE : ON_MODEL;
}

static repo_properties among(enum repo_type type, const enum repo_property *list, size_t count)
{
	repo_properties set = 0;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < PROPERTY_NAMES_COUNT; k++)
			if (properties[k].property == list[i] && (properties[k].on & on_type(type)))
				set |= property_bit(list[i]);
	return set;
}

repo_properties properties_of_info(enum repo_type type)
{
	static const enum repo_property shown[] = { PROPERTY_AUTHOR, PROPERTY_SHA, PROPERTY_MODIFIED, PROPERTY_CREATED, PROPERTY_PRIVATE, PROPERTY_GATED,
		PROPERTY_DISABLED, PROPERTY_DOWNLOADS, PROPERTY_LIKES, PROPERTY_SIBLINGS, PROPERTY_TAGS, PROPERTY_PIPELINE_TAG,
		PROPERTY_LIBRARY_NAME, PROPERTY_SDK, PROPERTY_CARD_DATA, PROPERTY_CONFIG, PROPERTY_TRANSFORMERS_INFO, PROPERTY_SAFETENSORS, PROPERTY_GGUF,
		PROPERTY_MODEL_INDEX, PROPERTY_WIDGET_DATA, PROPERTY_MASK_TOKEN, PROPERTY_MODELS, PROPERTY_DATASETS, PROPERTY_DESCRIPTION,
		PROPERTY_CITATION, PROPERTY_PAPERSWITHCODE_ID, PROPERTY_USED_STORAGE };
	return among(type, shown, sizeof(shown) / sizeof(shown[0]));
}

repo_properties properties_of_list(enum repo_type type, bool full)
{
	static const enum repo_property shown[] = { PROPERTY_AUTHOR, PROPERTY_CREATED, PROPERTY_DISABLED, PROPERTY_DOWNLOADS, PROPERTY_GATED, PROPERTY_MODIFIED,
		PROPERTY_LIBRARY_NAME, PROPERTY_LIKES, PROPERTY_PIPELINE_TAG, PROPERTY_PRIVATE, PROPERTY_TAGS, PROPERTY_SDK, PROPERTY_TRENDING };
	static const enum repo_property more[] = { PROPERTY_SHA, PROPERTY_CARD_DATA, PROPERTY_SIBLINGS, PROPERTY_DESCRIPTION, PROPERTY_CITATION,
		PROPERTY_PAPERSWITHCODE_ID };
	repo_properties set = among(type, shown, sizeof(shown) / sizeof(shown[0]));
	return full ? set | among(type, more, sizeof(more) / sizeof(more[0])) : set;
}

bool properties_need_large_facts(repo_properties show)
{
	repo_properties large = 0;
	for (size_t i = 0; i < FACTS_SHOWN_COUNT; i++)
		if (facts_shown[i].fact >= FACTS_SMALL_COUNT)
			large |= property_bit(facts_shown[i].property);
	return (show & large) != 0;
}

bool properties_need_facts(repo_properties show)
{
	repo_properties any = 0;
	for (size_t i = 0; i < FACTS_SHOWN_COUNT; i++)
		any |= property_bit(facts_shown[i].property);
	return (show & any) != 0;
}

static int property_named(struct span name, enum repo_type type, repo_properties *show)
{
	for (size_t i = 0; i < PROPERTY_NAMES_COUNT; i++) {
		if ((properties[i].on & on_type(type)) && span_equal(name, span_text(properties[i].name))) {
			*show |= property_bit(properties[i].property);
			return 0;
		}
	}
	return ERR_INVALID;
}

/* One value of `expand` may join several with commas. */
static int properties_listed(const char *list, enum repo_type type, repo_properties *show, struct why *why)
{
	for (const char *at = list;;) {
		const char *end = strchrnul(at, ',');
		struct span name = span_of(at, (size_t)(end - at));
		if (property_named(name, type, show) != 0)
			return why_set(why, ERR_INVALID, "\"expand\" value \"%.*s\" is not a property of a %s",
				(int)(name.length > 60 ? 60 : name.length), at, type_singular(type));
		if (!*end)
			return 0;
		at = end + 1;
	}
}

int expand_from_query(struct http_request *request, enum repo_type type, repo_properties *out, struct why *why)
{
	for (int k = 0; k < EXPANDS_MAX; k++) {
		const char *value = http_query_value(request, "expand", k);
		if (!value)
			return 0;
		if (k == 0)
			*out = 0;
		int err = properties_listed(value, type, out, why);
		if (err)
			return err;
	}
	return why_set(why, ERR_INVALID, "At most %d properties may be expanded", EXPANDS_MAX);
}

/* ------------------------------------------------------------------ how */

static bool shows(const struct repo_view *view, enum repo_property property)
{
	return (view->show & property_bit(property)) != 0;
}

static struct span fact_of(const struct repo_view *view, enum fact fact)
{
	if (view->facts)
		return view->facts->json[fact] ? span_text(view->facts->json[fact]) : span_of(NULL, 0);
	return facts_peek(view->small, fact);
}

static void write_facts(struct json_writer *json, const struct repo_view *view)
{
	for (size_t i = 0; i < FACTS_SHOWN_COUNT; i++) {
		if (!shows(view, facts_shown[i].property))
			continue;
		struct span text = fact_of(view, facts_shown[i].fact);
		if (text.length)
			json_raw(json, facts_shown[i].key, text);
	}
}

void write_gate(struct json_writer *json, enum repo_gate gated)
{
	if (gated == REPO_GATE_NONE)
		json_bool(json, "gated", false);
	else
		json_text(json, "gated", gated == REPO_GATE_AUTO ? "auto" : "manual");
}

static void write_numbers(struct json_writer *json, const struct repo_view *view)
{
	if (shows(view, PROPERTY_DOWNLOADS))
		json_u64(json, "downloads", view->downloads);
	if (shows(view, PROPERTY_DOWNLOADS_ALL_TIME))
		json_u64(json, "downloadsAllTime", view->downloads_all);
	if (shows(view, PROPERTY_LIKES))
		json_u64(json, "likes", view->likes);
	if (shows(view, PROPERTY_TRENDING))
		json_u64(json, "trendingScore", view->trending_score);
	if (shows(view, PROPERTY_USED_STORAGE))
		json_u64(json, "usedStorage", view->used_bytes);
	if (shows(view, PROPERTY_MAIN_SIZE))
		json_u64(json, "mainSize", view->main_bytes);
	if (shows(view, PROPERTY_CHILDREN))
		json_u64(json, "childrenModelCount", view->children);
}

/* No inference provider serves anything here: an empty object where one is shown, an empty list in lists. */
static void write_providers(struct json_writer *json, bool in_list)
{
	if (in_list) {
		json_array_begin(json, "inferenceProviderMapping");
		json_array_end(json);
	} else {
		json_object_begin(json, "inferenceProviderMapping");
		json_object_end(json);
	}
}

void write_repo_members(struct json_writer *json, const struct repo_view *view)
{
	const struct repo *repo = view->repo;
	char id[ENTITY_ID_TEXT_BYTES], sha[OID_TEXT_BYTES], full[REPO_ID_BYTES_MAX];
	hex_encode(id, repo->id.bytes, ENTITY_ID_BYTES);
	snprintf(full, sizeof(full), "%s/%s", repo->owner, repo->name);
	json_text(json, "_id", id);
	json_text(json, "id", full);
	if (repo->type == REPO_MODEL && shows(view, PROPERTY_AUTHOR) && shows(view, PROPERTY_CREATED))
		json_text(json, "modelId", full);
	if (shows(view, PROPERTY_AUTHOR))
		json_text(json, "author", repo->owner);
	if (shows(view, PROPERTY_SHA) && view->sha) {
		hex_encode(sha, view->sha->bytes, OID_BYTES);
		json_text(json, "sha", sha);
	}
	if (shows(view, PROPERTY_MODIFIED))
		json_date(json, "lastModified", repo->modified_ms ? repo->modified_ms : repo->created_ms);
	if (shows(view, PROPERTY_CREATED))
		json_date(json, "createdAt", repo->created_ms);
	if (shows(view, PROPERTY_PRIVATE))
		json_bool(json, "private", repo->private);
	if (shows(view, PROPERTY_GATED))
		write_gate(json, repo->gated);
	if (shows(view, PROPERTY_DISABLED))
		json_bool(json, "disabled", false);
	if (shows(view, PROPERTY_XET))
		json_bool(json, "xetEnabled", true);
	if (shows(view, PROPERTY_REGION))
		json_text(json, "region", "us");
	if (shows(view, PROPERTY_PROVIDERS))
		write_providers(json, view->in_list);
	if (shows(view, PROPERTY_SPACES) && view->spaces.length)
		json_raw(json, "spaces", view->spaces);
	write_numbers(json, view);
	write_facts(json, view);
}
