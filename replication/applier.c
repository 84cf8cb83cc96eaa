#include "replication/applier.h"

#include "replication/command_ids.h"
#include "replication/node.h"
#include "replication/proposals.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	KIND_APPLIED = 'a',
	DRAIN_BYTES_MAX = 4 << 20,
	MEMTABLE_BYTES = 16 << 20,
	CACHE_BYTES_DEFAULT = 8 << 20,
	BLOOM_BITS_PER_KEY = 10,
};

static const double MEMTABLE_FILTER_RATIO = 0.02; /* of the memtable's bytes */

struct work {
	struct work *next;
	uint32_t group;
	struct log_entry **entries;
	size_t count, bytes, held_bytes;
	uint64_t stored;
	char *install; /* a directory: an installation and no entries */
};

/* Who is told after the batch is written. */
struct outcome {
	struct proposal *proposal; /* borrowed from its entry */
	struct command_outcome outcome;
};

struct applier {
	rocksdb_t *db;
	rocksdb_options_t *options;
	rocksdb_cache_t *cache;
	rocksdb_writeoptions_t *write_options;
	rocksdb_readoptions_t *read_options;
	struct state_batch *batch;
	const struct state_machine *machine;
	struct applier_calls calls;
	struct applied_record found[GROUPS_MAX], records[GROUPS_MAX]; /* records: the thread's own */
	atomic_uint_fast64_t applied[GROUPS_MAX], waiting[GROUPS_MAX], ids_dropped_hour[GROUPS_MAX], feature_level[GROUPS_MAX], cluster_changed;
	atomic_int_fast64_t leader_ms[GROUPS_MAX];
	atomic_uint_fast64_t commands;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct work *head, **tail;
	bool closing;
	struct outcome *outcomes; /* of the batch being made */
	size_t outcomes_count, outcomes_capacity;
};

static const struct field applied_fields[] = {
	FIELD(struct applied_record, index, FIELD_U64, true),
	FIELD(struct applied_record, term, FIELD_U64, true),
	FIELD(struct applied_record, leader_ms, FIELD_I64, true),
	FIELD(struct applied_record, durable_mark, FIELD_U64, true),
	FIELD(struct applied_record, feature_level, FIELD_U64, true),
	FIELD(struct applied_record, ids_dropped_hour, FIELD_U64, true),
};
static const struct schema applied_schema = SCHEMA(1, applied_fields);

/* ---- opening ---- */

static int level_unknown(uint64_t level, struct why *why)
{
	return why_set(why, ERR_UNSUPPORTED, "the cluster is at feature level %llu, this program knows %d: install a newer one", (unsigned long long)level,
		FEATURE_LEVEL_KNOWN);
}

static int read_record(struct applier *applier, uint32_t group, struct why *why)
{
	struct key key;
	key_begin(&key, group, SLOT_CONSENSUS, KIND_APPLIED);
	char *error = NULL;
	size_t length;
	char *value = rocksdb_get(applier->db, applier->read_options, (const char *)key.bytes, key.length, &length, &error);
	if (error) {
		int err = why_set(why, ERR_IO, "cannot read the state: %s", error);
		rocksdb_free(error);
		return err;
	}
	struct applied_record *record = &applier->found[group];
	*record = (struct applied_record){ .feature_level = 1 };
	int err = value ? record_decode(record, sizeof(*record), &applied_schema, span_of(value, length)) : 0;
	rocksdb_free(value);
	if (err)
		return why_set(why, ERR_CORRUPT, "the applied record of group %u does not parse", group);
	if (record->feature_level > FEATURE_LEVEL_KNOWN)
		return level_unknown(record->feature_level, why);
	applier->records[group] = *record;
	atomic_store(&applier->applied[group], record->index);
	atomic_store(&applier->leader_ms[group], record->leader_ms);
	atomic_store(&applier->ids_dropped_hour[group], record->ids_dropped_hour);
	atomic_store(&applier->feature_level[group], record->feature_level);
	return 0;
}

