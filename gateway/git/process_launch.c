/* process_launch.c - makes a child that becomes git: what it gets, and nothing else. */
#include "gateway/git/process_state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	PIPE_BYTES = 256 << 10,
	FIRST_FREE_FD = 3,
};

/* ------------------------------------------------------------------ what every child gets */

static char git_path[512], path_variable[4096 + 8];
static pthread_once_t git_path_once = PTHREAD_ONCE_INIT;

/* Where the search path of this server, which its operator set, has git. */
static void find_git(void)
{
	const char *path = getenv("PATH");
	snprintf(path_variable, sizeof(path_variable), "PATH=%s", path && *path ? path : "/usr/local/bin:/usr/bin:/bin");
	for (const char *at = path_variable + strlen("PATH="); *at;) {
		size_t length = strcspn(at, ":");
		char candidate[sizeof(git_path)];
		bool fits = (size_t)snprintf(candidate, sizeof(candidate), "%.*s/git", (int)length, at) < sizeof(candidate);
		if (fits && at[0] == '/' && access(candidate, X_OK) == 0) {
			memcpy(git_path, candidate, sizeof(git_path));
			return;
		}
		at += length + (at[length] == ':');
	}
}

bool process_find_git(void)
{
	pthread_once(&git_path_once, find_git);
	return git_path[0] != 0;
}

static const char *const environment_always[] = {
	"HOME=/nonexistent", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
	"GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1",
};

enum { ALWAYS_COUNT = sizeof(environment_always) / sizeof(environment_always[0]) };

/* Everything the child needs, made before it exists: between vfork and exec only system calls are safe. */
struct launch {
	const char *arguments[GIT_ARGUMENTS_MAX + 2];
	const char *environment[GIT_ENVIRONMENT_MAX + ALWAYS_COUNT + 2];
	const char *directory;
	int fds[3];
	struct rlimit memory, cpu, file_size, files;
	pid_t parent;
	volatile int failed; /* errno of what failed in the child */
};

/* Never more than this server may use itself. */
static struct rlimit limit_of(__rlimit_resource_t resource, uint64_t asked, uint64_t fallback)
{
	rlim_t value = asked ? (rlim_t)asked : (rlim_t)fallback;
	struct rlimit ours;
	if (getrlimit((__rlimit_resource_t)resource, &ours) == 0 && value > ours.rlim_max)
		value = ours.rlim_max;
	return (struct rlimit){ value, value };
}

static void launch_init(struct launch *launch, const struct git_command *command)
{
	size_t count = 0;
	launch->arguments[count++] = "git";
	for (const char *const *argument = command->arguments; *argument; argument++) {
		assert(count <= GIT_ARGUMENTS_MAX);
		launch->arguments[count++] = *argument;
	}
	launch->arguments[count] = NULL;
	count = 0;
	launch->environment[count++] = path_variable;
	for (size_t i = 0; i < ALWAYS_COUNT; i++)
		launch->environment[count++] = environment_always[i];
	for (const char *const *extra = command->environment; extra && *extra; extra++) {
		assert(count <= ALWAYS_COUNT + GIT_ENVIRONMENT_MAX);
		launch->environment[count++] = *extra;
	}
	launch->environment[count] = NULL;
	launch->directory = command->directory ? command->directory : "/";
	launch->memory = limit_of(RLIMIT_DATA, command->memory_bytes_max, GIT_MEMORY_BYTES_DEFAULT);
	launch->cpu = limit_of(RLIMIT_CPU, command->cpu_s_max, GIT_CPU_S_DEFAULT);
	launch->file_size = limit_of(RLIMIT_FSIZE, command->file_bytes_max, (uint64_t)RLIM_INFINITY);
	launch->files = limit_of(RLIMIT_NOFILE, GIT_OPEN_FILES_MAX, 0);
	launch->parent = getpid();
	launch->failed = 0;
}

/* The kernel, when short of memory, should take a git before the server. */
static void offer_to_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t written = write(fd, "500", 3);
		(void)written;
		close(fd);
	}
}

