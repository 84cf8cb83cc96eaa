/* query.c - pages of an answer: through an order that is kept, or by sorting the few that match. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/search/conditions.h"

enum {
	NARROW_MAX = 4000, /* documents that are sorted rather than looked for in an order */
	GET_COST = 4,      /* of fetching a value, in steps through an order */
	RESULT_BYTES_MAX = 32 << 20,
};

enum { STOP_FULL = 1 };

/* ------------------------------------------------------------------ pages */

/* A place in an order: value then document, or an id. */
struct place {
	uint64_t value;
	uint32_t number;
	char id[REPO_ID_BYTES_MAX];
};

struct page {
	struct run *run;
	const struct place *after; /* NULL: from the start */
	struct place *places;      /* limit + 1 of them */
	size_t count, max;
};

static int read_cursor(const struct search_query *query, struct place *out, struct why *why)
{
	int end = 0;
	unsigned long long value;
	unsigned number;
	if (query->sort == SORT_ID) {
		const char *slash = strchr(query->cursor, '/');
		size_t length = strlen(query->cursor);
		if (!slash || length >= sizeof(out->id))
			return why_set(why, ERR_INVALID, "Invalid cursor");
		memcpy(out->id, query->cursor, length + 1);
		return 0;
	}
	if (sscanf(query->cursor, "%16llx.%8x%n", &value, &number, &end) != 2 || query->cursor[end])
		return why_set(why, ERR_INVALID, "Invalid cursor");
	out->value = value;
	out->number = number;
	return 0;
}

static void write_cursor(const struct search_query *query, const struct place *place, char out[SEARCH_CURSOR_BYTES_MAX])
{
	if (query->sort == SORT_ID)
		snprintf(out, SEARCH_CURSOR_BYTES_MAX, "%s", place->id);
	else
		snprintf(out, SEARCH_CURSOR_BYTES_MAX, "%llx.%x", (unsigned long long)place->value, place->number);
}

/* Negative: a comes first. Highest values first, of equals the newest document; ids in alphabetical order. */
static int compare_places(const struct search_query *query, const struct place *a, const struct place *b)
{
	int order = query->sort == SORT_ID ? strcmp(a->id, b->id) :
		a->value != b->value ? (a->value > b->value ? -1 : 1) :
		a->number != b->number ? (a->number > b->number ? -1 : 1) : 0;
	return query->ascending ? -order : order;
}

static int page_add(struct page *page, const struct place *place)
{
	int shown = run_is_member(page->run, place->number);
	if (shown <= 0)
		return shown == ERR_NOT_FOUND ? 0 : shown;
	page->places[page->count++] = *place;
	return page->count == page->max ? STOP_FULL : 0;
}

/* ---- through an order */

static int see_sorted(void *context, struct span key, struct span value)
{
	(void)value;
	struct page *page = context;
	if (key.length != 15)
		return ERR_CORRUPT;
	struct place place = { .value = ~get_big_endian(key.data + 3, 8), .number = ~(uint32_t)get_big_endian(key.data + 11, 4) };
	return page_add(page, &place);
}

static int see_named(void *context, struct span key, struct span value)
{
	struct page *page = context;
	struct place place = { .number = value.length == 4 ? (uint32_t)get_big_endian(value.data, 4) : UINT32_MAX };
	if (key.length < 3 || key.length - 3 >= sizeof(place.id))
		return ERR_CORRUPT;
	memcpy(place.id, key.data + 2, key.length - 3);
	place.id[key.length - 3] = 0;
	return page_add(page, &place);
}

/* The key of a place, and the one right behind it in the direction of the query. */
static void place_key(const struct search_query *query, const struct place *place, struct key *out)
{
	if (query->sort == SORT_ID) {
		search_key_name(out, query->type, NULL, NULL);
		key_add(out, place->id, strlen(place->id));
		key_add(out, "", 1);
	} else {
		search_key_sort(out, query->sort, query->type, place->value, place->number);
	}
}

