/* cache_state.h - what is in the directory of a cached repository, as written beside it. Private to gateway/git.
 *
 * Text, one fact a line: "cairn-git-cache 3", "boot ID", "version N", "indexed N", "duplicate N", "head REF", "pack HASH"..., "file NAME BYTES MTIME_NS"..., and in the end "sum XXH3" of all
 * bytes before. The file is written last and by rename, so what it lists was complete. It is not synced: after a crash of the machine (another boot id) the
 * bytes of files may be anything, so nothing of it is believed.
 *
 * A state is immutable once made and reference-counted: leases check files while a builder makes the next one. */
#ifndef CAIRN_GATEWAY_GIT_CACHE_STATE_H
#define CAIRN_GATEWAY_GIT_CACHE_STATE_H

#include <stdatomic.h>

#include "replication/namespace.h"

#define CACHE_PACK_DIR "objects/pack"
#define CACHE_BITMAP_INDEX CACHE_PACK_DIR "/multi-pack-index" /* and one file beside it, "...-HASH.bitmap" */

enum {
	CACHE_FILE_NAME_BYTES_MAX = 95,
	CACHE_STATE_BYTES_MAX = 64 << 20,
	CACHE_PACKS_MAX = 1 << 19,
	CACHE_FILES_MAX = 1 << 12,
};

struct cache_file {
	char name[CACHE_FILE_NAME_BYTES_MAX + 1]; /* below the directory of the repository */
	uint64_t bytes;
	int64_t mtime_ns;
};

struct cache_state {
	atomic_uint references;
	uint64_t version;
	uint64_t indexed_bytes;   /* of pack indexes that the bitmap index covers; 0: there is none */
	uint64_t duplicate_bytes; /* of packs that hold once more what others hold: they came from merges */
	char head[REF_BYTES_MAX + 1];
	struct hash *packs;  /* store files that are in, sorted */
	size_t packs_count;
	struct cache_file *files;
	size_t files_count;
};

/* One reference; NULL: no memory. */
struct cache_state *cache_state_make(void);
struct cache_state *cache_state_hold(struct cache_state *state);
void cache_state_release(struct cache_state *state); /* may be NULL */

int cache_state_add_pack(struct cache_state *state, const struct hash *file); /* 0 or ERR_NO_MEMORY; then cache_state_sort */
void cache_state_sort(struct cache_state *state);
bool cache_state_has_pack(const struct cache_state *state, const struct hash *file);
/* Adds a file as it is now. 0, ERR_NOT_FOUND, ERR_NO_MEMORY, ERR_TOO_BIG. */
int cache_state_add_file(struct cache_state *state, const char *dir, const char *name);
uint64_t cache_state_bytes(const struct cache_state *state);
/* Of the files whose names end in `ending`: ".pack". */
uint64_t cache_state_bytes_of(const struct cache_state *state, const char *ending);
/* As it was noted; NULL: no such file. */
const struct cache_file *cache_state_find_file(const struct cache_state *state, const char *name);
/* The end of a name is `ending`. */
bool cache_name_ends(const char *name, const char *ending);

/* 0, or ERR_CORRUPT: a file is missing or not what it was. */
int cache_state_check(const struct cache_state *state, const char *dir);

int cache_state_encode(const struct cache_state *state, const char *boot_id, struct buffer *out);
/* 0, ERR_CORRUPT (torn, malformed, of another boot), ERR_NO_MEMORY. */
int cache_state_decode(struct cache_state **out, struct span text, const char *boot_id);
/* Of this machine's run; "" when the kernel does not tell: then states of other runs are believed to be this one's. */
const char *cache_boot_id(void);

#endif
