/* shard_register.c - a client's shard: every word of it checked against what is stored, then its files registered together. */
#include <stdlib.h>

#include "store/core.h"
#include "store/digest.h"

enum { SHARD_FILES_MAX = 1 << 20 };

struct shard_batch {
	struct store *store;
	const struct entity_id *owner;
	struct buffer payloads;
	struct journal_record *records; /* payload.data is an offset into payloads until all are there */
	size_t count, capacity;
	bool something_new;
};

static int add_record(struct shard_batch *batch, uint8_t kind, size_t offset)
{
	if (batch->payloads.failed)
		return ERR_TOO_BIG;
	if (batch->count == batch->capacity) {
		size_t capacity = batch->capacity ? 2 * batch->capacity : 16;
		struct journal_record *records = realloc(batch->records, capacity * sizeof(*records));
		if (!records)
			return ERR_NO_MEMORY;
		batch->records = records;
		batch->capacity = capacity;
	}
	batch->records[batch->count++] = (struct journal_record){ .kind = kind,
		.payload = { (const uint8_t *)(uintptr_t)offset, batch->payloads.length - offset } };
	return 0;
}

/* ------------------------------------------------------------------ xorb blocks */

static int open_named(struct store *store, const struct hash *hash, struct stored_xorb **out, struct why *why)
{
	char text[HASH_TEXT_BYTES];
	struct why inner = { 0 };
	struct index_xorb entry = { 0 };
	/* The cache may still hold one that was dropped while somebody loaded it: only the index says what is there. */
	int err = store_may_lean_on(store, hash) ? index_xorb(store->index, hash, &entry) : ERR_NOT_FOUND;
	index_xorb_fini(&entry);
	if (err == 0)
		err = stored_xorb_open(out, store->xorbs, hash, true, &inner);
	hash_to_text(text, hash);
	if (err == ERR_NOT_FOUND)
		return why_set(why, ERR_INVALID, "the shard names xorb %s, which is not stored here: upload it first", text);
	return err ? why_set(why, err, "%s", inner.text) : 0;
}

static int check_xorb(struct store *store, const struct shard_xorb *block, struct why *why)
{
	struct stored_xorb *xorb;
	int err = open_named(store, &block->hash, &xorb, why);
	if (err)
		return err;
	char text[HASH_TEXT_BYTES];
	hash_to_text(text, &block->hash);
	if (block->chunks_count != xorb->table.count)
		err = why_set(why, ERR_INVALID, "the shard gives xorb %s %u chunks, it has %u", text, block->chunks_count, xorb->table.count);
	for (uint32_t i = 0; i < xorb->table.count && err == 0; i++) {
		struct shard_chunk chunk;
		shard_chunk_at(&chunk, block, i);
		uint32_t start = stored_chunk_raw_start(xorb, i);
		if (!hash_equal(&chunk.hash, &xorb->table.chunks[i].hash) || chunk.raw_offset != start ||
			chunk.raw_length != xorb->table.chunks[i].raw_end - start)
			err = why_set(why, ERR_INVALID, "chunk %u of xorb %s differs from what is stored", i, text);
	}
	stored_xorb_release(xorb);
	return err;
}

/* ------------------------------------------------------------------ file blocks */

