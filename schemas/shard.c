/* shard.c - shards, read front to back.
 *
 * DESIGN. shard_open walks every block once and checks all counts against the bytes that are there, so that what
 * shard_next_* hand out afterwards lies inside the shard. Offsets in a footer are not looked at: uploads leave them
 * zero and nothing needs them. What follows the second bookend is ignored when the header announces a footer and
 * refused when it does not. An announced footer may be missing altogether: hf_xet 1.1.x leaves it off what it uploads.
 *
 * Files either all carry verification hashes or none does: a shard that mixes them is refused, as other readers do. */
#include "schemas/shard.h"

#include "schemas/little_endian.h"

enum {
	SHARD_VERSION = 2,
	FOOTER_VERSION = 1,
	TAG_BYTES = 32,
	/* Offsets of fields after the hash that begins most records. */
	FLAGS_OFFSET = 32,
	COUNT_OFFSET = 36,
	XORB_RAW_LENGTH_OFFSET = 40,
	XORB_SERIALISED_LENGTH_OFFSET = 44,
	TERM_RAW_LENGTH_OFFSET = 36,
	TERM_START_OFFSET = 40,
	TERM_END_OFFSET = 44,
	CHUNK_RAW_OFFSET_OFFSET = 32,
	CHUNK_RAW_LENGTH_OFFSET = 36,
	CHUNK_FLAGS_OFFSET = 40,
};
enum section { SECTION_FILES, SECTION_XORBS, SECTION_DONE };

static const uint32_t file_has_verification = UINT32_C(1) << 31;
static const uint32_t file_has_sha256 = UINT32_C(1) << 30;

static const uint8_t shard_tag[TAG_BYTES] = {
	'H', 'F', 'R', 'e', 'p', 'o', 'M', 'e', 't', 'a', 'D', 'a', 't', 'a', 0, 0x55,
	0x69, 0x67, 0x45, 0x6a, 0x7b, 0x81, 0x57, 0x83, 0xa5, 0xbd, 0xd9, 0x5c, 0xcd, 0xd1, 0x4a, 0xa9,
};

/* The SHA-256 is stored so that its *text form as a hash* is the digest's hex: reversed in groups of eight. */
static void swap_groups(uint8_t out[HASH_BYTES], const uint8_t in[HASH_BYTES])
{
	for (size_t i = 0; i < HASH_BYTES; i++)
		out[i] = in[i ^ 7];
}

static bool is_bookend(const uint8_t *record)
{
	for (size_t i = 0; i < HASH_BYTES; i++) {
		if (record[i] != 0xff)
			return false;
	}
	return true;
}

static size_t records_left(const struct shard_reader *reader)
{
	return (reader->bytes.length - reader->offset) / SHARD_RECORD_BYTES;
}

/* The record at the reader's place, or NULL at the end of the bytes. */
static const uint8_t *record_here(const struct shard_reader *reader)
{
	return records_left(reader) ? reader->bytes.data + reader->offset : NULL;
}

/* 1: a block begins at *record; 0: the section's bookend, which is passed; ERR_CORRUPT. */
static int block_begin(struct shard_reader *reader, const uint8_t **record, struct why *why)
{
	*record = record_here(reader);
	if (!*record)
		return why_set(why, ERR_CORRUPT, "the shard ends inside its %s section",
			reader->section == SECTION_FILES ? "file" : "xorb");
	if (!is_bookend(*record))
		return 1;
	reader->offset += SHARD_RECORD_BYTES;
	reader->section++;
	return 0;
}

/* Passes a block's header and `records` more; ERR_CORRUPT when they are not all there. */
static int block_pass(struct shard_reader *reader, uint64_t records, struct why *why)
{
	if (records + 1 > records_left(reader))
		return why_set(why, ERR_CORRUPT, "a block at byte %zu of the shard counts more records than follow", reader->offset);
	reader->offset += (size_t)(records + 1) * SHARD_RECORD_BYTES;
	return 0;
}

int shard_next_file(struct shard_reader *reader, struct shard_file *out, struct why *why)
{
	const uint8_t *record;
	if (reader->section != SECTION_FILES)
		return 0;
	int got = block_begin(reader, &record, why);
	if (got <= 0)
		return got;
	uint32_t flags = le_read_u32(record + FLAGS_OFFSET);
	uint64_t count = le_read_u32(record + COUNT_OFFSET);
	bool has_verification = flags & file_has_verification, has_sha256 = flags & file_has_sha256;
	int err = block_pass(reader, count + (has_verification ? count : 0) + has_sha256, why);
	if (err)
		return err;
	*out = (struct shard_file){ .terms_count = (uint32_t)count, .has_verification = has_verification, .has_sha256 = has_sha256 };
	memcpy(out->hash.bytes, record, HASH_BYTES);
	out->terms = record + SHARD_RECORD_BYTES;
	const uint8_t *after = out->terms + count * SHARD_RECORD_BYTES;
	if (has_verification) {
		out->verification = after;
		after += count * SHARD_RECORD_BYTES;
	}
	if (has_sha256)
		swap_groups(out->sha256.bytes, after);
	return 1;
}

