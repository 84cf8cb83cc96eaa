/* command_ids.h - remembers which commands were applied, so that a retry is answered and not applied again.
 *
 * DESIGN. id -> (index, outcome) under the hour of the id's own time stamp, for COMMAND_ID_WINDOW_MS. An id older than the window, or from
 * further ahead than COMMAND_ID_AHEAD_MS, is refused: so a bucket whose hour has left the window can be dropped without anyone
 * noticing, and clocks enter only through the leader's time stamp. */
#ifndef CAIRN_REPLICATION_COMMAND_IDS_H
#define CAIRN_REPLICATION_COMMAND_IDS_H

#include "replication/keys.h"
#include "replication/state_batch.h"
#include "schemas/command.h"

#include <rocksdb/c.h>

enum {
	COMMAND_ID_HOUR_MS = 3600 * 1000,
	COMMAND_ID_WINDOW_MS = 24 * COMMAND_ID_HOUR_MS,
	COMMAND_ID_AHEAD_MS = COMMAND_ID_HOUR_MS,
};

struct command_outcome {
	uint64_t index;
	int err;
	struct buffer result;
	struct why why;
};

/* True when `id` may be applied at `leader_ms`. */
bool command_id_in_window(const struct command_id *id, int64_t leader_ms);
/* 0 and the outcome (caller's result buffer is initialised), ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT. */
int command_ids_get(struct state_batch *batch, uint32_t group, const struct command_id *id, struct command_outcome *out, struct why *why);
void command_ids_put(struct state_batch *batch, uint32_t group, const struct command_id *id, const struct command_outcome *outcome);
/* Forgets the buckets of hours before `hour`. Outside any batch: those ids are refused whether their records are there or not. */
int command_ids_drop(rocksdb_t *db, const rocksdb_writeoptions_t *options, uint32_t group, uint64_t hour, struct why *why);

#endif