static int check_term(struct store *store, const struct shard_file *file, uint32_t index, struct file_term *out, struct merkle *merkle,
	struct why *why)
{
	struct shard_term term;
	struct stored_xorb *xorb;
	struct hash said, actual, *hashes;
	shard_term_at(&term, file, index);
	int err = open_named(store, &term.xorb, &xorb, why);
	if (err)
		return err;
	uint32_t count = term.chunk_end - term.chunk_start;
	if (term.chunk_start >= term.chunk_end || term.chunk_end > xorb->table.count) {
		err = why_set(why, ERR_INVALID, "term %u names chunks [%u, %u) of a xorb that has %u", index, term.chunk_start, term.chunk_end,
			xorb->table.count);
	} else if (term.raw_length != xorb->table.chunks[term.chunk_end - 1].raw_end - stored_chunk_raw_start(xorb, term.chunk_start)) {
		err = why_set(why, ERR_INVALID, "term %u says that its chunks have %u bytes; they do not", index, term.raw_length);
	} else if (!(hashes = malloc(count * sizeof(*hashes)))) {
		err = why_set(why, ERR_NO_MEMORY, "no memory to check a term");
	} else {
		for (uint32_t i = 0; i < count; i++) {
			uint32_t chunk = term.chunk_start + i;
			hashes[i] = xorb->table.chunks[chunk].hash;
			merkle_add(merkle, &hashes[i], xorb->table.chunks[chunk].raw_end - stored_chunk_raw_start(xorb, chunk));
		}
		digest_verification(&actual, hashes, count);
		shard_verification_at(&said, file, index);
		free(hashes);
		if (!hash_equal(&said, &actual))
			err = why_set(why, ERR_INVALID, "the verification hash of term %u is wrong", index);
	}
	stored_xorb_release(xorb);
	*out = (struct file_term){ term.xorb, term.raw_length, term.chunk_start, term.chunk_end };
	return err;
}

static int check_terms(struct store *store, const struct shard_file *file, struct file_term *terms, uint64_t *length, struct why *why)
{
	struct merkle *merkle;
	struct hash root, actual;
	if (merkle_open(&merkle) != 0)
		return why_set(why, ERR_NO_MEMORY, "no memory to check a file");
	int err = 0;
	*length = 0;
	for (uint32_t i = 0; i < file->terms_count && err == 0; i++) {
		err = check_term(store, file, i, &terms[i], merkle, why);
		*length += terms[i].raw_length;
	}
	merkle_root(merkle, &root);
	merkle_close(merkle);
	digest_file(&actual, &root);
	if (err == 0 && !hash_equal(&actual, &file->hash))
		err = why_set(why, ERR_INVALID, "the terms do not make the file that the shard names");
	return err;
}

static int add_claim(struct shard_batch *batch, const struct hash *file, uint64_t length)
{
	int64_t claimed_ms, now = store_now_ms();
	int known = index_claim(batch->store->index, file, batch->owner, &claimed_ms);
	if (known == 0 && store_claim_is_fresh(batch->store, claimed_ms, now))
		return 0;
	batch->something_new |= known != 0;
	size_t offset = batch->payloads.length;
	uint8_t *out = buffer_reserve(&batch->payloads, CLAIM_RECORD_BYTES);
	if (!out)
		return ERR_TOO_BIG;
	claim_record_encode(out, &(struct claim_record){ *file, *batch->owner, now, length });
	batch->payloads.length += CLAIM_RECORD_BYTES;
	return add_record(batch, VOLUME_CLAIM, offset);
}

static int register_file(struct shard_batch *batch, const struct shard_file *file, const struct file_term *terms, uint64_t length,
	struct why *why)
{
	struct index_file known;
	int err = index_file(batch->store->index, &file->hash, &known);
	bool same_sha256 = err == 0 && (!file->has_sha256 || (known.record.has_sha256 &&
		memcmp(&known.record.sha256, &file->sha256, sizeof(struct sha256)) == 0));
	if (err != 0 && err != ERR_NOT_FOUND)
		return err;
	if (err == 0 && known.record.sha256_verified && !same_sha256)
		return why_set(why, ERR_INVALID, "the SHA-256 that the shard gives for a file is not that of its bytes");
	if (err == ERR_NOT_FOUND || !same_sha256 || store_file_is_damaged(batch->store, &file->hash)) {
		struct file_record record = { .file = file->hash, .sha256 = file->sha256, .has_sha256 = file->has_sha256, .length = length,
			.registered_ms = store_now_ms(), .terms_count = file->terms_count };
		size_t offset = batch->payloads.length;
		if (!file->has_sha256)
			record.sha256 = (struct sha256){ 0 };
		err = file_record_encode(&batch->payloads, &record, terms);
		if (err == 0 && batch->payloads.length - offset > VOLUME_PAYLOAD_BYTES_MAX)
			err = ERR_TOO_BIG;
		if (err == 0)
			err = add_record(batch, VOLUME_FILE, offset);
		if (err)
			return why_set(why, err, "a file of the shard cannot be recorded");
		batch->something_new = true;
	}
	return add_claim(batch, &file->hash, length);
}

