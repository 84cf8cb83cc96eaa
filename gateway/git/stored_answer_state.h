/* stored_answer_state.h - what stored_answer.c, which reads and counts them, and stored_answer_make.c, which makes them, share. Private to those two. */
#ifndef CAIRN_GATEWAY_GIT_STORED_ANSWER_STATE_H
#define CAIRN_GATEWAY_GIT_STORED_ANSWER_STATE_H

#include <pthread.h>
#include <sys/queue.h>

#include "gateway/git/process.h"
#include "gateway/git/stored_answer.h"

struct stored_answer {
	TAILQ_ENTRY(stored_answer) link; /* in the list by use, newest first, while `listed` */
	struct stored_answers *answers;
	struct answer_key key;
	unsigned readers, references; /* references: the list, every reader, the thread that waits for git */
	bool listed, running, was_cut, again;
	int err;                   /* how git ended */
	int fd;
	uint64_t length;           /* once it does not run */
	int64_t used_ms;
	struct git_process *process; /* while it runs */
	struct git_lease lease;
	struct gate_pass pass;
	struct why why;
};

TAILQ_HEAD(answer_list, stored_answer);

struct stored_answers {
	struct gateway *gateway;
	uint64_t bytes_max;
	pthread_mutex_t mutex;
	pthread_cond_t ended;      /* a git came to its end */
	struct answer_list list;
	unsigned listed, running;
	uint64_t bytes;            /* of whole answers, listed or still being read */
	struct stored_answers_stats stats;
};

/* ---- all with the mutex held ---- */

/* Gives `count` references back; the last one closes the file. *freed: bytes for answers_settle. */
void answer_drop(struct stored_answer *answer, unsigned count, int64_t *freed);
/* How many references that leaves without an owner: the list's. */
unsigned answer_unlist(struct stored_answer *answer);
void answer_add_reader(struct stored_answer *answer);
struct stored_answer *answers_find(struct stored_answers *answers, const struct answer_key *key);
/* Lets go of whole answers: outdated ones, those idle for long, the longest unused of too many. */
void answers_trim(struct stored_answers *answers, const struct answer_key *newest, int64_t *freed);

/* ---- without ---- */

/* Tells the cache of repositories, which bounds the bytes of both. */
void answers_settle(struct stored_answers *answers, int64_t bytes);
/* What git has written so far. */
uint64_t answer_file_bytes(int fd);

#endif
