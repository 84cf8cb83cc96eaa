#include "ops/cairnd/sync_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROBE_WRITE_BYTES = 4096 };

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;
	return *a < *b ? -1 : *a > *b;
}

static int measure(struct sync_probe *out, int fd)
{
	static const char block[PROBE_WRITE_BYTES];
	uint64_t took_us[SYNC_PROBE_ROUNDS], start_us = now_us();
	size_t count = 0;
	while (count < SYNC_PROBE_ROUNDS && (count < 3 || now_us() - start_us < SYNC_PROBE_MS_MAX * 1000)) {
		if (pwrite(fd, block, sizeof(block), (off_t)(count * sizeof(block))) != (ssize_t)sizeof(block))
			return -1;
		uint64_t before_us = now_us();
		if (fdatasync(fd) != 0)
			return -1;
		took_us[count++] = now_us() - before_us;
	}
	qsort(took_us, count, sizeof(took_us[0]), compare);
	out->p50_us = took_us[count / 2];
	out->p99_us = took_us[(count * 99) / 100];
	return 0;
}

int sync_probe(struct sync_probe *out, const char *dir, struct why *why)
{
	char path[4200];
	snprintf(path, sizeof(path), "%s/sync-probe", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return why_set(why, ERR_IO, "%s: %s", path, strerror(errno));
	int err = measure(out, fd) == 0 ? 0 : why_set(why, ERR_IO, "%s: %s", path, strerror(errno));
	close(fd);
	unlink(path);
	return err;
}
