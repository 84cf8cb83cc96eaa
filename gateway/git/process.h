/* process.h - a stock git as a child: started safely, fed and read over pipes, bounded, and never left behind.
 *
 * DESIGN. The server is large and has many threads, so a child is made with vfork: nothing is copied, and the child does a handful of system calls
 * before it becomes git. It gets three descriptors and no other, a process group of its own, signals as they are by default, and an environment
 * made from nothing: no configuration of the machine, of a user or of a client reaches it. It cannot use more memory, CPU, file size or time than
 * it was given, and dies with the thread that started it. Ending a process ends its whole group, so git's own children go too; whoever is not waited
 * for is reaped by a thread of this file.
 *
 * Arguments are the caller's own words and server-made paths: text of a client goes to git's standard input, never to its command line.
 *
 * Threads: a process belongs to one thread at a time, except that git_process_kill may come from any. Descriptors are O_CLOEXEC. */
#ifndef CAIRN_GATEWAY_GIT_PROCESS_H
#define CAIRN_GATEWAY_GIT_PROCESS_H

#include "schemas/buffer.h"
#include "schemas/error.h"

enum {
	GIT_ARGUMENTS_MAX = 40,
	GIT_ENVIRONMENT_MAX = 16,          /* of the caller's own */
	GIT_STDERR_BYTES_MAX = 8192,       /* kept of what git says; the rest is read and dropped */
	GIT_WALL_MS_DEFAULT = 3600 * 1000,
	GIT_CPU_S_DEFAULT = 3600,
	GIT_OPEN_FILES_MAX = 1024,
};

#define GIT_MEMORY_BYTES_DEFAULT ((uint64_t)4 << 30) /* heap of each process; packs are mapped and do not count */

enum { GIT_FD_NONE = -1 /* /dev/null */, GIT_FD_PIPE = -2 };

struct git_command {
	const char *const *arguments;   /* behind "git"; NULL ends */
	const char *const *environment; /* "NAME=value" beside what every git gets; NULL ends; may be NULL */
	const char *directory;          /* to run in; NULL: "/" */
	int input, output;              /* GIT_FD_*, or a descriptor that stays the caller's */
	uint64_t wall_ms_max;           /* 0: GIT_WALL_MS_DEFAULT */
	uint64_t cpu_s_max;             /* 0: GIT_CPU_S_DEFAULT; of each process of the group */
	uint64_t memory_bytes_max;      /* 0: GIT_MEMORY_BYTES_DEFAULT */
	uint64_t file_bytes_max;        /* of each file it writes; 0: no limit */
};

struct git_process;

/* Takes well under a millisecond. 0, ERR_NO_MEMORY, ERR_BUSY (no processes or descriptors left), ERR_UNSUPPORTED (no git on this machine). */
int git_process_start(struct git_process **out, const struct git_command *command, struct why *why);

/* Bytes of its output (> 0), 0 at the end, ERR_AGAIN (only when it may not block), ERR_BUSY (out of time: killed), ERR_IO. The end of the output is not
 * success: git_process_end tells. */
int64_t git_process_read(struct git_process *process, void *out, size_t length, bool may_block, struct why *why);
/* [blocks] Until there is output to read, its end, or `ms_max` are over. 0, ERR_BUSY as above. */
int git_process_wait(struct git_process *process, int64_t ms_max, struct why *why);
/* [blocks] Writes all of it to its input. ERR_CLOSED: it does not read any more (git_process_end tells why); ERR_BUSY. A command that answers more than a
 * pipe holds while it still reads must get its input from a descriptor instead. */
int git_process_write(struct git_process *process, const void *data, size_t length, struct why *why);
void git_process_close_input(struct git_process *process);
/* [blocks] Waits for its exit; unread output is dropped. 0: exit status 0. ERR_IO: another one, or killed; ERR_BUSY: out of time. `why` has git's own last words. */
int git_process_end(struct git_process *process, struct why *why);
/* What it said on standard error until now, without a newline at the end; "" for nothing. */
const char *git_process_said(struct git_process *process);
/* After git_process_end: the exit status, or 128 + the signal. */
int git_process_status(const struct git_process *process);
/* Kills the group; from any thread, as long as the process is not closed. */
void git_process_kill(struct git_process *process);
/* Also kills it if it runs. Does not wait. */
void git_process_close(struct git_process *process);

/* [blocks] Start, read all of its output into `out` (NULL: dropped), end, close. ERR_TOO_BIG: more output than `out` may hold. */
int git_run(const struct git_command *command, struct buffer *out, struct why *why);

/* [blocks] The same for a command with output GIT_FD_PIPE, whose output is dropped; ERR_CLOSED soon after *stopping is true. */
int git_run_until(const struct git_command *command, const _Atomic bool *stopping, struct why *why);

/* "git version 2.39.5" without the first two words; "" when there is no git. [blocks] the first time. */
const char *git_version(void);

#endif
