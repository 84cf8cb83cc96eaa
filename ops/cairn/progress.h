/* progress.h - a bar on stderr for whoever waits longer than a second at a terminal. Elsewhere nothing is printed. */
#ifndef CAIRN_OPS_CAIRN_PROGRESS_H
#define CAIRN_OPS_CAIRN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what;
	int64_t started_ms, drawn_ms;
	bool terminal, drawn;
};

void progress_begin(struct progress *progress, const char *what);
/* `total` 0: not known yet. */
void progress_show(struct progress *progress, uint64_t done_bytes, uint64_t total_bytes);
/* Wipes the bar. */
void progress_end(struct progress *progress);

#endif
