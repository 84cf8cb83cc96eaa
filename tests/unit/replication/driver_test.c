/* The driver's rules around the engine, against a world that only records what it is asked to do. */
#include "replication/driver.h"
#include "replication/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ME = 1, OTHER = 2, THIRD = 3, FORMER = 4, JOBS_MAX = 256, MESSAGES_MAX = 64, DISK_MAX = 64 };

static struct world {
	uint64_t now_ms, room_bytes;
	char order[512];          /* 'h' hard state, 'l' log, 'm' message, 'a' apply, in the order asked for */
	uint64_t term, voted_for; /* as made durable */
	struct log_job *jobs[JOBS_MAX];
	size_t jobs_count;
	struct message messages[MESSAGES_MAX];
	size_t messages_count;
	uint64_t applied;         /* last index handed over */
	uint64_t waiting;         /* bytes of it that are said to wait */
	struct log_entry *disk[DISK_MAX];
	size_t reads;             /* of entries from the disk */
	uint64_t timer_ms;
	uint64_t installing;      /* index of the state that is to be fetched */
} world;
static struct driver *driver;

static void note(char what)
{
	size_t length = strlen(world.order);
	if (length + 1 < sizeof(world.order))
		world.order[length] = what;
}

static uint64_t now_ms(void *context)
{
	(void)context;
	return world.now_ms;
}

static int64_t wall_ms(void *context)
{
	(void)context;
	return 1000000;
}

static uint32_t chance(void *context)
{
	(void)context;
	return 4; /* chosen by a fair dice roll */
}

static uint64_t room(void *context)
{
	(void)context;
	return world.room_bytes;
}

static void hard_put(void *context, uint32_t group, uint64_t term, uint64_t voted_for)
{
	(void)context;
	(void)group;
	note('h');
	world.term = term;
	world.voted_for = voted_for;
}

static void log_put(void *context, struct log_job *job)
{
	(void)context;
	note('l');
	assert_true(world.jobs_count < JOBS_MAX);
	world.jobs[world.jobs_count++] = job;
}

static void apply(void *context, uint32_t group, struct log_entry **entries, size_t count, uint64_t stored)
{
	(void)context;
	(void)group;
	(void)stored;
	note('a');
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(entries[i]->index, world.applied + 1);
		world.applied = entries[i]->index;
		log_entry_release(entries[i]);
	}
	free(entries);
}

static uint64_t apply_waiting(void *context, uint32_t group)
{
	(void)context;
	(void)group;
	return world.waiting;
}

static size_t log_read(void *context, uint32_t group, uint64_t first, size_t count, size_t bytes_max, struct log_entry **out)
{
	(void)context;
	(void)group;
	size_t found = 0;
	for (size_t bytes = 0; found < count && first + found < DISK_MAX && world.disk[first + found]; found++) {
		bytes += log_entry_bytes(world.disk[first + found]);
		if (found > 0 && bytes > bytes_max)
			break;
		out[found] = log_entry_hold(world.disk[first + found]);
	}
	world.reads += found;
	return found;
}

static void send_message(void *context, uint32_t group, struct message *message, struct log_entry **entries)
{
	(void)context;
	(void)group;
	(void)entries;
	note('m');
	if (world.messages_count < MESSAGES_MAX)
		world.messages[world.messages_count++] = *message;
}

static void timer(void *context, uint32_t group, uint64_t at_ms)
{
	(void)context;
	(void)group;
	world.timer_ms = at_ms;
}

static void install(void *context, uint32_t group, const struct snapshot_record *snapshot)
{
	(void)context;
	(void)group;
	note('i');
	world.installing = snapshot->index;
}

static const struct rio rio = { .install = install, .now_ms = now_ms, .wall_ms = wall_ms, .random = chance, .room_bytes = room, .hard_put = hard_put, .log_put = log_put,
	.apply = apply, .apply_waiting = apply_waiting, .log_read = log_read, .send = send_message, .timer = timer };

/* A node that holds the first configuration and nothing else. */
static void open_with(const struct server *servers, size_t count)
{
	struct buffer configuration;
	struct log_loaded loaded = { .found = true, .term = 1, .first_index = 1, .last_index = 1 };
	struct why why = { 0 };
	world = (struct world){ .now_ms = 10000, .room_bytes = UINT64_C(1) << 40 };
	buffer_init(&configuration, 4096);
	buffer_init(&loaded.snapshot.configuration, 4096);
	assert_int_equal(raft_engine_configuration_of(&configuration, servers, count), 0);
	loaded.terms = must_alloc(sizeof(uint64_t));
	loaded.terms[0] = 1;
	loaded.lengths = must_alloc(sizeof(uint32_t));
	loaded.configurations = must_alloc(sizeof(struct log_entry *));
	loaded.configurations[0] = log_entry_make(ENTRY_CONFIGURATION, 1, 1, buffer_span(&configuration));
	loaded.configurations_count = 1;
	loaded.pending = must_alloc(sizeof(struct log_entry *));
	loaded.pending[0] = log_entry_make(ENTRY_CONFIGURATION, 1, 1, buffer_span(&configuration));
	loaded.pending_count = 1;
	if (driver_open(&driver, 1, ME, &rio, &loaded, 0, &why) != 0)
		fail_msg("%s", why.text);
	log_loaded_fini(&loaded);
	buffer_fini(&configuration);
}

static int open_three(void **state)
{
	(void)state;
	open_with((const struct server[]){ { ME, SERVER_VOTER }, { OTHER, SERVER_VOTER }, { THIRD, SERVER_VOTER } }, 3);
	return 0;
}

