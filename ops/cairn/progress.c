#include "ops/cairn/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "ops/cairn/table.h"

enum { PATIENCE_MS = 1000, REDRAW_MS = 200, BAR_CELLS = 30 };

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, const char *what)
{
	*progress = (struct progress){ .what = what, .started_ms = now_ms(), .terminal = isatty(STDERR_FILENO) };
}

void progress_show(struct progress *progress, uint64_t done_bytes, uint64_t total_bytes)
{
	int64_t now = now_ms(), elapsed = now - progress->started_ms;
	if (!progress->terminal || elapsed < PATIENCE_MS || now - progress->drawn_ms < REDRAW_MS)
		return;
	progress->drawn_ms = now;
	progress->drawn = true;
	if (total_bytes == 0) {
		fprintf(stderr, "\r\033[K%s  %s", progress->what, text_of_ms(elapsed));
		return;
	}
	double part = done_bytes < total_bytes ? (double)done_bytes / (double)total_bytes : 1;
	char bar[BAR_CELLS + 1];
	for (int i = 0; i < BAR_CELLS; i++)
		bar[i] = i < (int)(part * BAR_CELLS) ? '#' : '.';
	bar[BAR_CELLS] = 0;
	fprintf(stderr, "\r\033[K%s [%s] %3.0f %%  %s of %s", progress->what, bar, part * 100, text_of_bytes(done_bytes),
		text_of_bytes(total_bytes));
	if (part > 0.01)
		fprintf(stderr, ", %s left", text_of_ms((int64_t)((double)elapsed / part * (1 - part))));
}

void progress_end(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stderr);
}
