#include "store/damaged.h"

#include <stdlib.h>

void damaged_list_init(struct damaged_list *list)
{
	*list = (struct damaged_list){ 0 };
	pthread_rwlock_init(&list->lock, NULL);
}

void damaged_list_fini(struct damaged_list *list)
{
	free(list->xorbs);
	pthread_rwlock_destroy(&list->lock);
}

/* Where `xorb` is, or belongs; under the lock. */
static size_t position(const struct damaged_list *list, const struct hash *xorb, bool *found)
{
	size_t low = 0, high = list->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(list->xorbs[middle].bytes, xorb->bytes, HASH_BYTES) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low < list->count && hash_equal(&list->xorbs[low], xorb);
	return low;
}

/* True when it was not there before; under the lock. */
static bool insert(struct damaged_list *list, const struct hash *xorb)
{
	bool found;
	size_t at = position(list, xorb, &found);
	if (found || list->count == DAMAGED_XORBS_MAX)
		return false;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 64;
		struct hash *xorbs = realloc(list->xorbs, capacity * sizeof(*xorbs));
		if (!xorbs)
			return false;
		list->xorbs = xorbs;
		list->capacity = capacity;
	}
	memmove(list->xorbs + at + 1, list->xorbs + at, (list->count - at) * sizeof(*list->xorbs));
	list->xorbs[at] = *xorb;
	list->count++;
	return true;
}

int damaged_list_load(struct damaged_list *list, struct index *index, char letter)
{
	struct index_scan scan;
	list->index = index;
	list->letter = letter;
	index_scan_open(&scan, index, letter, span_of(NULL, 0), span_of(NULL, 0));
	while (index_scan_next(&scan)) {
		struct hash xorb;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(xorb.bytes, scan.key.data, HASH_BYTES);
		insert(list, &xorb);
	}
	return index_scan_close(&scan);
}

bool damaged_list_has(struct damaged_list *list, const struct hash *xorb)
{
	bool found = false;
	pthread_rwlock_rdlock(&list->lock);
	if (list->count)
		position(list, xorb, &found);
	pthread_rwlock_unlock(&list->lock);
	return found;
}

bool damaged_list_is_empty(struct damaged_list *list)
{
	pthread_rwlock_rdlock(&list->lock);
	bool empty = list->count == 0;
	pthread_rwlock_unlock(&list->lock);
	return empty;
}

size_t damaged_list_some(struct damaged_list *list, const struct hash *after, struct hash *out, size_t max)
{
	bool found = false;
	size_t count = 0;
	pthread_rwlock_rdlock(&list->lock);
	for (size_t at = after ? position(list, after, &found) + found : 0; at < list->count && count < max; at++)
		out[count++] = list->xorbs[at];
	pthread_rwlock_unlock(&list->lock);
	return count;
}

void damaged_list_add(struct damaged_list *list, const struct hash *xorb)
{
	pthread_rwlock_wrlock(&list->lock);
	if (list->index && insert(list, xorb)) {
		index_put_raw(list->index, &(struct index_raw){ list->letter, span_of(xorb->bytes, HASH_BYTES), span_of(NULL, 0) }, 1);
		list->found_count++;
	}
	pthread_rwlock_unlock(&list->lock);
}

void damaged_list_remove(struct damaged_list *list, const struct hash *xorb)
{
	bool found;
	if (damaged_list_is_empty(list))
		return;
	pthread_rwlock_wrlock(&list->lock);
	size_t at = position(list, xorb, &found);
	if (found) {
		list->count--;
		memmove(list->xorbs + at, list->xorbs + at + 1, (list->count - at) * sizeof(*list->xorbs));
		index_drop_raw(list->index, list->letter, span_of(xorb->bytes, HASH_BYTES));
	}
	pthread_rwlock_unlock(&list->lock);
}
