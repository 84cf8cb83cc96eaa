#include "replication/driver.h"

#include "replication/node.h"
#include "replication/proposals.h"

#include <assert.h>
#include <stdlib.h>

enum {
	TRAILING_BYTES = 64 << 20,    /* log kept behind a snapshot, so that a peer that was away needs no copy of the state */
	TRAILING_ENTRIES_MAX = 100000,
	MARK_BYTES = 1 << 20,
	MARKS = TRAILING_BYTES / MARK_BYTES,
	CAPACITY_KIB_MAX = UINT16_MAX,
};

/* Entries from `index` on have `term`, up to the next run. */
struct term_run {
	uint64_t index, term;
};

struct driver {
	uint32_t group;
	struct raft_engine *engine;
	const struct rio *rio;
	struct log_entry **cache;   /* entries (handed, last], by index - handed - 1 */
	size_t cache_count, cache_capacity;
	uint64_t handed;            /* last index given to the applier, or found applied */
	uint64_t last;              /* last index given to the log */
	uint64_t first;             /* first index on disk */
	uint64_t stored;            /* reported to the engine as durable */
	uint64_t generation;
	uint64_t applied;
	uint64_t barrier;           /* index of this leadership's barrier; 0: not submitted */
	uint64_t barrier_applied;   /* 0 until applied */
	bool leads, installing;
	struct term_run *runs;
	size_t runs_count;
	struct snapshot_record configuration; /* last committed configuration: configuration_index and the encoding */
	uint64_t snapshot_index;
	uint64_t bytes_since_snapshot, bytes_since_mark;
	uint64_t marks[MARKS];      /* ring: index at every MARK_BYTES of log */
	size_t marks_count;
};

static struct engine_clock clock_of(const struct driver *driver)
{
	uint64_t room_kib = driver->rio->room_bytes(driver->rio->context) / 1024;
	return (struct engine_clock){ .now_ms = driver->rio->now_ms(driver->rio->context),
		.capacity_kib = (uint16_t)(room_kib > CAPACITY_KIB_MAX ? CAPACITY_KIB_MAX : room_kib) };
}

/* ---- terms by index ---- */

static void runs_append(struct driver *driver, uint64_t index, uint64_t term)
{
	if (driver->runs_count && driver->runs[driver->runs_count - 1].term == term)
		return;
	driver->runs = must_realloc(driver->runs, (driver->runs_count + 1) * sizeof(*driver->runs));
	driver->runs[driver->runs_count++] = (struct term_run){ index, term };
}

static void runs_truncate(struct driver *driver, uint64_t from)
{
	while (driver->runs_count && driver->runs[driver->runs_count - 1].index >= from)
		driver->runs_count--;
}

/* Forgets runs that end before `index`. */
static void runs_compact(struct driver *driver, uint64_t index)
{
	size_t drop = 0;
	while (drop + 1 < driver->runs_count && driver->runs[drop + 1].index <= index)
		drop++;
	driver->runs_count -= drop;
	memmove(driver->runs, driver->runs + drop, driver->runs_count * sizeof(*driver->runs));
}

static uint64_t term_at(const struct driver *driver, uint64_t index)
{
	for (size_t i = driver->runs_count; i > 0; i--)
		if (driver->runs[i - 1].index <= index)
			return driver->runs[i - 1].term;
	return 0;
}

/* ---- the cached log ---- */

static void note_length(struct driver *driver, uint64_t index, size_t length)
{
	driver->bytes_since_snapshot += length;
	driver->bytes_since_mark += length;
	if (driver->bytes_since_mark < MARK_BYTES)
		return;
	driver->bytes_since_mark = 0;
	driver->marks[driver->marks_count++ % MARKS] = index;
}

static void cache_append(struct driver *driver, struct log_entry *entry)
{
	assert(entry->index == driver->last + 1);
	if (driver->cache_count == driver->cache_capacity) {
		driver->cache_capacity = driver->cache_capacity ? driver->cache_capacity * 2 : 16;
		driver->cache = must_realloc(driver->cache, driver->cache_capacity * sizeof(struct log_entry *));
	}
	driver->last = entry->index;
	runs_append(driver, entry->index, entry->term);
	note_length(driver, entry->index, entry->length);
	if (entry->index > driver->handed) /* a state machine ahead of its log has it already */
		driver->cache[driver->cache_count++] = log_entry_hold(entry);
}

static void cache_truncate(struct driver *driver, uint64_t from)
{
	if (from <= driver->handed)
		node_stop("group %u would replace entry %llu, which is applied", driver->group, (unsigned long long)from);
	while (driver->cache_count && driver->cache[driver->cache_count - 1]->index >= from)
		log_entry_release(driver->cache[--driver->cache_count]);
	runs_truncate(driver, from);
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
		cache_truncate(driver, update->first_index);
		job->truncate = true;
	}
	job->generation = driver->generation;
	for (size_t i = 0; i < update->entries_count; i++)
		cache_append(driver, update->entries[i]);
	job->entries = update->entries;
	job->entries_count = update->entries_count;
	update->entries = NULL;
	update->entries_count = 0;
	driver->rio->log_put(driver->rio->context, job);
}

