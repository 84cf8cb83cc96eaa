#include "gateway/http/pipe.h"

#include "schemas/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct pipe *make(void)
{
	int ends[2];
	struct pipe *pipe = malloc(sizeof(*pipe));
	if (!pipe || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
		free(pipe);
		return NULL;
	}
	*pipe = (struct pipe){ .in = ends[1], .out = ends[0] };
	if (fcntl(pipe->in, F_SETPIPE_SZ, PIPE_BYTES) >= PIPE_BYTES)
		return pipe;
	close(pipe->in);
	close(pipe->out);
	free(pipe);
	return NULL;
}

static void discard(struct pipe_pool *pool, struct pipe *pipe)
{
	close(pipe->in);
	close(pipe->out);
	free(pipe);
	pool->count--;
}

struct pipe *pipe_take(struct pipe_pool *pool)
{
	struct pipe *pipe = pool->spare;
	if (pipe) {
		pool->spare = pipe->next;
		return pipe;
	}
	if (pool->count == PIPES_MAX || !(pipe = make()))
		return NULL;
	pool->count++;
	return pipe;
}

void pipe_give(struct pipe_pool *pool, struct pipe *pipe)
{
	if (pipe->bytes > 0) {
		discard(pool, pipe);
		return;
	}
	pipe->next = pool->spare;
	pool->spare = pipe;
}

void pipe_pool_free(struct pipe_pool *pool)
{
	while (pool->spare)
		discard(pool, pipe_take(pool));
}

int64_t pipe_fill(struct pipe *pipe, int fd, uint64_t offset, size_t length)
{
	loff_t from = (loff_t)offset;
	ssize_t taken;
	do {
		taken = splice(fd, &from, pipe->in, NULL, length, SPLICE_F_NONBLOCK);
	} while (taken < 0 && errno == EINTR);
	if (taken > 0)
		pipe->bytes += (size_t)taken;
	if (taken >= 0)
		return taken;
	return errno == EAGAIN ? ERR_AGAIN : ERR_IO;
}

int64_t pipe_drain(struct pipe *pipe, int socket, bool more)
{
	ssize_t sent = splice(pipe->out, NULL, socket, NULL, pipe->bytes, SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0));
	if (sent > 0)
		pipe->bytes -= (size_t)sent;
	if (sent >= 0)
		return sent;
	return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_CLOSED;
}
