#include "replication/driver.h"

#include "replication/held_entries.h"
#include "replication/log_outline.h"
#include "replication/node.h"
#include "replication/read_rounds.h"
#include "replication/standby_votes.h"

#include <assert.h>
#include <stdlib.h>

enum {
	CAPACITY_KIB_MAX = UINT16_MAX,
	SHORT_LOG_REFUSALS_MIN = 8,
	SHORT_LOG_MS = 3000,
};

struct driver {
	uint32_t group;
	uint64_t node_id;
	struct raft_engine *engine;
	const struct rio *rio;
	struct held_entries held;   /* behind what the applier has */
	uint64_t last;              /* last index given to the log */
	uint64_t first;             /* first index on disk */
	uint64_t stored;            /* reported to the engine as durable */
	uint64_t generation;
	uint64_t applied;
	uint64_t barrier;           /* index of this leadership's barrier; 0: not submitted */
	uint64_t barrier_applied;   /* 0 until applied */
	struct told {
		uint64_t id, commit;
		uint64_t awaited;       /* up to here it is told at once */
	} told[SERVERS_MAX];        /* how far each other server can know the log to be committed, from appends of this leadership */
	struct {
		uint64_t id, since_ms;
		unsigned refusals;
	} short_logs[SERVERS_MAX];  /* servers that refuse what they have acknowledged, again and again */
	struct standby_votes votes;
	bool leads, installing;
	uint64_t contact_ms;        /* last word of a leader, or when this node was seen to lead */
	struct log_entry *late_configuration; /* came again after the state was ahead of the log; not known to be committed yet */
	struct snapshot_record taken;         /* what the engine knows as our snapshot: what an install offers to a peer */
	struct snapshot_record offered;       /* what is being installed */
	struct read_rounds reads;
	uint64_t trailing_bytes, pinned;
	struct log_outline outline;
	struct snapshot_record configuration; /* last committed configuration: configuration_index and the encoding */
	uint64_t snapshot_index;
};

static bool holds(const struct driver *driver, enum driver_rule rule)
{
	return !(driver->rio->rules_off & rule);
}

static struct engine_clock clock_of(const struct driver *driver)
{
	uint64_t room_kib = driver->rio->room_bytes(driver->rio->context) / 1024;
	return (struct engine_clock){ .now_ms = driver->rio->now_ms(driver->rio->context),
		.capacity_kib = (uint16_t)(room_kib > CAPACITY_KIB_MAX ? CAPACITY_KIB_MAX : room_kib) };
}

/* ---- the end of the log ---- */

static void forget_late_configuration(struct driver *driver)
{
	if (driver->late_configuration)
		log_entry_release(driver->late_configuration);
	driver->late_configuration = NULL;
}

static void append(struct driver *driver, struct log_entry *entry)
{
	assert(entry->index == driver->last + 1);
	driver->last = entry->index;
	outline_append(&driver->outline, entry->index, entry->term, entry->length);
	if (entry->index > driver->held.handed) {
		held_append(&driver->held, entry);
	} else if (entry->type == ENTRY_CONFIGURATION && holds(driver, RULE_LATE_CONFIGURATION)) { /* a state machine ahead of its log has it already, the engine has not */
		forget_late_configuration(driver);
		driver->late_configuration = log_entry_hold(entry);
	}
}

static void truncate_from(struct driver *driver, uint64_t from)
{
	held_truncate(&driver->held, from);
	outline_truncate(&driver->outline, from);
	if (driver->late_configuration && driver->late_configuration->index >= from)
		forget_late_configuration(driver);
	driver->last = from - 1;
	driver->generation++;
	if (driver->stored > driver->last)
		driver->stored = driver->last;
}

/* ---- effects of a step ---- */

static void queue_entries(struct driver *driver, struct engine_update *update)
{
	struct log_job *job = must_alloc(sizeof(*job));
	job->group = driver->group;
	job->first_index = update->first_index;
	if (update->first_index <= driver->last) {
		truncate_from(driver, update->first_index);
		job->truncate = true;
	}
	job->generation = driver->generation;
	for (size_t i = 0; i < update->entries_count; i++)
		append(driver, update->entries[i]);
	job->entries = update->entries;
	job->entries_count = update->entries_count;
	update->entries = NULL;
	update->entries_count = 0;
	driver->rio->log_put(driver->rio->context, job);
}

