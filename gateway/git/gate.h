/* gate.h - how many gits may run at once: in the hub, for one repository and for one user. Private to gateway/git.
 *
 * Who finds no place waits for one, for a bounded time and only if few wait already: a worker thread is held meanwhile. */
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
};

struct gate;

/* `passes_max` 0: GATE_PER_CORE for each processor, within GATE_PASSES_MIN and GATE_PASSES_DEFAULT_MAX. `workers`: threads that others need too. */
int gate_open(struct gate **out, unsigned passes_max, unsigned workers);
void gate_close(struct gate *gate);

/* A place. Zero-initialise. */
struct gate_pass {
	struct gate *gate; /* NULL: none */
	unsigned slot;
};

/* [blocks] 0 or ERR_BUSY. One repository gets at most three quarters of all places, one user (by name or address) half of them. */
int gate_enter(struct gate *gate, const struct entity_id *repo, const char *who, struct gate_pass *out, struct why *why);
void gate_leave(struct gate_pass *pass);
unsigned gate_running(struct gate *gate);

#endif