static int open_alone(void **state)
{
	(void)state;
	open_with((const struct server[]){ { ME, SERVER_VOTER } }, 1);
	return 0;
}

static int open_two(void **state)
{
	(void)state;
	open_with((const struct server[]){ { ME, SERVER_VOTER }, { OTHER, SERVER_VOTER } }, 2);
	return 0;
}

static int open_standby(void **state)
{
	(void)state;
	open_with((const struct server[]){ { ME, SERVER_STANDBY }, { OTHER, SERVER_VOTER } }, 2);
	return 0;
}

static int close_driver(void **state)
{
	(void)state;
	for (size_t i = 0; i < world.jobs_count; i++)
		if (world.jobs[i])
			log_job_free(world.jobs[i]);
	driver_close(driver);
	for (size_t i = 0; i < DISK_MAX; i++)
		if (world.disk[i])
			log_entry_release(world.disk[i]);
	return 0;
}

static void forget(void)
{
	memset(world.order, 0, sizeof(world.order));
	world.messages_count = 0;
}

static struct driver_status status(void)
{
	struct driver_status out;
	driver_status(driver, &out);
	return out;
}

static int receive_append(uint64_t term, uint64_t previous_index, uint64_t previous_term, uint64_t commit, const char *types)
{
	struct log_entry *entries[16];
	size_t count = strlen(types);
	struct buffer configuration;
	buffer_init(&configuration, 4096);
	raft_engine_configuration(&configuration, (const uint64_t[]){ ME, OTHER, THIRD }, 3);
	for (size_t i = 0; i < count; i++)
		entries[i] = log_entry_make(types[i] == 'c' ? ENTRY_CONFIGURATION : ENTRY_COMMANDS, previous_index + 1 + i, term,
			types[i] == 'c' ? buffer_span(&configuration) : span_text("payload"));
	struct message message = { .type = MESSAGE_APPEND, .peer = OTHER, .term = term };
	message.append.previous_index = previous_index;
	message.append.previous_term = previous_term;
	message.append.commit = commit;
	message.append.entries = entries;
	message.append.count = count;
	int err = driver_receive(driver, &message);
	for (size_t i = 0; i < count; i++)
		log_entry_release(entries[i]);
	buffer_fini(&configuration);
	return err;
}

static void store_next(size_t job)
{
	for (size_t i = 0; i < world.jobs[job]->entries_count; i++) {
		struct log_entry *entry = world.jobs[job]->entries[i];
		if (entry->index < DISK_MAX && !world.disk[entry->index])
			world.disk[entry->index] = log_entry_hold(entry);
	}
	driver_stored(driver, world.jobs[job]);
	log_job_free(world.jobs[job]);
	world.jobs[job] = NULL;
}

/* ---- alone ---- */

static void a_sole_voter_leads_at_once_in_a_new_term(void **state)
{
	(void)state;
	assert_int_equal(status().role, ROLE_LEADER);
	assert_int_equal(status().term, 2);
	assert_int_equal(world.term, 2);
	assert_false(status().ready); /* its barrier is not applied */
	assert_int_equal(world.jobs_count, 1);
	assert_int_equal(world.jobs[0]->entries[0]->type, ENTRY_BARRIER);
	store_next(0);
	assert_int_equal(world.applied, 2);
	assert_false(status().ready);
	driver_applied(driver, 2);
	assert_true(status().ready);
}

static void nothing_is_applied_before_it_is_stored(void **state)
{
	(void)state;
	store_next(0);
	assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("x"), NULL, false), 0);
	assert_int_equal(world.applied, 2);
	store_next(1);
	assert_int_equal(world.applied, 3);
}

static void a_short_disk_is_refused_but_for_what_releases_space(void **state)
{
	(void)state;
	store_next(0);
	world.room_bytes = 1 << 20;
	assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("x"), NULL, false), ERR_NO_SPACE);
	assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("x"), NULL, true), 0);
	world.room_bytes = 1 << 30;
	assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("x"), NULL, false), 0);
}

static void a_flush_mark_compacts_all_but_the_trailing_bytes(void **state)
{
	(void)state;
	enum { ENTRIES = 100, ENTRY_BYTES = 1 << 20 };
	store_next(0);
	uint8_t *payload = calloc(1, ENTRY_BYTES);
	for (size_t i = 0; i < ENTRIES; i++) {
		assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_of(payload, ENTRY_BYTES), NULL, false), 0);
		store_next(world.jobs_count - 1);
	}
	free(payload);
	assert_true(driver_snapshot_bytes(driver) >= (uint64_t)ENTRIES * ENTRY_BYTES);
	uint64_t last = status().last_index;
	struct log_job *job = driver_snapshot(driver, last);
	assert_non_null(job);
	assert_int_equal(job->snapshot.index, last);
	assert_int_equal(job->snapshot.term, 2);
	assert_int_equal(job->snapshot.configuration_index, 1);
	assert_true(job->compact_through >= last - 65 && job->compact_through <= last - 63);
	driver_stored(driver, job);
	log_job_free(job);
	assert_null(driver_snapshot(driver, last)); /* nothing new */
	assert_int_equal(driver_snapshot_bytes(driver), 0);
	assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("x"), NULL, false), 0);
	store_next(world.jobs_count - 1);
	job = driver_snapshot(driver, last + 1);
	assert_non_null(job);
	driver_stored(driver, job);
	log_job_free(job);
}

/* ---- three voters ---- */

