/* git as a child process: what it gets, what it may use, and that nothing of it stays. */
#include "gateway/git/process.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* An alias that begins with '!' is a shell command: whatever git's children may do, it can show. */
static int run_shell(const char *script, struct git_command command, struct buffer *out, struct why *why)
{
	char alias[2048];
	snprintf(alias, sizeof(alias), "alias.x=!%s", script);
	const char *arguments[] = { "-c", alias, "x", NULL };
	command.arguments = arguments;
	return git_run(&command, out, why);
}

static const struct git_command plain = { .input = GIT_FD_NONE, .output = GIT_FD_PIPE };

static void a_git_answers_and_says_which_version_it_is(void **state)
{
	(void)state;
	assert_true(git_version()[0] >= '2');
}

static void a_child_gets_the_environment_that_it_was_given_and_no_other(void **state)
{
	(void)state;
	struct buffer out;
	struct why why = { 0 };
	const char *extras[] = { "GIT_PROTOCOL=version=2", NULL };
	struct git_command command = plain;
	command.environment = extras;
	setenv("HF_TOKEN", "secret", 1);
	setenv("GIT_DIR", "/somewhere", 1);
	buffer_init(&out, 65536);
	assert_int_equal(run_shell("env", command, &out, &why), 0);
	unsetenv("GIT_DIR");
	buffer_append_byte(&out, 0);
	const char *text = (const char *)out.data;
	assert_non_null(strstr(text, "GIT_PROTOCOL=version=2\n"));
	assert_non_null(strstr(text, "GIT_CONFIG_NOSYSTEM=1\n"));
	assert_non_null(strstr(text, "GIT_CONFIG_GLOBAL=/dev/null\n"));
	assert_null(strstr(text, "secret"));
	assert_null(strstr(text, "/somewhere"));
	buffer_fini(&out);
}

static void a_child_gets_three_descriptors(void **state)
{
	(void)state;
	struct buffer out;
	struct why why = { 0 };
	int leaky = open("/dev/null", O_RDONLY); /* not O_CLOEXEC */
	buffer_init(&out, 65536);
	assert_int_equal(run_shell("ls -1 /proc/self/fd | wc -l", plain, &out, &why), 0);
	assert_in_range(atoi((const char *)out.data), 3, 4); /* ls opens the directory */
	buffer_fini(&out);
	close(leaky);
}