static uint64_t part_on_disk(const struct driver *driver, const struct message *message)
{
	uint64_t previous = message->append.previous_index;
	if (previous >= driver->held.cached)
		return 0;
	uint64_t below = driver->held.cached - previous;
	return below < message->append.count ? below : message->append.count;
}

static struct told *told_of(struct driver *driver, uint64_t id)
{
	size_t at = 0;
	while (at + 1 < SERVERS_MAX && driver->told[at].id != 0 && driver->told[at].id != id)
		at++;
	driver->told[at].id = id;
	return &driver->told[at];
}

/* Who gets an append up to `last` learns no more than that it is committed. */
static void note_told(struct driver *driver, uint64_t id, uint64_t commit, uint64_t last)
{
	struct told *told = told_of(driver, id);
	uint64_t knows = commit < last ? commit : last;
	if (knows > told->commit)
		told->commit = knows;
}

/* The configuration that makes this server the only voter: the engine sends entries before they are stored, but who has this one votes no more, and
 * without it on our disk we would need that vote after a crash. The engine repeats what is left out. */
static size_t sendable(const struct driver *driver, const struct message *message)
{
	uint64_t change = engine_uncommitted_configuration(driver->engine), previous = message->append.previous_index;
	bool waits = change > driver->stored && engine_voters(driver->engine) == 1 && holds(driver, RULE_ALONE_STORED);
	if (!waits || previous + message->append.count < change)
		return message->append.count;
	return previous < change ? (size_t)(change - previous - 1) : 0;
}

/* An append that begins before what is in memory and spans both goes out as two. */
static void send_append(struct driver *driver, struct message *message)
{
	message->append.count = sendable(driver, message);
	note_told(driver, message->peer, message->append.commit, message->append.previous_index + message->append.count);
	uint64_t on_disk = part_on_disk(driver, message);
	if (on_disk > 0) {
		struct message part = *message;
		part.append.count = (size_t)on_disk;
		driver->rio->send(driver->rio->context, driver->group, &part, NULL);
		message->append.previous_index += on_disk;
		message->append.previous_term = outline_term(&driver->outline, message->append.previous_index);
		message->append.count -= (size_t)on_disk;
		if (message->append.count == 0)
			return;
	}
	struct log_entry **entries = message->append.count ? held_behind(&driver->held, message->append.previous_index, message->append.count) : NULL;
	if (entries || message->append.count == 0)
		driver->rio->send(driver->rio->context, driver->group, message, entries);
}

static void send_messages(struct driver *driver, struct engine_update *update)
{
	for (size_t i = 0; i < update->messages_count; i++) {
		struct message *message = &update->messages[i];
		if (message->type == MESSAGE_VOTE_RESULT && !message->vote_result.granted)
			standby_vote(&driver->votes, message);
		if (message->type == MESSAGE_VOTE_RESULT && !message->vote_result.granted && message->term < engine_term(driver->engine) &&
			holds(driver, RULE_VOTE_TERM))
			message->term = engine_term(driver->engine);
		if (message->type == MESSAGE_APPEND) {
			send_append(driver, message);
			continue;
		}
		if (message->type == MESSAGE_INSTALL) {
			if (driver->taken.index != message->install.last_index)
				continue; /* the engine repeats it */
			message->install.last_term = driver->taken.term;
			message->install.configuration_index = driver->taken.configuration_index;
			message->install.configuration = buffer_span(&driver->taken.configuration);
		}
		driver->rio->send(driver->rio->context, driver->group, message, NULL);
	}
}

static void snapshot_copy(struct snapshot_record *out, uint64_t index, uint64_t term, uint64_t configuration_index, struct span configuration)
{
	out->index = index;
	out->term = term;
	out->configuration_index = configuration_index;
	buffer_clear(&out->configuration);
	buffer_append(&out->configuration, configuration.data, configuration.length);
}

static void handle(struct driver *driver, struct engine_update *update);
static void step_failed(struct driver *driver, int err);

static void commit_configuration(struct driver *driver, const struct log_entry *entry)
{
	buffer_clear(&driver->configuration.configuration);
	buffer_append(&driver->configuration.configuration, entry->payload, entry->length);
	driver->configuration.configuration_index = entry->index;
	struct engine_update update;
	if (engine_step_configuration(driver->engine, clock_of(driver), entry->index, span_of(entry->payload, entry->length), &update) != 0)
		node_stop("configuration entry %llu of group %u does not decode", (unsigned long long)entry->index, driver->group);
	handle(driver, &update);
	read_rounds_recount(&driver->reads);
}

