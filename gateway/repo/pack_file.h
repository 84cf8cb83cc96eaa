/* pack_file.h - a pack and its map as one store file. Private to gateway/repo; layout in docs/git-storage.md.
 *
 *   bytes 0 .. pack.length      a git pack, version 2, whole objects, zlib, SHA-1 trailer: exactly what git reads
 *   then the map: "CRNMAP01", u64 count (little-endian), and per regular blob, sorted by oid without duplicates,
 *     oid (20) | store file (32) | length (u64, little-endian)
 *
 * The pack holds commits, trees, tags and LFS pointers; the map says where the bytes of the other blobs are. Objects come and go as
 * parallel arrays of oids and git_objects, as the store's table takes them. */
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

/* [blocks] Calls `each` for every object of pack and map; the payload lives as long as the call. Non-zero stops and is returned.
 * ERR_CORRUPT, ERR_UNSUPPORTED (a delta), ... */
int pack_file_read(struct store *store, const struct pack *pack, int (*each)(void *context, const struct oid *oid, const struct git_object *object), void *context,
	struct why *why);

#endif
