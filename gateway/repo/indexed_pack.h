/* indexed_pack.h - the objects of a pack with its index, deltas resolved, read in the order of the pack.
 *
 * DESIGN. `x.pack` and `x.idx` lie beside each other in a directory of this process. The index is mapped and looked up here; objects are inflated and
 * deltas applied by libgit2, whose cache of delta bases works best in the order in which the pack was written. An object is known by its *position*
 * among the sorted ids. Headers come before contents, so that a caller decides what is worth inflating. Memory: 4 bytes per object, one
 * object at a time, libgit2's cache of bases (16 MiB).
 *
 * The names of libgit2 and of schemas/git_object.h meet: no file can include both headers.
 *
 * One thread per object. */
#ifndef CAIRN_GATEWAY_REPO_INDEXED_PACK_H
#define CAIRN_GATEWAY_REPO_INDEXED_PACK_H

#include "gateway/repo/repo.h"

struct indexed_pack;

/* `path` ends in ".pack". ERR_CORRUPT (index or pack malformed), ERR_TOO_BIG (more than PACK_ALL_OBJECTS_MAX), ERR_IO, ERR_NO_MEMORY. */
int indexed_pack_open(struct indexed_pack **out, const char *path, struct why *why);
void indexed_pack_close(struct indexed_pack *pack);

uint32_t indexed_pack_count(const struct indexed_pack *pack);
/* Position of the i-th object of the pack. */
uint32_t indexed_pack_nth(const struct indexed_pack *pack, uint32_t i);
const struct oid *indexed_pack_oid(const struct indexed_pack *pack, uint32_t position);
bool indexed_pack_find(const struct indexed_pack *pack, const struct oid *oid, uint32_t *position);

/* Type (git's number: enum git_type) and length, without inflating the object. */
int indexed_pack_header(struct indexed_pack *pack, uint32_t position, unsigned *type, uint64_t *length, struct why *why);
/* The whole object; valid until the next call on this pack. At most PACK_READ_BYTES_MAX: ERR_TOO_BIG. */
int indexed_pack_read(struct indexed_pack *pack, uint32_t position, unsigned *type, struct span *payload, struct why *why);

enum {
	PACK_ALL_OBJECTS_MAX = 32 << 20, /* blobs included, of one pack */
	PACK_READ_BYTES_MAX = 128 << 20, /* of one object */
};

/* For whoever uses libgit2: ready after this, for the life of the process. */
void libgit2_begin(void);

#endif
