#include "replication/held_entries.h"

#include "replication/node.h"
#include "replication/proposals.h"

#include <stdlib.h>

enum {
	READ_ENTRIES_MAX = 4096, /* from the disk for the applier at once */
	READ_BYTES_MAX = 4 << 20,
};

/* ---- configurations that are not known to be committed ---- */

static void add_configuration(struct held_entries *held, struct log_entry *entry)
{
	held->configurations = must_realloc(held->configurations, (held->configurations_count + 1) * sizeof(struct log_entry *));
	held->configurations[held->configurations_count++] = log_entry_hold(entry);
}

static void drop_configurations(struct held_entries *held, uint64_t from)
{
	while (held->configurations_count && held->configurations[held->configurations_count - 1]->index >= from)
		log_entry_release(held->configurations[--held->configurations_count]);
}

/* ---- what is here ---- */

void held_open(struct held_entries *held, uint32_t group, const struct rio *rio, struct log_loaded *loaded, uint64_t applied)
{
	*held = (struct held_entries){ .group = group, .rio = rio, .handed = applied, .committed = applied, .bytes_max = LOG_HELD_BYTES_MAX };
	held->cached = applied > loaded->last_index ? applied : loaded->last_index - loaded->pending_count;
	for (size_t i = 0; i < loaded->configurations_count; i++)
		if (loaded->configurations[i]->index > applied)
			add_configuration(held, loaded->configurations[i]);
	held->entries = loaded->pending;
	held->count = loaded->pending_count;
	for (size_t i = 0; i < held->count; i++)
		held->bytes += log_entry_bytes(held->entries[i]);
	held->capacity = held->count ? 1 : 0;
	while (held->capacity < held->count)
		held->capacity *= 2; /* as log_store grew it */
	loaded->pending = NULL;
	loaded->pending_count = 0;
}

void held_close(struct held_entries *held)
{
	for (size_t i = 0; i < held->count; i++)
		log_entry_release(held->entries[i]);
	free(held->entries);
	drop_configurations(held, 0);
	free(held->configurations);
}

void held_append(struct held_entries *held, struct log_entry *entry)
{
	if (held->count == held->capacity) {
		held->capacity = held->capacity ? held->capacity * 2 : 16;
		held->entries = must_realloc(held->entries, held->capacity * sizeof(struct log_entry *));
	}
	held->entries[held->count++] = log_entry_hold(entry);
	held->bytes += log_entry_bytes(entry);
	held->in_flight += entry->waiters != NULL;
	if (entry->type == ENTRY_CONFIGURATION)
		add_configuration(held, entry);
}

static void drop_last(struct held_entries *held)
{
	struct log_entry *entry = held->entries[--held->count];
	bool committed = entry->index <= held->committed;
	for (struct proposal *proposal = committed ? entry->waiters : NULL; proposal; proposal = proposal->next)
		atomic_fetch_add(&proposal->queue->unreplicated_bytes, proposal->length);
	held->in_flight -= !committed && entry->waiters;
	held->bytes -= log_entry_bytes(entry);
	proposals_return(entry->waiters);
	entry->waiters = NULL;
	log_entry_release(entry);
}

void held_truncate(struct held_entries *held, uint64_t from)
{
	if (from <= held->committed)
		node_stop("group %u would replace entry %llu, which is committed", held->group, (unsigned long long)from);
	while (held->count && held->entries[held->count - 1]->index >= from)
		drop_last(held);
	if (held->cached >= from)
		held->cached = from - 1;
	drop_configurations(held, from);
}

void held_drop(struct held_entries *held)
{
	while (held->count)
		drop_last(held);
	drop_configurations(held, 0);
	held->cached = held->committed = held->handed;
}

void held_installed(struct held_entries *held, uint64_t applied)
{
	held->handed = held->cached = held->committed = applied;
}

struct log_entry **held_behind(const struct held_entries *held, uint64_t previous, size_t count)
{
	size_t at = (size_t)(previous - held->cached);
	return at + count > held->count ? NULL : held->entries + at;
}

/* The first ones are here no more. */
static void shift(struct held_entries *held, size_t count)
{
	held->count -= count;
	held->cached += count;
	memmove(held->entries, held->entries + count, held->count * sizeof(struct log_entry *));
}

