#include "gateway/git/request_body.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "gateway/git/cache_files.h"

enum { INFLATE_BYTES = 32 << 10, GZIP_WINDOW_BITS = 15 + 16 };

struct request_body {
	const char *data_dir;
	uint64_t bytes_max, length;
	bool is_gzip, inflated;     /* inflated: the compressed stream is at its end */
	z_stream inflater;
	int fd;                     /* -1: all in `memory` */
	uint64_t charged;
	void *mapped;
	uint8_t memory[REQUEST_BODY_MEMORY_BYTES_MAX];
};

static _Atomic uint64_t file_bytes;

static bool is_word(struct span text, const char *word)
{
	return text.length == strlen(word) && strncasecmp((const char *)text.data, word, text.length) == 0;
}

int request_body_open(struct request_body **out, const char *data_dir, struct span encoding, uint64_t bytes_max, struct why *why)
{
	*out = NULL;
	bool is_gzip = is_word(encoding, "gzip") || is_word(encoding, "x-gzip");
	if (encoding.length && !is_gzip && !is_word(encoding, "identity"))
		return why_set(why, ERR_UNSUPPORTED, "The only Content-Encoding here is gzip");
	struct request_body *body = calloc(1, sizeof(*body));
	if (!body)
		return ERR_NO_MEMORY;
	body->data_dir = data_dir;
	body->bytes_max = bytes_max;
	body->fd = -1;
	body->is_gzip = is_gzip;
	if (is_gzip && inflateInit2(&body->inflater, GZIP_WINDOW_BITS) != Z_OK) {
		free(body);
		return ERR_NO_MEMORY;
	}
	*out = body;
	return 0;
}

static int open_file(const char *data_dir)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/tmp", data_dir);
	int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "%s/tmp/git-XXXXXX", data_dir); /* a file system without unnamed files */
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int charge(struct request_body *body, uint64_t bytes, struct why *why)
{
	if (atomic_fetch_add(&file_bytes, bytes) + bytes > REQUEST_BODIES_BYTES_MAX) {
		atomic_fetch_sub(&file_bytes, bytes);
		return why_set(why, ERR_BUSY, "too many large git requests at the moment, try again");
	}
	body->charged += bytes;
	return 0;
}

static int move_to_file(struct request_body *body, struct why *why)
{
	int err = charge(body, body->length, why);
	if (err)
		return err;
	body->fd = open_file(body->data_dir);
	return body->fd < 0 ? files_error(why, "open", "tmp") : files_write_all(body->fd, body->memory, (size_t)body->length, why);
}

static int add(struct request_body *body, const void *data, size_t length, struct why *why)
{
	if (length > body->bytes_max - body->length)
		return why_set(why, ERR_TOO_BIG, "The git request is larger than %llu bytes", (unsigned long long)body->bytes_max);
	if (body->fd < 0 && body->length + length <= sizeof(body->memory)) {
		memcpy(body->memory + body->length, data, length);
		body->length += length;
		return 0;
	}
	int err = body->fd < 0 ? move_to_file(body, why) : 0;
	if (err == 0)
		err = charge(body, length, why);
	if (err == 0)
		err = files_write_all(body->fd, data, length, why);
	body->length += length;
	return err;
}

static int add_inflated(struct request_body *body, const void *data, size_t length, struct why *why)
{
	uint8_t out[INFLATE_BYTES];
	z_stream *z = &body->inflater;
	z->next_in = (Bytef *)(uintptr_t)data;
	z->avail_in = (uInt)length; /* at most 1 MiB at a time */
	for (bool more = true; more;) {
		if (body->inflated)
			return z->avail_in ? why_set(why, ERR_CORRUPT, "There are bytes behind the compressed request") : 0;
		z->next_out = out;
		z->avail_out = sizeof(out);
		int state = inflate(z, Z_NO_FLUSH);
		if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
			return why_set(why, ERR_CORRUPT, "The compressed request does not inflate");
		body->inflated = state == Z_STREAM_END;
		int err = add(body, out, sizeof(out) - z->avail_out, why);
		if (err)
			return err;
		more = z->avail_out == 0 || (body->inflated && z->avail_in);
	}
	return 0;
}

int request_body_write(struct request_body *body, const void *data, size_t length, struct why *why)
{
	return body->is_gzip ? add_inflated(body, data, length, why) : add(body, data, length, why);
}

int request_body_end(struct request_body *body, struct why *why)
{
	if (body->is_gzip && !body->inflated)
		return why_set(why, ERR_CORRUPT, "The compressed request ends early");
	return 0;
}

int request_body_bytes(struct request_body *body, struct span *out, struct why *why)
{
	*out = span_of(body->memory, (size_t)body->length);
	if (body->fd < 0)
		return 0;
	if (!body->mapped) {
		void *mapped = mmap(NULL, (size_t)body->length, PROT_READ, MAP_SHARED, body->fd, 0);
		if (mapped == MAP_FAILED)
			return files_error(why, "map", "tmp");
		body->mapped = mapped;
	}
	*out = span_of(body->mapped, (size_t)body->length);
	return 0;
}

int request_body_fd(struct request_body *body, int *out, struct why *why)
{
	if (body->fd < 0) {
		body->fd = memfd_create("git-request", MFD_CLOEXEC);
		if (body->fd < 0)
			return files_error(why, "open", "a request");
		int err = files_write_all(body->fd, body->memory, (size_t)body->length, why);
		if (err)
			return err;
	}
	if (lseek(body->fd, 0, SEEK_SET) != 0)
		return files_error(why, "read", "a request");
	*out = body->fd;
	return 0;
}

void request_body_close(struct request_body *body)
{
	if (!body)
		return;
	if (body->mapped)
		munmap(body->mapped, (size_t)body->length);
	if (body->fd >= 0)
		close(body->fd);
	if (body->is_gzip)
		inflateEnd(&body->inflater);
	atomic_fetch_sub(&file_bytes, body->charged);
	free(body);
}
