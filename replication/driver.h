/* driver.h - drives one group's Raft engine: the rules around it that make the difference between an algorithm and a store.
 *
 * DESIGN. A step's outcome is handled in one order: hard state durable, entries queued for the disk, messages sent, commits handed to the applier,
 * timer set. Rules that close known defects of the engine, each with a test:
 *  - a stale sender's append or install is answered here and never stepped (the engine would send an uninitialised index);
 *  - a refused vote goes out with at least our term (else pre-vote can deadlock);
 *  - an answer to a request for votes is stepped by a candidate only (else its term is taken over or not by bytes that mean something else);
 *  - a received append is split so that a configuration is only ever its first entry (else the engine notes a wrong index for it);
 *  - an append that begins before our snapshot is taken as one that begins behind it (else compacted entries are appended anew);
 *  - a refused append that later acknowledgements have overtaken is not stepped (else the follower gets nothing more);
 *  - while a state is being installed nothing is applied, though the commit index moves;
 *  - a stand-by votes as a voter would, but once in a term (else who was made the second voter and died before it knew is never asked again: standby_votes.h);
 *  - a change of membership is proposed only when a majority of its voters is known to have the last one (else promoting one that lags can
 *    leave a cluster that cannot commit);
 *  - whoever is to lead next is asked to begin until it has stored all that is on its way to it (the engine asks once, which under load is always too early);
 *  - a leader makes nobody else the only voter (the engine lets that one lead in the same term);
 *  - the configuration that leaves a leader as the only voter is on its disk before others get it (else who has it votes no more, and is still needed);
 *  - entries that replace cached ones bump the generation: a disk completion of an older one is never reported, and reports only grow;
 *  - a new leader submits a barrier of its own; strong reads and configuration changes wait until it is applied;
 *  - a sole voter starts each life in a new term: entries of the last one that reached a stand-by but not our disk can then never be
 *    taken for entries of this one.
 *
 * What is committed is given to the applier as far as it keeps up (held_entries.h), and counted as committed in all else.
 *
 * Not thread-safe: the meta loop owns it. All time, chance and I/O come through `struct rio`. */
#ifndef CAIRN_REPLICATION_DRIVER_H
#define CAIRN_REPLICATION_DRIVER_H

#include "replication/rio.h"

struct driver;

/* Takes over what was loaded. `applied` is the state machine's index. Emits the first effects through `rio`. */
int driver_open(struct driver **out, uint32_t group, uint64_t node_id, const struct rio *rio, struct log_loaded *loaded, uint64_t applied, struct why *why);
void driver_close(struct driver *driver);

/* Leader: somebody at another server waits until it knows that `index` is committed. Who is no server, or has had no append yet, is told with all. */
void driver_await_commit(struct driver *driver, uint64_t id, uint64_t index);
/* Leader: tells servers at which somebody waits, or all, how far the log is committed, unless an append has; the engine would with its next heartbeat. To be
 * called when nothing more is about to be submitted. True: others do not know it yet. */
bool driver_tell_commit(struct driver *driver, bool all);

/* Leader only: proposes one entry. On success takes `waiters`. 0, ERR_CLOSED, ERR_NO_SPACE, ERR_BUSY, ERR_NO_MEMORY. */
int driver_submit(struct driver *driver, enum entry_type type, struct span payload, struct proposal *waiters, bool releases);
void driver_stored(struct driver *driver, const struct log_job *job);
void driver_applied(struct driver *driver, uint64_t index);
/* True: not all that is committed was given to the applier. driver_applied is wanted as soon as it gets on. */
bool driver_holds_back(const struct driver *driver);
void driver_timeout(struct driver *driver);
/* 0, or ERR_INVALID: the message makes no sense and was dropped. */
int driver_receive(struct driver *driver, const struct message *message);
/* What is being installed, or was last. Borrowed. */
const struct snapshot_record *driver_offered(const struct driver *driver);
/* The state that rio->install was asked for is in place; `applied` is its index. */
void driver_installed(struct driver *driver, uint64_t applied);

/* ---- reads, by rounds: read_rounds.h ---- */
/* 0 and the number of the round that covers this read, or ERR_CLOSED: not the leader, or its own barrier is not applied yet. */
int driver_read(struct driver *driver, uint64_t *round);
/* As read_rounds_index. */
int driver_read_index(struct driver *driver, uint64_t round, uint64_t *index);

/* ---- membership ---- */
/* Leader: proposes a configuration. 0, ERR_CLOSED (not the leader, not ready), ERR_BUSY (another change is under way, or voters lag),
 * ERR_INVALID (another server would be the only voter: hand leadership over first). */
int driver_change(struct driver *driver, const struct server *servers, size_t count);
/* Leader: hands leadership over; 0: to whoever suits best. */
int driver_transfer(struct driver *driver, uint64_t server_id);
size_t driver_servers(const struct driver *driver, struct server servers[SERVERS_MAX]);
/* Leader: up to where a server's log is like ours. */
uint64_t driver_match(const struct driver *driver, uint64_t server_id);

/* A flush mark: the job that records a snapshot at `index` and compacts the log below it less what is kept for slow peers. NULL: nothing
 * new. When the job is stored, driver_stored tells the engine. */
struct log_job *driver_snapshot(struct driver *driver, uint64_t applied);
/* How much log is kept behind a snapshot; at most 64 MiB, which is the default. */
void driver_set_trailing(struct driver *driver, uint64_t bytes);
/* Another bound than LOG_HELD_BYTES_MAX. */
void driver_set_held(struct driver *driver, uint64_t bytes_max);
/* While a peer copies our state, the log behind index `from` on is kept for it; 0: no more. */
void driver_pin(struct driver *driver, uint64_t from);
/* Log bytes appended since the last snapshot. */
uint64_t driver_snapshot_bytes(const struct driver *driver);

/* The term in which this node leads, 0: it does not. */
uint64_t driver_leads(const struct driver *driver);
/* Leads, and its own barrier is applied. */
bool driver_ready(const struct driver *driver);

struct driver_status {
	enum raft_role role;
	uint64_t term, committed, stored, last_index, snapshot_index, generation;
	size_t in_flight;    /* own entries submitted and not committed */
	unsigned voters;
	uint64_t leader;     /* as far as known here; 0: nobody */
	uint64_t changing;   /* index of a membership change that is not committed; 0: none */
	uint64_t contact_ms; /* when this node last heard of a leader, or led; on the clock of rio */
	bool installing;
	bool ready;          /* as driver_ready says */
};
void driver_status(const struct driver *driver, struct driver_status *out);

#endif
