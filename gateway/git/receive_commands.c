#include "gateway/git/receive_commands.h"

#include <stdlib.h>

#include "schemas/git_object.h"

enum { OID_DIGITS = 2 * OID_BYTES };

void receive_commands_init(struct receive_commands *commands)
{
	*commands = (struct receive_commands){ .state = RECEIVE_LIST };
	buffer_init(&commands->held, PKT_BYTES_MAX);
}

void receive_commands_fini(struct receive_commands *commands)
{
	free(commands->commands);
	buffer_fini(&commands->held);
	*commands = (struct receive_commands){ 0 };
}

bool receive_commands_need_pack(const struct receive_commands *commands)
{
	for (size_t i = 0; i < commands->count; i++)
		if (!git_oid_is_zero(&commands->commands[i].new_oid))
			return true;
	return false;
}

/* ------------------------------------------------------------------ lines */

static bool begins_with(struct span text, const char *word)
{
	size_t length = strlen(word);
	return text.length >= length && memcmp(text.data, word, length) == 0;
}

/* Words between blanks; unknown ones are for servers that know them. */
static int take_capabilities(struct receive_commands *commands, struct span text, struct why *why)
{
	if (text.length > RECEIVE_CAPABILITIES_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "the list of capabilities is longer than %d bytes", RECEIVE_CAPABILITIES_BYTES_MAX);
	while (text.length) {
		const uint8_t *blank = memchr(text.data, ' ', text.length);
		struct span word = span_of(text.data, blank ? (size_t)(blank - text.data) : text.length);
		text = span_of(text.data + word.length + (blank != NULL), text.length - word.length - (blank != NULL));
		commands->has_report |= span_equal(word, span_text("report-status"));
		commands->has_report_v2 |= span_equal(word, span_text("report-status-v2"));
		commands->has_side_band |= span_equal(word, span_text("side-band-64k"));
		commands->is_quiet |= span_equal(word, span_text("quiet"));
		commands->is_atomic |= span_equal(word, span_text("atomic"));
		commands->has_options |= span_equal(word, span_text("push-options"));
		if (begins_with(word, "object-format=") && !span_equal(word, span_text("object-format=sha1")))
			return why_set(why, ERR_UNSUPPORTED, "this server keeps SHA-1 repositories only");
	}
	return 0;
}

static int add(struct receive_commands *commands, const struct receive_command *command, struct why *why)
{
	if (commands->count == RECEIVE_COMMANDS_MAX)
		return why_set(why, ERR_TOO_BIG, "one push may change %d refs at most; push them in parts", RECEIVE_COMMANDS_MAX);
	if (commands->count == commands->capacity) {
		size_t capacity = commands->capacity ? commands->capacity * 2 : 4;
		struct receive_command *grown = realloc(commands->commands, capacity * sizeof(*grown));
		if (!grown)
			return why_set(why, ERR_NO_MEMORY, "no memory for the list of refs");
		commands->commands = grown;
		commands->capacity = capacity;
	}
	commands->commands[commands->count++] = *command;
	return 0;
}

static bool is_named(const struct receive_commands *commands, const char *name)
{
	for (size_t i = 0; i < commands->count; i++)
		if (strcmp(commands->commands[i].name, name) == 0)
			return true;
	return false;
}

/* What a report line can carry of a name that no ref may have. */
static void copy_shown(char *out, struct span name)
{
	size_t length = name.length < REF_BYTES_MAX ? name.length : REF_BYTES_MAX;
	for (size_t i = 0; i < length; i++)
		out[i] = name.data[i] <= ' ' || name.data[i] >= 0x7f ? '?' : (char)name.data[i];
	out[length] = 0;
}

static int take_command(struct receive_commands *commands, struct span line, struct why *why)
{
	struct receive_command command = { 0 };
	const char *text = (const char *)line.data;
	if (line.length < 2 * OID_DIGITS + 3 || text[OID_DIGITS] != ' ' || text[2 * OID_DIGITS + 1] != ' ' ||
		hex_decode(command.old_oid.bytes, OID_BYTES, text, OID_DIGITS) != 0 ||
		hex_decode(command.new_oid.bytes, OID_BYTES, text + OID_DIGITS + 1, OID_DIGITS) != 0)
		return why_set(why, ERR_CORRUPT, "a line of the push is not \"old new ref\"");
	struct span name = span_of(line.data + 2 * OID_DIGITS + 2, line.length - 2 * OID_DIGITS - 2);
	command.is_malformed = name.length > REF_BYTES_MAX || !ref_name_valid(name);
	copy_shown(command.name, name);
	if (!command.is_malformed) {
		memcpy(command.name, name.data, name.length); /* beyond ASCII too */
		command.name[name.length] = 0;
		if (is_named(commands, command.name))
			return why_set(why, ERR_CORRUPT, "the push names %s twice", command.name);
	}
	return add(commands, &command, why);
}

