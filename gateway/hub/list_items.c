#include "gateway/hub/list_items.h"

#include "replication/namespace.h"
#include "schemas/json_writer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LOCKS = 64 };

struct slot {
	struct list_item item;
	char owner[NAME_BYTES_MAX + 1];
	uint8_t *text; /* owned; NULL: free */
	size_t length;
};

struct list_items {
	pthread_mutex_t locks[LOCKS];
	struct slot slots[LIST_ITEMS_MAX];
};

struct list_items *list_items_make(void)
{
	struct list_items *items = calloc(1, sizeof(*items));
	for (size_t i = 0; items && i < LOCKS; i++)
		pthread_mutex_init(&items->locks[i], NULL);
	return items;
}

void list_items_free(struct list_items *items)
{
	if (!items)
		return;
	for (size_t i = 0; i < LIST_ITEMS_MAX; i++)
		free(items->slots[i].text);
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&items->locks[i]);
	free(items);
}

/* Documents of one page are often neighbours: they come to lie apart, and so do the ways in which one is shown. */
static size_t slot_of(const struct list_item *item)
{
	uint64_t hash = (item->number + item->show * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
	return (size_t)(hash >> 32) % LIST_ITEMS_MAX;
}

static bool is_same(const struct list_item *a, const struct list_item *b)
{
	return a->number == b->number && a->generation == b->generation && a->show == b->show && a->day == b->day && a->doc_version == b->doc_version &&
		a->records_version == b->records_version;
}

bool list_items_write(struct list_items *items, const struct list_item *item, const char *owner, struct json_writer *json)
{
	size_t at = slot_of(item);
	const struct slot *slot = &items->slots[at];
	pthread_mutex_lock(&items->locks[at % LOCKS]);
	bool known = slot->text && is_same(&slot->item, item) && (!owner || strcasecmp(slot->owner, owner) == 0);
	if (known)
		json_raw(json, NULL, span_of(slot->text, slot->length));
	pthread_mutex_unlock(&items->locks[at % LOCKS]);
	return known;
}

void list_items_keep(struct list_items *items, const struct list_item *item, const char *owner, struct span text)
{
	if (text.length > LIST_ITEM_BYTES_MAX || (item->records_version & 1))
		return;
	uint8_t *copy = malloc(text.length);
	if (!copy)
		return;
	memcpy(copy, text.data, text.length);
	size_t at = slot_of(item);
	struct slot *slot = &items->slots[at];
	pthread_mutex_lock(&items->locks[at % LOCKS]);
	uint8_t *old = slot->text;
	slot->item = *item;
	snprintf(slot->owner, sizeof(slot->owner), "%s", owner);
	slot->text = copy;
	slot->length = text.length;
	pthread_mutex_unlock(&items->locks[at % LOCKS]);
	free(old);
}
