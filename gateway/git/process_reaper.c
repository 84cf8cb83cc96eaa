/* process_reaper.c - processes come to their end, waited for or not. */
#include "gateway/git/process_state.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

enum {
	REAPER_PAUSE_MS = 10,
	REAPER_STACK_BYTES = 256 << 10, /* libraries keep much of their own on every stack */
};

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool started;
	struct git_process *first;
} reaper = { .mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

bool process_reap(struct git_process *process)
{
	siginfo_t info = { 0 };
	pthread_mutex_lock(&process->mutex);
	if (!process->reaped && waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid != 0) {
		int status = 0;
		kill(-process->pid, SIGKILL);
		waitpid(process->pid, &status, 0);
		process->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		process->reaped = true;
	}
	bool done = process->reaped;
	pthread_mutex_unlock(&process->mutex);
	return done;
}

void process_free(struct git_process *process)
{
	pthread_mutex_destroy(&process->mutex);
	free(process);
}

static void *reaper_run(void *context)
{
	(void)context;
	pthread_mutex_lock(&reaper.mutex);
	for (;;) {
		for (struct git_process **at = &reaper.first; *at;) {
			struct git_process *process = *at;
			if (process_reap(process)) {
				*at = process->next;
				process_free(process);
			} else {
				at = &process->next;
			}
		}
		if (reaper.first) {
			struct timespec until;
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += REAPER_PAUSE_MS * 1000000L;
			until.tv_sec += until.tv_nsec / 1000000000;
			until.tv_nsec %= 1000000000;
			pthread_cond_timedwait(&reaper.wake, &reaper.mutex, &until);
		} else {
			pthread_cond_wait(&reaper.wake, &reaper.mutex);
		}
	}
	return NULL;
}

static void reaper_start(void)
{
	pthread_t thread;
	pthread_attr_t attributes;
	sigset_t all, old;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, REAPER_STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	reaper.started = pthread_create(&thread, &attributes, reaper_run, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
}

void process_reap_later(struct git_process *process)
{
	pthread_mutex_lock(&reaper.mutex);
	if (!reaper.started)
		reaper_start();
	bool started = reaper.started;
	if (started) {
		process->next = reaper.first;
		reaper.first = process;
		pthread_cond_signal(&reaper.wake);
	}
	pthread_mutex_unlock(&reaper.mutex);
	if (!started) { /* it was killed: this does not take long */
		waitpid(process->pid, NULL, 0);
		process_free(process);
	}
}
