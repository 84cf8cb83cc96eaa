#include "gateway/git/gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

struct place {
	bool taken;
	struct entity_id repo;
	uint64_t who; /* hash of the name */
};

struct gate {
	pthread_mutex_t mutex;
	pthread_cond_t left;
	unsigned places_count, running, waiting, waiting_max;
	struct place places[GATE_PASSES_MAX];
};

static unsigned within(unsigned value, unsigned min, unsigned max)
{
	return value < min ? min : value > max ? max : value;
}

int gate_open(struct gate **out, unsigned passes_max, unsigned workers)
{
	struct gate *gate = calloc(1, sizeof(*gate));
	pthread_condattr_t monotonic;
	*out = gate;
	if (!gate)
		return ERR_NO_MEMORY;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (passes_max == 0) {
		passes_max = within((unsigned)(cores > 0 ? cores : 1) * GATE_PER_CORE, GATE_PASSES_MIN, GATE_PASSES_DEFAULT_MAX);
		passes_max = within(passes_max, 1, workers / 2 + 1);
	}
	gate->places_count = within(passes_max, 1, GATE_PASSES_MAX);
	gate->waiting_max = within(workers / 4, 1, GATE_WAITING_MAX);
	pthread_mutex_init(&gate->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&gate->left, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return 0;
}

void gate_close(struct gate *gate)
{
	if (!gate)
		return;
	pthread_cond_destroy(&gate->left);
	pthread_mutex_destroy(&gate->mutex);
	free(gate);
}

/* With the mutex held: a free place, or -1 when there is none for this repository and user. */
static int free_place(const struct gate *gate, const struct entity_id *repo, uint64_t who)
{
	unsigned of_repo = 0, of_user = 0;
	int found = -1;
	for (unsigned i = 0; i < gate->places_count; i++) {
		const struct place *place = &gate->places[i];
		if (!place->taken)
			found = (int)i;
		of_repo += place->taken && memcmp(&place->repo, repo, sizeof(*repo)) == 0;
		of_user += place->taken && place->who == who;
	}
	bool fair = of_repo < gate->places_count - gate->places_count / 4 && of_user < (gate->places_count + 1) / 2;
	return fair ? found : -1;
}

/* With the mutex held. */
static int wait_for_place(struct gate *gate, const struct entity_id *repo, uint64_t who)
{
	struct timespec deadline;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += GATE_WAIT_MS / 1000;
	int place = free_place(gate, repo, who);
	if (place >= 0 || gate->waiting >= gate->waiting_max)
		return place;
	gate->waiting++;
	while ((place = free_place(gate, repo, who)) < 0)
		if (pthread_cond_timedwait(&gate->left, &gate->mutex, &deadline) == ETIMEDOUT)
			break;
	gate->waiting--;
	return place;
}

int gate_enter(struct gate *gate, const struct entity_id *repo, const char *who, struct gate_pass *out, struct why *why)
{
	uint64_t hash = XXH3_64bits(who, strlen(who));
	*out = (struct gate_pass){ 0 };
	pthread_mutex_lock(&gate->mutex);
	int place = wait_for_place(gate, repo, hash);
	if (place >= 0) {
		gate->places[place] = (struct place){ .taken = true, .repo = *repo, .who = hash };
		gate->running++;
		*out = (struct gate_pass){ gate, (unsigned)place };
	}
	pthread_mutex_unlock(&gate->mutex);
	return place >= 0 ? 0 : why_set(why, ERR_BUSY, "too many git operations run at the moment, try again");
}

void gate_leave(struct gate_pass *pass)
{
	struct gate *gate = pass->gate;
	if (!gate)
		return;
	pthread_mutex_lock(&gate->mutex);
	gate->places[pass->slot].taken = false;
	gate->running--;
	pthread_cond_broadcast(&gate->left);
	pthread_mutex_unlock(&gate->mutex);
	pass->gate = NULL;
}

unsigned gate_running(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	unsigned running = gate->running;
	pthread_mutex_unlock(&gate->mutex);
	return running;
}
