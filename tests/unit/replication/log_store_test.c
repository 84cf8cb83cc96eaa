/* The log on disk: what is written is loaded, ranges are cut at both ends, holes are refused. */
#include "tests/unit/replication/fixture.h"

#include "replication/log_store.h"
#include "replication/node.h"

static char *dir;
static struct log_store *store;

static int set_up(void **state)
{
	(void)state;
	struct why why;
	dir = directory_make();
	return log_store_open(&store, dir, &why);
}

static int tear_down(void **state)
{
	(void)state;
	log_store_close(store);
	directory_remove(dir);
	free(dir);
	return 0;
}

static void reopen(void)
{
	struct why why;
	log_store_close(store);
	assert_int_equal(log_store_open(&store, dir, &why), 0);
}

static struct log_job *job_of(uint32_t group, uint64_t first, uint64_t last, uint64_t term)
{
	struct log_job *job = must_alloc(sizeof(*job));
	job->group = group;
	job->first_index = first;
	job->entries = must_alloc((last - first + 1) * sizeof(*job->entries));
	for (uint64_t index = first; index <= last; index++) {
		char payload[32];
		snprintf(payload, sizeof(payload), "entry %llu.%llu", (unsigned long long)term, (unsigned long long)index);
		job->entries[job->entries_count++] = log_entry_make(index == 1 ? ENTRY_CONFIGURATION : ENTRY_COMMANDS, index, term, span_text(payload));
	}
	return job;
}

static void write_job(struct log_job *job)
{
	struct why why;
	assert_int_equal(log_store_write(store, job, &why), 0);
	log_job_free(job);
}

static void entries_and_hard_state_survive_a_restart(void **state)
{
	(void)state;
	struct log_loaded loaded;
	struct why why;
	assert_int_equal(log_store_put_hard_state(store, 1, 7, 99, &why), 0);
	write_job(job_of(1, 1, 100, 7));
	write_job(job_of(2, 1, 3, 1));
	reopen();
	assert_int_equal(log_store_load(store, 1, 90, &loaded, &why), 0);
	assert_true(loaded.found);
	assert_int_equal(loaded.term, 7);
	assert_int_equal(loaded.voted_for, 99);
	assert_int_equal(loaded.first_index, 1);
	assert_int_equal(loaded.last_index, 100);
	assert_int_equal(loaded.terms[99], 7);
	assert_int_equal(loaded.configurations_count, 1);
	assert_int_equal(loaded.pending_count, 10);
	assert_int_equal(loaded.pending[0]->index, 91);
	assert_memory_equal(loaded.pending[9]->payload, "entry 7.100", 11);
	log_loaded_fini(&loaded);
}

/* What was stored and not applied may be more than there is memory for. */
static void of_much_that_is_not_applied_the_last_is_loaded(void **state)
{
	(void)state;
	enum { ENTRIES = 40, ENTRY_BYTES = 1 << 20 };
	struct log_loaded loaded;
	struct why why;
	uint8_t *payload = must_alloc(ENTRY_BYTES);
	struct log_job *job = must_alloc(sizeof(*job));
	job->group = 1;
	job->first_index = 1;
	job->entries = must_alloc(ENTRIES * sizeof(struct log_entry *));
	for (uint64_t index = 1; index <= ENTRIES; index++)
		job->entries[job->entries_count++] = log_entry_make(ENTRY_COMMANDS, index, 1, span_of(payload, ENTRY_BYTES));
	free(payload);
	log_store_put_hard_state(store, 1, 1, 0, &why);
	write_job(job);
	assert_int_equal(log_store_load(store, 1, 0, &loaded, &why), 0);
	assert_int_equal(loaded.last_index, ENTRIES);
	assert_true(loaded.pending_count > 0 && loaded.pending_count <= LOG_HELD_BYTES_MAX / ENTRY_BYTES);
	assert_int_equal(loaded.pending[loaded.pending_count - 1]->index, ENTRIES);
	assert_int_equal(loaded.pending[0]->index, ENTRIES + 1 - loaded.pending_count);
	log_loaded_fini(&loaded);
}

static void an_empty_group_is_not_found(void **state)
{
	(void)state;
	struct log_loaded loaded;
	struct why why;
	assert_int_equal(log_store_load(store, 0, 0, &loaded, &why), 0);
	assert_false(loaded.found);
	assert_int_equal(loaded.first_index, 1);
	assert_int_equal(loaded.last_index, 0);
	log_loaded_fini(&loaded);
}

static void truncation_replaces_the_tail_in_the_same_write(void **state)
{
	(void)state;
	struct log_loaded loaded;
	struct why why;
	log_store_put_hard_state(store, 1, 2, 0, &why);
	write_job(job_of(1, 1, 50, 1));
	struct log_job *job = job_of(1, 30, 32, 2);
	job->truncate = true;
	write_job(job);
	reopen();
	assert_int_equal(log_store_load(store, 1, 0, &loaded, &why), 0);
	assert_int_equal(loaded.last_index, 32);
	assert_int_equal(loaded.terms[28], 1);
	assert_int_equal(loaded.terms[29], 2);
	assert_memory_equal(loaded.pending[29]->payload, "entry 2.30", 10);
	log_loaded_fini(&loaded);
}