static void a_stale_append_is_answered_and_not_stepped(void **state)
{
	(void)state;
	assert_int_equal(receive_append(5, 1, 1, 1, ""), 0);
	forget();
	assert_int_equal(receive_append(3, 1, 1, 1, "x"), 0);
	assert_int_equal(world.messages_count, 1);
	assert_int_equal(world.messages[0].type, MESSAGE_APPEND_RESULT);
	assert_int_equal(world.messages[0].peer, OTHER);
	assert_int_equal(world.messages[0].term, 5);
	assert_int_equal(world.messages[0].append_result.rejected, 1);
	assert_int_equal(world.messages[0].append_result.last_index, 0);
	assert_int_equal(world.jobs_count, 0);

	forget();
	struct message install = { .type = MESSAGE_INSTALL, .peer = THIRD, .term = 4, .install = { .last_index = 77, .last_term = 3 } };
	assert_int_equal(driver_receive(driver, &install), 0);
	assert_int_equal(world.messages_count, 1);
	assert_int_equal(world.messages[0].append_result.rejected, 77);
	assert_int_equal(status().term, 5);
}

static void a_refused_vote_carries_at_least_our_term(void **state)
{
	(void)state;
	assert_int_equal(receive_append(5, 1, 1, 1, ""), 0);
	world.now_ms += 60000; /* long after the last word of the leader, so that the vote is answered at all */
	size_t answers = 0;
	for (uint64_t term = 2; term <= 6; term++) {
		for (int pre_vote = 0; pre_vote < 2; pre_vote++) {
			forget();
			struct message vote = { .type = MESSAGE_VOTE, .peer = THIRD, .term = term };
			vote.vote.last_index = 0; /* behind us: never granted */
			vote.vote.pre_vote = pre_vote == 1;
			assert_int_equal(driver_receive(driver, &vote), 0);
			answers += world.messages_count;
			for (size_t i = 0; i < world.messages_count; i++) {
				assert_int_equal(world.messages[i].type, MESSAGE_VOTE_RESULT);
				assert_false(world.messages[i].vote_result.granted);
				assert_true(world.messages[i].term >= status().term);
			}
		}
	}
	assert_true(answers >= 8);
}

static void a_configuration_is_only_ever_the_first_entry_of_a_message(void **state)
{
	(void)state;
	assert_int_equal(receive_append(5, 1, 1, 1, "xxcxcx"), 0);
	assert_int_equal(world.jobs_count, 3);
	assert_int_equal(world.jobs[0]->first_index, 2);
	assert_int_equal(world.jobs[0]->entries_count, 2);
	assert_int_equal(world.jobs[1]->first_index, 4);
	assert_int_equal(world.jobs[1]->entries[0]->type, ENTRY_CONFIGURATION);
	assert_int_equal(world.jobs[1]->entries_count, 2);
	assert_int_equal(world.jobs[2]->first_index, 6);
	assert_int_equal(world.jobs[2]->entries[0]->type, ENTRY_CONFIGURATION);
	assert_int_equal(status().last_index, 7);
}

static void entries_that_do_not_follow_each_other_are_refused(void **state)
{
	(void)state;
	struct log_entry *entry = log_entry_make(ENTRY_COMMANDS, 9, 5, span_text("x"));
	struct message message = { .type = MESSAGE_APPEND, .peer = OTHER, .term = 5 };
	message.append.previous_index = 1;
	message.append.previous_term = 1;
	message.append.entries = &entry;
	message.append.count = 1;
	assert_int_equal(driver_receive(driver, &message), ERR_INVALID);
	assert_int_equal(world.jobs_count, 0);
	log_entry_release(entry);
}

static void a_write_that_was_truncated_is_never_reported(void **state)
{
	(void)state;
	assert_int_equal(receive_append(5, 1, 1, 1, "xxx"), 0);      /* 2..4 */
	uint64_t generation = status().generation;
	assert_int_equal(receive_append(6, 2, 5, 1, "x"), 0);        /* 3 anew */
	assert_int_equal(world.jobs_count, 2);
	assert_true(world.jobs[1]->truncate);
	assert_int_equal(world.jobs[1]->first_index, 3);
	assert_int_equal(status().generation, generation + 1);
	assert_int_equal(status().last_index, 3);
	forget();
	store_next(0);
	assert_int_equal(status().stored, 1);
	assert_int_equal(world.messages_count, 0); /* nothing is acknowledged */
	store_next(1);
	assert_int_equal(status().stored, 3);
	assert_int_equal(world.messages_count, 1);
	assert_int_equal(world.messages[0].append_result.last_index, 3);
}

static void an_append_is_acknowledged_only_once_it_is_stored(void **state)
{
	(void)state;
	assert_int_equal(receive_append(5, 1, 1, 1, "xx"), 0);
	for (size_t i = 0; i < world.messages_count; i++)
		assert_true(world.messages[i].append_result.last_index <= 1);
	forget();
	store_next(0);
	assert_int_equal(world.messages_count, 1);
	assert_int_equal(world.messages[0].append_result.last_index, 3);
	assert_int_equal(world.messages[0].append_result.rejected, 0);
	assert_int_equal(receive_append(5, 3, 5, 3, ""), 0);
	assert_int_equal(world.applied, 3);
}

static void win_election(void)
{
	world.now_ms += 5000;
	driver_timeout(driver);
	assert_int_equal(status().role, ROLE_CANDIDATE);
	struct message granted = { .type = MESSAGE_VOTE_RESULT, .peer = OTHER, .term = status().term + 1 };
	granted.vote_result.granted = true;
	granted.vote_result.pre_vote = true;
	assert_int_equal(driver_receive(driver, &granted), 0);
	granted.term = status().term;
	granted.vote_result.pre_vote = false;
	assert_int_equal(driver_receive(driver, &granted), 0);
}

