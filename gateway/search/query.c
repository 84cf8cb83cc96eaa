/* query.c - pages of an answer: through an order that is kept, or by sorting the few that match. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/search/page.h"

enum {
	NARROW_MAX = 4000, /* documents that are sorted rather than looked for in an order */
	GET_COST = 8,      /* of reading a row, in steps through an order */
	KEPT_PER_STEP = 4, /* numbers that are mostly kept, for the time of a step */
	RESULT_BYTES_MAX = 32 << 20,
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

/* ---- through an order */

static int see_sorted(void *context, struct span key, struct span value)
{
	(void)value;
	struct page *page = context;
	if (key.length != 15)
		return ERR_CORRUPT;
	int stop;
	struct place *place = page_add(page, ~(uint32_t)get_big_endian(key.data + 11, 4), &stop);
	if (place)
		place->value = ~get_big_endian(key.data + 3, 8);
	return stop;
}

static int see_named(void *context, struct span key, struct span value)
{
	struct page *page = context;
	if (key.length < 3 || key.length - 3 >= REPO_ID_BYTES_MAX || value.length != 4)
		return ERR_CORRUPT;
	int stop;
	struct place *place = page_add(page, (uint32_t)get_big_endian(value.data, 4), &stop);
	if (place) {
		memcpy(place->id, key.data + 2, key.length - 3);
		place->id[key.length - 3] = 0;
	}
	return stop;
}

/* The order is that of the range: all between its ends, and nothing else, is in it. */
static bool is_by_range(const struct search_query *query)
{
	return query->sort == SORT_PARAMETERS && query->parameters_max;
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

/* The part of an order that can hold members, from `first` to before `end`. */
static void order_bounds(const struct search_query *query, struct key *first, struct key *end)
{
	if (is_by_range(query)) {
		search_key_sort(first, query->sort, query->type, query->parameters_max, UINT32_MAX);
		search_key_sort(end, query->sort, query->type, query->parameters_min, 0);
		key_add(end, "", 1);
		return;
	}
	if (query->sort == SORT_ID)
		search_key_name(first, query->type, NULL, NULL);
	else
		search_key_sort_prefix(first, query->sort, query->type);
	*end = *first;
	key_after_prefix(end);
}

static int walk_order(struct page *page)
{
	struct run *run = page->run;
	const struct search_query *query = run->query;
	struct key prefix, end, start;
	order_bounds(query, &prefix, &end);
	run->range_holds = is_by_range(query);
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

/* ---- the page */

/* One row; its small facts are appended to `rows`: hit->small is where, until the buffer stays where it is. */
static int read_hit(const struct search_db *db, uint32_t number, struct buffer *rows, struct search_hit *out)
{
	out->number = number;
	return search_get_doc(db, NULL, number, &out->doc, &out->values, rows, &out->small);
}

static int fetch(struct search_result *out)
{
	int err = 0;
	size_t count = 0;
	out->hits = calloc(out->count + 1, sizeof(*out->hits));
	if (!out->hits)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < out->count && err == 0; i++) {
		err = read_hit(&out->base->db, out->numbers[i], &out->rows, &out->hits[count]);
		count += err == 0;
		err = err == ERR_NOT_FOUND ? 0 : err;
	}
	out->count = count;
	for (size_t i = 0; i < count; i++)
		out->hits[i].small.data = out->rows.data + (uintptr_t)out->hits[i].small.data;
	return err;
}

static int take_numbers(const struct page *page, struct search_result *out)
{
	out->numbers = malloc((page->count + 1) * sizeof(*out->numbers));
	if (!out->numbers)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < page->count; i++)
		out->numbers[i] = page->places[i].number;
	out->count = page->count;
	return 0;
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
	uint64_t walked = is_by_range(query) ? run->range_count : run->view.docs;
	uint64_t steps = members ? page.max * walked / members : 0; /* through the order, until the page is full */
	if (members == 0)
		err = 0;
	else if (members <= NARROW_MAX && (query->sort == SORT_ID ? members * GET_COST : members / KEPT_PER_STEP) < steps)
		err = page_sort(&page, members);
	else
		err = walk_order(&page);
	out->more = page.count > query->limit;
	if (out->more)
		page.count = query->limit;
	if (page.count > 0)
		write_cursor(query, &page.places[page.count - 1], out->cursor);
	if (err == 0)
		err = take_numbers(&page, out);
	free(page.places);
	return err;
}

/* ------------------------------------------------------------------ running */

int search_page(struct search *search, const struct search_query *query, struct search_result *out, struct why *why)
{
	struct run *run = malloc(sizeof(*run));
	*out = (struct search_result){ .base = search_base_take(search) };
	buffer_init(&out->rows, RESULT_BYTES_MAX);
	if (!run)
		return ERR_NO_MEMORY;
	int err = search_need_whole(search, why);
	if (err) {
		free(run);
		return err;
	}
	err = run_begin(run, out->base, query);
	if (err == 0)
		err = make_page(run, out, why);
	run_end(run);
	free(run);
	return err;
}

int search_run(struct search *search, const struct search_query *query, struct search_result *out, struct why *why)
{
	int err = search_page(search, query, out, why);
	return err ? err : fetch(out);
}

int search_read(const struct search_result *result, uint32_t number, struct buffer *row, struct search_hit *out)
{
	buffer_clear(row);
	int err = read_hit(&result->base->db, number, row, out);
	if (err == 0)
		out->small.data = row->data;
	return err;
}

unsigned search_generation(const struct search_result *result)
{
	return result->base->generation;
}

unsigned search_doc_version(const struct search_result *result, uint32_t number)
{
	return atomic_load(&result->base->db.doc_versions[search_doc_slot(number)]);
}

void search_hit_cursor(const struct search_query *query, const struct search_hit *hit, char out[SEARCH_CURSOR_BYTES_MAX])
{
	struct place place = { .number = hit->number };
	if (query->sort == SORT_ID)
		page_id_of(&hit->doc, place.id);
	else
		place.value = hit->values.by[query->sort];
	write_cursor(query, &place, out);
}

void search_result_fini(struct search_result *result)
{
	free(result->hits);
	free(result->numbers);
	buffer_fini(&result->rows);
	search_base_release(result->base);
	*result = (struct search_result){ 0 };
}

int search_count(struct search *search, const struct search_query *query, uint64_t *out)
{
	*out = 0;
	int whole = search_need_whole(search, NULL);
	if (whole != 0)
		return whole;
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
	int err = search_need_whole(search, NULL);
	if (err)
		return err;
	struct search_base *base = search_base_take(search);
	struct search_view view;
	struct tag_listing listing = { .each = each, .context = context };
	struct key prefix;
	err = search_view_open(&view, &base->db);
	if (err == 0) {
		search_key_tag(&prefix, type, span_of(NULL, 0));
		err = search_scan(&view, &prefix, NULL, see_tag, &listing);
		search_view_close(&view);
	}
	search_base_release(base);
	return err;
}
