/* received_pack.h - from a pack that git has indexed to objects of a repository: checked, stored, ready to be named.
 *
 * DESIGN. `git index-pack --strict` has made sure that the pack is sound: it inflates, its deltas resolve, its objects have git's form and link to objects of the
 * right type. What is checked here, over every object of the pack and in process:
 *
 *   closed    every parent, tree, blob and tag target is in the pack or in the packs that were listed before (`known`), so that all listed packs together
 *             stay complete whatever a ref may point to; no walk from the new tips is needed
 *   names     as everywhere (path_check), so that every view can show every tree
 *   contents  regular files up to REGULAR_FILE_BYTES_MAX, pointers whose LFS object the repository has, verified
 *
 * What becomes reachable again without being in the pack, and how deep folders are: received_walk.h.
 *
 * Refusals go to `messages`, one line each with path, rule and remedy, some of each kind; the error is then ERR_INVALID and `why` says what a report line can
 * hold. Then everything is stored: each regular blob as a store file, pack and map behind them, durable together; then the table of objects, whose commits
 * and tags come when the pack is listed (listing.h).
 *
 * Memory: 10 bytes per object, 8 for each time that a folder names another (up to RECEIVED_EDGES_MAX), libgit2's cache, one object at a time; files of stored blobs are kept in a file beside the pack (40 bytes per object).
 *
 * [blocks] everything. One thread. */
#ifndef CAIRN_GATEWAY_REPO_RECEIVED_PACK_H
#define CAIRN_GATEWAY_REPO_RECEIVED_PACK_H

#include <stdatomic.h>

#include "gateway/repo/indexed_pack.h"
#include "gateway/repo/listing.h"
#include "gateway/repo/object_dir.h"
#include "gateway/repo/pack_file.h"
#include "gateway/repo/scratch_dir.h"

enum {
	RECEIVED_FINDINGS_MAX = 20, /* shown of each kind */
	RECEIVED_MESSAGES_BYTES_MAX = 64 << 10,
	RECEIVED_CLAIMS_MAX = 256,
	RECEIVED_EDGES_MAX = 8 << 20, /* that are kept; with more, folders are walked */
};

/* A tree of the pack that names another one: positions. */
struct tree_edge {
	uint32_t parent, child;
};

struct received_pack {
	struct gateway *gateway;
	const struct repo *repo;
	const struct scratch_dir *dir;
	const char *pack_name;         /* below it, "x.pack"; .idx and .rev beside */
	struct object_dir *known;      /* objects of listed packs */
	struct buffer *messages;
	struct store_caller caller;    /* who pushes */
	/* Progress, for whoever waits. */
	_Atomic(const char *) phase;   /* a constant; NULL before the first */
	_Atomic uint64_t done, total;
	atomic_bool cancelled;         /* set by anyone: check and store end with ERR_CLOSED soon after */

	struct indexed_pack *pack;
	uint8_t *types;                /* per position */
	uint32_t *parents;             /* per position: 1 + position of a tree that has it; 0: none */
	struct stored_blob *blobs;     /* per position, mapped file */
	uint64_t blob_bytes;           /* of all blobs, inflated: deltas make much of little */
	uint64_t blobs_stored;
	struct upload *upload;
	struct tree_edge *edges;
	size_t edges_count, edges_capacity;
	bool has_all_edges;
	bool leans;                    /* folders or files that the pack names are not in it */
	struct turn listing;
	bool damaged;                  /* an object of a pointer is: said in `messages` */
	size_t claims_count;
	struct hash claims[RECEIVED_CLAIMS_MAX]; /* of LFS objects, to be made durable together */
};

/* The caller has set the fields above the empty line; the rest is zero. After any outcome: received_pack_close. */
int received_pack_check(struct received_pack *received, struct why *why);
/* Durable on return. ERR_NO_SPACE, ERR_BUSY, ... */
int received_pack_store(struct received_pack *received, struct pack *out, struct why *why);
/* Around the command that lists the stored pack; again, when it was not. */
void received_pack_list_begin(struct received_pack *received);
void received_pack_list_end(struct received_pack *received, bool is_listed);
/* Keep open until the ref that names it has moved: garbage collection waits for it. */
void received_pack_close(struct received_pack *received);

/* 0 and the type of an object of the pack or of known ones; ERR_NOT_FOUND. */
int received_pack_type(struct received_pack *received, const struct oid *oid, unsigned *type);
/* The same for a whole object, valid until the next call. */
int received_pack_read(struct received_pack *received, const struct oid *oid, unsigned *type, struct span *payload);

/* ---- received_path.c ---- */
/* A path at which the pack's trees have the object, "" when none is known; malformed names are shown with '?'. */
void received_path(struct received_pack *received, uint32_t position, char out[PATH_BYTES_MAX + 1]);

#endif
