/* index_batch.c - what each kind of record makes of the index. */
#include <assert.h>
#include <stdlib.h>

#include "schemas/little_endian.h"
#include "store/coded.h"
#include "store/core.h"
#include "store/index_entries.h"

enum { SUBJECT_SLOTS = 512, OWNERS_MAX = 64 };

/* What is to be added to an owner's usage. */
struct owner_usage {
	struct entity_id owner;
	int64_t files, bytes;
};

struct index_batch {
	uint64_t subjects[SUBJECT_SLOTS]; /* of its records; open addressing, 0: free */
	size_t subjects_count;
	struct index *index;
	rocksdb_writebatch_t *batch;
	struct index_totals totals;
	struct owner_usage owners[OWNERS_MAX];
	size_t owners_count;
};

int index_batch_open(struct index_batch **out, struct index *index)
{
	struct index_batch *batch = calloc(1, sizeof(*batch));
	if (!batch)
		return ERR_NO_MEMORY;
	batch->index = index;
	batch->batch = rocksdb_writebatch_create();
	index_totals(index, &batch->totals);
	*out = batch;
	return 0;
}

void index_batch_close(struct index_batch *batch)
{
	if (!batch)
		return;
	rocksdb_writebatch_destroy(batch->batch);
	free(batch);
}

static int flush_owners(struct index_batch *batch)
{
	int err = 0;
	for (size_t i = 0; i < batch->owners_count && err == 0; i++) {
		const struct owner_usage *more = &batch->owners[i];
		uint64_t files, bytes;
		uint8_t value[16];
		err = index_usage(batch->index, &more->owner, &files, &bytes);
		le_write_u64(value, files + (uint64_t)more->files);
		le_write_u64(value + 8, bytes + (uint64_t)more->bytes);
		struct key key = key_of('u', more->owner.bytes, ENTITY_ID_BYTES, NULL, 0);
		entry_put(batch->batch, &key, value, sizeof(value));
	}
	batch->owners_count = 0;
	return err;
}

int index_batch_write(struct index_batch *batch, const struct record_place *position, struct why *why)
{
	struct index *index = batch->index;
	uint8_t totals[TOTALS_BYTES], log[12];
	int err = flush_owners(batch);
	const uint64_t values[] = { batch->totals.chunks, batch->totals.xorbs, batch->totals.files, batch->totals.stored_bytes,
		batch->totals.raw_bytes, batch->totals.logical_bytes };
	for (size_t i = 0; i < 6; i++)
		le_write_u64(totals + 8 * i, values[i]);
	struct key key = key_of('t', NULL, 0, NULL, 0);
	entry_put(batch->batch, &key, totals, sizeof(totals));
	if (position) {
		le_write_u32(log, position->volume);
		le_write_u64(log + 4, position->offset);
		key = key_of('l', NULL, 0, NULL, 0);
		entry_put(batch->batch, &key, log, sizeof(log));
	}
	if (err == 0)
		err = entries_write(index, batch->batch, why);
	rocksdb_writebatch_clear(batch->batch);
	if (batch->subjects_count)
		memset(batch->subjects, 0, sizeof(batch->subjects));
	batch->subjects_count = 0;
	if (err)
		return err;
	pthread_mutex_lock(&index->lock);
	index->totals = batch->totals;
	if (position)
		index->position = *position;
	pthread_mutex_unlock(&index->lock);
	return 0;
}

static void account(struct index_batch *batch, const struct entity_id *owner, int64_t files, int64_t bytes)
{
	size_t at = 0;
	while (at < batch->owners_count && memcmp(&batch->owners[at].owner, owner, sizeof(*owner)) != 0)
		at++;
	assert(at < OWNERS_MAX); /* take_subject has made room */
	if (at == batch->owners_count)
		batch->owners[batch->owners_count++] = (struct owner_usage){ .owner = *owner };
	batch->owners[at].files += files;
	batch->owners[at].bytes += bytes;
	batch->totals.logical_bytes += (uint64_t)bytes;
}