static void hand_commits(struct driver *driver)
{
	uint64_t commit = engine_commit(driver->engine);
	if (driver->late_configuration && !driver->installing && driver->late_configuration->index <= commit) {
		struct log_entry *late = log_entry_hold(driver->late_configuration);
		forget_late_configuration(driver);
		commit_configuration(driver, late);
		log_entry_release(late);
	}
	if (driver->installing && holds(driver, RULE_HOLD_WHILE_INSTALLING))
		return;
	struct log_entry *configuration = held_commit(&driver->held, commit);
	held_hand(&driver->held, driver->stored);
	if (configuration) {
		commit_configuration(driver, configuration);
		log_entry_release(configuration);
	}
}

/* Entries of a lost leadership may still commit, and then whoever waits is told; if they are replaced instead, they are proposed again. */
static void lose_leadership(struct driver *driver)
{
	driver->leads = false;
	driver->barrier = driver->barrier_applied = 0;
	read_rounds_lose(&driver->reads);
}

/* The commit index moves before the state is here: nothing is applied until the installation is reported. */
static void begin_install(struct driver *driver)
{
	held_drop(&driver->held);
	forget_late_configuration(driver);
	driver->generation++;
	driver->installing = true;
	driver->rio->install(driver->rio->context, driver->group, &driver->offered);
}

static void handle(struct driver *driver, struct engine_update *update)
{
	if (update->hard_state && holds(driver, RULE_HARD_STATE_FIRST))
		driver->rio->hard_put(driver->rio->context, driver->group, engine_term(driver->engine), engine_voted_for(driver->engine));
	if (update->install)
		begin_install(driver);
	if (update->entries_count)
		queue_entries(driver, update);
	send_messages(driver, update);
	engine_update_fini(update);
	hand_commits(driver);
	bool leads = engine_role(driver->engine) == ROLE_LEADER;
	if (driver->leads && !leads)
		lose_leadership(driver);
	driver->rio->timer(driver->rio->context, driver->group, engine_timeout_ms(driver->engine));
	if (leads && !driver->leads) {
		driver->leads = true;
		memset(driver->told, 0, sizeof(driver->told));
		if (driver_submit(driver, ENTRY_BARRIER, (struct span){ 0 }, NULL, true) == 0)
			driver->barrier = driver->last;
	}
	if (driver->leads)
		driver->contact_ms = driver->rio->now_ms(driver->rio->context);
}

static void step_failed(struct driver *driver, int err)
{
	if (err == ERR_IO)
		node_stop("the raft engine of group %u gave up: %s", driver->group, engine_error(driver->engine));
}

/* ---- start ---- */

static void load_outline(struct driver *driver, const struct log_loaded *loaded)
{
	if (loaded->snapshot.index > 0 && loaded->first_index > loaded->snapshot.index)
		outline_reset(&driver->outline, loaded->snapshot.index, loaded->snapshot.term);
	for (uint64_t index = loaded->first_index; index <= loaded->last_index; index++)
		outline_append(&driver->outline, index, loaded->terms[index - loaded->first_index], loaded->lengths[index - loaded->first_index]);
}

/* The newest configuration that is certainly committed: the snapshot's, or the first entry. Later ones come as commits. */
static void load_configuration(struct driver *driver, const struct log_loaded *loaded, uint64_t applied)
{
	buffer_append(&driver->configuration.configuration, loaded->snapshot.configuration.data, loaded->snapshot.configuration.length);
	driver->configuration.configuration_index = loaded->snapshot.configuration_index;
	for (size_t i = 0; i < loaded->configurations_count; i++) {
		const struct log_entry *entry = loaded->configurations[i];
		if (entry->index > applied && entry->index != 1)
			break;
		buffer_clear(&driver->configuration.configuration);
		buffer_append(&driver->configuration.configuration, entry->payload, entry->length);
		driver->configuration.configuration_index = entry->index;
	}
}