static void send_messages(struct driver *driver, struct engine_update *update)
{
	for (size_t i = 0; i < update->messages_count; i++) {
		struct message *message = &update->messages[i];
		if (message->type == MESSAGE_VOTE_RESULT && !message->vote_result.granted && message->term < engine_term(driver->engine))
			message->term = engine_term(driver->engine);
		/* Only entries still cached can be attached; a peer that needs older ones gets them from the log store by the transport. */
		struct log_entry **entries = NULL;
		if (message->type == MESSAGE_APPEND && message->append.count > 0 && message->append.previous_index >= driver->handed &&
			message->append.previous_index - driver->handed + message->append.count <= driver->cache_count)
			entries = driver->cache + (message->append.previous_index - driver->handed);
		driver->rio->send(driver->rio->context, driver->group, message, entries);
	}
}

static void handle(struct driver *driver, struct engine_update *update);

static void commit_configuration(struct driver *driver, const struct log_entry *entry)
{
	buffer_clear(&driver->configuration.configuration);
	buffer_append(&driver->configuration.configuration, entry->payload, entry->length);
	driver->configuration.configuration_index = entry->index;
	struct engine_update update;
	if (engine_step_configuration(driver->engine, clock_of(driver), entry->index, span_of(entry->payload, entry->length), &update) != 0)
		node_stop("configuration entry %llu of group %u does not decode", (unsigned long long)entry->index, driver->group);
	handle(driver, &update);
}

static void hand_commits(struct driver *driver)
{
	uint64_t commit = engine_commit(driver->engine);
	if (driver->installing || commit <= driver->handed)
		return;
	size_t count = (size_t)(commit - driver->handed);
	if (count > driver->cache_count)
		count = driver->cache_count;
	if (count == 0)
		return;
	struct log_entry **entries = must_alloc(count * sizeof(struct log_entry *));
	memcpy(entries, driver->cache, count * sizeof(struct log_entry *));
	driver->cache_count -= count;
	memmove(driver->cache, driver->cache + count, driver->cache_count * sizeof(struct log_entry *));
	driver->handed += count;
	struct log_entry *configuration = NULL;
	for (size_t i = 0; i < count; i++) {
		for (struct proposal *proposal = entries[i]->waiters; proposal; proposal = proposal->next)
			atomic_fetch_sub(&proposal->queue->unreplicated_bytes, proposal->length);
		if (entries[i]->type == ENTRY_CONFIGURATION)
			configuration = entries[i];
	}
	if (configuration)
		log_entry_hold(configuration);
	driver->rio->apply(driver->rio->context, driver->group, entries, count, driver->stored);
	if (configuration) {
		commit_configuration(driver, configuration);
		log_entry_release(configuration);
	}
}

/* Entries of a lost leadership may still commit: whoever waits for one learns that its outcome is unknown. */
static void lose_leadership(struct driver *driver)
{
	driver->leads = false;
	driver->barrier = driver->barrier_applied = 0;
	for (size_t i = 0; i < driver->cache_count; i++)
		for (struct proposal *proposal = driver->cache[i]->waiters; proposal; proposal = proposal->next)
			proposal_settle(proposal, ERR_UNKNOWN_OUTCOME, 0, (struct span){ 0 }, "leadership moved before the outcome was known");
}

static void handle(struct driver *driver, struct engine_update *update)
{
	if (update->hard_state)
		driver->rio->hard_put(driver->rio->context, driver->group, engine_term(driver->engine), engine_voted_for(driver->engine));
	if (update->install) {
		/* The commit index moves before the state is here: nothing is applied until the installation is reported. */
		for (size_t i = 0; i < driver->cache_count; i++)
			log_entry_release(driver->cache[i]);
		driver->cache_count = 0;
		driver->generation++;
		driver->installing = true;
	}
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
		if (driver_submit(driver, ENTRY_BARRIER, (struct span){ 0 }, NULL, true) == 0)
			driver->barrier = driver->last;
	}
}

static void step_failed(struct driver *driver, int err)
{
	if (err == ERR_IO)
		node_stop("the raft engine of group %u gave up: %s", driver->group, engine_error(driver->engine));
}

/* ---- start ---- */

