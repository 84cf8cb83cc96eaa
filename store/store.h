/* store.h - the content-addressed store: chunks in xorbs in volumes, files as lists of terms.
 *
 * DESIGN. Volumes (append-only files of checksummed records) are the only truth. Every record a node acknowledged is
 * on disk before the call that reports it returns. The RocksDB index (chunk -> xorb, xorb -> volume place, file -> terms,
 * sha256 -> file, claims) is a view of the volumes: written without a log, brought up to date at start by replaying
 * what volumes hold past its mark, rebuilt from nothing by fsck. Every index key begins with the dedup domain byte.
 *
 * A *claim* says that an owner (a repository) brought or proved possession of a file: what an owner has no
 * claim on does not exist for it. Claims are records in volumes too, durable with the bytes.
 *
 * Threads: every function may be called from any thread; an object (upload, reader) by one thread at a time. Functions
 * marked [blocks] may wait for the disk: never call them on a control loop. */
#ifndef CAIRN_STORE_STORE_H
#define CAIRN_STORE_STORE_H

#include "schemas/buffer.h"
#include "schemas/error.h"
#include "schemas/hash.h"
#include "schemas/shard.h"
#include "store/upload_list.h"
#include "store/xorb.h"

struct store;
struct store_progress;
struct xorb_info;
struct store_gc_report;

struct record_place { /* of a record in the volumes */
	uint32_t volume;
	uint64_t offset; /* of the record's header */
};

struct store_config {
	const char *dir;              /* created if absent; holds volumes/ and index/ */
	uint64_t volume_bytes_max;    /* 0: 1 GiB */
	uint64_t reserve_bytes;       /* keep this much free on the disk: writes get ERR_NO_SPACE below; 0: 256 MiB */
	uint64_t buffer_bytes_max;    /* all write buffers together; 0: 24 MiB */
	uint64_t index_cache_bytes;   /* RocksDB block cache; 0: 16 MiB */
	bool direct_io;               /* O_DIRECT where the file system allows it */
	uint64_t scrub_every_s;       /* 0: only when store_scrub is called */
	uint64_t scrub_bytes_per_s;   /* 0: as fast as the disk allows */
	unsigned long_works_max;      /* at a time, long_work.h; 0: 16 */
};

/* [blocks] Opens or creates, recovers volume tails and replays them into the index. One process at a time (lock file). */
int store_open(struct store **out, const struct store_config *config, struct why *why);
/* [blocks, hardly ever for long] On a node that is alone, before it serves: where records were passed over as damaged, files that need a xorb which is not
 * here any more count as damaged, so that whoever has their bytes is asked for them. Elsewhere such a xorb may lie on other nodes. */
int store_note_absent(struct store *store, struct why *why);
void store_close(struct store *store);

/* Whose request it is that something long is done for: what nobody waits for ends with ERR_CLOSED, and what one caller may have under way is bounded, beyond which
 * it is ERR_BUSY (long_work.h). One per request, of one thread at a time. Where one is taken, NULL is somebody who waits to the end and is not counted. */
struct store_caller {
	bool (*waits)(void *context); /* asked now and then, by the thread that works. NULL: always */
	void *context;
	uint64_t who;        /* the same for all requests of one user, or address */
	uint64_t done_bytes; /* zero at first: of long work for this request */
};

/* ------------------------------------------------------------------ files known to the store */

enum { STORE_CLAIMS_SEEN_MAX = 256 };

struct file_info {
	struct hash file;      /* Xet file hash; all-zero for the empty file */
	struct sha256 sha256;
	bool has_sha256;       /* the registration named one */
	bool sha256_verified;  /* this server computed it over the content */
	uint64_t length;       /* raw bytes */
	uint32_t terms_count;
	int64_t registered_ms;
	bool is_damaged;       /* store_file_by_sha256 only: some of its bytes are known to be damaged, whoever has them should send them again */
};
/* True when the file's record, or a xorb that it needs, is known to be damaged. [blocks], but hardly ever when nothing is. */
bool store_file_is_damaged(struct store *store, const struct hash *file);

int store_file_info(struct store *store, const struct hash *file, struct file_info *out); /* 0, ERR_NOT_FOUND, ERR_IO */
/* Any verified-or-not file with this digest that `owner` has a claim on (NULL: anyone's). Whole ones before damaged ones, then verified ones first. */
int store_file_by_sha256(struct store *store, const struct entity_id *owner, const struct sha256 *sha256, struct file_info *out);
/* Calls `each` for every file that the call above may choose, now or once more damage is found: those that are verified and, if none of these is whole, those
 * that are only said to have the digest. What `each` returns, if not 0; ERR_NOT_FOUND: there is none. */
