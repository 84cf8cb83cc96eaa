#include "gateway/hub/repo_object.h"

#include <stdio.h>

#include "gateway/hub/names.h"

enum { ON_MODEL = 1, ON_DATASET = 2, ON_SPACE = 4, ON_ALL = 7 };

static const struct {
	const char *name;
	unsigned on, show;
} properties[] = {
	{ "author", ON_ALL, SHOW_AUTHOR },
	{ "cardData", ON_ALL, SHOW_CARD },
	{ "createdAt", ON_ALL, SHOW_CREATED },
	{ "disabled", ON_ALL, SHOW_DISABLED },
	{ "lastModified", ON_ALL, SHOW_MODIFIED },
	{ "likes", ON_ALL, SHOW_LIKES },
	{ "private", ON_ALL, SHOW_PRIVATE },
	{ "sha", ON_ALL, SHOW_SHA },
	{ "siblings", ON_ALL, SHOW_SIBLINGS },
	{ "tags", ON_ALL, SHOW_TAGS },
	{ "usedStorage", ON_ALL, SHOW_USED_STORAGE },
	{ "xetEnabled", ON_ALL, SHOW_XET },
	{ "trendingScore", ON_ALL, SHOW_NOTHING },
	{ "resourceGroup", ON_ALL, SHOW_NOTHING },
	{ "downloads", ON_MODEL | ON_DATASET, SHOW_DOWNLOADS },
	{ "downloadsAllTime", ON_MODEL | ON_DATASET, SHOW_DOWNLOADS_ALL_TIME },
	{ "gated", ON_ALL, SHOW_GATED },
	{ "library_name", ON_MODEL, SHOW_LIBRARY },
	{ "pipeline_tag", ON_MODEL, SHOW_PIPELINE },
	{ "inferenceProviderMapping", ON_MODEL, SHOW_PROVIDERS },
	{ "baseModels", ON_MODEL, SHOW_NOTHING },
	{ "childrenModelCount", ON_MODEL, SHOW_NOTHING },
	{ "config", ON_MODEL, SHOW_NOTHING },
	{ "evalResults", ON_MODEL, SHOW_NOTHING },
	{ "gguf", ON_MODEL, SHOW_NOTHING },
	{ "inference", ON_MODEL, SHOW_NOTHING },
	{ "mask_token", ON_MODEL, SHOW_NOTHING },
	{ "model-index", ON_MODEL, SHOW_NOTHING },
	{ "safetensors", ON_MODEL, SHOW_NOTHING },
	{ "spaces", ON_MODEL, SHOW_NOTHING },
	{ "transformersInfo", ON_MODEL, SHOW_NOTHING },
	{ "widgetData", ON_MODEL, SHOW_NOTHING },
	{ "citation", ON_DATASET, SHOW_NOTHING },
	{ "description", ON_DATASET, SHOW_NOTHING },
	{ "mainSize", ON_DATASET, SHOW_NOTHING },
	{ "paperswithcode_id", ON_DATASET, SHOW_NOTHING },
	{ "sdk", ON_SPACE, SHOW_SDK },
	{ "datasets", ON_SPACE, SHOW_NOTHING },
	{ "models", ON_SPACE, SHOW_NOTHING },
	{ "region", ON_SPACE, SHOW_NOTHING },
	{ "runtime", ON_SPACE, SHOW_NOTHING },
	{ "subdomain", ON_SPACE, SHOW_NOTHING },
};

enum { PROPERTIES_COUNT = sizeof(properties) / sizeof(properties[0]), EXPANDS_MAX = 64 };

static int property_named(struct span name, enum repo_type type, unsigned *show)
{
	unsigned on = type == REPO_DATASET ? ON_DATASET : type == REPO_SPACE ? ON_SPACE : ON_MODEL;
	for (size_t i = 0; i < PROPERTIES_COUNT; i++) {
		if ((properties[i].on & on) && span_equal(name, span_text(properties[i].name))) {
			*show |= properties[i].show;
			return 0;
		}
	}
	return ERR_INVALID;
}

/* One value of `expand` may join several with commas. */
static int properties_listed(const char *list, enum repo_type type, unsigned *show, struct why *why)
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

int expand_from_query(struct http_request *request, enum repo_type type, unsigned fallback, unsigned *out, struct why *why)
{
	*out = fallback;
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

static void write_card_members(struct json_writer *json, const struct repo_view *view)
{
	const struct card *card = view->card;
	if (!card)
		return;
	if (view->show & SHOW_TAGS)
		json_raw(json, "tags", span_text(card->tags));
	if ((view->show & SHOW_CARD) && card->data)
		json_raw(json, "cardData", span_text(card->data));
	if (view->repo->type == REPO_MODEL && (view->show & SHOW_PIPELINE) && card->pipeline_tag)
		json_text(json, "pipeline_tag", card->pipeline_tag);
	if (view->repo->type == REPO_MODEL && (view->show & SHOW_LIBRARY) && card->library_name)
		json_text(json, "library_name", card->library_name);
}

void write_gate(struct json_writer *json, enum repo_gate gated)
{
	if (gated == REPO_GATE_NONE)
		json_bool(json, "gated", false);
	else
		json_text(json, "gated", gated == REPO_GATE_AUTO ? "auto" : "manual");
}

void write_repo_members(struct json_writer *json, const struct repo_view *view)
{
	const struct repo *repo = view->repo;
	unsigned show = view->show;
	char id[ENTITY_ID_TEXT_BYTES], sha[OID_TEXT_BYTES], full[REPO_ID_BYTES_MAX];
	hex_encode(id, repo->id.bytes, ENTITY_ID_BYTES);
	snprintf(full, sizeof(full), "%s/%s", repo->owner, repo->name);
	json_text(json, "_id", id);
	json_text(json, "id", full);
	if (repo->type == REPO_MODEL && (show & SHOW_AUTHOR) && (show & SHOW_CREATED))
		json_text(json, "modelId", full);
	if (show & SHOW_AUTHOR)
		json_text(json, "author", repo->owner);
	if ((show & SHOW_SHA) && view->sha) {
		hex_encode(sha, view->sha->bytes, OID_BYTES);
		json_text(json, "sha", sha);
	}
	if (show & SHOW_MODIFIED)
		json_date(json, "lastModified", repo->modified_ms ? repo->modified_ms : repo->created_ms);
	if (show & SHOW_CREATED)
		json_date(json, "createdAt", repo->created_ms);
	if (show & SHOW_PRIVATE)
		json_bool(json, "private", repo->private);
	if (show & SHOW_GATED)
		write_gate(json, repo->gated);
	if (show & SHOW_DISABLED)
		json_bool(json, "disabled", false);
	if (show & SHOW_DOWNLOADS)
		json_u64(json, "downloads", 0);
	if (show & SHOW_DOWNLOADS_ALL_TIME)
		json_u64(json, "downloadsAllTime", 0);
	if (show & SHOW_LIKES)
		json_u64(json, "likes", 0);
	if (show & SHOW_XET)
		json_bool(json, "xetEnabled", true);
	if (show & SHOW_USED_STORAGE)
		json_u64(json, "usedStorage", view->used_bytes);
	if (show & SHOW_PROVIDERS) {
		json_object_begin(json, "inferenceProviderMapping");
		json_object_end(json);
	}
	if (repo->type == REPO_SPACE && (show & SHOW_SDK) && repo->sdk[0])
		json_text(json, "sdk", repo->sdk);
	write_card_members(json, view);
}