static void load_terms(struct driver *driver, const struct log_loaded *loaded)
{
	if (loaded->snapshot.index > 0 && loaded->first_index > loaded->snapshot.index)
		runs_append(driver, loaded->snapshot.index, loaded->snapshot.term);
	for (uint64_t index = loaded->first_index; index <= loaded->last_index; index++) {
		runs_append(driver, index, loaded->terms[index - loaded->first_index]);
		note_length(driver, index, loaded->lengths[index - loaded->first_index]);
	}
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
	driver->rio = rio;
	buffer_init(&driver->configuration.configuration, 1 << 20);
	int err = raft_engine_open(&driver->engine, node_id, rio->random(rio->context), why);
	if (err) {
		driver_close(driver);
		return err;
	}
	load_terms(driver, loaded);
	load_configuration(driver, loaded, applied);
	driver->first = loaded->first_index;
	driver->last = driver->stored = loaded->last_index;
	driver->handed = driver->applied = applied;
	driver->snapshot_index = loaded->snapshot.index;
	driver->cache = loaded->pending;
	driver->cache_count = loaded->pending_count;
	driver->cache_capacity = loaded->pending_count ? 1 : 0;
	while (driver->cache_capacity < driver->cache_count)
		driver->cache_capacity *= 2; /* as log_store grew it */
	loaded->pending = NULL;
	loaded->pending_count = 0;

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
	for (size_t i = 0; i < driver->cache_count; i++)
		log_entry_release(driver->cache[i]);
	free(driver->cache);
	free(driver->runs);
	buffer_fini(&driver->configuration.configuration);
	raft_engine_close(driver->engine);
	free(driver);
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

void driver_stored(struct driver *driver, const struct log_job *job)
{
	struct engine_update update;
	if (job->has_snapshot) {
		uint64_t trailing = job->snapshot.index - job->compact_through;
		int err = engine_step_snapshot(driver->engine, clock_of(driver), job->snapshot.index, job->snapshot.term,
			job->snapshot.configuration_index, buffer_span(&job->snapshot.configuration), (unsigned)trailing, &update);
		if (err)
			node_stop("the raft engine of group %u refused a snapshot at %llu: %s", driver->group,
				(unsigned long long)job->snapshot.index, err_name(err));
		if (job->compact_through >= driver->first) {
			driver->first = job->compact_through + 1;
			runs_compact(driver, driver->first);
		}
		handle(driver, &update);
		return;
	}
	uint64_t last = job->first_index + job->entries_count - 1;
	if (job->generation != driver->generation || last <= driver->stored)
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
}

static bool answer_stale(struct driver *driver, const struct message *message)
{
	if ((message->type != MESSAGE_APPEND && message->type != MESSAGE_INSTALL) || message->term >= engine_term(driver->engine))
		return false;
	struct message answer = { .type = MESSAGE_APPEND_RESULT, .peer = message->peer, .term = engine_term(driver->engine) };
	answer.append_result.rejected = message->type == MESSAGE_APPEND ? message->append.previous_index : message->install.last_index;
	driver->rio->send(driver->rio->context, driver->group, &answer, NULL);
	return true;
}

static int receive_one(struct driver *driver, const struct message *message)
{
	struct engine_update update;
	int err = engine_step_receive(driver->engine, clock_of(driver), message, &update);
	step_failed(driver, err);
	if (err == 0)
		handle(driver, &update);
	return err;
}

int driver_receive(struct driver *driver, const struct message *message)
{
	if (answer_stale(driver, message))
		return 0;
	if (message->type != MESSAGE_APPEND)
		return receive_one(driver, message);
	for (size_t i = 0; i < message->append.count; i++)
		if (message->append.entries[i]->index != message->append.previous_index + 1 + i)
			return ERR_INVALID;
	struct message part = *message;
	size_t start = 0;
	do {
		size_t end = start + 1;
		while (end < message->append.count && message->append.entries[end]->type != ENTRY_CONFIGURATION)
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

/* ---- snapshots ---- */

struct log_job *driver_snapshot(struct driver *driver, uint64_t applied)
{
	uint64_t index = applied < driver->stored ? applied : driver->stored;
	uint64_t term = term_at(driver, index);
	if (index <= driver->snapshot_index || term == 0 || driver->configuration.configuration_index > index || driver->installing)
		return NULL;
	uint64_t keep_from = driver->marks_count > MARKS ? driver->marks[driver->marks_count % MARKS] : 1;
	if (index > TRAILING_ENTRIES_MAX && keep_from < index - TRAILING_ENTRIES_MAX)
		keep_from = index - TRAILING_ENTRIES_MAX;
	if (keep_from > index)
		keep_from = index;
	struct log_job *job = must_alloc(sizeof(*job));
	job->group = driver->group;
	job->generation = driver->generation;
	job->has_snapshot = true;
	job->snapshot = (struct snapshot_record){ .index = index, .term = term,
		.configuration_index = driver->configuration.configuration_index };
	buffer_init(&job->snapshot.configuration, 1 << 20);
	buffer_append(&job->snapshot.configuration, driver->configuration.configuration.data, driver->configuration.configuration.length);
	job->compact_through = keep_from - 1;
	driver->snapshot_index = index;
	driver->bytes_since_snapshot = 0;
	return job;
}

uint64_t driver_snapshot_bytes(const struct driver *driver)
{
	return driver->bytes_since_snapshot;
}

void driver_status(const struct driver *driver, struct driver_status *out)
{
	*out = (struct driver_status){ .role = engine_role(driver->engine), .term = engine_term(driver->engine),
		.committed = engine_commit(driver->engine), .stored = driver->stored, .last_index = driver->last,
		.snapshot_index = driver->snapshot_index, .generation = driver->generation, .voters = engine_voters(driver->engine) };
	for (size_t i = 0; i < driver->cache_count; i++)
		out->in_flight += driver->cache[i]->waiters != NULL;
	out->ready = driver->leads && driver->barrier_applied != 0;
}
