/* dedup.c - global dedup answers: "these xorbs hold your chunk, and what lies around it".
 *
 * What an answer reveals is bounded by what the caller may read: in the answer, a chunk that no visible file uses is a random hash that
 * matches nothing, while positions stay true. Chunk hashes are keyed with a random key, so that nobody can make verification hashes of them.
 *
 * Clients keep an answer until it expires and name its xorbs without asking again: a xorb that is gone by then makes their uploads fail. So what an
 * answer names is touched once it is DEDUP_TOUCH_AFTER_MS old, and survives a garbage collection with its 21 days of grace for as long as the answer holds,
 * and a day more for the upload that began last, whatever becomes of its files. Not more often than that: it costs a record, and a xorb that is young again
 * is not coded. A garbage collection with a shorter grace breaks the promise, as it breaks what clients remember of their own uploads. */
#include <sodium.h>
#include <stdlib.h>

#include "store/digest.h"
#include "store/file_terms.h"

enum {
	DEDUP_FILES_MAX = 64,           /* looked at around the chunk */
	DEDUP_CLAIMS_MAX = 1024,        /* of all of them: a file that everybody has is a long list of owners */
	DEDUP_XORBS_MAX = 256,
	DEDUP_ANSWER_MAX = 4 << 20,     /* bytes */
	DEDUP_EXPIRES_S = 7 * 24 * 3600,
	DEDUP_TOUCH_AFTER_MS = (21 - 7 - 1) * 24 * 3600 * 1000,
};

struct visible_xorb {
	struct stored_xorb *xorb;
	uint8_t *visible; /* a chunk */
};

struct answer {
	struct store *store;
	store_owner_filter may_see;
	void *context;
	struct visible_xorb xorbs[DEDUP_XORBS_MAX];
	size_t count;
	size_t bytes;
	int claims_left; /* that may still be looked at */
};

static bool file_is_visible(struct answer *answer, const struct hash *file)
{
	struct index_scan scan;
	bool visible = false;
	index_scan_open(&scan, answer->store->index, 'o', span_of(file->bytes, HASH_BYTES), span_of(NULL, 0));
	while (!visible && answer->claims_left > 0 && index_scan_next(&scan)) {
		struct entity_id owner;
		if (scan.key.length != ENTITY_ID_BYTES)
			continue;
		memcpy(owner.bytes, scan.key.data, ENTITY_ID_BYTES);
		visible = answer->may_see(answer->context, &owner);
		answer->claims_left--;
	}
	index_scan_close(&scan);
	return visible;
}

static struct visible_xorb *find_or_add(struct answer *answer, const struct hash *hash)
{
	for (size_t i = 0; i < answer->count; i++)
		if (hash_equal(&answer->xorbs[i].xorb->table.xorb, hash))
			return &answer->xorbs[i];
	struct visible_xorb added = { 0 };
	if (answer->count == DEDUP_XORBS_MAX || !store_may_lean_on(answer->store, hash) ||
		stored_xorb_open(&added.xorb, answer->store->xorbs, hash, true, NULL) != 0)
		return NULL;
	size_t bytes = (1 + (size_t)added.xorb->table.count) * SHARD_RECORD_BYTES;
	added.visible = answer->bytes + bytes <= DEDUP_ANSWER_MAX ? calloc(added.xorb->table.count, 1) : NULL;
	if (!added.visible) {
		stored_xorb_release(added.xorb);
		return NULL;
	}
	answer->bytes += bytes;
	answer->xorbs[answer->count] = added;
	return &answer->xorbs[answer->count++];
}

/* Marks what a visible file uses. `only`: in that xorb alone. */
static void mark_file(struct answer *answer, const struct hash *file, const struct hash *only)
{
	struct file_terms terms;
	if (file_terms_open(&terms, answer->store, file, NULL) != 0)
		return;
	int more = terms.file.record.length ? file_terms_seek(&terms, 0, true, NULL) : -1;
	for (more = more == 0 ? 1 : more; more == 1; more = file_terms_next(&terms, true, NULL)) {
		const struct file_term *term = &terms.term;
		if (only && !hash_equal(only, &term->xorb))
			continue;
		struct visible_xorb *xorb = find_or_add(answer, &term->xorb);
		if (!xorb && !only)
			break;
		for (uint32_t i = term->chunk_start; xorb && i < term->chunk_end && i < xorb->xorb->table.count; i++)
			xorb->visible[i] = 1;
	}
	file_terms_close(&terms);
}