static rocksdb_options_t *make_options(struct applier *applier, uint64_t cache_bytes)
{
	/* Without a log of its own RocksDB would flush while closing, room or not; applier_close does it if there is room. */
	rocksdb_options_t *base = rocksdb_options_create(), *options = rocksdb_options_create();
	char *error = NULL;
	rocksdb_get_options_from_string(base, "avoid_flush_during_shutdown=true", options, &error);
	if (error)
		node_stop("RocksDB refuses an option: %s", error);
	rocksdb_options_destroy(base);
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_write_buffer_size(options, MEMTABLE_BYTES);
	rocksdb_options_set_memtable_prefix_bloom_size_ratio(options, MEMTABLE_FILTER_RATIO); /* most keys that commands ask for are new */
	rocksdb_options_set_memtable_whole_key_filtering(options, 1);
	rocksdb_options_set_keep_log_file_num(options, 2);
	rocksdb_options_set_info_log_level(options, 2); /* warnings */
	rocksdb_options_set_max_open_files(options, 256);
	rocksdb_options_set_compression(options, rocksdb_lz4_compression);
	applier->cache = rocksdb_cache_create_lru(cache_bytes ? cache_bytes : CACHE_BYTES_DEFAULT);
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
	rocksdb_block_based_options_set_block_cache(table, applier->cache);
	rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));
	/* Filters stay with their open files: in a small sharded cache one filter may not fit its shard, and every look-up would read it anew. */
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 0);
	rocksdb_options_set_block_based_table_factory(options, table);
	rocksdb_block_based_options_destroy(table);
	return options;
}

int applier_open(struct applier **out, const char *dir, uint64_t cache_bytes, const struct state_machine *machine, const struct applier_calls *calls,
	struct why *why)
{
	*out = NULL;
	struct applier *applier = must_alloc(sizeof(*applier));
	applier->machine = machine;
	applier->calls = *calls;
	applier->tail = &applier->head;
	pthread_mutex_init(&applier->lock, NULL);
	pthread_cond_init(&applier->wake, NULL);
	applier->options = make_options(applier, cache_bytes);
	applier->write_options = rocksdb_writeoptions_create();
	rocksdb_writeoptions_disable_WAL(applier->write_options, 1);
	applier->read_options = rocksdb_readoptions_create();
	char *error = NULL;
	int err = 0;
	applier->db = rocksdb_open(applier->options, dir, &error);
	if (!applier->db) {
		err = why_set(why, ERR_IO, "cannot open the state in %s: %s", dir, error);
		rocksdb_free(error);
	}
	if (applier->db)
		applier->batch = state_batch_open(applier->db);
	for (uint32_t group = 0; group < GROUPS_MAX && err == 0; group++)
		err = read_record(applier, group, why);
	if (err) {
		applier_close(applier);
		return err;
	}
	*out = applier;
	return 0;
}

int applied_record_check(const struct applied_record *record, uint32_t group, const struct log_loaded *loaded, struct why *why)
{
	if (!loaded->found)
		return why_set(why, ERR_CORRUPT, "the log of group %u is gone: this disk must rejoin under a new id", group);
	if (loaded->last_index < record->durable_mark)
		return why_set(why, ERR_CORRUPT, "the log of group %u ends at %llu, but %llu was durable: acknowledged entries are lost, this disk must "
			"rejoin under a new id", group, (unsigned long long)loaded->last_index, (unsigned long long)record->durable_mark);
	if (record->index < loaded->snapshot.index || record->index + 1 < loaded->first_index)
		return why_set(why, ERR_CORRUPT, "the state of group %u is at %llu, behind the log's snapshot at %llu", group,
			(unsigned long long)record->index, (unsigned long long)loaded->snapshot.index);
	return 0;
}

/* ---- applying ---- */

