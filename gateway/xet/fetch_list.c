#include "gateway/xet/fetch_list.h"

#include <stdlib.h>

int fetch_list_add(struct fetch_list *list, const struct plan *plan)
{
	if (plan->terms_count > list->capacity - list->count) {
		size_t capacity = list->count + plan->terms_count;
		struct fetch *items = realloc(list->items, capacity * sizeof(*items));
		if (!items)
			return ERR_NO_MEMORY;
		list->items = items;
		list->capacity = capacity;
	}
	for (uint32_t i = 0; i < plan->terms_count; i++) {
		const struct plan_term *term = &plan->terms[i];
		list->items[list->count++] = (struct fetch){
			.xorb = term->xorb, .chunk_start = term->chunk_start, .chunk_end = term->chunk_end,
			.body_start = term->body_start, .body_end = term->body_end,
		};
	}
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct fetch *a = left, *b = right;
	int order = memcmp(a->xorb.bytes, b->xorb.bytes, HASH_BYTES);
	if (order)
		return order;
	return a->chunk_start < b->chunk_start ? -1 : a->chunk_start > b->chunk_start;
}

void fetch_list_merge(struct fetch_list *list)
{
	if (list->count == 0)
		return;
	qsort(list->items, list->count, sizeof(*list->items), compare);
	size_t kept = 0;
	for (size_t i = 1; i < list->count; i++) {
		struct fetch *last = &list->items[kept];
		const struct fetch *next = &list->items[i];
		if (!hash_equal(&last->xorb, &next->xorb) || next->chunk_start > last->chunk_end) {
			list->items[++kept] = *next;
		} else if (next->chunk_end > last->chunk_end) {
			last->chunk_end = next->chunk_end;
			last->body_end = next->body_end;
		}
	}
	list->count = kept + 1;
}

size_t fetch_list_xorb_end(const struct fetch_list *list, size_t first)
{
	size_t end = first + 1;
	while (end < list->count && hash_equal(&list->items[end].xorb, &list->items[first].xorb))
		end++;
	return end;
}

void fetch_list_fini(struct fetch_list *list)
{
	free(list->items);
	*list = (struct fetch_list){ 0 };
}