int store_choices_by_sha256(struct store *store, const struct entity_id *owner, const struct sha256 *sha256,
	int (*each)(void *context, const struct hash *file), void *context);
/* Grows when anything stored is found damaged: a file that was chosen by its digest before may not be the one to choose any more. */
uint64_t store_damage_found(struct store *store);
/* A *verified*, undamaged file with this digest that some owner has a claim on whom `may_see` accepts; looks at STORE_CLAIMS_SEEN_MAX claims at most. */
typedef bool (*store_owner_filter)(void *context, const struct entity_id *owner);
int store_file_by_sha256_seen(struct store *store, const struct sha256 *sha256, store_owner_filter may_see, void *context, struct file_info *out);
/* True when a file that is known here names the xorb and some owner has a claim on it whom `may_see` accepts; looks at STORE_CLAIMS_SEEN_MAX files and claims
 * at most. */
bool store_xorb_is_seen(struct store *store, const struct hash *xorb, store_owner_filter may_see, void *context);
/* [blocks] The same as store_file_by_sha256 with an owner, and asks other nodes for what is not here. ERR_BUSY: too few of them answer to say that there is
 * none. */
int store_find_by_sha256(struct store *store, const struct entity_id *owner, const struct sha256 *sha256, struct file_info *out);
/* [blocks] The same, for what must not be missed: ERR_NOT_FOUND only when every other node has answered, else ERR_BUSY with a sentence. */
int store_find_by_sha256_on_all(struct store *store, const struct entity_id *owner, const struct sha256 *sha256, struct file_info *out, struct why *why);
/* [blocks] As store_find_by_sha256, and what nobody has computed yet is computed: the digest of what it gives is true, unless it is damaged. A file that was
 * only said to have the digest is found out and passed over, and so is one that cannot be read while another can. ERR_NOT_FOUND; ERR_CORRUPT: there were only
 * such files. */
int store_find_verified(struct store *store, const struct entity_id *owner, const struct sha256 *sha256, struct store_caller *caller, struct file_info *out,
	struct why *why);
/* [blocks] The same as store_claim_check (unless `owner` is NULL) and store_file_info, and asks other nodes for what is not here. `out` may be NULL.
 * ERR_BUSY as above. */
int store_find_file(struct store *store, const struct entity_id *owner, const struct hash *file, struct file_info *out);
/* [blocks] The same as store_xorb_info, and asks other nodes for what is not here. ERR_BUSY: one of them may have it and does not answer. */
int store_find_xorb(struct store *store, const struct hash *xorb, struct xorb_info *out);
/* [blocks] Fetches what is not here, or damaged, wherever it belongs, to stay until it is given up. What store_copies.fetch_xorb says. */
int store_bring_xorb(struct store *store, const struct hash *xorb);
/* Whether all xorbs are here that a known file is read by. True where there never were other nodes. */
bool store_has_file_whole(struct store *store, const struct hash *file);
/* 0 if `owner` has a claim on `file`, else ERR_NOT_FOUND. */
int store_claim_check(struct store *store, const struct entity_id *owner, const struct hash *file);
/* [blocks] Gives `owner` a claim on a file that exists; durable on return. Idempotent. ERR_BUSY: it, or the file's bytes, are on too few nodes yet. */
int store_claim(struct store *store, const struct entity_id *owner, const struct hash *file, struct why *why);
/* [blocks] The same for many; those before one that fails may have been given. */
int store_claim_many(struct store *store, const struct entity_id *owner, const struct hash *files, size_t count, struct why *why);
/* Whoever proposes a name (a ref, a path of a bucket) is *naming* from before it looks at what it names until the proposal is answered, through every attempt. A
 * garbage collection waits for all who are when it begins; who begins after it claims what is named anew, and finds out by that whether it is still there. What a
 * ref reaches needs no claim unless a collection is under way, which may look at the refs when that one is gone. */
void store_naming_begin(struct store *store, struct upload_entry *naming);
void store_naming_end(struct store *store, struct upload_entry *naming);
bool store_is_collecting(struct store *store);
/* How many collections have begun. Who stops naming for a while, as long as a body takes to come, looks at everything again if that has changed when it
 * begins anew. */
uint64_t store_collections(struct store *store);
/* [blocks] Reads the whole file back, unless that was done before, and remembers its SHA-256 durably. ERR_CORRUPT when it is not `expected`. */
int store_file_verify_sha256(struct store *store, const struct hash *file, const struct sha256 *expected, struct store_caller *caller, struct why *why);

/* ------------------------------------------------------------------ bytes that the server chunks */

/* An upload is one batch of files that share xorbs and one durability point. */
struct upload;

