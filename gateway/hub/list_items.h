/* list_items.h - repositories as lists showed them, kept in memory.
 *
 * DESIGN. What a list shows of a public repository is made of its row in the index and its record. The text is kept with the versions that both had before they
 * were read (search_doc_version, repo_records_version), and shown again only while they are the same: so a text is never older than reading would be,
 * and a repository that was hidden, moved or deleted is not shown from memory. Private ones are not kept at all. A table without chains: documents that share a
 * slot push each other out. Memory: at most LIST_ITEMS_MAX texts of LIST_ITEM_BYTES_MAX.
 *
 * Threads: any. */
#ifndef CAIRN_GATEWAY_HUB_LIST_ITEMS_H
#define CAIRN_GATEWAY_HUB_LIST_ITEMS_H

#include "schemas/buffer.h"

enum { LIST_ITEMS_MAX = 8192, LIST_ITEM_BYTES_MAX = 2048 };

struct list_items;
struct json_writer;

/* Which text, and what it was made of. */
struct list_item {
	unsigned generation, number; /* of the index, and the document there */
	uint64_t show;               /* repo_properties */
	uint64_t day;                /* scores are of a day */
	unsigned doc_version;
	uint64_t records_version;
};

/* NULL: no memory. */
struct list_items *list_items_make(void);
void list_items_free(struct list_items *items);
/* Writes the text as the next element of the open array, if it is known, was made of these versions, and its owner is `owner` (any case; NULL: whoever it
 * is). False: nothing was written. */
bool list_items_write(struct list_items *items, const struct list_item *item, const char *owner, struct json_writer *json);
/* Keeps a copy. Too long a text, or one that was made while a record changed, is not kept. */
void list_items_keep(struct list_items *items, const struct list_item *item, const char *owner, struct span text);

#endif
