/* volume.h - volume files and the set of them: where records are placed, read back, and made durable.
 *
 * DESIGN. DIR/volumes/00000001.vol, 00000002.vol, ... One is active: space is handed out from its end in groups that begin at a block
 * boundary (schemas/volume_record.h), so that many threads write at once without meeting. Its space is allocated ahead in steps, so that a full
 * disk is noticed before a byte is written. A volume that has reached its size is closed for good; later only compaction touches it,
 * by unlinking it. A `struct volume` is counted: whoever holds one can read it, unlinked or not.
 *
 * Nothing is durable before volumes_sync. After a failed sync nothing can be known of the pages that were dirty, so
 * the set then refuses every write until the process starts again and reads what is really there.
 *
 * Every function may be called from any thread. */
#ifndef CAIRN_STORE_VOLUME_H
#define CAIRN_STORE_VOLUME_H

#include <sys/types.h>

#include "schemas/volume_record.h"

enum {
	VOLUME_ALLOCATE_STEP_BYTES = 64 << 20,
	VOLUME_READ_BYTES = 1 << 20, /* one read of a scan */
};

struct volumes;

struct volume {
	uint32_t id;
	int fd;
	int direct_fd;            /* O_DIRECT, or -1 */
	uint64_t salt;
	_Atomic int references;
	_Atomic bool dirty;       /* written since the last sync */
	_Atomic unsigned writers; /* groups handed out whose bytes are not all written */
	uint64_t used;            /* end of what was handed out; under the set's lock */
	uint64_t allocated;       /* file size; under the set's lock */
};

struct volumes_config {
	const char *dir;          /* holds the volume files; created if absent */
	uint64_t volume_bytes_max;
	uint64_t reserve_bytes;   /* left free on the disk */
	bool direct_io;
	bool read_only;           /* nothing is created or truncated */
};

/* [blocks] Opens every volume. ERR_CORRUPT names a file whose head cannot be read: it is left out when `broken` is given (called for each). */
int volumes_open(struct volumes **out, const struct volumes_config *config, void (*broken)(void *context, const char *name), void *context,
	struct why *why);
void volumes_close(struct volumes *volumes);

/* Borrow one; NULL when there is none. Give it back with volume_release. */
struct volume *volumes_get(struct volumes *volumes, uint32_t id);
struct volume *volume_hold(struct volume *volume);
void volume_release(struct volume *volume);
/* Ids in ascending order; returns how many there are (may be more than max). */
size_t volumes_list(struct volumes *volumes, uint32_t *ids, size_t max);
/* End of the records of a volume: what was handed out, or the file's size for one found at start. */
uint64_t volumes_end(struct volumes *volumes, struct volume *volume);
bool volumes_is_active(struct volumes *volumes, uint32_t id);
/* Nothing is written to a volume below this one any more. */
uint32_t volumes_active(struct volumes *volumes);

/* What is stored leaves the reserve alone. What frees more than it takes, as a collection's and a compaction's records do, may use most of it: on a full
 * disk nothing else makes room. */
enum volume_purpose { VOLUME_STORES, VOLUME_FREES };

/* [blocks seldom] Room for one group of `length` bytes, at a block boundary. *out is held for the caller, who says volume_written when the group
 * has been written, or never will be. ERR_NO_SPACE, ERR_IO. */
int volumes_allocate(struct volumes *volumes, uint64_t length, enum volume_purpose purpose, struct volume **out, uint64_t *offset, struct why *why);
void volume_written(struct volume *volume);
/* [blocks] Writes, then marks the volume dirty. */
int volume_write(struct volumes *volumes, struct volume *volume, const void *data, size_t length, uint64_t offset, bool direct, struct why *why);
/* [blocks] Makes all that was written before the call durable. */
int volumes_sync(struct volumes *volumes, struct why *why);
uint64_t volumes_syncs(struct volumes *volumes);
/* Refuses every write from here on, as after a failed sync. */
void volumes_fail(struct volumes *volumes);
/* Ends the active volume: the next allocation starts a new one. */
void volumes_roll(struct volumes *volumes);
/* After recovery: cuts the newest volume at `end`, where its last record ends, and goes on writing there. */
int volumes_resume(struct volumes *volumes, uint64_t end, struct why *why);
/* No new volume gets this id or a lower one: a mark in the index may speak of one that is gone. */
void volumes_pass_id(struct volumes *volumes, uint32_t id);
/* Unlinks one that is not active. */
int volumes_remove(struct volumes *volumes, uint32_t id, struct why *why);
/* Bytes of all volume files. */
uint64_t volumes_disk_bytes(struct volumes *volumes);
size_t volumes_count(struct volumes *volumes);

/* ERR_NO_SPACE: with that many bytes more the disk would have less than its reserve. */
int volumes_check_room(struct volumes *volumes, uint64_t bytes, struct why *why);
/* [blocks] A file without a name beside the volumes, gone when it is released. It is none of them. */
int volumes_make_unnamed(struct volumes *volumes, struct volume **out, struct why *why);

/* [blocks] Reads `length` bytes and the rest of their blocks past the page cache into `room`, which begins at a block boundary of memory and has
 * VOLUME_DIRECT_ROOM(length) bytes; *bytes: where in it they are. False: not here, not now; use volume_read. Only a volume that this process has written can do it. */
#define VOLUME_DIRECT_ROOM(length) ((length) + 2 * VOLUME_BLOCK_BYTES)
bool volume_read_direct(struct volume *volume, uint8_t *room, size_t length, uint64_t offset, const uint8_t **bytes);
/* [blocks] Reads exactly `length` bytes. 0, ERR_IO. */
int volume_read(struct volume *volume, void *out, size_t length, uint64_t offset, struct why *why);

/* Walks the records of [start, end). Damaged places are told by `damage` and passed over by looking for the next header at a block boundary. */
struct volume_visit {
	/* `payload` is empty for fragments. Non-zero stops the walk and is returned. */
	int (*record)(void *context, struct volume *volume, const struct volume_record *record, struct span payload);
	void (*damage)(void *context, struct volume *volume, uint64_t offset, uint64_t length, const char *what);
	void *context;
	bool pass_unreadable;         /* what the disk cannot read is damage like any other; else it ends the walk with ERR_IO */
	_Atomic uint64_t *done_bytes; /* may be NULL */
	_Atomic int *cancel;          /* may be NULL */
};
/* The sentence that names a damaged place. */
enum { VOLUME_DAMAGE_TEXT_BYTES = 160 };
void volume_damage_text(char out[VOLUME_DAMAGE_TEXT_BYTES], const struct volume *volume, uint64_t offset, uint64_t length, const char *what);
/* [blocks] *end_out: where the last good record ends. 0, ERR_IO, ERR_CLOSED (cancelled), or what `record` said. */
int volume_walk(struct volume *volume, uint64_t start, uint64_t end, const struct volume_visit *visit, uint64_t *end_out, struct why *why);

#endif
