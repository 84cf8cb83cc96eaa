/* page.c - filling a page by sorting those that match: a heap of numbers, or rows for the sake of their ids. */
#include "gateway/search/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place *page_add(struct page *page, uint32_t number, int *stop)
{
	int shown = run_is_member(page->run, number);
	*stop = shown < 0 && shown != ERR_NOT_FOUND ? shown : 0;
	if (shown <= 0)
		return NULL;
	struct place *place = &page->places[page->count++];
	place->number = number;
	*stop = page->count == page->max ? STOP_FULL : 0;
	return place;
}

/* A member and what it is sorted by. Sorted, lower comes first. */
struct rank {
	uint64_t value;
	uint32_t number;
};

static bool is_lower(const struct rank *a, const struct rank *b)
{
	return a->value != b->value ? a->value < b->value : a->number < b->number;
}

/* Restores the heap below `at`: no rank is lower than the one above it. */
static void sink(struct rank *heap, size_t count, size_t at)
{
	struct rank moved = heap[at];
	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		child += child + 1 < count && is_lower(&heap[child + 1], &heap[child]);
		if (!is_lower(&heap[child], &moved))
			break;
		heap[at] = heap[child];
	}
	heap[at] = moved;
}

/* Highest values first is lowest first of their complements. */
static struct rank rank_of(const struct search_query *query, uint64_t value, uint32_t number)
{
	return query->ascending ? (struct rank){ value, number } : (struct rank){ ~value, ~number };
}

static int rank_members(struct page *page, struct rank *heap, size_t *count)
{
	struct run *run = page->run;
	const struct search_query *query = run->query;
	struct rank after = { 0 };
	if (page->after)
		after = rank_of(query, page->after->value, page->after->number);
	*count = 0;
	for (uint32_t doc = doc_set_next(&run->members, 0); doc != UINT32_MAX; doc = doc_set_next(&run->members, doc + 1)) {
		struct doc_values values;
		int err = kept_values_get(&run->base->values, run->view.db, doc, &values);
		if (err && err != ERR_NOT_FOUND)
			return err;
		struct rank rank = rank_of(query, values.by[query->sort], doc);
		if (err == 0 && (!page->after || is_lower(&after, &rank)))
			heap[(*count)++] = rank;
	}
	return 0;
}

/* A page needs few of them: they come out of a heap in order. */
static int sort_members(struct page *page, uint64_t members)
{
	const struct search_query *query = page->run->query;
	struct rank *heap = malloc((members + 1) * sizeof(*heap));
	size_t count;
	int stop = heap ? rank_members(page, heap, &count) : ERR_NO_MEMORY;
	for (size_t i = stop == 0 ? count / 2 : 0; i-- > 0;)
		sink(heap, count, i);
	while (stop == 0 && count > 0) {
		struct rank first = rank_of(query, heap[0].value, heap[0].number); /* twice the complement: as it was */
		struct place *place = page_add(page, first.number, &stop);
		if (place)
			place->value = first.value;
		heap[0] = heap[--count];
		if (count)
			sink(heap, count, 0);
	}
	free(heap);
	return stop < 0 ? stop : 0;
}

/* As ids are ordered: in lower case. */
void page_id_of(const struct doc *doc, char out[REPO_ID_BYTES_MAX])
{
	snprintf(out, REPO_ID_BYTES_MAX, "%s/%s", doc->owner, doc->name);
	for (char *c = out; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
}

/* Positive: b comes first. */
static int compare_ids(const void *a, const void *b, void *context)
{
	const struct search_query *query = context;
	int order = strcmp(((const struct place *)a)->id, ((const struct place *)b)->id);
	return query->ascending ? -order : order;
}

static int sort_members_by_id(struct page *page, uint64_t members)
{
	struct run *run = page->run;
	struct place *all = malloc((members + 1) * sizeof(*all));
	size_t count = 0;
	int err = all ? 0 : ERR_NO_MEMORY;
	for (uint32_t number = doc_set_next(&run->members, 0); err == 0 && number != UINT32_MAX; number = doc_set_next(&run->members, number + 1)) {
		struct doc doc;
		struct doc_values values;
		err = search_get_doc(run->view.db, &run->view, number, &doc, &values, NULL, NULL);
		all[count].number = number;
		if (err == 0)
			page_id_of(&doc, all[count].id);
		if (err == 0 && (!page->after || compare_ids(&all[count], page->after, (void *)run->query) > 0))
			count++;
		err = err == ERR_NOT_FOUND ? 0 : err;
	}
	if (err == 0)
		qsort_r(all, count, sizeof(*all), compare_ids, (void *)run->query);
	int stop = err;
	for (size_t i = 0; i < count && stop == 0; i++) {
		struct place *place = page_add(page, all[i].number, &stop);
		if (place)
			*place = all[i];
	}
	free(all);
	return stop < 0 ? stop : 0;
}

int page_sort(struct page *page, uint64_t members)
{
	return (page->run->query->sort == SORT_ID ? sort_members_by_id : sort_members)(page, members);
}