static int write_answer(const struct answer *answer, struct buffer *out)
{
	struct shard_footer footer = { .file_offset = SHARD_RECORD_BYTES };
	randombytes_buf(footer.key, sizeof(footer.key));
	shard_write_header(out, true);
	shard_write_bookend(out);
	footer.xorb_offset = out->length;
	for (size_t k = 0; k < answer->count; k++) {
		const struct stored_xorb *xorb = answer->xorbs[k].xorb;
		struct shard_chunk *chunks = calloc(xorb->table.count, sizeof(*chunks));
		if (!chunks)
			return ERR_NO_MEMORY;
		for (uint32_t i = 0; i < xorb->table.count; i++) {
			chunks[i].raw_offset = stored_chunk_raw_start(xorb, i);
			chunks[i].raw_length = xorb->table.chunks[i].raw_end - chunks[i].raw_offset;
			if (answer->xorbs[k].visible[i])
				digest_keyed(&chunks[i].hash, footer.key, &xorb->table.chunks[i].hash);
			else
				randombytes_buf(chunks[i].hash.bytes, HASH_BYTES);
		}
		shard_write_xorb(out, &xorb->table.xorb, chunks, xorb->table.count, xorb->table.chunks[xorb->table.count - 1].raw_end, 0);
		free(chunks);
	}
	shard_write_bookend(out);
	footer.lookup_offset = footer.footer_offset = out->length;
	footer.created_s = (uint64_t)(store_now_ms() / 1000);
	footer.expires_s = footer.created_s + DEDUP_EXPIRES_S;
	return shard_write_footer(out, &footer);
}

/* Does a visible file use that very chunk? Its xorb is the first of the answer. */
static bool chunk_is_visible(const struct answer *answer, const struct index_chunk *found)
{
	const struct visible_xorb *xorb = answer->count ? &answer->xorbs[0] : NULL;
	return xorb && found->chunk_index < xorb->xorb->table.count && xorb->visible[found->chunk_index];
}

/* Visible files that use the xorb: first what each uses in it, then, until the answer is full, the whole of those files. */
static bool gather(struct answer *answer, const struct index_chunk *found)
{
	struct index_scan scan;
	struct hash files[DEDUP_FILES_MAX];
	size_t count = 0;
	int seen = 0;
	index_scan_open(&scan, answer->store->index, 'r', span_of(found->xorb.bytes, HASH_BYTES), span_of(NULL, 0));
	while (seen < DEDUP_FILES_MAX && index_scan_next(&scan)) {
		struct hash file;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(file.bytes, scan.key.data, HASH_BYTES);
		seen++;
		if (!file_is_visible(answer, &file))
			continue;
		mark_file(answer, &file, &found->xorb);
		files[count++] = file;
	}
	index_scan_close(&scan);
	if (!chunk_is_visible(answer, found))
		return false;
	for (size_t i = 0; i < count; i++)
		mark_file(answer, &files[i], NULL);
	return true;
}

/* False: a xorb has gone meanwhile, or there is no room for the record. Then nothing is promised. */
static bool keep_young(const struct answer *answer)
{
	struct hash hashes[DEDUP_XORBS_MAX];
	for (size_t i = 0; i < answer->count; i++)
		hashes[i] = answer->xorbs[i].xorb->table.xorb;
	return store_touch_xorbs(answer->store, hashes, answer->count, DEDUP_TOUCH_AFTER_MS, NULL) == 0;
}

int store_dedup_query(struct store *store, const struct hash *chunk, store_owner_filter may_see, void *context, struct buffer *out,
	struct why *why)
{
	struct index_chunk found;
	int err = index_find_chunks(store->index, chunk, 1, &found, why);
	if (err || !found.found)
		return err ? err : ERR_NOT_FOUND;
	struct answer *answer = calloc(1, sizeof(*answer));
	if (!answer)
		return why_set(why, ERR_NO_MEMORY, "no memory for a dedup answer");
	answer->store = store;
	answer->may_see = may_see;
	answer->context = context;
	answer->claims_left = DEDUP_CLAIMS_MAX;
	err = gather(answer, &found) && keep_young(answer) ? write_answer(answer, out) : ERR_NOT_FOUND;
	for (size_t i = 0; i < answer->count; i++) {
		stored_xorb_release(answer->xorbs[i].xorb);
		free(answer->xorbs[i].visible);
	}
	free(answer);
	return err;
}
