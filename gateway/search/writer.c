#include "gateway/search/writer.h"

#include <stdlib.h>

#include <xxhash.h>

#include "schemas/record.h"

enum { TABLE_SIZE = 4 * WRITER_BLOCKS_MAX };

/* A block or a counter that the batch changes. */
struct held {
	struct held *next;
	size_t slot;
	struct key key;
	bool is_count;
	int64_t count;      /* is_count: of a tag */
	struct block block;
};

struct search_writer {
	struct search_db *db;
	rocksdb_writebatch_t *batch;
	struct held **table;       /* open hash, TABLE_SIZE */
	struct held *list;         /* all of them */
	size_t held_count;
	uint64_t docs;             /* numbers given out */
	uint64_t docs_written;
	uint64_t docs_touched[SEARCH_VERSIONS / 64], terms_touched[SEARCH_VERSIONS / 64]; /* versions that this batch brings up */
};

int search_writer_open(struct search_writer **out, struct search_db *db)
{
	struct search_writer *writer = calloc(1, sizeof(*writer));
	*out = writer;
	if (!writer)
		return ERR_NO_MEMORY;
	writer->db = db;
	writer->batch = rocksdb_writebatch_create();
	writer->table = calloc(TABLE_SIZE, sizeof(*writer->table));
	int err = writer->table ? search_meta(db, NULL, "docs", &writer->docs) : ERR_NO_MEMORY;
	writer->docs_written = writer->docs;
	if (err) {
		search_writer_close(writer);
		*out = NULL;
	}
	return err;
}

static void forget(struct search_writer *writer)
{
	while (writer->list) {
		struct held *held = writer->list;
		writer->list = held->next;
		writer->table[held->slot] = NULL;
		free(held);
	}
	writer->held_count = 0;
	memset(writer->docs_touched, 0, sizeof(writer->docs_touched));
	memset(writer->terms_touched, 0, sizeof(writer->terms_touched));
	rocksdb_writebatch_clear(writer->batch);
}

void search_writer_close(struct search_writer *writer)
{
	if (!writer)
		return;
	forget(writer);
	rocksdb_writebatch_destroy(writer->batch);
	free(writer->table);
	free(writer);
}

static void put(struct search_writer *writer, const struct key *key, const void *data, size_t length)
{
	rocksdb_writebatch_put(writer->batch, (const char *)key->bytes, key->length, data, length);
}

static void drop(struct search_writer *writer, const struct key *key)
{
	rocksdb_writebatch_delete(writer->batch, (const char *)key->bytes, key->length);
}

/* ------------------------------------------------------------------ blocks and counts */

static void touch(uint64_t slots[SEARCH_VERSIONS / 64], uint32_t slot)
{
	slots[slot / 64] |= UINT64_C(1) << (slot % 64);
}

/* What readers keep in memory of this batch's documents and terms is old now. */
static void raise_versions(const uint64_t slots[SEARCH_VERSIONS / 64], atomic_uint versions[SEARCH_VERSIONS])
{
	for (uint32_t i = 0; i < SEARCH_VERSIONS / 64; i++)
		for (uint64_t left = slots[i]; left; left &= left - 1)
			atomic_fetch_add(&versions[i * 64 + (uint32_t)__builtin_ctzll(left)], 1);
}

static struct held *hold(struct search_writer *writer, const struct key *key, bool is_count, int *err)
{
	size_t at = (size_t)XXH3_64bits(key->bytes, key->length) % TABLE_SIZE;
	*err = 0;
	for (; writer->table[at]; at = (at + 1) % TABLE_SIZE)
		if (writer->table[at]->key.length == key->length && memcmp(writer->table[at]->key.bytes, key->bytes, key->length) == 0)
			return writer->table[at];
	struct held *held = writer->held_count < TABLE_SIZE - 1 ? calloc(1, sizeof(*held)) : NULL;
	if (!held) {
		*err = ERR_NO_MEMORY;
		return NULL;
	}
	struct span value;
	held->key = *key;
	held->is_count = is_count;
	rocksdb_pinnableslice_t *slice = search_get(writer->db, NULL, key, &value, err);
	if (*err == 0 && is_count)
		held->count = value.length == 4 ? (int64_t)get_big_endian(value.data, 4) : 0;
	else if (*err == 0 && slice && !block_decode(&held->block, value))
		*err = ERR_CORRUPT;
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	if (*err) {
		free(held);
		return NULL;
	}
	held->slot = at;
	held->next = writer->list;
	writer->list = held;
	writer->table[at] = held;
	writer->held_count++;
	return held;
}