/* Configurations applied in an earlier life are reported again: the engine cannot know that they were committed. */
static void report_configuration(struct driver *driver)
{
	if (driver->configuration.configuration_index <= 1)
		return;
	struct engine_update update;
	if (engine_step_configuration(driver->engine, clock_of(driver), driver->configuration.configuration_index,
		buffer_span(&driver->configuration.configuration), &update) == 0)
		handle(driver, &update);
}

int driver_open(struct driver **out, uint32_t group, uint64_t node_id, const struct rio *rio, struct log_loaded *loaded, uint64_t applied, struct why *why)
{
	*out = NULL;
	struct driver *driver = must_alloc(sizeof(*driver));
	driver->group = group;
	driver->node_id = node_id;
	driver->rio = rio;
	buffer_init(&driver->configuration.configuration, 1 << 20);
	buffer_init(&driver->taken.configuration, 1 << 20);
	buffer_init(&driver->offered.configuration, 1 << 20);
	driver->trailing_bytes = LOG_TRAILING_BYTES;
	driver->contact_ms = rio->now_ms(rio->context);
	snapshot_copy(&driver->taken, loaded->snapshot.index, loaded->snapshot.term, loaded->snapshot.configuration_index,
		buffer_span(&loaded->snapshot.configuration));
	int err = raft_engine_open(&driver->engine, node_id, rio->random(rio->context), why);
	if (err) {
		driver_close(driver);
		return err;
	}
	driver->reads = (struct read_rounds){ .group = group, .self = node_id, .engine = driver->engine, .rio = rio };
	driver->votes = (struct standby_votes){ .group = group, .self = node_id, .engine = driver->engine, .rio = rio };
	held_open(&driver->held, group, rio, loaded, applied);
	load_outline(driver, loaded);
	load_configuration(driver, loaded, applied);
	driver->first = loaded->first_index;
	driver->last = driver->stored = loaded->last_index;
	driver->applied = applied;
	driver->snapshot_index = loaded->snapshot.index;
	struct span newest = buffer_span(&driver->configuration.configuration);
	if (loaded->configurations_count > 0) {
		const struct log_entry *entry = loaded->configurations[loaded->configurations_count - 1];
		newest = span_of(entry->payload, entry->length);
	}
	uint64_t term = loaded->term, voted_for = loaded->voted_for;
	if (raft_engine_sole_voter(newest, node_id)) {
		term++;
		voted_for = 0;
		rio->hard_put(rio->context, group, term, voted_for);
	}
	struct engine_start start = { .term = term, .voted_for = voted_for, .snapshot_index = loaded->snapshot.index,
		.snapshot_term = loaded->snapshot.term, .configuration_index = loaded->snapshot.configuration_index,
		.configuration = buffer_span(&loaded->snapshot.configuration), .first_index = loaded->first_index, .terms = loaded->terms,
		.configurations = loaded->configurations, .configurations_count = loaded->configurations_count,
		.count = (size_t)(loaded->last_index + 1 - loaded->first_index) };
	struct engine_update update;
	err = engine_step_start(driver->engine, clock_of(driver), &start, &update);
	if (err) {
		driver_close(driver);
		return why_set(why, ERR_CORRUPT, "the raft engine does not accept the log of group %u (%s)", group, err_name(err));
	}
	handle(driver, &update);
	report_configuration(driver);
	*out = driver;
	return 0;
}

void driver_close(struct driver *driver)
{
	held_close(&driver->held);
	outline_fini(&driver->outline);
	forget_late_configuration(driver);
	buffer_fini(&driver->configuration.configuration);
	buffer_fini(&driver->taken.configuration);
	buffer_fini(&driver->offered.configuration);
	raft_engine_close(driver->engine);
	free(driver);
}

/* ---- reads ---- */

int driver_read(struct driver *driver, uint64_t *round)
{
	if (!driver->leads || (!driver->barrier_applied && holds(driver, RULE_OWN_BARRIER)))
		return ERR_CLOSED;
	*round = read_rounds_join(&driver->reads);
	return 0;
}

int driver_read_index(struct driver *driver, uint64_t round, uint64_t *index)
{
	return read_rounds_index(&driver->reads, round, index);
}

/* ---- membership ---- */

size_t driver_servers(const struct driver *driver, struct server servers[SERVERS_MAX])
{
	return engine_servers(driver->engine, servers);
}

uint64_t driver_match(const struct driver *driver, uint64_t server_id)
{
	return engine_match(driver->engine, server_id);
}

