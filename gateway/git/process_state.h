/* process_state.h - what the files of process.h share: process_launch.c makes the child, process_reaper.c buries it, process.c does the rest. Private to
 * those. */
#ifndef CAIRN_GATEWAY_GIT_PROCESS_STATE_H
#define CAIRN_GATEWAY_GIT_PROCESS_STATE_H

#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>

#include "gateway/git/process.h"

struct git_process {
	pid_t pid;               /* its group has the same number */
	int in, out, err;        /* our ends; -1: none */
	int exit_fd;             /* readable once it has ended; -1: not known to this kernel */
	int64_t deadline_ms;
	pthread_mutex_t mutex;   /* guards `reaped`: a number must not be signalled once another process may have it */
	bool reaped;
	int status;
	size_t said_length;
	char said[GIT_STDERR_BYTES_MAX + 1];
	struct git_process *next; /* in the reaper's list */
};

/* *fd becomes -1. */
static inline void process_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* False: there is no git on this machine. */
bool process_find_git(void);
/* Starts git; its pid, our ends of the pipes and exit_fd are set. What is open already stays the caller's to close on failure. */
int process_launch(struct git_process *process, const struct git_command *command, struct why *why);

/* True once the process is gone. Does not wait. git's own children outlive it only when something is wrong: the group goes before its number is free. */
bool process_reap(struct git_process *process);
/* A process that was killed is reaped and freed by a thread. Does not wait. */
void process_reap_later(struct git_process *process);
void process_free(struct git_process *process);

#endif
