#include "gateway/git/stored_answer_state.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	GROWTH_POLL_MS = 5,        /* between two looks at a growing file */
	FIRST_POLL_MS = 1,
};

static int64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int stored_answers_open(struct stored_answers **out, struct gateway *gateway, struct why *why)
{
	struct stored_answers *answers = calloc(1, sizeof(*answers));
	struct git_cache_stats stats;
	pthread_condattr_t monotonic;
	(void)why;
	*out = answers;
	if (!answers)
		return ERR_NO_MEMORY;
	git_cache_stats(gateway->git_cache, &stats);
	answers->gateway = gateway;
	answers->bytes_max = stats.bytes_max / STORED_SHARE;
	TAILQ_INIT(&answers->list);
	pthread_mutex_init(&answers->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&answers->ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return 0;
}

bool stored_answers_take(struct stored_answers *answers, uint64_t bytes)
{
	return bytes <= answers->bytes_max / 2;
}

/* ------------------------------------------------------------------ lists and references; all with the mutex held */

void answer_drop(struct stored_answer *answer, unsigned count, int64_t *freed)
{
	answer->references -= count;
	if (answer->references > 0)
		return;
	*freed += (int64_t)answer->length;
	answer->answers->bytes -= answer->length;
	close(answer->fd);
	free(answer);
}

unsigned answer_unlist(struct stored_answer *answer)
{
	if (!answer->listed)
		return 0;
	answer->listed = false;
	answer->answers->listed--;
	TAILQ_REMOVE(&answer->answers->list, answer, link);
	return 1;
}

static bool same_key(const struct answer_key *a, const struct answer_key *b)
{
	return a->version == b->version && memcmp(&a->repo, &b->repo, sizeof(a->repo)) == 0 && memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

struct stored_answer *answers_find(struct stored_answers *answers, const struct answer_key *key)
{
	struct stored_answer *answer;
	TAILQ_FOREACH(answer, &answers->list, link)
		if (same_key(&answer->key, key))
			return answer;
	return NULL;
}

void answer_add_reader(struct stored_answer *answer)
{
	answer->readers++;
	answer->references++;
	answer->used_ms = clock_ms();
	TAILQ_REMOVE(&answer->answers->list, answer, link);
	TAILQ_INSERT_HEAD(&answer->answers->list, answer, link);
}

void answers_trim(struct stored_answers *answers, const struct answer_key *newest, int64_t *freed)
{
	int64_t now = clock_ms();
	struct stored_answer *answer, *before;
	for (answer = TAILQ_LAST(&answers->list, answer_list); answer; answer = before) {
		before = TAILQ_PREV(answer, answer_list, link);
		bool outdated = memcmp(&answer->key.repo, &newest->repo, sizeof(newest->repo)) == 0 && answer->key.version < newest->version;
		bool idle = now - answer->used_ms > STORED_IDLE_MS_MAX;
		bool too_many = answers->bytes > answers->bytes_max || answers->listed >= STORED_ANSWERS_MAX;
		if (answer->running || !(outdated || idle || too_many))
			continue;
		answer_drop(answer, answer_unlist(answer), freed);
	}
}

void answers_settle(struct stored_answers *answers, int64_t bytes)
{
	if (bytes)
		git_cache_account(answers->gateway->git_cache, bytes);
}

uint64_t answer_file_bytes(int fd)
{
	struct stat info;
	return fstat(fd, &info) == 0 ? (uint64_t)info.st_size : 0;
}

struct stored_answer *stored_answer_join(struct stored_answers *answers, const struct answer_key *key)
{
	pthread_mutex_lock(&answers->mutex);
	struct stored_answer *answer = answers_find(answers, key);
	if (answer) {
		answer_add_reader(answer);
		answers->stats.given_again++;
	}
	pthread_mutex_unlock(&answers->mutex);
	return answer;
}

void stored_answer_leave(struct stored_answer *answer)
{
	struct stored_answers *answers = answer->answers;
	int64_t freed = 0;
	unsigned references = 1;
	pthread_mutex_lock(&answers->mutex);
	if (--answer->readers == 0 && answer->running) {
		git_process_kill(answer->process);
		references += answer_unlist(answer);
	}
	answer_drop(answer, references, &freed);
	pthread_mutex_unlock(&answers->mutex);
	answers_settle(answers, -freed);
}

/* ------------------------------------------------------------------ reading one */

/* With the mutex held; gives it up while it waits. */
static void wait_a_little(struct stored_answers *answers, int64_t ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&answers->ended, &answers->mutex, &until);
}

int stored_answer_wait(struct stored_answer *answer, bool *again, struct why *why)
{
	struct stored_answers *answers = answer->answers;
	pthread_mutex_lock(&answers->mutex);
	while (answer->running && answer_file_bytes(answer->fd) == 0)
		wait_a_little(answers, FIRST_POLL_MS);
	bool is_empty = !answer->running && answer->length == 0;
	int err = is_empty ? answer->err : 0;
	*again = answer->again;
	if (err)
		*why = answer->why;
	pthread_mutex_unlock(&answers->mutex);
	return err;
}

uint64_t stored_answer_length(struct stored_answer *answer)
{
	struct stored_answers *answers = answer->answers;
	pthread_mutex_lock(&answers->mutex);
	uint64_t length = answer->running || answer->was_cut ? UINT64_MAX : answer->length;
	pthread_mutex_unlock(&answers->mutex);
	return length;
}

int64_t stored_answer_read(struct stored_answer *answer, uint64_t offset, void *out, size_t length, bool may_block)
{
	struct stored_answers *answers = answer->answers;
	for (int waited_ms = 0;; waited_ms += GROWTH_POLL_MS) {
		pthread_mutex_lock(&answers->mutex);
		bool running = answer->running, was_cut = answer->was_cut; /* before the read: what is read later than the end is all there is */
		pthread_mutex_unlock(&answers->mutex);
		ssize_t got = pread(answer->fd, out, length, (off_t)offset);
		if (got > 0)
			return got;
		if (got < 0)
			return ERR_IO;
		if (!running)
			return was_cut ? ERR_IO : 0;
		if (!may_block || waited_ms >= STORED_WAIT_MS)
			return ERR_AGAIN;
		pthread_mutex_lock(&answers->mutex);
		if (answer->running)
			wait_a_little(answers, GROWTH_POLL_MS);
		pthread_mutex_unlock(&answers->mutex);
	}
}

int stored_answer_fd(const struct stored_answer *answer)
{
	return answer->fd;
}

/* ------------------------------------------------------------------ the end */

void stored_answers_close(struct stored_answers *answers)
{
	if (!answers)
		return;
	struct stored_answer *answer;
	int64_t freed = 0;
	pthread_mutex_lock(&answers->mutex);
	TAILQ_FOREACH(answer, &answers->list, link)
		if (answer->running)
			git_process_kill(answer->process);
	while (answers->running)
		wait_a_little(answers, GROWTH_POLL_MS);
	while ((answer = TAILQ_FIRST(&answers->list))) {
		assert(answer->readers == 0);
		answer_drop(answer, answer_unlist(answer), &freed);
	}
	pthread_mutex_unlock(&answers->mutex);
	answers_settle(answers, -freed);
	pthread_cond_destroy(&answers->ended);
	pthread_mutex_destroy(&answers->mutex);
	free(answers);
}

void stored_answers_stats(struct stored_answers *answers, struct stored_answers_stats *out)
{
	pthread_mutex_lock(&answers->mutex);
	*out = answers->stats;
	out->answers = answers->listed;
	out->bytes = answers->bytes;
	pthread_mutex_unlock(&answers->mutex);
}