/* A majority of the voters to be, and each that becomes one, has the last configuration. */
static bool voters_are_ready(const struct driver *driver, const struct server *servers, size_t count)
{
	struct server now[SERVERS_MAX];
	size_t now_count = engine_servers(driver->engine, now), voters = 0, ready = 0;
	uint64_t needed = engine_committed_configuration(driver->engine);
	for (size_t i = 0; i < count; i++) {
		if (servers[i].role != SERVER_VOTER)
			continue;
		bool was_voter = false, has = engine_match(driver->engine, servers[i].id) >= needed;
		for (size_t k = 0; k < now_count; k++)
			was_voter = was_voter || (now[k].id == servers[i].id && now[k].role == SERVER_VOTER);
		if (!has && !was_voter)
			return false;
		voters++;
		ready += has;
	}
	return ready > voters / 2;
}

/* Who finds itself the only voter leads at once, and in the same term: two would lead in it if another does. */
static bool leaves_another_alone(const struct driver *driver, const struct server *servers, size_t count)
{
	size_t voters = 0;
	bool votes = false;
	for (size_t i = 0; i < count; i++) {
		voters += servers[i].role == SERVER_VOTER;
		votes = votes || (servers[i].role == SERVER_VOTER && servers[i].id == driver->node_id);
	}
	return voters == 1 && !votes;
}

int driver_change(struct driver *driver, const struct server *servers, size_t count)
{
	if (!driver->leads || !driver->barrier_applied)
		return ERR_CLOSED;
	if (leaves_another_alone(driver, servers, count) && holds(driver, RULE_ALONE_BY_ITSELF))
		return ERR_INVALID;
	if (engine_uncommitted_configuration(driver->engine) != 0 || engine_transferring(driver->engine) ||
		(holds(driver, RULE_VOTERS_READY) && !voters_are_ready(driver, servers, count)))
		return ERR_BUSY;
	struct buffer configuration;
	buffer_init(&configuration, RAFT_CONFIGURATION_BYTES_MAX);
	int err = raft_engine_configuration_of(&configuration, servers, count);
	if (err == 0)
		err = driver_submit(driver, ENTRY_CONFIGURATION, buffer_span(&configuration), NULL, false);
	buffer_fini(&configuration);
	return err;
}

int driver_transfer(struct driver *driver, uint64_t server_id)
{
	struct engine_update update;
	int err = engine_step_transfer(driver->engine, clock_of(driver), server_id, &update);
	step_failed(driver, err);
	if (err == 0)
		handle(driver, &update);
	return err;
}

/* ---- events ---- */

int driver_submit(struct driver *driver, enum entry_type type, struct span payload, struct proposal *waiters, bool releases)
{
	struct engine_clock clock = clock_of(driver);
	if (releases) /* deletions and barriers use the reserve that everything else respects */
		clock.capacity_kib = CAPACITY_KIB_MAX;
	struct engine_update update;
	int err = engine_step_submit(driver->engine, clock, (uint8_t)type, payload, &update);
	if (err) {
		step_failed(driver, err);
		return err;
	}
	if (update.entries_count != 1)
		node_stop("group %u: one entry went in, %zu came out", driver->group, update.entries_count);
	update.entries[0]->waiters = waiters;
	handle(driver, &update);
	return 0;
}

void driver_await_commit(struct driver *driver, uint64_t id, uint64_t index)
{
	for (size_t i = 0; i < SERVERS_MAX; i++)
		if (driver->told[i].id == id && index > driver->told[i].awaited)
			driver->told[i].awaited = index;
}

bool driver_tell_commit(struct driver *driver, bool all)
{
	struct server servers[SERVERS_MAX];
	uint64_t commit = engine_commit(driver->engine);
	bool is_left = false;
	if (!driver->leads)
		return false;
	size_t count = engine_servers(driver->engine, servers);
	for (size_t i = 0; i < count; i++) {
		/* Anchored where the other is known to be like us: an append of nothing, which it acknowledges and the engine has heard already. */
		uint64_t match = engine_match(driver->engine, servers[i].id), term = match ? outline_term(&driver->outline, match) : 0;
		if (servers[i].id == driver->node_id || term == 0)
			continue;
		const struct told *told = told_of(driver, servers[i].id);
		if (told->commit >= (match < commit ? match : commit))
			continue;
		if (!all && told->commit >= told->awaited) {
			is_left = true;
			continue;
		}
		note_told(driver, servers[i].id, commit, match);
		struct message message = { .type = MESSAGE_APPEND, .peer = servers[i].id, .term = engine_term(driver->engine) };
		message.append.previous_index = match;
		message.append.previous_term = term;
		message.append.commit = commit;
		driver->rio->send(driver->rio->context, driver->group, &message, NULL);
	}
	return is_left;
}

