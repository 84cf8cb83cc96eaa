/* gone.c - what the index places where no bytes are: in a volume that is not there any more, or behind the end of one.
 *
 * DESIGN. A volume that was emptied leaves nothing in the index (compaction.c), its id is noted and not used again. So a start looks which ids are missing, and
 * walks the index only for those that are not noted: what lay in them counts as damaged from then on, like all that is found damaged. When nothing
 * did, they are noted. */
#include <stdio.h>
#include <stdlib.h>

#include "store/core.h"

enum { TOLD_MAX = 8 };

bool place_is_gone(struct volumes *volumes, const struct record_place *place)
{
	struct volume *volume = volumes_get(volumes, place->volume);
	bool gone = !volume || place->offset >= volumes_end(volumes, volume);
	volume_release(volume);
	return gone;
}

static bool xorb_is_gone(struct volumes *volumes, const struct index_xorb *xorb)
{
	bool gone = place_is_gone(volumes, &xorb->place);
	for (uint32_t i = 0; i < xorb->fragments_count && !gone; i++)
		gone = place_is_gone(volumes, &(struct record_place){ xorb->fragments[i].volume, xorb->fragments[i].offset });
	return gone;
}

/* Notes all files, or xorbs, that are gone in the list of that letter. */
static int note(struct store *store, char kind, char list, uint64_t *count)
{
	struct index_scan scan;
	index_scan_open_once(&scan, store->index, kind, span_of(NULL, 0));
	while (index_scan_next(&scan)) {
		struct index_file file;
		struct index_xorb xorb = { 0 };
		struct hash hash;
		bool gone = false;
		if (scan.key.length != HASH_BYTES)
			continue;
		memcpy(hash.bytes, scan.key.data, HASH_BYTES);
		if (kind == 'f')
			gone = index_file_decode(&file, &hash, scan.value) == 0 && place_is_gone(store->volumes, &file.place);
		else if (index_xorb_decode(&xorb, scan.value) == 0)
			gone = xorb_is_gone(store->volumes, &xorb);
		index_xorb_fini(&xorb);
		if (gone)
			index_put_raw(store->index, &(struct index_raw){ list, span_of(hash.bytes, HASH_BYTES), span_of(NULL, 0) }, 1);
		*count += gone;
	}
	return index_scan_close(&scan);
}

/* ------------------------------------------------------------------ ids that are missing */

struct gaps {
	uint32_t *ids; /* not noted yet */
	size_t count, capacity;
};

static struct span gap_key(uint32_t id, uint8_t out[4])
{
	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(id >> 8 * i);
	return span_of(out, 4);
}

int store_note_gap(struct store *store, uint32_t id)
{
	uint8_t key[4];
	return index_put_raw(store->index, &(struct index_raw){ INDEX_GAP, gap_key(id, key), span_of(NULL, 0) }, 1);
}

static int add_gap(struct store *store, struct gaps *gaps, uint32_t id)
{
	uint8_t key[4];
	struct buffer none;
	buffer_init(&none, 1);
	int err = index_get_raw(store->index, INDEX_GAP, gap_key(id, key), &none);
	if (err != ERR_NOT_FOUND)
		return err;
	if (gaps->count == gaps->capacity) {
		size_t capacity = gaps->capacity ? 2 * gaps->capacity : 64;
		uint32_t *ids = realloc(gaps->ids, capacity * sizeof(*ids));
		if (!ids)
			return ERR_NO_MEMORY;
		gaps->ids = ids;
		gaps->capacity = capacity;
	}
	gaps->ids[gaps->count++] = id;
	return 0;
}

/* Below the newest volume, or the one that the index was brought up to. */
static int find_gaps(struct store *store, uint32_t newest, struct gaps *gaps)
{
	size_t count = volumes_list(store->volumes, NULL, 0), at = 0;
	uint32_t *ids = malloc((count ? count : 1) * sizeof(*ids));
	if (!ids)
		return ERR_NO_MEMORY;
	volumes_list(store->volumes, ids, count);
	if (count && ids[count - 1] > newest)
		newest = ids[count - 1];
	int err = 0;
	for (uint32_t id = 1; id <= newest && err == 0; id++) {
		if (at < count && ids[at] == id)
			at++;
		else
			err = add_gap(store, gaps, id);
	}
	free(ids);
	return err;
}

static bool is_shorter(const struct store *store, const struct record_place *known)
{
	struct volume *volume = volumes_get(store->volumes, known->volume);
	bool shorter = volume && known->offset > volumes_end(store->volumes, volume);
	volume_release(volume);
	return shorter;
}

static void tell(const struct store *store, const struct record_place *known, const struct gaps *gaps, uint64_t files, uint64_t xorbs)
{
	for (size_t i = 0; i < gaps->count && i < TOLD_MAX; i++)
		fprintf(stderr, "cairn: while opening the store: volume %08x is not there, or cannot be read\n", gaps->ids[i]);
	if (gaps->count > TOLD_MAX)
		fprintf(stderr, "cairn: while opening the store: %zu more volumes are not there, or cannot be read\n", gaps->count - TOLD_MAX);
	if (is_shorter(store, known))
		fprintf(stderr, "cairn: while opening the store: volume %08x is shorter than it was\n", known->volume);
	fprintf(stderr, "cairn: while opening the store: the records of %llu files and %llu xorbs are gone with that, and count as damaged\n",
		(unsigned long long)files, (unsigned long long)xorbs);
}

static int note_all(struct store *store, const struct record_place *known, const struct gaps *gaps)
{
	uint64_t files = 0, xorbs = 0;
	int err = note(store, 'f', INDEX_DAMAGED_FILE, &files);
	if (err == 0)
		err = note(store, 'x', INDEX_DAMAGED, &xorbs);
	if (err == 0 && files + xorbs > 0)
		tell(store, known, gaps, files, xorbs);
	for (size_t i = 0; i < gaps->count && err == 0 && files + xorbs == 0; i++)
		err = store_note_gap(store, gaps->ids[i]);
	return err;
}

int store_note_gone(struct store *store, const struct record_place *known, struct why *why)
{
	struct gaps gaps = { 0 };
	int err = find_gaps(store, known->volume, &gaps);
	if (err == 0 && known->volume == 0 && gaps.count) /* the index is new: what it would have known is told by the files that need it */
		err = index_put_raw(store->index, &(struct index_raw){ INDEX_PASSED_OVER, span_of(NULL, 0), span_of(NULL, 0) }, 1);
	else if (err == 0 && (gaps.count || is_shorter(store, known)))
		err = note_all(store, known, &gaps);
	free(gaps.ids);
	return err ? why_set(why, err, "the index cannot be compared with the volumes") : 0;
}
