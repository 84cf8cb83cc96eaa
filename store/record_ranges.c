/* record_ranges.c - what this store knows of files and of codings, range by range, so that two nodes find out cheaply whether one has lost records that the other has.
 *
 * DESIGN. A range is all files whose hashes begin with the same two bytes, and all coded xorbs whose hashes do. Its digest is the XOR of a checksum of each identity in
 * it: of a file (hash, length, whether its SHA-256 was computed), of each claim on it (file, owner), and of all codings of a xorb (the records). Terms and times are no
 * part of it: they may differ. The checksum is seeded by who asks, so that nobody can make files that cancel out.
 *
 * Digests are not kept but made by a scan of the index when they are asked for: 256 ranges, a 256th of all, at a time. So they are true of what the index says now,
 * whatever has become of it, cost nothing while files are pushed, and two nodes who ask each other part by part compare the same moment. */
#include "schemas/little_endian.h"
#include "schemas/xxh3.h"
#include "store/coded.h"
#include "store/core.h"

enum { IDENTITY_BYTES_MAX = 8 + 1 + CODINGS_MAX * CODED_RECORD_BYTES_MAX };

static void fold(struct range_digest *digest, const uint8_t *identity, size_t length)
{
	uint8_t check[RANGE_DIGEST_BYTES];
	xxh3_128(check, identity, length);
	for (size_t i = 0; i < sizeof(check); i++)
		digest->bytes[i] ^= check[i];
}

/* Of a file and an entry of its that the scan has met. */
static void fold_file(struct range_digest *digest, uint64_t seed, const struct hash *file, struct span value)
{
	uint8_t identity[IDENTITY_BYTES_MAX];
	struct index_file known;
	if (index_file_decode(&known, file, value) != 0)
		return;
	le_write_u64(identity, seed);
	identity[8] = VOLUME_FILE;
	memcpy(identity + 9, file->bytes, HASH_BYTES);
	le_write_u64(identity + 9 + HASH_BYTES, known.record.length);
	identity[9 + HASH_BYTES + 8] = known.record.sha256_verified;
	fold(digest, identity, 9 + HASH_BYTES + 9);
}

static void fold_claim(struct range_digest *digest, uint64_t seed, const uint8_t key[HASH_BYTES + ENTITY_ID_BYTES])
{
	uint8_t identity[IDENTITY_BYTES_MAX];
	le_write_u64(identity, seed);
	identity[8] = VOLUME_CLAIM;
	memcpy(identity + 9, key, HASH_BYTES + ENTITY_ID_BYTES);
	fold(digest, identity, 9 + HASH_BYTES + ENTITY_ID_BYTES);
}

/* Of the codings of one xorb, which are in the same order on every node. */
static void fold_codings(struct range_digest *digest, uint64_t seed, struct span codings)
{
	uint8_t identity[IDENTITY_BYTES_MAX];
	if (codings.length > sizeof(identity) - 9)
		return;
	le_write_u64(identity, seed);
	identity[8] = VOLUME_CODED;
	memcpy(identity + 9, codings.data, codings.length);
	fold(digest, identity, 9 + codings.length);
}

static int digest_codings(struct store *store, uint8_t first, uint64_t seed, struct range_digest out[STORE_RANGES], uint64_t *records)
{
	struct index_scan scan;
	index_scan_open_once(&scan, store->index, 'e', span_of(&first, 1));
	while (index_scan_next(&scan)) {
		if (scan.key.length != HASH_BYTES - 1)
			continue;
		fold_codings(&out[scan.key.data[0]], seed, scan.value);
		++*records;
	}
	return index_scan_close(&scan);
}

int store_digest_ranges(struct store *store, uint8_t first, uint64_t seed, struct range_digest out[STORE_RANGES], uint64_t *records)
{
	struct index_scan scan;
	memset(out, 0, STORE_RANGES * sizeof(*out));
	*records = 0;
	index_scan_open_once(&scan, store->index, 'f', span_of(&first, 1));
	while (index_scan_next(&scan)) {
		struct hash file = { { first } };
		if (scan.key.length != HASH_BYTES - 1)
			continue;
		memcpy(file.bytes + 1, scan.key.data, HASH_BYTES - 1);
		fold_file(&out[file.bytes[1]], seed, &file, scan.value);
		++*records;
	}
	int err = index_scan_close(&scan);
	index_scan_open_once(&scan, store->index, 'o', span_of(&first, 1));
	while (err == 0 && index_scan_next(&scan)) {
		uint8_t key[HASH_BYTES + ENTITY_ID_BYTES] = { first };
		if (scan.key.length != sizeof(key) - 1)
			continue;
		memcpy(key + 1, scan.key.data, sizeof(key) - 1);
		fold_claim(&out[key[1]], seed, key);
		++*records;
	}
	int closed = index_scan_close(&scan);
	err = err ? err : closed;
	return err || !store_has_coded(store) ? err : digest_codings(store, first, seed, out, records);
}

