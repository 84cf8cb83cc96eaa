#include "gateway/git/stored_answer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/git/cache_files.h"
#include "gateway/git/process.h"

enum {
	GROWTH_POLL_MS = 5,        /* between two looks at a growing file */
	FIRST_POLL_MS = 1,
	WAITER_STACK_BYTES = 256 << 10,
	SLACK_BYTES = 64 << 20,    /* what an answer may exceed the share by before git is stopped */
};

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

/* Gives `count` references back; the last one closes the file. *freed: bytes to take off the account of the cache, once the mutex is given up. */
static void drop(struct stored_answer *answer, unsigned count, int64_t *freed)
{
	answer->references -= count;
	if (answer->references > 0)
		return;
	*freed += (int64_t)answer->length;
	answer->answers->bytes -= answer->length;
	close(answer->fd);
	free(answer);
}

/* How many references that leaves without an owner: the list's. */
static unsigned unlist(struct stored_answer *answer)
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

static struct stored_answer *find(struct stored_answers *answers, const struct answer_key *key)
{
	struct stored_answer *answer;
	TAILQ_FOREACH(answer, &answers->list, link)
		if (same_key(&answer->key, key))
			return answer;
	return NULL;
}

static void add_reader(struct stored_answer *answer)
{
	answer->readers++;
	answer->references++;
	answer->used_ms = clock_ms();
	TAILQ_REMOVE(&answer->answers->list, answer, link);
	TAILQ_INSERT_HEAD(&answer->answers->list, answer, link);
}

/* Lets go of whole answers: outdated ones, those idle for long, the longest unused of too many. */
static void trim(struct stored_answers *answers, const struct answer_key *newest, int64_t *freed)
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
		drop(answer, unlist(answer), freed);
	}
}

static void settle(struct stored_answers *answers, int64_t bytes)
{
	if (bytes)
		git_cache_account(answers->gateway->git_cache, bytes);
}

struct stored_answer *stored_answer_join(struct stored_answers *answers, const struct answer_key *key)
{
	pthread_mutex_lock(&answers->mutex);
	struct stored_answer *answer = find(answers, key);
	if (answer) {
		add_reader(answer);
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
		references += unlist(answer);
	}
	drop(answer, references, &freed);
	pthread_mutex_unlock(&answers->mutex);
	settle(answers, -freed);
}

/* ------------------------------------------------------------------ making one */

static uint64_t size_of(int fd)
{
	struct stat info;
	return fstat(fd, &info) == 0 ? (uint64_t)info.st_size : 0;
}

static void *wait_for_git(void *context)
{
	struct stored_answer *answer = context;
	struct stored_answers *answers = answer->answers;
	struct gateway *gateway = answers->gateway;
	struct why why = { 0 };
	int err = git_process_end(answer->process, &why);
	bool was_cut = err && git_process_status(answer->process) >= 128 + 1 && git_process_status(answer->process) < 128 + 64;
	bool again = err && git_cache_blame(gateway, &answer->lease, git_process_said(answer->process));
	if (err && !was_cut)
		fprintf(stderr, "cairn: git failed on a repository: %s\n", why.text);
	uint64_t length = size_of(answer->fd);
	int64_t freed = 0;
	git_cache_release(gateway, &answer->lease);
	gate_leave(&answer->pass);
	pthread_mutex_lock(&answers->mutex);
	answer->running = false;
	git_process_close(answer->process);
	answer->process = NULL;
	answer->err = err;
	answer->was_cut = was_cut || err == ERR_BUSY;
	answer->again = again;
	answer->why = why;
	answer->length = length;
	answers->bytes += length;
	unsigned references = err ? 1 + unlist(answer) : 1;
	answers->running--;
	answers->stats.made += err == 0;
	pthread_cond_broadcast(&answers->ended);
	trim(answers, &answer->key, &freed);
	drop(answer, references, &freed);
	pthread_mutex_unlock(&answers->mutex);
	settle(answers, (int64_t)length - freed);
	return NULL;
}

/* A place for the bytes: a file without a name. */
static int open_file(const struct gateway *gateway, struct why *why)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/git", gateway->data_dir);
	int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) { /* a file system that has none */
		snprintf(path, sizeof(path), "%s/git/answer-XXXXXX", gateway->data_dir);
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	return fd < 0 ? files_error(why, "open", "an answer") : fd;
}

static bool start_waiter(struct stored_answer *answer)
{
	pthread_t thread;
	pthread_attr_t attributes;
	sigset_t all, old;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, WAITER_STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	bool started = pthread_create(&thread, &attributes, wait_for_git, answer) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	return started;
}

/* With the mutex held. */
static int start(struct stored_answers *answers, struct answer_job *job, struct stored_answer *answer, struct why *why)
{
	struct git_command command = { .arguments = job->arguments, .environment = job->environment, .input = job->input, .output = answer->fd,
		.file_bytes_max = answers->bytes_max + SLACK_BYTES };
	int err = git_process_start(&answer->process, &command, why);
	if (err)
		return err;
	answer->lease = *job->lease;
	answer->pass = *job->pass;
	answer->references = 2; /* the waiter's, and the list's */
	answer->running = answer->listed = true;
	answers->running++;
	answers->listed++;
	TAILQ_INSERT_HEAD(&answers->list, answer, link);
	if (!start_waiter(answer)) {
		unlist(answer);
		answers->running--;
		git_process_close(answer->process);
		return why_set(why, ERR_BUSY, "no thread can be started");
	}
	job->lease->repo = NULL;
	job->pass->gate = NULL;
	add_reader(answer);
	return 0;
}

int stored_answer_start(struct stored_answers *answers, struct answer_job *job, struct stored_answer **out, struct why *why)
{
	int64_t freed = 0;
	int err = 0;
	struct stored_answer *made = calloc(1, sizeof(*made));
	int fd = made ? open_file(answers->gateway, why) : ERR_NO_MEMORY;
	if (fd >= 0) {
		*made = (struct stored_answer){ .answers = answers, .key = job->key, .fd = fd };
		pthread_mutex_lock(&answers->mutex);
		struct stored_answer *found = find(answers, &job->key);
		if (found) {
			add_reader(found);
			answers->stats.given_again++;
			*out = found;
		} else {
			trim(answers, &job->key, &freed);
			err = start(answers, job, made, why);
			*out = made;
		}
		pthread_mutex_unlock(&answers->mutex);
		if (found || err) {
			close(fd);
			free(made);
		}
	} else {
		free(made);
		err = fd;
	}
	settle(answers, -freed);
	git_cache_release(answers->gateway, job->lease);
	gate_leave(job->pass);
	return err;
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
	while (answer->running && size_of(answer->fd) == 0)
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
		drop(answer, unlist(answer), &freed);
	}
	pthread_mutex_unlock(&answers->mutex);
	settle(answers, -freed);
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
