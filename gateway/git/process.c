#include "gateway/git/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PIPE_BYTES = 256 << 10,
	EXIT_POLL_MS = 2,        /* where the kernel has no pidfd */
	REAPER_PAUSE_MS = 10,
	REAPER_STACK_BYTES = 256 << 10, /* libraries keep much of their own on every stack */
	FIRST_FREE_FD = 3,
};

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

static int64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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

/* ------------------------------------------------------------------ the reaper */

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool started;
	struct git_process *first;
} reaper = { .mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

/* git's own children outlive it only when something is wrong: the group goes before its number is free. True once the process is gone. */
static bool reap(struct git_process *process)
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

static void process_free(struct git_process *process)
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
			if (reap(process)) {
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

static void reap_later(struct git_process *process)
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

/* ------------------------------------------------------------------ starting */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

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

static void close_streams(struct git_process *process)
{
	close_fd(&process->in);
	close_fd(&process->out);
	close_fd(&process->err);
	close_fd(&process->exit_fd);
}

static int start(struct git_process *process, const struct git_command *command, struct why *why)
{
	struct launch launch;
	launch_init(&launch, command);
	pid_t pid = -1;
	int failed = 0;
	if (open_streams(process, command, &launch) == 0)
		pid = start_child(&launch);
	failed = pid < 0 ? errno : launch.failed;
	if (command->input < 0)
		close_fd(&launch.fds[0]);
	if (command->output < 0)
		close_fd(&launch.fds[1]);
	close_fd(&launch.fds[2]);
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

int git_process_start(struct git_process **out, const struct git_command *command, struct why *why)
{
	*out = NULL;
	pthread_once(&git_path_once, find_git);
	if (!git_path[0])
		return why_set(why, ERR_UNSUPPORTED, "there is no git on this server");
	struct git_process *process = calloc(1, sizeof(*process));
	if (!process)
		return why_set(why, ERR_NO_MEMORY, "no memory for a process");
	process->in = process->out = process->err = process->exit_fd = -1;
	process->deadline_ms = clock_ms() + (int64_t)(command->wall_ms_max ? command->wall_ms_max : (uint64_t)GIT_WALL_MS_DEFAULT);
	pthread_mutex_init(&process->mutex, NULL);
	int err = start(process, command, why);
	if (err) {
		close_streams(process);
		process_free(process);
		return err;
	}
	*out = process;
	return 0;
}

/* ------------------------------------------------------------------ running */

/* Takes what is on standard error, so that git never waits for us there. False once it is at its end. */
static bool drain_errors(struct git_process *process)
{
	while (process->err >= 0) {
		char dropped[1024];
		size_t room = GIT_STDERR_BYTES_MAX - process->said_length;
		ssize_t got = room ? read(process->err, process->said + process->said_length, room) : read(process->err, dropped, sizeof(dropped));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return true;
		if (got <= 0)
			close_fd(&process->err);
		else if (room)
			process->said_length += (size_t)got;
	}
	return false;
}

static int out_of_time(struct git_process *process, struct why *why)
{
	git_process_kill(process);
	return why_set(why, ERR_BUSY, "git took too long");
}

/* Waits until `fd` (-1: nothing) is ready, reading standard error meanwhile. 0 or ERR_BUSY. */
static int wait_for(struct git_process *process, int fd, short events, int64_t wait_ms_max, struct why *why)
{
	int64_t left = process->deadline_ms - clock_ms();
	if (left <= 0)
		return out_of_time(process, why);
	if (left > wait_ms_max)
		left = wait_ms_max;
	struct pollfd fds[2] = { { fd, events, 0 }, { process->err, POLLIN, 0 } };
	if (poll(fds, 2, (int)left) > 0 && fds[1].revents)
		drain_errors(process);
	return 0;
}

enum { WAIT_MS_MAX = 60000 };

int64_t git_process_read(struct git_process *process, void *out, size_t length, bool may_block, struct why *why)
{
	if (process->out < 0)
		return 0;
	for (;;) {
		ssize_t got = read(process->out, out, length);
		if (got > 0)
			return got;
		if (got == 0) {
			close_fd(&process->out);
			return 0;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return why_set(why, ERR_IO, "the output of git cannot be read: %s", strerror(errno));
		drain_errors(process);
		if (!may_block)
			return ERR_AGAIN;
		int err = wait_for(process, process->out, POLLIN, WAIT_MS_MAX, why);
		if (err)
			return err;
	}
}

int git_process_wait(struct git_process *process, int64_t ms_max, struct why *why)
{
	return process->out < 0 ? 0 : wait_for(process, process->out, POLLIN, ms_max, why);
}

int git_process_write(struct git_process *process, const void *data, size_t length, struct why *why)
{
	const uint8_t *at = data;
	while (length > 0) {
		if (process->in < 0)
			return ERR_CLOSED;
		ssize_t written = write(process->in, at, length);
		if (written > 0) {
			at += written;
			length -= (size_t)written;
			continue;
		}
		if (written < 0 && errno == EPIPE) {
			close_fd(&process->in);
			return why_set(why, ERR_CLOSED, "git stopped reading");
		}
		if (written < 0 && errno != EAGAIN && errno != EINTR)
			return why_set(why, ERR_IO, "the input of git cannot be written: %s", strerror(errno));
		int err = wait_for(process, process->in, POLLOUT, WAIT_MS_MAX, why);
		if (err)
			return err;
	}
	return 0;
}

void git_process_close_input(struct git_process *process)
{
	close_fd(&process->in);
}

/* ------------------------------------------------------------------ the end */

/* The last line that git said: it is the one that names the reason. */
static const char *last_words(struct git_process *process)
{
	const char *text = git_process_said(process);
	const char *line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

int git_process_end(struct git_process *process, struct why *why)
{
	close_fd(&process->in);
	close_fd(&process->out);
	int err = 0;
	while (!reap(process) && err == 0) {
		drain_errors(process);
		err = wait_for(process, process->exit_fd, POLLIN, process->exit_fd >= 0 ? WAIT_MS_MAX : EXIT_POLL_MS, why);
	}
	drain_errors(process);
	if (err)
		return err;
	if (process->status == 0)
		return 0;
	const char *said = last_words(process);
	if (process->status >= 128 && !*said)
		return why_set(why, ERR_IO, "git was ended by signal %d", process->status - 128);
	return why_set(why, ERR_IO, "git: %s", *said ? said : "it failed without a word");
}

const char *git_process_said(struct git_process *process)
{
	drain_errors(process);
	size_t length = process->said_length;
	while (length && (process->said[length - 1] == '\n' || process->said[length - 1] == ' '))
		length--;
	process->said[length] = 0;
	return process->said;
}

int git_process_status(const struct git_process *process)
{
	return process->status;
}

void git_process_kill(struct git_process *process)
{
	pthread_mutex_lock(&process->mutex);
	if (!process->reaped)
		kill(-process->pid, SIGKILL);
	pthread_mutex_unlock(&process->mutex);
}

void git_process_close(struct git_process *process)
{
	if (!process)
		return;
	git_process_kill(process);
	close_streams(process);
	if (reap(process))
		process_free(process);
	else
		reap_later(process);
}

static int read_all(struct git_process *process, struct buffer *out, struct why *why)
{
	uint8_t data[16384];
	int64_t got;
	while ((got = git_process_read(process, data, sizeof(data), true, why)) > 0) {
		int err = out ? buffer_append(out, data, (size_t)got) : 0;
		if (err)
			return why_set(why, err, "git answers more than expected");
	}
	return (int)got;
}

int git_run(const struct git_command *command, struct buffer *out, struct why *why)
{
	struct git_process *process;
	int err = git_process_start(&process, command, why);
	if (err)
		return err;
	if (command->output == GIT_FD_PIPE)
		err = read_all(process, out, why);
	if (err == 0)
		err = git_process_end(process, why);
	git_process_close(process);
	return err;
}

static char version[64];
static pthread_once_t version_once = PTHREAD_ONCE_INIT;

static void read_version(void)
{
	static const char *const arguments[] = { "--version", NULL };
	struct git_command command = { .arguments = arguments, .input = GIT_FD_NONE, .output = GIT_FD_PIPE };
	struct buffer out;
	buffer_init(&out, 4096);
	if (git_run(&command, &out, NULL) == 0 && out.length > 12)
		snprintf(version, sizeof(version), "%.*s", (int)strcspn((const char *)out.data + 12, "\n") & 63, (const char *)out.data + 12);
	buffer_fini(&out);
}

const char *git_version(void)
{
	pthread_once(&version_once, read_version);
	return version;
}
