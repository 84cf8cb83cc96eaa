/* stored_answer_make.c - has git write an answer into a file, and waits for it on a thread of its own. */
#include "gateway/git/stored_answer_state.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/git/cache_files.h"

enum {
	WAITER_STACK_BYTES = 256 << 10,
	SLACK_BYTES = 64 << 20,    /* what an answer may exceed the share by before git is stopped */
};

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
	uint64_t length = answer_file_bytes(answer->fd);
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
	unsigned references = err ? 1 + answer_unlist(answer) : 1;
	answers->running--;
	answers->stats.made += err == 0;
	pthread_cond_broadcast(&answers->ended);
	answers_trim(answers, &answer->key, &freed);
	answer_drop(answer, references, &freed);
	pthread_mutex_unlock(&answers->mutex);
	answers_settle(answers, (int64_t)length - freed);
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
		answer_unlist(answer);
		answers->running--;
		git_process_close(answer->process);
		return why_set(why, ERR_BUSY, "no thread can be started");
	}
	job->lease->repo = NULL;
	job->pass->gate = NULL;
	answer_add_reader(answer);
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
		struct stored_answer *found = answers_find(answers, &job->key);
		if (found) {
			answer_add_reader(found);
			answers->stats.given_again++;
			*out = found;
		} else {
			answers_trim(answers, &job->key, &freed);
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
	answers_settle(answers, -freed);
	git_cache_release(answers->gateway, job->lease);
	gate_leave(job->pass);
	return err;
}
