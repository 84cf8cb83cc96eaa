/* line_store.h - where a line of unknown length is gathered: a little memory, then a mapped temporary file.
 *
 * Lines of a commit are mostly short, but one that carries a file's content may have 14 MB, and many commits may arrive at once. Long
 * lines therefore live in the page cache, which the kernel can write out, and not in the heap. The file is unlinked at
 * once, its blocks are reserved before they are mapped (a full disk is an error here, not a signal later), and the number of such files
 * at a time is bounded. */
#ifndef CAIRN_GATEWAY_HUB_LINE_STORE_H
#define CAIRN_GATEWAY_HUB_LINE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/error.h"

enum {
	LINE_BYTES_MAX = 16 << 20,
	LINE_MEMORY_BYTES_MAX = 64 << 10, /* longer lines are mapped */
	LINE_SPOOLS_MAX = 64,             /* temporary files at a time, in the process */
};

struct line_store {
	const char *dir;      /* borrowed */
	uint8_t *bytes;       /* the line: heap or mapping */
	size_t length, capacity;
	bool is_mapped;
};

void line_store_init(struct line_store *line, const char *dir);
void line_store_fini(struct line_store *line);
/* 0, ERR_TOO_BIG, ERR_BUSY, ERR_NO_SPACE, ERR_IO, ERR_NO_MEMORY. */
int line_store_append(struct line_store *line, const void *data, size_t length, struct why *why);
void line_store_clear(struct line_store *line);

#endif