static int take_list_line(struct receive_commands *commands, const struct pkt *pkt, struct why *why)
{
	struct span line = pkt_text(pkt);
	if (begins_with(line, "shallow ") && commands->count == 0) { /* a clone with cut history says where it is cut; our objects are whole */
		if (++commands->shallow_count > RECEIVE_SHALLOW_MAX)
			return why_set(why, ERR_TOO_BIG, "the history of the clone is cut at more than %d commits", RECEIVE_SHALLOW_MAX);
		return 0;
	}
	if (begins_with(line, "push-cert"))
		return why_set(why, ERR_UNSUPPORTED, "signed pushes are not supported");
	const uint8_t *nul = line.length ? memchr(line.data, 0, line.length) : NULL;
	if (nul) {
		if (commands->count)
			return why_set(why, ERR_CORRUPT, "only the first line of a push may list capabilities");
		struct span after = span_of(nul + 1, line.length - (size_t)(nul + 1 - line.data));
		int err = take_capabilities(commands, after, why);
		if (err)
			return err;
		line.length = (size_t)(nul - line.data);
	}
	return take_command(commands, line, why);
}

static int take_option(struct receive_commands *commands, const struct pkt *pkt, struct why *why)
{
	if (pkt->payload.length > RECEIVE_OPTION_BYTES_MAX || ++commands->options_count > RECEIVE_OPTIONS_MAX)
		return why_set(why, ERR_TOO_BIG, "a push may have %d options of %d bytes", RECEIVE_OPTIONS_MAX, RECEIVE_OPTION_BYTES_MAX);
	return 0;
}

static int take_pkt(struct receive_commands *commands, const struct pkt *pkt, struct why *why)
{
	if (pkt->kind == PKT_FLUSH) {
		bool options_follow = commands->state == RECEIVE_LIST && commands->has_options && commands->count;
		commands->state = options_follow ? RECEIVE_OPTIONS : RECEIVE_DONE;
		return 0;
	}
	if (pkt->kind != PKT_LINE)
		return why_set(why, ERR_CORRUPT, "a push has no such packet");
	return commands->state == RECEIVE_LIST ? take_list_line(commands, pkt, why) : take_option(commands, pkt, why);
}

/* ------------------------------------------------------------------ bytes */

/* The length of the packet that begins here as far as four digits tell; 0 when they do not. */
static size_t length_of(struct span bytes)
{
	size_t length = 0;
	for (size_t i = 0; i < PKT_HEADER_BYTES && i < bytes.length; i++) {
		uint8_t byte = bytes.data[i] | 0x20;
		length = length * 16 + (size_t)(bytes.data[i] <= '9' ? bytes.data[i] - '0' : byte - 'a' + 10);
	}
	return bytes.length < PKT_HEADER_BYTES ? 0 : length < PKT_HEADER_BYTES ? PKT_HEADER_BYTES : length;
}

/* Completes the held packet from the front of `bytes`; at most what it lacks, since what follows the head is not ours. */
static int hold(struct receive_commands *commands, struct span *bytes, struct why *why)
{
	struct span held = buffer_span(&commands->held);
	size_t whole = length_of(held), wanted = whole ? whole : PKT_HEADER_BYTES;
	size_t lacking = wanted > held.length ? wanted - held.length : 0;
	size_t taken = lacking < bytes->length ? lacking : bytes->length;
	if (buffer_append(&commands->held, bytes->data, taken) != 0)
		return why_set(why, ERR_NO_MEMORY, "no memory for a line of the push");
	*bytes = span_of(bytes->data + taken, bytes->length - taken);
	return 0;
}

int receive_commands_take(struct receive_commands *commands, struct span bytes, size_t *used, struct why *why)
{
	struct span left = bytes;
	int err = 0;
	while (err == 0 && left.length && commands->state != RECEIVE_DONE) {
		struct pkt pkt;
		struct span *from = &left, held;
		if (commands->held.length) {
			err = hold(commands, &left, why);
			held = buffer_span(&commands->held);
			from = &held;
		}
		int got = err ? err : pkt_next(from, &pkt);
		if (err == 0 && got < 0)
			err = why_set(why, ERR_CORRUPT, "this is no push: a packet is malformed");
		if (got > 0)
			err = take_pkt(commands, &pkt, why);
		if (got > 0 && from == &held)
			buffer_clear(&commands->held);
		if (got == 0 && from == &left) {
			if (buffer_append(&commands->held, left.data, left.length) != 0)
				err = why_set(why, ERR_NO_MEMORY, "no memory for a line of the push");
			left.length = 0;
		}
	}
	*used = bytes.length - left.length;
	return err ? err : commands->state == RECEIVE_DONE;
}
