#include "gateway/search/conditions.h"

#include <stdio.h>
#include <string.h>

enum {
	PREFIX_BLOCKS_MAX = 20000, /* of words that begin alike: then the rest of them is passed over */
};

enum { STOP_PREFIX = 1, KEPT_BLOCKS_MIN = 4 /* of a set that is worth keeping */ };

/* ------------------------------------------------------------------ sets of terms */

struct adding {
	struct doc_set *set;
	size_t blocks;
};

static int add_block(void *context, struct span key, struct span value)
{
	struct adding *adding = context;
	struct doc_set *set = adding->set;
	adding->blocks++;
	uint64_t block = get_big_endian(key.data + key.length - 3, 3);
	if (block >= set->blocks_count)
		return 0;
	return block_decode(&set->blocks[block], value) ? 0 : ERR_CORRUPT;
}

/* Adds the documents of a term to a set. */
static int add_term(struct run *run, struct span term, struct doc_set *set)
{
	struct key prefix;
	struct doc_set read;
	struct search_db *db = run->view.db;
	if (term.length == 0 || term.length > TERM_BYTES_MAX)
		return 0;
	search_key_term(&prefix, run->query->type, term);
	unsigned version = atomic_load(&db->term_versions[search_term_slot(&prefix)]);
	if (term_sets_add(&run->base->sets, &prefix, version, set))
		return 0;
	struct search_view now = { .db = db }; /* the run's own may be from before the version */
	struct adding adding = { .set = &read };
	int err = doc_set_init(&read, set->docs);
	if (err == 0)
		err = search_scan(&now, &prefix, NULL, add_block, &adding);
	if (err == 0)
		doc_set_or(set, &read);
	if (err == 0 && adding.blocks >= KEPT_BLOCKS_MIN)
		term_sets_keep(&run->base->sets, &prefix, version, &read);
	doc_set_fini(&read);
	return err;
}

static void and_with(struct run *run, const struct doc_set *set)
{
	(run->is_narrowed ? doc_set_and : doc_set_or)(&run->members, set);
	run->is_narrowed = true;
}

int run_and_term(struct run *run, struct span term)
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

static int add_prefixed(void *context, struct span key, struct span value)
{
	struct adding *adding = context;
	return adding->blocks == PREFIX_BLOCKS_MAX ? STOP_PREFIX : add_block(adding, key, value);
}

/* Documents of all terms that begin so: true while no term of any kind has changed. */
static int add_beginning(struct run *run, const struct key *prefix, struct doc_set *set)
{
	struct search_view now = { .db = run->view.db };
	struct doc_set read;
	struct adding adding = { .set = &read };
	unsigned version = atomic_load(&now.db->terms_version);
	if (term_sets_add(&run->base->sets, prefix, version, set))
		return 0;
	int stop = doc_set_init(&read, set->docs);
	if (stop == 0)
		stop = search_scan(&now, prefix, NULL, add_prefixed, &adding);
	if (stop >= 0) {
		doc_set_or(set, &read);
		term_sets_keep(&run->base->sets, prefix, version, &read);
	}
	doc_set_fini(&read);
	return stop == STOP_PREFIX ? 0 : stop;
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
	return add_beginning(run, &prefix, set);
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

/* Documents whose number of parameters is in a bucket of the range; those of the buckets at its ends are suspects. */
static int and_parameters(struct run *run)
{
	unsigned first = parameter_bucket(run->query->parameters_min), last = parameter_bucket(run->query->parameters_max);
	struct doc_set set;
	if (first == 0)
		first = 1; /* unknown is in no range */
	int err = doc_set_init(&set, run->view.docs);
	for (unsigned bucket = first; bucket <= last && err == 0; bucket++) {
		uint8_t term[2] = { TERM_PARAMETERS, (uint8_t)(bucket + 1) };
		err = add_term(run, span_of(term, sizeof(term)), &set);
		if (err == 0 && (bucket == first || bucket == last))
			err = add_term(run, span_of(term, sizeof(term)), &run->suspects);
	}
	run->range_count = doc_set_count(&set);
	if (err == 0)
		and_with(run, &set);
	run->has_suspects = true;
	doc_set_fini(&set);
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
	return run->query->gated > 0 ? run_and_term(run, span_of(&kind, 1)) : add_term(run, span_of(&kind, 1), &run->hidden);
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
		err = run_and_term(run, term);
	}
	for (size_t i = 0; i < query->terms_count && err == 0; i++)
		err = run_and_term(run, query->terms[i]);
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

/* ------------------------------------------------------------------ members */

/* 1: a member after all; 0: not. */
static int check_suspect(struct run *run, uint32_t number)
{
	const struct search_query *query = run->query;
	struct doc doc;
	struct doc_values values;
	char id[REPO_ID_BYTES_MAX];
	if (query->parameters_max && !run->range_holds) {
		int err = kept_values_get(&run->base->values, run->view.db, number, &values);
		if (err)
			return err;
		if (values.by[SORT_PARAMETERS] < query->parameters_min || values.by[SORT_PARAMETERS] > query->parameters_max)
			return 0;
	}
	bool read = false;
	for (size_t i = 0; i < run->sought_count; i++) {
		if (doc_set_has(&run->sought[i].sure, number))
			continue;
		int err = read ? 0 : search_get_doc(run->view.db, &run->view, number, &doc, &values, NULL, NULL);
		if (err)
			return err;
		read = true;
		snprintf(id, sizeof(id), "%s/%s", doc.owner, doc.name);
		if (!strcasestr(id, run->sought[i].text))
			return 0;
	}
	return 1;
}

int run_is_member(struct run *run, uint32_t number)
{
	if (run->is_narrowed ? !doc_set_has(&run->members, number) : doc_set_has(&run->hidden, number))
		return 0;
	return run->has_suspects && doc_set_has(&run->suspects, number) ? check_suspect(run, number) : 1;
}

int run_begin(struct run *run, struct search_base *base, const struct search_query *query)
{
	*run = (struct run){ .query = query, .base = base };
	int err = search_view_open(&run->view, &base->db);
	if (err == 0)
		err = doc_set_init(&run->members, run->view.docs);
	if (err == 0)
		err = doc_set_init(&run->suspects, run->view.docs);
	if (err == 0)
		err = doc_set_init(&run->hidden, run->view.docs);
	return err ? err : combine(run);
}

void run_end(struct run *run)
{
	for (size_t i = 0; i < run->sought_count; i++)
		doc_set_fini(&run->sought[i].sure);
	doc_set_fini(&run->members);
	doc_set_fini(&run->suspects);
	doc_set_fini(&run->hidden);
	search_view_close(&run->view);
}

