/* pack_file.h - a pack, its map and its indexes as one store file. Layout in docs/git-storage.md.
 *
 *   bytes 0 .. pack.length      a git pack, version 2: exactly what git reads
 *   then the map: "CRNMAP01", u64 count (little-endian), and per regular blob, sorted by oid without duplicates,
 *     oid (20) | store file (32) | length (u64, little-endian)
 *   then sections, in any number: name (8) | u64 length (little-endian) | bytes
 *
 * PACK_INSERT packs are made here: whole objects - commits, trees, tags, LFS pointers - and no sections; the map says where the bytes of the other blobs
 * are. PACK_RECEIVE and PACK_COMPACT packs are as git made them: deltas, all blobs, and always the section of the index; their map has every
 * regular blob all the same, since all other views read regular files as store files.
 *
 * Objects come and go with a git_object each, as the store's table takes them. */
#ifndef CAIRN_GATEWAY_REPO_PACK_FILE_H
#define CAIRN_GATEWAY_REPO_PACK_FILE_H

#include "gateway/repo/repo.h"

enum {
	PACK_OBJECTS_MAX = 4 << 20,      /* of one pack */
	PACK_MAP_ENTRIES_MAX = 16 << 20, /* of one map */
};

/* True for what a pack holds itself, false for a blob whose bytes are a store file. */
static inline bool pack_holds(const struct git_object *object)
{
	return object->type != 3 || object->is_lfs_pointer;
}

/* Writes one file into an open upload. `objects` without duplicate oids. Fills *out. */
int pack_file_write(struct upload *upload, const struct oid *oids, const struct git_object *objects, size_t count, struct pack *out, struct why *why);

typedef int (*pack_each)(void *context, const struct oid *oid, const struct git_object *object);
/* [blocks] Calls `each` for every object of pack and map; the payload lives as long as the call. Non-zero stops and is returned. A pack that git
 * made is unpacked below DIR/tmp for as long as this takes. ERR_CORRUPT, ERR_NO_SPACE, ... */
int pack_file_read(struct gateway *gateway, const struct pack *pack, pack_each each, void *context, struct why *why);
/* [blocks] The ids alone, in no order: of everything for a pack with an index, else the same as above. */
int pack_file_oids(struct gateway *gateway, const struct pack *pack, int (*each)(void *context, const struct oid *oid), void *context, struct why *why);

/* [blocks] The map alone; a file without one has none. */
int pack_map_read(struct store *store, const struct pack *pack, pack_each each, void *context, struct why *why);

/* ---- packs that git made ---- */
enum pack_part { PACK_PART_PACK, PACK_PART_MAP, PACK_PART_IDX, PACK_PART_REV, PACK_PART_BITMAP };
/* [blocks] Where in pack->file a part is: bytes *start .. *end, for a file_reader. ERR_NOT_FOUND: it has none; ERR_CORRUPT. */
int pack_file_part(struct store *store, const struct pack *pack, enum pack_part part, uint64_t *start, uint64_t *end, struct why *why);
/* [blocks] Appends a part's bytes to a descriptor. The same errors, and ERR_NO_SPACE, ERR_IO. */
int pack_file_copy(struct store *store, const struct pack *pack, enum pack_part part, int fd, struct why *why);

struct pack_map_entry {
	struct oid oid;
	struct hash file;
	uint64_t length;
};
/* What git left behind, and the map of it. Descriptors are read from their beginning; -1: no such section. */
struct pack_import {
	enum pack_class class;
	int pack_fd, idx_fd, rev_fd, bitmap_fd;
	uint64_t map_count;
	int (*next)(void *context, struct pack_map_entry *out); /* the map in order: 1, 0 at the end, or an error */
	void *context;
};
/* [blocks] Writes one file into an open upload. Fills *out; `sha1` and `objects` are read from the pack. */
int pack_file_import(struct upload *upload, const struct pack_import *import, struct pack *out, struct why *why);

#endif
