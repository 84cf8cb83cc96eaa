/* query.c - answers questions from the index.
 *
 * Every condition is a set of documents. Most are exact; those that are not (a long text in an id, told from its parts of three bytes; a number of parameters in the
 * first or last bucket of a range) mark their members as suspects, and a suspect is looked at before it counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/search/base.h"
#include "gateway/search/postings.h"
#include "gateway/search/terms.h"

enum {
	PREFIX_BLOCKS_MAX = 20000, /* of words that begin alike: then the rest of them is passed over */
	PARTS_MAX = 16,           /* the rest of a search is passed over */
	NARROW_MAX = 4000,         /* documents that are sorted rather than looked for in an order */
	GET_COST = 4,              /* of fetching a value, in steps through an order */
	RESULT_BYTES_MAX = 32 << 20,
	VALUE_HEX_BYTES = 16, DOC_HEX_BYTES = 8,
};

enum { STOP_FULL = 1, STOP_PREFIX = 2 };

struct run {
	const struct search_query *query;
	struct search_view view;
	struct doc_set members;                      /* once is_narrowed: before, every document of the type is one */
	struct doc_set hidden, suspects;
	bool is_narrowed, has_suspects;
	struct part {
		char text[REPO_ID_BYTES_MAX + 1];
		struct doc_set sure;                 /* found without looking at ids */
	} sought[PARTS_MAX];                        /* of all searches */
	size_t sought_count;
};

/* ------------------------------------------------------------------ sets of terms */

static int add_block(void *context, struct span key, struct span value)
{
	struct doc_set *set = context;
	uint64_t block = get_big_endian(key.data + key.length - 3, 3);
	if (block >= set->blocks_count)
		return 0;
	return block_decode(&set->blocks[block], value) ? 0 : ERR_CORRUPT;
}

/* Adds the documents of a term to a set. */
static int add_term(struct run *run, struct span term, struct doc_set *set)
{
	struct key prefix;
	if (term.length == 0 || term.length > TERM_BYTES_MAX)
		return 0;
	search_key_term(&prefix, run->query->type, term);
	return search_scan(&run->view, &prefix, NULL, add_block, set);
}

static void and_with(struct run *run, const struct doc_set *set)
{
	(run->is_narrowed ? doc_set_and : doc_set_or)(&run->members, set);
	run->is_narrowed = true;
}

static int and_term(struct run *run, struct span term)
{
	struct doc_set set;
	int err = doc_set_init(&set, run->view.docs);
	if (err == 0)
		err = add_term(run, term, &set);
	if (err == 0)
		and_with(run, &set);
	doc_set_fini(&set);
	return err;
}

static int make_term(uint8_t out[TERM_BYTES_MAX], enum term_kind kind, const char *text, size_t length, struct span *term)
{
	if (length >= TERM_BYTES_MAX)
		length = TERM_BYTES_MAX - 1;
	out[0] = (uint8_t)kind;
	for (size_t i = 0; i < length; i++)
		out[1 + i] = (uint8_t)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
	*term = span_of(out, 1 + length);
	return 0;
}

/* ------------------------------------------------------------------ searches */

struct prefixed {
	struct doc_set *set;
	size_t blocks;
};

static int add_prefixed(void *context, struct span key, struct span value)
{
	struct prefixed *prefixed = context;
	return ++prefixed->blocks > PREFIX_BLOCKS_MAX ? STOP_PREFIX : add_block(prefixed->set, key, value);
}

/* Documents with a word that begins so. */
static int add_words(struct run *run, const char *word, struct doc_set *set)
{
	uint8_t bytes[TERM_BYTES_MAX];
	struct span term;
	struct key prefix;
	size_t length = strlen(word);
	make_term(bytes, length <= WORD_EDGE_MAX ? TERM_EDGE : TERM_WORD, word, length, &term);
	if (length <= WORD_EDGE_MAX)
		return add_term(run, term, set);
	search_key_term(&prefix, run->query->type, term);
	prefix.length--; /* without the end of the term: a beginning */
	struct prefixed prefixed = { .set = set };
	int stop = search_scan(&run->view, &prefix, NULL, add_prefixed, &prefixed);
	return stop == STOP_PREFIX ? 0 : stop;
}

/* A single word is looked for at the beginnings of words; what has other characters in it, as ids and tags do, is a tag. */
static int find_sure(struct run *run, const char *text, struct doc_set *out)
{
	char word[WORD_BYTES_MAX + 1];
	uint8_t bytes[TERM_BYTES_MAX];
	struct span rest = span_text(text), term;
	size_t length = strlen(text);
	if (length <= WORD_BYTES_MAX && word_next(&rest, word) && strlen(word) == length)
		return add_words(run, word, out);
	make_term(bytes, TERM_TAG, text, length, &term);
	return add_term(run, term, out);
}

