/* raft_engine.h - the Raft algorithm as a function: an event goes in, what must be done comes out. No I/O, no clock, no thread.
 *
 * DESIGN. The implementation drives the step function of cowsql raft 0.22.1 and is the only file that includes its header, so
 * that the engine can be replaced. This facade owns the engine's memory rules: what goes in is copied, what comes out is ours. Every
 * precondition that the packaged library would only assert (its asserts are compiled out) is checked here, in release builds too.
 *
 * The engine remembers terms, not entries: payloads live in the driver and in the log store. */
#ifndef CAIRN_REPLICATION_RAFT_ENGINE_H
#define CAIRN_REPLICATION_RAFT_ENGINE_H

#include "replication/log_entry.h"
#include "schemas/error.h"
#include "schemas/raft_message.h"

struct raft_engine;

enum raft_role { ROLE_FOLLOWER, ROLE_CANDIDATE, ROLE_LEADER };

struct engine_start {
	uint64_t term, voted_for;
	uint64_t snapshot_index, snapshot_term; /* 0: none */
	uint64_t configuration_index;
	struct span configuration; /* as of the snapshot */
	uint64_t first_index;      /* of the log on disk */
	const uint64_t *terms;     /* one per entry */
	struct log_entry *const *configurations; /* entries of type configuration, ascending */
	size_t configurations_count;
	size_t count;
};

struct engine_update {
	bool hard_state;  /* term or vote changed: durable before anything else */
	uint64_t first_index;      /* of new entries; 0: none */
	struct log_entry **entries; /* owned by the caller of the step, array and references */
	size_t entries_count;
	bool install;     /* the state up to an index must be fetched from a peer */
	struct message *messages; /* the engine's, until its next step */
	size_t messages_count;
};
void engine_update_fini(struct engine_update *update);

int raft_engine_open(struct raft_engine **out, uint64_t node_id, uint32_t seed, struct why *why);
void raft_engine_close(struct raft_engine *engine);

/* Bootstrap: the encoded configuration of a cluster of `count` voters. */
int raft_engine_configuration(struct buffer *out, const uint64_t *voters, size_t count);
/* True when the configuration's only voter is `node_id`. */
bool raft_engine_sole_voter(struct span configuration, uint64_t node_id);
enum server_role { SERVER_NONE, SERVER_STANDBY, SERVER_VOTER };
struct server {
	uint64_t id;
	enum server_role role;
};
enum { SERVERS_MAX = 64 };
enum { ENGINE_ELECTION_MS = 1000 }; /* so long without a leader's word, and a little more, before a voter asks for votes */
/* 0 or ERR_CORRUPT (also for more than SERVERS_MAX). */
int raft_engine_servers(struct span configuration, struct server servers[SERVERS_MAX], size_t *count);
int raft_engine_configuration_of(struct buffer *out, const struct server *servers, size_t count);

/* Events. `now_ms` is monotonic, `capacity_kib` what this disk can take. Each fills `update`, also on error paths (then empty). 0, or
 * ERR_UNAVAILABLE-like: ERR_CLOSED (not leader), ERR_NO_SPACE, ERR_BUSY, ERR_INVALID (precondition), ERR_IO (engine gave up: stop the node). */
struct engine_clock {
	uint64_t now_ms;
	uint16_t capacity_kib;
};
int engine_step_start(struct raft_engine *engine, struct engine_clock clock, const struct engine_start *start, struct engine_update *update);
int engine_step_submit(struct raft_engine *engine, struct engine_clock clock, uint8_t type, struct span payload, struct engine_update *update);
int engine_step_persisted(struct raft_engine *engine, struct engine_clock clock, uint64_t index, struct engine_update *update);
int engine_step_configuration(struct raft_engine *engine, struct engine_clock clock, uint64_t index, struct span configuration, struct engine_update *update);
int engine_step_snapshot(struct raft_engine *engine, struct engine_clock clock, uint64_t index, uint64_t term, uint64_t configuration_index,
	struct span configuration, unsigned trailing, struct engine_update *update);
int engine_step_timeout(struct raft_engine *engine, struct engine_clock clock, struct engine_update *update);
int engine_step_receive(struct raft_engine *engine, struct engine_clock clock, const struct message *message, struct engine_update *update);
/* The state of what update->install asked for is here and durable. Followers only. */
int engine_step_installed(struct raft_engine *engine, struct engine_clock clock, uint64_t index, uint64_t term, uint64_t configuration_index,
	struct span configuration, struct engine_update *update);
/* Leader: hands leadership to `server_id`, or to whoever suits best (0). ERR_NOT_FOUND: there is nobody. */
int engine_step_transfer(struct raft_engine *engine, struct engine_clock clock, uint64_t server_id, struct engine_update *update);

uint64_t engine_term(const struct raft_engine *engine);
uint64_t engine_voted_for(const struct raft_engine *engine);
uint64_t engine_commit(const struct raft_engine *engine);
uint64_t engine_timeout_ms(const struct raft_engine *engine);
uint64_t engine_last_index(struct raft_engine *engine);
enum raft_role engine_role(struct raft_engine *engine);
unsigned engine_voters(const struct raft_engine *engine);
/* Whom this node takes for the leader; 0: nobody. */
uint64_t engine_leader(struct raft_engine *engine);
/* The configuration in use, committed or not. Returns how many. */
size_t engine_servers(const struct raft_engine *engine, struct server servers[SERVERS_MAX]);
/* Index of a configuration entry that is not committed yet; 0: none. */
uint64_t engine_uncommitted_configuration(const struct raft_engine *engine);
uint64_t engine_committed_configuration(const struct raft_engine *engine);
/* Leader: up to where a server's log is known to be like ours; 0: unknown. */
uint64_t engine_match(struct raft_engine *engine, uint64_t server_id);
bool engine_transferring(struct raft_engine *engine);
const char *engine_error(struct raft_engine *engine);

#endif
