/* log_entry.h - one entry of the replicated log, shared between the driver, the log writer and the applier.
 *
 * Immutable once made, reference-counted, so that a payload is copied once on its way from proposals to disk and state machine. On the
 * node that proposed it, an entry carries the proposals that wait for it, in the order of its commands. */
#ifndef CAIRN_REPLICATION_LOG_ENTRY_H
#define CAIRN_REPLICATION_LOG_ENTRY_H

#include "schemas/buffer.h"

#include <stdatomic.h>

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

/* One reference; aborts when memory is gone, as a node that cannot hold its log cannot go on. */
struct log_entry *log_entry_make(uint8_t type, uint64_t index, uint64_t term, struct span payload);
struct log_entry *log_entry_hold(struct log_entry *entry);
void log_entry_release(struct log_entry *entry);

#endif
