/* simulator_test.c - several nodes of the real driver and engine in one thread, over a virtual clock, network and disk.
 *
 * One seed is one run, bit for bit. Messages pass through the real wire codec; they are delayed, lost, repeated and reordered, links are cut in one
 * or both directions. A disk write takes time and may be lost by a crash until it is reported; the state machine loses what was not flushed; crashes come
 * between any two events. Nodes are added, promoted, demoted and removed meanwhile, and logs are compacted so hard that who was away needs an install.
 *
 * Checked with each step: one leader per term; the same entry at the same index wherever it is applied, in order; a read is not older than what was applied anywhere
 * when it began; a node whose log ends below its durable mark is never made by a crash; once everything heals, all members apply
 * everything and go on.
 *
 *   SIMULATOR_SEEDS=100000 replication_simulator_test    a longer run
 *   SIMULATOR_SEED=4711 replication_simulator_test       one run again
 *   SIMULATOR_RULES=20000 replication_simulator_test     each rule of the driver switched off: which of so many seeds notices first */
#include "replication/driver.h"
#include "replication/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	NODES_MAX = 5,
	LOG_MAX = 20000,
	PENDING_MAX = 1 << 12, /* writes of one node */
	TERMS_MAX = 20000,
	READS_MAX = 64,
	BEGIN_MS = 1000,
	CHAOS_MS = 96 * 1000,              /* trouble ends here ... */
	QUIET_MS = 116 * 1000,             /* nothing is submitted from here on */
	END_MS = BEGIN_MS + 120 * 1000,    /* ... and everything must be well here */
	HELD_MAX = 16,                     /* entries that wait for a state machine before the others wait on the disk: few, so that it happens */
	SEEDS_DEFAULT = 60,
	SECONDS_MAX_DEFAULT = 20,
};

enum kind { MESSAGE, STORED, TIMER, INSTALLED, APPLIED, SUBMIT, READ, FLUSH, CHAOS, RESUME };
struct event {
	struct event *next;   /* of the same millisecond */
	uint64_t at_ms, order;
	enum kind kind;
	size_t node, from;
	uint64_t life;        /* of the node; void when it has crashed since */
	struct log_job *job;
	uint64_t index;
	size_t length;
	uint8_t bytes[];      /* a message */
};

struct node {
	uint64_t id, life;
	bool up, slow;
	struct rio rio;
	struct driver *driver;
	uint64_t applied, told; /* state in memory; what the driver knows of it */
	uint64_t paused_until;  /* stands still: what comes waits */
	uint64_t timer_ms;      /* when its driver wants to be called; 0: not */
	uint64_t alarm_ms;      /* of the one event that will come for it; 0: none */
	uint64_t sync_ms, disk_free_ms, stored_seen;
	size_t reads;           /* of sim.reads */
	/* What survives a crash. */
	uint64_t term, voted_for, first, last, flushed, flushed_mark;
	struct snapshot_record snapshot;
	struct log_entry *log[LOG_MAX];
};

struct history {
	bool known;
	uint8_t type;
	uint64_t term, value;
};

struct read {
	size_t node;
	uint64_t life, round, floor;
};

static struct sim {
	uint64_t random, now_ms, order, seed;
	size_t count;
	struct node nodes[NODES_MAX];
	bool cut[NODES_MAX][NODES_MAX];
	uint64_t leader_of[TERMS_MAX];
	struct history history[LOG_MAX];
	uint64_t history_last, next_value, healed_at;
	struct read reads[READS_MAX];
	size_t reads_count;
	unsigned loss_permille, repeat_permille;
	struct { uint64_t commands, reads, installs, changes, crashes, leaders, messages, held_back; } done;
	struct { struct event *first, *last; } due[END_MS]; /* by millisecond, in order; last, as a run leaves them empty */
} sim;

static unsigned rules_off;
static bool in_child; /* of a run with a rule off: what fails there ends the process */

