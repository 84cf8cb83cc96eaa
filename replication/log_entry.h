/* log_entry.h - one entry of the replicated log, shared between the driver, the log writer and the applier.
 *
 * Immutable once made, reference-counted, so that a payload is copied once on its way from proposals to disk and state machine. On the
 * node that proposed it, an entry carries the proposals that wait for it, in the order of its commands. */
#ifndef CAIRN_REPLICATION_LOG_ENTRY_H
#define CAIRN_REPLICATION_LOG_ENTRY_H

#include "schemas/buffer.h"

#include <stdatomic.h>

/* What a group holds of entries in memory: at most so much that the applier has, and as much besides, but for what is not on the disk yet or has somebody waiting
 * here. The rest is read back from the disk when its turn comes. */
enum { LOG_HELD_BYTES_MAX = 16 << 20 };

enum entry_type { ENTRY_COMMANDS = 1, ENTRY_BARRIER = 2, ENTRY_CONFIGURATION = 3 };

struct proposal;

struct log_entry {
	atomic_int references;
	uint8_t type; /* enum entry_type */
	uint64_t index, term;
	struct proposal *waiters; /* owned list, or NULL */
	size_t length;            /* payload bytes */
	uint8_t payload[];
};

/* Of memory, so that a bound in bytes is one on the number of entries too. */
static inline size_t log_entry_bytes(const struct log_entry *entry)
{
	return sizeof(*entry) + entry->length;
}

/* One reference; aborts when memory is gone, as a node that cannot hold its log cannot go on. */
struct log_entry *log_entry_make(uint8_t type, uint64_t index, uint64_t term, struct span payload);
struct log_entry *log_entry_hold(struct log_entry *entry);
void log_entry_release(struct log_entry *entry);

#endif
