/* shard_register.c - a client's shard: every word of it checked against what is stored, then its files registered.
 *
 * Twice through it. First everything is checked, which may take long and holds nobody up; nothing is registered before all of it is known to be right.
 * Then, under the registration lock, only whether the xorbs are still there is asked again (what is in a xorb never changes), and records are written
 * some at a time. What a crash or a full disk leaves of them is files without a name, which the shard sent again completes. */
#include <stdlib.h>

#include "store/core.h"
#include "store/digest.h"
#include "store/long_work.h"

enum {
	SHARD_FILES_MAX = 1 << 20,
	SHARD_CHUNKS_MAX = 1 << 27, /* of all its terms: some 8 TiB. A few bytes of shard can name 8192 chunks, and each costs two hashes */
	REGISTER_TRIES = 3,
	WRITE_BYTES = 4 << 20,      /* of records at a time, and one file's more */
	CHUNK_WORK_BYTES = 512,     /* its two hashes take as long as reading so many bytes for a digest */
};

struct shard_batch {
	struct store *store;
	const struct entity_id *owner;
	struct buffer payloads;
	struct journal_record *records; /* payload.data is an offset into payloads until they are written */
	size_t count, capacity;
	bool something_new;
	struct record_place settled; /* known files whose records lie before this are read by what has its copies */
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

/* 0: it is there, and may be leant on. */
static int find_named(struct store *store, const struct hash *hash, struct why *why)
{
	char text[HASH_TEXT_BYTES];
	struct index_xorb entry = { 0 };
	int err = store_may_lean_on(store, hash) ? index_xorb(store->index, hash, &entry) : ERR_NOT_FOUND;
	if (err == 0 && entry.is_part)
		err = ERR_NOT_FOUND; /* it goes with the xorb that it is a part of */
	index_xorb_fini(&entry);
	hash_to_text(text, hash);
	if (err == ERR_NOT_FOUND)
		return why_set(why, ERR_INVALID, "the shard names xorb %s, which is not stored here: upload it first", text);
	return err ? why_set(why, err, "xorb %s cannot be looked up", text) : 0;
}

static int open_named(struct store *store, const struct hash *hash, struct stored_xorb **out, struct why *why)
{
	/* The cache may still hold one that was dropped while somebody loaded it: only the index says what is there. */
	int err = find_named(store, hash, why);
	return err ? err : stored_xorb_open(out, store->xorbs, hash, true, why);
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

static int check_term(struct store *store, const struct shard_file *file, uint32_t index, struct merkle *merkle, struct why *why)
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
	return err;
}

static uint32_t chunks_of(const struct shard_term *term)
{
	uint32_t count = term->chunk_end - term->chunk_start;
	return count < XORB_CHUNKS_MAX ? count : XORB_CHUNKS_MAX;
}

static int check_terms(struct store *store, const struct shard_file *file, struct long_work *work, struct why *why)
{
	struct merkle *merkle;
	struct hash root, actual;
	if (merkle_open(&merkle) != 0)
		return why_set(why, ERR_NO_MEMORY, "no memory to check a file");
	int err = 0;
	for (uint32_t i = 0; i < file->terms_count && err == 0; i++) {
		struct shard_term term;
		shard_term_at(&term, file, i);
		err = check_term(store, file, i, merkle, why);
		if (err == 0)
			err = long_work_done(store, work, (uint64_t)chunks_of(&term) * CHUNK_WORK_BYTES, why);
	}
	merkle_root(merkle, &root);
	merkle_close(merkle);
	digest_file(&actual, &root);
	if (err == 0 && !hash_equal(&actual, &file->hash))
		err = why_set(why, ERR_INVALID, "the terms do not make the file that the shard names");
	return err;
}

/* A digest that is known to be true is not contradicted. */
static int check_sha256(struct store *store, const struct shard_file *file, struct why *why)
{
	struct index_file known;
	int err = file->has_sha256 ? index_file(store->index, &file->hash, &known) : ERR_NOT_FOUND;
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	bool same = known.record.has_sha256 && memcmp(&known.record.sha256, &file->sha256, sizeof(struct sha256)) == 0;
	return known.record.sha256_verified && !same ?
		why_set(why, ERR_INVALID, "the SHA-256 that the shard gives for a file is not that of its bytes") : 0;
}

static int check_file(struct store *store, const struct shard_file *file, struct long_work *work, struct why *why)
{
	if (file->terms_count > 0 && !file->has_verification)
		return why_set(why, ERR_INVALID, "a file of the shard carries no verification hashes");
	if ((file->terms_count == 0) != hash_is_zero(&file->hash))
		return why_set(why, ERR_INVALID, "only the empty file has no terms, and its hash is zero");
	int err = file->terms_count ? check_terms(store, file, work, why) : 0;
	return err ? err : check_sha256(store, file, why);
}

/* ------------------------------------------------------------------ records */

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

static int add_file(struct shard_batch *batch, const struct shard_file *file, uint64_t length)
{
	struct file_record record = { .file = file->hash, .sha256 = file->sha256, .has_sha256 = file->has_sha256, .length = length,
		.registered_ms = store_now_ms(), .terms_count = file->terms_count };
	struct file_term *terms = malloc((file->terms_count ? file->terms_count : 1) * sizeof(*terms));
	size_t offset = batch->payloads.length;
	if (!terms)
		return ERR_NO_MEMORY;
	if (!file->has_sha256)
		record.sha256 = (struct sha256){ 0 };
	for (uint32_t i = 0; i < file->terms_count; i++) {
		struct shard_term term;
		shard_term_at(&term, file, i);
		terms[i] = (struct file_term){ term.xorb, term.raw_length, term.chunk_start, term.chunk_end };
	}
	int err = file_record_encode(&batch->payloads, &record, terms);
	free(terms);
	if (err == 0 && batch->payloads.length - offset > VOLUME_PAYLOAD_BYTES_MAX)
		err = ERR_TOO_BIG;
	batch->something_new = true;
	return err ? err : add_record(batch, VOLUME_FILE, offset);
}

static int write_out(struct shard_batch *batch, struct why *why)
{
	for (size_t i = 0; i < batch->count; i++)
		batch->records[i].payload.data = batch->payloads.data + (uintptr_t)batch->records[i].payload.data;
	int err = batch->count ? journal_commit(batch->store->journal, batch->records, batch->count, why) : 0;
	batch->count = 0;
	buffer_clear(&batch->payloads);
	return err;
}

static bool is_before(const struct record_place *place, const struct record_place *end)
{
	return place->volume != end->volume ? place->volume < end->volume : place->offset < end->offset;
}

static int register_file(struct shard_batch *batch, const struct shard_file *file, struct why *why)
{
	struct index_file known;
	uint64_t length = 0;
	for (uint32_t i = 0; i < file->terms_count; i++) {
		struct shard_term term;
		shard_term_at(&term, file, i);
		length += term.raw_length;
	}
	int err = index_file(batch->store->index, &file->hash, &known);
	if (err != 0 && err != ERR_NOT_FOUND)
		return err;
	bool same_sha256 = err == 0 && (!file->has_sha256 || (known.record.has_sha256 &&
		memcmp(&known.record.sha256, &file->sha256, sizeof(struct sha256)) == 0));
	bool has_record = same_sha256 && !store_file_is_damaged(batch->store, &file->hash) &&
		(is_before(&known.place, &batch->settled) || store_has_file_whole(batch->store, &file->hash));
	err = has_record ? 0 : add_file(batch, file, length);
	if (err == 0)
		err = add_claim(batch, &file->hash, length);
	if (err)
		return why_set(why, err, "a file of the shard cannot be recorded");
	return batch->payloads.length >= WRITE_BYTES ? write_out(batch, why) : 0;
}

/* ------------------------------------------------------------------ the whole */

/* Before anything is hashed: how much there would be to hash. */
static int check_size(struct span bytes, uint64_t *work_bytes, struct why *why)
{
	struct shard_reader reader;
	struct shard_file file;
	uint64_t files = 0, chunks = 0;
	int more, err = shard_open(&reader, bytes, why);
	if (err)
		return err;
	while ((more = shard_next_file(&reader, &file, why)) == 1) {
		files++;
		for (uint32_t i = 0; i < file.terms_count; i++) {
			struct shard_term term;
			shard_term_at(&term, &file, i);
			chunks += chunks_of(&term);
		}
	}
	if (files > SHARD_FILES_MAX)
		return why_set(why, ERR_TOO_BIG, "more than %d files in a shard", SHARD_FILES_MAX);
	if (chunks > SHARD_CHUNKS_MAX)
		return why_set(why, ERR_TOO_BIG, "the files of a shard have more than %d chunks", SHARD_CHUNKS_MAX);
	*work_bytes = chunks * CHUNK_WORK_BYTES;
	return more;
}

static int check_each(struct store *store, struct span bytes, struct long_work *work, struct why *why)
{
	struct shard_reader reader;
	struct shard_file file;
	struct shard_xorb xorb;
	int more, err = shard_open(&reader, bytes, why);
	if (err)
		return err;
	while ((more = shard_next_file(&reader, &file, why)) == 1) {
		err = check_file(store, &file, work, why);
		if (err)
			return err;
	}
	while (more == 0 && (more = shard_next_xorb(&reader, &xorb, why)) == 1) {
		err = check_xorb(store, &xorb, why);
		if (err)
			return err;
		more = 0;
	}
	return more;
}

static int check_all(struct store *store, struct span bytes, struct store_caller *caller, struct why *why)
{
	struct long_work work;
	uint64_t work_bytes = 0;
	int err = check_size(bytes, &work_bytes, why);
	if (err == 0)
		err = long_work_begin(store, &work, caller, NULL, work_bytes, why);
	if (err)
		return err;
	err = check_each(store, bytes, &work, why);
	long_work_end(store, &work);
	return err;
}

/* Under the lock: since it was checked, a garbage collection may have dropped a xorb, or a damaged one been found. */
static int check_still_there(struct store *store, struct span bytes, struct why *why)
{
	struct shard_reader reader;
	struct shard_file file;
	struct hash last = { 0 };
	int err = shard_open(&reader, bytes, why);
	while (err == 0 && shard_next_file(&reader, &file, why) == 1) {
		for (uint32_t i = 0; i < file.terms_count && err == 0; i++) {
			struct shard_term term;
			shard_term_at(&term, &file, i);
			if (!hash_equal(&term.xorb, &last))
				err = find_named(store, &term.xorb, why);
			last = term.xorb;
		}
	}
	return err;
}

static int register_all(struct shard_batch *batch, struct span bytes, struct why *why)
{
	struct shard_reader reader;
	struct shard_file file;
	int err = shard_open(&reader, bytes, why);
	while (err == 0 && shard_next_file(&reader, &file, why) == 1)
		err = register_file(batch, &file, why);
	return err ? err : write_out(batch, why);
}

/* ERR_BUSY: nodes that may have it cannot be asked. Whatever else is wrong is said later. */
static int fetch_named(struct store *store, const struct hash *xorb, struct why *why)
{
	char text[HASH_TEXT_BYTES];
	int err = store_has_xorb(store, xorb) ? 0 : store_fetch_xorb(store, xorb, NULL);
	if (err != ERR_BUSY)
		return err;
	hash_to_text(text, xorb);
	return why_set(why, err, "the shard names xorb %s, which is not here, and nodes that may have it cannot be asked now; try again", text);
}

/* Xorbs that other nodes have taken and that are not here yet; before the lock, since taking them needs it. 0 or ERR_BUSY. */
static int fetch_xorbs(struct store *store, struct span bytes, struct why *why)
{
	int err = 0;
	struct shard_reader reader;
	struct shard_file file;
	struct shard_xorb xorb;
	struct hash last = { 0 };
	if (!store->copies.fetch_xorb || shard_open(&reader, bytes, NULL) != 0)
		return 0;
	while (err == 0 && shard_next_file(&reader, &file, NULL) == 1)
		for (uint32_t i = 0; i < file.terms_count && err == 0; i++) {
			struct shard_term term;
			shard_term_at(&term, &file, i);
			if (!hash_equal(&term.xorb, &last))
				err = fetch_named(store, &term.xorb, why);
			last = term.xorb;
		}
	while (err == 0 && shard_next_xorb(&reader, &xorb, NULL) == 1)
		err = fetch_named(store, &xorb.hash, why);
	return err == ERR_BUSY ? err : 0;
}

/* Before the lock, since other nodes are asked. Files of which they do not say that they have all get the shard's terms, which are here. */
static void settle_known(struct shard_batch *batch, struct span bytes)
{
	struct shard_reader reader;
	struct shard_file file;
	struct record_place end;
	int err = shard_open(&reader, bytes, NULL);
	index_position(batch->store->index, &end);
	while (err == 0 && shard_next_file(&reader, &file, NULL) == 1)
		err = store_settle_files(batch->store, &file.hash, 1, NULL);
	if (err == 0)
		batch->settled = end;
}

/* What was registered may lean on xorbs that are old. */
static int settle_registered(struct store *store, struct span bytes, struct why *why)
{
	struct shard_reader reader;
	struct shard_file file;
	int err = shard_open(&reader, bytes, why);
	while (err == 0 && shard_next_file(&reader, &file, why) == 1)
		err = store_settle_files(store, &file.hash, 1, why);
	return err;
}

static int register_once(struct store *store, const struct entity_id *owner, struct span shard, struct store_caller *caller, int *registered, struct why *why)
{
	struct shard_batch batch = { .store = store, .owner = owner };
	buffer_init(&batch.payloads, (size_t)2 * VOLUME_PAYLOAD_BYTES_MAX);
	int err = fetch_xorbs(store, shard, why);
	if (err == 0)
		err = check_all(store, shard, caller, why);
	if (err == 0 && store_has_others(store))
		settle_known(&batch, shard);
	if (err == 0) {
		pthread_rwlock_rdlock(&store->registration);
		err = check_still_there(store, shard, why);
		if (err == 0)
			err = register_all(&batch, shard, why);
		pthread_rwlock_unlock(&store->registration);
	}
	buffer_fini(&batch.payloads);
	free(batch.records);
	*registered = batch.something_new;
	return err;
}

int store_shard_register(struct store *store, const struct entity_id *owner, struct span shard, struct store_caller *caller, int *registered, struct why *why)
{
	int err = ERR_INVALID;
	/* Again when a xorb was given up between the look and the lock, as others hold it. */
	for (unsigned tries = 0; err == ERR_INVALID && tries < (store_has_others(store) ? REGISTER_TRIES : 1); tries++)
		err = register_once(store, owner, shard, caller, registered, why);
	if (err == 0 && !store_awaits_all(store))
		err = settle_registered(store, shard, why);
	return err ? err : store_await_copies(store, why);
}
