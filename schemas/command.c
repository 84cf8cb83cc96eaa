#include "schemas/command.h"

int command_encode(struct buffer *out, const struct command *command)
{
	if (command->actor.length > COMMAND_ACTOR_BYTES_MAX)
		return ERR_INVALID;
	pack_array(out, 5);
	pack_u64(out, command->type);
	pack_u64(out, command->version);
	pack_bytes(out, span_of(command->id.bytes, COMMAND_ID_BYTES));
	pack_text(out, command->actor);
	buffer_append(out, command->body.data, command->body.length);
	return out->failed ? ERR_TOO_BIG : 0;
}

/* One command at a cursor. An entry is read by the same steps as a command alone: what one accepts, the other does. */
static int take(struct cursor *cursor, struct command *out)
{
	*out = (struct command){ 0 };
	if (cursor_array(cursor, 5) != 5)
		return ERR_CORRUPT;
	uint64_t type = cursor_u64(cursor);
	uint64_t version = cursor_u64(cursor);
	struct span id = cursor_bytes(cursor, COMMAND_ID_BYTES);
	out->actor = cursor_text(cursor, COMMAND_ACTOR_BYTES_MAX);
	out->body = cursor_value(cursor);
	if (cursor->failed || type > UINT16_MAX || version > UINT8_MAX || id.length != COMMAND_ID_BYTES)
		return ERR_CORRUPT;
	out->type = (uint16_t)type;
	out->version = (uint8_t)version;
	memcpy(out->id.bytes, id.data, COMMAND_ID_BYTES);
	return 0;
}

int command_decode(struct command *out, struct span bytes)
{
	struct cursor cursor = cursor_of(bytes);
	int err = bytes.length > COMMAND_BYTES_MAX ? ERR_CORRUPT : take(&cursor, out);
	return err == 0 && !cursor_done(&cursor) ? ERR_CORRUPT : err;
}

bool command_releases(uint16_t type)
{
	switch (type) {
	case COMMAND_DROP_IDS:
	case COMMAND_TOKEN_DELETE:
	case COMMAND_SSH_KEY_DELETE:
	case COMMAND_APP_DELETE:
	case COMMAND_REPO_DELETE:
	case COMMAND_REPO_PURGE:
	case COMMAND_REPO_FORGET:
	case COMMAND_LOCK_DELETE:
	case COMMAND_LIKES_DROP:
	case COMMAND_ORG_DELETE:
	case COMMAND_MEMBER_DELETE:
		return true;
	default:
		return false;
	}
}

int64_t command_id_ms(const struct command_id *id)
{
	int64_t ms = 0;
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id->bytes[i];
	return ms;
}

void command_entry_begin(struct buffer *out, int64_t leader_ms, uint32_t count)
{
	pack_array(out, 3);
	pack_u64(out, COMMAND_ENTRY_FORMAT);
	pack_i64(out, leader_ms);
	pack_array(out, count);
}

int command_entry_open(struct command_entry *out, struct span payload)
{
	*out = (struct command_entry){ .commands = cursor_of(payload) };
	if (cursor_array(&out->commands, 3) != 3)
		return ERR_CORRUPT;
	uint64_t format = cursor_u64(&out->commands);
	if (!out->commands.failed && format != COMMAND_ENTRY_FORMAT)
		return ERR_UNSUPPORTED;
	out->leader_ms = cursor_i64(&out->commands);
	out->count = cursor_array(&out->commands, COMMANDS_PER_ENTRY_MAX);
	return out->commands.failed ? ERR_CORRUPT : 0;
}

int command_entry_next(struct command_entry *entry, struct span *command)
{
	if (entry->count == 0)
		return cursor_done(&entry->commands) ? 0 : ERR_CORRUPT;
	entry->count--;
	const uint8_t *start = entry->commands.at;
	struct command unused;
	if (take(&entry->commands, &unused) != 0)
		return ERR_CORRUPT;
	*command = span_of(start, (size_t)(entry->commands.at - start));
	return 1;
}