static struct command_outcome *outcome_add(struct applier *applier, struct proposal *proposal)
{
	if (applier->outcomes_count == applier->outcomes_capacity) {
		applier->outcomes_capacity = applier->outcomes_capacity ? applier->outcomes_capacity * 2 : 64;
		applier->outcomes = must_realloc(applier->outcomes, applier->outcomes_capacity * sizeof(*applier->outcomes));
	}
	struct outcome *outcome = &applier->outcomes[applier->outcomes_count++];
	*outcome = (struct outcome){ .proposal = proposal };
	buffer_init(&outcome->outcome.result, PROPOSAL_RESULT_BYTES_MAX);
	return &outcome->outcome;
}

/* Commands of consensus itself. */
static int apply_own(struct applier *applier, const struct apply_context *context, const struct command *command, struct why *why)
{
	struct applied_record *record = &applier->records[context->group];
	struct cursor body = cursor_of(command->body);
	uint64_t value = cursor_u64(&body);
	if (!cursor_done(&body))
		return why_set(why, ERR_INVALID, "a number was expected");
	if (command->version != 1)
		return why_set(why, ERR_UNSUPPORTED, "version %u of command type %u is not known", command->version, command->type);
	switch (command->type) {
	case COMMAND_DROP_IDS:
		if (value * COMMAND_ID_HOUR_MS > (uint64_t)record->leader_ms - COMMAND_ID_WINDOW_MS)
			return why_set(why, ERR_INVALID, "hour %llu is still within the window", (unsigned long long)value);
		record->ids_dropped_hour = value;
		return command_ids_drop(applier->db, applier->write_options, context->group, value, why);
	case COMMAND_FEATURE_LEVEL:
		if (value > FEATURE_LEVEL_KNOWN)
			return level_unknown(value, why);
		if (value <= record->feature_level)
			return 0;
		record->feature_level = value;
		return applier->machine->raised ? applier->machine->raised(applier->machine->context, context, command, value, why) : 0;
	default:
		return why_set(why, ERR_UNSUPPORTED, "command type %u is not known", command->type);
	}
}

static int apply_command(struct applier *applier, const struct log_entry *entry, uint32_t group, struct span bytes, struct command_outcome *out)
{
	struct applied_record *record = &applier->records[group];
	struct command command;
	if (command_decode(&command, bytes) != 0)
		return why_set(&out->why, ERR_CORRUPT, "a command does not parse");
	out->index = entry->index;
	if (!command_id_in_window(&command.id, record->leader_ms)) {
		out->err = why_set(&out->why, ERR_INVALID, "the command id is from another day");
		return 0;
	}
	int err = command_ids_get(applier->batch, group, &command.id, out, &out->why);
	if (err != ERR_NOT_FOUND)
		return err; /* a retry gets the first outcome */
	struct apply_context context = { .group = group, .index = entry->index, .leader_ms = record->leader_ms,
		.batch = applier->batch, .cluster_changed = &applier->cluster_changed };
	if (command.type < COMMAND_TYPE_NAMESPACE)
		err = apply_own(applier, &context, &command, &out->why);
	else
		err = applier->machine->apply(applier->machine->context, &context, bytes, &out->result, &out->why);
	if (err == ERR_IO || err == ERR_UNSUPPORTED || err == ERR_CORRUPT || err == ERR_NO_MEMORY)
		return err;
	out->err = err;
	command_ids_put(applier->batch, group, &command.id, out);
	return 0;
}