/* In the child, in the parent's memory, while the parent waits. */
static _Noreturn void become_git(struct launch *launch)
{
	sigset_t none;
	sigemptyset(&none);
	struct sigaction plain = { .sa_handler = SIG_DFL };
	if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != launch->parent || sigaction(SIGPIPE, &plain, NULL) != 0 ||
		setrlimit(RLIMIT_DATA, &launch->memory) != 0 || setrlimit(RLIMIT_CPU, &launch->cpu) != 0 ||
		setrlimit(RLIMIT_FSIZE, &launch->file_size) != 0 || setrlimit(RLIMIT_NOFILE, &launch->files) != 0 ||
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) != 0)
		goto failed;
	offer_to_oom_killer();
	for (int i = 0; i < 3; i++)
		if (dup2(launch->fds[i], i) != i)
			goto failed;
	syscall(SYS_close_range, 3u, ~0u, 0u); /* all of ours are O_CLOEXEC; this is for what libraries opened */
	if (chdir(launch->directory) != 0 || sigprocmask(SIG_SETMASK, &none, NULL) != 0)
		goto failed;
	execve(git_path, (char *const *)(uintptr_t)launch->arguments, (char *const *)(uintptr_t)launch->environment);
failed:
	launch->failed = errno;
	_exit(127);
}

static __attribute__((noinline)) pid_t start_child(struct launch *launch)
{
	pid_t pid = vfork();
	if (pid == 0)
		become_git(launch);
	return pid;
}

/* ------------------------------------------------------------------ starting */

/* A server that was started without its first three descriptors must not hand one of ours away as one of them. */
static int lift(int fd)
{
	if (fd < 0 || fd >= FIRST_FREE_FD)
		return fd;
	int lifted = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	close(fd);
	return lifted;
}

static int make_pipe(int *read_end, int *write_end)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	*read_end = lift(ends[0]);
	*write_end = lift(ends[1]);
	return *read_end >= 0 && *write_end >= 0 ? 0 : -1;
}

static int set_non_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* fds[i] are the child's ends; those that we made are closed by the caller. */
static int open_streams(struct git_process *process, const struct git_command *command, struct launch *launch)
{
	launch->fds[0] = command->input;
	launch->fds[1] = command->output;
	launch->fds[2] = -1;
	if (command->input == GIT_FD_NONE)
		launch->fds[0] = lift(open("/dev/null", O_RDONLY | O_CLOEXEC));
	else if (command->input == GIT_FD_PIPE && make_pipe(&launch->fds[0], &process->in) != 0)
		return -1;
	if (command->output == GIT_FD_NONE)
		launch->fds[1] = lift(open("/dev/null", O_WRONLY | O_CLOEXEC));
	else if (command->output == GIT_FD_PIPE && make_pipe(&process->out, &launch->fds[1]) != 0)
		return -1;
	if (launch->fds[0] < 0 || launch->fds[1] < 0 || make_pipe(&process->err, &launch->fds[2]) != 0)
		return -1;
	if (process->out >= 0)
		fcntl(process->out, F_SETPIPE_SZ, PIPE_BYTES); /* a wish */
	if ((process->in >= 0 && set_non_blocking(process->in) != 0) || (process->out >= 0 && set_non_blocking(process->out) != 0))
		return -1;
	return set_non_blocking(process->err);
}

int process_launch(struct git_process *process, const struct git_command *command, struct why *why)
{
	struct launch launch;
	launch_init(&launch, command);
	pid_t pid = -1;
	int failed = 0;
	if (open_streams(process, command, &launch) == 0)
		pid = start_child(&launch);
	failed = pid < 0 ? errno : launch.failed;
	if (command->input < 0)
		process_close_fd(&launch.fds[0]);
	if (command->output < 0)
		process_close_fd(&launch.fds[1]);
	process_close_fd(&launch.fds[2]);
	if (pid > 0)
		setpgid(pid, pid); /* has no effect but where vfork returns before the child has run, as under a sanitizer */
	if (pid > 0 && failed)
		waitpid(pid, NULL, 0);
	if (failed)
		return why_set(why, failed == ENOENT ? ERR_UNSUPPORTED : ERR_BUSY, "git cannot be started: %s", strerror(failed));
	process->pid = pid;
	process->exit_fd = lift((int)syscall(SYS_pidfd_open, pid, 0));
	return 0;
}
