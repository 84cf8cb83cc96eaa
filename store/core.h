/* core.h - what an open store consists of. For the files of this folder only. */
#ifndef CAIRN_STORE_CORE_H
#define CAIRN_STORE_CORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/damaged.h"
#include "store/index.h"
#include "store/journal.h"
#include "store/scrubber.h"
#include "store/store.h"
#include "store/stored_xorb.h"
#include "store/upload_list.h"
#include "store/volume.h"
#include "store/writer.h"

enum {
	STORE_VOLUME_BYTES_DEFAULT = 1 << 30,
	STORE_RESERVE_BYTES_DEFAULT = 256 << 20,
	STORE_BUFFER_BYTES_DEFAULT = 24 << 20,
	STORE_INDEX_CACHE_BYTES_DEFAULT = 16 << 20,
	STORE_STOP_STATUS = 71, /* EX_OSERR: a supervisor starts it again */
};

/* Xorbs that a garbage collection is about to drop (gc.c). */
struct condemned {
	pthread_rwlock_t lock;
	struct hash *xorbs; /* sorted */
	size_t count;
};

struct remote_xorbs;

struct long_works { /* under way: long_work.h */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* something has ended */
	struct long_work *first;
	unsigned running_max;
	uint64_t last_number;
};
void long_works_init(struct long_works *works, unsigned running_max);
void long_works_fini(struct long_works *works);

struct store {
	char volumes_dir[4096], index_dir[4096];
	int lock_fd;
	unsigned volumes_left_out; /* damaged heads: what is in them is unknown, so nothing is collected */
	struct volumes *volumes;
	struct index *index;
	struct writer *writer;
	struct journal *journal;
	struct xorb_cache *xorbs;
	struct remote_xorbs *remotes;
	/* Held for reading from the moment on which a registration found that what it names exists, until it is visible; for writing while
	 * a garbage collection drops things. */
	pthread_rwlock_t registration;
	struct condemned condemned;
	struct condemned leaving; /* copies that this node is about to give up, as others hold them: uploads do not begin to lean on them (holdings.c) */
	struct damaged_list damaged;       /* xorbs */
	struct damaged_list damaged_files; /* whose records are */
	struct store_copies copies;
	struct upload_list uploads, namings;
	struct long_works long_works;
	struct scrubber *scrubber; /* NULL: none */
	atomic_flag care; /* taken by a garbage collection, by whoever copies the volumes, or gives up copies */
	atomic_bool giving_up; /* by the last: it takes seconds */
	_Atomic int64_t collecting_since_ms; /* 0: none is under way */
	_Atomic uint64_t collections; /* that have begun */
};

enum { CLAIM_FRESH_MS = 60 * 1000 };
/* A claim that need not be renewed: young, and no garbage collection under way takes it for old. */
static inline bool store_claim_is_fresh(struct store *store, int64_t claimed_ms, int64_t now_ms)
{
	return now_ms - claimed_ms < CLAIM_FRESH_MS && claimed_ms > store->collecting_since_ms;
}

/* False: damaged, or about to go. It may still not exist. */
bool store_may_lean_on(struct store *store, const struct hash *xorb);
/* [blocks] After a commit, outside of every lock: until enough nodes have it. Also when there was nothing to commit: an earlier try may not have
 * waited long enough. copies.c */
int store_await_copies(struct store *store, struct why *why);
/* [blocks] Before a file is acknowledged that needs xorbs which were stored before. store_await_copies tells nothing of those: they may not be here, and on
 * the node alone from which the file's record came; or copies that they had are gone, as each node collects garbage for itself, or fewer were wanted then. 0:
 * they have their copies now; ERR_BUSY. What is not known is passed over. */
int store_settle_files(struct store *store, const struct hash *files, size_t count, struct why *why);
/* True: of what is here store_await_copies tells everything. As when there are no other nodes, or each has everything. */
bool store_awaits_all(struct store *store);
int store_fetch_file(struct store *store, const struct hash *file, enum store_asked *asked); /* `asked` may be NULL */
int store_fetch_xorb(struct store *store, const struct hash *xorb, struct why *why);
/* What a reader is told whose `err` one of these could not mend: ERR_BUSY with a sentence if those that may have it cannot be asked. */
int store_unless_busy(int err, int fetched, struct why *why);
/* [blocks] Fetches a file that is not here; outside of every lock. Nothing to do on a node that is alone. */
void store_want_file(struct store *store, const struct hash *file);
/* stored_xorb_open, and from another node when it is missing or damaged here: what this node should have is fetched, of all else only what is read passes through
 * (remote_xorb.h). */