static void apply_entry(struct applier *applier, uint32_t group, const struct log_entry *entry)
{
	struct applied_record *record = &applier->records[group];
	if (entry->index <= record->index)
		return; /* delivered again: this state is ahead of its log */
	if (entry->index != record->index + 1)
		node_stop("entry %llu of group %u follows %llu", (unsigned long long)entry->index, group, (unsigned long long)record->index);
	record->index = entry->index;
	record->term = entry->term;
	if (entry->type != ENTRY_COMMANDS)
		return;
	struct command_entry commands;
	int err = command_entry_open(&commands, span_of(entry->payload, entry->length));
	if (err)
		node_stop("entry %llu of group %u does not parse (%s)", (unsigned long long)entry->index, group, err_name(err));
	if (commands.leader_ms > record->leader_ms)
		record->leader_ms = commands.leader_ms;
	struct proposal *proposal = entry->waiters;
	struct span bytes;
	int more;
	while ((more = command_entry_next(&commands, &bytes)) == 1) {
		struct command_outcome *out = outcome_add(applier, proposal);
		err = apply_command(applier, entry, group, bytes, out);
		if (err)
			node_stop("entry %llu of group %u cannot be applied: %s", (unsigned long long)entry->index, group, out->why.text);
		if (proposal)
			proposal = proposal->next;
	}
	if (more < 0)
		node_stop("entry %llu of group %u is cut short", (unsigned long long)entry->index, group);
}

static void write_batch(struct applier *applier, const bool touched[GROUPS_MAX])
{
	for (uint32_t group = 0; group < GROUPS_MAX; group++) {
		if (!touched[group])
			continue;
		struct key key;
		key_begin(&key, group, SLOT_CONSENSUS, KIND_APPLIED);
		struct buffer value;
		buffer_init(&value, 4096);
		record_encode(&value, &applied_schema, &applier->records[group]);
		state_batch_put(applier->batch, key_span(&key), buffer_span(&value));
		buffer_fini(&value);
	}
	struct why why = { 0 };
	if (state_batch_write(applier->batch, applier->write_options, &why) != 0)
		node_stop("%s", why.text);
}

/* Order: written, then visible to read barriers, then to caches, then answered. */
static void publish(struct applier *applier, const bool touched[GROUPS_MAX])
{
	for (uint32_t group = 0; group < GROUPS_MAX; group++) {
		if (!touched[group])
			continue;
		const struct applied_record *record = &applier->records[group];
		atomic_store(&applier->leader_ms[group], record->leader_ms);
		atomic_store(&applier->ids_dropped_hour[group], record->ids_dropped_hour);
		atomic_store(&applier->feature_level[group], record->feature_level);
		atomic_store(&applier->applied[group], record->index);
		if (applier->machine->applied)
			applier->machine->applied(applier->machine->context, record->index);
	}
	atomic_fetch_add(&applier->commands, applier->outcomes_count);
	for (size_t i = 0; i < applier->outcomes_count; i++) {
		struct outcome *outcome = &applier->outcomes[i];
		if (outcome->proposal)
			proposal_settle(outcome->proposal, outcome->outcome.err, outcome->outcome.index, buffer_span(&outcome->outcome.result),
				outcome->outcome.why.text);
		buffer_fini(&outcome->outcome.result);
	}
	applier->outcomes_count = 0;
	applier->calls.advanced(applier->calls.context);
}

static void finish_batch(struct applier *applier, const bool touched[GROUPS_MAX])
{
	write_batch(applier, touched);
	publish(applier, touched);
}

static struct work *take(struct applier *applier)
{
	pthread_mutex_lock(&applier->lock);
	while (!applier->head && !applier->closing)
		pthread_cond_wait(&applier->wake, &applier->lock);
	struct work *list = applier->head, **link = &applier->head;
	/* An installation is taken alone: what is queued before it must be written first. */
	for (size_t bytes = 0; *link && bytes < DRAIN_BYTES_MAX && (link == &applier->head || !(*link)->install); link = &(*link)->next) {
		bytes += (*link)->bytes;
		if ((*link)->install) {
			link = &(*link)->next;
			break;
		}
	}
	struct work *rest = *link;
	if (list)
		*link = NULL;
	applier->head = rest;
	if (!rest)
		applier->tail = &applier->head;
	pthread_mutex_unlock(&applier->lock);
	return list;
}

static void work_free(struct work *work)
{
	for (size_t i = 0; i < work->count; i++)
		log_entry_release(work->entries[i]);
	free(work->entries);
	free(work->install);
	free(work);
}

