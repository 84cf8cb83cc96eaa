/* xorb_reader.c - a range of a stored xorb's body as a stream: read and checked, chunk by chunk, as it was stored. */
#include <stdlib.h>

#include "store/chunk_run.h"
#include "store/core.h"
#include "store/remote_xorb.h"

enum { FRESH_MS = 60 * 1000 };

struct xorb_reader {
	struct store *store;
	struct stored_xorb *xorb;
	uint32_t at, end; /* body bytes */
	uint32_t chunk;   /* the one that holds `at` */
	struct chunk_run run;
};

/* What has just come was written past the page cache, and each other node asks for it once. Of what is older a node may ask for all, for which the system reads ahead. */
static bool is_fresh(struct store *store, const struct hash *xorb)
{
	struct xorb_info info;
	return store_xorb_info(store, xorb, &info) == 0 && info.age_ms < FRESH_MS;
}

static int open_reader(struct xorb_reader **out, struct store *store, const struct hash *xorb, uint64_t start, uint64_t end, bool here, struct why *why)
{
	struct xorb_reader *reader = calloc(1, sizeof(*reader));
	if (!reader)
		return why_set(why, ERR_NO_MEMORY, "no memory to read a xorb");
	reader->store = store;
	int err = here ? stored_xorb_open(&reader->xorb, store->xorbs, xorb, true, why) : store_open_xorb(store, xorb, true, &reader->xorb, why);
	if (here && err == ERR_CORRUPT)
		damaged_list_add(&store->damaged, xorb);
	uint32_t length = err ? 0 : reader->xorb->table.chunks[reader->xorb->table.count - 1].body_end;
	if (err == 0 && (start >= end || start >= length))
		err = why_set(why, ERR_RANGE, "the xorb has %u bytes", length);
	if (err) {
		xorb_reader_close(reader);
		return err;
	}
	reader->run.once = here && is_fresh(store, xorb);
	reader->at = (uint32_t)start;
	reader->end = end < length ? (uint32_t)end : length;
	uint32_t low = 0, high = reader->xorb->table.count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (reader->xorb->table.chunks[middle].body_end <= reader->at)
			low = middle + 1;
		else
			high = middle;
	}
	reader->chunk = low;
	*out = reader;
	return 0;
}

int xorb_reader_open(struct xorb_reader **out, struct store *store, const struct hash *xorb, uint64_t start, uint64_t end, struct why *why)
{
	return open_reader(out, store, xorb, start, end, false, why);
}

int xorb_reader_open_here(struct xorb_reader **out, struct store *store, const struct hash *xorb, uint64_t start, uint64_t end, struct why *why)
{
	return open_reader(out, store, xorb, start, end, true, why);
}

void xorb_reader_close(struct xorb_reader *reader)
{
	if (!reader)
		return;
	chunk_run_fini(&reader->run);
	stored_xorb_release(reader->xorb);
	free(reader);
}

/* Where the range ends, in whole chunks. */
static uint32_t chunks_end(const struct xorb_reader *reader)
{
	uint32_t end = reader->chunk + 1;
	while (end < reader->xorb->table.count && reader->xorb->table.chunks[end - 1].body_end < reader->end)
		end++;
	return end;
}

static void move_on(struct xorb_reader *reader, uint32_t bytes)
{
	reader->at += bytes;
	while (reader->chunk < reader->xorb->table.count && reader->xorb->table.chunks[reader->chunk].body_end <= reader->at)
		reader->chunk++;
}

/* Reads and checks the chunk that holds `at`, from where it begins. */
static int load(struct xorb_reader *reader, bool may_block, const uint8_t **bytes, struct why *why)
{
	struct xorb_chunk_header header;
	bool loaded = reader->run.xorb && reader->chunk >= reader->run.first && reader->chunk < reader->run.end;
	int err = chunk_run_read(&reader->run, reader->xorb, reader->chunk, loaded ? reader->run.end : chunks_end(reader), may_block, bytes, &header, why);
	if (err && err != ERR_AGAIN && reader->xorb->remote)
		remote_xorb_drop(reader->store->remotes, &reader->xorb->table.xorb);
	else if (err == ERR_CORRUPT || err == ERR_IO)
		damaged_list_add(&reader->store->damaged, &reader->xorb->table.xorb);
	return err;
}

int64_t xorb_reader_read(struct xorb_reader *reader, void *out, size_t length, bool may_block, struct why *why)
{
	size_t total = 0;
	while (total < length && reader->at < reader->end) {
		const uint8_t *bytes;
		uint32_t start = stored_chunk_start(reader->xorb, reader->chunk);
		uint32_t stop = reader->xorb->table.chunks[reader->chunk].body_end < reader->end ? reader->xorb->table.chunks[reader->chunk].body_end
			: reader->end;
		int err = load(reader, may_block, &bytes, why);
		if (err)
			return total ? (int64_t)total : err;
		size_t some = stop - reader->at < length - total ? stop - reader->at : length - total;
		memcpy((uint8_t *)out + total, bytes + (reader->at - start), some);
		total += some;
		move_on(reader, (uint32_t)some);
	}
	return (int64_t)total;
}

int xorb_reader_run(struct xorb_reader *reader, bool may_block, struct span *out, struct why *why)
{
	uint32_t start = stored_chunk_start(reader->xorb, reader->chunk), run_start = reader->at;
	*out = span_of(NULL, 0);
	for (uint32_t end = 0; reader->at < reader->end && (!end || reader->chunk < end); end = reader->run.end) {
		const uint8_t *bytes;
		int err = load(reader, may_block, &bytes, why);
		if (err)
			return out->length ? 0 : err;
		if (!out->data)
			*out = span_of(bytes + (run_start - start), 0);
		uint32_t stop = reader->xorb->table.chunks[reader->chunk].body_end;
		uint32_t some = (stop < reader->end ? stop : reader->end) - reader->at;
		out->length += some;
		move_on(reader, some);
	}
	return 0;
}

int xorb_reader_next_extent(struct xorb_reader *reader, size_t length, int *fd, uint64_t *offset, size_t *extent_length)
{
	if (reader->at >= reader->end)
		return ERR_AGAIN;
	const struct stored_fragment *fragment = stored_xorb_locate(reader->xorb, reader->at);
	uint32_t limit = fragment->end < reader->end ? fragment->end : reader->end, stop = reader->at;
	if (limit - reader->at > length)
		limit = reader->at + (uint32_t)length;
	for (uint32_t chunk = reader->chunk; chunk < reader->xorb->table.count && stop < limit; chunk++) {
		if (stored_chunk_seen(reader->xorb, chunk) == CHUNK_UNSEEN)
			break;
		stop = reader->xorb->table.chunks[chunk].body_end < limit ? reader->xorb->table.chunks[chunk].body_end : limit;
	}
	if (stop == reader->at)
		return ERR_AGAIN;
	*offset = fragment->offset + (reader->at - fragment->start);
	for (uint64_t probe = *offset; probe < *offset + (stop - reader->at); probe += 64 << 10)
		if (!volume_is_cached(fragment->volume, probe))
			return ERR_AGAIN;
	*fd = fragment->volume->fd;
	*extent_length = stop - reader->at;
	move_on(reader, stop - reader->at);
	return 0;
}