int shard_next_xorb(struct shard_reader *reader, struct shard_xorb *out, struct why *why)
{
	const uint8_t *record;
	while (reader->section == SECTION_FILES) {
		struct shard_file skipped;
		int err = shard_next_file(reader, &skipped, why);
		if (err < 0)
			return err;
	}
	if (reader->section != SECTION_XORBS)
		return 0;
	int got = block_begin(reader, &record, why);
	if (got <= 0)
		return got;
	uint32_t count = le_read_u32(record + COUNT_OFFSET);
	int err = block_pass(reader, count, why);
	if (err)
		return err;
	*out = (struct shard_xorb){ .chunks_count = count, .raw_length = le_read_u32(record + XORB_RAW_LENGTH_OFFSET) };
	memcpy(out->hash.bytes, record, HASH_BYTES);
	out->chunks = record + SHARD_RECORD_BYTES;
	return 1;
}

static int check_header(struct span bytes, uint64_t *footer_length, struct why *why)
{
	if (bytes.length > SHARD_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "a shard of %zu bytes is above %d", bytes.length, SHARD_BYTES_MAX);
	if (bytes.length < SHARD_RECORD_BYTES || memcmp(bytes.data, shard_tag, TAG_BYTES) != 0)
		return why_set(why, ERR_CORRUPT, "not a shard");
	uint64_t version = le_read_u64(bytes.data + TAG_BYTES);
	*footer_length = le_read_u64(bytes.data + TAG_BYTES + 8);
	if (version != SHARD_VERSION)
		return why_set(why, ERR_CORRUPT, "shard version %llu is not known", (unsigned long long)version);
	if (*footer_length != 0 && *footer_length != SHARD_FOOTER_BYTES)
		return why_set(why, ERR_CORRUPT, "a shard footer of %llu bytes is not known", (unsigned long long)*footer_length);
	return 0;
}

static int check_files(struct shard_reader *reader, struct why *why)
{
	struct shard_file file;
	bool first = true, verified = false;
	int got;
	while ((got = shard_next_file(reader, &file, why)) > 0) {
		if (!first && file.has_verification != verified)
			return why_set(why, ERR_CORRUPT, "some files of the shard carry verification hashes and some do not");
		verified = file.has_verification;
		first = false;
	}
	return got;
}

int shard_open(struct shard_reader *reader, struct span bytes, struct why *why)
{
	uint64_t footer_length = 0;
	int err = check_header(bytes, &footer_length, why);
	if (err)
		return err;
	struct shard_reader walk = { .bytes = bytes, .offset = SHARD_RECORD_BYTES, .section = SECTION_FILES };
	err = check_files(&walk, why);
	if (err)
		return err;
	struct shard_xorb xorb;
	int got;
	while ((got = shard_next_xorb(&walk, &xorb, why)) > 0)
		continue;
	if (got < 0)
		return got;
	size_t tail = bytes.length - walk.offset;
	if (footer_length == 0 && tail != 0)
		return why_set(why, ERR_CORRUPT, "%zu bytes follow the shard's end", tail);
	if (tail != 0 && tail < footer_length)
		return why_set(why, ERR_CORRUPT, "the shard's footer is cut off");
	*reader = (struct shard_reader){ .bytes = bytes, .offset = SHARD_RECORD_BYTES, .section = SECTION_FILES };
	return 0;
}

void shard_term_at(struct shard_term *out, const struct shard_file *file, uint32_t index)
{
	const uint8_t *record = file->terms + (size_t)index * SHARD_RECORD_BYTES;
	memcpy(out->xorb.bytes, record, HASH_BYTES);
	out->raw_length = le_read_u32(record + TERM_RAW_LENGTH_OFFSET);
	out->chunk_start = le_read_u32(record + TERM_START_OFFSET);
	out->chunk_end = le_read_u32(record + TERM_END_OFFSET);
}

void shard_verification_at(struct hash *out, const struct shard_file *file, uint32_t index)
{
	memcpy(out->bytes, file->verification + (size_t)index * SHARD_RECORD_BYTES, HASH_BYTES);
}

void shard_chunk_at(struct shard_chunk *out, const struct shard_xorb *xorb, uint32_t index)
{
	const uint8_t *record = xorb->chunks + (size_t)index * SHARD_RECORD_BYTES;
	memcpy(out->hash.bytes, record, HASH_BYTES);
	out->raw_offset = le_read_u32(record + CHUNK_RAW_OFFSET_OFFSET);
	out->raw_length = le_read_u32(record + CHUNK_RAW_LENGTH_OFFSET);
	out->flags = le_read_u32(record + CHUNK_FLAGS_OFFSET);
}

/* ------------------------------------------------------------------ writing */