void driver_stored(struct driver *driver, const struct log_job *job)
{
	struct engine_update update;
	if (job->install)
		return; /* driver_installed follows once the state is there too */
	if (job->has_snapshot) {
		if (driver->installing || job->snapshot.index <= driver->taken.index)
			return; /* an installation has overtaken it */
		uint64_t trailing = job->snapshot.index - job->compact_through;
		int err = engine_step_snapshot(driver->engine, clock_of(driver), job->snapshot.index, job->snapshot.term,
			job->snapshot.configuration_index, buffer_span(&job->snapshot.configuration), (unsigned)trailing, &update);
		if (err)
			node_stop("the raft engine of group %u refused a snapshot at %llu: %s", driver->group,
				(unsigned long long)job->snapshot.index, err_name(err));
		snapshot_copy(&driver->taken, job->snapshot.index, job->snapshot.term, job->snapshot.configuration_index,
			buffer_span(&job->snapshot.configuration));
		if (job->compact_through >= driver->first) {
			driver->first = job->compact_through + 1;
			outline_compact(&driver->outline, driver->first);
		}
		handle(driver, &update);
		return;
	}
	uint64_t last = job->first_index + job->entries_count - 1;
	if ((job->generation != driver->generation && holds(driver, RULE_GENERATIONS)) || last <= driver->stored)
		return;
	driver->stored = last;
	int err = engine_step_persisted(driver->engine, clock_of(driver), last, &update);
	if (err)
		node_stop("the raft engine of group %u refused that %llu is stored: %s", driver->group, (unsigned long long)last, err_name(err));
	handle(driver, &update);
}

void driver_applied(struct driver *driver, uint64_t index)
{
	driver->applied = index;
	if (driver->barrier && index >= driver->barrier)
		driver->barrier_applied = driver->barrier;
	if (driver_holds_back(driver))
		hand_commits(driver);
}

bool driver_holds_back(const struct driver *driver)
{
	return held_is_behind(&driver->held) && !driver->installing;
}

void driver_timeout(struct driver *driver)
{
	struct engine_update update;
	int err = engine_step_timeout(driver->engine, clock_of(driver), &update);
	step_failed(driver, err);
	if (err == 0)
		handle(driver, &update);
	if (driver->leads && !driver->barrier && driver_submit(driver, ENTRY_BARRIER, (struct span){ 0 }, NULL, true) == 0)
		driver->barrier = driver->last;
	read_rounds_repeat(&driver->reads);
}

static bool answer_stale(struct driver *driver, const struct message *message)
{
	if ((message->type != MESSAGE_APPEND && message->type != MESSAGE_INSTALL) || message->term >= engine_term(driver->engine) ||
		!holds(driver, RULE_STALE_SENDERS))
		return false;
	struct message answer = { .type = MESSAGE_APPEND_RESULT, .peer = message->peer, .term = engine_term(driver->engine) };
	answer.append_result.rejected = message->type == MESSAGE_APPEND ? message->append.previous_index : message->install.last_index;
	driver->rio->send(driver->rio->context, driver->group, &answer, NULL);
	return true;
}

/* One refusal of what was acknowledged may have been on its way for long. Many, with no acknowledgement between them, come from a disk that has lost the end of its
 * log: whoever owns it must be told, for by itself it cannot know, and it has promised. */
