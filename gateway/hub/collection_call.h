/* collection_call.h - finding a collection, who may see and change it, and how it is written. */
#ifndef CAIRN_GATEWAY_HUB_COLLECTION_CALL_H
#define CAIRN_GATEWAY_HUB_COLLECTION_CALL_H

#include "gateway/hub/body_call.h"
#include "replication/collection.h"
#include "schemas/json_writer.h"

enum { COLLECTION_BODY_BYTES_MAX = 256 << 10, COLLECTION_LISTED_ITEMS = 4 };

/* Identifies the caller and keeps the captures. `user`: must be somebody. NULL: answered already. */
struct call *collection_call_open(struct http_request *request, const struct route_match *match, bool user);
/* [blocks] The collection that the first one or two captures name: by the id at the end, whatever stands before it. `change`: the caller must be allowed to
 * change it. 0; else answered already. */
int collection_call_find(struct http_request *request, struct call *call, bool change, struct collection *out);

bool collection_visible(const struct call *call, const struct collection *collection);
/* 0, ERR_DENIED, ...: whether the caller may make and change collections of this owner. */
int collection_may_change(const struct call *call, const char *owner);

/* "owner/title-in-short-0123..." in request memory. */
const char *collection_slug(struct http_request *request, const struct collection *collection);
/* The trailing 24 digits of an address, or ERR_NOT_FOUND. */
int collection_id_from(const char *text, struct entity_id *out);
/* "model" and so on. 0 or ERR_INVALID. */
int item_kind_from(const char *name, enum item_kind *out);
/* What an item names, as it is stored: the target and the name. ERR_NOT_FOUND: no such thing, or hidden from the caller. */
int item_resolve(struct call *call, enum item_kind kind, const char *name, struct collection_item *out);

/* [blocks] A whole collection, as an element or member. `items_max` bounds the items; `listed`: without the place among its owner's, which clients make up
 * themselves for lists. */
int write_collection(struct http_request *request, struct call *call, struct json_writer *json, const char *key, const struct collection *collection,
	size_t items_max, bool listed);
/* [blocks] Answers with a collection as it is now. */
void reply_collection(struct http_request *request, struct call *call, const struct entity_id *id);

#endif
