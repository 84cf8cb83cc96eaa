#include "replication/backlog.h"

void backlog_note(struct backlog *backlog, uint64_t done_bytes, uint64_t left_bytes, uint64_t now_ms)
{
	if (backlog->left_bytes == 0 && (done_bytes > 0 || left_bytes > 0))
		*backlog = (struct backlog){ .older.at_ms = now_ms, .newer.at_ms = now_ms };
	backlog->done_bytes += done_bytes;
	backlog->left_bytes = left_bytes;
	if (now_ms - backlog->newer.at_ms >= BACKLOG_WINDOW_MS) {
		backlog->older = backlog->newer;
		backlog->newer = (struct backlog_mark){ now_ms, backlog->done_bytes };
	}
}

void backlog_done(struct backlog *backlog, uint64_t done_bytes, uint64_t now_ms)
{
	backlog_note(backlog, done_bytes, done_bytes < backlog->left_bytes ? backlog->left_bytes - done_bytes : 0, now_ms);
}

void backlog_status(const struct backlog *backlog, uint64_t now_ms, struct backlog_status *out)
{
	uint64_t took_ms = now_ms - backlog->older.at_ms, done = backlog->done_bytes - backlog->older.done_bytes;
	*out = (struct backlog_status){ .done_bytes = backlog->done_bytes, .left_bytes = backlog->left_bytes };
	if (backlog->left_bytes > 0 && took_ms > 0)
		out->bytes_per_s = (uint64_t)((double)done * 1000 / (double)took_ms);
}

uint64_t backlog_left_ms(const struct backlog_status *status)
{
	if (status->left_bytes == 0)
		return 0;
	return status->bytes_per_s ? (uint64_t)((double)status->left_bytes * 1000 / (double)status->bytes_per_s) : BACKLOG_LEFT_UNKNOWN;
}
