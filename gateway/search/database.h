/* database.h - the index of all repositories, as it lies on the disk. Private to gateway/search.
 *
 * DESIGN. A view in a RocksDB of its own, written without a log: every batch carries how far in the streams of changes it has come, so that what a
 * crash takes is read again. Numbers in keys are big-endian. A document is a repository, numbered when it is first seen; numbers are not used again.
 *
 *   'm' name                      -> u64: "format", "complete", "docs", "cluster", "repos", "downloads", "day"
 *   'i' repository id             -> u32 document
 *   'c' document                  -> values: what lists are sorted by (struct doc_values); small and close together, for sorting
 *   'd' document                  -> record (struct doc), the same values, small facts: what lists show, in one look-up
 *   'f' document                  -> all other facts
 *   'x' document                  -> its terms, so that they can be taken back (terms.h)
 *   'p' type, term, 00, u24 block -> block of a term's documents (postings.h)
 *   's' sort, type, ~value, ~document -> empty: each order, highest first, of equals the newest first
 *   'n' type, owner/name, 00      -> u32 document
 *   'T' type, tag                 -> u32 how many public documents have it
 *   'w' file hash                 -> JSON {format: header} of a weights file
 *
 * Threads: one writer; any readers, each with a snapshot, for which a batch is there or not. */
#ifndef CAIRN_GATEWAY_SEARCH_DATABASE_H
#define CAIRN_GATEWAY_SEARCH_DATABASE_H

#include <rocksdb/c.h>
#include <stdatomic.h>

#include "replication/namespace.h"
#include "replication/keys.h"

enum {
	SEARCH_FORMAT = 3,             /* another one on the disk is thrown away and made anew */
	SEARCH_CACHE_BYTES = 16 << 20,
	SEARCH_WRITE_BYTES = 8 << 20,  /* of a memory table */
	SEARCH_ROW_BYTES_MAX = 16 << 20,
	SEARCH_VERSIONS = 4096,        /* counters of changes: what is kept in memory shares them by its hash */
};

enum sort {
	SORT_MODIFIED, SORT_CREATED, SORT_DOWNLOADS, SORT_LIKES, SORT_LIKES_RECENT, SORT_TREND, SORT_PARAMETERS,
	SORT_MAIN_SIZE, /* of data sets: bytes of the files of the default branch; else 0 */
	SORTS_COUNT,
	SORT_ID = SORTS_COUNT,
};

struct doc_values {
	uint64_t by[SORTS_COUNT];
	uint64_t downloads_all;
};

/* What is known of a repository besides its values and facts. */
struct doc {
	struct entity_id repo;
	uint32_t type;
	char owner[NAME_BYTES_MAX + 1], name[NAME_BYTES_MAX + 1];
	bool private;
	uint32_t gated;              /* 0: not; 1: auto; 2: manual */
	bool has_commit;
	struct oid commit;           /* of the default branch, from which the facts are */
};
extern const struct schema doc_schema;

struct search_db {
	rocksdb_t *db;
	rocksdb_options_t *options;
	rocksdb_cache_t *cache;
	rocksdb_writeoptions_t *write_options;
	rocksdb_readoptions_t *read_options;
	/* One up after each batch that changed one of theirs: what was read, as it is now, after a version was, is true while the version is the same. */
	atomic_uint doc_versions[SEARCH_VERSIONS], term_versions[SEARCH_VERSIONS];
	atomic_uint terms_version; /* of all terms together */
};
/* Which of the versions is a document's; a term's, by the key of its blocks without their numbers. */
static inline uint32_t search_doc_slot(uint32_t doc)
{
	return doc % SEARCH_VERSIONS;
}
uint32_t search_term_slot(const struct key *prefix);

/* [blocks] ERR_IO with a sentence; ERR_UNSUPPORTED: of another format. */
int search_db_open(struct search_db *out, const char *dir, struct why *why);
void search_db_close(struct search_db *db);

/* Reads of one state. */
struct search_view {
	struct search_db *db;
	const rocksdb_snapshot_t *snapshot;
	rocksdb_readoptions_t *read_options;
	uint32_t docs;
};
int search_view_open(struct search_view *out, struct search_db *db);
void search_view_close(struct search_view *view);

/* A value that stays in the database's memory; free with rocksdb_pinnableslice_destroy. NULL: absent, or *err is set. `view` NULL: as it is now. */
rocksdb_pinnableslice_t *search_get(const struct search_db *db, const struct search_view *view, const struct key *key, struct span *value, int *err);
/* A row, of the view or (NULL) as it is now; its small facts are appended to `rows` (may be NULL), *small says where: as an offset, until the buffer stays
 * where it is. ERR_NOT_FOUND. */
int search_get_doc(const struct search_db *db, const struct search_view *view, uint32_t number, struct doc *out, struct doc_values *values, struct buffer *rows,
	struct span *small);
int search_meta(const struct search_db *db, const struct search_view *view, const char *name, uint64_t *out); /* 0 when absent */

void search_key_meta(struct key *key, const char *name);
void search_key_repo(struct key *key, const struct entity_id *repo);
void search_key_doc(struct key *key, char kind, uint32_t doc); /* 'c', 'd', 'f', 'x' */
void search_key_term(struct key *key, enum repo_type type, struct span term); /* the prefix of its blocks */
void search_key_block(struct key *key, enum repo_type type, struct span term, uint32_t block);
void search_key_sort(struct key *key, enum sort sort, enum repo_type type, uint64_t value, uint32_t doc);
void search_key_sort_prefix(struct key *key, enum sort sort, enum repo_type type);
void search_key_name(struct key *key, enum repo_type type, const char *owner, const char *name); /* owner NULL: the prefix */
void search_key_tag(struct key *key, enum repo_type type, struct span tag); /* "": the prefix */
void search_key_weights(struct key *key, const struct hash *file);

/* The beginning of a 'd' row. ERR_CORRUPT. *facts: the rest of it. */
int doc_row_decode(struct doc *doc, struct doc_values *values, struct span row, struct span *facts);
void doc_row_encode(struct buffer *out, const struct doc *doc, const struct doc_values *values); /* append the facts */

void doc_values_encode(uint8_t out[sizeof(struct doc_values)], const struct doc_values *values);
bool doc_values_decode(struct doc_values *out, struct span bytes);

/* Calls `each` for keys with `prefix` in the view, from `start` on (NULL: the first); non-zero ends the scan and is returned. ERR_IO. */
int search_scan(const struct search_view *view, const struct key *prefix, const struct key *start,
	int (*each)(void *context, struct span key, struct span value), void *context);

#endif