static int walk_order(struct page *page)
{
	struct run *run = page->run;
	const struct search_query *query = run->query;
	struct key prefix, end, start;
	if (query->sort == SORT_ID)
		search_key_name(&prefix, query->type, NULL, NULL);
	else
		search_key_sort_prefix(&prefix, query->sort, query->type);
	end = prefix;
	key_after_prefix(&end);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_snapshot(options, run->view.snapshot);
	rocksdb_readoptions_set_iterate_lower_bound(options, (const char *)prefix.bytes, prefix.length);
	rocksdb_readoptions_set_iterate_upper_bound(options, (const char *)end.bytes, end.length);
	rocksdb_iterator_t *iterator = rocksdb_create_iterator(run->view.db->db, options);
	if (page->after)
		place_key(query, page->after, &start);
	else
		start = query->ascending ? end : prefix;
	if (query->ascending)
		rocksdb_iter_seek_for_prev(iterator, (const char *)start.bytes, start.length);
	else
		rocksdb_iter_seek(iterator, (const char *)start.bytes, start.length);
	int stop = 0;
	while (stop == 0 && rocksdb_iter_valid(iterator)) {
		size_t length, value_length;
		const char *data = rocksdb_iter_key(iterator, &length);
		const char *value = rocksdb_iter_value(iterator, &value_length);
		bool is_after = page->after && span_equal(span_of(data, length), span_of(start.bytes, start.length));
		if (!is_after)
			stop = (query->sort == SORT_ID ? see_named : see_sorted)(page, span_of(data, length), span_of(value, value_length));
		if (query->ascending)
			rocksdb_iter_prev(iterator);
		else
			rocksdb_iter_next(iterator);
	}
	rocksdb_iter_destroy(iterator);
	rocksdb_readoptions_destroy(options);
	return stop < 0 ? stop : 0;
}

/* ---- sorting the few */

static int compare_for_sort(const void *a, const void *b, void *context)
{
	return compare_places(context, a, b);
}

/* As ids are ordered: in lower case. */
static void id_of(const struct doc *doc, char out[REPO_ID_BYTES_MAX])
{
	snprintf(out, REPO_ID_BYTES_MAX, "%s/%s", doc->owner, doc->name);
	for (char *c = out; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
}

static int place_of(struct run *run, uint32_t number, struct place *out)
{
	struct doc doc;
	struct doc_values values;
	*out = (struct place){ .number = number };
	int err = run->query->sort == SORT_ID ? run_get_doc(run, number, &doc, &values, NULL, NULL) : run_get_values(run, number, &values);
	if (err)
		return err;
	if (run->query->sort != SORT_ID) {
		out->value = values.by[run->query->sort];
		return 0;
	}
	id_of(&doc, out->id);
	return 0;
}

static int sort_members(struct page *page, uint64_t members)
{
	struct run *run = page->run;
	struct place *all = malloc((members + 1) * sizeof(*all));
	size_t count = 0;
	int err = all ? 0 : ERR_NO_MEMORY;
	for (uint32_t doc = doc_set_next(&run->members, 0); err == 0 && doc != UINT32_MAX; doc = doc_set_next(&run->members, doc + 1)) {
		err = place_of(run, doc, &all[count]);
		if (err == 0 && (!page->after || compare_places(run->query, &all[count], page->after) > 0))
			count++;
		err = err == ERR_NOT_FOUND ? 0 : err;
	}
	if (err == 0)
		qsort_r(all, count, sizeof(*all), compare_for_sort, (void *)run->query);
	int stop = err;
	for (size_t i = 0; i < count && stop == 0; i++)
		stop = page_add(page, &all[i]);
	free(all);
	return stop < 0 ? stop : 0;
}

/* ---- the page */

static int fetch(struct page *page, struct search_result *out)
{
	struct run *run = page->run;
	int err = 0;
	out->hits = calloc(page->count + 1, sizeof(*out->hits));
	if (!out->hits)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < page->count && err == 0; i++) {
		struct search_hit *hit = &out->hits[out->count];
		hit->number = page->places[i].number;
		err = run_get_doc(run, hit->number, &hit->doc, &hit->values, &out->rows, &hit->small);
		out->count += err == 0;
		err = err == ERR_NOT_FOUND ? 0 : err;
	}
	for (size_t i = 0; i < out->count; i++)
		out->hits[i].small.data = out->rows.data + (uintptr_t)out->hits[i].small.data;
	return err;
}

