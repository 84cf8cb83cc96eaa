#include "replication/state_digest.h"

#include "replication/applier.h"
#include "replication/namespace_state.h"

#include <xxhash.h>

static void add(XXH3_state_t *state, const char *data, size_t length)
{
	uint64_t length_u64 = length;
	XXH3_128bits_update(state, &length_u64, sizeof(length_u64));
	XXH3_128bits_update(state, data, length);
}

int state_digest(struct namespace *ns, uint32_t group, struct state_digest *out)
{
	rocksdb_t *db = consensus_db(namespace_consensus(ns));
	*out = (struct state_digest){ 0 };
	struct key record, first, end;
	struct buffer unused;
	XXH3_state_t *state = XXH3_createState();
	if (!state)
		return ERR_NO_MEMORY;
	XXH3_128bits_reset(state);
	applier_record_key(&record, group);
	first.length = end.length = 4;
	put_big_endian(first.bytes, group, 4);
	put_big_endian(end.bytes, (uint64_t)group + 1, 4);
	const rocksdb_snapshot_t *snapshot = rocksdb_create_snapshot(db);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_snapshot(options, snapshot);
	rocksdb_readoptions_set_fill_cache(options, 0);
	rocksdb_readoptions_set_iterate_upper_bound(options, (const char *)end.bytes, end.length);
	rocksdb_iterator_t *iterator = rocksdb_create_iterator(db, options);
	int err = 0;
	for (rocksdb_iter_seek(iterator, (const char *)first.bytes, first.length); err == 0 && rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
		size_t key_length, length;
		const char *key = rocksdb_iter_key(iterator, &key_length), *value = rocksdb_iter_value(iterator, &length);
		if (span_equal(span_of(key, key_length), span_of(record.bytes, record.length))) { /* holds what each node knows of its own disk */
			buffer_init(&unused, 4096);
			err = applier_record_restate(span_of(value, length), 0, &unused, &out->applied);
			buffer_fini(&unused);
			continue;
		}
		add(state, key, key_length);
		add(state, value, length);
		out->pairs++;
	}
	char *error = NULL;
	rocksdb_iter_get_error(iterator, &error);
	if (error)
		err = namespace_read_failed(ns, error);
	rocksdb_iter_destroy(iterator);
	rocksdb_readoptions_destroy(options);
	rocksdb_release_snapshot(db, snapshot);
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
	memcpy(out->digest, canonical.digest, sizeof(out->digest));
	XXH3_freeState(state);
	return err;
}
