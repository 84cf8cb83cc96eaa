/* index.h - the view of the volumes that answers questions: RocksDB, written without a log.
 *
 * DESIGN. Every key begins with the dedup domain and a letter:
 *   c chunk hash                -> xorb, index in it, raw length        
 *   x xorb hash                 -> lengths, times, place of its record, fragments
 *   f file hash                 -> facts, place of its record, its terms when they are few
 *   s sha256, said, file hash   -> nothing; said: 0 when this server computed the digest, 1 when somebody only said so. Truth comes first, however
 *                                  many say it
 *   j file hash, place          -> nothing: a record of other terms of the file that was there when it was written; perhaps no more (other_terms.h)
 *   r xorb hash, file hash      -> nothing: files that use a xorb
 *   o file hash, owner          -> when claimed
 *   w owner, file hash          -> length
 *   u owner                     -> files and bytes claimed
 *   g repository, object id     -> a git object (git_table.c)
 *   m ...                       -> marks of a garbage collection under way (gc.c)
 *   e xorb hash                 -> its codings, record after record (coded.h)
 *   p xorb hash of a part       -> hash of the xorb that it is a part of
 *   d xorb hash                 -> nothing: found damaged (damaged.c)
 *   k file hash                 -> nothing: its record was found damaged
 *   y file hash, owner          -> when claimed: a claim that was dropped while it was young, so that it is not taken for lost (record_ranges.c)
 *   n node                      -> how far that node's records were taken (copies.c)
 *   h node                      -> nothing: that node has had all records of this one once (copies.c)
 *   a                           -> nothing: records were passed over as damaged, and what they held has not been looked for (recovery.c)
 *   b volume                    -> nothing: it is not there, and nothing lay in it (gone.c)
 *   t                           -> totals;  l -> log position up to which volumes are in here;  v -> format of all this
 * Entries made from one group of records are written in one batch with the log position. What a crash takes from memory is made again from
 * the volumes behind that position (recovery.c). Applying a record twice changes nothing.
 *
 * Only index_batch_* change what records say; they are called by one thread at a time (the journal's, or recovery's). Readers are
 * any thread. [blocks] as RocksDB does: seldom, and only for what is not in its cache. */
#ifndef CAIRN_STORE_INDEX_H
#define CAIRN_STORE_INDEX_H

#include <rocksdb/c.h>

#include "schemas/volume_record.h"
#include "store/store.h"

enum {
	INDEX_DOMAIN = 0,
	INDEX_DAMAGED = 'd',
	INDEX_DAMAGED_FILE = 'k',
	INDEX_MARK = 'n',
	INDEX_LEVEL = 'h',
	INDEX_PASSED_OVER = 'a',
	INDEX_GAP = 'b',
	INDEX_DROPPED = 'y',
	INDEX_OTHER_TERMS = 'j',
	INDEX_PLACE_BYTES = 12, /* volume and offset */
	INDEX_TERMS_INLINE_MAX = 16,
	INDEX_KEY_BYTES_MAX = 2 + HASH_BYTES + 1 + HASH_BYTES,
};

struct index;

struct index_totals {
	uint64_t chunks, xorbs, files, stored_bytes, raw_bytes, logical_bytes;
};

/* [blocks] ERR_IO, ERR_CORRUPT (then rebuild it; also one that another version has made). */
int index_open(struct index **out, const char *dir, uint64_t cache_bytes, struct why *why);
/* Called on any thread that meets damage of the index on the disk, with what RocksDB says. Whoever goes on gets ERR_CORRUPT, or misses what a scan would have
 * told. */
void index_when_damaged(struct index *index, void (*on_damage)(void *context, const char *what), void *context);
void index_close(struct index *index);
/* [blocks] Everything applied so far survives from here on. */
int index_flush(struct index *index, struct why *why);
/* Removes the index's files; it must not be open. */
int index_destroy(const char *dir, struct why *why);
void index_totals(struct index *index, struct index_totals *out);
/* Where the records begin that may not be in here. */
void index_position(struct index *index, struct record_place *out);

/* ---- questions ---- */
struct index_chunk {
	bool found;
	struct hash xorb;
	uint32_t chunk_index;
	uint32_t raw_length;
};
int index_find_chunks(struct index *index, const struct hash *chunks, size_t count, struct index_chunk *out, struct why *why);

