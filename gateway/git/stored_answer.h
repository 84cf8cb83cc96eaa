/* stored_answer.h - answers of git that do not depend on who asks: made once, kept in a file, sent to everybody. Private to gateway/git.
 *
 * DESIGN. A clone, a list of refs: what a client without objects asks for depends on nothing but the repository's version and the request. git writes such an
 * answer straight into an unnamed file; whoever asks for the same meanwhile, or later, reads along in that file at their own pace. So a storm of equal clones
 * costs one, and a slow client holds no process. The file goes with the process that made it, so a crash leaves none.
 *
 * An answer that nobody reads any more is stopped while it is being made, and may be dropped once it is whole: the longest unused first, by number and
 * bytes, which also count as bytes of the cache of repositories. Answers for older versions of a repository go when a newer one comes.
 *
 * Threads: any. A reader's position is its own. */
#ifndef CAIRN_GATEWAY_GIT_STORED_ANSWER_H
#define CAIRN_GATEWAY_GIT_STORED_ANSWER_H

#include "gateway/git/cache.h"
#include "gateway/git/gate.h"

enum {
	STORED_ANSWERS_MAX = 512,          /* each holds a descriptor */
	STORED_SHARE = 4,                  /* a quarter of the cache's bytes for all of them */
	STORED_WAIT_MS = 40,               /* of a reader, until its worker turns to others */
	STORED_IDLE_MS_MAX = 3600 * 1000,
};

struct stored_answers;
struct stored_answer;

int stored_answers_open(struct stored_answers **out, struct gateway *gateway, struct why *why);
/* [blocks] Ends what is being made. */
void stored_answers_close(struct stored_answers *answers);

/* True when an answer of about so many bytes should be stored at all. */
bool stored_answers_take(struct stored_answers *answers, uint64_t bytes);

struct answer_key {
	struct entity_id repo; /* all-zero: the same for every repository */
	uint64_t version;      /* of the repository */
	uint8_t digest[32];    /* of the request */
};

/* A reader of the answer with this key, or NULL. */
struct stored_answer *stored_answer_join(struct stored_answers *answers, const struct answer_key *key);

struct answer_job {
	struct answer_key key;
	struct git_lease *lease;           /* taken over, also on failure */
	struct gate_pass *pass;            /* the same */
	const char *const *arguments, *const *environment;
	int input;                         /* of git_command */
};
/* Starts git, or joins what another thread has started for the same key; in both cases *out is a reader. */
int stored_answer_start(struct stored_answers *answers, struct answer_job *job, struct stored_answer **out, struct why *why);

/* [blocks] Until there are bytes. 0; ERR_*: git failed without any. *again: the cache was at fault and is being made anew, so that another try makes sense. */
int stored_answer_wait(struct stored_answer *answer, bool *again, struct why *why);
/* Its bytes, or UINT64_MAX while it is being made. */
uint64_t stored_answer_length(struct stored_answer *answer);
/* Bytes from `offset` (> 0), 0 at the end, ERR_AGAIN: none yet (if it may block, after STORED_WAIT_MS), ERR_IO: it could not be finished. */
int64_t stored_answer_read(struct stored_answer *answer, uint64_t offset, void *out, size_t length, bool may_block);
int stored_answer_fd(const struct stored_answer *answer);
/* Ends a reader. Does not wait. */
void stored_answer_leave(struct stored_answer *answer);

struct stored_answers_stats {
	uint64_t answers, bytes, made, given_again; /* the last two since start */
};
void stored_answers_stats(struct stored_answers *answers, struct stored_answers_stats *out);

#endif