/* `owner` gets a claim on every file of the upload. */
int upload_open(struct upload **out, struct store *store, const struct entity_id *owner, struct why *why);
/* Drops what was not committed. Always call, also after upload_commit: from then on until it is closed its owner counts as naming (store_naming_begin), so whoever
 * names what an upload brought does it before it is closed. */
void upload_close(struct upload *upload);

/* Starts a file; one at a time. `length_hint` in bytes or UINT64_MAX when unknown. */
int upload_file_begin(struct upload *upload, uint64_t length_hint);
/* Hashes, chunks, deduplicates and queues in place, on the caller's thread; waits when write buffers are used up.
 * Also computes git's blob SHA-1 when asked with upload_want_git_oid before the first write. */
int upload_file_write(struct upload *upload, const void *data, size_t length, struct why *why);
int upload_want_git_oid(struct upload *upload, uint64_t length); /* exact length is part of a git blob's hash */

struct upload_result {
	struct hash file;
	struct sha256 sha256;
	struct oid git_oid;       /* if wanted */
	uint64_t length;
	uint64_t new_bytes;       /* raw bytes of chunks that were not stored before */
};
int upload_file_end(struct upload *upload, struct upload_result *out, struct why *why);
/* Forgets the open file (its chunks may stay until GC). */
void upload_file_abort(struct upload *upload);
/* [blocks] Closes the open xorb, appends the file records and waits until all of it is durable; then visible in the
 * index. Group-committed with every other writer. Nothing of the upload is visible before. */
int upload_commit(struct upload *upload, struct why *why);

/* ------------------------------------------------------------------ xorbs as clients send them */

/* Streams one serialised xorb in: verified chunk by chunk, written through to its place in a volume. */
struct xorb_upload;
/* `length` is the announced body length, UINT64_MAX when none was. ERR_TOO_BIG, ERR_NO_SPACE, ERR_BUSY. */
int xorb_upload_open(struct xorb_upload **out, struct store *store, const struct hash *xorb, uint64_t length, struct why *why);
/* A copy from another node: the same, but its commit waits for no further copies. */
int xorb_copy_open(struct xorb_upload **out, struct store *store, const struct hash *xorb, uint64_t length, struct why *why);
/* Made by the store itself: the same, of a hash that is known at its end. */
int xorb_made_open(struct xorb_upload **out, struct store *store, uint64_t length, struct why *why);
const struct hash *xorb_upload_hash(const struct xorb_upload *upload); /* after the commit */
/* [may wait for a write buffer] Memory to receive the next bytes into, *length (in: how many are of use), so that xorb_upload_write need not copy them. NULL: there
 * is none now. Valid until the next call. */
uint8_t *xorb_upload_room(struct xorb_upload *upload, size_t *length);
/* `data`: anywhere, or at the beginning of what xorb_upload_room gave. */
int xorb_upload_write(struct xorb_upload *upload, const void *data, size_t length, struct why *why);
/* [blocks] Verifies the root, waits until durable, then visible. *inserted false: it was there already. */
int xorb_upload_commit(struct xorb_upload *upload, bool *inserted, struct why *why);
void xorb_upload_close(struct xorb_upload *upload);

struct xorb_info {
	uint64_t body_length;   /* serialised bytes, without footer */
	uint32_t chunks_count;
	uint64_t raw_length;
	int64_t age_ms;         /* since it came, or was sent again */
};
int store_xorb_info(struct store *store, const struct hash *xorb, struct xorb_info *out);
/* The chunk table, from cache or disk [blocks]. Reference-counted: release with xorb_table_release. */
struct xorb_table {
	struct hash xorb;
	uint32_t count;
	struct xorb_chunk chunks[];
};
int store_xorb_table(struct store *store, const struct hash *xorb, struct xorb_table **out, struct why *why);
void xorb_table_release(struct xorb_table *table);

/* ------------------------------------------------------------------ shards */

/* [blocks] Validates a whole shard against the stored xorbs (presence, chunk lists, terms, verification and file
 * hashes), then registers its files durably with a claim for `owner`. *registered: 1 something new, 0 all known.
 * ERR_CORRUPT or ERR_INVALID with the first thing wrong in `why`; nothing is registered then. After ERR_NO_SPACE and ERR_IO some files of a large
 * shard may be. Memory: some MiB, and twice the record of the file with the most terms. */
int store_shard_register(struct store *store, const struct entity_id *owner, struct span shard, struct store_caller *caller, int *registered, struct why *why);

/* Global dedup: an answer shard for a chunk that is a dedup candidate, chunk hashes keyed with a random key, or
 * ERR_NOT_FOUND. Only xorbs of files that some `may_see` owner claims... the caller passes one owner it may read. */
