/* shard_spool.h - a shard waits here until it is whole, because it is validated as a whole.
 *
 * DESIGN. A small one is kept in memory, under one budget for all requests; a larger one, or one that finds the budget used up, goes to an unlinked file
 * in DIR/tmp that is mapped when it is complete: its pages are the kernel's to keep or drop. All spooled bytes together are
 * bounded too, as they arrive; beyond that, ERR_BUSY. A spool belongs to one thread at a time. */
#ifndef CAIRN_GATEWAY_XET_SHARD_SPOOL_H
#define CAIRN_GATEWAY_XET_SHARD_SPOOL_H

#include "gateway/gateway.h"

enum {
	SPOOL_MEMORY_BYTES_MAX = 256 << 10,       /* one shard in memory */
	SPOOL_MEMORY_BUDGET_BYTES = 16 << 20,     /* all of them */
	SPOOL_FILE_BUDGET_BYTES = 1 << 30,        /* all files */
};

struct shard_spool;

/* `length_max` is the most that will be written. 0, ERR_NO_MEMORY, ERR_NO_SPACE, ERR_IO. */
int shard_spool_open(struct shard_spool **out, const char *data_dir, uint64_t length_max, struct why *why);
/* 0, ERR_TOO_BIG, ERR_BUSY, ERR_NO_SPACE, ERR_IO. */
int shard_spool_write(struct shard_spool *spool, const void *data, size_t length, struct why *why);
/* Everything written; valid until close. */
int shard_spool_bytes(struct shard_spool *spool, struct span *out, struct why *why);
void shard_spool_close(struct shard_spool *spool);

#endif
