/* io_fault.c - a library to be preloaded: makes file calls of a process fail, as a broken disk does.
 *
 * $IO_FAULT names a control file of one line, read again when it changes: CALL PATH EVERY ERROR
 *   CALL   write, sync or read
 *   PATH   a part of the path of the files that are meant
 *   EVERY  N: each Nth such call (1: all)
 *   ERROR  EIO, ENOSPC, SHORT (half of the bytes are taken; writes and reads), or SLOW (it does not fail, but takes SLOW_MS longer)
 * An empty or absent file: nothing fails. What fails is not done at all, but for SHORT. */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, WORD_BYTES = 256, LOOK_EVERY_MS = 5, SLOW_MS = 100 };

static struct {
	char call[WORD_BYTES], path[WORD_BYTES], error[WORD_BYTES];
	long every;
} rule;
static _Atomic bool is_set;
static _Atomic long looked_ms, matched;
static _Atomic int locked;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_preadv2)(int, const struct iovec *, int, off_t, int);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void begin(void)
{
	real_write = dlsym(RTLD_NEXT, "write");
	real_pwrite = dlsym(RTLD_NEXT, "pwrite");
	real_pwritev = dlsym(RTLD_NEXT, "pwritev");
	real_writev = dlsym(RTLD_NEXT, "writev");
	real_pread = dlsym(RTLD_NEXT, "pread");
	real_preadv2 = dlsym(RTLD_NEXT, "preadv2");
	real_fsync = dlsym(RTLD_NEXT, "fsync");
	real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
}

static long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads the control file again, once in a while. */
static void look(void)
{
	long now = now_ms();
	if (now - looked_ms < LOOK_EVERY_MS || atomic_exchange(&locked, 1))
		return;
	const char *name = getenv("IO_FAULT");
	FILE *file = name ? fopen(name, "re") : NULL;
	is_set = false;
	if (file) {
		is_set = fscanf(file, "%255s %255s %ld %255s", rule.call, rule.path, &rule.every, rule.error) == 4 && rule.every > 0;
		fclose(file);
	}
	looked_ms = now;
	locked = 0;
}

enum verdict { PASS, FAIL, HALF };

static enum verdict judge(const char *call, int fd)
{
	char link[64], path[PATH_BYTES];
	int saved = errno;
	look();
	if (!is_set || strcmp(rule.call, call) != 0)
		return PASS;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, sizeof(path) - 1);
	path[length < 0 ? 0 : length] = 0;
	errno = saved;
	if (!strstr(path, rule.path) || ++matched % rule.every != 0)
		return PASS;
	if (strcmp(rule.error, "SHORT") == 0)
		return HALF;
	if (strcmp(rule.error, "SLOW") == 0) {
		nanosleep(&(struct timespec){ .tv_nsec = SLOW_MS * 1000000L }, NULL);
		errno = saved;
		return PASS;
	}
	errno = strcmp(rule.error, "ENOSPC") == 0 ? ENOSPC : EIO;
	return FAIL;
}

/* Half of it, in whole blocks as long as there is more than one. */
static size_t half(size_t length)
{
	return length >= 8192 ? length / 2 & ~(size_t)4095 : length > 1 ? length / 2 : length;
}

ssize_t write(int fd, const void *data, size_t length)
{
	enum verdict verdict = fd > 2 ? judge("write", fd) : PASS;
	return verdict == FAIL ? -1 : real_write(fd, data, verdict == HALF ? half(length) : length);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
	enum verdict verdict = judge("write", fd);
	return verdict == FAIL ? -1 : real_pwrite(fd, data, verdict == HALF ? half(length) : length, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset)
{
	return pwrite(fd, data, length, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	return judge("write", fd) == FAIL ? -1 : real_pwritev(fd, parts, count, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	return judge("write", fd) == FAIL ? -1 : real_writev(fd, parts, count);
}

ssize_t pread(int fd, void *out, size_t length, off_t offset)
{
	enum verdict verdict = judge("read", fd);
	return verdict == FAIL ? -1 : real_pread(fd, out, verdict == HALF ? half(length) : length, offset);
}

ssize_t pread64(int fd, void *out, size_t length, off_t offset)
{
	return pread(fd, out, length, offset);
}

ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
	enum verdict verdict = judge("read", fd);
	if (verdict != HALF || count != 1)
		return verdict == FAIL ? -1 : real_preadv2(fd, parts, count, offset, flags);
	struct iovec part = { parts->iov_base, half(parts->iov_len) };
	return real_preadv2(fd, &part, 1, offset, flags);
}

ssize_t preadv64v2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
	return preadv2(fd, parts, count, offset, flags);
}

int fsync(int fd)
{
	return judge("sync", fd) == FAIL ? -1 : real_fsync(fd);
}

int fdatasync(int fd)
{
	return judge("sync", fd) == FAIL ? -1 : real_fdatasync(fd);
}
