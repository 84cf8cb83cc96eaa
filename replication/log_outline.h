/* log_outline.h - what a node keeps in memory of a log that lies on disk: which term each index has, and how many bytes of entries lie behind an index.
 *
 * Used by one thread at a time (the driver's). A term is looked up in steps of leaderships, of which a log holds few. */
#ifndef CAIRN_REPLICATION_LOG_OUTLINE_H
#define CAIRN_REPLICATION_LOG_OUTLINE_H

#include <stddef.h>
#include <stdint.h>

enum {
	LOG_TRAILING_BYTES = 64 << 20, /* log kept behind a snapshot, so that a peer that was away needs no copy of the state */
	OUTLINE_MARK_BYTES = 1 << 20,
	OUTLINE_MARKS = LOG_TRAILING_BYTES / OUTLINE_MARK_BYTES,
};

/* Entries from `index` on have `term`, up to the next run. */
struct term_run {
	uint64_t index, term;
};

/* All zero: nothing is known. */
struct log_outline {
	struct term_run *runs;
	size_t runs_count;
	uint64_t bytes_since_snapshot; /* set to 0 by whoever takes one */
	uint64_t bytes_since_mark;
	uint64_t marks[OUTLINE_MARKS]; /* ring: index at every OUTLINE_MARK_BYTES of log */
	size_t marks_count;
};

void outline_fini(struct log_outline *outline);
/* The next entry, of `length` bytes. */
void outline_append(struct log_outline *outline, uint64_t index, uint64_t term, size_t length);
/* Entries up to `index` are known by the term of the last one alone: a snapshot. */
void outline_reset(struct log_outline *outline, uint64_t index, uint64_t term);
/* Entries from `from` on are replaced. */
void outline_truncate(struct log_outline *outline, uint64_t from);
/* Terms below `index` are not asked for any more. */
void outline_compact(struct log_outline *outline, uint64_t index);
/* 0: not known. */
uint64_t outline_term(const struct log_outline *outline, uint64_t index);
/* The first index that a compaction at `index` must leave so that about `bytes` (at most LOG_TRAILING_BYTES) stay behind it. */
uint64_t outline_keep_from(const struct log_outline *outline, uint64_t index, uint64_t bytes);

#endif
