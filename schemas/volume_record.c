#include "schemas/volume_record.h"

#include "schemas/little_endian.h"
#include "schemas/xxh3.h"

static const uint8_t head_magic[8] = { 'C', 'R', 'N', 'V', 'O', 'L', '0', '1' };
static const uint8_t record_magic[4] = { 'C', 'R', 'N', 'R' };

/* ------------------------------------------------------------------ the first block */

enum { HEAD_BYTES = 40 };

void volume_head_encode(uint8_t out[VOLUME_BLOCK_BYTES], const struct volume_head *head)
{
	memset(out, 0, VOLUME_BLOCK_BYTES);
	memcpy(out, head_magic, sizeof(head_magic));
	le_write_u32(out + 8, VOLUME_FORMAT);
	le_write_u32(out + 12, head->id);
	le_write_u64(out + 16, head->salt);
	le_write_u64(out + 24, (uint64_t)head->created_ms);
	le_write_u64(out + 32, xxh3_64(out, HEAD_BYTES - 8, 0));
}

int volume_head_decode(struct volume_head *out, const uint8_t block[VOLUME_BLOCK_BYTES])
{
	if (memcmp(block, head_magic, sizeof(head_magic)) != 0 || le_read_u64(block + 32) != xxh3_64(block, HEAD_BYTES - 8, 0))
		return ERR_CORRUPT;
	if (le_read_u32(block + 8) != VOLUME_FORMAT)
		return ERR_UNSUPPORTED;
	out->id = le_read_u32(block + 12);
	out->salt = le_read_u64(block + 16);
	out->created_ms = (int64_t)le_read_u64(block + 24);
	return 0;
}

/* ------------------------------------------------------------------ record headers */

void volume_record_check(uint8_t out[16], const void *payload, size_t length)
{
	xxh3_128(out, payload, length);
}

void volume_record_encode(uint8_t out[VOLUME_RECORD_HEADER_BYTES], const struct volume_record *record, uint64_t salt)
{
	memset(out, 0, VOLUME_RECORD_HEADER_BYTES);
	memcpy(out, record_magic, sizeof(record_magic));
	out[4] = VOLUME_FORMAT;
	out[5] = record->kind;
	le_write_u32(out + 8, record->volume);
	le_write_u32(out + 12, record->payload_length);
	le_write_u64(out + 16, record->offset);
	memcpy(out + 24, record->check, sizeof(record->check));
	le_write_u64(out + 56, xxh3_64(out, 56, salt));
}

int volume_record_decode(struct volume_record *out, const uint8_t bytes[VOLUME_RECORD_HEADER_BYTES], uint32_t volume, uint64_t offset,
	uint64_t salt)
{
	if (memcmp(bytes, record_magic, sizeof(record_magic)) != 0 || bytes[4] != VOLUME_FORMAT ||
		le_read_u64(bytes + 56) != xxh3_64(bytes, 56, salt))
		return ERR_CORRUPT;
	out->kind = bytes[5];
	out->volume = le_read_u32(bytes + 8);
	out->payload_length = le_read_u32(bytes + 12);
	out->offset = le_read_u64(bytes + 16);
	memcpy(out->check, bytes + 24, sizeof(out->check));
	if (out->volume != volume || out->offset != offset || out->payload_length > VOLUME_PAYLOAD_BYTES_MAX)
		return ERR_CORRUPT;
	return 0;
}

/* ------------------------------------------------------------------ xorbs */

int xorb_record_begin(struct buffer *out, const struct xorb_record *record)
{
	uint8_t fixed[XORB_RECORD_FIXED_BYTES] = { 0 };
	memcpy(fixed, record->xorb.bytes, HASH_BYTES);
	le_write_u64(fixed + 32, (uint64_t)record->stored_ms);
	le_write_u32(fixed + 40, record->body_length);
	le_write_u32(fixed + 44, record->raw_length);
	le_write_u32(fixed + 48, record->fragments_count);
	le_write_u32(fixed + 52, record->chunks_count);
	fixed[56] = record->moved;
	fixed[57] = record->sent;
	return buffer_append(out, fixed, sizeof(fixed));
}

int xorb_record_add_fragment(struct buffer *out, const struct xorb_fragment *fragment)
{
	uint8_t bytes[XORB_RECORD_FRAGMENT_BYTES];
	le_write_u32(bytes, fragment->volume);
	le_write_u32(bytes + 4, fragment->length);
	le_write_u64(bytes + 8, fragment->offset);
	return buffer_append(out, bytes, sizeof(bytes));
}

