#include "store/chunk_run.h"

#include <stdlib.h>
#include <sys/uio.h>

#include "store/remote_xorb.h"

/* Past the page cache, which would be a copy and memory for nothing. False: it is to be read as usual. */
static bool read_direct(struct chunk_run *run, struct stored_xorb *xorb, uint32_t start, uint32_t length)
{
	const struct stored_fragment *fragment = stored_xorb_locate(xorb, start);
	if (!fragment || start + length > fragment->end)
		return false;
	return volume_read_direct(fragment->volume, run->room, length, fragment->offset + (start - fragment->start), &run->bytes);
}

/* Behind the last chunk of a run that is read in one go. */
static uint32_t run_end(const struct chunk_run *run, const struct stored_xorb *xorb, uint32_t chunk, uint32_t end)
{
	uint32_t start = stored_chunk_start(xorb, chunk), last = chunk + 1, limit = UINT32_MAX;
	const struct stored_fragment *fragment = run->once ? stored_xorb_locate(xorb, start) : NULL;
	if (fragment)
		limit = fragment->end;
	while (last < end && xorb->table.chunks[last].body_end - start <= CHUNK_RUN_BYTES && xorb->table.chunks[last].body_end <= limit &&
		stored_chunk_is_here(xorb, last))
		last++;
	return last;
}

int chunk_run_read(struct chunk_run *run, struct stored_xorb *xorb, uint32_t chunk, uint32_t end, bool may_block, const uint8_t **bytes,
	struct xorb_chunk_header *header, struct why *why)
{
	if (run->xorb != xorb || chunk < run->first || chunk >= run->end) {
		int brought = xorb->remote ? remote_xorb_bring(xorb, chunk, end, &run->ahead_bytes, may_block, why) : 0;
		if (brought != 0)
			return brought;
		uint32_t start = stored_chunk_start(xorb, chunk), last = run_end(run, xorb, chunk, end), length = xorb->table.chunks[last - 1].body_end - start;
		if (!run->room && !(run->room = aligned_alloc(VOLUME_BLOCK_BYTES, volume_align(VOLUME_DIRECT_ROOM(CHUNK_RUN_BYTES), VOLUME_BLOCK_BYTES))))
			return why_set(why, ERR_NO_MEMORY, "no memory to read a file");
		run->xorb = NULL;
		run->bytes = run->room;
		int err = run->once && may_block && read_direct(run, xorb, start, length) ? 0 : stored_xorb_read(xorb, start, length, run->room, may_block, why);
		if (err)
			return err;
		run->xorb = xorb;
		run->first = chunk;
		run->end = last;
		run->has_checked = false;
	}
	*bytes = run->bytes + (stored_chunk_start(xorb, chunk) - stored_chunk_start(xorb, run->first));
	if (!run->has_checked || run->checked != chunk) {
		int err = stored_chunk_check(xorb, chunk, *bytes, &run->header, why);
		if (err)
			return err;
		run->checked = chunk;
		run->has_checked = true;
	}
	*header = run->header;
	return 0;
}

void chunk_run_fini(struct chunk_run *run)
{
	free(run->room);
	run->room = NULL;
	run->xorb = NULL;
}

bool volume_is_cached(const struct volume *volume, uint64_t offset)
{
	uint8_t byte;
	struct iovec vector = { &byte, 1 };
	return preadv2(volume->fd, &vector, 1, (off_t)offset, RWF_NOWAIT) == 1;
}
