/* repo_object.h - a repository as info and lists show it: which properties there are, and how each is written. */
#ifndef CAIRN_GATEWAY_HUB_REPO_OBJECT_H
#define CAIRN_GATEWAY_HUB_REPO_OBJECT_H

#include "gateway/hub/card.h"
#include "schemas/json_writer.h"

enum repo_property {
	SHOW_AUTHOR = 1 << 0,
	SHOW_CARD = 1 << 1,
	SHOW_CREATED = 1 << 2,
	SHOW_DISABLED = 1 << 3,
	SHOW_DOWNLOADS = 1 << 4,
	SHOW_GATED = 1 << 5,
	SHOW_MODIFIED = 1 << 6,
	SHOW_LIBRARY = 1 << 7,
	SHOW_LIKES = 1 << 8,
	SHOW_PIPELINE = 1 << 9,
	SHOW_PRIVATE = 1 << 10,
	SHOW_SHA = 1 << 11,
	SHOW_SIBLINGS = 1 << 12,
	SHOW_TAGS = 1 << 13,
	SHOW_USED_STORAGE = 1 << 14,
	SHOW_XET = 1 << 15,
	SHOW_SDK = 1 << 16,
	SHOW_PROVIDERS = 1 << 17,
	SHOW_DOWNLOADS_ALL_TIME = 1 << 18,
	SHOW_NOTHING = 1 << 19, /* a property that exists, but which nothing is known about */

	SHOW_DEFAULT = SHOW_AUTHOR | SHOW_CARD | SHOW_CREATED | SHOW_DISABLED | SHOW_DOWNLOADS | SHOW_GATED | SHOW_MODIFIED |
		SHOW_LIBRARY | SHOW_LIKES | SHOW_PIPELINE | SHOW_PRIVATE | SHOW_SHA | SHOW_SIBLINGS | SHOW_TAGS | SHOW_SDK,
	SHOW_IN_LIST = SHOW_AUTHOR | SHOW_CREATED | SHOW_DISABLED | SHOW_DOWNLOADS | SHOW_GATED | SHOW_MODIFIED | SHOW_LIBRARY |
		SHOW_LIKES | SHOW_PIPELINE | SHOW_PRIVATE | SHOW_TAGS | SHOW_SDK,
	SHOW_NEEDS_CARD = SHOW_CARD | SHOW_LIBRARY | SHOW_PIPELINE | SHOW_TAGS | SHOW_SDK,
};

/* The properties that the `expand` values of a query ask for; `fallback` when there are none. ERR_INVALID: one is unknown for this type
 * (`why` names it). */
int expand_from_query(struct http_request *request, enum repo_type type, unsigned fallback, unsigned *out, struct why *why);

struct repo_view {
	const struct repo *repo;
	const struct oid *sha;   /* NULL: no commit yet */
	const struct card *card; /* may be NULL when no property needs one */
	unsigned show;
	uint64_t used_bytes;     /* SHOW_USED_STORAGE */
};
/* Writes the members (all but siblings) into the open object. */
void write_repo_members(struct json_writer *json, const struct repo_view *view);
/* The member `gated`: false, "auto" or "manual". */
void write_gate(struct json_writer *json, enum repo_gate gated);

#endif
