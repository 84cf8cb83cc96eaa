#include "store/coded.h"

#include <stdlib.h>

#include "schemas/little_endian.h"
#include "store/core.h"
#include "store/digest.h"
#include "store/erasure.h"

enum { CODED_CHUNKS_MIN = 3 };

static const uint8_t mark[CODED_MARK_BYTES] = "cairn: a part of a coded xorb, 1";

enum { HEAD_BYTES = 2 * XORB_CHUNK_HEADER_BYTES + CODED_MARK_BYTES + CODED_ABOUT_BYTES, UNIT_STORED_BYTES = XORB_CHUNK_HEADER_BYTES + CODED_UNIT_BYTES };

/* ------------------------------------------------------------------ what is a part */

bool coded_is_mark(const struct hash *chunk, uint32_t raw_length)
{
	struct hash hash;
	if (raw_length != CODED_MARK_BYTES)
		return false;
	digest_chunk(&hash, mark, sizeof(mark));
	return hash_equal(&hash, chunk);
}

bool coded_is_part(const struct xorb_record *record)
{
	struct xorb_record_chunk first;
	xorb_record_chunk_at(&first, record->chunks, 0);
	return record->chunks_count >= CODED_CHUNKS_MIN && coded_is_mark(&first.hash, first.raw_end);
}

bool coded_begins_part(const struct xorb_chunk *chunks, uint32_t count)
{
	return count >= CODED_CHUNKS_MIN && coded_is_mark(&chunks[0].hash, chunks[0].raw_end);
}

/* ------------------------------------------------------------------ stripes */

/* Bytes of a unit of the stripe that begins at `at` in the body. */
static uint32_t unit_length(uint32_t body_length, unsigned k, uint32_t at)
{
	uint32_t left = body_length - at;
	return left >= k * CODED_UNIT_BYTES ? CODED_UNIT_BYTES : (left + k - 1) / k;
}

uint32_t coded_part_length(uint32_t body_length, unsigned k)
{
	uint32_t stripe = k * CODED_UNIT_BYTES, full = body_length / stripe, rest = body_length % stripe;
	return HEAD_BYTES + full * UNIT_STORED_BYTES + (rest ? XORB_CHUNK_HEADER_BYTES + (rest + k - 1) / k : 0);
}

static int write_chunk(struct xorb_upload *upload, const void *raw, size_t length, struct why *why)
{
	uint8_t header[XORB_CHUNK_HEADER_BYTES] = { 0, 0, 0, 0, XORB_NONE, 0, 0, 0 };
	le_write_u24(header + 1, (uint32_t)length);
	le_write_u24(header + 5, (uint32_t)length);
	int err = xorb_upload_write(upload, header, sizeof(header), why);
	return err ? err : xorb_upload_write(upload, raw, length, why);
}

static int read_all(struct xorb_reader *reader, uint8_t *out, size_t length, struct why *why)
{
	int64_t read = xorb_reader_read(reader, out, length, true, why);
	return read < 0 ? (int)read : (size_t)read == length ? 0 : why_set(why, ERR_CORRUPT, "a xorb is shorter than it was");
}

/* ------------------------------------------------------------------ cutting */

struct cut {
	const struct coded_record *coded;
	unsigned part;
	struct erasure_map map;      /* of a part of parity */
	uint8_t *stripe, *unit;      /* k units; one */
};

static int cut_init(struct cut *cut, const struct coded_record *coded, unsigned part)
{
	uint8_t data[CODED_DATA_MAX], wanted = (uint8_t)part;
	for (uint8_t i = 0; i < coded->k; i++)
		data[i] = i;
	*cut = (struct cut){ .coded = coded, .part = part, .stripe = malloc((size_t)coded->k * CODED_UNIT_BYTES), .unit = malloc(CODED_UNIT_BYTES) };
	return !cut->stripe || !cut->unit ? ERR_NO_MEMORY : erasure_map_init(&cut->map, coded->k, coded->m, data, &wanted, 1);
}

static void cut_fini(struct cut *cut)
{
	free(cut->stripe);
	free(cut->unit);
}

static int write_head(struct xorb_upload *upload, const struct coded_record *coded, unsigned part, struct why *why)
{
	uint8_t about[CODED_ABOUT_BYTES] = { 0 };
	memcpy(about, coded->xorb.bytes, HASH_BYTES);
	le_write_u32(about + 32, coded->body_length);
	about[36] = coded->k;
	about[37] = coded->m;
	about[38] = (uint8_t)part;
	int err = write_chunk(upload, mark, sizeof(mark), why);
	return err ? err : write_chunk(upload, about, sizeof(about), why);
}