static uint64_t chance(void)
{
	uint64_t z = sim.random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t below(uint64_t limit)
{
	return (uint64_t)((unsigned __int128)chance() * limit >> 64);
}

static bool permille(unsigned n)
{
	return below(1000) < n;
}

#define CHECK(condition, ...) do { if (!(condition)) fail_run(__LINE__, #condition, __VA_ARGS__); } while (0)
static void fail_run(int line, const char *condition, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fail_run(int line, const char *condition, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (in_child) {
		fprintf(stderr, "seed %llu: %s: %s\n", (unsigned long long)sim.seed, condition, text);
		_exit(1);
	}
	for (size_t i = 0; i < sim.count; i++) {
		const struct node *node = &sim.nodes[i];
		struct driver_status status = { 0 };
		if (node->driver)
			driver_status(node->driver, &status);
		print_message("node %llu %s role %d term %llu leader %llu: log %llu..%llu of %llu, stored %llu, committed %llu, applied %llu, snapshot %llu, "
			"changing %llu%s\n", (unsigned long long)node->id, node->up ? "up" : "down", status.role, (unsigned long long)status.term,
			(unsigned long long)status.leader, (unsigned long long)node->first, (unsigned long long)node->last, (unsigned long long)status.last_index,
			(unsigned long long)status.stored, (unsigned long long)status.committed, (unsigned long long)node->applied,
			(unsigned long long)status.snapshot_index, (unsigned long long)status.changing, status.installing ? ", installing" : "");
	}
	fail_msg("SIMULATOR_SEED=%llu at %llu ms, line %d: %s: %s", (unsigned long long)sim.seed, (unsigned long long)sim.now_ms, line, condition, text);
}

/* ---- events ---- */

static struct event *event_make(struct event event, struct span message)
{
	struct event *made = must_realloc(NULL, sizeof(*made) + message.length);
	*made = event;
	made->length = message.length;
	if (message.length)
		memcpy(made->bytes, message.data, message.length);
	return made;
}

static void event_free(struct event *event)
{
	if (event->job)
		log_job_free(event->job);
	free(event);
}

/* With the order and the life that it has. What would come after the end does not come. */
static void push_as_is(struct event *event)
{
	if (event->at_ms >= END_MS) {
		event_free(event);
		return;
	}
	struct event **link = &sim.due[event->at_ms].first, *last = sim.due[event->at_ms].last;
	if (*link && last->order < event->order)
		link = &last->next;
	while (*link && (*link)->order < event->order)
		link = &(*link)->next;
	event->next = *link;
	*link = event;
	if (!event->next)
		sim.due[event->at_ms].last = event;
}

static struct event *take_due(uint64_t at_ms)
{
	struct event *event = sim.due[at_ms].first;
	if (event)
		sim.due[at_ms].first = event->next;
	return event;
}

static void push_message(struct event event, struct span message)
{
	event.order = ++sim.order;
	event.life = sim.nodes[event.node].life;
	push_as_is(event_make(event, message));
}

static void push(struct event event)
{
	push_message(event, (struct span){ 0 });
}

/* ---- the world of a node ---- */

static size_t number_of(const struct node *node)
{
	return (size_t)(node - sim.nodes);
}

static uint64_t rio_now(void *context)
{
	(void)context;
	return sim.now_ms;
}

static int64_t rio_wall(void *context)
{
	(void)context;
	return (int64_t)sim.now_ms;
}

static uint32_t rio_random(void *context)
{
	(void)context;
	return (uint32_t)chance();
}

static uint64_t rio_room(void *context)
{
	(void)context;
	return UINT64_C(1) << 40;
}

static void rio_hard_put(void *context, uint32_t group, uint64_t term, uint64_t voted_for)
{
	(void)group;
	struct node *node = context;
	CHECK(term > node->term || (term == node->term && (node->voted_for == 0 || node->voted_for == voted_for)), "node %llu votes twice in term %llu",
		(unsigned long long)node->id, (unsigned long long)term);
	node->term = term;
	node->voted_for = voted_for;
}

static void rio_log_put(void *context, struct log_job *job)
{
	struct node *node = context;
	uint64_t takes = node->slow ? below(400) : permille(950) ? below(8) : below(150);
	/* As the log writer does: what comes while a sync runs shares the next one. */
	if (sim.now_ms >= node->sync_ms)
		node->sync_ms = node->disk_free_ms;
	if (sim.now_ms >= node->sync_ms)
		node->sync_ms = node->disk_free_ms = sim.now_ms + takes;
	else if (node->disk_free_ms == node->sync_ms)
		node->disk_free_ms = node->sync_ms + takes;
	push((struct event){ .at_ms = node->disk_free_ms, .kind = STORED, .node = number_of(node), .job = job });
}

static uint64_t value_of(const struct log_entry *entry)
{
	uint64_t value = 0;
	if (entry->type == ENTRY_COMMANDS && entry->length == sizeof(value))
		memcpy(&value, entry->payload, sizeof(value));
	return value;
}

static void rio_apply(void *context, uint32_t group, struct log_entry **entries, size_t count, uint64_t stored)
{
	(void)group;
	struct node *node = context;
	for (size_t i = 0; i < count; i++) {
		const struct log_entry *entry = entries[i];
		CHECK(entry->index < LOG_MAX, "the run is too long");
		CHECK(entry->index == node->applied + 1, "node %llu applies %llu after %llu", (unsigned long long)node->id, (unsigned long long)entry->index,
			(unsigned long long)node->applied);
		struct history *known = &sim.history[entry->index];
		if (!known->known) {
			*known = (struct history){ true, entry->type, entry->term, value_of(entry) };
			sim.history_last = entry->index;
			sim.done.commands += entry->type == ENTRY_COMMANDS;
		}
		CHECK(known->term == entry->term && known->type == entry->type && known->value == value_of(entry), "node %llu applies another entry %llu",
			(unsigned long long)node->id, (unsigned long long)entry->index);
		node->applied = entry->index;
		log_entry_release(entries[i]);
	}
	free(entries);
	if (stored > node->stored_seen)
		node->stored_seen = stored;
	push((struct event){ .at_ms = sim.now_ms + below(node->slow ? 1000 : 10), .kind = APPLIED, .node = number_of(node), .index = node->applied });
}

static uint64_t held_bytes(uint64_t entries)
{
	return entries * (sizeof(struct log_entry) + sizeof(uint64_t));
}

static uint64_t rio_apply_waiting(void *context, uint32_t group)
{
	(void)group;
	const struct node *node = context;
	return held_bytes(node->applied - node->told);
}

static size_t rio_log_read(void *context, uint32_t group, uint64_t first, size_t count, size_t bytes_max, struct log_entry **out)
{
	(void)group;
	const struct node *node = context;
	size_t found = 0;
	for (size_t bytes = 0; found < count && first + found < LOG_MAX && node->log[first + found]; found++) {
		struct log_entry *entry = node->log[first + found];
		bytes += log_entry_bytes(entry);
		if (found > 0 && bytes > bytes_max)
			break;
		out[found] = log_entry_hold(entry);
	}
	sim.done.held_back += found;
	return found;
}

static size_t node_of(uint64_t id)
{
	return (size_t)id - 1;
}

static void deliver(const struct node *from, const struct message *message, const struct wire_entry *entries)
{
	size_t to = node_of(message->peer);
	if (to >= sim.count || sim.cut[number_of(from)][to] || permille(sim.loss_permille))
		return;
	static struct buffer wire = { .limit = RAFT_MESSAGE_BYTES_MAX };
	buffer_clear(&wire);
	CHECK(raft_message_encode(&wire, message, entries) == 0, "encoding");
	unsigned copies = permille(sim.repeat_permille) ? 2 : 1;
	for (unsigned i = 0; i < copies; i++) {
		uint64_t at_ms = sim.now_ms + 1 + (permille(950) ? below(10) : below(400));
		push_message((struct event){ .at_ms = at_ms, .kind = MESSAGE, .node = to, .from = number_of(from) }, buffer_span(&wire));
		sim.done.messages++;
	}
}

static void rio_send(void *context, uint32_t group, struct message *message, struct log_entry **entries)
{
	(void)group;
	struct node *node = context;
	struct wire_entry wire[RAFT_ENTRIES_MAX];
	size_t count = message->type == MESSAGE_APPEND ? message->append.count : 0;
	CHECK(count <= RAFT_ENTRIES_MAX, "too many entries");
	for (size_t i = 0; i < count; i++) {
		uint64_t index = message->append.previous_index + 1 + i;
		const struct log_entry *entry = entries ? entries[i] : index < LOG_MAX ? node->log[index] : NULL;
		if (!entry)
			return; /* not on disk yet, or not any more */
		wire[i] = (struct wire_entry){ entry->type, entry->index, entry->term, span_of(entry->payload, entry->length) };
	}
	deliver(node, message, wire);
}

static void check_leader(const struct node *node)
{
	uint64_t term = node->driver ? driver_leads(node->driver) : 0;
	if (term == 0)
		return;
	CHECK(term < TERMS_MAX, "too many terms");
	sim.done.leaders += sim.leader_of[term] == 0;
	CHECK(sim.leader_of[term] == 0 || sim.leader_of[term] == node->id, "nodes %llu and %llu both lead in term %llu",
		(unsigned long long)sim.leader_of[term], (unsigned long long)node->id, (unsigned long long)term);
	sim.leader_of[term] = node->id;
}

/* The driver moves its timer with nearly every step: an event that comes too early is put off, one that would come too late is not awaited. */
static void set_timer(struct node *node, uint64_t at_ms)
{
	node->timer_ms = at_ms > sim.now_ms ? at_ms : sim.now_ms;
	if (node->alarm_ms && node->alarm_ms <= node->timer_ms)
		return;
	node->alarm_ms = node->timer_ms;
	push((struct event){ .at_ms = node->alarm_ms, .kind = TIMER, .node = number_of(node), .index = node->alarm_ms });
}

static void rio_timer(void *context, uint32_t group, uint64_t at_ms)
{
	(void)group;
	check_leader(context); /* the driver asks for its timer at the end of each step */
	set_timer(context, at_ms);
}

static void rio_install(void *context, uint32_t group, const struct snapshot_record *snapshot)
{
	(void)group;
	(void)snapshot;
	struct node *node = context;
	uint64_t from = node->disk_free_ms > sim.now_ms ? node->disk_free_ms : sim.now_ms; /* behind writes that are under way */
	push((struct event){ .at_ms = from + 20 + below(600), .kind = INSTALLED, .node = number_of(node), .index = snapshot->index });
}

/* ---- the disk ---- */

static void drop_log(struct node *node, uint64_t from, uint64_t through)
{
	for (uint64_t index = from; index <= through && index < LOG_MAX; index++) {
		if (node->log[index])
			log_entry_release(node->log[index]);
		node->log[index] = NULL;
	}
}

static void snapshot_set(struct snapshot_record *out, const struct snapshot_record *in)
{
	struct buffer configuration;
	buffer_init(&configuration, 1 << 16);
	buffer_append(&configuration, in->configuration.data, in->configuration.length);
	buffer_fini(&out->configuration);
	*out = *in;
	out->configuration = configuration;
}

static void disk_write(struct node *node, const struct log_job *job)
{
	if (job->truncate) {
		drop_log(node, job->first_index, node->last);
		node->last = job->first_index - 1;
	}
	for (size_t i = 0; i < job->entries_count; i++) {
		struct log_entry *entry = job->entries[i];
		CHECK(entry->index < LOG_MAX && entry->index == node->last + 1, "a hole in the log of node %llu", (unsigned long long)node->id);
		node->log[entry->index] = log_entry_hold(entry);
		node->last = entry->index;
	}
	if (job->has_snapshot)
		snapshot_set(&node->snapshot, &job->snapshot);
	if (job->compact_through) {
		drop_log(node, node->first, job->compact_through);
		if (job->compact_through >= node->first)
			node->first = job->compact_through + 1;
	}
}

/* ---- life and death ---- */

static void start(struct node *node)
{
	node->life++;
	node->up = true;
	node->paused_until = 0;
	node->applied = node->told = node->flushed;
	node->timer_ms = node->alarm_ms = node->sync_ms = node->disk_free_ms = 0;
	node->stored_seen = node->flushed_mark;
	CHECK(node->last >= node->flushed_mark, "node %llu lost entries that were durable", (unsigned long long)node->id);
	struct log_loaded loaded = { .found = true, .term = node->term, .voted_for = node->voted_for, .first_index = node->first, .last_index = node->last };
	snapshot_set(&loaded.snapshot, &node->snapshot);
	size_t count = (size_t)(node->last + 1 - node->first);
	size_t capacity = 1;
	while (capacity < count)
		capacity *= 2;
	loaded.terms = must_alloc(capacity * sizeof(uint64_t));
	loaded.lengths = must_alloc(capacity * sizeof(uint32_t));
	loaded.configurations = must_alloc(capacity * sizeof(struct log_entry *));
	loaded.pending = must_alloc(capacity * sizeof(struct log_entry *));
	for (size_t i = 0; i < count; i++) {
		struct log_entry *entry = node->log[node->first + i];
		loaded.terms[i] = entry->term;
		loaded.lengths[i] = (uint32_t)entry->length;
		if (entry->type == ENTRY_CONFIGURATION)
			loaded.configurations[loaded.configurations_count++] = log_entry_hold(entry);
		if (entry->index > node->applied)
			loaded.pending[loaded.pending_count++] = log_entry_hold(entry);
	}
	if (permille(300)) { /* there were too many to hold */
		size_t dropped = (size_t)below(loaded.pending_count + 1);
		for (size_t i = 0; i < dropped; i++)
			log_entry_release(loaded.pending[i]);
		loaded.pending_count -= dropped;
		memmove(loaded.pending, loaded.pending + dropped, loaded.pending_count * sizeof(struct log_entry *));
	}
	if (loaded.pending_count == 0) {
		free(loaded.pending);
		loaded.pending = NULL;
	} else { /* as large as the driver takes it to be */
		size_t power = 1;
		while (power < loaded.pending_count)
			power *= 2;
		loaded.pending = must_realloc(loaded.pending, power * sizeof(struct log_entry *));
	}
	struct why why = { 0 };
	CHECK(driver_open(&node->driver, 0, node->id, &node->rio, &loaded, node->applied, &why) == 0, "%s", why.text);
	check_leader(node);
	driver_set_trailing(node->driver, 0);
	driver_set_held(node->driver, held_bytes(1 + below(HELD_MAX)));
	log_loaded_fini(&loaded);
}

static int by_order(const void *left, const void *right)
{
	const struct event *a = *(const struct event *const *)left, *b = *(const struct event *const *)right;
	return a->order < b->order ? -1 : 1;
}

/* Writes that were under way may have reached the disk, in order, or not. */
static void crash(struct node *node)
{
	const struct event *pending[PENDING_MAX];
	size_t count = 0;
	uint64_t through_ms = node->disk_free_ms > node->paused_until ? node->disk_free_ms : node->paused_until;
	sim.done.crashes++;
	for (uint64_t at_ms = sim.now_ms; at_ms <= through_ms && at_ms < END_MS; at_ms++)
		for (const struct event *event = sim.due[at_ms].first; event; event = event->next)
			if (event->kind == STORED && event->node == number_of(node) && event->life == node->life) {
				CHECK(count < PENDING_MAX, "too many writes");
				pending[count++] = event;
			}
	qsort(pending, count, sizeof(pending[0]), by_order);
	for (size_t i = 0; i < count && permille(600); i++)
		disk_write(node, pending[i]->job);
	driver_close(node->driver);
	node->driver = NULL;
	node->up = false;
	node->life++;
}

static void flush(struct node *node)
{
	node->flushed = node->applied;
	node->flushed_mark = node->stored_seen < node->last ? node->stored_seen : node->last;
}

/* ---- what happens ---- */

static struct node *ready_leader(void)
{
	size_t begin = (size_t)below(sim.count);
	for (size_t i = 0; i < sim.count; i++) {
		struct node *node = &sim.nodes[(begin + i) % sim.count];
		if (node->up && node->paused_until <= sim.now_ms && driver_ready(node->driver))
			return node;
	}
	return NULL;
}

static void receive(struct node *node, const struct event *event)
{
	struct wire_entry wire[RAFT_ENTRIES_MAX];
	struct log_entry *entries[RAFT_ENTRIES_MAX];
	struct message message;
	CHECK(raft_message_decode(&message, wire, span_of(event->bytes, event->length)) == 0, "decoding");
	message.peer = sim.nodes[event->from].id;
	size_t count = message.type == MESSAGE_APPEND ? message.append.count : 0;
	for (size_t i = 0; i < count; i++)
		entries[i] = log_entry_make(wire[i].type, wire[i].index, wire[i].term, wire[i].payload);
	if (message.type == MESSAGE_APPEND)
		message.append.entries = entries;
	driver_receive(node->driver, &message);
	for (size_t i = 0; i < count; i++)
		log_entry_release(entries[i]);
}

static void finish_install(struct node *node, uint64_t index)
{
	struct node *source = NULL;
	for (size_t i = 0; i < sim.count && !source; i++) {
		struct node *peer = &sim.nodes[(number_of(node) + 1 + i) % sim.count];
		if (peer != node && peer->up && peer->applied >= index && !sim.cut[number_of(node)][number_of(peer)] && permille(700))
			source = peer;
	}
	if (!source) {
		push((struct event){ .at_ms = sim.now_ms + 50, .kind = INSTALLED, .node = number_of(node), .index = index });
		return;
	}
	sim.done.installs++;
	drop_log(node, node->first, node->last);
	const struct snapshot_record *offered = driver_offered(node->driver);
	CHECK(offered->index == index, "another installation");
	snapshot_set(&node->snapshot, offered);
	node->first = index + 1;
	node->last = index;
	node->applied = node->told = node->flushed = source->applied;
	node->flushed_mark = node->stored_seen = index;
	driver_installed(node->driver, node->applied);
}

static void submit(void)
{
	struct node *leader = ready_leader();
	for (unsigned n = (unsigned)below(4); leader && n > 0; n--) {
		uint64_t value = ++sim.next_value;
		driver_submit(leader->driver, ENTRY_COMMANDS, span_of(&value, sizeof(value)), NULL, false);
	}
}

static void begin_read(struct node *node)
{
	struct read *read = &sim.reads[sim.reads_count];
	if (sim.reads_count == READS_MAX || !node->up || node->paused_until > sim.now_ms)
		return;
	*read = (struct read){ .node = number_of(node), .life = node->life, .floor = sim.history_last };
	if (driver_read(node->driver, &read->round) != 0)
		return;
	sim.reads_count++;
	node->reads++;
}

/* True when nobody waits for it any more. */
static bool check_read(const struct node *node, const struct read *read)
{
	uint64_t index;
	int err = node->life == read->life && node->up ? driver_read_index(node->driver, read->round, &index) : ERR_CLOSED;
	if (err == 0) {
		sim.done.reads++;
		CHECK(index >= read->floor, "a read at %llu began when %llu was applied", (unsigned long long)index, (unsigned long long)read->floor);
	}
	return err != ERR_AGAIN;
}

static void check_reads(struct node *node)
{
	for (size_t i = 0; node->reads > 0 && i < sim.reads_count;) {
		if (sim.reads[i].node == number_of(node) && check_read(node, &sim.reads[i])) {
			sim.reads[i] = sim.reads[--sim.reads_count];
			node->reads--;
		} else {
			i++;
		}
	}
}

static void change_membership(void)
{
	struct node *leader = ready_leader();
	if (!leader)
		return;
	struct server servers[SERVERS_MAX];
	size_t count = driver_servers(leader->driver, servers), voters = 0, at = 0;
	uint64_t id = sim.nodes[below(sim.count)].id;
	for (size_t i = 0; i < count; i++)
		voters += servers[i].role == SERVER_VOTER;
	while (at < count && servers[at].id != id)
		at++;
	if (at == count) {
		servers[count++] = (struct server){ id, SERVER_STANDBY };
	} else if (servers[at].role == SERVER_STANDBY && permille(800)) {
		struct driver_status status;
		driver_status(leader->driver, &status);
		if (driver_match(leader->driver, id) + 20 < status.last_index)
			return;
		servers[at].role = SERVER_VOTER;
	} else if (servers[at].role == SERVER_VOTER && voters > 1 && permille(500)) {
		servers[at].role = SERVER_STANDBY;
	} else if (count > 3 && (servers[at].role == SERVER_STANDBY || voters > 2)) {
		memmove(servers + at, servers + at + 1, (count - at - 1) * sizeof(servers[0]));
		count--;
	} else {
		return;
	}
	sim.done.changes += driver_change(leader->driver, servers, count) == 0;
}

static void cut_links(void)
{
	memset(sim.cut, 0, sizeof(sim.cut));
	uint64_t way = below(4);
	size_t one = (size_t)below(sim.count), other = (size_t)below(sim.count);
	uint64_t side = chance();
	for (size_t i = 0; i < sim.count && way < 3; i++)
		for (size_t k = 0; k < sim.count; k++)
			sim.cut[i][k] = i != k && (way == 0 ? (side >> i & 1) != (side >> k & 1) : way == 1 ? i == one : i == one && k == other);
}

static void make_trouble(void)
{
	struct node *node = &sim.nodes[below(sim.count)];
	switch (below(10)) {
	case 9: /* as when a machine is suspended: what it believes on waking is old */
		if (node->paused_until > sim.now_ms)
			break;
		node->paused_until = sim.now_ms + 500 + below(4000);
		push_as_is(event_make((struct event){ .at_ms = node->paused_until, .kind = RESUME, .node = number_of(node), .life = node->life },
			(struct span){ 0 })); /* first of all */
		break;
	case 0:
	case 1:
		if (node->up)
			crash(node);
		break;
	case 2:
		for (size_t i = 0; i < sim.count && permille(300); i++)
			if (sim.nodes[i].up)
				crash(&sim.nodes[i]);
		break;
	case 3:
		cut_links();
		break;
	case 4:
		memset(sim.cut, 0, sizeof(sim.cut));
		break;
	case 5:
		sim.loss_permille = permille(500) ? 0 : (unsigned)below(300);
		break;
	case 6:
		node->slow = !node->slow;
		break;
	case 7:
		if ((node = ready_leader()) != NULL)
			driver_transfer(node->driver, 0);
		break;
	default:
		change_membership();
	}
	for (size_t i = 0; i < sim.count; i++)
		if (!sim.nodes[i].up && permille(400))
			start(&sim.nodes[i]);
}

static void heal(void)
{
	memset(sim.cut, 0, sizeof(sim.cut));
	sim.loss_permille = 0;
	sim.healed_at = sim.history_last;
	for (size_t i = 0; i < sim.count; i++) {
		sim.nodes[i].slow = false;
		if (!sim.nodes[i].up)
			start(&sim.nodes[i]);
	}
}

static void run_event(const struct event *event)
{
	struct node *node = &sim.nodes[event->node];
	bool lives = node->up && event->life == node->life;
	struct log_job *job;
	switch (event->kind) {
	case MESSAGE:
		if (node->up) /* a network may deliver to a later life */
			receive(node, event);
		break;
	case STORED:
		if (!lives)
			break;
		disk_write(node, event->job);
		driver_stored(node->driver, event->job);
		break;
	case TIMER:
		if (!lives || node->alarm_ms != event->index)
			return;
		node->alarm_ms = 0;
		if (node->timer_ms > sim.now_ms) {
			set_timer(node, node->timer_ms);
			return;
		}
		driver_timeout(node->driver);
		break;
	case INSTALLED:
		if (lives)
			finish_install(node, event->index);
		break;
	case APPLIED:
		if (lives && event->index > node->told) {
			node->told = event->index;
			driver_applied(node->driver, event->index);
		}
		break;
	case SUBMIT:
		if (sim.now_ms < QUIET_MS)
			submit();
		push((struct event){ .at_ms = sim.now_ms + 1 + below(60), .kind = SUBMIT });
		break;
	case READ:
		begin_read(&sim.nodes[below(sim.count)]);
		push((struct event){ .at_ms = sim.now_ms + 1 + below(60), .kind = READ });
		break;
	case FLUSH:
		node = &sim.nodes[below(sim.count)];
		if (node->up) {
			flush(node);
			job = driver_snapshot(node->driver, node->applied);
			if (job)
				rio_log_put(node, job);
		}
		push((struct event){ .at_ms = sim.now_ms + 1 + below(1500), .kind = FLUSH });
		break;
	case CHAOS:
		if (sim.now_ms >= CHAOS_MS)
			break;
		make_trouble();
		push((struct event){ .at_ms = sim.now_ms + below(1500), .kind = CHAOS });
		break;
	case RESUME:
		if (lives)
			begin_read(node); /* before it hears anything */
		break;
	}
	if (node->up && node->paused_until <= sim.now_ms && permille(700))
		driver_tell_commit(node->driver, permille(500));
}

static void check_end(void)
{
	struct node *leader = ready_leader();
	CHECK(leader, "nobody leads in the end");
	CHECK(sim.history_last > sim.healed_at, "nothing was committed after everything healed");
	struct server servers[SERVERS_MAX];
	size_t count = driver_servers(leader->driver, servers);
	for (size_t i = 0; i < count; i++) {
		const struct node *node = &sim.nodes[node_of(servers[i].id)];
		CHECK(node->applied == sim.history_last, "node %llu has applied %llu of %llu", (unsigned long long)node->id, (unsigned long long)node->applied,
			(unsigned long long)sim.history_last);
	}
}

static void found(void)
{
	uint64_t voters[NODES_MAX];
	size_t voters_count = sim.count < 3 ? sim.count : 3;
	for (size_t i = 0; i < sim.count; i++)
		voters[i] = i + 1;
	struct buffer configuration;
	buffer_init(&configuration, 4096);
	raft_engine_configuration(&configuration, voters, voters_count);
	for (size_t i = 0; i < sim.count; i++) {
		struct node *node = &sim.nodes[i];
		node->id = i + 1;
		node->term = 1;
		node->first = 1;
		buffer_init(&node->snapshot.configuration, 1 << 16);
		if (i < voters_count) {
			node->log[1] = log_entry_make(ENTRY_CONFIGURATION, 1, 1, buffer_span(&configuration));
			node->last = 1;
		}
		node->rio = (struct rio){ .context = node, .rules_off = rules_off, .now_ms = rio_now, .wall_ms = rio_wall, .random = rio_random, .room_bytes = rio_room,
			.hard_put = rio_hard_put, .log_put = rio_log_put, .apply = rio_apply, .apply_waiting = rio_apply_waiting,
			.log_read = rio_log_read, .send = rio_send, .timer = rio_timer, .install = rio_install };
	}
	buffer_fini(&configuration);
	for (size_t i = 0; i < sim.count; i++)
		start(&sim.nodes[i]);
}

static void clean(void)
{
	for (size_t i = 0; i < sim.count; i++) {
		struct node *node = &sim.nodes[i];
		if (node->driver)
			driver_close(node->driver);
		drop_log(node, node->first, node->last);
		buffer_fini(&node->snapshot.configuration);
	}
}

static void turn(struct event *event)
{
	struct node *node = &sim.nodes[event->node];
	enum kind kind = event->kind;
	if (node->paused_until > sim.now_ms && kind <= APPLIED) {
		event->at_ms = node->paused_until; /* among what comes then, in the order in which it came */
		push_as_is(event);
	} else {
		run_event(event);
		event_free(event);
	}
	check_reads(node);
	for (size_t i = 0; kind == CHAOS && i < sim.count; i++)
		check_reads(&sim.nodes[i]);
}

static void run_seed(uint64_t seed)
{
	memset(&sim, 0, offsetof(struct sim, due));
	sim.seed = seed;
	sim.random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	sim.now_ms = BEGIN_MS;
	sim.count = permille(500) ? 3 : 5;
	sim.repeat_permille = 20;
	found();
	push((struct event){ .at_ms = BEGIN_MS + 1, .kind = SUBMIT });
	push((struct event){ .at_ms = BEGIN_MS + 2, .kind = READ });
	push((struct event){ .at_ms = BEGIN_MS + 3, .kind = FLUSH });
	push((struct event){ .at_ms = BEGIN_MS + 500 + below(4000), .kind = CHAOS });
	for (; sim.now_ms < END_MS; sim.now_ms++) {
		if (sim.now_ms == CHAOS_MS)
			heal();
		for (struct event *event; (event = take_due(sim.now_ms)) != NULL;)
			turn(event);
	}
	check_end();
	clean();
}

static uint64_t number_from(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);
	return text && *text ? strtoull(text, NULL, 10) : fallback;
}

static double cpu_used_s(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void nothing_is_lost_whatever_the_network_and_the_disks_do(void **state)
{
	(void)state;
	uint64_t one = number_from("SIMULATOR_SEED", 0), seeds = number_from("SIMULATOR_SEEDS", 0);
	uint64_t first = one ? one : number_from("SIMULATOR_FIRST", 1), last = one ? one : first + (seeds ? seeds : 100000) - 1;
	time_t until = time(NULL) + SECONDS_MAX_DEFAULT;
	uint64_t ran = 0, totals[8] = { 0 };
	double cpu_s = -cpu_used_s();
	for (uint64_t seed = first; seed <= last; seed++) {
		fprintf(stderr, "\rseed %llu ", (unsigned long long)seed); /* what a node that stops itself would not tell */
		run_seed(seed);
		ran++;
		const uint64_t done[] = { sim.done.commands, sim.done.reads, sim.done.installs, sim.done.changes, sim.done.crashes, sim.done.leaders,
			sim.done.messages, sim.done.held_back };
		for (size_t i = 0; i < 8; i++)
			totals[i] += done[i];
		if (!one && !seeds && ran >= SEEDS_DEFAULT && time(NULL) >= until)
			break;
	}
	fprintf(stderr, "\n");
	cpu_s += cpu_used_s();
	print_message("%llu seeds: %llu commands, %llu reads, %llu installs, %llu changes of membership, %llu crashes, %llu leaders, %llu messages, %llu entries held back\n",
		(unsigned long long)ran, (unsigned long long)totals[0], (unsigned long long)totals[1], (unsigned long long)totals[2],
		(unsigned long long)totals[3], (unsigned long long)totals[4], (unsigned long long)totals[5], (unsigned long long)totals[6],
		(unsigned long long)totals[7]);
	print_message("%.1f seeds of %d virtual seconds in a second of one core\n", cpu_s > 0 ? (double)ran / cpu_s : 0.0, (END_MS - BEGIN_MS) / 1000);
	if (!one) /* the troubles that were meant to happen did */
		for (size_t i = 0; i < 8; i++)
			assert_true(totals[i] > 0);
}

struct rule {
	unsigned bit;
	const char *name;
	uint64_t seeds; /* within which it shows, by far; 0: too rare for a run of every day */
};
static const struct rule rules[] = {
	{ RULE_STALE_SENDERS, "stale senders are answered and not stepped", 0 },
	{ RULE_VOTE_TERM, "a refused vote carries our term", 0 },
	{ RULE_CONFIGURATION_FIRST, "a configuration is the first entry of a message", 0 },
	{ RULE_HOLD_WHILE_INSTALLING, "nothing is applied while a state is installed", 0 },
	{ RULE_GENERATIONS, "a truncated write is not reported", 0 },
	{ RULE_OWN_BARRIER, "reads wait for the own barrier", 50 },
	{ RULE_MAJORITY_ROUND, "reads ask a majority", 50 },
	{ RULE_OVERTAKEN, "overtaken refusals are dropped", 0 },
	{ RULE_BEHIND_SNAPSHOT, "appends begin behind the snapshot", 0 },
	{ RULE_VOTERS_READY, "voters have the last configuration", 0 },
	{ RULE_LATE_CONFIGURATION, "configurations that come again are reported", 0 },
	{ RULE_COMMITTED_MARK, "the durable mark is committed", 0 },
	{ RULE_HARD_STATE_FIRST, "term and vote are durable", 0 },
	{ RULE_STANDBY_VOTES, "stand-bys vote", 0 },
	{ RULE_ALONE_BY_ITSELF, "nobody is left alone by another", 50 },
	{ RULE_ALONE_STORED, "who is left alone stores it first", 0 },
};

/* True when some seed of `count` notices that the rule is off: by a check, by a node that stops itself, or by a crash of the engine. */
static bool noticed(const struct rule *rule, uint64_t count)
{
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		in_child = true;
		rules_off = rule->bit;
		alarm(600);
		for (uint64_t seed = 1; seed <= count; seed++)
			run_seed(seed);
		_exit(0);
	}
	int status = 0;
	waitpid(child, &status, 0);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0) && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
}

static void the_checks_notice_when_a_rule_is_off(void **state)
{
	(void)state;
	uint64_t count = number_from("SIMULATOR_RULES", 0);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		uint64_t seeds = count ? count : rules[i].seeds;
		if (seeds == 0)
			continue;
		bool seen = noticed(&rules[i], seeds);
		print_message("%s: %s\n", rules[i].name, seen ? "noticed" : "NOT noticed");
		assert_true(seen || count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_checks_notice_when_a_rule_is_off),
		cmocka_unit_test(nothing_is_lost_whatever_the_network_and_the_disks_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
