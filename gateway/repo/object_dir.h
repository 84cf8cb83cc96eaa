/* object_dir.h - look-ups in git's object directories ("objects" of a bare repository, with packs in it), in process. Through libgit2.
 *
 * What may be asked about is what the packs in it hold; nothing is written. One thread per object. */
#ifndef CAIRN_GATEWAY_REPO_OBJECT_DIR_H
#define CAIRN_GATEWAY_REPO_OBJECT_DIR_H

#include "schemas/buffer.h"
#include "schemas/error.h"
#include "schemas/hash.h"

struct object_dir;

/* `path`: an "objects" directory. A second one may be added: it is asked when the first has not got an object. ERR_IO, ERR_NO_MEMORY. */
int object_dir_open(struct object_dir **out, const char *path, struct why *why);
int object_dir_add(struct object_dir *dir, const char *path, struct why *why);
void object_dir_close(struct object_dir *dir);

bool object_dir_has(struct object_dir *dir, const struct oid *oid);
/* Type (git's number) and length. 0, ERR_NOT_FOUND, ERR_CORRUPT. */
int object_dir_header(struct object_dir *dir, const struct oid *oid, unsigned *type, uint64_t *length);
/* Whole, valid until the next call. 0, ERR_NOT_FOUND, ERR_TOO_BIG (PACK_READ_BYTES_MAX), ERR_CORRUPT. */
int object_dir_read(struct object_dir *dir, const struct oid *oid, unsigned *type, struct span *payload);

#endif
