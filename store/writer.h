/* writer.h - the buffers in which xorb bodies are gathered, and the threads that write them as fragments.
 *
 * DESIGN. A buffer has room for a record header in front, so that a full one goes to disk from where it was filled, in one write. All buffers
 * together stay within one budget: when it is used up, taking one waits for those on their way to disk, and fails with ERR_BUSY when there
 * are none (then every buffer is being filled by somebody who may be waiting too). Buffers are smaller when memory is short.
 *
 * Any thread; a buffer has one owner at a time. */
#ifndef CAIRN_STORE_WRITER_H
#define CAIRN_STORE_WRITER_H

#include <pthread.h>

#include "store/volume.h"

enum {
	WRITE_BUFFER_BYTES_MAX = 2 << 20, /* header included; a huge page, which is pinned for the disk at once and not 4 KiB by 4 KiB */
	WRITE_BUFFER_BYTES_SCARCE = 256 << 10, /* a part of such a page: one chunk with its header, and more */
	WRITER_THREADS = 2,
};

struct writer;

struct page;

struct write_buffer {
	struct write_buffer *next;
	struct page *page; /* that it is a part of; NULL: of memory of its own */
	uint8_t *data;    /* block-aligned; the body begins behind the record header */
	size_t capacity;  /* bytes, header included */
	size_t used;      /* bytes, header included */
	struct volume *volume;
	uint64_t offset;
	struct write_group *group;
};

/* Writes that somebody will wait for together. */
struct write_group {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum volume_purpose purpose;
	size_t pending;
	int err;
	struct why why;
};
void write_group_init(struct write_group *group, enum volume_purpose purpose);
void write_group_fini(struct write_group *group);
/* [blocks] Until all that was submitted is written (not yet durable). The first error of any of them. */
int write_group_wait(struct write_group *group, struct why *why);

int writer_open(struct writer **out, struct volumes *volumes, uint64_t budget_bytes, struct why *why);
void writer_close(struct writer *writer);

/* [blocks] `wanted`: bytes of body that are expected at least; the buffer may be smaller, but holds any one chunk. ERR_BUSY, ERR_NO_MEMORY. */
int writer_take(struct writer *writer, size_t wanted, struct write_buffer **out, struct why *why);
void writer_give(struct writer *writer, struct write_buffer *buffer);
/* Says that the buffer comes back without its owner's needing another one first (it is with the journal): others may wait for it. */
void writer_lend(struct writer *writer);
void writer_give_lent(struct writer *writer, struct write_buffer *buffer);
/* Places the buffer's body as a fragment record and writes it in the background; the buffer belongs to the writer from here on.
 * *place tells where the body goes. ERR_NO_SPACE, ERR_IO (the buffer is given back then, too). */
int writer_submit(struct writer *writer, struct write_buffer *buffer, struct write_group *group, struct xorb_fragment *place,
	struct why *why);

#endif