static void install(struct applier *applier, const struct work *work)
{
	struct why why = { 0 };
	bool touched[GROUPS_MAX] = { false };
	if (applier_install_now(applier, work->group, work->install, &why) != 0)
		node_stop("%s", why.text);
	touched[work->group] = true;
	if (work->group == GROUP_CLUSTER)
		atomic_store(&applier->cluster_changed, applier->records[work->group].index);
	if (applier->machine->replaced)
		applier->machine->replaced(applier->machine->context);
	publish(applier, touched);
	applier->calls.installed(applier->calls.context, work->group);
}

static void *run(void *context)
{
	struct applier *applier = context;
	for (struct work *list; (list = take(applier)) != NULL;) {
		bool touched[GROUPS_MAX] = { false };
		if (list->install) {
			install(applier, list);
			work_free(list);
			continue;
		}
		for (const struct work *work = list; work; work = work->next) {
			touched[work->group] = true;
			for (size_t i = 0; i < work->count; i++) {
				if (state_batch_is_large(applier->batch))
					finish_batch(applier, touched);
				apply_entry(applier, work->group, work->entries[i]);
			}
			if (work->stored > applier->records[work->group].durable_mark)
				applier->records[work->group].durable_mark = work->stored;
			atomic_fetch_sub(&applier->waiting[work->group], work->held_bytes); /* before it is told that they are applied: who waits for room looks then */
		}
		finish_batch(applier, touched);
		while (list) {
			struct work *next = list->next;
			work_free(list);
			list = next;
		}
	}
	return NULL;
}

int applier_start(struct applier *applier, struct why *why)
{
	if (pthread_create(&applier->thread, NULL, run, applier) != 0)
		return why_set(why, ERR_NO_MEMORY, "cannot start the applier");
	applier->started = true;
	return 0;
}

void applier_put(struct applier *applier, uint32_t group, struct log_entry **entries, size_t count, uint64_t stored)
{
	struct work *work = must_alloc(sizeof(*work));
	*work = (struct work){ .group = group, .entries = entries, .count = count, .stored = stored };
	for (size_t i = 0; i < count; i++) {
		work->bytes += entries[i]->length;
		work->held_bytes += log_entry_bytes(entries[i]);
	}
	atomic_fetch_add(&applier->waiting[group], work->held_bytes);
	pthread_mutex_lock(&applier->lock);
	*applier->tail = work;
	applier->tail = &work->next;
	pthread_mutex_unlock(&applier->lock);
	pthread_cond_signal(&applier->wake); /* not under the lock: who wakes would wait for it at once */
}

void applier_install(struct applier *applier, uint32_t group, const char *dir)
{
	struct work *work = must_alloc(sizeof(*work));
	*work = (struct work){ .group = group, .install = strdup(dir) };
	if (!work->install)
		node_stop("no memory for a path");
	pthread_mutex_lock(&applier->lock);
	*applier->tail = work;
	applier->tail = &work->next;
	pthread_cond_signal(&applier->wake);
	pthread_mutex_unlock(&applier->lock);
}

int applier_install_now(struct applier *applier, uint32_t group, const char *dir, struct why *why)
{
	/* All files in one ingestion, which is atomic. The first deletes what the group had; files that overlap take effect in their order. */
	enum { FILES_MAX = 4096 };
	char **files = must_alloc(FILES_MAX * sizeof(char *));
	size_t count = 0;
	for (; count < FILES_MAX; count++) {
		if (asprintf(&files[count], "%s/%06zu.sst", dir, count) < 0)
			node_stop("no memory for a path");
		if (access(files[count], R_OK) != 0)
			break;
	}
	char *error = NULL;
	rocksdb_ingestexternalfileoptions_t *options = rocksdb_ingestexternalfileoptions_create();
	rocksdb_ingestexternalfileoptions_set_move_files(options, 0);
	if (count > 0)
		rocksdb_ingest_external_file(applier->db, (const char *const *)files, count, options, &error);
	rocksdb_ingestexternalfileoptions_destroy(options);
	for (size_t i = 0; i <= count && i < FILES_MAX; i++)
		free(files[i]);
	free(files);
	if (error || count == 0) {
		int err = why_set(why, ERR_IO, "cannot install the state of group %u from %s: %s", group, dir, error ? error : "it is not there");
		rocksdb_free(error);
		return err;
	}
	return read_record(applier, group, why);
}