int xorb_record_add_chunk(struct buffer *out, const struct xorb_record_chunk *chunk)
{
	uint8_t bytes[XORB_RECORD_CHUNK_BYTES];
	memcpy(bytes, chunk->hash.bytes, HASH_BYTES);
	le_write_u32(bytes + 32, chunk->body_end);
	le_write_u32(bytes + 36, chunk->raw_end);
	le_write_u64(bytes + 40, chunk->check);
	return buffer_append(out, bytes, sizeof(bytes));
}

int xorb_record_decode(struct xorb_record *out, struct span payload)
{
	if (payload.length < XORB_RECORD_FIXED_BYTES)
		return ERR_CORRUPT;
	memcpy(out->xorb.bytes, payload.data, HASH_BYTES);
	out->stored_ms = (int64_t)le_read_u64(payload.data + 32);
	out->body_length = le_read_u32(payload.data + 40);
	out->raw_length = le_read_u32(payload.data + 44);
	out->fragments_count = le_read_u32(payload.data + 48);
	out->chunks_count = le_read_u32(payload.data + 52);
	out->moved = payload.data[56] != 0;
	out->sent = payload.data[57] != 0;
	out->fragments = payload.data + XORB_RECORD_FIXED_BYTES;
	out->chunks = out->fragments + (size_t)out->fragments_count * XORB_RECORD_FRAGMENT_BYTES;
	uint64_t want = XORB_RECORD_FIXED_BYTES + (uint64_t)out->fragments_count * XORB_RECORD_FRAGMENT_BYTES +
		(uint64_t)out->chunks_count * XORB_RECORD_CHUNK_BYTES;
	if (out->fragments_count == 0 || out->fragments_count > XORB_FRAGMENTS_MAX || out->chunks_count == 0 || want != payload.length)
		return ERR_CORRUPT;
	struct xorb_record_chunk last;
	xorb_record_chunk_at(&last, out->chunks, out->chunks_count - 1);
	return last.body_end == out->body_length && last.raw_end == out->raw_length ? 0 : ERR_CORRUPT;
}

void xorb_fragment_at(struct xorb_fragment *out, const uint8_t *fragments, uint32_t index)
{
	const uint8_t *bytes = fragments + (size_t)index * XORB_RECORD_FRAGMENT_BYTES;
	out->volume = le_read_u32(bytes);
	out->length = le_read_u32(bytes + 4);
	out->offset = le_read_u64(bytes + 8);
}

void xorb_record_chunk_at(struct xorb_record_chunk *out, const uint8_t *chunks, uint32_t index)
{
	const uint8_t *bytes = chunks + (size_t)index * XORB_RECORD_CHUNK_BYTES;
	memcpy(out->hash.bytes, bytes, HASH_BYTES);
	out->body_end = le_read_u32(bytes + 32);
	out->raw_end = le_read_u32(bytes + 36);
	out->check = le_read_u64(bytes + 40);
}

/* ------------------------------------------------------------------ files */

enum { FILE_FLAGS_OFFSET = 64, FILE_HAS_SHA256 = 1, FILE_SHA256_VERIFIED = 2, FILE_OTHER_TERMS = 4 };

void file_term_encode(uint8_t out[FILE_RECORD_TERM_BYTES], const struct file_term *term)
{
	memcpy(out, term->xorb.bytes, HASH_BYTES);
	le_write_u32(out + 32, term->raw_length);
	le_write_u32(out + 36, term->chunk_start);
	le_write_u32(out + 40, term->chunk_end);
}

void file_term_decode(struct file_term *out, const uint8_t *bytes)
{
	memcpy(out->xorb.bytes, bytes, HASH_BYTES);
	out->raw_length = le_read_u32(bytes + 32);
	out->chunk_start = le_read_u32(bytes + 36);
	out->chunk_end = le_read_u32(bytes + 40);
}

uint32_t file_blocks_count(uint32_t terms_count)
{
	return (terms_count + FILE_BLOCK_TERMS - 1) / FILE_BLOCK_TERMS;
}

size_t file_block_offset(uint32_t block)
{
	return FILE_RECORD_FIXED_BYTES + (size_t)block * FILE_BLOCK_BYTES;
}

size_t file_block_length(uint32_t terms_count, uint32_t block)
{
	uint32_t left = terms_count - block * FILE_BLOCK_TERMS;
	return FILE_BLOCK_HEAD_BYTES + (size_t)(left < FILE_BLOCK_TERMS ? left : FILE_BLOCK_TERMS) * FILE_RECORD_TERM_BYTES;
}

static uint64_t block_check(const uint8_t *terms, size_t length, uint64_t raw_start)
{
	return xxh3_64(terms, length, raw_start);
}

