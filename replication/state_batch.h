/* state_batch.h - what commands have changed and nobody has written yet: one batch, read before the state below it, written to it at once.
 *
 * DESIGN. RocksDB's indexed batch keeps its keys in a skip list, so that each change is searched for twice: there and in the memtable. Here keys are found by
 * hash, a key that changes many times is written once, and a batch is written in the order of its keys, in which the memtable takes them
 * fastest. What was read is kept as well: commands of one batch read the same few records.
 *
 * The applier's thread alone. Running out of memory ends the program. */
#ifndef CAIRN_REPLICATION_STATE_BATCH_H
#define CAIRN_REPLICATION_STATE_BATCH_H

#include "schemas/buffer.h"
#include "schemas/error.h"

#include <rocksdb/c.h>

struct state_batch;

/* `db` is borrowed, and nobody else may write keys that are read through the batch. */
struct state_batch *state_batch_open(rocksdb_t *db);
void state_batch_close(struct state_batch *batch);

/* 0: *value is borrowed until the next call. ERR_NOT_FOUND; ERR_IO. */
int state_batch_get(struct state_batch *batch, struct span key, struct span *value, struct why *why);
void state_batch_put(struct state_batch *batch, struct span key, struct span value);
void state_batch_delete(struct state_batch *batch, struct span key);
/* Calls `take` for every key that starts with `prefix`, in their order, until it returns false; it may not touch the batch. 0, ERR_IO. */
int state_batch_each(struct state_batch *batch, struct span prefix, bool (*take)(void *context, struct span key), void *context, struct why *why);

/* It is time to write it: a range is looked for among all its keys, so that many commands would take the square of their time. */
bool state_batch_is_large(const struct state_batch *batch);
/* Writes all changes at once, or none; the batch is empty afterwards. 0, ERR_IO. */
int state_batch_write(struct state_batch *batch, const rocksdb_writeoptions_t *options, struct why *why);

#endif