void applier_record_key(struct key *key, uint32_t group)
{
	key_begin(key, group, SLOT_CONSENSUS, KIND_APPLIED);
}

int applier_record_restate(struct span value, uint64_t durable_mark, struct buffer *out, uint64_t *applied)
{
	struct applied_record record;
	if (record_decode(&record, sizeof(record), &applied_schema, value) != 0 || record.feature_level > FEATURE_LEVEL_KNOWN)
		return ERR_UNSUPPORTED;
	record.durable_mark = durable_mark;
	*applied = record.index;
	record_encode(out, &applied_schema, &record);
	return out->failed ? ERR_NO_MEMORY : 0;
}

int applier_flush(struct applier *applier, struct why *why)
{
	/* RocksDB does not survive every failed write: do not begin what has no room. */
	if (!applier->calls.has_room(applier->calls.context))
		return why_set(why, ERR_NO_SPACE, "the disk is too full to flush the state");
	rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(options, 1);
	char *error = NULL;
	rocksdb_flush(applier->db, options, &error);
	rocksdb_flushoptions_destroy(options);
	if (!error)
		return 0;
	int err = why_set(why, strstr(error, "No space") ? ERR_NO_SPACE : ERR_IO, "cannot flush the state: %s", error);
	rocksdb_free(error);
	return err;
}

void applier_close(struct applier *applier)
{
	if (!applier)
		return;
	if (applier->started) {
		pthread_mutex_lock(&applier->lock);
		applier->closing = true;
		pthread_cond_signal(&applier->wake);
		pthread_mutex_unlock(&applier->lock);
		pthread_join(applier->thread, NULL);
	}
	state_batch_close(applier->batch);
	if (applier->db) {
		applier_flush(applier, NULL); /* only shortens the next start */
		rocksdb_close(applier->db);
	}
	rocksdb_readoptions_destroy(applier->read_options);
	rocksdb_writeoptions_destroy(applier->write_options);
	rocksdb_options_destroy(applier->options);
	rocksdb_cache_destroy(applier->cache);
	pthread_mutex_destroy(&applier->lock);
	pthread_cond_destroy(&applier->wake);
	free(applier->outcomes);
	free(applier);
}

rocksdb_t *applier_db(struct applier *applier)
{
	return applier->db;
}

const struct applied_record *applier_record(const struct applier *applier, uint32_t group)
{
	return &applier->found[group];
}

uint64_t applier_applied(const struct applier *applier, uint32_t group)
{
	return atomic_load(&applier->applied[group]);
}

uint64_t applier_waiting(const struct applier *applier, uint32_t group)
{
	return atomic_load(&applier->waiting[group]);
}

uint64_t applier_cluster_changed(const struct applier *applier)
{
	return atomic_load(&applier->cluster_changed);
}

uint64_t applier_commands(const struct applier *applier)
{
	return atomic_load(&applier->commands);
}

int64_t applier_leader_ms(const struct applier *applier, uint32_t group)
{
	return atomic_load(&applier->leader_ms[group]);
}

uint64_t applier_ids_dropped_hour(const struct applier *applier, uint32_t group)
{
	return atomic_load(&applier->ids_dropped_hour[group]);
}

uint32_t applier_group_level(const struct applier *applier, uint32_t group)
{
	return (uint32_t)atomic_load(&applier->feature_level[group]);
}

uint32_t applier_feature_level(const struct applier *applier)
{
	uint32_t highest = 0;
	for (uint32_t group = 0; group < GROUPS_MAX; group++) {
		uint32_t level = applier_group_level(applier, group);
		highest = level > highest ? level : highest;
	}
	return highest;
}
