/* pack_end.h - where a git pack ends in a stream that does not say so.
 *
 * A client that pushes over SSH keeps the connection open behind its pack and waits for the answer, so whoever hands the pack on must find its end: by
 * counting objects, as git's own receiver does. Each object's length is found by inflating it; what comes out is dropped. The pack is looked at
 * only as far as that takes: checksums, deltas and types are the receiver's to check.
 *
 * Memory is a fixed buffer and zlib's window. Pure; one thread. */
#ifndef CAIRN_SCHEMAS_PACK_END_H
#define CAIRN_SCHEMAS_PACK_END_H

#include "schemas/buffer.h"
#include "schemas/error.h"

struct pack_end; /* opaque */

/* NULL: no memory. */
struct pack_end *pack_end_open(void);
void pack_end_close(struct pack_end *end);
/* Takes bytes; *used of them belong to the pack. 1: the pack is whole, 0: more is needed, ERR_CORRUPT: this is no pack (not to be called again). */
int pack_end_take(struct pack_end *end, struct span bytes, size_t *used);

#endif
