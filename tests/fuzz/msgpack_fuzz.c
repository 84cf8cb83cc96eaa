/* Any bytes as a log entry, a command and a record: decoding never reads outside them, and what decodes encodes to the same meaning. */
#include "schemas/command.h"

#include <assert.h>
#include <stdlib.h>

struct thing {
	char name[33];
	uint8_t digest[20];
	uint64_t count;
	int64_t when_ms;
	bool flag;
	uint32_t kind;
};
static const struct field fields[] = {
	FIELD(struct thing, name, FIELD_TEXT, false),
	FIELD(struct thing, digest, FIELD_BYTES, false),
	FIELD(struct thing, count, FIELD_U64, false),
	FIELD(struct thing, when_ms, FIELD_I64, false),
	FIELD(struct thing, flag, FIELD_BOOL, false),
	FIELD(struct thing, kind, FIELD_ENUM, false),
};
static const struct schema schema = SCHEMA(1, fields);

static void check_record(struct span bytes)
{
	struct thing first, second;
	if (record_decode(&first, sizeof(first), &schema, bytes) != 0)
		return;
	struct buffer out;
	buffer_init(&out, 4096);
	record_encode(&out, &schema, &first);
	assert(!out.failed);
	assert(record_decode(&second, sizeof(second), &schema, buffer_span(&out)) == 0);
	assert(strcmp(first.name, second.name) == 0 && memcmp(first.digest, second.digest, sizeof(first.digest)) == 0);
	assert(first.count == second.count && first.when_ms == second.when_ms && first.flag == second.flag && first.kind == second.kind);
	buffer_fini(&out);
}

static void check_command(struct span bytes)
{
	struct command first, second;
	if (command_decode(&first, bytes) != 0)
		return;
	struct buffer out;
	buffer_init(&out, COMMAND_BYTES_MAX + 64);
	assert(command_encode(&out, &first) == 0);
	assert(command_decode(&second, buffer_span(&out)) == 0);
	assert(first.type == second.type && first.version == second.version && span_equal(first.actor, second.actor));
	assert(span_equal(first.body, second.body) && memcmp(&first.id, &second.id, sizeof(first.id)) == 0);
	check_record(first.body);
	buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct span bytes = span_of(data, length), command;
	check_command(bytes);
	check_record(bytes);
	struct command_entry entry;
	if (command_entry_open(&entry, bytes) != 0)
		return 0;
	uint32_t count = entry.count, seen = 0;
	while (command_entry_next(&entry, &command) == 1) {
		seen++;
		check_command(command);
	}
	assert(seen <= count);
	return 0;
}