/* ------------------------------------------------------------------ what is in a range */

/* `after`: a whole key, or NULL. Keys that the scan gives lack the two bytes of the range. */
static void open_range(struct index_scan *scan, struct store *store, char letter, uint16_t range, const uint8_t *after, size_t length)
{
	const uint8_t prefix[2] = { (uint8_t)(range >> 8), (uint8_t)range };
	index_scan_open(scan, store->index, letter, span_of(prefix, 2), after ? span_of(after + 2, length - 2) : span_of(NULL, 0));
}

int store_files_of_range(struct store *store, uint16_t range, const struct hash *after, struct known_file *out, size_t max, size_t *count)
{
	struct index_scan scan;
	struct hash file = { { (uint8_t)(range >> 8), (uint8_t)range } };
	*count = 0;
	open_range(&scan, store, 'f', range, after ? after->bytes : NULL, HASH_BYTES);
	while (*count < max && index_scan_next(&scan)) {
		struct index_file known;
		if (scan.key.length != HASH_BYTES - 2)
			continue;
		memcpy(file.bytes + 2, scan.key.data, HASH_BYTES - 2);
		if ((after && hash_equal(&file, after)) || index_file_decode(&known, &file, scan.value) != 0)
			continue;
		out[(*count)++] = (struct known_file){ .file = file, .length = known.record.length, .verified = known.record.sha256_verified,
			.sha256 = known.record.sha256 };
	}
	return index_scan_close(&scan);
}

int store_claims_of_range(struct store *store, uint16_t range, const struct known_claim *after, struct known_claim *out, size_t max, size_t *count)
{
	struct index_scan scan;
	uint8_t key[HASH_BYTES + ENTITY_ID_BYTES] = { (uint8_t)(range >> 8), (uint8_t)range }, from[sizeof(key)];
	*count = 0;
	if (after) {
		memcpy(from, after->file.bytes, HASH_BYTES);
		memcpy(from + HASH_BYTES, after->owner.bytes, ENTITY_ID_BYTES);
	}
	open_range(&scan, store, 'o', range, after ? from : NULL, sizeof(from));
	while (*count < max && index_scan_next(&scan)) {
		if (scan.key.length != sizeof(key) - 2 || scan.value.length != 8)
			continue;
		memcpy(key + 2, scan.key.data, sizeof(key) - 2);
		if (after && memcmp(key, from, sizeof(key)) == 0)
			continue;
		struct known_claim *claim = &out[(*count)++];
		memcpy(claim->file.bytes, key, HASH_BYTES);
		memcpy(claim->owner.bytes, key + HASH_BYTES, ENTITY_ID_BYTES);
		claim->claimed_ms = (int64_t)le_read_u64(scan.value.data);
	}
	return index_scan_close(&scan);
}

int store_codings_of_range(struct store *store, uint16_t range, size_t xorbs_max, store_each_record each, void *context)
{
	struct index_scan scan;
	struct hash xorb = { { (uint8_t)(range >> 8), (uint8_t)range } };
	int err = 0;
	open_range(&scan, store, 'e', range, NULL, HASH_BYTES);
	for (size_t i = 0; err == 0 && i < xorbs_max && index_scan_next(&scan); i++) {
		if (scan.key.length != HASH_BYTES - 2)
			continue;
		memcpy(xorb.bytes + 2, scan.key.data, HASH_BYTES - 2);
		err = store_tell_codings(store, &xorb, each, context, NULL);
		if (err == ERR_NOT_FOUND) /* collected meanwhile */
			err = 0;
	}
	int closed = index_scan_close(&scan);
	return err ? err : closed;
}

/* ------------------------------------------------------------------ what is to be had again */

bool store_file_is_claimed(struct store *store, const struct hash *file)
{
	struct index_scan scan;
	index_scan_open(&scan, store->index, 'o', span_of(file->bytes, HASH_BYTES), span_of(NULL, 0));
	bool claimed = index_scan_next(&scan);
	return index_scan_close(&scan) == 0 && claimed;
}

enum claim_state store_claim_state(struct store *store, const struct known_claim *claim)
{
	int64_t claimed_ms;
	if (index_claim(store->index, &claim->file, &claim->owner, &claimed_ms) != ERR_NOT_FOUND)
		return CLAIM_HERE; /* or the index cannot say */
	if (store_now_ms() - claim->claimed_ms > STORE_YOUNG_MS)
		return CLAIM_OLD;
	int dropped = index_dropped_claim(store->index, &claim->file, &claim->owner, &claimed_ms);
	return dropped == ERR_NOT_FOUND || (dropped == 0 && claimed_ms < claim->claimed_ms) ? CLAIM_MISSING : CLAIM_DROPPED;
}
