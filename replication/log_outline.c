#include "replication/log_outline.h"

#include "replication/node.h"

#include <stdlib.h>
#include <string.h>

enum { TRAILING_ENTRIES_MAX = 100000 };

void outline_fini(struct log_outline *outline)
{
	free(outline->runs);
}

static void add_run(struct log_outline *outline, uint64_t index, uint64_t term)
{
	if (outline->runs_count && outline->runs[outline->runs_count - 1].term == term)
		return;
	outline->runs = must_realloc(outline->runs, (outline->runs_count + 1) * sizeof(*outline->runs));
	outline->runs[outline->runs_count++] = (struct term_run){ index, term };
}

void outline_append(struct log_outline *outline, uint64_t index, uint64_t term, size_t length)
{
	add_run(outline, index, term);
	outline->bytes_since_snapshot += length;
	outline->bytes_since_mark += length;
	if (outline->bytes_since_mark < OUTLINE_MARK_BYTES)
		return;
	outline->bytes_since_mark = 0;
	outline->marks[outline->marks_count++ % OUTLINE_MARKS] = index;
}

void outline_reset(struct log_outline *outline, uint64_t index, uint64_t term)
{
	outline->runs_count = 0;
	add_run(outline, index, term);
	outline->bytes_since_snapshot = outline->bytes_since_mark = outline->marks_count = 0;
}

void outline_truncate(struct log_outline *outline, uint64_t from)
{
	while (outline->runs_count && outline->runs[outline->runs_count - 1].index >= from)
		outline->runs_count--;
}

void outline_compact(struct log_outline *outline, uint64_t index)
{
	size_t drop = 0;
	while (drop + 1 < outline->runs_count && outline->runs[drop + 1].index <= index)
		drop++;
	outline->runs_count -= drop;
	memmove(outline->runs, outline->runs + drop, outline->runs_count * sizeof(*outline->runs));
}

uint64_t outline_term(const struct log_outline *outline, uint64_t index)
{
	for (size_t i = outline->runs_count; i > 0; i--)
		if (outline->runs[i - 1].index <= index)
			return outline->runs[i - 1].term;
	return 0;
}

uint64_t outline_keep_from(const struct log_outline *outline, uint64_t index, uint64_t bytes)
{
	size_t marks = (bytes < LOG_TRAILING_BYTES ? bytes : LOG_TRAILING_BYTES) / OUTLINE_MARK_BYTES;
	uint64_t from = 1;
	if (marks == 0)
		from = index;
	else if (outline->marks_count > marks)
		from = outline->marks[(outline->marks_count - marks) % OUTLINE_MARKS];
	if (index > TRAILING_ENTRIES_MAX && from < index - TRAILING_ENTRIES_MAX)
		from = index - TRAILING_ENTRIES_MAX;
	return from > index ? index : from;
}