/* Documents whose id may hold the text: all its parts of three bytes. */
static int find_parts(struct run *run, const char *text, struct doc_set *out)
{
	size_t length = strlen(text), part = length < 3 ? length : 3;
	uint8_t bytes[TERM_BYTES_MAX];
	struct span term;
	int err = 0;
	if (length < 2 || length > REPO_ID_BYTES_MAX)
		return 0;
	for (size_t i = 0; i + part <= length && err == 0; i++) {
		struct doc_set set;
		make_term(bytes, TERM_PART, text + i, part, &term);
		err = doc_set_init(&set, run->view.docs);
		if (err == 0)
			err = add_term(run, term, &set);
		if (err == 0 && i == 0)
			doc_set_or(out, &set);
		else if (err == 0)
			doc_set_and(out, &set);
		doc_set_fini(&set);
	}
	return err;
}

/* A blank-separated part of a search: in the id, or found for sure. */
static int and_part(struct run *run, struct part *part)
{
	struct doc_set parts, unsure;
	int err = doc_set_init(&part->sure, run->view.docs);
	if (doc_set_init(&parts, run->view.docs) != 0 || doc_set_init(&unsure, run->view.docs) != 0)
		err = ERR_NO_MEMORY;
	if (err == 0)
		err = find_sure(run, part->text, &part->sure);
	if (err == 0)
		err = find_parts(run, part->text, &parts);
	if (err == 0 && strlen(part->text) > 3) {
		doc_set_or(&unsure, &parts);
		doc_set_and_not(&unsure, &part->sure);
		doc_set_or(&run->suspects, &unsure);
		run->has_suspects = true;
	}
	if (err == 0) {
		doc_set_or(&parts, &part->sure);
		and_with(run, &parts);
	}
	doc_set_fini(&parts);
	doc_set_fini(&unsure);
	return err;
}

static int and_search(struct run *run, const char *text)
{
	static const char blanks[] = " \t\r\n";
	int err = 0;
	for (text += strspn(text, blanks); *text && err == 0 && run->sought_count < PARTS_MAX; text += strspn(text, blanks)) {
		size_t length = strcspn(text, blanks);
		struct part *part = &run->sought[run->sought_count++];
		memcpy(part->text, text, length < REPO_ID_BYTES_MAX ? length : REPO_ID_BYTES_MAX);
		text += length;
		err = and_part(run, part);
	}
	return err;
}

/* ------------------------------------------------------------------ other conditions */

struct range {
	struct run *run;
	unsigned first, last;
	struct doc_set set;
};

static int add_bucket(void *context, struct span key, struct span value)
{
	struct range *range = context;
	if (key.length != 1 + 1 + 2 + 1 + 3)
		return ERR_CORRUPT;
	unsigned bucket = key.data[3] - 1u;
	if (bucket < range->first || bucket > range->last)
		return 0;
	int err = add_block(&range->set, key, value);
	if (err == 0 && (bucket == range->first || bucket == range->last))
		err = add_block(&range->run->suspects, key, value);
	return err;
}

static int and_parameters(struct run *run)
{
	struct range range = { .run = run, .first = parameter_bucket(run->query->parameters_min), .last = parameter_bucket(run->query->parameters_max) };
	struct key prefix = { .length = 3, .bytes = { 'p', (uint8_t)run->query->type, TERM_PARAMETERS } };
	if (range.first == 0)
		range.first = 1; /* unknown is in no range */
	int err = doc_set_init(&range.set, run->view.docs);
	if (err == 0)
		err = search_scan(&run->view, &prefix, NULL, add_bucket, &range);
	if (err == 0)
		and_with(run, &range.set);
	run->has_suspects = true;
	doc_set_fini(&range.set);
	return err;
}

static int and_any_of(struct run *run)
{
	struct doc_set set;
	int err = doc_set_init(&set, run->view.docs);
	for (size_t i = 0; i < run->query->any_of_count && err == 0; i++)
		err = add_term(run, run->query->any_of[i], &set);
	if (err == 0)
		and_with(run, &set);
	doc_set_fini(&set);
	return err;
}

static int and_gated(struct run *run)
{
	uint8_t kind = TERM_GATED;
	return run->query->gated > 0 ? and_term(run, span_of(&kind, 1)) : add_term(run, span_of(&kind, 1), &run->hidden);
}

/* Hides private documents outside the caller's namespaces. */
static int hide(struct run *run)
{
	uint8_t kind = TERM_PRIVATE, bytes[TERM_BYTES_MAX];
	struct span term;
	struct doc_set mine, private;
	if (run->query->owners_count == 0)
		return add_term(run, span_of(&kind, 1), &run->hidden);
	int err = doc_set_init(&mine, run->view.docs);
	if (doc_set_init(&private, run->view.docs) != 0)
		err = ERR_NO_MEMORY;
	if (err == 0)
		err = add_term(run, span_of(&kind, 1), &private);
	for (size_t i = 0; i < run->query->owners_count && err == 0; i++) {
		make_term(bytes, TERM_AUTHOR, run->query->owners[i], strlen(run->query->owners[i]), &term);
		err = add_term(run, term, &mine);
	}
	if (err == 0) {
		doc_set_and_not(&private, &mine);
		doc_set_or(&run->hidden, &private);
	}
	doc_set_fini(&mine);
	doc_set_fini(&private);
	return err;
}