static void acknowledge(uint64_t peer, uint64_t last)
{
	struct message stored = { .type = MESSAGE_APPEND_RESULT, .peer = peer, .term = status().term };
	stored.append_result.last_index = last;
	assert_int_equal(driver_receive(driver, &stored), 0);
}

static void the_vote_is_durable_before_anyone_is_asked_for_theirs(void **state)
{
	(void)state;
	world.now_ms += 5000;
	driver_timeout(driver);
	assert_string_equal(world.order + strspn(world.order, "a"), "mm"); /* pre-votes promise nothing */
	forget();
	struct message granted = { .type = MESSAGE_VOTE_RESULT, .peer = OTHER, .term = status().term + 1 };
	granted.vote_result.granted = true;
	granted.vote_result.pre_vote = true;
	assert_int_equal(driver_receive(driver, &granted), 0);
	assert_string_equal(world.order, "hmm");
	assert_int_equal(world.term, 2);
	assert_int_equal(world.voted_for, ME);
}

static void a_new_leader_is_ready_when_its_own_barrier_is_applied(void **state)
{
	(void)state;
	win_election();
	assert_int_equal(status().role, ROLE_LEADER);
	assert_int_equal(world.jobs_count, 1);
	assert_int_equal(world.jobs[0]->entries[0]->type, ENTRY_BARRIER);
	uint64_t barrier = world.jobs[0]->first_index;
	store_next(0);
	assert_int_equal(world.applied, 1); /* one of three is no majority */
	acknowledge(OTHER, barrier);
	assert_int_equal(world.applied, barrier);
	assert_false(status().ready);
	driver_applied(driver, barrier);
	assert_true(status().ready);
}

/* How many of the messages since `forget` tell this peer that so much is committed. */
static size_t times_told(uint64_t peer, uint64_t commit)
{
	size_t times = 0;
	for (size_t i = 0; i < world.messages_count; i++)
		times += world.messages[i].type == MESSAGE_APPEND && world.messages[i].peer == peer && world.messages[i].append.commit == commit;
	return times;
}

static void only_where_somebody_waits_is_it_told_at_once_what_is_committed(void **state)
{
	(void)state;
	win_election();
	uint64_t index = world.jobs[0]->first_index;
	store_next(0);
	acknowledge(OTHER, index);
	acknowledge(THIRD, index);
	assert_int_equal(world.applied, index);
	forget();
	assert_true(driver_tell_commit(driver, false)); /* nobody waits, but it is not known */
	assert_int_equal(world.messages_count, 0);
	assert_false(driver_tell_commit(driver, true));
	assert_int_equal(times_told(OTHER, index), 1);
	assert_int_equal(times_told(THIRD, index), 1);
	assert_false(driver_tell_commit(driver, true));
	assert_int_equal(world.messages_count, 2);

	/* An entry for which somebody waits at a server that stores it last. */
	driver_await_commit(driver, THIRD, index + 1);
	assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("x"), NULL, false), 0);
	index = status().last_index;
	store_next(world.jobs_count - 1);
	acknowledge(OTHER, index);
	assert_int_equal(world.applied, index);
	forget();
	assert_true(driver_tell_commit(driver, false)); /* THIRD could not use it yet */
	assert_int_equal(world.messages_count, 0);
	acknowledge(THIRD, index);
	assert_true(driver_tell_commit(driver, false));
	assert_int_equal(times_told(THIRD, index), 1);
	assert_int_equal(times_told(OTHER, index), 0);

	/* The next entry tells the others. */
	assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("x"), NULL, false), 0);
	assert_int_equal(times_told(OTHER, index), 1);
	forget();
	assert_false(driver_tell_commit(driver, false));
	assert_int_equal(world.messages_count, 0);
}

static void a_leader_that_hears_of_a_higher_term_steps_down(void **state)
{
	(void)state;
	win_election();
	driver_applied(driver, 2);
	assert_int_equal(receive_append(9, 1, 1, 1, ""), 0);
	assert_int_equal(status().role, ROLE_FOLLOWER);
	assert_false(status().ready);
	assert_int_equal(world.term, 9);
	assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("x"), NULL, false), ERR_CLOSED);
}

static void what_a_leader_of_before_knows_is_as_old_as_its_leadership(void **state)
{
	(void)state;
	win_election();
	for (int beat = 0; beat < 900; beat++) {
		world.now_ms += 100;
		acknowledge(OTHER, 1);
		driver_timeout(driver);
	}
	assert_int_equal(status().role, ROLE_LEADER);
	uint64_t led_ms = 0;
	for (int beat = 0; beat < 5 && status().role == ROLE_LEADER; beat++) { /* nobody answers any more */
		led_ms = world.now_ms;
		world.now_ms += 2000;
		driver_timeout(driver);
	}
	assert_int_equal(status().role, ROLE_FOLLOWER);
	assert_int_equal(status().contact_ms, led_ms);
}

/* The engine would look at bytes that mean something else in a follower, so that now it would enter the term and now not. */
static void a_vote_that_comes_when_none_is_asked_for_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(receive_append(5, 1, 1, 1, ""), 0);
	for (int i = 0; i < 4; i++) {
		struct message answer = { .type = MESSAGE_VOTE_RESULT, .peer = THIRD, .term = 6 };
		answer.vote_result.granted = i & 1;
		answer.vote_result.pre_vote = i & 2;
		assert_int_equal(driver_receive(driver, &answer), 0);
		assert_int_equal(status().term, 5);
		assert_int_equal(status().role, ROLE_FOLLOWER);
	}
}

