#include "store/chunk_run.h"

#include <stdlib.h>
#include <sys/uio.h>

#include "store/remote_xorb.h"

int chunk_run_read(struct chunk_run *run, struct stored_xorb *xorb, uint32_t chunk, uint32_t end, bool may_block, const uint8_t **bytes,
	struct xorb_chunk_header *header, struct why *why)
{
	if (run->xorb != xorb || chunk < run->first || chunk >= run->end) {
		uint32_t start = stored_chunk_start(xorb, chunk), last = chunk + 1;
		int brought = xorb->remote ? remote_xorb_bring(xorb, chunk, end, &run->ahead_bytes, may_block, why) : 0;
		if (brought != 0)
			return brought;
		while (last < end && xorb->table.chunks[last].body_end - start <= CHUNK_RUN_BYTES && stored_chunk_is_here(xorb, last))
			last++;
		if (!run->bytes && !(run->bytes = malloc(CHUNK_RUN_BYTES)))
			return why_set(why, ERR_NO_MEMORY, "no memory to read a file");
		run->xorb = NULL;
		int err = stored_xorb_read(xorb, start, xorb->table.chunks[last - 1].body_end - start, run->bytes, may_block, why);
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
	free(run->bytes);
	run->bytes = NULL;
	run->xorb = NULL;
}

bool volume_is_cached(const struct volume *volume, uint64_t offset)
{
	uint8_t byte;
	struct iovec vector = { &byte, 1 };
	return preadv2(volume->fd, &vector, 1, (off_t)offset, RWF_NOWAIT) == 1;
}