static int combine(struct run *run)
{
	const struct search_query *query = run->query;
	uint8_t bytes[TERM_BYTES_MAX];
	struct span term;
	int err = 0;
	if (query->author) {
		make_term(bytes, TERM_AUTHOR, query->author, strlen(query->author), &term);
		err = and_term(run, term);
	}
	for (size_t i = 0; i < query->terms_count && err == 0; i++)
		err = and_term(run, query->terms[i]);
	if (err == 0 && query->any_of_count)
		err = and_any_of(run);
	for (size_t i = 0; i < query->searches_count && err == 0; i++)
		err = and_search(run, query->searches[i]);
	if (err == 0 && query->gated >= 0)
		err = and_gated(run);
	if (err == 0 && query->parameters_max)
		err = and_parameters(run);
	if (err == 0 && !query->sees_all)
		err = hide(run);
	if (err == 0 && run->is_narrowed)
		doc_set_and_not(&run->members, &run->hidden);
	return err;
}

/* ------------------------------------------------------------------ rows */

static int get_values(struct run *run, uint32_t number, struct doc_values *out)
{
	struct key key;
	struct span value;
	int err;
	search_key_doc(&key, 'c', number);
	rocksdb_pinnableslice_t *slice = search_get(run->view.db, &run->view, &key, &value, &err);
	if (err == 0 && !doc_values_decode(out, value))
		err = slice ? ERR_CORRUPT : ERR_NOT_FOUND;
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	return err;
}

/* A row; its small facts are appended to `rows` (may be NULL), *small says where. */
static int get_doc(struct run *run, uint32_t number, struct doc *out, struct doc_values *values, struct buffer *rows, struct span *small)
{
	struct key key;
	struct span value, facts;
	int err;
	search_key_doc(&key, 'd', number);
	rocksdb_pinnableslice_t *slice = search_get(run->view.db, &run->view, &key, &value, &err);
	if (err == 0)
		err = slice ? doc_row_decode(out, values, value, &facts) : ERR_NOT_FOUND;
	if (err == 0 && rows) {
		*small = span_of((const void *)rows->length, facts.length); /* an offset, until the buffer stays where it is */
		err = buffer_append(rows, facts.data, facts.length);
	}
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	return err;
}

/* 1: a member after all; 0: not. */
static int check_suspect(struct run *run, uint32_t number)
{
	const struct search_query *query = run->query;
	struct doc doc;
	struct doc_values values;
	char id[REPO_ID_BYTES_MAX];
	if (query->parameters_max) {
		int err = get_values(run, number, &values);
		if (err)
			return err;
		if (values.by[SORT_PARAMETERS] < query->parameters_min || values.by[SORT_PARAMETERS] > query->parameters_max)
			return 0;
	}
	bool read = false;
	for (size_t i = 0; i < run->sought_count; i++) {
		if (doc_set_has(&run->sought[i].sure, number))
			continue;
		int err = read ? 0 : get_doc(run, number, &doc, &values, NULL, NULL);
		if (err)
			return err;
		read = true;
		snprintf(id, sizeof(id), "%s/%s", doc.owner, doc.name);
		if (!strcasestr(id, run->sought[i].text))
			return 0;
	}
	return 1;
}

/* 1: shown; 0: not. */
static int is_member(struct run *run, uint32_t number)
{
	if (run->is_narrowed ? !doc_set_has(&run->members, number) : doc_set_has(&run->hidden, number))
		return 0;
	return run->has_suspects && doc_set_has(&run->suspects, number) ? check_suspect(run, number) : 1;
}

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
	int shown = is_member(page->run, place->number);
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
	int err = run->query->sort == SORT_ID ? get_doc(run, number, &doc, &values, NULL, NULL) : get_values(run, number, &values);
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
		err = get_doc(run, hit->number, &hit->doc, &hit->values, &out->rows, &hit->small);
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

static int run_begin(struct run *run, struct search_base *base, const struct search_query *query)
{
	*run = (struct run){ .query = query };
	int err = search_view_open(&run->view, &base->db);
	if (err == 0)
		err = doc_set_init(&run->members, run->view.docs);
	if (err == 0)
		err = doc_set_init(&run->suspects, run->view.docs);
	if (err == 0)
		err = doc_set_init(&run->hidden, run->view.docs);
	return err ? err : combine(run);
}

static void run_end(struct run *run)
{
	for (size_t i = 0; i < run->sought_count; i++)
		doc_set_fini(&run->sought[i].sure);
	doc_set_fini(&run->members);
	doc_set_fini(&run->suspects);
	doc_set_fini(&run->hidden);
	search_view_close(&run->view);
}

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
		err = and_term(run, span_of(&all, 1));
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
