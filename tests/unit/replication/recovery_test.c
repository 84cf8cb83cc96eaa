/* What is left after kill -9, lost stores and a damaged log. Each life of a node is a child process: RocksDB's threads do not survive a fork,
 * so the parent never opens a store. */
#include "tests/unit/replication/fixture.h"

#include "replication/node.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { NUMBERS_MAX = 200000, WORKERS = 8, LIVES = 8 };

/* Seen by parent and children. */
static struct shared {
	atomic_uint_fast64_t next;
	atomic_bool acknowledged[NUMBERS_MAX];
	atomic_bool made[NUMBERS_MAX]; /* the id is whole */
	struct command_id ids[NUMBERS_MAX];
} *shared;
static char *dir;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1); \
		} \
	} while (0)

static int set_up(void **state)
{
	(void)state;
	dir = directory_make();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED;
}

static int tear_down(void **state)
{
	(void)state;
	munmap(shared, sizeof(*shared));
	directory_remove(dir);
	free(dir);
	return 0;
}

static pid_t start_life(void (*life)(void))
{
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		life();
		_exit(0);
	}
	return child;
}

static int end_of(pid_t child)
{
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* Exit code of a life that ends by itself. */
static int live(void (*life)(void))
{
	int status = end_of(start_life(life));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- lives ---- */

static struct consensus *consensus;

static void *work(void *context)
{
	(void)context;
	for (;;) {
		uint64_t number = atomic_fetch_add(&shared->next, 1);
		if (number >= NUMBERS_MAX)
			return NULL;
		command_id_make(&shared->ids[number]);
		atomic_store(&shared->made[number], true);
		if (propose(consensus, COUNT, 1, &shared->ids[number], number, NULL, NULL) == 0)
			atomic_store(&shared->acknowledged[number], true);
	}
}

static void propose_for_ever(void)
{
	consensus = open_counter(dir);
	pthread_t threads[WORKERS];
	for (size_t i = 0; i < WORKERS; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (size_t i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
}

static void *snapshot_for_ever(void *context)
{
	(void)context;
	while (consensus_snapshot(consensus, NULL) == 0)
		continue;
	return NULL;
}

static void propose_and_snapshot_for_ever(void)
{
	consensus = open_counter(dir);
	pthread_t threads[WORKERS], snapshots;
	pthread_create(&snapshots, NULL, snapshot_for_ever, NULL);
	for (size_t i = 0; i < WORKERS; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (size_t i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	for (;;)
		pause();
}

static void check_acknowledged(void)
{
	consensus = open_counter(dir);
	for (uint64_t i = 0; i < atomic_load(&shared->next) && i < NUMBERS_MAX; i++) {
		uint64_t count = counter_get(consensus, i);
		CHECK(count <= 1);
		CHECK(count == 1 || !atomic_load(&shared->acknowledged[i]));
	}
	consensus_close(consensus);
}

static void retry_all_then_check(void)
{
	consensus = open_counter(dir);
	uint64_t end = atomic_load(&shared->next);
	for (uint64_t i = 0; i < end && i < NUMBERS_MAX; i++) {
		if (atomic_load(&shared->acknowledged[i]) || !atomic_load(&shared->made[i]))
			continue;
		struct why why = { 0 };
		int err = propose(consensus, COUNT, 1, &shared->ids[i], i, NULL, &why);
		if (err) {
			fprintf(stderr, "the retry of %llu: %s: %s\n", (unsigned long long)i, err_name(err), why.text);
			_exit(1);
		}
		CHECK(counter_get(consensus, i) == 1);
	}
	consensus_close(consensus);
}

static void open_and_close(void)
{
	consensus = open_counter(dir);
	consensus_close(consensus);
}

static void open_and_wait(void)
{
	consensus = open_counter(dir);
	for (;;)
		pause();
}

/* 100 commands acknowledged, the state flushed half-way, then death. */
static void propose_snapshot_die(void)
{
	consensus = open_counter(dir);
	for (uint64_t i = 0; i < 100; i++) {
		CHECK(propose(consensus, COUNT, 1, NULL, i, NULL, NULL) == 0);
		if (i == 50) {
			struct why why = { 0 };
			CHECK(consensus_snapshot(consensus, &why) == 0);
		}
	}
	kill(getpid(), SIGKILL);
}

static void check_100(void)
{
	consensus = open_counter(dir);
	for (uint64_t i = 0; i < 100; i++)
		CHECK(counter_get(consensus, i) == 1);
	consensus_close(consensus);
}

static void propose_unknown_version(void)
{
	consensus = open_counter(dir);
	propose(consensus, COUNT, 99, NULL, 1, NULL, NULL);
}

static int refused_with(const char *words)
{
	struct consensus_config config = { .dir = dir, .machine = &counter_machine, .reserve_bytes = 1 };
	struct why why = { 0 };
	int err = consensus_open(&consensus, &config, &why);
	if (err != ERR_CORRUPT || !strstr(why.text, words)) {
		fprintf(stderr, "opening gave %s: %s\n", err_name(err), why.text);
		return 1;
	}
	return 0;
}

static void refused_lost_entries(void)
{
	_exit(refused_with("acknowledged entries are lost"));
}

static void refused_state_gone(void)
{
	_exit(refused_with("its state is gone"));
}

static void refused_log_gone(void)
{
	_exit(refused_with("its log is gone"));
}

static void refused_mixed(void)
{
	_exit(refused_with("different nodes"));
}

/* ---- tests ---- */

static void kill_in_a_loop(void (*life)(void))
{
	for (int i = 0; i < LIVES; i++) {
		pid_t child = start_life(life);
		usleep((useconds_t)(150000 + 40000 * i));
		kill(child, SIGKILL);
		int status = end_of(child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		assert_int_equal(live(check_acknowledged), 0);
	}
	assert_int_equal(live(retry_all_then_check), 0);
	uint64_t acknowledged = 0;
	for (uint64_t i = 0; i < NUMBERS_MAX; i++)
		acknowledged += atomic_load(&shared->acknowledged[i]);
	print_message("%llu of %llu acknowledged before a kill\n", (unsigned long long)acknowledged, (unsigned long long)atomic_load(&shared->next));
	assert_true(acknowledged > 0);
}

static void every_acknowledged_command_survives_kill_9_and_none_is_applied_twice(void **state)
{
	(void)state;
	kill_in_a_loop(propose_for_ever);
}

static void the_same_holds_while_flush_marks_are_taken_all_the_time(void **state)
{
	(void)state;
	kill_in_a_loop(propose_and_snapshot_for_ever);
}

static void entries_above_the_flush_mark_are_applied_again(void **state)
{
	(void)state;
	assert_int_equal(live(propose_snapshot_die), -SIGKILL);
	assert_int_equal(live(check_100), 0);
	assert_int_equal(live(check_100), 0);
}

static void a_first_start_that_was_cut_short_is_a_first_start_again(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++) {
		pid_t child = start_life(open_and_wait);
		usleep((useconds_t)(2000 * i));
		kill(child, SIGKILL);
		end_of(child);
	}
	assert_int_equal(live(open_and_close), 0);
}

/* Flips a byte in the middle of the newest write-ahead log of `raftlog` that has content. */
static void damage_log(void)
{
	char path[4096], newest[4096] = "";
	snprintf(path, sizeof(path), "%s/raftlog", dir);
	DIR *folder = opendir(path);
	assert_non_null(folder);
	off_t size = 0;
	for (struct dirent *file; (file = readdir(folder)) != NULL;) {
		size_t length = strlen(file->d_name);
		if (length < 4 || strcmp(file->d_name + length - 4, ".log") != 0)
			continue;
		char full[8192];
		struct stat info;
		snprintf(full, sizeof(full), "%s/%s", path, file->d_name);
		if (stat(full, &info) == 0 && info.st_size > size) {
			size = info.st_size;
			snprintf(newest, sizeof(newest), "%.4095s", full);
		}
	}
	closedir(folder);
	assert_true(size > 100);
	int fd = open(newest, O_RDWR);
	uint8_t byte;
	assert_int_equal(pread(fd, &byte, 1, size / 8), 1);
	byte ^= 0x55;
	assert_int_equal(pwrite(fd, &byte, 1, size / 8), 1);
	close(fd);
}

static void a_log_that_lost_durable_entries_is_refused(void **state)
{
	(void)state;
	assert_int_equal(live(propose_snapshot_die), -SIGKILL);
	damage_log();
	assert_int_equal(live(refused_lost_entries), 0);
}

static void an_unknown_command_version_stops_the_node_now_and_at_every_start(void **state)
{
	(void)state;
	assert_int_equal(live(propose_unknown_version), NODE_STOP_STATUS);
	assert_int_equal(live(open_and_close), NODE_STOP_STATUS);
}

static void rename_store(const char *from, const char *to)
{
	char a[4096], b[4096];
	snprintf(a, sizeof(a), "%s/%s", dir, from);
	snprintf(b, sizeof(b), "%s/%s", dir, to);
	assert_int_equal(rename(a, b), 0);
}

static void a_node_with_one_store_or_a_strange_one_refuses_to_start(void **state)
{
	(void)state;
	assert_int_equal(live(open_and_close), 0);
	rename_store("meta", "meta-1");
	assert_int_equal(live(refused_state_gone), 0);
	char path[4096];
	snprintf(path, sizeof(path), "%s/meta", dir);
	directory_remove(path);
	rename_store("meta-1", "meta");
	rename_store("raftlog", "raftlog-1");
	assert_int_equal(live(refused_log_gone), 0);

	snprintf(path, sizeof(path), "%s/raftlog", dir);
	directory_remove(path);
	rename_store("meta", "meta-1");
	snprintf(path, sizeof(path), "%s/meta", dir);
	directory_remove(path);
	assert_int_equal(live(open_and_close), 0); /* another node */
	directory_remove(path);
	rename_store("meta-1", "meta");
	assert_int_equal(live(refused_mixed), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_acknowledged_command_survives_kill_9_and_none_is_applied_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_same_holds_while_flush_marks_are_taken_all_the_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(entries_above_the_flush_mark_are_applied_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_first_start_that_was_cut_short_is_a_first_start_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_log_that_lost_durable_entries_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_unknown_command_version_stops_the_node_now_and_at_every_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_node_with_one_store_or_a_strange_one_refuses_to_start, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