int shard_write_header(struct buffer *out, bool with_footer)
{
	uint8_t record[SHARD_RECORD_BYTES];
	memcpy(record, shard_tag, TAG_BYTES);
	le_write_u64(record + TAG_BYTES, SHARD_VERSION);
	le_write_u64(record + TAG_BYTES + 8, with_footer ? SHARD_FOOTER_BYTES : 0);
	return buffer_append(out, record, sizeof(record));
}

int shard_write_bookend(struct buffer *out)
{
	uint8_t record[SHARD_RECORD_BYTES] = { 0 };
	memset(record, 0xff, HASH_BYTES);
	return buffer_append(out, record, sizeof(record));
}

/* A record that is a hash and unused bytes. */
static int write_hash_record(struct buffer *out, const uint8_t bytes[HASH_BYTES])
{
	uint8_t record[SHARD_RECORD_BYTES] = { 0 };
	memcpy(record, bytes, HASH_BYTES);
	return buffer_append(out, record, sizeof(record));
}

static int write_term(struct buffer *out, const struct shard_term *term)
{
	uint8_t record[SHARD_RECORD_BYTES] = { 0 };
	memcpy(record, term->xorb.bytes, HASH_BYTES);
	le_write_u32(record + TERM_RAW_LENGTH_OFFSET, term->raw_length);
	le_write_u32(record + TERM_START_OFFSET, term->chunk_start);
	le_write_u32(record + TERM_END_OFFSET, term->chunk_end);
	return buffer_append(out, record, sizeof(record));
}

int shard_write_file(struct buffer *out, const struct hash *file, const struct shard_term *terms,
	const struct hash *verification, uint32_t count, const struct sha256 *sha256)
{
	uint8_t record[SHARD_RECORD_BYTES] = { 0 };
	memcpy(record, file->bytes, HASH_BYTES);
	le_write_u32(record + FLAGS_OFFSET, (verification ? file_has_verification : 0) | (sha256 ? file_has_sha256 : 0));
	le_write_u32(record + COUNT_OFFSET, count);
	int err = buffer_append(out, record, sizeof(record));
	for (uint32_t i = 0; i < count && !err; i++)
		err = write_term(out, &terms[i]);
	for (uint32_t i = 0; i < count && verification && !err; i++)
		err = write_hash_record(out, verification[i].bytes);
	if (sha256 && !err) {
		uint8_t swapped[HASH_BYTES];
		swap_groups(swapped, sha256->bytes);
		err = write_hash_record(out, swapped);
	}
	return err;
}

int shard_write_xorb(struct buffer *out, const struct hash *xorb, const struct shard_chunk *chunks, uint32_t count,
	uint32_t raw_length, uint32_t serialised_length)
{
	uint8_t record[SHARD_RECORD_BYTES] = { 0 };
	memcpy(record, xorb->bytes, HASH_BYTES);
	le_write_u32(record + COUNT_OFFSET, count);
	le_write_u32(record + XORB_RAW_LENGTH_OFFSET, raw_length);
	le_write_u32(record + XORB_SERIALISED_LENGTH_OFFSET, serialised_length);
	int err = buffer_append(out, record, sizeof(record));
	for (uint32_t i = 0; i < count && !err; i++) {
		memset(record, 0, sizeof(record));
		memcpy(record, chunks[i].hash.bytes, HASH_BYTES);
		le_write_u32(record + CHUNK_RAW_OFFSET_OFFSET, chunks[i].raw_offset);
		le_write_u32(record + CHUNK_RAW_LENGTH_OFFSET, chunks[i].raw_length);
		le_write_u32(record + CHUNK_FLAGS_OFFSET, chunks[i].flags);
		err = buffer_append(out, record, sizeof(record));
	}
	return err;
}

int shard_write_footer(struct buffer *out, const struct shard_footer *footer)
{
	enum {
		FILES = 8, XORBS = 16, FILE_LOOKUP = 24, XORB_LOOKUP = 40, CHUNK_LOOKUP = 56, KEY = 72, CREATED = 104,
		EXPIRES = 112, FOOTER = 192,
	};
	uint8_t record[SHARD_FOOTER_BYTES] = { 0 };
	le_write_u64(record, FOOTER_VERSION);
	le_write_u64(record + FILES, footer->file_offset);
	le_write_u64(record + XORBS, footer->xorb_offset);
	/* Readers take the first lookup offset for the end of the xorb section; the entry counts beside them stay 0. */
	le_write_u64(record + FILE_LOOKUP, footer->lookup_offset);
	le_write_u64(record + XORB_LOOKUP, footer->lookup_offset);
	le_write_u64(record + CHUNK_LOOKUP, footer->lookup_offset);
	memcpy(record + KEY, footer->key, HASH_BYTES);
	le_write_u64(record + CREATED, footer->created_s);
	le_write_u64(record + EXPIRES, footer->expires_s);
	le_write_u64(record + FOOTER, footer->footer_offset);
	return buffer_append(out, record, sizeof(record));
}