/* ---- what a leader does for others ---- */

static uint64_t append_result(uint64_t peer, uint64_t rejected, uint64_t last_index)
{
	struct message result = { .type = MESSAGE_APPEND_RESULT, .peer = peer, .term = status().term };
	result.append_result.rejected = rejected;
	result.append_result.last_index = last_index;
	assert_int_equal(driver_receive(driver, &result), 0);
	return driver_match(driver, peer);
}

/* A leader that is ready, OTHER being with it; returns its last index. */
static uint64_t lead(void)
{
	win_election();
	store_next(0);
	append_result(OTHER, 0, status().last_index);
	driver_applied(driver, status().last_index);
	assert_true(status().ready);
	forget();
	return status().last_index;
}

static void answer_probe(uint64_t peer, uint64_t round, uint64_t term, uint64_t asker_term)
{
	struct message result = { .type = MESSAGE_PROBE_RESULT, .peer = peer, .term = term };
	result.probe.round = round;
	result.probe.asker_term = asker_term;
	assert_int_equal(driver_receive(driver, &result), 0);
}

static void a_read_waits_for_a_majority_that_knows_of_no_later_term(void **state)
{
	(void)state;
	uint64_t committed = lead(), round, index, term = status().term;
	assert_int_equal(driver_read(driver, &round), 0);
	assert_int_equal(world.messages_count, 2);
	assert_int_equal(world.messages[0].type, MESSAGE_PROBE);
	assert_int_equal(driver_read_index(driver, round, &index), ERR_AGAIN);
	answer_probe(THIRD, round, term + 1, term);      /* knows of a later leader */
	answer_probe(OTHER, round - 1, term, term);      /* of another round */
	answer_probe(OTHER, round, term, term - 1);      /* of another life of this node */
	assert_int_equal(driver_read_index(driver, round, &index), ERR_AGAIN);
	answer_probe(OTHER, round, term - 1, term);      /* has not even heard of this one */
	assert_int_equal(driver_read_index(driver, round, &index), 0);
	assert_int_equal(index, committed);
}

static void reads_that_come_during_a_round_share_the_next_one(void **state)
{
	(void)state;
	lead();
	uint64_t first, second, third, index, term = status().term;
	assert_int_equal(driver_read(driver, &first), 0);
	assert_int_equal(driver_read(driver, &second), 0);
	assert_int_equal(driver_read(driver, &third), 0);
	assert_int_equal(second, first + 1);
	assert_int_equal(third, second);
	answer_probe(OTHER, first, term, term);
	assert_int_equal(driver_read_index(driver, first, &index), 0);
	assert_int_equal(driver_read_index(driver, second, &index), ERR_AGAIN);
	answer_probe(THIRD, second, term, term);
	assert_int_equal(driver_read_index(driver, second, &index), 0);
}

static void who_answers_every_repetition_takes_no_place_from_those_that_are_slow(void **state)
{
	(void)state;
	lead();
	uint64_t round, index, term = status().term;
	assert_int_equal(driver_read(driver, &round), 0);
	for (size_t i = 0; i < SERVERS_MAX; i++)
		answer_probe(FORMER, round, term, term);
	assert_int_equal(driver_read_index(driver, round, &index), ERR_AGAIN);
	answer_probe(OTHER, round, term, term);
	assert_int_equal(driver_read_index(driver, round, &index), 0);
}

static void change(const struct server *servers, size_t count)
{
	assert_int_equal(driver_change(driver, servers, count), 0);
	append_result(OTHER, 0, status().last_index);
	store_next(world.jobs_count - 1);
	assert_int_equal(status().changing, 0);
}

static void a_read_does_not_wait_for_a_voter_that_has_left(void **state)
{
	(void)state;
	lead();
	uint64_t first, second, index;
	const struct server servers[] = { { ME, SERVER_VOTER }, { OTHER, SERVER_VOTER } };
	change(servers, 2);
	assert_int_equal(driver_read(driver, &first), 0);
	assert_int_equal(driver_read(driver, &second), 0);
	assert_int_equal(driver_read_index(driver, first, &index), ERR_AGAIN);
	change(servers, 1);
	assert_int_equal(driver_read_index(driver, first, &index), 0);
	assert_int_equal(driver_read_index(driver, second, &index), 0);
	assert_int_equal(index, status().committed);
}

static void a_read_of_a_lost_leadership_is_not_answered(void **state)
{
	(void)state;
	lead();
	uint64_t round, index;
	assert_int_equal(driver_read(driver, &round), 0);
	assert_int_equal(receive_append(9, 1, 1, 1, ""), 0);
	assert_int_equal(driver_read_index(driver, round, &index), ERR_CLOSED);
	assert_int_equal(driver_read(driver, &round), ERR_CLOSED);
}

static void a_refusal_that_was_overtaken_changes_nothing(void **state)
{
	(void)state;
	uint64_t last = lead();
	assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("x"), NULL, false), 0);
	assert_int_equal(append_result(OTHER, 0, last + 1), last + 1);
	assert_int_equal(append_result(OTHER, last + 1, last - 1), last + 1); /* refused before it came */
	forget();
	world.now_ms += 150;
	driver_timeout(driver);
	assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("y"), NULL, false), 0);
	bool sent = false; /* the follower still gets what is new */
	for (size_t i = 0; i < world.messages_count; i++)
		sent = sent || (world.messages[i].type == MESSAGE_APPEND && world.messages[i].peer == OTHER && world.messages[i].append.count > 0);
	assert_true(sent);
}