int store_dedup_query(struct store *store, const struct hash *chunk, store_owner_filter may_see, void *context,
	struct buffer *answer, struct why *why); /* [blocks] */

/* ------------------------------------------------------------------ reading */

/* The terms that cover bytes [start, end) of a file, trimmed to whole chunks as the reconstruction call wants them. */
struct plan_term {
	struct hash xorb;
	uint32_t chunk_start, chunk_end;
	uint32_t raw_length;
	uint64_t body_start, body_end; /* byte range in the stored xorb, end exclusive */
};
struct plan {
	uint64_t file_length;
	uint64_t start, end;            /* clipped to the file, end exclusive */
	uint64_t offset_into_first;     /* bytes of the first chunk before `start` */
	uint32_t terms_count;
	struct plan_term *terms;        /* malloc'ed */
};
enum { PLAN_TERMS_MAX = 1 << 19 };
/* [blocks] How many terms a plan of that range has, counted up to one more than PLAN_TERMS_MAX. ERR_NOT_FOUND, ... */
int store_plan_terms(struct store *store, const struct hash *file, uint64_t start, uint64_t end, uint64_t *count, struct why *why);
/* [blocks] ERR_TOO_BIG: more terms; ERR_NOT_FOUND, ERR_RANGE (start >= length, except start = 0 of an empty file). plan_fini frees. */
int store_plan(struct store *store, const struct hash *file, uint64_t start, uint64_t end, struct plan *out, struct why *why);
void plan_fini(struct plan *plan);

/* Streams bytes [start, end) of a file, verified: every chunk is checked against its checksum (or its hash) before
 * a byte of it is handed out. */
struct file_reader;
int file_reader_open(struct file_reader **out, struct store *store, const struct hash *file, uint64_t start,
	uint64_t end, struct why *why);
/* [blocks] Finds where the first bytes are, so that an error is known before an answer begins. Need not be called. */
int file_reader_begin(struct file_reader *reader, struct why *why);
/* Bytes read (0 at the end) or ERR_*. With may_block false: ERR_AGAIN when the disk would be waited for; call again
 * with true on a thread that may wait. */
int64_t file_reader_read(struct file_reader *reader, void *out, size_t length, bool may_block, struct why *why);
/* Zero-copy step: if the next bytes are stored uncompressed, are verified and in the page cache, gives the volume's
 * descriptor, offset and length (at most `length`) for sendfile and moves on; ERR_AGAIN: use file_reader_read. The
 * descriptor stays open while the reader is. */
int file_reader_next_extent(struct file_reader *reader, size_t length, int *fd, uint64_t *offset, size_t *extent_length);
void file_reader_close(struct file_reader *reader);

/* Streams bytes [start, end) of a stored xorb's body, verified the same way. Same calling rules. */
struct xorb_reader;
int xorb_reader_open(struct xorb_reader **out, struct store *store, const struct hash *xorb, uint64_t start, uint64_t end, struct why *why);
/* The same of one that is here; no other node is asked. ERR_NOT_FOUND. */
int xorb_reader_open_here(struct xorb_reader **out, struct store *store, const struct hash *xorb, uint64_t start, uint64_t end, struct why *why);
int64_t xorb_reader_read(struct xorb_reader *reader, void *out, size_t length, bool may_block, struct why *why);
/* The same without a copy: at least the next chunk, or what the range has of it, and whole chunks behind it that were read with it. *out is empty at the end, and
 * borrowed until the next call. */
int xorb_reader_run(struct xorb_reader *reader, bool may_block, struct span *out, struct why *why);
int xorb_reader_next_extent(struct xorb_reader *reader, size_t length, int *fd, uint64_t *offset, size_t *extent_length);
void xorb_reader_close(struct xorb_reader *reader);

/* [blocks] Convenience for small files (git packs, cards): whole content appended to `out`, up to its limit. */
int store_file_read_all(struct store *store, const struct hash *file, struct buffer *out, struct why *why);

/* ------------------------------------------------------------------ git object table */

/* A view like the rest of the index: which git objects a repository has. Blobs of regular files name a store file;
 * commits, trees, tags and LFS pointers carry their payload. Rebuilt from the repository's packs (gateway/repo). */
struct git_object {
	uint8_t type;            /* 1 commit, 2 tree, 3 blob, 4 tag: git's numbers */
	bool is_lfs_pointer;
	uint64_t length;         /* payload bytes */
	struct hash file;        /* blobs whose bytes are a store file; zero otherwise */
	struct sha256 sha256;    /* is_lfs_pointer: the object it points to; lfs_length its size */
	uint64_t lfs_length;
	struct span payload;     /* commits, trees, tags, pointers; malloc'ed on get, free payload.data */
};
int store_git_get(struct store *store, const struct entity_id *repo, const struct oid *oid, struct git_object *out);
/* Several at once, without payloads. found[i] tells. */
int store_git_get_many(struct store *store, const struct entity_id *repo, const struct oid *oids, size_t count,
	struct git_object *out, bool *found);
