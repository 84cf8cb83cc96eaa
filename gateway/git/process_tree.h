/* process_tree.h - what a process of this machine and all that it started have done, as the kernel counts it in /proc. Private to gateway/git. */
#ifndef CAIRN_GATEWAY_GIT_PROCESS_TREE_H
#define CAIRN_GATEWAY_GIT_PROCESS_TREE_H

#include <stdint.h>
#include <sys/types.h>

enum { PROCESS_TREE_MAX = 64 }; /* processes that are looked at */

struct process_tree_use {
	uint64_t written_bytes; /* to anything, pipes between them too */
	uint64_t cpu_ms;
};

/* Of those that run now: less than before when one has ended. 0; ERR_NOT_FOUND (the process is gone), ERR_UNSUPPORTED (the kernel does not tell). */
int process_tree_use(pid_t pid, struct process_tree_use *out);

#endif