static bool is_asked_to_lead(uint64_t peer)
{
	bool asked = false;
	for (size_t i = 0; i < world.messages_count; i++)
		asked = asked || (world.messages[i].type == MESSAGE_TIMEOUT_NOW && world.messages[i].peer == peer && world.messages[i].timeout_now.last_index == status().last_index);
	forget();
	return asked;
}

/* Whoever still stores something ignores it. */
static void the_next_leader_is_asked_to_begin_once_it_has_stored_everything(void **state)
{
	(void)state;
	uint64_t last = lead();
	for (int i = 0; i < 3; i++)
		assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("x"), NULL, false), 0);
	assert_int_equal(driver_transfer(driver, OTHER), 0);
	assert_int_equal(append_result(OTHER, 0, last + 1), last + 1);
	forget();
	assert_int_equal(append_result(OTHER, 0, last + 2), last + 2);
	forget();
	assert_int_equal(append_result(OTHER, 0, last + 3), last + 3);
	assert_true(is_asked_to_lead(OTHER));
}

static void a_voter_that_misses_the_last_configuration_is_not_made(void **state)
{
	(void)state;
	lead();
	struct server servers[SERVERS_MAX] = { { ME, SERVER_VOTER }, { OTHER, SERVER_VOTER }, { THIRD, SERVER_VOTER }, { 4, SERVER_STANDBY } };
	assert_int_equal(driver_change(driver, servers, 4), 0);
	uint64_t change = status().last_index;
	assert_int_equal(status().changing, change);
	assert_int_equal(driver_change(driver, servers, 4), ERR_BUSY); /* one at a time */
	append_result(OTHER, 0, change);
	store_next(world.jobs_count - 1);
	assert_int_equal(status().changing, 0);
	servers[3].role = SERVER_VOTER;
	assert_int_equal(driver_change(driver, servers, 4), ERR_BUSY); /* nothing is known of it */
	append_result(4, 0, change);
	assert_int_equal(driver_change(driver, servers, 4), 0);
}

static void nobody_else_is_made_the_only_voter(void **state)
{
	(void)state;
	lead();
	struct server servers[SERVERS_MAX] = { { ME, SERVER_STANDBY }, { OTHER, SERVER_VOTER }, { THIRD, SERVER_STANDBY } };
	assert_int_equal(driver_change(driver, servers, 3), ERR_INVALID);
	servers[0].role = SERVER_VOTER;
	servers[1].role = SERVER_STANDBY;
	append_result(OTHER, 0, status().last_index);
	append_result(THIRD, 0, status().last_index);
	assert_int_equal(driver_change(driver, servers, 3), 0);
}

static uint64_t last_sent_to(uint64_t peer)
{
	uint64_t last = 0;
	for (size_t i = 0; i < world.messages_count; i++) {
		const struct message *message = &world.messages[i];
		if (message->type == MESSAGE_APPEND && message->peer == peer && message->append.count > 0 && message->append.previous_index + message->append.count > last)
			last = message->append.previous_index + message->append.count;
	}
	return last;
}

static void what_leaves_a_leader_alone_is_stored_before_others_get_it(void **state)
{
	(void)state;
	struct server servers[SERVERS_MAX] = { { ME, SERVER_VOTER }, { OTHER, SERVER_STANDBY } };
	lead();
	append_result(OTHER, 0, status().last_index);
	forget();
	assert_int_equal(driver_change(driver, servers, 2), 0);
	uint64_t change = status().last_index;
	assert_int_equal(driver_submit(driver, ENTRY_COMMANDS, span_text("x"), NULL, false), 0);
	assert_true(last_sent_to(OTHER) < change);
	store_next(world.jobs_count - 2);
	store_next(world.jobs_count - 1);
	forget();
	append_result(OTHER, change, change - 1); /* what follows it is refused */
	world.now_ms += 150;
	driver_timeout(driver);
	assert_int_equal(last_sent_to(OTHER), change + 1);
}

/* The answer to a request for our vote: 1 granted, 0 refused, -1 none. */
static int ask_for_vote(uint64_t peer, uint64_t term, uint64_t last_index, uint64_t last_term, bool is_pre_vote)
{
	struct message request = { .type = MESSAGE_VOTE, .peer = peer, .term = term };
	request.vote.last_index = last_index;
	request.vote.last_term = last_term;
	request.vote.pre_vote = is_pre_vote;
	forget();
	assert_int_equal(driver_receive(driver, &request), 0);
	assert_true(world.messages_count <= 1);
	if (world.messages_count == 0)
		return -1;
	assert_int_equal(world.messages[0].type, MESSAGE_VOTE_RESULT);
	assert_int_equal(world.messages[0].peer, peer);
	assert_int_equal(world.messages[0].vote_result.pre_vote, is_pre_vote);
	if (world.messages[0].vote_result.granted)
		assert_int_equal(world.messages[0].term, term);
	return world.messages[0].vote_result.granted;
}

static void a_standby_votes_for_who_may_count_on_its_vote(void **state)
{
	(void)state;
	assert_int_equal(ask_for_vote(OTHER, 2, 0, 0, true), 0); /* its log is behind ours */
	assert_int_equal(ask_for_vote(OTHER, 2, 0, 0, false), 0);
	assert_int_equal(ask_for_vote(OTHER, 3, 2, 1, true), 1);
	assert_int_equal(world.voted_for, 0); /* a promise of nothing */
	assert_int_equal(ask_for_vote(OTHER, 3, 2, 1, false), 1);
	assert_int_equal(world.term, 3);
	assert_int_equal(world.voted_for, OTHER);
	assert_string_equal(world.order, "hhm"); /* durable before it is told */
	assert_int_equal(ask_for_vote(OTHER, 3, 2, 1, false), 1);
	assert_true(ask_for_vote(THIRD, 3, 2, 1, false) <= 0); /* one vote in a term */
	assert_int_equal(world.voted_for, OTHER);
	assert_int_equal(ask_for_vote(THIRD, 4, 2, 1, false), 1);
	assert_int_equal(world.voted_for, THIRD);
}