static void watch_short_log(struct driver *driver, const struct message *message)
{
	size_t slot = 0;
	if (message->type != MESSAGE_APPEND_RESULT || message->term != engine_term(driver->engine) || engine_role(driver->engine) != ROLE_LEADER)
		return;
	while (slot < SERVERS_MAX - 1 && driver->short_logs[slot].id && driver->short_logs[slot].id != message->peer)
		slot++;
	uint64_t now = driver->rio->now_ms(driver->rio->context), match = engine_match(driver->engine, message->peer);
	bool is_short = message->append_result.rejected != 0 && message->append_result.last_index < match;
	if (!is_short || driver->short_logs[slot].id != message->peer || driver->short_logs[slot].refusals == 0) {
		driver->short_logs[slot].id = message->peer;
		driver->short_logs[slot].since_ms = now;
		driver->short_logs[slot].refusals = is_short;
		return;
	}
	if (++driver->short_logs[slot].refusals >= SHORT_LOG_REFUSALS_MIN && now - driver->short_logs[slot].since_ms >= SHORT_LOG_MS && driver->rio->lost)
		driver->rio->lost(driver->rio->context, driver->group, message->peer, message->append_result.last_index, match);
}

/* A refusal that was overtaken by acknowledgements of the same follower would move its next index behind what it is known to have, and the
 * engine would never send it an entry again. True: drop it. */
static bool forget_overtaken(const struct driver *driver, struct message *message)
{
	if (message->type != MESSAGE_APPEND_RESULT || message->append_result.rejected == 0 || message->term != engine_term(driver->engine) ||
		!holds(driver, RULE_OVERTAKEN))
		return false;
	uint64_t match = engine_match(driver->engine, message->peer);
	if (message->append_result.rejected <= match)
		return true;
	if (message->append_result.last_index < match)
		message->append_result.last_index = match;
	return false;
}

static int receive_one(struct driver *driver, const struct message *received)
{
	struct message copy = *received, *message = &copy;
	struct engine_update update;
	watch_short_log(driver, message);
	if (forget_overtaken(driver, message))
		return 0;
	int err = engine_step_receive(driver->engine, clock_of(driver), message, &update);
	step_failed(driver, err);
	if (err == 0)
		handle(driver, &update);
	return err;
}

static int receive_vote(struct driver *driver, const struct message *request)
{
	struct message copy = *request;
	struct standby_log log = { driver->last, outline_term(&driver->outline, driver->last), driver->contact_ms };
	if (standby_has_voted_for_another(&driver->votes, request))
		return 0;
	if (!driver->installing && standby_would_vote(&driver->votes, request, &log))
		copy.vote.disrupt_leader = true; /* the engine of a stand-by never takes a leader for lost */
	int err = receive_one(driver, &copy);
	standby_decided(&driver->votes);
	return err;
}

/* What our snapshot covers is committed, so a leader has it as we have: an append that begins before is taken as one that begins behind it. The
 * engine would append entries anew that it has compacted away. Returns how many entries to skip. */
static size_t begin_behind_snapshot(const struct driver *driver, struct message *message)
{
	uint64_t previous = message->append.previous_index, index = driver->taken.index;
	if (driver->installing || previous >= index || !holds(driver, RULE_BEHIND_SNAPSHOT))
		return 0;
	uint64_t skip = index - previous;
	message->append.previous_index = index;
	message->append.previous_term = driver->taken.term;
	return skip < message->append.count ? (size_t)skip : message->append.count;
}

int driver_receive(struct driver *driver, const struct message *message)
{
	if (answer_stale(driver, message))
		return 0;
	if (message->type == MESSAGE_PROBE || message->type == MESSAGE_PROBE_RESULT) {
		read_rounds_receive(&driver->reads, message);
		return 0;
	}
	if (message->type == MESSAGE_APPEND || message->type == MESSAGE_INSTALL)
		driver->contact_ms = driver->rio->now_ms(driver->rio->context);
	if (message->type == MESSAGE_INSTALL && !driver->installing)
		snapshot_copy(&driver->offered, message->install.last_index, message->install.last_term, message->install.configuration_index,
			message->install.configuration);
	if (message->type == MESSAGE_VOTE)
		return receive_vote(driver, message);
	if (message->type != MESSAGE_APPEND)
		return receive_one(driver, message);
	for (size_t i = 0; i < message->append.count; i++)
		if (message->append.entries[i]->index != message->append.previous_index + 1 + i)
			return ERR_INVALID;
	struct message part = *message;
	size_t start = begin_behind_snapshot(driver, &part);
	do {
		size_t end = start + 1;
		while (end < message->append.count &&
			(message->append.entries[end]->type != ENTRY_CONFIGURATION || !holds(driver, RULE_CONFIGURATION_FIRST)))
			end++;
		if (end > message->append.count)
			end = message->append.count; /* a heartbeat */
		part.append.entries = message->append.entries + start;
		part.append.count = end - start;
		int err = receive_one(driver, &part);
		if (err)
			return err;
		if (end > start) {
			part.append.previous_index = message->append.entries[end - 1]->index;
			part.append.previous_term = message->append.entries[end - 1]->term;
		}
		start = end;
	} while (start < message->append.count);
	return 0;
}

