/* pipe.h - pages of files on their way to a socket: many small extents become one send, and nothing is copied.
 *
 * A sendfile for each chunk of a file costs the kernel twice what one for a megabyte does. Chunks lie in xorbs with a head before each, so
 * their pages are gathered in a pipe by splice(2) and go on from there together. Everything here belongs to one loop's thread. */
#ifndef CAIRN_GATEWAY_HTTP_PIPE_H
#define CAIRN_GATEWAY_HTTP_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PIPE_BYTES = 1 << 20,
	PIPES_MAX = 24, /* of one loop, in use and spare: an unprivileged user's share of all pipes is 64 MiB */
};

struct pipe {
	int in, out;
	size_t bytes; /* in it */
	struct pipe *next;
};

struct pipe_pool {
	struct pipe *spare;
	unsigned count; /* made and not closed */
};

/* NULL: there are enough, or the kernel gives no more. */
struct pipe *pipe_take(struct pipe_pool *pool);
/* One that still holds something is closed. */
void pipe_give(struct pipe_pool *pool, struct pipe *pipe);
void pipe_pool_free(struct pipe_pool *pool);

/* Takes pages of a file; bytes taken, ERR_AGAIN when the pipe is full, ERR_IO (0 is one too: the file ends before). */
int64_t pipe_fill(struct pipe *pipe, int fd, uint64_t offset, size_t length);
/* Sends what it holds; bytes, ERR_AGAIN, ERR_CLOSED. `more`: something follows at once. */
int64_t pipe_drain(struct pipe *pipe, int socket, bool more);

#endif
