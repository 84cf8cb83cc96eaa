/* index_entries.h - keys and values of the index, as the two files that read and write them see it. Private to index.c and index_batch.c. */
#ifndef CAIRN_STORE_INDEX_ENTRIES_H
#define CAIRN_STORE_INDEX_ENTRIES_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/index.h"

enum {
	CHUNK_VALUE_BYTES = HASH_BYTES + 8,
	XORB_VALUE_FIXED_BYTES = 44,
	FILE_VALUE_FIXED_BYTES = HASH_BYTES + 40,
	TOTALS_BYTES = 48,
	INDEX_FORMAT = 2,
	SHA256_PREFIX_BYTES = HASH_BYTES + 1,
};

struct index {
	rocksdb_t *db;
	rocksdb_column_family_handle_t *family; /* the default one: only by its handle can many keys be looked up at once */
	rocksdb_options_t *options;
	rocksdb_cache_t *cache;
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write;
	struct index_totals totals;   /* changed by the one that applies */
	struct record_place position;
	pthread_mutex_t lock;         /* over the two above, for readers */
	void (*on_damage)(void *context, const char *what); /* or NULL */
	void *context;
	atomic_bool has_coded;        /* something is, or was */
};

struct key {
	uint8_t bytes[INDEX_KEY_BYTES_MAX];
	size_t length;
};
struct key key_of(char letter, const void *a, size_t a_length, const void *b, size_t b_length);
static inline struct key key1(char letter, const struct hash *hash)
{
	return key_of(letter, hash->bytes, HASH_BYTES, NULL, 0);
}

/* What keys of files with a digest, or said to have it, begin with. */
static inline void sha256_prefix(uint8_t out[SHA256_PREFIX_BYTES], const struct sha256 *sha256, bool verified)
{
	memcpy(out, sha256->bytes, HASH_BYTES);
	out[HASH_BYTES] = !verified;
}

/* 1 and *value (destroy it), 0 when absent, ERR_IO. */
int entry_get(struct index *index, const struct key *key, rocksdb_pinnableslice_t **value);
struct span entry_bytes(const rocksdb_pinnableslice_t *slice);
void entry_put(rocksdb_writebatch_t *batch, const struct key *key, const void *value, size_t length);
void entry_forget(rocksdb_writebatch_t *batch, const struct key *key);
/* The codings in an entry: the record that begins at *rest, which moves on. False: no more. */
bool entry_coding(struct span *rest, struct coded_record *out);
int entries_write(struct index *index, rocksdb_writebatch_t *batch, struct why *why);

#endif