/* Adds objects; not durable by itself (a view). */
int store_git_put(struct store *store, const struct entity_id *repo, const struct oid *oids, const struct git_object *objects, size_t count);
/* Forgets all objects of a repository. */
int store_git_drop(struct store *store, const struct entity_id *repo);

/* ------------------------------------------------------------------ copies on other nodes */

/* Takes what another node sends of a xorb. Every `take` [blocks]; ERR_CORRUPT: that is not what the xorb has, another node may be asked. */
struct table_taker {
	int (*take)(struct table_taker *taker, const struct xorb_chunk *chunks, uint32_t count, struct why *why); /* `check` is not looked at */
};
struct chunk_taker {
	uint32_t next, end; /* wanted; `next` moves on with what is taken */
	int (*take)(struct chunk_taker *taker, struct span chunks, struct why *why); /* whole ones, from `next` on */
};

/* How many of the other nodes have answered. Of ASKED_ENOUGH one at least knows whatever was acknowledged. */
enum store_asked { STORE_ASKED_FEW, STORE_ASKED_ENOUGH, STORE_ASKED_ALL };

/* How this store reaches the others; all may be NULL: it is alone. Set before anybody else uses the store. Each [blocks], on any thread. */
struct store_copies {
	void *context;
	/* Until enough other nodes have all records before `end`: every acknowledgement waits for it. ERR_BUSY: not in time; all is stored here. */
	int (*await)(void *context, const struct record_place *end, struct why *why);
	/* Until as many nodes as an acknowledgement waits for have each of these xorbs; those that should have one and do not get it. ERR_BUSY: not in time. */
	int (*settle)(void *context, const struct hash *xorbs, size_t count, struct why *why);
	/* True: `settle` need not be asked for a xorb whose record is at `place` (NULL: for anything that is here): `await` asks for it, or by what it waits for
	 * every node has everything. Does not block. NULL: always. */
	bool (*awaits)(void *context, const struct record_place *place);
	/* Brings what is missing or damaged here. 0: it is here now; ERR_NOT_FOUND: nobody has it, if it was ever acknowledged; ERR_BUSY: those that may have it
	 * cannot be asked now. */
	int (*fetch_file)(void *context, const struct hash *file, enum store_asked *asked); /* its record and claims; xorbs come when they are read */
	int (*fetch_sha256)(void *context, const struct sha256 *sha256, enum store_asked *asked); /* the same of all files with it */
	int (*fetch_xorb)(void *context, const struct hash *xorb, struct why *why);
	/* What this node should have is fetched when it is read, and stays; of all else only what is read is fetched (remote_xorb.h). NULL: it should have
	 * everything. */
	bool (*keeps)(void *context, const struct hash *xorb);
	int (*fetch_table)(void *context, const struct hash *xorb, struct table_taker *taker, struct why *why);
	int (*fetch_chunks)(void *context, const struct hash *xorb, struct chunk_taker *taker, struct why *why);
};
void store_set_copies(struct store *store, const struct store_copies *copies);

/* Forgets what was read from other nodes some time ago. From time to time. */
void store_tidy(struct store *store);

/* True when other nodes have, or will have, what this one has. */
bool store_has_others(struct store *store);

/* Where records end that are durable and visible. */
void store_position(struct store *store, struct record_place *out);
/* [blocks] until that is no longer `known`, or `timeout_ms`. */
void store_await_position(struct store *store, const struct record_place *known, int64_t timeout_ms);
/* [blocks] Calls `each` for records from *from on, oldest first, and moves *from behind what was told. Fragments and drops are left out. Stops softly at
 * either bound; *at_end: there was no more. */
typedef int (*store_each_record)(void *context, uint8_t kind, struct span payload);
int store_read_records(struct store *store, struct record_place *from, size_t records_max, uint64_t bytes_max, store_each_record each, void *context, bool *at_end,
	struct why *why);
/* Bytes of volumes between two places. */
uint64_t store_distance(struct store *store, const struct record_place *from, const struct record_place *to);
/* [blocks] The record of one file that is here, as another node takes it, and its claims, newest facts included. ERR_NOT_FOUND; stops at what `each` returns. */
int store_tell_file(struct store *store, const struct hash *file, store_each_record each, void *context, struct why *why);
/* [blocks] The record alone. */
int store_tell_record(struct store *store, const struct hash *file, store_each_record each, void *context, struct why *why);
/* Files that are here and have this digest, then those that are said to; how many. */
size_t store_files_with_sha256(struct store *store, const struct sha256 *sha256, struct hash *out, size_t max);

