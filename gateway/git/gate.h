/* gate.h - how many gits may run at once: in the hub, for one repository and for one user. Private to gateway/git.
 *
 * Who finds no place waits for one, for a bounded time and only if few wait already: a worker thread is held meanwhile.
 *
 * A place is for work, and a client that takes little of an answer makes its git wait. So a holder whose client sets the pace says when it waits
 * for git and what it got (gate_pass_waits, gate_pass_got). One that for GATE_LOOK_MS neither waited for git nor got much loses its place to whoever
 * wants one, and goes on without. */
#ifndef CAIRN_GATEWAY_GIT_GATE_H
#define CAIRN_GATEWAY_GIT_GATE_H

#include "schemas/error.h"
#include "schemas/hash.h"

enum {
	GATE_PASSES_MAX = 64,
	GATE_WAITING_MAX = 24,       /* and no more than a quarter of the worker threads */
	GATE_WAIT_MS = 20000,
	GATE_PER_CORE = 4,
	GATE_PASSES_MIN = 8,         /* by default, if that is no more than half of the worker threads */
	GATE_PASSES_DEFAULT_MAX = 32,
	GATE_LOOK_MS = 5000,
	GATE_BUSY_BYTES_PER_S = 256 << 10, /* or git was waited for during a fiftieth of the time */
	GATE_WITHOUT_MAX = 128,      /* who lost their place, and a quarter of that for each user; the others keep theirs */
};

struct gate;

/* `passes_max` 0: GATE_PER_CORE for each processor, within GATE_PASSES_MIN and GATE_PASSES_DEFAULT_MAX. `workers`: threads that others need too. */
int gate_open(struct gate **out, unsigned passes_max, unsigned workers);
void gate_close(struct gate *gate);

/* A place, or the right to go on without the one that was lost. Zero-initialise. */
struct gate_pass {
	struct gate *gate; /* NULL: none */
	unsigned slot;
};

/* [blocks] 0 or ERR_BUSY. One repository gets at most three quarters of all places, one user (by name or address) half of them. */
int gate_enter(struct gate *gate, const struct entity_id *repo, const char *who, struct gate_pass *out, struct why *why);
void gate_leave(struct gate_pass *pass);
/* Its client wants more than git has written. */
void gate_pass_waits(struct gate_pass *pass);
/* git has written this for its client, who takes it at their pace. */
void gate_pass_got(struct gate_pass *pass, size_t bytes);
/* For tests: another time than GATE_LOOK_MS, from now on. */
void gate_set_look(struct gate *gate, int look_ms);
/* Places that are taken. */
unsigned gate_running(struct gate *gate);

#endif
