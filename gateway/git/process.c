#include "gateway/git/process_state.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { EXIT_POLL_MS = 2 /* where the kernel has no pidfd */ };

static int64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ starting */

static void close_streams(struct git_process *process)
{
	process_close_fd(&process->in);
	process_close_fd(&process->out);
	process_close_fd(&process->err);
	process_close_fd(&process->exit_fd);
}

int git_process_start(struct git_process **out, const struct git_command *command, struct why *why)
{
	*out = NULL;
	if (!process_find_git())
		return why_set(why, ERR_UNSUPPORTED, "there is no git on this server");
	struct git_process *process = calloc(1, sizeof(*process));
	if (!process)
		return why_set(why, ERR_NO_MEMORY, "no memory for a process");
	process->in = process->out = process->err = process->exit_fd = -1;
	process->deadline_ms = clock_ms() + (int64_t)(command->wall_ms_max ? command->wall_ms_max : (uint64_t)GIT_WALL_MS_DEFAULT);
	pthread_mutex_init(&process->mutex, NULL);
	int err = process_launch(process, command, why);
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
			process_close_fd(&process->err);
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
			process_close_fd(&process->out);
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
			process_close_fd(&process->in);
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
	process_close_fd(&process->in);
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
	process_close_fd(&process->in);
	process_close_fd(&process->out);
	int err = 0;
	while (!process_reap(process) && err == 0) {
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
	if (process_reap(process))
		process_free(process);
	else
		process_reap_later(process);
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

int git_run_until(const struct git_command *command, const _Atomic bool *stopping, struct why *why)
{
	enum { LOOK_MS = 200 };
	struct git_process *process;
	uint8_t dropped[4096];
	int64_t got = ERR_AGAIN;
	int err = git_process_start(&process, command, why);
	if (err)
		return err;
	while (err == 0 && got != 0) {
		got = git_process_read(process, dropped, sizeof(dropped), false, why);
		err = *stopping ? ERR_CLOSED : got < 0 && got != ERR_AGAIN ? (int)got : 0;
		if (err == 0 && got == ERR_AGAIN)
			err = git_process_wait(process, LOOK_MS, why);
	}
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