struct store_record {
	uint8_t kind;
	struct span payload;
};
/* [blocks] Takes another node's records of files, claims, verifications and touches, in order; durable on return. What is known, and kinds that are not taken,
 * are passed over. Xorbs that files name should be here first (xorb_copy_open), or will be fetched when they are wanted. */
int store_take_records(struct store *store, const struct store_record *records, size_t count, struct why *why);
/* The time of day, which never goes back while the process lives: what came after a garbage collection began must not look older than it. */
int64_t store_now_ms(void);
/* [blocks] Another node has these xorbs, and for so long: those that are here, and older, are as young as that to every garbage collection, durably on return.
 * ERR_NO_SPACE, ... */
int store_make_as_young(struct store *store, const struct hash *xorbs, const uint64_t *ages_ms, size_t count, struct why *why);
/* It is here, and not known to be damaged. */
bool store_has_xorb(struct store *store, const struct hash *xorb);
/* [blocks] Calls `each` for every xorb of a file record that is not here, or damaged; what it returns, if not 0. ERR_CORRUPT. */
int store_missing_xorbs(struct store *store, struct span file_payload, int (*each)(void *context, const struct hash *xorb), void *context);
/* Xorbs that files need which are known here, whether they are here or not: the first ones behind *after (NULL: all), by hash; how many. */
size_t store_needed_xorbs(struct store *store, const struct hash *after, struct hash *out, size_t max);
struct held_xorb {
	struct hash xorb;
	uint32_t body_length;
	int64_t age_ms; /* since it came, or was sent again */
	bool is_part;   /* of another: coded.h */
};
/* Those that are here, damaged ones included, the same way. */
size_t store_held_xorbs(struct store *store, const struct hash *after, struct held_xorb *out, size_t max);
/* [blocks] This xorb cannot be had: files that are read by it, some of them at least, are read by other terms of theirs from now on, where those can be
 * (other_terms.h). How many. */
size_t store_avoid_xorb(struct store *store, const struct hash *xorb);
/* [blocks] No node has this xorb, which is not here either. Files that other nodes alone know by it need it no more; those that are read by it here, at most
 * `max` of them into *files, count as damaged: told of other terms they take those, and an upload stores them anew. Returns how many there are. */
size_t store_note_lost(struct store *store, const struct hash *xorb, struct hash *files, size_t max);
/* How many files name a xorb, at most `max`. */
uint64_t store_files_of_xorb(struct store *store, const struct hash *xorb, uint64_t max);

/* Whoever claims a file that names a xorb, some more than once: what `each` returns, if not 0; ERR_TOO_BIG after so many files and claims. */
int store_claims_of_xorb(struct store *store, const struct hash *xorb, uint64_t max, int (*each)(void *context, const struct entity_id *owner), void *context);
/* [blocks] Xorbs that a file names, some more than once: what `each` returns, if not 0. ERR_NOT_FOUND, ERR_CORRUPT. */
int store_xorbs_of_file(struct store *store, const struct hash *file, int (*each)(void *context, const struct hash *xorb), void *context, struct why *why);

enum { STORE_GIVE_UP_MAX = 64 };
struct store_give_up {
	void *context;
	/* [blocks] Sets ok[i] for each xorb that enough others hold, and have the records before `end`: what names it is known there. */
	void (*confirm)(void *context, const struct hash *xorbs, size_t count, const struct record_place *end, bool *ok);
	/* Until `end`, nobody is told that this node has a copy. False: what was confirmed is not true any more, drop nothing. */
	bool (*begin)(void *context);
	void (*end)(void *context);
};
/* [blocks] Drops copies that others hold, and forgets that they were here. What uploads lean on, or a file has come to need meanwhile, stays for another time.
 * *dropped_bytes: of bodies; the disk gets them back with the next compaction. ERR_BUSY: another time. */
int store_give_up(struct store *store, const struct hash *xorbs, size_t count, const struct store_give_up *how, uint64_t *dropped_bytes, struct why *why);
/* [blocks] Compacts volumes that are mostly dead. ERR_BUSY. */
int store_compact(struct store *store, struct store_gc_report *out, struct why *why);