const struct snapshot_record *driver_offered(const struct driver *driver)
{
	return &driver->offered;
}

void driver_installed(struct driver *driver, uint64_t applied)
{
	const struct snapshot_record *snapshot = &driver->offered;
	struct span configuration = buffer_span(&snapshot->configuration);
	struct engine_update update;
	outline_reset(&driver->outline, snapshot->index, snapshot->term);
	driver->first = snapshot->index + 1;
	driver->last = driver->stored = driver->snapshot_index = snapshot->index;
	driver->applied = applied; /* ahead of the log, perhaps: what comes again is skipped */
	held_installed(&driver->held, applied);
	snapshot_copy(&driver->taken, snapshot->index, snapshot->term, snapshot->configuration_index, configuration);
	snapshot_copy(&driver->configuration, snapshot->index, snapshot->term, snapshot->configuration_index, configuration);
	driver->installing = false;
	int err = engine_step_installed(driver->engine, clock_of(driver), snapshot->index, snapshot->term, snapshot->configuration_index, configuration, &update);
	if (err)
		node_stop("the raft engine of group %u refused a state at %llu: %s", driver->group, (unsigned long long)snapshot->index, err_name(err));
	handle(driver, &update);
}

/* ---- snapshots ---- */

void driver_set_trailing(struct driver *driver, uint64_t bytes)
{
	driver->trailing_bytes = bytes;
}

void driver_set_held(struct driver *driver, uint64_t bytes_max)
{
	driver->held.bytes_max = bytes_max;
}

void driver_pin(struct driver *driver, uint64_t from)
{
	driver->pinned = from;
}

static uint64_t keep_from(const struct driver *driver, uint64_t index)
{
	uint64_t from = outline_keep_from(&driver->outline, index, driver->trailing_bytes);
	return driver->pinned && driver->pinned < from ? driver->pinned : from;
}

struct log_job *driver_snapshot(struct driver *driver, uint64_t applied)
{
	uint64_t index = applied < driver->stored ? applied : driver->stored;
	uint64_t term = outline_term(&driver->outline, index);
	if (index <= driver->snapshot_index || term == 0 || driver->configuration.configuration_index > index || driver->installing)
		return NULL;
	struct log_job *job = must_alloc(sizeof(*job));
	job->group = driver->group;
	job->generation = driver->generation;
	job->has_snapshot = true;
	job->snapshot = (struct snapshot_record){ .index = index, .term = term,
		.configuration_index = driver->configuration.configuration_index };
	buffer_init(&job->snapshot.configuration, 1 << 20);
	buffer_append(&job->snapshot.configuration, driver->configuration.configuration.data, driver->configuration.configuration.length);
	job->compact_through = keep_from(driver, index) - 1;
	driver->snapshot_index = index;
	driver->outline.bytes_since_snapshot = 0;
	return job;
}

uint64_t driver_snapshot_bytes(const struct driver *driver)
{
	return driver->outline.bytes_since_snapshot;
}

uint64_t driver_leads(const struct driver *driver)
{
	return engine_role(driver->engine) == ROLE_LEADER ? engine_term(driver->engine) : 0;
}

bool driver_ready(const struct driver *driver)
{
	return driver->leads && driver->barrier_applied != 0;
}

void driver_status(const struct driver *driver, struct driver_status *out)
{
	*out = (struct driver_status){ .role = engine_role(driver->engine), .term = engine_term(driver->engine),
		.committed = engine_commit(driver->engine), .stored = driver->stored, .last_index = driver->last,
		.snapshot_index = driver->snapshot_index, .generation = driver->generation, .voters = engine_voters(driver->engine),
		.in_flight = driver->held.in_flight, .leader = engine_leader(driver->engine), .changing = engine_uncommitted_configuration(driver->engine),
		.contact_ms = driver->leads ? driver->rio->now_ms(driver->rio->context) : driver->contact_ms, .installing = driver->installing };
	out->ready = driver_ready(driver);
}