static void a_standby_with_a_leader_does_not_vote_until_it_is_silent(void **state)
{
	(void)state;
	assert_int_equal(receive_append(5, 1, 1, 1, "x"), 0);
	store_next(0);
	assert_true(ask_for_vote(THIRD, 6, 2, 5, true) <= 0);
	assert_true(ask_for_vote(THIRD, 6, 2, 5, false) <= 0);
	world.now_ms += ENGINE_ELECTION_MS;
	assert_int_equal(ask_for_vote(THIRD, 6, 2, 5, true), 1);
	assert_int_equal(ask_for_vote(THIRD, 6, 2, 5, false), 1);
	assert_int_equal(world.term, 6);
}

static void a_vote_given_as_a_standby_holds_for_the_voter_that_it_becomes(void **state)
{
	(void)state;
	assert_int_equal(ask_for_vote(OTHER, 3, 2, 1, false), 1);
	assert_int_equal(receive_append(3, 1, 1, 1, "c"), 0);
	store_next(0);
	assert_int_equal(status().voters, 3);
	world.now_ms += 60000;
	assert_true(ask_for_vote(THIRD, 3, 2, 3, false) <= 0);
	assert_int_equal(world.voted_for, OTHER);
}

static void a_follower_takes_an_append_from_before_its_snapshot_as_one_from_behind_it(void **state)
{
	(void)state;
	assert_int_equal(receive_append(5, 1, 1, 1, "xxxx"), 0); /* 2..5 */
	store_next(0);
	assert_int_equal(receive_append(5, 5, 5, 5, ""), 0);
	driver_set_trailing(driver, 0);
	struct log_job *job = driver_snapshot(driver, 5);
	assert_non_null(job);
	driver_stored(driver, job);
	log_job_free(job);
	forget();
	size_t jobs = world.jobs_count;
	assert_int_equal(receive_append(5, 1, 1, 5, "xxxxx"), 0); /* the same again, and one more */
	assert_int_equal(status().last_index, 6);
	assert_int_equal(world.jobs_count, jobs + 1);
	assert_int_equal(world.jobs[jobs]->first_index, 6);
	assert_int_equal(world.jobs[jobs]->entries_count, 1);
}

static void while_a_state_is_installed_nothing_is_applied(void **state)
{
	(void)state;
	struct buffer configuration;
	buffer_init(&configuration, 4096);
	raft_engine_configuration(&configuration, (const uint64_t[]){ ME, OTHER, THIRD }, 3);
	struct message install = { .type = MESSAGE_INSTALL, .peer = OTHER, .term = 5 };
	install.install.last_index = 50;
	install.install.last_term = 4;
	install.install.configuration_index = 1;
	install.install.configuration = buffer_span(&configuration);
	assert_int_equal(driver_receive(driver, &install), 0);
	assert_int_equal(world.installing, 50);
	assert_true(status().installing);
	uint64_t applied = world.applied;
	assert_int_equal(receive_append(5, 50, 4, 50, ""), 0); /* the commit index moves */
	assert_int_equal(driver_receive(driver, &install), 0); /* the engine repeats it */
	assert_int_equal(world.applied, applied);
	assert_null(driver_snapshot(driver, 50));
	world.applied = 53; /* the copy was newer than what was asked for */
	driver_installed(driver, 53);
	assert_false(status().installing);
	assert_int_equal(receive_append(5, 50, 4, 53, "xxxx"), 0); /* 51..54, three of them known */
	assert_int_equal(world.applied, 53);
	store_next(world.jobs_count - 1);
	assert_int_equal(receive_append(5, 54, 5, 54, ""), 0);
	assert_int_equal(world.applied, 54);
	buffer_fini(&configuration);
}

static size_t held_in_memory(void)
{
	size_t held = 0;
	for (size_t i = 0; i < DISK_MAX; i++)
		held += world.disk[i] && atomic_load(&world.disk[i]->references) > 1;
	return held;
}

/* Entries 2 to 41; each is stored and, one append later, committed. */
static void receive_forty(void)
{
	for (uint64_t at = 1; at < 41; at++) {
		assert_int_equal(receive_append(5, at, at == 1 ? 1 : 5, at, "x"), 0);
		store_next(world.jobs_count - 1);
	}
	assert_int_equal(receive_append(5, 41, 5, 41, ""), 0);
	assert_int_equal(status().committed, 41);
}

static void what_the_applier_has_no_room_for_stays_on_the_disk_until_it_has(void **state)
{
	(void)state;
	size_t entry_bytes = sizeof(struct log_entry) + strlen("payload");
	driver_set_held(driver, 4 * entry_bytes);
	world.waiting = 4 * entry_bytes;
	receive_forty();
	assert_true(world.applied <= 1);
	assert_true(driver_holds_back(driver));
	assert_true(held_in_memory() <= 5);
	driver_applied(driver, world.applied); /* there is still no room */
	assert_true(world.applied <= 1);
	for (uint64_t until = 41; world.applied < until;) {
		uint64_t before = world.applied;
		world.waiting = 3 * entry_bytes; /* for one more */
		driver_applied(driver, world.applied);
		assert_true(world.applied > before);
	}
	assert_false(driver_holds_back(driver));
	assert_true(world.reads >= 30);
	assert_int_equal(held_in_memory(), 0);
}