void xorb_fragments_resolve(struct xorb_fragment *out, const struct xorb_record *record, const struct record_place *place)
{
	for (uint32_t i = 0; i < record->fragments_count; i++) {
		xorb_fragment_at(&out[i], record->fragments, i);
		if (out[i].volume)
			continue;
		out[i].volume = place->volume;
		out[i].offset = place->offset - volume_record_bytes(out[i].length) + VOLUME_RECORD_HEADER_BYTES;
	}
}

static int put_xorb(struct index_batch *batch, const struct hash *xorb, const struct index_xorb *value)
{
	struct buffer out;
	buffer_init(&out, XORB_VALUE_FIXED_BYTES + XORB_FRAGMENTS_MAX * XORB_RECORD_FRAGMENT_BYTES);
	uint8_t fixed[XORB_VALUE_FIXED_BYTES] = { 0 };
	le_write_u32(fixed, value->body_length);
	le_write_u32(fixed + 4, value->raw_length);
	le_write_u32(fixed + 8, value->chunks_count);
	le_write_u64(fixed + 12, (uint64_t)value->stored_ms);
	le_write_u32(fixed + 20, value->place.volume);
	le_write_u64(fixed + 24, value->place.offset);
	le_write_u32(fixed + 32, value->payload_length);
	le_write_u32(fixed + 36, value->fragments_count);
	fixed[40] = value->is_part;
	buffer_append(&out, fixed, sizeof(fixed));
	for (uint32_t i = 0; i < value->fragments_count; i++)
		xorb_record_add_fragment(&out, &value->fragments[i]);
	struct key key = key1('x', xorb);
	if (!out.failed)
		entry_put(batch->batch, &key, out.data, out.length);
	int err = out.failed ? ERR_NO_MEMORY : 0;
	buffer_fini(&out);
	return err;
}

