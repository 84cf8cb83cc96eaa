#include "schemas/raft_message.h"

enum { ENTRY_TYPE_MIN = 1, ENTRY_TYPE_MAX = 3 };

/* ---- writing ---- */

static void pack_entries(struct buffer *out, const struct wire_entry *entries, size_t count)
{
	pack_array(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		pack_array(out, 4);
		pack_u64(out, entries[i].type);
		pack_u64(out, entries[i].index);
		pack_u64(out, entries[i].term);
		pack_bytes(out, entries[i].payload);
	}
}

static void pack_head(struct buffer *out, const struct message *message, uint32_t fields)
{
	pack_array(out, 2 + fields);
	pack_u64(out, message->type);
	pack_u64(out, message->term);
}

int raft_message_encode(struct buffer *out, const struct message *message, const struct wire_entry *entries)
{
	switch (message->type) {
	case MESSAGE_APPEND:
		pack_head(out, message, 4);
		pack_u64(out, message->append.previous_index);
		pack_u64(out, message->append.previous_term);
		pack_u64(out, message->append.commit);
		pack_entries(out, entries, message->append.count);
		break;
	case MESSAGE_APPEND_RESULT:
		pack_head(out, message, 4);
		pack_u64(out, message->append_result.rejected);
		pack_u64(out, message->append_result.last_index);
		pack_u64(out, message->append_result.features);
		pack_u64(out, message->append_result.capacity);
		break;
	case MESSAGE_VOTE:
		pack_head(out, message, 4);
		pack_u64(out, message->vote.last_index);
		pack_u64(out, message->vote.last_term);
		pack_bool(out, message->vote.disrupt_leader);
		pack_bool(out, message->vote.pre_vote);
		break;
	case MESSAGE_VOTE_RESULT:
		pack_head(out, message, 4);
		pack_bool(out, message->vote_result.granted);
		pack_bool(out, message->vote_result.pre_vote);
		pack_u64(out, message->vote_result.features);
		pack_u64(out, message->vote_result.capacity);
		break;
	case MESSAGE_INSTALL:
		pack_head(out, message, 4);
		pack_u64(out, message->install.last_index);
		pack_u64(out, message->install.last_term);
		pack_u64(out, message->install.configuration_index);
		pack_bytes(out, message->install.configuration);
		break;
	case MESSAGE_TIMEOUT_NOW:
		pack_head(out, message, 2);
		pack_u64(out, message->timeout_now.last_index);
		pack_u64(out, message->timeout_now.last_term);
		break;
	case MESSAGE_PROBE:
	case MESSAGE_PROBE_RESULT:
		pack_head(out, message, 2);
		pack_u64(out, message->probe.round);
		pack_u64(out, message->probe.asker_term);
		break;
	}
	return out->failed ? ERR_TOO_BIG : 0;
}

/* ---- reading ---- */

static uint16_t take_u16(struct cursor *cursor)
{
	uint64_t value = cursor_u64(cursor);
	if (value > UINT16_MAX)
		cursor->failed = true;
	return (uint16_t)value;
}

static size_t take_entries(struct cursor *cursor, struct wire_entry *entries)
{
	uint32_t count = cursor_array(cursor, RAFT_ENTRIES_MAX);
	for (uint32_t i = 0; i < count && !cursor->failed; i++) {
		if (cursor_array(cursor, 4) != 4)
			cursor->failed = true;
		uint64_t type = cursor_u64(cursor);
		if (type < ENTRY_TYPE_MIN || type > ENTRY_TYPE_MAX)
			cursor->failed = true;
		entries[i].type = (uint8_t)type;
		entries[i].index = cursor_u64(cursor);
		entries[i].term = cursor_u64(cursor);
		entries[i].payload = cursor_bytes(cursor, RAFT_ENTRY_BYTES_MAX);
	}
	return cursor->failed ? 0 : count;
}

/* What the engine would take for granted. */
static bool makes_sense(const struct message *message, const struct wire_entry *entries)
{
	if (message->term == 0)
		return false;
	if (message->type == MESSAGE_INSTALL)
		return message->install.last_index > 0 && message->install.last_term > 0 && message->install.configuration_index > 0 &&
			message->install.configuration_index <= message->install.last_index && message->install.configuration.length > 0;
	if (message->type != MESSAGE_APPEND)
		return true;
	uint64_t term = message->append.previous_term;
	if ((message->append.previous_index == 0) != (term == 0) || term > message->term)
		return false;
	for (size_t i = 0; i < message->append.count; i++) {
		if (entries[i].index != message->append.previous_index + 1 + i || entries[i].term < term || entries[i].term > message->term ||
			entries[i].term == 0)
			return false;
		term = entries[i].term;
	}
	return true;
}

int raft_message_decode(struct message *out, struct wire_entry *entries, struct span bytes)
{
	*out = (struct message){ 0 };
	struct cursor cursor = cursor_of(bytes);
	uint32_t fields = cursor_array(&cursor, 16);
	uint64_t type = cursor_u64(&cursor);
	out->term = cursor_u64(&cursor);
	uint32_t expected = 6;
	if (cursor.failed)
		return ERR_CORRUPT;
	if (type < MESSAGE_APPEND || type > MESSAGE_PROBE_RESULT)
		return ERR_UNSUPPORTED;
	out->type = (enum message_type)type;
	switch (out->type) {
	case MESSAGE_APPEND:
		out->append.previous_index = cursor_u64(&cursor);
		out->append.previous_term = cursor_u64(&cursor);
		out->append.commit = cursor_u64(&cursor);
		out->append.count = take_entries(&cursor, entries);
		break;
	case MESSAGE_APPEND_RESULT:
		out->append_result.rejected = cursor_u64(&cursor);
		out->append_result.last_index = cursor_u64(&cursor);
		out->append_result.features = take_u16(&cursor);
		out->append_result.capacity = take_u16(&cursor);
		break;
	case MESSAGE_VOTE:
		out->vote.last_index = cursor_u64(&cursor);
		out->vote.last_term = cursor_u64(&cursor);
		out->vote.disrupt_leader = cursor_bool(&cursor);
		out->vote.pre_vote = cursor_bool(&cursor);
		break;
	case MESSAGE_VOTE_RESULT:
		out->vote_result.granted = cursor_bool(&cursor);
		out->vote_result.pre_vote = cursor_bool(&cursor);
		out->vote_result.features = take_u16(&cursor);
		out->vote_result.capacity = take_u16(&cursor);
		break;
	case MESSAGE_INSTALL:
		out->install.last_index = cursor_u64(&cursor);
		out->install.last_term = cursor_u64(&cursor);
		out->install.configuration_index = cursor_u64(&cursor);
		out->install.configuration = cursor_bytes(&cursor, RAFT_CONFIGURATION_BYTES_MAX);
		break;
	case MESSAGE_TIMEOUT_NOW:
		out->timeout_now.last_index = cursor_u64(&cursor);
		out->timeout_now.last_term = cursor_u64(&cursor);
		expected = 4;
		break;
	case MESSAGE_PROBE:
	case MESSAGE_PROBE_RESULT:
		out->probe.round = cursor_u64(&cursor);
		out->probe.asker_term = cursor_u64(&cursor);
		expected = 4;
		break;
	}
	if (!cursor_done(&cursor) || fields != expected || !makes_sense(out, entries))
		return ERR_CORRUPT;
	return 0;
}
