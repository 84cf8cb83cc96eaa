/* Leases of processes: each comes back when its process ends, however it ends. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/git/lease_watch.h"

static atomic_int released, left;
static struct gateway gateway;
static struct lease_watch *watch;

/* In place of the cache's. */
void git_cache_release(struct gateway *owner, struct git_lease *lease)
{
	assert_ptr_equal(owner, &gateway);
	assert_non_null(lease->repo);
	atomic_fetch_add(&released, 1);
}

/* In place of the gate's. */
void gate_leave(struct gate_pass *pass)
{
	if (pass->gate)
		atomic_fetch_add(&left, 1);
	pass->gate = NULL;
}

static struct gate_pass a_pass(void)
{
	return (struct gate_pass){ .gate = (struct gate *)&gateway };
}

static struct git_lease a_lease(void)
{
	return (struct git_lease){ .repo = (struct git_cache_repo *)&gateway };
}

static int add(struct git_lease *lease, pid_t pid, struct why *why)
{
	struct gate_pass pass = a_pass();
	int err = lease_watch_add(watch, lease, &pass, pid, why);
	assert_int_equal(err == 0, pass.gate == NULL);
	return err;
}

static pid_t start(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

static void end(pid_t pid, int signal_number)
{
	kill(pid, signal_number);
	waitpid(pid, NULL, 0);
}

static void wait_for(int count)
{
	for (int i = 0; i < 1000 && (atomic_load(&released) < count); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	for (int i = 0; i < 1000 && (atomic_load(&left) < count); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	assert_int_equal(atomic_load(&released), count);
	assert_int_equal(atomic_load(&left), count);
}

static int set_up(void **state)
{
	(void)state;
	atomic_store(&released, 0);
	atomic_store(&left, 0);
	return lease_watch_open(&watch, &gateway, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	lease_watch_close(watch);
	return 0;
}

static void a_lease_comes_back_when_its_process_ends(void **state)
{
	(void)state;
	pid_t first = start(), second = start();
	struct git_lease lease = a_lease(), other = a_lease();
	assert_int_equal(add(&lease, first, NULL), 0);
	assert_null(lease.repo);
	assert_int_equal(add(&other, second, NULL), 0);
	assert_int_equal(lease_watch_count(watch), 2);
	end(first, SIGKILL);
	wait_for(1);
	assert_int_equal(lease_watch_count(watch), 1);
	end(second, SIGTERM);
	wait_for(2);
	assert_int_equal(lease_watch_count(watch), 0);
}

static void a_process_that_is_not_there_gets_none(void **state)
{
	(void)state;
	pid_t gone = start();
	end(gone, SIGKILL);
	struct git_lease lease = a_lease();
	struct why why = { 0 };
	assert_int_equal(add(&lease, gone, &why), ERR_NOT_FOUND);
	assert_int_equal(add(&lease, 0, &why), ERR_NOT_FOUND);
	assert_int_equal(add(&lease, -1, &why), ERR_NOT_FOUND);
	assert_non_null(lease.repo);
	assert_true(why.text[0] != 0);
	assert_int_equal(atomic_load(&released), 0);
}

static void one_process_may_hold_many_but_not_all_too_many(void **state)
{
	(void)state;
	pid_t pid = start();
	for (int i = 0; i < LEASE_WATCH_MAX; i++) {
		struct git_lease lease = a_lease();
		assert_int_equal(add(&lease, pid, NULL), 0);
	}
	struct git_lease lease = a_lease();
	assert_int_equal(add(&lease, pid, NULL), ERR_BUSY);
	assert_non_null(lease.repo);
	end(pid, SIGKILL);
	wait_for(LEASE_WATCH_MAX);
}

static void closing_gives_everything_back(void **state)
{
	(void)state;
	pid_t pid = start();
	struct git_lease lease = a_lease();
	assert_int_equal(add(&lease, pid, NULL), 0);
	lease_watch_close(watch);
	watch = NULL;
	assert_int_equal(atomic_load(&released), 1);
	end(pid, SIGKILL);
}

enum { LOOK_MS = 1000 };

static void who_does_nothing_gives_the_place_back_and_is_ended_later(void **state)
{
	(void)state;
	pid_t pid = start();
	struct git_lease lease = a_lease();
	lease_watch_set_look(watch, LOOK_MS);
	assert_int_equal(add(&lease, pid, NULL), 0);
	for (int i = 0; i < 600 && atomic_load(&left) == 0; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 50 * 1000000L }, NULL);
	assert_int_equal(atomic_load(&left), 1);
	assert_int_equal(atomic_load(&released), 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it goes on */
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	wait_for(1);
	assert_int_equal(atomic_load(&left), 1);
}

/* As a git below a shell: the one that is watched only waits. */
static pid_t start_parent_of_one_that_sends(long bytes, long pause_ms)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	if (fork() == 0) {
		static char data[1 << 20];
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int fd = open("/dev/null", O_WRONLY);;) {
			if (write(fd, data, (size_t)bytes) < 0)
				_exit(1);
			nanosleep(&(struct timespec){ .tv_nsec = pause_ms * 1000000L }, NULL);
		}
	}
	pause();
	_exit(0);
}

static void who_sends_keeps_the_place_and_who_sends_little_goes_on_without(void **state)
{
	(void)state;
	pid_t quick = start_parent_of_one_that_sends(1 << 20, 10), slow = start_parent_of_one_that_sends(400, 100);
	struct git_lease first = a_lease(), second = a_lease();
	lease_watch_set_look(watch, LOOK_MS);
	assert_int_equal(add(&first, quick, NULL), 0);
	assert_int_equal(add(&second, slow, NULL), 0);
	nanosleep(&(struct timespec){ .tv_sec = (LEASE_IDLE_LOOKS + 3) * LOOK_MS / 1000 }, NULL);
	assert_int_equal(atomic_load(&left), 1);
	assert_int_equal(atomic_load(&released), 0);
	end(quick, SIGKILL);
	end(slow, SIGKILL);
	wait_for(2);
	assert_int_equal(atomic_load(&left), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_lease_comes_back_when_its_process_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_process_that_is_not_there_gets_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_process_may_hold_many_but_not_all_too_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_does_nothing_gives_the_place_back_and_is_ended_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_sends_keeps_the_place_and_who_sends_little_goes_on_without, set_up, tear_down),
		cmocka_unit_test_setup_teardown(closing_gives_everything_back, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