static struct log_job *snapshot_at(uint32_t group, uint64_t index, uint64_t compact_through)
{
	struct log_job *job = must_alloc(sizeof(*job));
	job->group = group;
	job->has_snapshot = true;
	job->snapshot = (struct snapshot_record){ .index = index, .term = 1, .configuration_index = 1 };
	buffer_init(&job->snapshot.configuration, 64);
	buffer_append_text(&job->snapshot.configuration, "configuration");
	job->compact_through = compact_through;
	return job;
}

static void compaction_keeps_what_trails_and_the_snapshot_record(void **state)
{
	(void)state;
	struct log_loaded loaded;
	struct why why;
	log_store_put_hard_state(store, 1, 1, 0, &why);
	write_job(job_of(1, 1, 100, 1));
	write_job(job_of(2, 1, 100, 1));
	write_job(snapshot_at(1, 80, 60));
	reopen();
	assert_int_equal(log_store_load(store, 1, 80, &loaded, &why), 0);
	assert_int_equal(loaded.first_index, 61);
	assert_int_equal(loaded.last_index, 100);
	assert_int_equal(loaded.snapshot.index, 80);
	assert_int_equal(loaded.snapshot.configuration.length, 13);
	assert_int_equal(loaded.pending_count, 20);
	log_loaded_fini(&loaded);
	log_store_put_hard_state(store, 2, 1, 0, &why);
	assert_int_equal(log_store_load(store, 2, 0, &loaded, &why), 0);
	assert_int_equal(loaded.last_index, 100); /* groups do not touch each other */
	log_loaded_fini(&loaded);

	write_job(snapshot_at(1, 100, 100));
	assert_int_equal(log_store_load(store, 1, 100, &loaded, &why), 0);
	assert_int_equal(loaded.first_index, 101);
	assert_int_equal(loaded.last_index, 100);
	log_loaded_fini(&loaded);
}

static void a_log_with_a_hole_is_refused(void **state)
{
	(void)state;
	struct log_loaded loaded;
	struct why why;
	log_store_put_hard_state(store, 1, 1, 0, &why);
	write_job(job_of(1, 1, 10, 1));
	write_job(job_of(1, 12, 20, 1));
	assert_int_equal(log_store_load(store, 1, 0, &loaded, &why), ERR_CORRUPT);
	assert_non_null(strstr(why.text, "hole"));
}

static void a_log_that_does_not_meet_its_snapshot_is_refused(void **state)
{
	(void)state;
	struct log_loaded loaded;
	struct why why;
	log_store_put_hard_state(store, 1, 1, 0, &why);
	write_job(job_of(1, 50, 60, 1));
	assert_int_equal(log_store_load(store, 1, 0, &loaded, &why), ERR_CORRUPT);
	write_job(snapshot_at(1, 70, 0));
	assert_int_equal(log_store_load(store, 1, 0, &loaded, &why), ERR_CORRUPT);
}

static void entries_without_a_term_are_refused(void **state)
{
	(void)state;
	struct log_loaded loaded;
	struct why why;
	write_job(job_of(1, 1, 5, 1));
	assert_int_equal(log_store_load(store, 1, 0, &loaded, &why), ERR_CORRUPT);
}

static void a_record_that_does_not_parse_is_refused(void **state)
{
	(void)state;
	static const uint8_t key[] = { 0, 0, 0, 1, 'e', 0, 0, 0, 0, 0, 0, 0, 1 };
	struct log_loaded loaded;
	struct why why;
	char *error = NULL;
	log_store_put_hard_state(store, 1, 1, 0, &why);
	rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
	rocksdb_put(log_store_db(store), options, (const char *)key, sizeof(key), "\x09\x01short", 7, &error);
	rocksdb_writeoptions_destroy(options);
	assert_null(error);
	assert_int_equal(log_store_load(store, 1, 0, &loaded, &why), ERR_CORRUPT);
	assert_non_null(strstr(why.text, "parse"));
}

static void several_jobs_are_one_sync(void **state)
{
	(void)state;
	struct log_job *first = job_of(0, 1, 10, 1), *second = job_of(1, 1, 10, 1);
	struct why why;
	uint64_t before = log_store_syncs(store);
	first->next = second;
	assert_int_equal(log_store_write(store, first, &why), 0);
	assert_int_equal(log_store_syncs(store) - before, 1);
	log_job_free(first);
	log_job_free(second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(entries_and_hard_state_survive_a_restart),
		TEST(of_much_that_is_not_applied_the_last_is_loaded),
		TEST(an_empty_group_is_not_found),
		TEST(truncation_replaces_the_tail_in_the_same_write),
		TEST(compaction_keeps_what_trails_and_the_snapshot_record),
		TEST(a_log_with_a_hole_is_refused),
		TEST(a_log_that_does_not_meet_its_snapshot_is_refused),
		TEST(entries_without_a_term_are_refused),
		TEST(a_record_that_does_not_parse_is_refused),
		TEST(several_jobs_are_one_sync),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
