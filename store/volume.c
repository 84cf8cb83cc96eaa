#include "store/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
	NAME_BYTES = 16,
	STEP_BYTES_MIN = 1 << 20,
	FREES_RESERVE_PART = 8, /* of the reserve that even what frees room leaves alone: names, logs and indexes need some */
};

struct volumes {
	char dir[4096];
	int dir_fd;
	struct volumes_config config;
	pthread_mutex_t lock;
	struct volume **items; /* ascending ids; items[count - 1] is active while active_open */
	size_t count, capacity;
	bool active_open;
	uint32_t next_id;
	_Atomic uint64_t syncs;
	_Atomic bool failed; /* a sync failed */
};

static void name_of(char out[NAME_BYTES], uint32_t id)
{
	snprintf(out, NAME_BYTES, "%08x.vol", id);
}

struct volume *volume_hold(struct volume *volume)
{
	volume->references++;
	return volume;
}

void volume_release(struct volume *volume)
{
	if (!volume || --volume->references > 0)
		return;
	if (volume->direct_fd >= 0)
		close(volume->direct_fd);
	close(volume->fd);
	free(volume);
}

/* ------------------------------------------------------------------ opening */

static bool id_of(const char *name, uint32_t *id)
{
	unsigned value;
	char again[NAME_BYTES];
	if (strlen(name) != 12 || sscanf(name, "%8x.vol", &value) != 1 || value == 0)
		return false;
	name_of(again, value);
	*id = value;
	return strcmp(again, name) == 0;
}

static int add(struct volumes *volumes, struct volume *volume)
{
	if (volumes->count == volumes->capacity) {
		size_t capacity = volumes->capacity ? volumes->capacity * 2 : 16;
		struct volume **items = realloc(volumes->items, capacity * sizeof(struct volume *));
		if (!items)
			return ERR_NO_MEMORY;
		volumes->items = items;
		volumes->capacity = capacity;
	}
	size_t at = volumes->count++;
	while (at > 0 && volumes->items[at - 1]->id > volume->id) {
		volumes->items[at] = volumes->items[at - 1];
		at--;
	}
	volumes->items[at] = volume;
	return 0;
}