/* By half, so that it is seldom to be done. */
static void make_room(struct held_entries *held, uint64_t stored)
{
	size_t count = 0;
	if (held->bytes <= held->bytes_max)
		return;
	for (; count < held->count && held->bytes > held->bytes_max / 2; count++) {
		struct log_entry *entry = held->entries[count];
		if (entry->index > stored || entry->waiters)
			break;
		held->bytes -= log_entry_bytes(entry);
		log_entry_release(entry);
	}
	shift(held, count);
}

/* ---- what is committed ---- */

/* Whoever waits for it here waits for the applier from now on. */
static void note_replicated(struct held_entries *held, const struct log_entry *entry)
{
	held->in_flight -= entry->waiters != NULL;
	for (struct proposal *proposal = entry->waiters; proposal; proposal = proposal->next)
		atomic_fetch_sub(&proposal->queue->unreplicated_bytes, proposal->length);
}

static struct log_entry *last_committed_configuration(struct held_entries *held)
{
	struct log_entry *last = NULL;
	size_t past = 0;
	for (; past < held->configurations_count && held->configurations[past]->index <= held->committed; past++) {
		if (last)
			log_entry_release(last);
		last = held->configurations[past];
	}
	held->configurations_count -= past;
	if (past)
		memmove(held->configurations, held->configurations + past, held->configurations_count * sizeof(struct log_entry *));
	return last;
}

struct log_entry *held_commit(struct held_entries *held, uint64_t commit)
{
	uint64_t last = held->cached + held->count;
	uint64_t through = commit < last ? commit : last;
	for (uint64_t index = (held->committed > held->cached ? held->committed : held->cached) + 1; index <= through; index++)
		note_replicated(held, held->entries[index - held->cached - 1]);
	if (through > held->committed)
		held->committed = through;
	return last_committed_configuration(held);
}

/* ---- what the applier gets ---- */

static void hand(struct held_entries *held, struct log_entry **entries, size_t count, uint64_t stored)
{
	held->handed += count;
	/* What is durable here and committed: a later leader may still take back the rest of what is stored. */
	bool all = stored < held->committed || (held->rio->rules_off & RULE_COMMITTED_MARK);
	held->rio->apply(held->rio->context, held->group, entries, count, all ? stored : held->committed);
}

static void hand_from_disk(struct held_entries *held, uint64_t room, uint64_t stored)
{
	uint64_t until = held->cached < held->committed ? held->cached : held->committed;
	size_t wanted = until - held->handed < READ_ENTRIES_MAX ? (size_t)(until - held->handed) : READ_ENTRIES_MAX;
	size_t bytes_max = room < READ_BYTES_MAX ? (size_t)room : READ_BYTES_MAX;
	struct log_entry **entries = must_alloc(wanted * sizeof(struct log_entry *));
	size_t count = held->rio->log_read(held->rio->context, held->group, held->handed + 1, wanted, bytes_max, entries);
	if (count == 0)
		node_stop("entry %llu of group %u cannot be read from the log", (unsigned long long)held->handed + 1, held->group);
	hand(held, entries, count, stored);
}

static void hand_from_memory(struct held_entries *held, uint64_t room, uint64_t stored)
{
	size_t count = 0, most = (size_t)(held->committed - held->cached);
	size_t bytes = 0;
	for (; count < most && bytes < room; count++)
		bytes += log_entry_bytes(held->entries[count]);
	held->bytes -= bytes;
	struct log_entry **entries = must_alloc(count * sizeof(struct log_entry *));
	memcpy(entries, held->entries, count * sizeof(struct log_entry *));
	shift(held, count);
	hand(held, entries, count, stored);
}

/* False: the applier has all that is committed, or as much as may wait for it. */
static bool hand_some(struct held_entries *held, uint64_t stored)
{
	if (!held_is_behind(held))
		return false;
	uint64_t waiting = held->rio->apply_waiting(held->rio->context, held->group);
	if (waiting >= held->bytes_max)
		return false;
	if (held->handed < held->cached)
		hand_from_disk(held, held->bytes_max - waiting, stored);
	else
		hand_from_memory(held, held->bytes_max - waiting, stored);
	return true;
}

void held_hand(struct held_entries *held, uint64_t stored)
{
	while (hand_some(held, stored))
		;
	make_room(held, stored);
}

bool held_is_behind(const struct held_entries *held)
{
	return held->handed < held->committed;
}
