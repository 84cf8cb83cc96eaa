#include "gateway/xet/shard_spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_STEP_BYTES = 4 << 20 };

struct shard_spool {
	uint64_t length_max, length, charged; /* charged: of the budget that it counts against */
	uint8_t *memory; /* or NULL: */
	int fd;
	void *mapped;
};

static _Atomic uint64_t memory_bytes, file_bytes;

static bool budget_take(_Atomic uint64_t *used, uint64_t bytes, uint64_t bytes_max)
{
	if (atomic_fetch_add(used, bytes) + bytes <= bytes_max)
		return true;
	atomic_fetch_sub(used, bytes);
	return false;
}

static int error_of(struct why *why, const char *what)
{
	int err = errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO;
	return why_set(why, err, "The shard cannot be set aside: %s: %s", what, strerror(errno));
}

static int file_open(int *fd, const char *data_dir, struct why *why)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/tmp", data_dir);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return error_of(why, "tmp");
	*fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*fd < 0) { /* a file system without unnamed files */
		snprintf(path, sizeof(path), "%s/tmp/shard-XXXXXX", data_dir);
		*fd = mkostemp(path, O_CLOEXEC);
		if (*fd >= 0)
			unlink(path);
	}
	return *fd < 0 ? error_of(why, "open") : 0;
}

int shard_spool_open(struct shard_spool **out, const char *data_dir, uint64_t length_max, struct why *why)
{
	struct shard_spool *spool = calloc(1, sizeof(*spool));
	*out = spool;
	if (!spool)
		return ERR_NO_MEMORY;
	spool->fd = -1;
	spool->length_max = length_max;
	if (length_max <= SPOOL_MEMORY_BYTES_MAX && budget_take(&memory_bytes, length_max, SPOOL_MEMORY_BUDGET_BYTES)) {
		spool->memory = malloc(length_max ? length_max : 1);
		spool->charged = length_max;
		if (spool->memory)
			return 0;
		atomic_fetch_sub(&memory_bytes, length_max);
		spool->charged = 0;
	}
	int err = file_open(&spool->fd, data_dir, why);
	if (err) {
		free(spool);
		*out = NULL;
	}
	return err;
}

/* Room in the budget for `length` bytes more, taken as they come: what was announced and never sent keeps nobody out. */
static int charge(struct shard_spool *spool, size_t length, struct why *why)
{
	while (spool->length + length > spool->charged) {
		uint64_t left = spool->length_max - spool->charged, more = left < FILE_STEP_BYTES ? left : FILE_STEP_BYTES;
		if (!budget_take(&file_bytes, more, SPOOL_FILE_BUDGET_BYTES))
			return why_set(why, ERR_BUSY, "Too many large shards at once, try again");
		spool->charged += more;
	}
	return 0;
}

int shard_spool_write(struct shard_spool *spool, const void *data, size_t length, struct why *why)
{
	if (length > spool->length_max - spool->length)
		return why_set(why, ERR_TOO_BIG, "The body is longer than announced");
	if (spool->memory) {
		memcpy(spool->memory + spool->length, data, length);
		spool->length += length;
		return 0;
	}
	int err = charge(spool, length, why);
	if (err)
		return err;
	const uint8_t *at = data;
	while (length > 0) {
		ssize_t written = pwrite(spool->fd, at, length, (off_t)spool->length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return error_of(why, "write");
		at += written;
		length -= (size_t)written;
		spool->length += (uint64_t)written;
	}
	return 0;
}

int shard_spool_bytes(struct shard_spool *spool, struct span *out, struct why *why)
{
	assert(!spool->mapped);
	*out = span_of(spool->memory, spool->length);
	if (spool->memory || spool->length == 0)
		return 0;
	void *mapped = mmap(NULL, spool->length, PROT_READ, MAP_SHARED, spool->fd, 0);
	if (mapped == MAP_FAILED)
		return error_of(why, "mmap");
	spool->mapped = mapped;
	*out = span_of(mapped, spool->length);
	return 0;
}

void shard_spool_close(struct shard_spool *spool)
{
	if (!spool)
		return;
	if (spool->mapped)
		munmap(spool->mapped, spool->length);
	if (spool->fd >= 0)
		close(spool->fd);
	atomic_fetch_sub(spool->memory ? &memory_bytes : &file_bytes, spool->charged);
	free(spool->memory);
	free(spool);
}
