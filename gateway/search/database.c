#include "gateway/search/database.h"

#include <stdlib.h>

#include <xxhash.h>

#include "schemas/record.h"

static const struct field doc_fields[] = {
	FIELD(struct doc, repo, FIELD_BYTES, true),
	FIELD(struct doc, type, FIELD_ENUM, true),
	FIELD(struct doc, owner, FIELD_TEXT, true),
	FIELD(struct doc, name, FIELD_TEXT, true),
	FIELD(struct doc, private, FIELD_BOOL, false),
	FIELD(struct doc, gated, FIELD_ENUM, false),
	FIELD(struct doc, has_commit, FIELD_BOOL, false),
	FIELD(struct doc, commit, FIELD_BYTES, true),
};
const struct schema doc_schema = SCHEMA(1, doc_fields);

/* ------------------------------------------------------------------ opening */

static rocksdb_options_t *make_options(struct search_db *db)
{
	rocksdb_options_t *options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_write_buffer_size(options, SEARCH_WRITE_BYTES);
	rocksdb_options_set_max_write_buffer_number(options, 2);
	rocksdb_options_set_compression(options, rocksdb_lz4_compression);
	rocksdb_options_set_max_open_files(options, 64);
	rocksdb_options_set_keep_log_file_num(options, 2);
	rocksdb_options_set_info_log_level(options, 3);
	rocksdb_options_set_max_background_jobs(options, 1);
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
	db->cache = rocksdb_cache_create_lru(SEARCH_CACHE_BYTES);
	rocksdb_block_based_options_set_block_cache(table, db->cache);
	rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_options_set_block_based_table_factory(options, table);
	rocksdb_block_based_options_destroy(table);
	return options;
}

int search_db_open(struct search_db *out, const char *dir, struct why *why)
{
	memset(out, 0, sizeof(*out));
	out->options = make_options(out);
	out->write_options = rocksdb_writeoptions_create();
	rocksdb_writeoptions_disable_WAL(out->write_options, 1);
	out->read_options = rocksdb_readoptions_create();
	char *error = NULL;
	out->db = rocksdb_open(out->options, dir, &error);
	if (!out->db) {
		why_set(why, ERR_IO, "cannot open the search index in %s: %s", dir, error);
		rocksdb_free(error);
		search_db_close(out);
		return ERR_IO;
	}
	uint64_t format = 0, docs = 0;
	int err = search_meta(out, NULL, "format", &format);
	if (err == 0)
		err = search_meta(out, NULL, "docs", &docs);
	if (err == 0 && format != SEARCH_FORMAT && (format != 0 || docs != 0))
		err = why_set(why, ERR_UNSUPPORTED, "the search index in %s has format %llu", dir, (unsigned long long)format);
	if (err)
		search_db_close(out);
	return err;
}

void search_db_close(struct search_db *db)
{
	if (db->db) {
		rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
		char *error = NULL;
		rocksdb_flush(db->db, options, &error); /* only shortens the next start */
		rocksdb_free(error);
		rocksdb_flushoptions_destroy(options);
		rocksdb_close(db->db);
	}
	if (db->read_options)
		rocksdb_readoptions_destroy(db->read_options);
	if (db->write_options)
		rocksdb_writeoptions_destroy(db->write_options);
	if (db->options)
		rocksdb_options_destroy(db->options);
	if (db->cache)
		rocksdb_cache_destroy(db->cache);
	memset(db, 0, sizeof(*db));
}

/* ------------------------------------------------------------------ reading */

int search_view_open(struct search_view *out, struct search_db *db)
{
	uint64_t docs;
	*out = (struct search_view){ .db = db, .snapshot = rocksdb_create_snapshot(db->db), .read_options = rocksdb_readoptions_create() };
	rocksdb_readoptions_set_snapshot(out->read_options, out->snapshot);
	int err = search_meta(db, out, "docs", &docs);
	out->docs = (uint32_t)docs;
	if (err)
		search_view_close(out);
	return err;
}

void search_view_close(struct search_view *view)
{
	if (!view->db)
		return;
	rocksdb_readoptions_destroy(view->read_options);
	rocksdb_release_snapshot(view->db->db, view->snapshot);
	*view = (struct search_view){ 0 };
}

rocksdb_pinnableslice_t *search_get(const struct search_db *db, const struct search_view *view, const struct key *key, struct span *value, int *err)
{
	char *error = NULL;
	rocksdb_pinnableslice_t *slice = rocksdb_get_pinned(db->db, view ? view->read_options : db->read_options, (const char *)key->bytes, key->length, &error);
	*err = 0;
	*value = span_of(NULL, 0);
	if (error) {
		*err = ERR_IO;
		rocksdb_free(error);
	}
	if (slice) {
		size_t length;
		const char *data = rocksdb_pinnableslice_value(slice, &length);
		*value = span_of(data, length);
	}
	return slice;
}

int search_meta(const struct search_db *db, const struct search_view *view, const char *name, uint64_t *out)
{
	struct key key;
	struct span value;
	int err;
	search_key_meta(&key, name);
	rocksdb_pinnableslice_t *slice = search_get(db, view, &key, &value, &err);
	*out = value.length == 8 ? get_big_endian(value.data, 8) : 0;
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	return err;
}

