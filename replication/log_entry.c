#include "replication/log_entry.h"

#include "replication/node.h"
#include "replication/proposals.h"

#include <stdlib.h>

struct log_entry *log_entry_make(uint8_t type, uint64_t index, uint64_t term, struct span payload)
{
	struct log_entry *entry = must_alloc(sizeof(*entry) + payload.length);
	atomic_init(&entry->references, 1);
	entry->type = type;
	entry->index = index;
	entry->term = term;
	entry->length = payload.length;
	if (payload.length)
		memcpy(entry->payload, payload.data, payload.length);
	return entry;
}

struct log_entry *log_entry_hold(struct log_entry *entry)
{
	atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
	return entry;
}

void log_entry_release(struct log_entry *entry)
{
	if (atomic_fetch_sub_explicit(&entry->references, 1, memory_order_acq_rel) != 1)
		return;
	proposals_release(entry->waiters);
	free(entry);
}