static int apply_xorb(struct index_batch *batch, struct span payload, const struct record_place *place)
{
	struct xorb_record record;
	struct index_xorb old;
	if (xorb_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	int known = index_xorb(batch->index, &record.xorb, &old);
	if (known == 0 && !record.moved) {
		/* The first copy stays: offsets that were handed out are its. But it is young again: somebody is about to name it. */
		int err = 0;
		if (record.stored_ms > old.stored_ms) {
			old.stored_ms = record.stored_ms;
			err = put_xorb(batch, &record.xorb, &old);
		}
		index_xorb_fini(&old);
		return err;
	}
	index_xorb_fini(&old);
	if (known != 0 && known != ERR_NOT_FOUND)
		return known;
	struct index_xorb value = { .body_length = record.body_length, .raw_length = record.raw_length, .chunks_count = record.chunks_count,
		.stored_ms = record.stored_ms, .place = *place, .payload_length = (uint32_t)payload.length,
		.fragments_count = record.fragments_count, .is_part = coded_is_part(&record) };
	value.fragments = malloc(record.fragments_count * sizeof(*value.fragments));
	if (!value.fragments)
		return ERR_NO_MEMORY;
	xorb_fragments_resolve(value.fragments, &record, place);
	int err = put_xorb(batch, &record.xorb, &value);
	index_xorb_fini(&value);
	if (known == 0) /* a copy that replaces a damaged one may be compressed differently */
		batch->totals.stored_bytes += record.body_length - (uint64_t)old.body_length;
	if (err || known == 0)
		return err;
	uint32_t raw_start = 0;
	for (uint32_t i = 0; i < record.chunks_count && !value.is_part; i++) { /* of a part no file may name any */
		struct xorb_record_chunk chunk;
		uint8_t entry[CHUNK_VALUE_BYTES];
		xorb_record_chunk_at(&chunk, record.chunks, i);
		memcpy(entry, record.xorb.bytes, HASH_BYTES);
		le_write_u32(entry + HASH_BYTES, i);
		le_write_u32(entry + HASH_BYTES + 4, chunk.raw_end - raw_start);
		raw_start = chunk.raw_end;
		struct key key = key1('c', &chunk.hash);
		entry_put(batch->batch, &key, entry, sizeof(entry));
	}
	batch->totals.xorbs++;
	batch->totals.chunks += record.chunks_count;
	batch->totals.stored_bytes += record.body_length;
	batch->totals.raw_bytes += record.raw_length;
	return 0;
}

static struct key sha256_key(const struct file_record *record, bool verified)
{
	uint8_t prefix[SHA256_PREFIX_BYTES];
	sha256_prefix(prefix, &record->sha256, verified);
	return key_of('s', prefix, sizeof(prefix), record->file.bytes, HASH_BYTES);
}

static void forget_sha256(struct index_batch *batch, const struct file_record *record, bool verified)
{
	struct key key = sha256_key(record, verified);
	entry_forget(batch->batch, &key);
}

static void put_sha256(struct index_batch *batch, const struct file_record *record)
{
	if (!record->has_sha256)
		return;
	struct key key = sha256_key(record, record->sha256_verified);
	entry_put(batch->batch, &key, NULL, 0);
	if (record->sha256_verified)
		forget_sha256(batch, record, false);
}

static int put_file(struct index_batch *batch, const struct index_file *file)
{
	uint8_t value[FILE_VALUE_FIXED_BYTES + INDEX_TERMS_INLINE_MAX * FILE_RECORD_TERM_BYTES] = { 0 };
	const struct file_record *record = &file->record;
	size_t length = FILE_VALUE_FIXED_BYTES;
	memcpy(value, record->sha256.bytes, HASH_BYTES);
	uint8_t *at = value + HASH_BYTES;
	at[0] = (uint8_t)((record->has_sha256 ? 1 : 0) | (record->sha256_verified ? 2 : 0));
	le_write_u64(at + 4, record->length);
	le_write_u64(at + 12, (uint64_t)record->registered_ms);
	le_write_u32(at + 20, record->terms_count);
	le_write_u32(at + 24, file->place.volume);
	le_write_u64(at + 28, file->place.offset);
	if (file->terms_inline) {
		for (uint32_t i = 0; i < record->terms_count; i++, length += FILE_RECORD_TERM_BYTES)
			file_term_encode(value + length, &file->terms[i]);
	}
	struct key key = key1('f', &record->file);
	entry_put(batch->batch, &key, value, length);
	return 0;
}

static void say_sha256(struct file_record *record, const struct file_record *as)
{
	record->sha256 = as->sha256;
	record->has_sha256 = as->has_sha256;
	record->sha256_verified = as->sha256_verified;
}

/* What an earlier registration said of the SHA-256 stays when it was verified; a verified one replaces what was only said. */
static void keep_sha256(struct file_record *record, const struct file_record *old)
{
	if (old->sha256_verified || !record->has_sha256)
		say_sha256(record, old);
}

static void put_other_terms(struct index_batch *batch, const struct hash *file, const struct record_place *place)
{
	uint8_t at[INDEX_PLACE_BYTES];
	le_write_u32(at, place->volume);
	le_write_u64(at + 4, place->offset);
	struct key key = key_of(INDEX_OTHER_TERMS, file->bytes, HASH_BYTES, at, sizeof(at));
	entry_put(batch->batch, &key, NULL, 0);
}

/* Other terms of a known file add to what it needs, and perhaps its digest: other_terms.h. */
static int apply_file(struct index_batch *batch, struct span payload, const struct record_place *place)
{
	struct index_file file = { .place = *place }, old;
	if (file_record_decode(&file.record, payload) != 0)
		return ERR_CORRUPT;
	put_sha256(batch, &file.record);
	file.terms_inline = file.record.terms_count <= INDEX_TERMS_INLINE_MAX;
	int known = index_file(batch->index, &file.record.file, &old);
	if (known == 0)
		keep_sha256(&file.record, &old.record);
	else if (known != ERR_NOT_FOUND)
		return known;
	struct hash last = { 0 };
	for (uint32_t k = 0; k < file_blocks_count(file.record.terms_count); k++) {
		struct file_block block;
		size_t offset = file_block_offset(k), length = file_block_length(file.record.terms_count, k);
		if (file_block_decode(&block, span_of(payload.data + offset, length)) != 0)
			return ERR_CORRUPT;
		for (uint32_t i = 0; i < block.count; i++) {
			struct file_term term;
			file_term_decode(&term, block.terms + (size_t)i * FILE_RECORD_TERM_BYTES);
			if (file.terms_inline)
				file.terms[k * FILE_BLOCK_TERMS + i] = term;
			if (hash_equal(&term.xorb, &last))
				continue;
			last = term.xorb;
			struct key key = key_of('r', term.xorb.bytes, HASH_BYTES, file.record.file.bytes, HASH_BYTES);
			entry_put(batch->batch, &key, NULL, 0);
		}
	}
	if (known == ERR_NOT_FOUND)
		batch->totals.files++;
	if (known == ERR_NOT_FOUND || !file.record.other_terms)
		return put_file(batch, &file);
	put_other_terms(batch, &file.record.file, place);
	say_sha256(&old.record, &file.record);
	return put_file(batch, &old);
}

static int apply_claim(struct index_batch *batch, struct span payload)
{
	struct claim_record record;
	int64_t before;
	uint8_t value[8];
	if (claim_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	int known = index_claim(batch->index, &record.file, &record.owner, &before);
	if (known != 0 && known != ERR_NOT_FOUND)
		return known;
	if (known == ERR_NOT_FOUND) {
		account(batch, &record.owner, 1, (int64_t)record.length);
		struct key key = key_of('w', record.owner.bytes, ENTITY_ID_BYTES, record.file.bytes, HASH_BYTES);
		le_write_u64(value, record.length);
		entry_put(batch->batch, &key, value, sizeof(value));
	} else if (before > record.claimed_ms) {
		return 0;
	}
	struct key key = key_of('o', record.file.bytes, HASH_BYTES, record.owner.bytes, ENTITY_ID_BYTES);
	le_write_u64(value, (uint64_t)record.claimed_ms);
	entry_put(batch->batch, &key, value, sizeof(value));
	return 0;
}

static int apply_verified(struct index_batch *batch, struct span payload)
{
	struct verified_record record;
	struct index_file file;
	if (verified_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	int known = index_file(batch->index, &record.file, &file);
	if (known)
		return known == ERR_NOT_FOUND ? 0 : known;
	file.record.sha256 = record.sha256;
	file.record.has_sha256 = file.record.sha256_verified = true;
	put_sha256(batch, &file.record);
	return put_file(batch, &file);
}

/* Added in the order of bytes, so that every node that knows the same has them in the same order. */
static int apply_coded(struct index_batch *batch, struct span payload)
{
	struct coded_record record, known[CODINGS_MAX];
	uint8_t value[CODINGS_MAX * CODED_RECORD_BYTES_MAX], one[CODED_RECORD_BYTES_MAX];
	size_t length = 0;
	bool added = false;
	if (coded_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	size_t count = index_codings(batch->index, &record.xorb, known, CODINGS_MAX);
	for (size_t i = 0; i < count; i++) {
		size_t some = coded_record_encode(one, &known[i]);
		if (span_equal(span_of(one, some), payload) || count == CODINGS_MAX)
			return 0;
		bool before = !added && memcmp(payload.data, one, some < payload.length ? some : payload.length) < 0;
		if (before) {
			memcpy(value + length, payload.data, payload.length);
			length += payload.length;
			added = true;
		}
		memcpy(value + length, one, some);
		length += some;
	}
	if (!added) {
		memcpy(value + length, payload.data, payload.length);
		length += payload.length;
	}
	struct key key = key1('e', &record.xorb);
	entry_put(batch->batch, &key, value, length);
	for (size_t i = 0; i < (size_t)(record.k + record.m); i++) {
		key = key1('p', &record.parts[i]);
		entry_put(batch->batch, &key, record.xorb.bytes, HASH_BYTES);
	}
	atomic_store(&batch->index->has_coded, true);
	return 0;
}

static int drop_coded(struct index_batch *batch, const struct hash *xorb)
{
	struct coded_record known[CODINGS_MAX];
	size_t count = index_codings(batch->index, xorb, known, CODINGS_MAX);
	struct key key = key1('e', xorb);
	entry_forget(batch->batch, &key);
	for (size_t i = 0; i < count; i++)
		for (size_t part = 0; part < (size_t)(known[i].k + known[i].m); part++) {
			key = key1('p', &known[i].parts[part]);
			entry_forget(batch->batch, &key);
		}
	return 0;
}

/* Other nodes may have it still. */
static int remember_drop(struct index_batch *batch, const struct drop_record *record)
{
	int64_t claimed_ms;
	uint8_t value[8];
	int known = index_claim(batch->index, &record->hash, &record->owner, &claimed_ms);
	if (known || store_now_ms() - claimed_ms > STORE_YOUNG_MS)
		return known == ERR_NOT_FOUND ? 0 : known;
	struct key key = key_of(INDEX_DROPPED, record->hash.bytes, HASH_BYTES, record->owner.bytes, ENTITY_ID_BYTES);
	le_write_u64(value, (uint64_t)claimed_ms);
	entry_put(batch->batch, &key, value, sizeof(value));
	return 0;
}

static int drop_claim(struct index_batch *batch, const struct drop_record *record)
{
	struct key length_key = key_of('w', record->owner.bytes, ENTITY_ID_BYTES, record->hash.bytes, HASH_BYTES);
	rocksdb_pinnableslice_t *value;
	int found = entry_get(batch->index, &length_key, &value);
	if (found != 1)
		return found;
	struct span bytes = entry_bytes(value);
	int64_t length = bytes.length == 8 ? (int64_t)le_read_u64(bytes.data) : 0;
	rocksdb_pinnableslice_destroy(value);
	account(batch, &record->owner, -1, -length);
	struct key key = key_of('o', record->hash.bytes, HASH_BYTES, record->owner.bytes, ENTITY_ID_BYTES);
	entry_forget(batch->batch, &key);
	entry_forget(batch->batch, &length_key);
	return remember_drop(batch, record);
}

/* Entries that lead from xorbs to the file go with the xorbs' own (gc.c asks whether the file exists). */
static int drop_file(struct index_batch *batch, const struct hash *hash)
{
	struct index_file file;
	int known = index_file(batch->index, hash, &file);
	if (known)
		return known == ERR_NOT_FOUND ? 0 : known;
	struct key key = key1('f', hash);
	entry_forget(batch->batch, &key);
	if (file.record.has_sha256) {
		forget_sha256(batch, &file.record, true);
		forget_sha256(batch, &file.record, false);
	}
	for (uint32_t i = 0; file.terms_inline && i < file.record.terms_count; i++) {
		key = key_of('r', file.terms[i].xorb.bytes, HASH_BYTES, hash->bytes, HASH_BYTES);
		entry_forget(batch->batch, &key);
	}
	batch->totals.files--;
	return 0;
}

static int drop_xorb(struct index_batch *batch, const struct hash *hash)
{
	struct index_xorb xorb;
	int known = index_xorb(batch->index, hash, &xorb);
	index_xorb_fini(&xorb);
	if (known)
		return known == ERR_NOT_FOUND ? 0 : known;
	struct key key = key1('x', hash);
	entry_forget(batch->batch, &key);
	batch->totals.xorbs--;
	batch->totals.chunks -= xorb.chunks_count;
	batch->totals.stored_bytes -= xorb.body_length;
	batch->totals.raw_bytes -= xorb.raw_length;
	return 0;
}

static int apply_drop(struct index_batch *batch, struct span payload)
{
	struct drop_record record;
	if (drop_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	switch (record.kind) {
	case VOLUME_CLAIM: return drop_claim(batch, &record);
	case VOLUME_FILE: return drop_file(batch, &record.hash);
	case VOLUME_CODED: return drop_coded(batch, &record.hash);
	default: return drop_xorb(batch, &record.hash);
	}
}

static int apply_touch(struct index_batch *batch, struct span payload)
{
	struct touch_record record;
	struct index_xorb xorb;
	if (touch_record_decode(&record, payload) != 0)
		return ERR_CORRUPT;
	int known = index_xorb(batch->index, &record.xorb, &xorb);
	if (known == 0 && record.touched_ms > xorb.stored_ms) {
		xorb.stored_ms = record.touched_ms;
		known = put_xorb(batch, &record.xorb, &xorb);
	}
	index_xorb_fini(&xorb);
	return known == ERR_NOT_FOUND ? 0 : known;
}

/* ------------------------------------------------------------------ what a batch is about */

static uint64_t mix(uint8_t kind, const struct hash *hash, const struct entity_id *owner)
{
	uint64_t subject = le_read_u64(hash->bytes) ^ kind;
	for (size_t i = 0; owner && i < ENTITY_ID_BYTES; i++)
		subject = subject * UINT64_C(1099511628211) ^ (uint8_t)owner->bytes[i];
	return subject ? subject : 1;
}

/* 0: none. */
static uint64_t subject_of(uint8_t kind, struct span payload)
{
	union {
		struct xorb_record xorb;
		struct file_record file;
		struct claim_record claim;
		struct verified_record verified;
		struct touch_record touch;
		struct coded_record coded;
		struct drop_record drop;
	} record;
	switch (kind) {
	case VOLUME_XORB: return xorb_record_decode(&record.xorb, payload) == 0 ? mix(VOLUME_XORB, &record.xorb.xorb, NULL) : 0;
	case VOLUME_TOUCH: return touch_record_decode(&record.touch, payload) == 0 ? mix(VOLUME_XORB, &record.touch.xorb, NULL) : 0;
	case VOLUME_FILE: return file_record_decode(&record.file, payload) == 0 ? mix(VOLUME_FILE, &record.file.file, NULL) : 0;
	case VOLUME_VERIFIED: return verified_record_decode(&record.verified, payload) == 0 ? mix(VOLUME_FILE, &record.verified.file, NULL) : 0;
	case VOLUME_CLAIM: return claim_record_decode(&record.claim, payload) == 0 ? mix(VOLUME_CLAIM, &record.claim.file, &record.claim.owner) : 0;
	case VOLUME_CODED: return coded_record_decode(&record.coded, payload) == 0 ? mix(VOLUME_CODED, &record.coded.xorb, NULL) : 0;
	case VOLUME_DROP:
		return drop_record_decode(&record.drop, payload) != 0 ? 0 :
			mix(record.drop.kind, &record.drop.hash, record.drop.kind == VOLUME_CLAIM ? &record.drop.owner : NULL);
	default: return 0;
	}
}

/* A record that says something of what an earlier one in the batch has said must find that in the index: the batch is written first. So it is when another
 * owner would not fit: in the middle of a record its subject would be forgotten. */
static int take_subject(struct index_batch *batch, uint64_t subject)
{
	size_t slot = (size_t)((subject * UINT64_C(0x9E3779B97F4A7C15)) >> 32) % SUBJECT_SLOTS;
	while (batch->subjects[slot] && batch->subjects[slot] != subject)
		slot = (slot + 1) % SUBJECT_SLOTS;
	bool known = batch->subjects[slot] == subject;
	bool is_full = batch->subjects_count == SUBJECT_SLOTS / 2 || batch->owners_count == OWNERS_MAX;
	int err = known || is_full ? index_batch_write(batch, NULL, NULL) : 0;
	if (err == 0 && batch->subjects_count == 0)
		slot = (size_t)((subject * UINT64_C(0x9E3779B97F4A7C15)) >> 32) % SUBJECT_SLOTS;
	batch->subjects[slot] = subject;
	batch->subjects_count++;
	return err;
}

int index_batch_apply(struct index_batch *batch, uint8_t kind, struct span payload, const struct record_place *place)
{
	uint64_t subject = subject_of(kind, payload);
	int err = subject ? take_subject(batch, subject) : 0;
	if (err)
		return err;
	switch (kind) {
	case VOLUME_FRAGMENT: return 0;
	case VOLUME_XORB: return apply_xorb(batch, payload, place);
	case VOLUME_FILE: return apply_file(batch, payload, place);
	case VOLUME_CLAIM: return apply_claim(batch, payload);
	case VOLUME_VERIFIED: return apply_verified(batch, payload);
	case VOLUME_DROP: return apply_drop(batch, payload);
	case VOLUME_TOUCH: return apply_touch(batch, payload);
	case VOLUME_CODED: return apply_coded(batch, payload);
	default: return ERR_UNSUPPORTED; /* written by a newer version */
	}
}