int search_scan(const struct search_view *view, const struct key *prefix, const struct key *start,
	int (*each)(void *context, struct span key, struct span value), void *context)
{
	struct key end = *prefix;
	key_after_prefix(&end);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_snapshot(options, view->snapshot);
	rocksdb_readoptions_set_iterate_upper_bound(options, (const char *)end.bytes, end.length);
	rocksdb_iterator_t *iterator = rocksdb_create_iterator(view->db->db, options);
	const struct key *from = start ? start : prefix;
	int err = 0;
	for (rocksdb_iter_seek(iterator, (const char *)from->bytes, from->length); err == 0 && rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
		size_t key_length, value_length;
		const char *key = rocksdb_iter_key(iterator, &key_length);
		const char *value = rocksdb_iter_value(iterator, &value_length);
		err = each(context, span_of(key, key_length), span_of(value, value_length));
	}
	char *error = NULL;
	rocksdb_iter_get_error(iterator, &error);
	if (error) {
		err = err ? err : ERR_IO;
		rocksdb_free(error);
	}
	rocksdb_iter_destroy(iterator);
	rocksdb_readoptions_destroy(options);
	return err;
}

int search_get_doc(const struct search_db *db, const struct search_view *view, uint32_t number, struct doc *out, struct doc_values *values, struct buffer *rows,
	struct span *small)
{
	struct key key;
	struct span value, facts;
	int err;
	search_key_doc(&key, 'd', number);
	rocksdb_pinnableslice_t *slice = search_get(db, view, &key, &value, &err);
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

/* ------------------------------------------------------------------ keys */

static void begin(struct key *key, char kind)
{
	key->bytes[0] = (uint8_t)kind;
	key->length = 1;
}

static void add_lower(struct key *key, const char *text)
{
	for (; *text; text++) {
		char c = *text >= 'A' && *text <= 'Z' ? (char)(*text + 32) : *text;
		key_add(key, &c, 1);
	}
}

void search_key_meta(struct key *key, const char *name)
{
	begin(key, 'm');
	key_add(key, name, strlen(name));
}

void search_key_repo(struct key *key, const struct entity_id *repo)
{
	begin(key, 'i');
	key_add(key, repo->bytes, ENTITY_ID_BYTES);
}

void search_key_doc(struct key *key, char kind, uint32_t doc)
{
	begin(key, kind);
	key_add_number(key, doc, 4);
}

void search_key_term(struct key *key, enum repo_type type, struct span term)
{
	begin(key, 'p');
	key_add_number(key, type, 1);
	key_add(key, term.data, term.length);
	key_add(key, "", 1);
}

uint32_t search_term_slot(const struct key *prefix)
{
	return (uint32_t)(XXH3_64bits(prefix->bytes, prefix->length) % SEARCH_VERSIONS);
}

void search_key_block(struct key *key, enum repo_type type, struct span term, uint32_t block)
{
	search_key_term(key, type, term);
	key_add_number(key, block, 3);
}

void search_key_sort_prefix(struct key *key, enum sort sort, enum repo_type type)
{
	begin(key, 's');
	key_add_number(key, sort, 1);
	key_add_number(key, type, 1);
}

void search_key_sort(struct key *key, enum sort sort, enum repo_type type, uint64_t value, uint32_t doc)
{
	search_key_sort_prefix(key, sort, type);
	key_add_number(key, ~value, 8);
	key_add_number(key, ~doc, 4);
}

void search_key_name(struct key *key, enum repo_type type, const char *owner, const char *name)
{
	begin(key, 'n');
	key_add_number(key, type, 1);
	if (!owner)
		return;
	add_lower(key, owner);
	key_add(key, "/", 1);
	add_lower(key, name);
	key_add(key, "", 1);
}

void search_key_tag(struct key *key, enum repo_type type, struct span tag)
{
	begin(key, 'T');
	key_add_number(key, type, 1);
	key_add(key, tag.data, tag.length);
}

void search_key_weights(struct key *key, const struct hash *file)
{
	begin(key, 'w');
	key_add(key, file->bytes, HASH_BYTES);
}

/* ------------------------------------------------------------------ values */

void doc_values_encode(uint8_t out[sizeof(struct doc_values)], const struct doc_values *values)
{
	for (size_t i = 0; i < SORTS_COUNT; i++)
		put_big_endian(out + 8 * i, values->by[i], 8);
	put_big_endian(out + 8 * SORTS_COUNT, values->downloads_all, 8);
}

bool doc_values_decode(struct doc_values *out, struct span bytes)
{
	if (bytes.length != sizeof(struct doc_values))
		return false;
	for (size_t i = 0; i < SORTS_COUNT; i++)
		out->by[i] = get_big_endian(bytes.data + 8 * i, 8);
	out->downloads_all = get_big_endian(bytes.data + 8 * SORTS_COUNT, 8);
	return true;
}

int doc_row_decode(struct doc *doc, struct doc_values *values, struct span row, struct span *facts)
{
	struct cursor cursor = cursor_of(row);
	int err = record_decode_at(&cursor, doc, sizeof(*doc), &doc_schema);
	if (err)
		return err;
	struct span encoded = cursor_bytes(&cursor, sizeof(struct doc_values));
	*facts = span_of(cursor.at, (size_t)(cursor.end - cursor.at));
	return doc_values_decode(values, encoded) ? 0 : ERR_CORRUPT;
}

void doc_row_encode(struct buffer *out, const struct doc *doc, const struct doc_values *values)
{
	uint8_t encoded[sizeof(struct doc_values)];
	record_encode(out, &doc_schema, doc);
	doc_values_encode(encoded, values);
	pack_bytes(out, span_of(encoded, sizeof(encoded)));
}