static int write_units(struct cut *cut, struct xorb_reader *reader, struct xorb_upload *upload, struct why *why)
{
	unsigned k = cut->coded->k;
	int err = 0;
	for (uint32_t at = 0; at < cut->coded->body_length && err == 0;) {
		uint32_t length = unit_length(cut->coded->body_length, k, at), left = cut->coded->body_length - at, some = left < k * length ? left : k * length;
		uint8_t *units[CODED_DATA_MAX];
		err = read_all(reader, cut->stripe, some, why);
		memset(cut->stripe + some, 0, (size_t)k * length - some);
		for (unsigned i = 0; i < k; i++)
			units[i] = cut->stripe + (size_t)i * length;
		if (err == 0 && cut->part >= k)
			erasure_map_apply(&cut->map, length, units, &cut->unit);
		if (err == 0)
			err = write_chunk(upload, cut->part < k ? units[cut->part] : cut->unit, length, why);
		at += some;
	}
	return err;
}

/* One part of a xorb that is here; *out: its hash. */
static int make_part(struct store *store, const struct coded_record *coded, unsigned part, struct hash *out, struct why *why)
{
	struct xorb_reader *reader = NULL;
	struct xorb_upload *upload = NULL;
	struct cut cut;
	bool inserted;
	int err = cut_init(&cut, coded, part);
	if (err)
		why_set(why, err, "no memory to code a xorb");
	if (err == 0)
		err = xorb_reader_open_here(&reader, store, &coded->xorb, 0, UINT64_MAX, why);
	if (err == 0)
		err = xorb_made_open(&upload, store, coded_part_length(coded->body_length, coded->k), why);
	if (err == 0)
		err = write_head(upload, coded, part, why);
	if (err == 0)
		err = write_units(&cut, reader, upload, why);
	if (err == 0)
		err = xorb_upload_commit(upload, &inserted, why);
	if (err == 0)
		*out = *xorb_upload_hash(upload);
	xorb_upload_close(upload);
	xorb_reader_close(reader);
	cut_fini(&cut);
	return err;
}

int store_code_xorb(struct store *store, const struct hash *xorb, unsigned k, unsigned m, uint64_t *bytes, struct why *why)
{
	struct xorb_info info;
	struct coded_record coded = { .xorb = *xorb, .k = (uint8_t)k, .m = (uint8_t)m };
	uint8_t payload[CODED_RECORD_BYTES_MAX];
	*bytes = 0;
	if (k < CODED_DATA_MIN || k > CODED_DATA_MAX || m < 1 || m > CODED_PARITY_MAX)
		return why_set(why, ERR_INVALID, "there is no code of %u+%u", k, m);
	int err = store_xorb_info(store, xorb, &info);
	if (err)
		return why_set(why, err, "the xorb is not here");
	coded.body_length = (uint32_t)info.body_length;
	for (unsigned i = 0; i < k + m && err == 0; i++)
		err = make_part(store, &coded, i, &coded.parts[i], why);
	if (err)
		return err;
	*bytes = (uint64_t)coded_part_length(coded.body_length, k) * (k + m);
	struct journal_record record = { .kind = VOLUME_CODED, .payload = span_of(payload, coded_record_encode(payload, &coded)) };
	pthread_rwlock_rdlock(&store->registration);
	err = journal_commit(store->journal, &record, 1, why);
	pthread_rwlock_unlock(&store->registration);
	return err;
}

int store_make_part(struct store *store, const struct coded_record *coded, unsigned part, struct why *why)
{
	struct xorb_info info;
	struct hash made;
	int err = store_xorb_info(store, &coded->xorb, &info);
	if (err)
		return why_set(why, err, "the xorb is not here");
	if (info.body_length != coded->body_length)
		return why_set(why, ERR_CORRUPT, "the xorb here has another body than the one that was coded");
	err = make_part(store, coded, part, &made, why);
	/* What was made of another body is garbage, and collected as such. */
	return err || hash_equal(&made, &coded->parts[part]) ? err : why_set(why, ERR_CORRUPT, "the xorb here has another body than the one that was coded");
}

/* ------------------------------------------------------------------ joining */

struct join {
	const struct coded_record *coded;
	uint8_t from[CODED_DATA_MAX];
	struct xorb_reader *readers[CODED_DATA_MAX];
	uint8_t *sources[CODED_DATA_MAX]; /* a unit with its chunk's header each */
	uint8_t *made[CODED_DATA_MAX];    /* units of data that none of the sources is */
	struct erasure_map map;
	unsigned rows;
};

static void join_fini(struct join *join)
{
	for (unsigned i = 0; i < CODED_DATA_MAX; i++) {
		xorb_reader_close(join->readers[i]);
		free(join->sources[i]);
		free(join->made[i]);
	}
}

/* Opens the first k parts that are here and good; what is found damaged is known for it from then on. */
static int open_parts(struct join *join, struct store *store, struct why *why)
{
	const struct coded_record *coded = join->coded;
	unsigned count = 0;
	for (uint8_t i = 0; i < coded->k + coded->m && count < coded->k; i++) {
		if (!store_has_xorb(store, &coded->parts[i]) || xorb_reader_open_here(&join->readers[count], store, &coded->parts[i], 0, UINT64_MAX, why) != 0)
			continue;
		uint8_t head[HEAD_BYTES];
		join->from[count] = i;
		join->sources[count] = malloc(UNIT_STORED_BYTES);
		if (!join->sources[count])
			return why_set(why, ERR_NO_MEMORY, "no memory to join parts");
		if (read_all(join->readers[count], head, sizeof(head), why) == 0) {
			count++;
			continue;
		}
		xorb_reader_close(join->readers[count]);
		free(join->sources[count]);
		join->readers[count] = NULL;
		join->sources[count] = NULL;
	}
	return count == coded->k ? 0 : why_set(why, ERR_NOT_FOUND, "only %u of %u parts are here", count, coded->k);
}

