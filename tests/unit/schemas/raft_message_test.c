/* Messages between Raft peers: what is written is read, what is bent or makes no sense is refused. */
#include "schemas/raft_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct buffer out;
static struct message read_back;
static struct wire_entry entries[RAFT_ENTRIES_MAX];

static int set_up(void **state)
{
	(void)state;
	buffer_init(&out, 16 << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buffer_fini(&out);
	return 0;
}

static const struct wire_entry three[] = {
	{ .type = 1, .index = 8, .term = 3, .payload = { (const uint8_t *)"first", 5 } },
	{ .type = 2, .index = 9, .term = 4, .payload = { NULL, 0 } },
	{ .type = 3, .index = 10, .term = 4, .payload = { (const uint8_t *)"configuration", 13 } },
};

static struct message append_of_three(void)
{
	struct message message = { .type = MESSAGE_APPEND, .term = 5 };
	message.append.previous_index = 7;
	message.append.previous_term = 3;
	message.append.commit = 6;
	message.append.count = 3;
	return message;
}

static void every_type_reads_back_as_written(void **state)
{
	(void)state;
	struct message messages[] = {
		{ .type = MESSAGE_APPEND_RESULT, .term = 2, .append_result = { .rejected = 9, .last_index = UINT64_MAX, .features = 1, .capacity = 65535 } },
		{ .type = MESSAGE_VOTE, .term = 2, .vote = { .last_index = 4, .last_term = 1, .disrupt_leader = true, .pre_vote = false } },
		{ .type = MESSAGE_VOTE_RESULT, .term = 2, .vote_result = { .granted = true, .pre_vote = true, .features = 3, .capacity = 7 } },
		{ .type = MESSAGE_INSTALL, .term = 2, .install = { .last_index = 4, .last_term = 1, .configuration_index = 3, .configuration = span_text("c") } },
		{ .type = MESSAGE_TIMEOUT_NOW, .term = 2, .timeout_now = { .last_index = 4, .last_term = 1 } },
		{ .type = MESSAGE_PROBE, .term = 2, .probe = { .round = 77 } },
		{ .type = MESSAGE_PROBE_RESULT, .term = 2, .probe = { .round = 78 } },
	};
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		buffer_clear(&out);
		assert_int_equal(raft_message_encode(&out, &messages[i], NULL), 0);
		assert_int_equal(raft_message_decode(&read_back, entries, buffer_span(&out)), 0);
		assert_int_equal(read_back.type, messages[i].type);
		assert_int_equal(read_back.term, 2);
		struct buffer again;
		buffer_init(&again, 4096);
		raft_message_encode(&again, &read_back, NULL);
		assert_true(span_equal(buffer_span(&again), buffer_span(&out)));
		buffer_fini(&again);
		for (size_t length = 0; length < out.length; length++)
			assert_int_not_equal(raft_message_decode(&read_back, entries, span_of(out.data, length)), 0);
	}
}

static void an_append_carries_its_entries(void **state)
{
	(void)state;
	struct message message = append_of_three();
	assert_int_equal(raft_message_encode(&out, &message, three), 0);
	assert_int_equal(raft_message_decode(&read_back, entries, buffer_span(&out)), 0);
	assert_int_equal(read_back.append.count, 3);
	assert_int_equal(read_back.append.previous_index, 7);
	assert_int_equal(read_back.append.commit, 6);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(entries[i].type, three[i].type);
		assert_int_equal(entries[i].index, three[i].index);
		assert_int_equal(entries[i].term, three[i].term);
		assert_true(span_equal(entries[i].payload, three[i].payload));
	}
	for (size_t length = 0; length < out.length; length++)
		assert_int_equal(raft_message_decode(&read_back, entries, span_of(out.data, length)), ERR_CORRUPT);
	buffer_append_byte(&out, 0);
	assert_int_equal(raft_message_decode(&read_back, entries, buffer_span(&out)), ERR_CORRUPT);
}

static int decode_of(const struct message *message, const struct wire_entry *of)
{
	buffer_clear(&out);
	assert_int_equal(raft_message_encode(&out, message, of), 0);
	return raft_message_decode(&read_back, entries, buffer_span(&out));
}

static void what_the_engine_would_take_for_granted_is_checked(void **state)
{
	(void)state;
	struct message message = append_of_three();
	struct wire_entry bent[3];
	memcpy(bent, three, sizeof(three));
	bent[1].index = 10; /* a hole */
	assert_int_equal(decode_of(&message, bent), ERR_CORRUPT);
	memcpy(bent, three, sizeof(three));
	bent[2].term = 3; /* terms never go back */
	assert_int_equal(decode_of(&message, bent), ERR_CORRUPT);
	memcpy(bent, three, sizeof(three));
	bent[2].term = 6; /* nor past the sender's */
	assert_int_equal(decode_of(&message, bent), ERR_CORRUPT);
	memcpy(bent, three, sizeof(three));
	bent[0].type = 4;
	assert_int_equal(decode_of(&message, bent), ERR_CORRUPT);
	message.append.previous_term = 0;
	assert_int_equal(decode_of(&message, three), ERR_CORRUPT);
	message = (struct message){ .type = MESSAGE_PROBE };
	assert_int_equal(decode_of(&message, NULL), ERR_CORRUPT); /* no term */
	message = (struct message){ .type = MESSAGE_INSTALL, .term = 2, .install = { .last_index = 4, .last_term = 1, .configuration_index = 5,
		.configuration = span_text("c") } };
	assert_int_equal(decode_of(&message, NULL), ERR_CORRUPT); /* a configuration of the future */
}

static void a_type_of_tomorrow_is_told_from_a_broken_one(void **state)
{
	(void)state;
	pack_array(&out, 3);
	pack_u64(&out, 99);
	pack_u64(&out, 1);
	pack_u64(&out, 1);
	assert_int_equal(raft_message_decode(&read_back, entries, buffer_span(&out)), ERR_UNSUPPORTED);
}

static void too_many_entries_are_refused(void **state)
{
	(void)state;
	struct wire_entry many[RAFT_ENTRIES_MAX + 1];
	struct message message = append_of_three();
	for (size_t i = 0; i <= RAFT_ENTRIES_MAX; i++)
		many[i] = (struct wire_entry){ .type = 1, .index = 8 + i, .term = 5 };
	message.append.count = RAFT_ENTRIES_MAX;
	assert_int_equal(decode_of(&message, many), 0);
	message.append.count = RAFT_ENTRIES_MAX + 1;
	assert_int_equal(decode_of(&message, many), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_type_reads_back_as_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_append_carries_its_entries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_engine_would_take_for_granted_is_checked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_type_of_tomorrow_is_told_from_a_broken_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_many_entries_are_refused, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
