#include "ops/cairn/git_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

enum { WORDS_MAX = 32, NO_START = 127 };

static char *copy(const char *text)
{
	char *made = strdup(text);
	if (!made)
		abort();
	return made;
}

void git_settings_config(struct git_settings *settings, const char *key, const char *value)
{
	if (settings->config_count == GIT_RUN_SETTINGS_MAX)
		abort(); /* our own list is too long */
	settings->config[settings->config_count].key = copy(key);
	settings->config[settings->config_count++].value = copy(value);
}

void git_settings_variable(struct git_settings *settings, const char *name, const char *value)
{
	if (settings->variables_count == GIT_RUN_SETTINGS_MAX)
		abort();
	settings->variables[settings->variables_count].name = copy(name);
	settings->variables[settings->variables_count++].value = copy(value);
}

static void wipe(char *text)
{
	if (text)
		sodium_memzero(text, strlen(text));
	free(text);
}

void git_settings_free(struct git_settings *settings)
{
	for (size_t i = 0; i < settings->config_count; i++) {
		free(settings->config[i].key);
		wipe(settings->config[i].value);
	}
	for (size_t i = 0; i < settings->variables_count; i++) {
		free(settings->variables[i].name);
		wipe(settings->variables[i].value);
	}
	*settings = (struct git_settings){ 0 };
}

/* ------------------------------------------------------------------ the child */

/* Behind whatever settings the operator's own environment carries. */
static void export_settings(const struct git_settings *settings)
{
	char name[64], number[32];
	const char *given = getenv("GIT_CONFIG_COUNT");
	long count = given ? strtol(given, NULL, 10) : 0;
	if (count < 0 || count > 1000)
		count = 0;
	for (size_t i = 0; i < settings->config_count; i++, count++) {
		snprintf(name, sizeof(name), "GIT_CONFIG_KEY_%ld", count);
		setenv(name, settings->config[i].key, 1);
		snprintf(name, sizeof(name), "GIT_CONFIG_VALUE_%ld", count);
		setenv(name, settings->config[i].value, 1);
	}
	snprintf(number, sizeof(number), "%ld", count);
	setenv("GIT_CONFIG_COUNT", number, 1);
	for (size_t i = 0; i < settings->variables_count; i++)
		setenv(settings->variables[i].name, settings->variables[i].value, 1);
}

static _Noreturn void become_git(const struct git_settings *settings, const char *git_dir, const char *const *arguments, int input, int output)
{
	/* Of a repository that this command happens to be run in. */
	static const char *const strange[] = { "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
		"GIT_NAMESPACE", "GIT_COMMON_DIR", "GIT_PREFIX" };
	const char *words[WORDS_MAX * 32 + 2] = { "git" };
	size_t count = 1;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
		unsetenv(strange[i]);
	if (git_dir)
		setenv("GIT_DIR", git_dir, 1);
	setenv("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh", 0);
	export_settings(settings);
	for (; arguments[count - 1] && count < sizeof(words) / sizeof(words[0]) - 1; count++)
		words[count] = arguments[count - 1];
	if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0)
		_exit(NO_START);
	execvp("git", (char *const *)(uintptr_t)words);
	fprintf(stderr, "cairn: git cannot be started: %m\n");
	_exit(NO_START);
}

/* Feeds and drains until both ends are done. */
static void talk(int input, int output, struct span text, struct buffer *out)
{
	while (input >= 0 || output >= 0) {
		struct pollfd fds[] = { { .fd = input, .events = POLLOUT }, { .fd = output, .events = POLLIN } };
		if (input >= 0 && text.length == 0) {
			close(input);
			input = -1;
			continue;
		}
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents) {
			ssize_t written = write(input, text.data, text.length);
			text = written > 0 ? span_of(text.data + written, text.length - (size_t)written) : span_of(NULL, 0);
		}
		if (fds[1].revents) {
			uint8_t bytes[16384];
			ssize_t length = read(output, bytes, sizeof(bytes));
			if (length > 0) {
				buffer_append(out, bytes, (size_t)length);
			} else if (length == 0 || errno != EINTR) {
				close(output);
				output = -1;
			}
		}
	}
}

int git_run_arguments(const struct git_settings *settings, const char *git_dir, const char *const *arguments, struct span input, struct buffer *out)
{
	int in[2], from[2] = { -1, -1 };
	if (pipe2(in, O_CLOEXEC) != 0 || (out && pipe2(from, O_CLOEXEC) != 0)) {
		fprintf(stderr, "cairn: %m\n");
		return NO_START;
	}
	fflush(NULL);
	signal(SIGPIPE, SIG_IGN);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		become_git(settings, git_dir, arguments, in[0], out ? from[1] : STDERR_FILENO);
	}
	close(in[0]);
	if (out)
		close(from[1]);
	if (pid < 0) {
		fprintf(stderr, "cairn: %m\n");
		close(in[1]);
		if (out)
			close(from[0]);
		return NO_START;
	}
	talk(in[1], from[0], input, out);
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int git_run_words(const struct git_settings *settings, const char *git_dir, struct buffer *out, const char *word, ...)
{
	const char *arguments[WORDS_MAX + 1];
	size_t count = 0;
	va_list words;
	va_start(words, word);
	for (; word && count < WORDS_MAX; word = va_arg(words, const char *))
		arguments[count++] = word;
	va_end(words);
	arguments[count] = NULL;
	return git_run_arguments(settings, git_dir, arguments, span_of(NULL, 0), out);
}
