#include "ops/cairn/backup_volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/cairn/table.h"
#include "schemas/volume_record.h"

enum { ID_DIGITS = 8, HALF_DIGITS = 16, MARK_LENGTH = 2 * HALF_DIGITS + 1 };

static const char hex_digits[] = "0123456789abcdef";

static bool mark_is_plain(const char *mark, size_t length)
{
	return length == MARK_LENGTH && strspn(mark, hex_digits) == HALF_DIGITS && mark[HALF_DIGITS] == '-' &&
		strspn(mark + HALF_DIGITS + 1, hex_digits) >= HALF_DIGITS;
}

void backup_volume_name(char out[BACKUP_VOLUME_NAME_BYTES], const json_t *volume)
{
	const char *mark = member_text(volume, "mark");
	snprintf(out, BACKUP_VOLUME_NAME_BYTES, "volumes/%08x%s%.*s.vol", (unsigned)member_u64(volume, "id"), *mark ? "-" : "", MARK_LENGTH, mark);
}

bool backup_volume_is_plain(const json_t *volume)
{
	const char *mark = member_text(volume, "mark");
	return member_u64(volume, "id") <= UINT32_MAX && (!*mark || mark_is_plain(mark, strlen(mark)));
}

int backup_volume_path(char out[PATH_MAX], const char *data_dir, const json_t *volume)
{
	if (snprintf(out, PATH_MAX, "%s/store/volumes/%08x.vol", data_dir, (unsigned)member_u64(volume, "id")) < PATH_MAX)
		return 0;
	fprintf(stderr, "cairn: the path %s is too long\n", data_dir);
	return 1;
}

int backup_volume_mark(json_t *volume, const char *data_dir)
{
	char path[PATH_MAX], mark[MARK_LENGTH + 1];
	uint8_t block[VOLUME_BLOCK_BYTES];
	struct volume_head head;
	struct stat info;
	if (backup_volume_path(path, data_dir, volume) != 0)
		return 1;
	errno = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_read = fd >= 0 && fstat(fd, &info) == 0 && pread(fd, block, sizeof(block), 0) == (ssize_t)sizeof(block);
	int number = errno;
	if (fd >= 0)
		close(fd);
	if (!is_read || volume_head_decode(&head, block) != 0 || head.id != member_u64(volume, "id")) {
		fprintf(stderr, "cairn: cannot read %s: %s\n", path, !is_read && number ? strerror(number) : "its first block is not that of this volume");
		return 1;
	}
	uint64_t written_ns = (uint64_t)info.st_mtim.tv_sec * 1000000000 + (uint64_t)info.st_mtim.tv_nsec;
	snprintf(mark, sizeof(mark), "%016llx-%016llx", (unsigned long long)head.salt, (unsigned long long)written_ns);
	return json_object_set_new(volume, "mark", json_string(mark)) == 0 ? 0 : 1;
}

const json_t *backup_volume_find(const json_t *manifest, uint64_t id)
{
	size_t i;
	json_t *volume;
	json_array_foreach(json_object_get(manifest, "volumes"), i, volume)
		if (member_u64(volume, "id") == id)
			return volume;
	return NULL;
}

bool backup_volume_is_named(const json_t *manifest, const json_t *volume)
{
	const json_t *named = backup_volume_find(manifest, member_u64(volume, "id"));
	return named && strcmp(member_text(named, "mark"), member_text(volume, "mark")) == 0;
}

bool backup_volume_file_is_named(const json_t *manifest, const char *file)
{
	unsigned id;
	const char *mark = file + ID_DIGITS + 1;
	if (strspn(file, hex_digits) != ID_DIGITS || file[ID_DIGITS] != '-' || strlen(mark) < MARK_LENGTH || !mark_is_plain(mark, MARK_LENGTH) ||
		sscanf(file, "%8x", &id) != 1)
		return true;
	const json_t *named = backup_volume_find(manifest, id);
	return named && strncmp(member_text(named, "mark"), mark, MARK_LENGTH) == 0 && strcmp(mark + MARK_LENGTH, ".vol") == 0;
}