static void an_applier_that_keeps_up_costs_no_reads(void **state)
{
	(void)state;
	driver_set_held(driver, 2 * (sizeof(struct log_entry) + strlen("payload")));
	receive_forty();
	assert_int_equal(world.applied, 41);
	assert_int_equal(world.reads, 0);
	assert_int_equal(held_in_memory(), 0);
}

static void a_configuration_is_committed_before_the_applier_has_it(void **state)
{
	(void)state;
	driver_set_held(driver, 1);
	world.waiting = 1;
	assert_int_equal(receive_append(5, 1, 1, 1, "xxcxx"), 0);
	for (size_t i = 0; i < world.jobs_count; i++)
		store_next(i);
	assert_int_equal(status().changing, 4);
	assert_int_equal(receive_append(5, 6, 5, 6, ""), 0);
	assert_int_equal(status().changing, 0);
	assert_true(world.applied <= 1);
	world.waiting = 0;
	driver_applied(driver, world.applied);
	assert_int_equal(world.applied, 6);
}

static void what_is_read_back_is_what_replaced_an_older_entry(void **state)
{
	(void)state;
	driver_set_held(driver, 1);
	world.waiting = 1;
	assert_int_equal(receive_append(5, 1, 1, 1, "xxxx"), 0);
	driver_stored(driver, world.jobs[0]); /* 2 to 5 */
	log_job_free(world.jobs[0]);
	world.jobs[0] = NULL;
	assert_int_equal(receive_append(6, 3, 5, 1, "xx"), 0); /* another leader: 4 and 5 anew */
	assert_true(world.jobs[1]->truncate);
	store_next(1);
	assert_int_equal(receive_append(6, 5, 6, 5, ""), 0);
	assert_int_equal(status().committed, 5);
	assert_int_equal(world.disk[5]->term, 6);
	world.disk[2] = log_entry_make(ENTRY_COMMANDS, 2, 5, span_text("payload"));
	world.disk[3] = log_entry_make(ENTRY_COMMANDS, 3, 5, span_text("payload"));
	world.waiting = 0;
	driver_applied(driver, world.applied);
	assert_int_equal(world.applied, 5);
}

int main(void)
{
#define ALONE(name) cmocka_unit_test_setup_teardown(name, open_alone, close_driver)
#define TWO(name) cmocka_unit_test_setup_teardown(name, open_two, close_driver)
#define STANDBY(name) cmocka_unit_test_setup_teardown(name, open_standby, close_driver)
#define THREE(name) cmocka_unit_test_setup_teardown(name, open_three, close_driver)
	const struct CMUnitTest tests[] = {
		ALONE(a_sole_voter_leads_at_once_in_a_new_term),
		ALONE(nothing_is_applied_before_it_is_stored),
		ALONE(a_short_disk_is_refused_but_for_what_releases_space),
		ALONE(a_flush_mark_compacts_all_but_the_trailing_bytes),
		THREE(a_stale_append_is_answered_and_not_stepped),
		THREE(a_refused_vote_carries_at_least_our_term),
		THREE(a_configuration_is_only_ever_the_first_entry_of_a_message),
		THREE(entries_that_do_not_follow_each_other_are_refused),
		THREE(a_write_that_was_truncated_is_never_reported),
		THREE(an_append_is_acknowledged_only_once_it_is_stored),
		THREE(the_vote_is_durable_before_anyone_is_asked_for_theirs),
		THREE(a_new_leader_is_ready_when_its_own_barrier_is_applied),
		THREE(only_where_somebody_waits_is_it_told_at_once_what_is_committed),
		THREE(a_leader_that_hears_of_a_higher_term_steps_down),
		THREE(what_a_leader_of_before_knows_is_as_old_as_its_leadership),
		THREE(a_vote_that_comes_when_none_is_asked_for_changes_nothing),
		THREE(a_read_waits_for_a_majority_that_knows_of_no_later_term),
		THREE(reads_that_come_during_a_round_share_the_next_one),
		THREE(who_answers_every_repetition_takes_no_place_from_those_that_are_slow),
		THREE(a_read_does_not_wait_for_a_voter_that_has_left),
		THREE(a_read_of_a_lost_leadership_is_not_answered),
		THREE(a_refusal_that_was_overtaken_changes_nothing),
		THREE(the_next_leader_is_asked_to_begin_once_it_has_stored_everything),
		THREE(a_voter_that_misses_the_last_configuration_is_not_made),
		THREE(nobody_else_is_made_the_only_voter),
		TWO(what_leaves_a_leader_alone_is_stored_before_others_get_it),
		STANDBY(a_standby_votes_for_who_may_count_on_its_vote),
		STANDBY(a_standby_with_a_leader_does_not_vote_until_it_is_silent),
		STANDBY(a_vote_given_as_a_standby_holds_for_the_voter_that_it_becomes),
		THREE(a_follower_takes_an_append_from_before_its_snapshot_as_one_from_behind_it),
		THREE(while_a_state_is_installed_nothing_is_applied),
		THREE(what_the_applier_has_no_room_for_stays_on_the_disk_until_it_has),
		THREE(an_applier_that_keeps_up_costs_no_reads),
		THREE(a_configuration_is_committed_before_the_applier_has_it),
		THREE(what_is_read_back_is_what_replaced_an_older_entry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
