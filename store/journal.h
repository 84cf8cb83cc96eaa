/* journal.h - the group commit: small records of many callers, one write, one sync, then the index.
 *
 * DESIGN. One thread. It takes every operation that is waiting, writes their records one after the other as one group, syncs the volumes, applies the records
 * to the index in the order in which they lie in the volume, and only then tells the callers. While it syncs, the next operations gather; on a fast disk it
 * waits a little for them while they keep coming. So the index is always what replaying the volumes in order gives, and nothing is visible before it is
 * durable. */
#ifndef CAIRN_STORE_JOURNAL_H
#define CAIRN_STORE_JOURNAL_H

#include <pthread.h>

#include "store/index.h"
#include "store/volume.h"

enum {
	JOURNAL_GROUP_BYTES_MAX = 16 << 20, /* a single larger operation is a group of its own */
	JOURNAL_FLUSH_BYTES = 1 << 30,      /* written since the index was last flushed: bounds what a start after a crash reads again */
};

struct journal;

struct journal_record {
	uint8_t kind;
	struct span payload; /* borrowed until the operation is done */
};

struct journal_operation {
	struct journal_record *records;
	size_t count;
	enum volume_purpose purpose;
	/* Called on the journal's thread when the operation is durable and visible, or has failed; may free the operation. */
	void (*done)(struct journal_operation *operation, int err, const struct why *why);
	struct journal_operation *next; /* the journal's */
};

int journal_open(struct journal **out, struct store *store, struct volumes *volumes, struct index *index, struct why *why);
/* Finishes what was submitted. */
void journal_close(struct journal *journal);
/* Any thread; never waits. Fragments that the records name must be written (not synced) before. */
void journal_submit(struct journal *journal, struct journal_operation *operation);
/* [blocks] Submits and waits until durable and visible. */
int journal_commit(struct journal *journal, struct journal_record *records, size_t count, struct why *why);
/* The same for records that free room. */
int journal_commit_freeing(struct journal *journal, struct journal_record *records, size_t count, struct why *why);
/* [blocks] until the index's position is not `known`, or `timeout_ms`. */
void journal_await(struct journal *journal, const struct record_place *known, int64_t timeout_ms);
/* Operations acknowledged since it was opened. */
uint64_t journal_acknowledged(struct journal *journal);

#endif
