#include "replication/command_ids.h"

#include "replication/proposals.h"

#include <stdlib.h>

enum { KIND_COMMAND_ID = 'c' };

static void id_key(struct key *key, uint32_t group, const struct command_id *id)
{
	key_begin(key, group, SLOT_CONSENSUS, KIND_COMMAND_ID);
	key_add_number(key, (uint64_t)command_id_ms(id) / COMMAND_ID_HOUR_MS, 4);
	key_add(key, id->bytes, COMMAND_ID_BYTES);
}

bool command_id_in_window(const struct command_id *id, int64_t leader_ms)
{
	int64_t ms = command_id_ms(id);
	return ms > leader_ms - COMMAND_ID_WINDOW_MS && ms < leader_ms + COMMAND_ID_AHEAD_MS;
}

int command_ids_get(struct state_batch *batch, uint32_t group, const struct command_id *id, struct command_outcome *out, struct why *why)
{
	struct key key;
	struct span value;
	id_key(&key, group, id);
	int err = state_batch_get(batch, key_span(&key), &value, why);
	if (err)
		return err;
	struct cursor cursor = cursor_of(value);
	cursor_array(&cursor, 4);
	out->index = cursor_u64(&cursor);
	out->err = (int)cursor_i64(&cursor);
	struct span result = cursor_bytes(&cursor, PROPOSAL_RESULT_BYTES_MAX);
	struct span sentence = cursor_text(&cursor, WHY_BYTES_MAX - 1);
	if (!cursor_done(&cursor))
		return why_set(why, ERR_CORRUPT, "a remembered command outcome does not parse");
	buffer_append(&out->result, result.data, result.length);
	why_set(&out->why, 0, "%.*s", (int)sentence.length, sentence.data ? (const char *)sentence.data : "");
	return 0;
}

void command_ids_put(struct state_batch *batch, uint32_t group, const struct command_id *id, const struct command_outcome *outcome)
{
	struct key key;
	id_key(&key, group, id);
	struct buffer value;
	buffer_init(&value, PROPOSAL_RESULT_BYTES_MAX + 2 * WHY_BYTES_MAX);
	pack_array(&value, 4);
	pack_u64(&value, outcome->index);
	pack_i64(&value, outcome->err);
	pack_bytes(&value, buffer_span(&outcome->result));
	pack_text(&value, span_text(outcome->err ? outcome->why.text : ""));
	state_batch_put(batch, key_span(&key), buffer_span(&value));
	buffer_fini(&value);
}

int command_ids_drop(rocksdb_t *db, const rocksdb_writeoptions_t *options, uint32_t group, uint64_t hour, struct why *why)
{
	struct key from, to;
	key_begin(&from, group, SLOT_CONSENSUS, KIND_COMMAND_ID);
	to = from;
	key_add_number(&to, hour, 4);
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	rocksdb_writebatch_delete_range(batch, (const char *)from.bytes, from.length, (const char *)to.bytes, to.length);
	char *error = NULL;
	rocksdb_write(db, (rocksdb_writeoptions_t *)(uintptr_t)options, batch, &error);
	rocksdb_writebatch_destroy(batch);
	if (!error)
		return 0;
	int err = why_set(why, ERR_IO, "cannot write the state: %s", error);
	rocksdb_free(error);
	return err;
}