/* Xorbs that are known to be damaged, the first ones behind *after (NULL: all); how many. */
size_t store_damaged_xorbs(struct store *store, const struct hash *after, struct hash *out, size_t max);
/* [blocks] Replaces what is known to be damaged, xorbs and records of files, by copies of other nodes; how many. */
uint64_t store_repair(struct store *store, struct store_progress *progress);
/* ---- have we lost what another node has? record_ranges.c ---- */
enum { STORE_RANGES = 256, RANGE_DIGEST_BYTES = 16 };
struct range_digest {
	uint8_t bytes[RANGE_DIGEST_BYTES];
};
/* [blocks] What is known of files, and of coded xorbs, whose hashes begin with `first`: of range i all with `first`, i. *records: how many files, claims and coded
 * xorbs that were. ERR_IO. */
int store_digest_ranges(struct store *store, uint8_t first, uint64_t seed, struct range_digest out[STORE_RANGES], uint64_t *records);
struct known_file {
	struct hash file;
	uint64_t length;
	bool verified; /* then the SHA-256 is true */
	struct sha256 sha256;
};
struct known_claim {
	struct hash file;
	struct entity_id owner;
	int64_t claimed_ms;
};
/* [blocks] Those of one range (the first two bytes of the hash, the first one high), the first ones behind `after` (NULL: all). ERR_IO. */
int store_files_of_range(struct store *store, uint16_t range, const struct hash *after, struct known_file *out, size_t max, size_t *count);
int store_claims_of_range(struct store *store, uint16_t range, const struct known_claim *after, struct known_claim *out, size_t max, size_t *count);
/* [blocks] Records of the codings of the xorbs of a range, of the first ones when there are more. ERR_IO, or what `each` says. */
int store_codings_of_range(struct store *store, uint16_t range, size_t xorbs_max, store_each_record each, void *context);
bool store_file_is_claimed(struct store *store, const struct hash *file);

/* Less than half of the grace time of garbage, 21 days: what is older may have been collected here, or be about to be where it is told of. */
#define STORE_YOUNG_MS ((int64_t)10 * 24 * 3600 * 1000)
enum claim_state {
	CLAIM_HERE,
	CLAIM_MISSING, /* young, and not dropped here: it was lost, or has not come yet */
	CLAIM_DROPPED, /* young, and dropped here since: names decide */
	CLAIM_OLD,     /* not here, which may be so because it was collected: names decide */
};
/* How it is here with a claim that another node tells of. */
enum claim_state store_claim_state(struct store *store, const struct known_claim *claim);

/* [blocks] How far another node's records were taken: zero at first. Not synced: older after a crash, which costs nothing but work. */
int store_mark_put(struct store *store, uint64_t peer, const struct record_place *place);
int store_mark_get(struct store *store, uint64_t peer, struct record_place *out);
/* [blocks] Another node has all records of this one: never forgotten, unless the index is made anew. True also when it cannot be read. */
int store_note_level(struct store *store, uint64_t peer);
bool store_was_level(struct store *store, uint64_t peer);

/* ------------------------------------------------------------------ care */

struct store_progress { /* handed to long operations; fields are updated as they go, `cancel` is read */
	_Atomic uint64_t done_bytes, total_bytes;
	_Atomic int cancel;
	uint64_t bytes_per_s; /* store_scrub only: reads no faster; 0: as fast as it can */
};

/* One thing found wrong, named. */
typedef void (*store_finding)(void *context, const char *what);

struct store_scrub_report { uint64_t records, bytes, corrupt, repaired; }; /* repaired: of those that are corrupt, from other nodes or from the index */
/* [blocks] Reads every record of every volume and checks it; `finding` names volume, offset and object. */
int store_scrub(struct store *store, struct store_progress *progress, store_finding finding, void *context, struct store_scrub_report *out, struct why *why);

/* Calls `emit` for every (owner, file) that some reachable name needs. */
typedef int (*store_roots)(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *why);
struct store_gc_report {
	uint64_t files_live, files_dropped, claims_dropped, xorbs_live, xorbs_dropped, bytes_freed; /* bytes_freed: of dropped xorbs */
	uint64_t volumes_compacted, bytes_compacted;
};
/* [blocks] Mark and sweep: claims not emitted by `roots` and older than grace are dropped, then files without claims, then
 * xorbs without files, then volumes that are mostly dead are compacted. Safe beside any pushes. dry_run changes nothing. */
int store_gc(struct store *store, store_roots roots, void *context, int64_t grace_ms, bool dry_run, struct store_progress *progress,
	struct store_gc_report *out, struct why *why);

/* Calls `each` for every claim of one owner that none of `roots` (of that owner, at least) needs and that is older than grace. It returns 0 to drop the claim,
 * more than 0 to keep it, ERR_* to stop. What other owners claim is not touched; files and bytes go with the next store_gc. */
