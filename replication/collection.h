/* collection.h - lists of repositories, papers and other collections that somebody put together.
 *
 * DESIGN. A collection belongs to a user or an organisation. It is found by its id; the rest of its address, made from its title, may be out of date. Titles are unique
 * per owner. Items keep the id of a repository where there is one, so that they follow it when it moves. What holds a given item is indexed, and so are an owner's
 * collections. All in group 0. */
#ifndef CAIRN_REPLICATION_COLLECTION_H
#define CAIRN_REPLICATION_COLLECTION_H

#include "replication/namespace.h"

enum {
	COLLECTION_TITLE_BYTES_MAX = 150,
	COLLECTION_DESCRIPTION_BYTES_MAX = 600,
	COLLECTION_NOTE_BYTES_MAX = 2000,
	COLLECTION_ITEMS_MAX = 1000,
	COLLECTIONS_PER_OWNER_MAX = 10000,
	COLLECTION_ITEM_NAME_BYTES_MAX = 250,
	COLLECTION_THEME_BYTES_MAX = 16,
};

struct collection {
	struct entity_id id;
	char owner[NAME_BYTES_MAX + 1];
	char title[COLLECTION_TITLE_BYTES_MAX + 1];
	char description[COLLECTION_DESCRIPTION_BYTES_MAX + 1];
	char theme[COLLECTION_THEME_BYTES_MAX + 1];
	bool private;
	int64_t created_ms, updated_ms;
	uint64_t position;           /* among the owner's */
	uint64_t upvotes, items_count;
};

enum item_kind { ITEM_MODEL = 1, ITEM_DATASET = 2, ITEM_SPACE = 3, ITEM_PAPER = 4, ITEM_COLLECTION = 5, ITEM_BUCKET = 6 };

struct collection_item {
	struct entity_id id;
	enum item_kind kind;
	struct entity_id target;     /* repository or collection; zero: named only */
	char name[COLLECTION_ITEM_NAME_BYTES_MAX + 1]; /* as it was added */
	uint64_t position;           /* from 0, dense */
	int64_t added_ms;
	char note[COLLECTION_NOTE_BYTES_MAX + 1];
};

/* [blocks] id and times are made. ERR_EXISTS: the owner has one of this title, *id tells which; ERR_TOO_BIG. */
int collection_create(struct namespace *ns, const char *actor, const struct collection *collection, struct entity_id *id, struct why *why);
/* [blocks] Replaces title, description, theme, private and position. ERR_NOT_FOUND, ERR_EXISTS (the title). */
int collection_update(struct namespace *ns, const char *actor, const struct collection *collection, struct why *why);
int collection_delete(struct namespace *ns, const char *actor, const struct entity_id *id, struct why *why);
/* [blocks] At the end; item->id is made. ERR_EXISTS: it is in already; ERR_TOO_BIG. */
int collection_add(struct namespace *ns, const char *actor, const struct entity_id *id, struct collection_item *item, struct why *why);
/* [blocks] A new note (NULL: stays) and place (UINT64_MAX: stays); the items between make room. ERR_NOT_FOUND. */
int collection_change_item(struct namespace *ns, const char *actor, const struct entity_id *id, const struct entity_id *item, const char *note,
	uint64_t position, struct why *why);
int collection_remove(struct namespace *ns, const char *actor, const struct entity_id *id, const struct entity_id *item, struct why *why);

int collection_get(struct namespace *ns, const struct entity_id *id, struct collection *out);
/* Ids of an owner's collections, of those that hold an item (by target, or by kind and name when the target is zero), or of all (owner NULL), in the order of
 * their ids behind `after` (NULL: the first). Non-zero from `each` stops and is returned. */
int collection_list(struct namespace *ns, const char *owner, const struct entity_id *after, int (*each)(void *context, const struct entity_id *id), void *context);
int collection_holding(struct namespace *ns, enum item_kind kind, const struct entity_id *target, const char *name, const struct entity_id *after,
	int (*each)(void *context, const struct entity_id *id), void *context);
/* All items of a collection, unordered: order them by position. */
int collection_items(struct namespace *ns, const struct entity_id *id, int (*each)(void *context, const struct collection_item *item), void *context);

#endif
