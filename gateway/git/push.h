/* push.h - one push, from its list of refs to its report. Private to gateway/git.
 *
 * DESIGN. The pack is set aside in a directory of the push while it arrives (receive_pack.c): a slow client holds no process. Then a thread of the push
 * takes it through
 *
 *   decide    what can be refused by looking at names alone is refused before anything else (push_decide.c)
 *   index     stock `git index-pack --stdin --fix-thin --strict` beside the repository's cached objects (push_pack.c)
 *   check     closed, allowed names, allowed contents (gateway/repo/received_pack.h); the same for what is here already and becomes reachable (push_known.c); then
 *             each ref by what it points to (push_decide.c)
 *   store     files, pack, map: the first durability point
 *   move      who pushes must still be allowed to; then one command that moves the refs and lists the pack: the second (push_move.c)
 *   report    per ref, to the client
 *
 * and removes the directory, whatever happened. Nothing of a push is visible before `move`. A crash anywhere leaves what garbage collection and the
 * sweep of DIR/tmp take away.
 *
 * Bounds: PUSHES_MAX at once, of which PUSHES_WORKING_MAX work; of one repository PUSHES_PER_REPO_MAX may be under way. */
#ifndef CAIRN_GATEWAY_GIT_PUSH_H
#define CAIRN_GATEWAY_GIT_PUSH_H

#include "gateway/auth/auth.h"
#include "gateway/git/push_answer.h"
#include "gateway/git/receive_commands.h"
#include "gateway/repo/quota.h"
#include "gateway/repo/received_pack.h"

enum {
	PUSHES_MAX = 64,
	PUSHES_PER_REPO_MAX = 16,
	PUSHES_WORKING_MAX = 4,
	PUSH_REASON_BYTES_MAX = 240,
};
#define PUSH_RECEIVED_NAME "received" /* in the directory of the push */
#define PUSH_PACK_BYTES_MAX ((uint64_t)32 << 30)

/* What becomes of one command. An empty reason: nothing speaks against it. */
struct push_ref {
	char reason[PUSH_REASON_BYTES_MAX + 1];
	bool done;             /* the ref is as the client wants it */
	bool is_fast_forward;
};

struct push {
	struct push *next;     /* in pushes */
	struct pushes *pushes;
	struct gateway *gateway;
	struct actor actor;
	struct repo repo;
	struct receive_commands commands;
	struct push_ref *refs; /* per command */
	struct scratch_dir dir;
	int fd;                /* the pack as it came; -1: none */
	uint64_t pack_bytes;
	struct quota_reservation quota;
	struct push_answer *answer;
	struct received_pack received;
	struct git_process *process; /* index-pack while it runs; of the mutex of `pushes` */
	struct buffer messages; /* findings of the check */
	bool has_pack, pack_listed;
	struct pack pack;
	char unpack[PUSH_REASON_BYTES_MAX + 1]; /* "ok", or why not */
};

/* ---- push.c ---- */
/* ERR_BUSY: too many are under way. */
int push_open(struct push **out, struct gateway *gateway, const struct actor *actor, const struct repo *repo, struct why *why);
/* Drops it; for one that was not started. */
void push_close(struct push *push);
/* Once the list of refs is whole. ERR_NO_MEMORY. */
int push_prepare(struct push *push, struct why *why);
/* Starts its thread, which owns it from here; *source is the answer to send. On an error it is still the caller's. */
int push_start(struct push *push, struct http_source *source, struct why *why);

/* Shows the push's process to whoever gives the push up (NULL: it has ended). False: that was done already, as its client is gone or the server is stopping. */
bool push_show_process(struct push *push, struct git_process *process);

/* ---- push_decide.c ---- */
/* Refuses what can be refused by names, rights and the refs as they are. False: nothing is left to do. */
bool push_decide_early(struct push *push);
/* Refuses what the caller may not do any more: a token may have been revoked, or a repository closed to them, while the pack came. False: nothing is left. */
bool push_decide_rights(struct push *push);
/* Refuses by what the new ids are: after the pack was checked. False: nothing is left to do. */
bool push_decide_objects(struct push *push);
void push_refuse(struct push *push, size_t i, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Every command that is not refused yet; for an atomic push with one refusal. */
void push_refuse_all(struct push *push, const char *reason);
bool push_any_left(const struct push *push);

/* ---- push_pack.c ---- */
/* [blocks] 0; ERR_INVALID: every command has its reason; anything else: push->unpack says why. */
int push_take_pack(struct push *push, struct object_dir *known, const char *repo_dir, struct why *why);

/* ---- push_known.c ---- */
/* [blocks] The rules for what becomes reachable without being in the pack. As push_take_pack, after it. */
int push_check_known(struct push *push, const char *repo_dir, struct why *why);

/* ---- push_move.c ---- */
/* [blocks] Moves what is left; sets `done` or a reason for each. */
void push_move(struct push *push);

#endif