static int set_member(struct search_writer *writer, enum repo_type type, struct span term, uint32_t doc, bool member)
{
	struct key key;
	int err;
	search_key_term(&key, type, term);
	touch(writer->terms_touched, search_term_slot(&key));
	search_key_block(&key, type, term, doc / BLOCK_DOCS);
	struct held *held = hold(writer, &key, false, &err);
	if (held)
		block_set(&held->block, doc % BLOCK_DOCS, member);
	return err;
}

static int count_tag(struct search_writer *writer, enum repo_type type, struct span tag, int by)
{
	struct key key;
	int err;
	search_key_tag(&key, type, tag);
	struct held *held = hold(writer, &key, true, &err);
	if (held)
		held->count += by;
	return err;
}

static void write_held(struct search_writer *writer, const struct held *held)
{
	uint8_t bytes[BLOCK_BYTES];
	size_t length = held->is_count ? (held->count > 0 ? 4 : 0) : block_encode(&held->block, bytes);
	if (held->is_count)
		put_big_endian(bytes, (uint64_t)held->count, 4);
	if (length)
		put(writer, &held->key, bytes, length);
	else
		drop(writer, &held->key);
}

/* ------------------------------------------------------------------ documents */

static int read_doc(struct search_writer *writer, struct indexed *out)
{
	struct key key;
	struct span value, facts;
	int err;
	search_key_doc(&key, 'd', out->number);
	rocksdb_pinnableslice_t *slice = search_get(writer->db, NULL, &key, &value, &err);
	if (err == 0)
		err = doc_row_decode(&out->doc, &out->values, value, &facts);
	if (err == 0)
		facts_peek_digest(facts, out->digest);
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	return err;
}

int search_writer_find(struct search_writer *writer, const struct entity_id *repo, struct indexed *out)
{
	*out = (struct indexed){ 0 };
	struct key key;
	struct span value;
	int err;
	search_key_repo(&key, repo);
	rocksdb_pinnableslice_t *slice = search_get(writer->db, NULL, &key, &value, &err);
	out->exists = slice && value.length == 4;
	out->number = out->exists ? (uint32_t)get_big_endian(value.data, 4) : 0;
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	return err || !out->exists ? err : read_doc(writer, out);
}

/* Moves a document from its old places in the orders to the new ones; either may be NULL. */
static void sort_anew(struct search_writer *writer, const struct indexed *before, uint32_t type, const struct doc_values *values, uint32_t number)
{
	struct key key;
	touch(writer->docs_touched, search_doc_slot(number));
	for (enum sort sort = 0; sort < SORTS_COUNT; sort++) {
		if (before && values && before->values.by[sort] == values->by[sort])
			continue;
		if (before) {
			search_key_sort(&key, sort, before->doc.type, before->values.by[sort], number);
			drop(writer, &key);
		}
		if (values) {
			search_key_sort(&key, sort, type, values->by[sort], number);
			put(writer, &key, "", 0);
		}
	}
	if (values) {
		uint8_t bytes[sizeof(struct doc_values)];
		doc_values_encode(bytes, values);
		search_key_doc(&key, 'c', number);
		put(writer, &key, bytes, sizeof(bytes));
	}
}


/* ------------------------------------------------------------------ terms */