static int take_file(struct shard_batch *batch, const struct shard_file *file, struct why *why)
{
	if (file->terms_count > 0 && !file->has_verification)
		return why_set(why, ERR_INVALID, "a file of the shard carries no verification hashes");
	if ((file->terms_count == 0) != hash_is_zero(&file->hash))
		return why_set(why, ERR_INVALID, "only the empty file has no terms, and its hash is zero");
	struct file_term *terms = malloc((file->terms_count ? file->terms_count : 1) * sizeof(*terms));
	uint64_t length = 0;
	if (!terms)
		return why_set(why, ERR_NO_MEMORY, "no memory to check a file");
	int err = file->terms_count ? check_terms(batch->store, file, terms, &length, why) : 0;
	if (err == 0)
		err = register_file(batch, file, terms, length, why);
	free(terms);
	return err;
}

/* ------------------------------------------------------------------ the whole */

static int check_and_register(struct shard_batch *batch, struct span bytes, struct why *why)
{
	struct shard_reader reader;
	struct shard_file file;
	struct shard_xorb xorb;
	int more, err = shard_open(&reader, bytes, why);
	if (err)
		return err;
	uint32_t files = 0;
	while ((more = shard_next_file(&reader, &file, why)) == 1) {
		err = ++files > SHARD_FILES_MAX ? why_set(why, ERR_TOO_BIG, "more than %d files in a shard", SHARD_FILES_MAX)
			: take_file(batch, &file, why);
		if (err)
			return err;
	}
	while (more == 0 && (more = shard_next_xorb(&reader, &xorb, why)) == 1) {
		err = check_xorb(batch->store, &xorb, why);
		if (err)
			return err;
		more = 0;
	}
	if (more < 0)
		return more;
	for (size_t i = 0; i < batch->count; i++)
		batch->records[i].payload.data = batch->payloads.data + (uintptr_t)batch->records[i].payload.data;
	return batch->count ? journal_commit(batch->store->journal, batch->records, batch->count, why) : 0;
}

/* Xorbs that other nodes have taken and that are not here yet; before the lock, since taking them needs it. Whatever is wrong with the shard is said later. */
static void fetch_xorbs(struct store *store, struct span bytes)
{
	struct shard_reader reader;
	struct shard_file file;
	struct shard_xorb xorb;
	struct hash last = { 0 };
	if (!store->copies.fetch_xorb || shard_open(&reader, bytes, NULL) != 0)
		return;
	while (shard_next_file(&reader, &file, NULL) == 1) {
		for (uint32_t i = 0; i < file.terms_count; i++) {
			struct shard_term term;
			shard_term_at(&term, &file, i);
			bool looked = hash_equal(&term.xorb, &last);
			last = term.xorb;
			if (!looked && !store_has_xorb(store, &term.xorb) && store_fetch_xorb(store, &term.xorb, NULL) != 0)
				return;
		}
	}
	while (shard_next_xorb(&reader, &xorb, NULL) == 1)
		if (!store_has_xorb(store, &xorb.hash) && store_fetch_xorb(store, &xorb.hash, NULL) != 0)
			return;
}

int store_shard_register(struct store *store, const struct entity_id *owner, struct span shard, int *registered, struct why *why)
{
	struct shard_batch batch = { .store = store, .owner = owner };
	buffer_init(&batch.payloads, (size_t)2 * SHARD_BYTES_MAX);
	fetch_xorbs(store, shard);
	pthread_rwlock_rdlock(&store->registration);
	int err = check_and_register(&batch, shard, why);
	pthread_rwlock_unlock(&store->registration);
	buffer_fini(&batch.payloads);
	free(batch.records);
	*registered = batch.something_new;
	return err ? err : store_await_copies(store, why);
}