static int join_init(struct join *join, struct store *store, const struct coded_record *coded, struct why *why)
{
	uint8_t wanted[CODED_DATA_MAX];
	*join = (struct join){ .coded = coded };
	int err = open_parts(join, store, why);
	for (uint8_t i = 0; i < coded->k && err == 0; i++) {
		if (memchr(join->from, i, coded->k))
			continue;
		wanted[join->rows] = i;
		join->made[join->rows] = malloc(CODED_UNIT_BYTES);
		err = join->made[join->rows++] ? 0 : why_set(why, ERR_NO_MEMORY, "no memory to join parts");
	}
	if (err == 0 && join->rows && erasure_map_init(&join->map, coded->k, coded->m, join->from, wanted, join->rows) != 0)
		err = why_set(why, ERR_INVALID, "these parts are of no known code");
	return err;
}

/* One stripe: the unit of data number i, wherever it comes from, goes to the xorb. */
static int join_stripe(struct join *join, struct xorb_upload *upload, uint32_t at, uint32_t length, struct why *why)
{
	unsigned k = join->coded->k, made = 0;
	uint32_t left = join->coded->body_length - at;
	uint8_t *units[CODED_DATA_MAX];
	int err = 0;
	for (unsigned i = 0; i < k && err == 0; i++) {
		err = read_all(join->readers[i], join->sources[i], XORB_CHUNK_HEADER_BYTES + length, why);
		units[i] = join->sources[i] + XORB_CHUNK_HEADER_BYTES;
	}
	if (err == 0 && join->rows)
		erasure_map_apply(&join->map, length, units, join->made);
	for (uint8_t i = 0; i < k && err == 0 && left > 0; i++) {
		const uint8_t *source = memchr(join->from, i, k);
		const uint8_t *unit = source ? units[source - join->from] : join->made[made++];
		uint32_t some = left < length ? left : length;
		err = xorb_upload_write(upload, unit, some, why);
		left -= some;
	}
	return err;
}

static int join_once(struct store *store, const struct coded_record *coded, struct why *why)
{
	struct xorb_upload *upload = NULL;
	struct join join;
	bool inserted;
	int err = join_init(&join, store, coded, why);
	if (err == 0)
		err = xorb_copy_open(&upload, store, &coded->xorb, coded->body_length, why);
	for (uint32_t at = 0; at < coded->body_length && err == 0;) {
		uint32_t length = unit_length(coded->body_length, coded->k, at), left = coded->body_length - at;
		err = join_stripe(&join, upload, at, length, why);
		at += left < coded->k * length ? left : coded->k * length;
	}
	if (err == 0)
		err = xorb_upload_commit(upload, &inserted, why);
	xorb_upload_close(upload);
	join_fini(&join);
	return err;
}

int store_join_parts(struct store *store, const struct coded_record *coded, struct why *why)
{
	int err = ERR_NOT_FOUND;
	/* A part that turns out to be damaged is not chosen again. */
	for (unsigned tries = 0; tries <= coded->m; tries++) {
		err = join_once(store, coded, why);
		if (err != ERR_CORRUPT && err != ERR_IO)
			break;
	}
	return err;
}

/* ------------------------------------------------------------------ questions */

bool store_has_coded(struct store *store)
{
	return index_has_coded(store->index);
}

size_t store_codings(struct store *store, const struct hash *xorb, struct coded_record out[CODINGS_MAX])
{
	return index_has_coded(store->index) ? index_codings(store->index, xorb, out, CODINGS_MAX) : 0;
}

int store_xorb_of_part(struct store *store, const struct hash *part, struct hash *out)
{
	return index_has_coded(store->index) ? index_xorb_of_part(store->index, part, out) : ERR_NOT_FOUND;
}

bool store_is_part(struct store *store, const struct hash *xorb)
{
	struct index_xorb entry;
	bool is_part = index_xorb(store->index, xorb, &entry) == 0 && entry.is_part;
	index_xorb_fini(&entry);
	return is_part;
}

int store_tell_codings(struct store *store, const struct hash *xorb, store_each_record each, void *context, struct why *why)
{
	struct coded_record codings[CODINGS_MAX];
	size_t count = store_codings(store, xorb, codings);
	int err = count ? 0 : why_set(why, ERR_NOT_FOUND, "no coding of the xorb is known here");
	for (size_t i = 0; i < count && err == 0; i++) {
		uint8_t payload[CODED_RECORD_BYTES_MAX];
		err = each(context, VOLUME_CODED, span_of(payload, coded_record_encode(payload, &codings[i])));
	}
	return err;
}
