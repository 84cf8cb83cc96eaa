#include "gateway/git/gate.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { WAKE_MS = 500 /* of who waits, to see who has become slow */ };

struct holder {
	bool is_there, has_place;
	struct entity_id repo;
	uint64_t who;           /* hash of the name */
	bool is_paced, is_slow; /* paced: by its client */
	int64_t looked_ms;      /* what follows is since then */
	int64_t git_ms;         /* git was waited for */
	int64_t waits_since_ms; /* and is, if not 0 */
	uint64_t got_bytes;
};

struct gate {
	pthread_mutex_t mutex;
	pthread_cond_t left;
	unsigned places_count, running, without, waiting, waiting_max;
	int look_ms;
	struct holder holders[GATE_PASSES_MAX + GATE_WITHOUT_MAX];
};

static int64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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
	gate->look_ms = GATE_LOOK_MS;
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

/* ------------------------------------------------------------------ all with the mutex held */

/* True when its client left git idle for the whole of the last look. */
static bool look_at(const struct gate *gate, struct holder *holder, int64_t now_ms)
{
	int64_t ms = now_ms - holder->looked_ms;
	if (!holder->is_paced || ms < gate->look_ms)
		return holder->is_slow;
	int64_t git_ms = holder->git_ms + (holder->waits_since_ms ? now_ms - holder->waits_since_ms : 0);
	holder->is_slow = git_ms * 50 < ms && holder->got_bytes * 1000 / (uint64_t)ms < GATE_BUSY_BYTES_PER_S;
	holder->looked_ms = now_ms;
	holder->git_ms = 0;
	holder->waits_since_ms = holder->waits_since_ms ? now_ms : 0;
	holder->got_bytes = 0;
	return holder->is_slow;
}

static unsigned without_place(const struct gate *gate, uint64_t who)
{
	unsigned count = 0;
	for (unsigned i = 0; i < GATE_PASSES_MAX + GATE_WITHOUT_MAX; i++)
		count += gate->holders[i].is_there && !gate->holders[i].has_place && gate->holders[i].who == who;
	return count;
}

/* Takes the place of one that makes no use of it. False: there is none. */
static bool take_back_place(struct gate *gate)
{
	int64_t now_ms = clock_ms();
	for (unsigned i = 0; i < GATE_PASSES_MAX + GATE_WITHOUT_MAX && gate->without < GATE_WITHOUT_MAX; i++) {
		struct holder *holder = &gate->holders[i];
		if (!holder->is_there || !holder->has_place || !look_at(gate, holder, now_ms) || without_place(gate, holder->who) >= GATE_WITHOUT_MAX / 4)
			continue;
		holder->has_place = false;
		gate->running--;
		gate->without++;
		return true;
	}
	return false;
}

/* Who would hold it, or -1: there is no place for this repository and user. */
static int free_place(const struct gate *gate, const struct entity_id *repo, uint64_t who)
{
	unsigned of_repo = 0, of_user = 0;
	int found = -1;
	for (unsigned i = 0; i < GATE_PASSES_MAX + GATE_WITHOUT_MAX; i++) {
		const struct holder *holder = &gate->holders[i];
		if (!holder->is_there)
			found = (int)i;
		of_repo += holder->is_there && holder->has_place && memcmp(&holder->repo, repo, sizeof(*repo)) == 0;
		of_user += holder->is_there && holder->has_place && holder->who == who;
	}
	bool fair = of_repo < gate->places_count - gate->places_count / 4 && of_user < (gate->places_count + 1) / 2;
	return fair && gate->running < gate->places_count ? found : -1;
}

static int find_place(struct gate *gate, const struct entity_id *repo, uint64_t who)
{
	int place = free_place(gate, repo, who);
	while (place < 0 && take_back_place(gate))
		place = free_place(gate, repo, who);
	return place;
}

static void wait_a_little(struct gate *gate)
{
	int64_t until_ms = clock_ms() + WAKE_MS;
	struct timespec until = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };
	pthread_cond_timedwait(&gate->left, &gate->mutex, &until);
}

static int wait_for_place(struct gate *gate, const struct entity_id *repo, uint64_t who)
{
	int64_t deadline_ms = clock_ms() + GATE_WAIT_MS;
	int place = find_place(gate, repo, who);
	if (place >= 0 || gate->waiting >= gate->waiting_max)
		return place;
	gate->waiting++;
	while ((place = find_place(gate, repo, who)) < 0 && clock_ms() < deadline_ms)
		wait_a_little(gate);
	gate->waiting--;
	return place;
}

/* ------------------------------------------------------------------ coming and going */

int gate_enter(struct gate *gate, const struct entity_id *repo, const char *who, struct gate_pass *out, struct why *why)
{
	uint64_t hash = XXH3_64bits(who, strlen(who));
	*out = (struct gate_pass){ 0 };
	pthread_mutex_lock(&gate->mutex);
	int place = wait_for_place(gate, repo, hash);
	if (place >= 0) {
		gate->holders[place] = (struct holder){ .is_there = true, .has_place = true, .repo = *repo, .who = hash };
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
	struct holder *holder = &gate->holders[pass->slot];
	holder->is_there = false;
	if (holder->has_place)
		gate->running--;
	else
		gate->without--;
	pthread_cond_broadcast(&gate->left);
	pthread_mutex_unlock(&gate->mutex);
	pass->gate = NULL;
}

void gate_pass_waits(struct gate_pass *pass)
{
	struct gate *gate = pass->gate;
	if (!gate)
		return;
	pthread_mutex_lock(&gate->mutex);
	struct holder *holder = &gate->holders[pass->slot];
	if (!holder->waits_since_ms)
		holder->waits_since_ms = clock_ms();
	pthread_mutex_unlock(&gate->mutex);
}

void gate_pass_got(struct gate_pass *pass, size_t bytes)
{
	struct gate *gate = pass->gate;
	if (!gate)
		return;
	pthread_mutex_lock(&gate->mutex);
	struct holder *holder = &gate->holders[pass->slot];
	int64_t now_ms = clock_ms();
	if (!holder->is_paced) {
		holder->is_paced = true;
		holder->looked_ms = now_ms;
		holder->waits_since_ms = 0;
	}
	if (holder->waits_since_ms)
		holder->git_ms += now_ms - holder->waits_since_ms;
	holder->waits_since_ms = 0;
	holder->got_bytes += bytes;
	look_at(gate, holder, now_ms);
	pthread_mutex_unlock(&gate->mutex);
}

void gate_set_look(struct gate *gate, int look_ms)
{
	pthread_mutex_lock(&gate->mutex);
	gate->look_ms = look_ms;
	pthread_mutex_unlock(&gate->mutex);
}

unsigned gate_running(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	unsigned running = gate->running;
	pthread_mutex_unlock(&gate->mutex);
	return running;
}
