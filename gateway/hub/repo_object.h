/* repo_object.h - a repository as info and lists show it: which properties there are, and how each is written. */
#ifndef CAIRN_GATEWAY_HUB_REPO_OBJECT_H
#define CAIRN_GATEWAY_HUB_REPO_OBJECT_H

#include "gateway/facts/facts.h"
#include "gateway/search/search.h"
#include "schemas/json_writer.h"

enum repo_property {
	PROPERTY_AUTHOR, PROPERTY_SHA, PROPERTY_MODIFIED, PROPERTY_CREATED, PROPERTY_PRIVATE, PROPERTY_GATED, PROPERTY_DISABLED, PROPERTY_DOWNLOADS,
	PROPERTY_DOWNLOADS_ALL_TIME, PROPERTY_LIKES, PROPERTY_TRENDING, PROPERTY_XET, PROPERTY_USED_STORAGE, PROPERTY_MAIN_SIZE, PROPERTY_PROVIDERS, PROPERTY_SIBLINGS,
	PROPERTY_CHILDREN, PROPERTY_SPACES, PROPERTY_REGION,
	PROPERTY_TAGS, PROPERTY_PIPELINE_TAG, PROPERTY_LIBRARY_NAME, PROPERTY_SDK, /* small facts */
	PROPERTY_CARD_DATA, PROPERTY_CONFIG, PROPERTY_TRANSFORMERS_INFO, PROPERTY_SAFETENSORS, PROPERTY_GGUF, PROPERTY_MODEL_INDEX,
	PROPERTY_EVAL_RESULTS, PROPERTY_WIDGET_DATA, PROPERTY_MASK_TOKEN, PROPERTY_BASE_MODELS, PROPERTY_MODELS, PROPERTY_DATASETS,
	PROPERTY_DESCRIPTION, PROPERTY_CITATION, PROPERTY_PAPERSWITHCODE_ID, /* other facts */
	PROPERTY_NOTHING, /* exists, but nothing is known about it here */
	PROPERTIES_COUNT,
};
/* A set of them. */
typedef uint64_t repo_properties;
static inline repo_properties property_bit(enum repo_property property)
{
	return UINT64_C(1) << property;
}

/* What is shown when nothing is asked for. */
repo_properties properties_of_info(enum repo_type type);
repo_properties properties_of_list(enum repo_type type, bool full);
bool properties_need_facts(repo_properties show);       /* any */
bool properties_need_large_facts(repo_properties show); /* those that search_hit.small does not have */

/* The properties that the `expand` values of a query ask for; *out is left as it is when there are none. ERR_INVALID: one is unknown for this type
 * (`why` names it). */
int expand_from_query(struct http_request *request, enum repo_type type, repo_properties *out, struct why *why);

struct repo_view {
	const struct repo *repo;
	const struct oid *sha;     /* NULL: no commit yet */
	const struct facts *facts; /* all facts; or NULL and */
	struct span small;         /* the small ones, encoded */
	repo_properties show;
	uint64_t downloads, downloads_all, likes, trending_score;
	uint64_t used_bytes, main_bytes, children;
	struct span spaces;        /* JSON array of the Spaces that name it */
	bool in_list;
};
/* Writes the members (all but siblings) into the open object. */
void write_repo_members(struct json_writer *json, const struct repo_view *view);
/* The member `gated`: false, "auto" or "manual". */
void write_gate(struct json_writer *json, enum repo_gate gated);

#endif
