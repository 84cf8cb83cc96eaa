/* remote_xorb.h - xorbs that belong on other nodes and are read here: their chunks pass through without becoming this node's.
 *
 * DESIGN. A stored xorb (stored_xorb.h) whose bytes lie in a file without a name, on the disk of the volumes and never synced, and are there only as far as somebody
 * has read them. The chunk table is fetched first and must have the xorb's hash. Then readers bring the chunks that they need, from REMOTE_AHEAD_BYTES_MIN up to
 * REMOTE_AHEAD_BYTES_MAX ahead and never beyond the end of what they read: so nothing is fetched for a reader that has gone, and a slow one slows the other
 * node. Every chunk is decoded and hashed before it is written; from there on it is checked like any other and leaves through the page cache.
 *
 * The index knows nothing of all this: uploads do not lean on it, nobody is told that it is here, and what is removed from the hub is forgotten within REMOTE_KEEP_MS.
 *
 * Bounds: the last REMOTE_XORBS_MAX are kept while together they have no more than REMOTE_BYTES_MAX; those in use besides, one a reader. The disk keeps its reserve.
 *
 * Any thread; no lock is held while anything is fetched or written. */
#ifndef CAIRN_STORE_REMOTE_XORB_H
#define CAIRN_STORE_REMOTE_XORB_H

#include "store/store.h"
#include "store/stored_xorb.h"

enum {
	REMOTE_XORBS_MAX = 64,
	REMOTE_BYTES_MAX = 1 << 30,
	REMOTE_AHEAD_BYTES_MIN = 512 << 10,
	REMOTE_AHEAD_BYTES_MAX = 4 << 20,
	REMOTE_KEEP_MS = 10 * 60 * 1000, /* since it was opened last */
	REMOTE_WAIT_MS = 60 * 1000,      /* for another reader, who fetches the same */
};

struct remote_xorbs;
int remote_xorbs_open(struct remote_xorbs **out, struct store *store);
void remote_xorbs_close(struct remote_xorbs *remotes);
/* Forgets what was not opened for REMOTE_KEEP_MS; `all`: what is not in use. */
void remote_xorbs_tidy(struct remote_xorbs *remotes, bool all);

/* True when it is known already: *out is held for the caller. */
bool remote_xorb_find(struct remote_xorbs *remotes, const struct hash *hash, struct stored_xorb **out);
/* [blocks] Asks other nodes for its table. ERR_NOT_FOUND: nobody has it; ERR_NO_SPACE, ERR_BUSY, ... */
int remote_xorb_open(struct remote_xorbs *remotes, const struct hash *hash, struct stored_xorb **out, struct why *why);
/* Whoever opens it next asks again. */
void remote_xorb_drop(struct remote_xorbs *remotes, const struct hash *hash);

/* [blocks unless may_block is false: then ERR_AGAIN] Makes sure that a chunk of a remote xorb is here; with it come others before `end`. *ahead_bytes is the reader's: 0 at
 * first. */
int remote_xorb_bring(struct stored_xorb *xorb, uint32_t chunk, uint32_t end, uint32_t *ahead_bytes, bool may_block, struct why *why);
/* True of every chunk of a xorb that is not remote. */
bool stored_chunk_is_here(const struct stored_xorb *xorb, uint32_t chunk);

#endif