static int open_one(struct volumes *volumes, uint32_t id, struct why *why)
{
	char name[NAME_BYTES];
	uint8_t block[VOLUME_BLOCK_BYTES];
	struct volume_head head;
	struct stat status;
	name_of(name, id);
	int fd = openat(volumes->dir_fd, name, (volumes->config.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd < 0)
		return why_set(why, ERR_IO, "cannot open volume %s: %s", name, strerror(errno));
	ssize_t have = fstat(fd, &status) == 0 ? pread(fd, block, sizeof(block), 0) : -1;
	int err = have < 0 ? why_set(why, ERR_IO, "cannot read volume %s: %s", name, strerror(errno)) : 0; /* it may be whole again later */
	if (err == 0 && have == (ssize_t)sizeof(block) && (err = volume_head_decode(&head, block)) == ERR_UNSUPPORTED)
		why_set(why, err, "volume %s has a format that this version does not know", name);
	else if (err == 0 && (have != (ssize_t)sizeof(block) || head.id != id))
		err = ERR_CORRUPT;
	if (err) {
		close(fd);
		return err == ERR_CORRUPT ? why_set(why, err, "volume %s: its first block is damaged", name) : err;
	}
	struct volume *volume = calloc(1, sizeof(*volume));
	if (volume) /* before it is put in its place, which is by its id */
		*volume = (struct volume){ .id = id, .fd = fd, .direct_fd = -1, .salt = head.salt, .references = 1, .used = (uint64_t)status.st_size,
			.allocated = (uint64_t)status.st_size };
	if (!volume || add(volumes, volume) != 0) {
		free(volume);
		close(fd);
		return why_set(why, ERR_NO_MEMORY, "no memory for volume %s", name);
	}
	return 0;
}

/* A volume whose making was cut short has no head and no record: it goes. */
static bool is_stillborn(struct volumes *volumes, uint32_t id)
{
	char name[NAME_BYTES];
	uint8_t block[VOLUME_BLOCK_BYTES] = { 0 };
	name_of(name, id);
	int fd = openat(volumes->dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	struct stat status;
	bool empty = fstat(fd, &status) == 0 && status.st_size <= VOLUME_BLOCK_BYTES && pread(fd, block, sizeof(block), 0) >= 0;
	for (size_t i = 0; i < sizeof(block) && empty; i++)
		empty = block[i] == 0;
	close(fd);
	if (empty && !volumes->config.read_only)
		unlinkat(volumes->dir_fd, name, 0);
	return empty;
}

static int open_all(struct volumes *volumes, void (*broken)(void *, const char *), void *context, struct why *why)
{
	DIR *dir = opendir(volumes->dir);
	if (!dir)
		return why_set(why, ERR_IO, "cannot read %s: %s", volumes->dir, strerror(errno));
	int err = 0;
	for (struct dirent *entry; err == 0 && (entry = readdir(dir)) != NULL;) {
		uint32_t id;
		if (!id_of(entry->d_name, &id))
			continue;
		if (id >= volumes->next_id)
			volumes->next_id = id + 1;
		err = open_one(volumes, id, why);
		if (err == ERR_CORRUPT && is_stillborn(volumes, id)) {
			err = 0;
		} else if (err == ERR_CORRUPT && broken) {
			broken(context, entry->d_name);
			err = 0;
		}
	}
	closedir(dir);
	return err;
}

/* The name of a directory that was just made is durable when the directory above it is. */
static int sync_parent(int dir_fd)
{
	int fd = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = fd < 0 || fsync(fd) != 0;
	if (fd >= 0)
		close(fd);
	return failed ? -1 : 0;
}

int volumes_open(struct volumes **out, const struct volumes_config *config, void (*broken)(void *context, const char *name), void *context,
	struct why *why)
{
	struct volumes *volumes = calloc(1, sizeof(*volumes));
	if (!volumes)
		return why_set(why, ERR_NO_MEMORY, "no memory for the volumes");
	volumes->config = *config;
	volumes->next_id = 1;
	pthread_mutex_init(&volumes->lock, NULL);
	snprintf(volumes->dir, sizeof(volumes->dir), "%s", config->dir);
	bool made = !config->read_only && mkdir(volumes->dir, 0700) == 0;
	volumes->dir_fd = open(volumes->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = volumes->dir_fd < 0 || (made && sync_parent(volumes->dir_fd) != 0)
		? why_set(why, ERR_IO, "cannot open %s: %s", volumes->dir, strerror(errno))
		: open_all(volumes, broken, context, why);
	if (err) {
		volumes_close(volumes);
		return err;
	}
	*out = volumes;
	return 0;
}

void volumes_close(struct volumes *volumes)
{
	if (!volumes)
		return;
	for (size_t i = 0; i < volumes->count; i++) {
		struct volume *volume = volumes->items[i];
		if (volumes->active_open && i == volumes->count - 1 && ftruncate(volume->fd, (off_t)volume->used) != 0)
			volume->dirty = true; /* only the space that was allocated ahead stays allocated */
		volume_release(volume);
	}
	free(volumes->items);
	if (volumes->dir_fd >= 0)
		close(volumes->dir_fd);
	pthread_mutex_destroy(&volumes->lock);
	free(volumes);
}

/* ------------------------------------------------------------------ the set */

struct volume *volumes_get(struct volumes *volumes, uint32_t id)
{
	struct volume *found = NULL;
	pthread_mutex_lock(&volumes->lock);
	size_t low = 0, high = volumes->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (volumes->items[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < volumes->count && volumes->items[low]->id == id)
		found = volume_hold(volumes->items[low]);
	pthread_mutex_unlock(&volumes->lock);
	return found;
}

size_t volumes_list(struct volumes *volumes, uint32_t *ids, size_t max)
{
	pthread_mutex_lock(&volumes->lock);
	size_t count = volumes->count;
	for (size_t i = 0; i < count && i < max; i++)
		ids[i] = volumes->items[i]->id;
	pthread_mutex_unlock(&volumes->lock);
	return count;
}

uint64_t volumes_end(struct volumes *volumes, struct volume *volume)
{
	pthread_mutex_lock(&volumes->lock);
	uint64_t end = volume->used;
	pthread_mutex_unlock(&volumes->lock);
	return end;
}

bool volumes_is_active(struct volumes *volumes, uint32_t id)
{
	pthread_mutex_lock(&volumes->lock);
	bool active = volumes->active_open && volumes->items[volumes->count - 1]->id == id;
	pthread_mutex_unlock(&volumes->lock);
	return active;
}

uint32_t volumes_active(struct volumes *volumes)
{
	pthread_mutex_lock(&volumes->lock);
	uint32_t id = volumes->active_open ? volumes->items[volumes->count - 1]->id : volumes->next_id;
	pthread_mutex_unlock(&volumes->lock);
	return id;
}

size_t volumes_count(struct volumes *volumes)
{
	return volumes_list(volumes, NULL, 0);
}

uint64_t volumes_disk_bytes(struct volumes *volumes)
{
	uint64_t bytes = 0;
	pthread_mutex_lock(&volumes->lock);
	for (size_t i = 0; i < volumes->count; i++)
		bytes += volumes->items[i]->used;
	pthread_mutex_unlock(&volumes->lock);
	return bytes;
}

void volumes_roll(struct volumes *volumes)
{
	pthread_mutex_lock(&volumes->lock);
	volumes->active_open = false;
	pthread_mutex_unlock(&volumes->lock);
}

static void activate(struct volumes *volumes, struct volume *volume)
{
	char name[NAME_BYTES];
	name_of(name, volume->id);
	if (volumes->config.direct_io)
		volume->direct_fd = openat(volumes->dir_fd, name, O_RDWR | O_DIRECT | O_CLOEXEC);
	volumes->active_open = true;
}

void volumes_pass_id(struct volumes *volumes, uint32_t id)
{
	pthread_mutex_lock(&volumes->lock);
	if (volumes->next_id <= id)
		volumes->next_id = id + 1;
	pthread_mutex_unlock(&volumes->lock);
}

int volumes_resume(struct volumes *volumes, uint64_t end, struct why *why)
{
	if (volumes->count == 0)
		return 0;
	struct volume *volume = volumes->items[volumes->count - 1];
	uint64_t last = end;
	end = volume_align(end, VOLUME_BLOCK_BYTES);
	/* Twice: what a torn write left in the rest of the last block becomes zeros, or every later check would call it damage. */
	if (ftruncate(volume->fd, (off_t)last) != 0 || ftruncate(volume->fd, (off_t)end) != 0 || fsync(volume->fd) != 0)
		return why_set(why, ERR_IO, "cannot cut volume %08x at its last record: %s", volume->id, strerror(errno));
	volume->used = volume->allocated = end;
	if (end < volumes->config.volume_bytes_max)
		activate(volumes, volume);
	return 0;
}

int volumes_remove(struct volumes *volumes, uint32_t id, struct why *why)
{
	char name[NAME_BYTES];
	struct volume *gone = NULL;
	name_of(name, id);
	pthread_mutex_lock(&volumes->lock);
	for (size_t i = 0; i < volumes->count; i++) {
		if (volumes->items[i]->id != id || (volumes->active_open && i == volumes->count - 1))
			continue;
		gone = volumes->items[i];
		memmove(&volumes->items[i], &volumes->items[i + 1], (volumes->count - i - 1) * sizeof(struct volume *));
		volumes->count--;
		break;
	}
	pthread_mutex_unlock(&volumes->lock);
	if (!gone)
		return why_set(why, ERR_NOT_FOUND, "there is no closed volume %s", name);
	volume_release(gone);
	if (unlinkat(volumes->dir_fd, name, 0) != 0 || fsync(volumes->dir_fd) != 0)
		return why_set(why, ERR_IO, "cannot remove volume %s: %s", name, strerror(errno));
	return 0;
}

/* ------------------------------------------------------------------ space */

static int error_of_errno(int number)
{
	return number == ENOSPC || number == EDQUOT ? ERR_NO_SPACE : ERR_IO;
}

static int check_room(struct volumes *volumes, uint64_t bytes, uint64_t reserve_bytes, struct why *why)
{
	struct statvfs status;
	if (fstatvfs(volumes->dir_fd, &status) != 0)
		return why_set(why, ERR_IO, "cannot tell how full the disk is: %s", strerror(errno));
	uint64_t free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
	if (free_bytes < reserve_bytes + bytes)
		return why_set(why, ERR_NO_SPACE, "the disk is full: %llu MiB are free and %llu MiB are kept in reserve",
			(unsigned long long)(free_bytes >> 20), (unsigned long long)(reserve_bytes >> 20));
	return 0;
}

int volumes_check_room(struct volumes *volumes, uint64_t bytes, struct why *why)
{
	return check_room(volumes, bytes, volumes->config.reserve_bytes, why);
}

static uint64_t reserve_of(const struct volumes *volumes, enum volume_purpose purpose)
{
	return purpose == VOLUME_FREES ? volumes->config.reserve_bytes / FREES_RESERVE_PART : volumes->config.reserve_bytes;
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int write_head(int fd, uint32_t id, uint64_t salt)
{
	uint8_t block[VOLUME_BLOCK_BYTES];
	volume_head_encode(block, &(struct volume_head){ .id = id, .salt = salt, .created_ms = now_ms() });
	for (size_t at = 0; at < sizeof(block);) {
		ssize_t done = pwrite(fd, block + at, sizeof(block) - at, (off_t)at);
		if (done <= 0 && !(done < 0 && errno == EINTR))
			return -1;
		at += done > 0 ? (size_t)done : 0;
	}
	return fsync(fd);
}

/* A new active volume; under the lock. */
static int create(struct volumes *volumes, struct why *why)
{
	char name[NAME_BYTES];
	uint32_t id = volumes->next_id;
	name_of(name, id);
	struct volume *volume = calloc(1, sizeof(*volume));
	if (!volume)
		return why_set(why, ERR_NO_MEMORY, "no memory for a volume");
	*volume = (struct volume){ .id = id, .direct_fd = -1, .references = 1, .used = VOLUME_BLOCK_BYTES, .allocated = VOLUME_BLOCK_BYTES };
	randombytes_buf(&volume->salt, sizeof(volume->salt));
	volume->fd = openat(volumes->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (volume->fd < 0 || write_head(volume->fd, id, volume->salt) != 0 || fsync(volumes->dir_fd) != 0 || add(volumes, volume) != 0) {
		int err = why_set(why, error_of_errno(errno), "cannot make volume %s: %s", name, strerror(errno));
		if (volume->fd >= 0) {
			close(volume->fd);
			unlinkat(volumes->dir_fd, name, 0);
		}
		free(volume);
		return err;
	}
	volumes->next_id = id + 1;
	activate(volumes, volume);
	return 0;
}

int volumes_make_unnamed(struct volumes *volumes, struct volume **out, struct why *why)
{
	struct volume *volume = calloc(1, sizeof(*volume));
	if (!volume)
		return why_set(why, ERR_NO_MEMORY, "no memory for a file");
	*volume = (struct volume){ .direct_fd = -1, .references = 1 };
	volume->fd = openat(volumes->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (volume->fd < 0) {
		free(volume);
		return why_set(why, error_of_errno(errno), "cannot make a file beside the volumes: %s", strerror(errno));
	}
	*out = volume;
	return 0;
}

/* Allocates the file ahead of `end`; under the lock. */
static int extend(struct volumes *volumes, struct volume *volume, uint64_t end, enum volume_purpose purpose, struct why *why)
{
	uint64_t reserve_bytes = reserve_of(volumes, purpose);
	if (end <= volume->allocated)
		return purpose == VOLUME_FREES ? 0 : check_room(volumes, 0, reserve_bytes, why);
	int err = check_room(volumes, end - volume->allocated, reserve_bytes, why);
	if (err)
		return err;
	uint64_t step = VOLUME_ALLOCATE_STEP_BYTES;
	if (check_room(volumes, end - volume->allocated + step, reserve_bytes, NULL) != 0)
		step = STEP_BYTES_MIN;
	uint64_t want = volume_align(end, step);
	if (posix_fallocate(volume->fd, (off_t)volume->allocated, (off_t)(want - volume->allocated)) != 0) {
		want = end;
		int number = posix_fallocate(volume->fd, (off_t)volume->allocated, (off_t)(want - volume->allocated));
		if (number)
			return why_set(why, error_of_errno(number), "no room for %llu bytes in a volume: %s", (unsigned long long)(end - volume->used),
				strerror(number));
	}
	volume->allocated = want;
	volume->dirty = true;
	return 0;
}

int volumes_allocate(struct volumes *volumes, uint64_t length, enum volume_purpose purpose, struct volume **out, uint64_t *offset, struct why *why)
{
	if (volumes->failed)
		return why_set(why, ERR_IO, "an earlier write failed; the store takes no more until it is opened again");
	length = volume_align(length, VOLUME_BLOCK_BYTES);
	pthread_mutex_lock(&volumes->lock);
	int err = 0;
	struct volume *active = volumes->active_open ? volumes->items[volumes->count - 1] : NULL;
	if (active && active->used > VOLUME_BLOCK_BYTES && active->used + length > volumes->config.volume_bytes_max) {
		if (ftruncate(active->fd, (off_t)active->used) == 0)
			active->allocated = active->used;
		active->dirty = true;
		active = NULL;
	}
	if (!active) {
		err = check_room(volumes, length, reserve_of(volumes, purpose), why);
		err = err ? err : create(volumes, why);
	}
	active = err ? NULL : volumes->items[volumes->count - 1];
	if (err == 0)
		err = extend(volumes, active, active->used + length, purpose, why);
	if (err == 0) {
		*offset = active->used;
		*out = volume_hold(active);
		active->writers++;
		active->used += length;
	}
	pthread_mutex_unlock(&volumes->lock);
	return err;
}

void volume_written(struct volume *volume)
{
	volume->writers--;
	volume_release(volume);
}

/* ------------------------------------------------------------------ bytes */

int volume_write(struct volumes *volumes, struct volume *volume, const void *data, size_t length, uint64_t offset, bool direct, struct why *why)
{
	const uint8_t *bytes = data;
	int fd = direct && volume->direct_fd >= 0 ? volume->direct_fd : volume->fd, err = 0;
	while (length > 0 && err == 0) {
		ssize_t done = pwrite(fd, bytes, length, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EINVAL && fd != volume->fd) {
			fd = volume->fd; /* a file system that opens with O_DIRECT and then refuses it */
			continue;
		}
		if (done <= 0) {
			int number = done < 0 ? errno : EIO;
			if (error_of_errno(number) == ERR_IO)
				volumes->failed = true;
			err = why_set(why, error_of_errno(number), "cannot write to volume %08x: %s", volume->id, strerror(number));
			break;
		}
		bytes += done;
		length -= (size_t)done;
		offset += (uint64_t)done;
	}
	volume->dirty = true; /* only now: a sync that began before may have missed these bytes, and the next one must not */
	return err;
}

void volumes_fail(struct volumes *volumes)
{
	volumes->failed = true;
}

/* The newest that was written since it was last synced, of those older than `below`; held. */
static struct volume *dirty_below(struct volumes *volumes, uint32_t below)
{
	struct volume *volume = NULL;
	pthread_mutex_lock(&volumes->lock);
	for (size_t i = volumes->count; i > 0 && !volume; i--)
		if (volumes->items[i - 1]->id < below && volumes->items[i - 1]->dirty)
			volume = volume_hold(volumes->items[i - 1]);
	pthread_mutex_unlock(&volumes->lock);
	return volume;
}

/* Each volume once: what others write meanwhile is theirs to sync, and they may never pause. */
int volumes_sync(struct volumes *volumes, struct why *why)
{
	struct volume *volume;
	for (uint32_t below = UINT32_MAX; (volume = dirty_below(volumes, below)) != NULL; below = volume->id, volume_release(volume)) {
		volume->dirty = false;
		int failed = fdatasync(volume->fd), number = errno;
		volumes->syncs++;
		if (failed) {
			volume_release(volume);
			volumes->failed = true;
			return why_set(why, ERR_IO, "cannot make a volume durable: %s", strerror(number));
		}
	}
	return volumes->failed ? why_set(why, ERR_IO, "an earlier write failed; the store takes no more until it is opened again") : 0;
}

uint64_t volumes_syncs(struct volumes *volumes)
{
	return volumes->syncs;
}

bool volume_read_direct(struct volume *volume, uint8_t *room, size_t length, uint64_t offset, const uint8_t **bytes)
{
	uint64_t first = offset - offset % VOLUME_BLOCK_BYTES, end = volume_align(offset + length, VOLUME_BLOCK_BYTES);
	ssize_t done = volume->direct_fd >= 0 ? pread(volume->direct_fd, room, end - first, (off_t)first) : -1;
	bool all = done >= 0 && first + (uint64_t)done >= offset + length;
	if (all)
		*bytes = room + (offset - first);
	return all;
}

int volume_read(struct volume *volume, void *out, size_t length, uint64_t offset, struct why *why)
{
	uint8_t *bytes = out;
	while (length > 0) {
		ssize_t done = pread(volume->fd, bytes, length, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return why_set(why, ERR_IO, "cannot read volume %08x at %llu: %s", volume->id, (unsigned long long)offset,
				done < 0 ? strerror(errno) : "the file ends before");
		bytes += done;
		length -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}
