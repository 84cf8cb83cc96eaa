/* receive_commands.h - the head of a push: which refs shall become what, and what the client understands.
 *
 *   {"shallow <oid>"}  "old new ref\0capabilities"  {"old new ref"}  flush  [{push option} flush]  then the pack
 *
 * Bytes come as the network cuts them; the parser keeps at most one packet, so memory is bounded by the commands themselves. A list without commands (a
 * flush alone) is what clients send to find out whether they may push. The parser knows git's format and limits; who may do what is not
 * its matter. Pure; one thread. */
#ifndef CAIRN_GATEWAY_GIT_RECEIVE_COMMANDS_H
#define CAIRN_GATEWAY_GIT_RECEIVE_COMMANDS_H

#include "replication/namespace.h"
#include "schemas/pkt_line.h"

enum {
	RECEIVE_COMMANDS_MAX = REFS_PER_COMMAND_MAX,
	RECEIVE_OPTIONS_MAX = 64,
	RECEIVE_OPTION_BYTES_MAX = 1024,
	RECEIVE_SHALLOW_MAX = 100 * 1000,    /* lines that are skipped */
	RECEIVE_CAPABILITIES_BYTES_MAX = 4096,
};

struct receive_command {
	char name[REF_BYTES_MAX + 1];
	struct oid old_oid, new_oid; /* zero: shall not exist, shall go */
	bool is_malformed;           /* the name breaks git's rules; it is then only good for the report, and may be cut short */
};

enum receive_state { RECEIVE_LIST, RECEIVE_OPTIONS, RECEIVE_DONE };

struct receive_commands {
	enum receive_state state;
	struct receive_command *commands; /* malloc'ed */
	size_t count, capacity;
	size_t shallow_count, options_count;
	bool has_report, has_report_v2, has_side_band, is_quiet, is_atomic, has_options;
	struct buffer held;               /* the packet that the last bytes ended in */
};

void receive_commands_init(struct receive_commands *commands);
void receive_commands_fini(struct receive_commands *commands);
/* Takes bytes until the head is whole; *used of them. 1: whole, what follows is the pack; 0: more is needed; ERR_CORRUPT, ERR_UNSUPPORTED (a signed push,
 * another object format), ERR_TOO_BIG, ERR_NO_MEMORY with a sentence. Not to be called again after 1 or an error. */
int receive_commands_take(struct receive_commands *commands, struct span bytes, size_t *used, struct why *why);
/* True when some command needs objects, so that a pack follows. */
bool receive_commands_need_pack(const struct receive_commands *commands);

#endif