static int make_page(struct run *run, struct search_result *out, struct why *why)
{
	const struct search_query *query = run->query;
	struct place after;
	struct page page = { .run = run, .max = query->limit + 1 };
	int err = query->cursor ? read_cursor(query, &after, why) : 0;
	if (err)
		return err;
	page.after = query->cursor ? &after : NULL;
	page.places = malloc(page.max * sizeof(*page.places));
	if (!page.places)
		return ERR_NO_MEMORY;
	uint64_t members = run->is_narrowed ? doc_set_count(&run->members) : UINT64_MAX;
	uint64_t steps = members ? page.max * (uint64_t)run->view.docs / members : 0; /* through the order, until the page is full */
	if (members == 0)
		err = 0;
	else if (members <= NARROW_MAX && members * GET_COST < steps)
		err = sort_members(&page, members);
	else
		err = walk_order(&page);
	out->more = page.count > query->limit;
	if (out->more)
		page.count = query->limit;
	if (page.count > 0)
		write_cursor(query, &page.places[page.count - 1], out->cursor);
	if (err == 0)
		err = fetch(&page, out);
	free(page.places);
	return err;
}

/* ------------------------------------------------------------------ running */

int search_run(struct search *search, const struct search_query *query, struct search_result *out, struct why *why)
{
	struct run *run = malloc(sizeof(*run));
	*out = (struct search_result){ .base = search_base_take(search) };
	buffer_init(&out->rows, RESULT_BYTES_MAX);
	if (!run)
		return ERR_NO_MEMORY;
	int err = run_begin(run, out->base, query);
	if (err == 0)
		err = make_page(run, out, why);
	run_end(run);
	free(run);
	return err;
}

void search_hit_cursor(const struct search_query *query, const struct search_hit *hit, char out[SEARCH_CURSOR_BYTES_MAX])
{
	struct place place = { .number = hit->number };
	if (query->sort == SORT_ID)
		id_of(&hit->doc, place.id);
	else
		place.value = hit->values.by[query->sort];
	write_cursor(query, &place, out);
}

void search_result_fini(struct search_result *result)
{
	free(result->hits);
	buffer_fini(&result->rows);
	search_base_release(result->base);
	*result = (struct search_result){ 0 };
}

int search_count(struct search *search, const struct search_query *query, uint64_t *out)
{
	struct search_base *base = search_base_take(search);
	struct run *run = malloc(sizeof(*run));
	uint8_t all = TERM_ALL;
	int err = run ? run_begin(run, base, query) : ERR_NO_MEMORY;
	if (err == 0 && !run->is_narrowed)
		err = run_and_term(run, span_of(&all, 1));
	if (err == 0)
		doc_set_and_not(&run->members, &run->hidden);
	*out = err ? 0 : doc_set_count(&run->members);
	if (run)
		run_end(run);
	free(run);
	search_base_release(base);
	return err;
}

struct tag_listing {
	int (*each)(void *context, struct span tag, uint64_t count);
	void *context;
};

static int see_tag(void *context, struct span key, struct span value)
{
	struct tag_listing *listing = context;
	return value.length == 4 ? listing->each(listing->context, span_of(key.data + 2, key.length - 2), get_big_endian(value.data, 4)) : ERR_CORRUPT;
}

int search_tags(struct search *search, enum repo_type type, int (*each)(void *context, struct span tag, uint64_t count), void *context)
{
	struct search_base *base = search_base_take(search);
	struct search_view view;
	struct tag_listing listing = { .each = each, .context = context };
	struct key prefix;
	int err = search_view_open(&view, &base->db);
	if (err == 0) {
		search_key_tag(&prefix, type, span_of(NULL, 0));
		err = search_scan(&view, &prefix, NULL, see_tag, &listing);
		search_view_close(&view);
	}
	search_base_release(base);
	return err;
}