typedef int (*store_unneeded)(void *context, const struct file_info *file, int64_t claimed_ms);
struct store_owner_gc_report { uint64_t claims_kept, claims_dropped, bytes_dropped; };
/* [blocks] As safe as store_gc, and not beside it: ERR_BUSY. dry_run drops nothing. */
int store_gc_owner(struct store *store, const struct entity_id *owner, store_roots roots, void *roots_context, int64_t grace_ms, bool dry_run,
	store_unneeded each, void *context, struct store_progress *progress, struct store_owner_gc_report *out, struct why *why);

/* What is known to be damaged or gone, and needed: files whose records are, and xorbs. */
struct store_damage { uint64_t files, xorbs; };
/* [blocks] After mending what can be, from the index and from other nodes. */
void store_damage(struct store *store, struct store_damage *out);

/* While it is held, nothing is collected or compacted. ERR_BUSY: a garbage collection or another hold is under way; ERR_CORRUPT: a volume
 * cannot be read. */
int store_hold(struct store *store, struct why *why);
void store_hold_end(struct store *store);
/* Volumes as a backup copies them under a hold: what was acknowledged before the call is in these bytes. */
struct held_volume {
	uint32_t id;
	bool final;      /* no byte of it will change any more */
	uint64_t length; /* bytes from its start that are worth copying */
};
struct held_volumes {
	size_t count;
	struct held_volume items[]; /* ascending */
};
/* [blocks] The list is malloc'ed. */
int store_held_volumes(struct store *store, struct held_volumes **out, struct why *why);

struct store_fsck_report { uint64_t volumes, records, xorbs, files, chunks, corrupt, missing; };
/* [blocks] Offline (store not open): scans all volumes, checks every record and cross-reference; with `rebuild` puts the
 * index aside first, as index-before unless there is such a one, and makes it anew from the volumes. */
int store_fsck(const struct store_config *config, bool rebuild, struct store_progress *progress, store_finding finding, void *context,
	struct store_fsck_report *out, struct why *why);

struct store_stats {
	uint64_t chunks, xorbs, files, volumes;
	uint64_t stored_bytes;    /* xorb bodies on disk */
	uint64_t disk_bytes;      /* volume files, dead records included */
	uint64_t raw_bytes;       /* of unique chunks */
	uint64_t logical_bytes;   /* of all files, once per claim */
	uint64_t syncs;           /* fdatasync calls since open */
	uint64_t acknowledged;    /* durable commits (uploads, xorbs, shards, claims) since open */
	uint64_t scrubs, scrub_corrupt; /* that the store did by itself since open, and what they found damaged */
};
/* ERR_NO_SPACE: the disk has less free than its reserve, and takes no uploads. */
int store_check_room(struct store *store, struct why *why);
void store_stats(struct store *store, struct store_stats *out);
/* Every file that an owner claims, by hash, and since when; non-zero from `each` stops and is returned. */
int store_owner_files(struct store *store, const struct entity_id *owner, int (*each)(void *context, const struct file_info *file, int64_t claimed_ms),
	void *context);
/* What one owner claims: number and logical bytes of its files. */
int store_owner_usage(struct store *store, const struct entity_id *owner, uint64_t *files, uint64_t *bytes);

/* Of one copy of everything, whatever others claim too. Bytes that are stored are those of chunks with their headers, in bodies of xorbs. */
struct store_owner_stats {
	uint64_t files, logical_bytes;             /* each file once */
	uint64_t shared_files, shared_files_bytes; /* of these: claimed by others as well */
	uint64_t unread_files;   /* of these: their terms cannot be read here, so that below they are missing */
	uint64_t xorbs;          /* that its files name */
	uint64_t unique_bytes;   /* of the chunks that its files name, each range of a xorb once, uncompressed */
	uint64_t stored_bytes;   /* the same as they are stored */
	uint64_t shared_bytes;   /* of these: in xorbs that files of others name as well */
	uint64_t freed_bytes;    /* bodies of all other xorbs: gone with the owner's claims, after a garbage collection */
	uint64_t coded_bytes;    /* of stored_bytes: in xorbs that were cut into parts */
	uint64_t parts_bytes;    /* what these take as parts, those of parity included, on all nodes */
	uint64_t estimated_bytes; /* of stored_bytes: in xorbs that are not here, or damaged: these count as if they could not be compressed */
};
struct store_owner_stats_watch {
	bool (*go_on)(void *context); /* asked now and then; false: stop, with ERR_CLOSED. NULL: to the end */
	void *context;
	struct store_progress *progress; /* or NULL; `cancel` is not read */
};
/* [blocks, minutes for a million files] `watch` may be NULL. Memory is the same for every owner. */
int store_owner_stats(struct store *store, const struct entity_id *owner, const struct store_owner_stats_watch *watch, struct store_owner_stats *out,
	struct why *why);

#endif
