/* Numbers under which a node asks the leader: no answer to an earlier start of it settles what a later one has asked, and each answer is good for all that was
 * asked before its question went out, and for nothing else. */
#include "replication/forward.h"

#include "replication/driver.h"
#include "replication/meta_loop.h"
#include "replication/peer_calls.h"
#include "replication/peers.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>

#include <cmocka.h>

enum { OTHER = 2, QUESTION = 7 };

static struct consensus consensus;
static struct group *const group = &consensus.groups[0];

static uint64_t now_ms(void *context)
{
	(void)context;
	return 10000;
}

static int64_t some_wall_ms(void *context)
{
	(void)context;
	return 1000000;
}

static uint64_t room(void *context)
{
	(void)context;
	return UINT64_C(1) << 40;
}

static uint32_t chance(void *context)
{
	(void)context;
	return 4;
}

static void timer(void *context, uint32_t number, uint64_t at_ms)
{
	(void)context;
	(void)number;
	(void)at_ms;
}

static const struct rio rio = { .now_ms = now_ms, .wall_ms = some_wall_ms, .random = chance, .room_bytes = room, .timer = timer };

/* A node that others have let in and that no leader has spoken to. */
static int open_node(void **state)
{
	(void)state;
	struct log_loaded loaded = { .found = true, .term = 1, .first_index = 1 };
	consensus = (struct consensus){ .identity.node_id = 1, .peers = (struct peers *)(void *)&consensus }; /* nobody leads, so nothing is sent */
	pthread_mutex_init(&consensus.lock, NULL);
	buffer_init(&loaded.snapshot.configuration, 64);
	forward_init(&group->forward);
	int err = driver_open(&group->driver, 0, 1, &rio, &loaded, 0, NULL);
	log_loaded_fini(&loaded);
	return err;
}

static int close_node(void **state)
{
	(void)state;
	driver_close(group->driver);
	forward_fini(&group->forward);
	pthread_mutex_destroy(&consensus.lock);
	return 0;
}

static void receive(uint8_t type, const uint64_t *numbers, size_t count)
{
	struct buffer body;
	buffer_init(&body, 64);
	pack_array(&body, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		pack_u64(&body, numbers[i]);
	struct peer_frame frame = { .type = type, .body = buffer_span(&body) };
	forward_frame(&consensus, group, OTHER, &frame);
	buffer_fini(&body);
}

static void no_two_starts_of_a_node_use_the_same_numbers(void **state)
{
	(void)state;
	struct forward one, two;
	forward_init(&one);
	forward_init(&two);
	assert_true(one.numbers != two.numbers && one.read.round != two.read.round);
	for (int i = 0; i < 1000; i++) { /* room to count on */
		forward_init(&one);
		assert_true(one.numbers <= INT64_MAX && one.read.round <= INT64_MAX && one.read.done == 0);
	}
}

static void an_answer_that_comes_after_its_question_was_repeated_serves_those_who_asked_first_and_nobody_else(void **state)
{
	(void)state;
	uint64_t first = forward_read(&consensus, group);
	for (int i = 0; i < 3; i++) {
		group->forward.read.sent_ms = 0; /* long ago */
		forward_turn(&consensus, group);
		assert_true(group->forward.read.sent_ms != 0);
	}
	uint64_t later = forward_read(&consensus, group);
	assert_true(later > first);
	receive(FRAME_READ_POINT, (const uint64_t[]){ first, 0, 5 }, 3);
	assert_int_equal(group->forward.read.done, first);
	assert_int_equal(group->forward.read.index, 5);
	assert_true(group->forward.read.asking); /* for who came later */
	receive(FRAME_READ_POINT, (const uint64_t[]){ first, 0, 6 }, 3); /* of a repetition */
	assert_true(group->forward.read.done < later);
	receive(FRAME_READ_POINT, (const uint64_t[]){ later, 0, 7 }, 3);
	assert_int_equal(group->forward.read.done, later);
	assert_int_equal(group->forward.read.index, 7);
}

static void a_repeated_question_does_not_begin_the_leaders_round_anew(void **state)
{
	(void)state;
	size_t slot = 0;
	receive(FRAME_READ, (const uint64_t[]){ QUESTION }, 1);
	while (!group->forward.asked[slot].used)
		assert_true(++slot < CLUSTER_NODES_MAX);
	assert_false(group->forward.asked[slot].asked);
	group->forward.asked[slot].asked = true; /* a round is under way for it */
	receive(FRAME_READ, (const uint64_t[]){ QUESTION }, 1);
	assert_true(group->forward.asked[slot].asked);
	receive(FRAME_READ, (const uint64_t[]){ QUESTION + 1 }, 1); /* came later than that round began */
	assert_false(group->forward.asked[slot].asked);
	assert_int_equal(group->forward.asked[slot].number, QUESTION + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_two_starts_of_a_node_use_the_same_numbers),
		cmocka_unit_test_setup_teardown(an_answer_that_comes_after_its_question_was_repeated_serves_those_who_asked_first_and_nobody_else, open_node, close_node),
		cmocka_unit_test_setup_teardown(a_repeated_question_does_not_begin_the_leaders_round_anew, open_node, close_node),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