int file_record_encode(struct buffer *out, const struct file_record *record, const struct file_term *terms)
{
	uint8_t fixed[FILE_RECORD_FIXED_BYTES] = { 0 };
	memcpy(fixed, record->file.bytes, HASH_BYTES);
	memcpy(fixed + 32, record->sha256.bytes, HASH_BYTES);
	fixed[FILE_FLAGS_OFFSET] = (uint8_t)((record->has_sha256 ? FILE_HAS_SHA256 : 0) | (record->sha256_verified ? FILE_SHA256_VERIFIED : 0) |
		(record->other_terms ? FILE_OTHER_TERMS : 0));
	le_write_u64(fixed + 72, record->length);
	le_write_u64(fixed + 80, (uint64_t)record->registered_ms);
	le_write_u32(fixed + 88, record->terms_count);
	buffer_append(out, fixed, sizeof(fixed));
	uint64_t raw_start = 0;
	for (uint32_t first = 0; first < record->terms_count; first += FILE_BLOCK_TERMS) {
		uint32_t count = record->terms_count - first < FILE_BLOCK_TERMS ? record->terms_count - first : FILE_BLOCK_TERMS;
		size_t length = (size_t)count * FILE_RECORD_TERM_BYTES;
		uint8_t *block = buffer_reserve(out, FILE_BLOCK_HEAD_BYTES + length);
		if (!block)
			return ERR_TOO_BIG;
		uint64_t raw_end = raw_start;
		for (uint32_t i = 0; i < count; i++) {
			file_term_encode(block + FILE_BLOCK_HEAD_BYTES + (size_t)i * FILE_RECORD_TERM_BYTES, &terms[first + i]);
			raw_end += terms[first + i].raw_length;
		}
		le_write_u64(block, raw_start);
		le_write_u64(block + 8, block_check(block + FILE_BLOCK_HEAD_BYTES, length, raw_start));
		out->length += FILE_BLOCK_HEAD_BYTES + length;
		raw_start = raw_end;
	}
	return out->failed ? ERR_TOO_BIG : 0;
}

int file_record_decode(struct file_record *out, struct span payload)
{
	if (payload.length < FILE_RECORD_FIXED_BYTES)
		return ERR_CORRUPT;
	memcpy(out->file.bytes, payload.data, HASH_BYTES);
	memcpy(out->sha256.bytes, payload.data + 32, HASH_BYTES);
	out->has_sha256 = payload.data[FILE_FLAGS_OFFSET] & FILE_HAS_SHA256;
	out->sha256_verified = payload.data[FILE_FLAGS_OFFSET] & FILE_SHA256_VERIFIED;
	out->other_terms = payload.data[FILE_FLAGS_OFFSET] & FILE_OTHER_TERMS;
	out->length = le_read_u64(payload.data + 72);
	out->registered_ms = (int64_t)le_read_u64(payload.data + 80);
	out->terms_count = le_read_u32(payload.data + 88);
	uint64_t want = FILE_RECORD_FIXED_BYTES + (uint64_t)file_blocks_count(out->terms_count) * FILE_BLOCK_HEAD_BYTES +
		(uint64_t)out->terms_count * FILE_RECORD_TERM_BYTES;
	return want == payload.length ? 0 : ERR_CORRUPT;
}

void file_record_set_other_terms(uint8_t *payload, bool other)
{
	payload[FILE_FLAGS_OFFSET] = (uint8_t)((payload[FILE_FLAGS_OFFSET] & ~FILE_OTHER_TERMS) | (other ? FILE_OTHER_TERMS : 0));
}

int file_block_decode(struct file_block *out, struct span bytes)
{
	if (bytes.length < FILE_BLOCK_HEAD_BYTES || (bytes.length - FILE_BLOCK_HEAD_BYTES) % FILE_RECORD_TERM_BYTES != 0)
		return ERR_CORRUPT;
	size_t length = bytes.length - FILE_BLOCK_HEAD_BYTES;
	out->raw_start = le_read_u64(bytes.data);
	out->terms = bytes.data + FILE_BLOCK_HEAD_BYTES;
	out->count = (uint32_t)(length / FILE_RECORD_TERM_BYTES);
	return block_check(out->terms, length, out->raw_start) == le_read_u64(bytes.data + 8) ? 0 : ERR_CORRUPT;
}

/* ------------------------------------------------------------------ small records */

