/* backlog.h - bytes of work that are left, how many are done, how fast, and so for how long.
 *
 * What is done is counted since there was something to do after nothing was left; it stays to be looked at until there is something again. The speed is that of
 * the last BACKLOG_WINDOW_MS or twice that, so work that stands still soon has none, and no time left can be told. Times are the caller's, by a clock that does
 * not go back. No lock of its own. */
#ifndef CAIRN_REPLICATION_BACKLOG_H
#define CAIRN_REPLICATION_BACKLOG_H

#include <stdint.h>

enum { BACKLOG_WINDOW_MS = 10 * 1000 };
#define BACKLOG_LEFT_UNKNOWN UINT64_MAX

struct backlog {
	uint64_t done_bytes, left_bytes;
	struct backlog_mark {
		uint64_t at_ms, done_bytes;
	} older, newer;
};
/* So many are done since the last call, and so many are left now. */
void backlog_note(struct backlog *backlog, uint64_t done_bytes, uint64_t left_bytes, uint64_t now_ms);
/* The same when those that are done are some of those that were left. */
void backlog_done(struct backlog *backlog, uint64_t done_bytes, uint64_t now_ms);

struct backlog_status {
	uint64_t done_bytes, left_bytes;
	uint64_t bytes_per_s; /* 0: nothing is left, or it stands still */
};
void backlog_status(const struct backlog *backlog, uint64_t now_ms, struct backlog_status *out);
/* Until nothing is left; BACKLOG_LEFT_UNKNOWN while it stands still. */
uint64_t backlog_left_ms(const struct backlog_status *status);

#endif