/* The terms that a document has now. `out` must be initialised. */
static int old_terms(struct search_writer *writer, uint32_t number, struct buffer *out)
{
	struct key key;
	struct span value;
	int err;
	search_key_doc(&key, 'x', number);
	rocksdb_pinnableslice_t *slice = search_get(writer->db, NULL, &key, &value, &err);
	if (err == 0 && slice)
		err = buffer_append(out, value.data, value.length);
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	return err;
}

static int change_term(struct search_writer *writer, const struct doc *doc, uint32_t number, struct span term, bool member, bool counted)
{
	int err = set_member(writer, doc->type, term, number, member);
	if (err == 0 && counted && term.data[0] == TERM_TAG)
		err = count_tag(writer, doc->type, span_of(term.data + 1, term.length - 1), member ? 1 : -1);
	return err;
}

/* Only what differs is touched; of tags also the number of public documents that have them. */
static int change_terms(struct search_writer *writer, const struct indexed *before, const struct doc *doc, uint32_t number, const struct term_list *terms)
{
	struct buffer old;
	struct term_list known;
	struct span rest, term;
	buffer_init(&old, SEARCH_ROW_BYTES_MAX);
	int err = term_list_init(&known);
	if (err == 0 && before)
		err = old_terms(writer, number, &old);
	bool was_public = before && !before->doc.private, is_public = doc && !doc->private;
	bool recount = before && doc && was_public != is_public;
	for (rest = buffer_span(&old); err == 0 && term_next(&rest, &term);) {
		term_add(&known, (enum term_kind)term.data[0], span_of(term.data + 1, term.length - 1));
		bool stays = terms && term_list_has(terms, term);
		if (!stays)
			err = change_term(writer, &before->doc, number, term, false, was_public);
		else if (recount && term.data[0] == TERM_TAG)
			err = count_tag(writer, doc->type, span_of(term.data + 1, term.length - 1), is_public ? 1 : -1);
	}
	rest = terms ? buffer_span(&terms->bytes) : span_of(NULL, 0);
	while (err == 0 && term_next(&rest, &term))
		if (!term_list_has(&known, term))
			err = change_term(writer, doc, number, term, true, is_public);
	struct key key;
	search_key_doc(&key, 'x', number);
	if (err == 0 && terms)
		put(writer, &key, terms->bytes.data, terms->bytes.length);
	else if (err == 0)
		drop(writer, &key);
	term_list_fini(&known);
	buffer_fini(&old);
	return err;
}

/* ------------------------------------------------------------------ putting and removing */

static void write_rows(struct search_writer *writer, const struct doc *doc, const struct doc_values *values, uint32_t number, const struct facts *facts)
{
	struct buffer row;
	struct key key;
	buffer_init(&row, SEARCH_ROW_BYTES_MAX);
	doc_row_encode(&row, doc, values);
	facts_encode(&row, facts, true);
	search_key_doc(&key, 'd', number);
	put(writer, &key, row.data, row.length);
	buffer_clear(&row);
	facts_encode(&row, facts, false);
	search_key_doc(&key, 'f', number);
	put(writer, &key, row.data, row.length);
	buffer_fini(&row);
}

static void write_name(struct search_writer *writer, const struct indexed *before, const struct doc *doc, uint32_t number)
{
	struct key old, new;
	uint8_t bytes[4];
	put_big_endian(bytes, number, sizeof(bytes));
	if (before)
		search_key_name(&old, before->doc.type, before->doc.owner, before->doc.name);
	if (doc)
		search_key_name(&new, doc->type, doc->owner, doc->name);
	if (before && doc && old.length == new.length && memcmp(old.bytes, new.bytes, old.length) == 0)
		return;
	if (before)
		drop(writer, &old);
	if (doc)
		put(writer, &new, bytes, sizeof(bytes));
}