int store_open_xorb(struct store *store, const struct hash *hash, bool may_block, struct stored_xorb **out, struct why *why);
enum { TOUCH_SLACK_MS = 5 * 1000 /* who is older by less than that is as young: clocks differ, and questions travel */ };
/* [blocks] Those that came, or were touched, longer than `after_ms` ago are young again to every garbage collection, also one under way. ERR_NOT_FOUND: one is
 * not here any more; ERR_NO_SPACE, ... touch.c */
int store_touch_xorbs(struct store *store, const struct hash *xorbs, size_t count, int64_t after_ms, struct why *why);
/* An equal xorb is stored, and known: if the one before was damaged, it is no more. The journal's. */
void store_xorb_replaced(struct store *store, const struct hash *xorb);

/* [blocks] The record of one file as the index has it now. ERR_NOT_FOUND: it is not here, and nobody else is asked. file_record.c */
int store_file_record(struct store *store, const struct hash *file, struct buffer *out, struct why *why);
/* [blocks] The record of that file that lies there. ERR_CORRUPT: none does, or it is damaged. */
int store_file_record_at(struct store *store, const struct hash *file, const struct record_place *place, struct buffer *out);
/* [blocks] Reads the record and checks it, and remembers if it is damaged. 0, ERR_CORRUPT, ERR_NOT_FOUND, ERR_IO; *place: where it lies. */
int store_check_file_record(struct store *store, const struct hash *file, struct record_place *place);
/* [blocks] Puts a whole record in the place of one that is damaged, from the index or from another node. 0: it is whole now. */
int store_repair_file(struct store *store, const struct hash *file);

/* Moves what is alive out of a volume that is not active, and removes it. compaction.c; under `care`. */
int store_compact_volume(struct store *store, uint32_t id, struct why *why);
/* Takes the lock of a store's directory; *fd keeps it. ERR_BUSY: another process has it. */
int store_lock_dir(const char *dir, int *fd, struct why *why);

/* [blocks] Takes `care`; false: somebody has it, for long. gc.c */
bool store_take_care(struct store *store);
/* Replaces the list, and owns it: malloc'ed and sorted, NULL: none. gc.c */
void condemned_set(struct condemned *condemned, struct hash *xorbs, size_t count);
bool condemned_has(struct condemned *condemned, const struct hash *xorb);
/* Entries of its chunks that still lead to a xorb which was dropped. gc.c */
void store_forget_chunks(struct store *store, const struct stored_xorb *xorb);

/* What a garbage collection under way must not take for unneeded. Under the registration lock. gc.c */
int gc_spare(struct store *store, const struct entity_id *owner, const struct hash *file);

/* True: the volume of that place is not there, or ends before it. gone.c */
bool place_is_gone(struct volumes *volumes, const struct record_place *place);
/* [blocks, long only where a volume went] What the index places where no bytes are counts as damaged when the lists of that are read. `known`: how far the
 * index was brought up before. gone.c */
int store_note_gone(struct store *store, const struct record_place *known, struct why *why);
/* Nothing in the index is placed in that volume, and it goes. gone.c */
int store_note_gap(struct store *store, uint32_t id);

/* Brings the index up to date with the volumes; recovery.c. */
int store_recover(struct store *store, struct why *why);
/* Applies all records from `from` on to the index, in order. Xorb records whose bytes are not all there are left out. `damage` may be NULL. What the disk
 * cannot read is passed over with `pass_unreadable`, else ERR_IO: it may be whole again later. *end: where the newest volume's last record ends. */
int store_replay(struct volumes *volumes, struct index *index, const struct record_place *from, void (*damage)(void *context, const char *what),
	void *context, bool pass_unreadable, _Atomic uint64_t *done_bytes, _Atomic int *cancel, uint64_t *end, struct why *why);

#endif