struct index_xorb {
	uint32_t body_length, raw_length, chunks_count;
	int64_t stored_ms; /* or sent again */
	struct record_place place;
	uint32_t payload_length;
	uint32_t fragments_count;
	bool is_part; /* of another */
	struct xorb_fragment *fragments; /* malloc'ed; resolved places */
};
/* 0, ERR_NOT_FOUND, ERR_IO. Free with index_xorb_fini. */
int index_xorb(struct index *index, const struct hash *xorb, struct index_xorb *out);
/* From the value of an entry. 0, ERR_CORRUPT, ERR_NO_MEMORY. The same. */
int index_xorb_decode(struct index_xorb *out, struct span value);
void index_xorb_fini(struct index_xorb *xorb);

/* False: nothing was ever coded. */
bool index_has_coded(struct index *index);
/* Codings of a xorb, in the order of their bytes; how many. */
size_t index_codings(struct index *index, const struct hash *xorb, struct coded_record *out, size_t max);
int index_xorb_of_part(struct index *index, const struct hash *part, struct hash *out);

struct index_file {
	struct file_record record;
	struct record_place place;
	bool terms_inline;
	struct file_term terms[INDEX_TERMS_INLINE_MAX];
};
int index_file(struct index *index, const struct hash *file, struct index_file *out);
/* Of an entry that a scan has met. ERR_CORRUPT. */
int index_file_decode(struct index_file *out, const struct hash *file, struct span value);
/* When `owner` claimed it. 0, ERR_NOT_FOUND, ERR_IO. */
int index_claim(struct index *index, const struct hash *file, const struct entity_id *owner, int64_t *claimed_ms);
/* When one that was dropped while it was young was claimed. The same. */
int index_dropped_claim(struct index *index, const struct hash *file, const struct entity_id *owner, int64_t *claimed_ms);
int index_usage(struct index *index, const struct entity_id *owner, uint64_t *files, uint64_t *bytes);

/* Walks keys below a prefix in order. */
struct index_scan {
	struct index *index;
	rocksdb_iterator_t *iterator;
	rocksdb_readoptions_t *options;
	uint8_t prefix[INDEX_KEY_BYTES_MAX];
	size_t prefix_length;
	struct span key; /* what follows the prefix */
	struct span value;
	bool started;
};
/* `letter`, then `rest` of the prefix. `from`: bytes after the prefix to begin at (may be empty). */
void index_scan_open(struct index_scan *scan, struct index *index, char letter, struct span rest, struct span from);
/* The same for much that will not be asked for again soon: the cache keeps what it has. */
void index_scan_open_once(struct index_scan *scan, struct index *index, char letter, struct span rest);
/* Files that have this digest (`verified`), or are said to; keys are file hashes. */
void index_scan_open_sha256(struct index_scan *scan, struct index *index, const struct sha256 *sha256, bool verified);
/* Begins anew: the same entries, whatever was written since it was opened. */
void index_scan_rewind(struct index_scan *scan);
bool index_scan_next(struct index_scan *scan); /* false at the end; then scan->key is empty */
int index_scan_close(struct index_scan *scan); /* 0 or ERR_IO */

/* ---- raw entries of views that keep themselves (git table, marks) ---- */
struct index_raw {
	char letter;
	struct span key, value;
};
int index_put_raw(struct index *index, const struct index_raw *entries, size_t count);
/* The value is malloc'ed into *out. */
int index_get_raw(struct index *index, char letter, struct span key, struct buffer *out);
int index_drop_prefix(struct index *index, char letter, struct span prefix);
int index_drop_raw(struct index *index, char letter, struct span key);
/* Of a dropped xorb: entries of its chunks that still lead to it. A chunk that is missing in here is only stored once more. */
int index_forget_chunks(struct index *index, const struct hash *xorb, const struct hash *chunks, size_t count);

/* ---- applying records ---- */
struct index_batch;
int index_batch_open(struct index_batch **out, struct index *index);
/* Takes a record into the batch. 0, ERR_CORRUPT, ERR_IO. */
int index_batch_apply(struct index_batch *batch, uint8_t kind, struct span payload, const struct record_place *place);
/* Writes the batch; `position` (may be NULL) is remembered with it. The batch can be used again. */
int index_batch_write(struct index_batch *batch, const struct record_place *position, struct why *why);
void index_batch_close(struct index_batch *batch);

/* Fragments of a xorb record at `place`, places resolved. `out` has room for fragments_count. */
void xorb_fragments_resolve(struct xorb_fragment *out, const struct xorb_record *record, const struct record_place *place);

#endif