void claim_record_encode(uint8_t out[CLAIM_RECORD_BYTES], const struct claim_record *record)
{
	memset(out, 0, CLAIM_RECORD_BYTES);
	memcpy(out, record->file.bytes, HASH_BYTES);
	memcpy(out + 32, record->owner.bytes, ENTITY_ID_BYTES);
	le_write_u64(out + 48, (uint64_t)record->claimed_ms);
	le_write_u64(out + 56, record->length);
}

int claim_record_decode(struct claim_record *out, struct span payload)
{
	if (payload.length != CLAIM_RECORD_BYTES)
		return ERR_CORRUPT;
	memcpy(out->file.bytes, payload.data, HASH_BYTES);
	memcpy(out->owner.bytes, payload.data + 32, ENTITY_ID_BYTES);
	out->claimed_ms = (int64_t)le_read_u64(payload.data + 48);
	out->length = le_read_u64(payload.data + 56);
	return 0;
}

void verified_record_encode(uint8_t out[VERIFIED_RECORD_BYTES], const struct verified_record *record)
{
	memcpy(out, record->file.bytes, HASH_BYTES);
	memcpy(out + 32, record->sha256.bytes, HASH_BYTES);
}

int verified_record_decode(struct verified_record *out, struct span payload)
{
	if (payload.length != VERIFIED_RECORD_BYTES)
		return ERR_CORRUPT;
	memcpy(out->file.bytes, payload.data, HASH_BYTES);
	memcpy(out->sha256.bytes, payload.data + 32, HASH_BYTES);
	return 0;
}

void drop_record_encode(uint8_t out[DROP_RECORD_BYTES], const struct drop_record *record)
{
	memset(out, 0, DROP_RECORD_BYTES);
	out[0] = record->kind;
	memcpy(out + 8, record->hash.bytes, HASH_BYTES);
	memcpy(out + 40, record->owner.bytes, ENTITY_ID_BYTES);
}

int drop_record_decode(struct drop_record *out, struct span payload)
{
	if (payload.length != DROP_RECORD_BYTES)
		return ERR_CORRUPT;
	out->kind = payload.data[0];
	memcpy(out->hash.bytes, payload.data + 8, HASH_BYTES);
	memcpy(out->owner.bytes, payload.data + 40, ENTITY_ID_BYTES);
	return out->kind == VOLUME_XORB || out->kind == VOLUME_FILE || out->kind == VOLUME_CLAIM || out->kind == VOLUME_CODED ? 0 : ERR_CORRUPT;
}

void touch_record_encode(uint8_t out[TOUCH_RECORD_BYTES], const struct touch_record *record)
{
	memcpy(out, record->xorb.bytes, HASH_BYTES);
	le_write_u64(out + 32, (uint64_t)record->touched_ms);
}

int touch_record_decode(struct touch_record *out, struct span payload)
{
	if (payload.length != TOUCH_RECORD_BYTES)
		return ERR_CORRUPT;
	memcpy(out->xorb.bytes, payload.data, HASH_BYTES);
	out->touched_ms = (int64_t)le_read_u64(payload.data + 32);
	return 0;
}

size_t coded_record_encode(uint8_t out[CODED_RECORD_BYTES_MAX], const struct coded_record *record)
{
	memset(out, 0, CODED_RECORD_FIXED_BYTES);
	memcpy(out, record->xorb.bytes, HASH_BYTES);
	le_write_u32(out + 32, record->body_length);
	out[36] = record->k;
	out[37] = record->m;
	for (size_t i = 0; i < (size_t)(record->k + record->m); i++)
		memcpy(out + CODED_RECORD_FIXED_BYTES + i * HASH_BYTES, record->parts[i].bytes, HASH_BYTES);
	return coded_record_bytes(record);
}

int coded_record_decode(struct coded_record *out, struct span payload)
{
	*out = (struct coded_record){ 0 };
	if (payload.length < CODED_RECORD_FIXED_BYTES)
		return ERR_CORRUPT;
	memcpy(out->xorb.bytes, payload.data, HASH_BYTES);
	out->body_length = le_read_u32(payload.data + 32);
	out->k = payload.data[36];
	out->m = payload.data[37];
	if (out->k < CODED_DATA_MIN || out->k > CODED_DATA_MAX || out->m < 1 || out->m > CODED_PARITY_MAX || out->body_length == 0 || payload.data[38] || payload.data[39] ||
		payload.length != coded_record_bytes(out))
		return ERR_CORRUPT;
	for (size_t i = 0; i < (size_t)(out->k + out->m); i++)
		memcpy(out->parts[i].bytes, payload.data + CODED_RECORD_FIXED_BYTES + i * HASH_BYTES, HASH_BYTES);
	return 0;
}