/* Another beginning before the facts that are there. */
static int rewrite_row(struct search_writer *writer, uint32_t number, const struct doc *doc, const struct doc_values *values)
{
	struct key key;
	struct span value, facts;
	struct buffer row;
	struct doc old;
	struct doc_values old_values;
	int err;
	search_key_doc(&key, 'd', number);
	rocksdb_pinnableslice_t *slice = search_get(writer->db, NULL, &key, &value, &err);
	if (err == 0)
		err = doc_row_decode(&old, &old_values, value, &facts);
	buffer_init(&row, SEARCH_ROW_BYTES_MAX);
	doc_row_encode(&row, doc, values);
	if (err == 0)
		err = buffer_append(&row, facts.data, facts.length);
	if (err == 0)
		put(writer, &key, row.data, row.length);
	buffer_fini(&row);
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	return err;
}

int search_writer_record(struct search_writer *writer, const struct indexed *before, const struct doc *doc, const struct doc_values *values)
{
	int err = rewrite_row(writer, before->number, doc, values);
	if (err == 0)
		sort_anew(writer, before, doc->type, values, before->number);
	return err;
}

int search_writer_put(struct search_writer *writer, const struct indexed *before, const struct doc *doc, const struct doc_values *values,
	const struct facts *facts, const struct term_list *terms)
{
	const struct indexed *old = before->exists ? before : NULL;
	struct key key;
	uint8_t bytes[4];
	uint32_t number = before->number;
	if (!old) {
		if (writer->docs >= UINT32_MAX - BLOCK_DOCS)
			return ERR_TOO_BIG;
		number = (uint32_t)writer->docs++;
		search_key_repo(&key, &doc->repo);
		put_big_endian(bytes, number, sizeof(bytes));
		put(writer, &key, bytes, sizeof(bytes));
	}
	int err = change_terms(writer, old, doc, number, terms);
	if (err)
		return err;
	write_rows(writer, doc, values, number, facts);
	sort_anew(writer, old, doc->type, values, number);
	write_name(writer, old, doc, number);
	return 0;
}

int search_writer_remove(struct search_writer *writer, const struct indexed *before)
{
	static const char kinds[] = "cdf";
	struct key key;
	int err = change_terms(writer, before, NULL, before->number, NULL);
	if (err)
		return err;
	sort_anew(writer, before, before->doc.type, NULL, before->number);
	write_name(writer, before, NULL, before->number);
	for (const char *kind = kinds; *kind; kind++) {
		search_key_doc(&key, *kind, before->number);
		drop(writer, &key);
	}
	search_key_repo(&key, &before->doc.repo);
	drop(writer, &key);
	return 0;
}

void search_writer_meta(struct search_writer *writer, const char *name, uint64_t value)
{
	struct key key;
	uint8_t bytes[8];
	search_key_meta(&key, name);
	put_big_endian(bytes, value, sizeof(bytes));
	put(writer, &key, bytes, sizeof(bytes));
}

void search_writer_weights(struct search_writer *writer, const struct hash *file, struct span json)
{
	struct key key;
	search_key_weights(&key, file);
	put(writer, &key, json.data, json.length);
}

bool search_writer_is_full(const struct search_writer *writer)
{
	return writer->held_count + TERMS_MAX / 4 >= WRITER_BLOCKS_MAX;
}

int search_writer_end(struct search_writer *writer)
{
	for (const struct held *held = writer->list; held; held = held->next)
		write_held(writer, held);
	search_writer_meta(writer, "docs", writer->docs);
	search_writer_meta(writer, "format", SEARCH_FORMAT);
	char *error = NULL;
	rocksdb_write(writer->db->db, writer->db->write_options, writer->batch, &error);
	int err = error ? ERR_IO : 0;
	rocksdb_free(error);
	raise_versions(writer->docs_touched, writer->db->doc_versions);
	raise_versions(writer->terms_touched, writer->db->term_versions);
	if (writer->list)
		atomic_fetch_add(&writer->db->terms_version, 1);
	if (err)
		writer->docs = writer->docs_written;
	writer->docs_written = writer->docs;
	forget(writer);
	return err;
}
