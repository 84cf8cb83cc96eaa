#include "gateway/hub/line_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic unsigned spools_open;

void line_store_init(struct line_store *line, const char *dir)
{
	*line = (struct line_store){ .dir = dir };
}

void line_store_fini(struct line_store *line)
{
	if (line->is_mapped) {
		munmap(line->bytes, line->capacity);
		atomic_fetch_sub(&spools_open, 1);
	} else {
		free(line->bytes);
	}
	*line = (struct line_store){ 0 };
}

void line_store_clear(struct line_store *line)
{
	line->length = 0;
}

static int spool_map(const char *dir, uint8_t **out, struct why *why)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return why_set(why, ERR_IO, "A temporary file cannot be made: %s", strerror(errno));
	int failed = posix_fallocate(fd, 0, LINE_BYTES_MAX);
	void *bytes = failed ? MAP_FAILED : mmap(NULL, LINE_BYTES_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (failed)
		return why_set(why, failed == ENOSPC ? ERR_NO_SPACE : ERR_IO, "There is no room for a temporary file: %s", strerror(failed));
	if (bytes == MAP_FAILED)
		return why_set(why, ERR_NO_MEMORY, "A temporary file cannot be mapped");
	*out = bytes;
	return 0;
}

static int move_to_spool(struct line_store *line, struct why *why)
{
	if (atomic_fetch_add(&spools_open, 1) >= LINE_SPOOLS_MAX) {
		atomic_fetch_sub(&spools_open, 1);
		return why_set(why, ERR_BUSY, "Too many commits with large inline files at once, try again");
	}
	uint8_t *bytes = NULL;
	int err = spool_map(line->dir, &bytes, why);
	if (err) {
		atomic_fetch_sub(&spools_open, 1);
		return err;
	}
	if (line->length)
		memcpy(bytes, line->bytes, line->length);
	free(line->bytes);
	line->bytes = bytes;
	line->capacity = LINE_BYTES_MAX;
	line->is_mapped = true;
	return 0;
}

static int grow_heap(struct line_store *line, size_t need)
{
	size_t capacity = line->capacity ? line->capacity : 4096;
	while (capacity < need)
		capacity *= 2;
	uint8_t *bytes = realloc(line->bytes, capacity);
	if (!bytes)
		return ERR_NO_MEMORY;
	line->bytes = bytes;
	line->capacity = capacity;
	return 0;
}

int line_store_append(struct line_store *line, const void *data, size_t length, struct why *why)
{
	if (length > LINE_BYTES_MAX - line->length)
		return why_set(why, ERR_TOO_BIG, "A line of the commit is longer than %d MiB: large files must be uploaded through LFS or Xet",
			LINE_BYTES_MAX >> 20);
	size_t need = line->length + length;
	int err = 0;
	if (need > line->capacity)
		err = need > LINE_MEMORY_BYTES_MAX ? move_to_spool(line, why) : grow_heap(line, need);
	if (err)
		return err;
	if (length)
		memcpy(line->bytes + line->length, data, length);
	line->length = need;
	return 0;
}