static void signals_are_as_they_are_by_default(void **state)
{
	(void)state;
	struct buffer out;
	struct why why = { 0 };
	sigset_t all, old;
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	buffer_init(&out, 65536);
	assert_int_equal(run_shell("grep -E 'Sig(Blk|Ign)' /proc/self/status", plain, &out, &why), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	buffer_append_byte(&out, 0);
	assert_non_null(strstr((const char *)out.data, "SigBlk:\t0000000000000000"));
	assert_non_null(strstr((const char *)out.data, "SigIgn:\t0000000000000000"));
	buffer_fini(&out);
}

static void a_failure_comes_with_the_words_of_git(void **state)
{
	(void)state;
	struct why why = { 0 };
	const char *arguments[] = { "upload-pack", "/nowhere-at-all", NULL };
	struct git_command command = { .arguments = arguments, .input = GIT_FD_NONE, .output = GIT_FD_PIPE };
	struct git_process *process;
	assert_int_equal(git_process_start(&process, &command, &why), 0);
	assert_int_equal(git_process_end(process, &why), ERR_IO);
	assert_int_equal(git_process_status(process), 128);
	assert_non_null(strstr(why.text, "/nowhere-at-all"));
	git_process_close(process);
}

static void more_on_standard_error_than_is_kept_blocks_nobody(void **state)
{
	(void)state;
	struct why why = { 0 };
	assert_int_equal(run_shell("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 3", plain, NULL, &why), ERR_IO);
}

static void input_is_written_and_output_read(void **state)
{
	(void)state;
	struct why why = { 0 };
	const char *arguments[] = { "hash-object", "--stdin", NULL };
	struct git_command command = { .arguments = arguments, .input = GIT_FD_PIPE, .output = GIT_FD_PIPE };
	struct git_process *process;
	char text[64] = { 0 };
	assert_int_equal(git_process_start(&process, &command, &why), 0);
	assert_int_equal(git_process_write(process, "hello\n", 6, &why), 0);
	git_process_close_input(process);
	assert_int_equal(git_process_read(process, text, sizeof(text), true, &why), 41);
	assert_string_equal(text, "ce013625030ba8dba906f756967f9e9ca394464a\n");
	assert_int_equal(git_process_read(process, text, sizeof(text), true, &why), 0);
	assert_int_equal(git_process_end(process, &why), 0);
	git_process_close(process);
}

static void a_child_that_does_not_read_is_noticed(void **state)
{
	(void)state;
	struct why why = { 0 };
	const char *arguments[] = { "--version", NULL };
	struct git_command command = { .arguments = arguments, .input = GIT_FD_PIPE, .output = GIT_FD_NONE };
	struct git_process *process;
	static uint8_t data[1 << 20];
	assert_int_equal(git_process_start(&process, &command, &why), 0);
	assert_int_equal(git_process_write(process, data, sizeof(data), &why), ERR_CLOSED);
	assert_int_equal(git_process_end(process, &why), 0);
	git_process_close(process);
}

static void a_child_that_takes_too_long_is_killed(void **state)
{
	(void)state;
	struct why why = { 0 };
	struct git_command command = plain;
	command.wall_ms_max = 100;
	int64_t began = now_ms();
	assert_int_equal(run_shell("sleep 20", command, NULL, &why), ERR_BUSY);
	assert_true(now_ms() - began < 5000);
}

static void a_child_that_writes_too_large_a_file_fails(void **state)
{
	(void)state;
	struct why why = { 0 };
	struct git_command command = plain;
	command.file_bytes_max = 1 << 20;
	char path[] = "/tmp/cairn-process-XXXXXX", script[128];
	close(mkstemp(path));
	snprintf(script, sizeof(script), "head -c 3000000 /dev/zero > %s", path);
	assert_int_not_equal(run_shell(script, command, NULL, &why), 0);
	unlink(path);
}

static bool is_gone(pid_t pid)
{
	for (int i = 0; i < 500; i++) {
		if (kill(pid, 0) != 0 && errno == ESRCH)
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	return false;
}

static void closing_ends_the_children_of_the_child_too(void **state)
{
	(void)state;
	struct why why = { 0 };
	const char *arguments[] = { "-c", "alias.x=!sleep 60 & echo $!; wait", "x", NULL };
	struct git_command command = { .arguments = arguments, .input = GIT_FD_NONE, .output = GIT_FD_PIPE };
	struct git_process *process;
	char text[64] = { 0 };
	assert_int_equal(git_process_start(&process, &command, &why), 0);
	assert_true(git_process_read(process, text, sizeof(text) - 1, true, &why) > 0);
	pid_t grandchild = atoi(text);
	assert_int_equal(kill(grandchild, 0), 0);
	git_process_close(process);
	assert_true(is_gone(grandchild));
}

static void no_dead_child_stays_behind(void **state)
{
	(void)state;
	struct why why = { 0 };
	const char *arguments[] = { "-c", "alias.x=!sleep 60", "x", NULL };
	struct git_command command = { .arguments = arguments, .input = GIT_FD_NONE, .output = GIT_FD_PIPE };
	for (int i = 0; i < 20; i++) {
		struct git_process *process;
		assert_int_equal(git_process_start(&process, &command, &why), 0);
		git_process_close(process);
	}
	siginfo_t info;
	for (int i = 0; i < 500 && waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG) == 0; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void reading_without_waiting_says_so(void **state)
{
	(void)state;
	struct why why = { 0 };
	const char *arguments[] = { "-c", "alias.x=!sleep 0.2; echo done", "x", NULL };
	struct git_command command = { .arguments = arguments, .input = GIT_FD_NONE, .output = GIT_FD_PIPE };
	struct git_process *process;
	char text[64];
	assert_int_equal(git_process_start(&process, &command, &why), 0);
	assert_int_equal(git_process_read(process, text, sizeof(text), false, &why), ERR_AGAIN);
	assert_int_equal(git_process_read(process, text, sizeof(text), true, &why), 5);
	git_process_close(process);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_git_answers_and_says_which_version_it_is),
		cmocka_unit_test(a_child_gets_the_environment_that_it_was_given_and_no_other),
		cmocka_unit_test(a_child_gets_three_descriptors),
		cmocka_unit_test(signals_are_as_they_are_by_default),
		cmocka_unit_test(a_failure_comes_with_the_words_of_git),
		cmocka_unit_test(more_on_standard_error_than_is_kept_blocks_nobody),
		cmocka_unit_test(input_is_written_and_output_read),
		cmocka_unit_test(a_child_that_does_not_read_is_noticed),
		cmocka_unit_test(a_child_that_takes_too_long_is_killed),
		cmocka_unit_test(a_child_that_writes_too_large_a_file_fails),
		cmocka_unit_test(closing_ends_the_children_of_the_child_too),
		cmocka_unit_test(no_dead_child_stays_behind),
		cmocka_unit_test(reading_without_waiting_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
