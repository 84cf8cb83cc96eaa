#include "replication/raft_engine.h"

#include "replication/node.h"

#include <assert.h>
#include <raft.h>
#include <stdlib.h>

/* The driver's rules were proven against this version. The library declares raft_version_number() but does not export it, so what is
 * loaded can only be held against the header by its soname. */
static_assert(RAFT_VERSION_NUMBER == 2201, "another version of the raft engine needs its defects looked up anew");

enum {
	HEARTBEAT_MS = 100,
	INFLIGHT_ENTRIES_MAX = 64,
	INSTALL_MS_MAX = 30 * 60 * 1000,
	CAPACITY_THRESHOLD_KIB = 16 << 10,
	ADDRESS_BYTES = 17,
};

static_assert((int)ENTRY_COMMANDS == (int)RAFT_COMMAND && (int)ENTRY_BARRIER == (int)RAFT_BARRIER &&
	(int)ENTRY_CONFIGURATION == (int)RAFT_CHANGE, "entry types are stored: they must not follow the library");

struct raft_engine {
	struct raft raft;
	uint64_t last_stored;    /* mirror of what was reported, for precondition checks */
	uint64_t snapshot_index;
	bool started;
	struct message *messages; /* of the last step */
	size_t messages_capacity;
};

/* The transport finds peers by id; the engine only wants distinct texts. Made for each message that comes, so not by printf. */
static void address_of(char address[ADDRESS_BYTES], uint64_t node_id)
{
	address[ADDRESS_BYTES - 1] = 0;
	for (unsigned i = ADDRESS_BYTES - 1; i-- > 0; node_id >>= 4)
		address[i] = "0123456789abcdef"[node_id & 15];
}

int raft_engine_open(struct raft_engine **out, uint64_t node_id, uint32_t seed, struct why *why)
{
	*out = NULL;
	if (node_id == 0)
		return why_set(why, ERR_INVALID, "a node id is not zero");
	struct raft_engine *engine = must_alloc(sizeof(*engine));
	struct raft *r = &engine->raft;
	char address[ADDRESS_BYTES];
	address_of(address, node_id);
	if (raft_init(r, NULL, NULL, node_id, address) != 0) {
		free(engine);
		return why_set(why, ERR_NO_MEMORY, "no memory for the raft engine");
	}
	r->tracer = NULL; /* the default one writes to stderr and is not ours */
	raft_seed(r, seed);
	raft_set_pre_vote(r, true);
	raft_set_election_timeout(r, ENGINE_ELECTION_MS);
	raft_set_heartbeat_timeout(r, HEARTBEAT_MS);
	raft_set_max_inflight_entries(r, INFLIGHT_ENTRIES_MAX);
	raft_set_install_snapshot_timeout(r, INSTALL_MS_MAX);
	raft_set_capacity_threshold(r, CAPACITY_THRESHOLD_KIB);
	*out = engine;
	return 0;
}

void raft_engine_close(struct raft_engine *engine)
{
	if (!engine)
		return;
	raft_close(&engine->raft, NULL);
	free(engine->messages);
	free(engine);
}

int raft_engine_configuration_of(struct buffer *out, const struct server *servers, size_t count)
{
	struct raft_configuration configuration;
	raft_configuration_init(&configuration);
	int rv = 0;
	for (size_t i = 0; i < count && rv == 0; i++) {
		char address[ADDRESS_BYTES];
		address_of(address, servers[i].id);
		rv = raft_configuration_add(&configuration, servers[i].id, address, servers[i].role == SERVER_VOTER ? RAFT_VOTER : RAFT_STANDBY);
	}
	struct raft_buffer encoded = { 0 };
	if (rv == 0)
		rv = raft_configuration_encode(&configuration, &encoded);
	if (rv == 0 && buffer_append(out, encoded.base, encoded.len) != 0)
		rv = RAFT_NOMEM;
	raft_free(encoded.base);
	raft_configuration_close(&configuration);
	return rv == 0 ? 0 : rv == RAFT_NOMEM ? ERR_NO_MEMORY : ERR_INVALID;
}

int raft_engine_configuration(struct buffer *out, const uint64_t *voters, size_t count)
{
	struct server servers[SERVERS_MAX];
	if (count > SERVERS_MAX)
		return ERR_INVALID;
	for (size_t i = 0; i < count; i++)
		servers[i] = (struct server){ voters[i], SERVER_VOTER };
	return raft_engine_configuration_of(out, servers, count);
}

static int decode(struct raft_configuration *out, struct span encoded)
{
	raft_configuration_init(out);
	if (encoded.length == 0)
		return ERR_CORRUPT;
	/* The decoder only reads, its type says otherwise. */
	void *copy = raft_malloc(encoded.length);
	if (!copy)
		return ERR_NO_MEMORY;
	memcpy(copy, encoded.data, encoded.length);
	struct raft_buffer buffer = { .base = copy, .len = encoded.length };
	int rv = raft_configuration_decode(&buffer, out);
	raft_free(copy);
	if (rv != 0) {
		raft_configuration_close(out);
		raft_configuration_init(out);
	}
	return rv == 0 ? 0 : ERR_CORRUPT;
}

bool raft_engine_sole_voter(struct span configuration, uint64_t node_id)
{
	struct raft_configuration decoded;
	if (decode(&decoded, configuration) != 0)
		return false;
	unsigned voters = 0;
	bool mine = false;
	for (unsigned i = 0; i < decoded.n; i++) {
		if (decoded.servers[i].role != RAFT_VOTER)
			continue;
		voters++;
		mine = mine || decoded.servers[i].id == node_id;
	}
	raft_configuration_close(&decoded);
	return mine && voters == 1;
}

static size_t copy_servers(struct server servers[SERVERS_MAX], const struct raft_configuration *configuration)
{
	size_t count = configuration->n > SERVERS_MAX ? SERVERS_MAX : configuration->n;
	for (size_t i = 0; i < count; i++)
		servers[i] = (struct server){ configuration->servers[i].id, configuration->servers[i].role == RAFT_VOTER ? SERVER_VOTER : SERVER_STANDBY };
	return count;
}

int raft_engine_servers(struct span configuration, struct server servers[SERVERS_MAX], size_t *count)
{
	struct raft_configuration decoded;
	if (decode(&decoded, configuration) != 0)
		return ERR_CORRUPT;
	int err = decoded.n > SERVERS_MAX ? ERR_CORRUPT : 0;
	*count = copy_servers(servers, &decoded);
	raft_configuration_close(&decoded);
	return err;
}

void engine_update_fini(struct engine_update *update)
{
	for (size_t i = 0; i < update->entries_count; i++)
		if (update->entries[i])
			log_entry_release(update->entries[i]);
	free(update->entries);
	*update = (struct engine_update){ 0 };
}

static void message_from_raft(struct message *out, const struct raft_message *in)
{
	*out = (struct message){ .peer = in->server_id };
	switch (in->type) {
	case RAFT_APPEND_ENTRIES:
		out->type = MESSAGE_APPEND;
		out->term = in->append_entries.term;
		out->append.previous_index = in->append_entries.prev_log_index;
		out->append.previous_term = in->append_entries.prev_log_term;
		out->append.commit = in->append_entries.leader_commit;
		out->append.count = in->append_entries.n_entries;
		break;
	case RAFT_APPEND_ENTRIES_RESULT:
		out->type = MESSAGE_APPEND_RESULT;
		out->term = in->append_entries_result.term;
		out->append_result.rejected = in->append_entries_result.rejected;
		out->append_result.last_index = in->append_entries_result.last_log_index;
		out->append_result.features = in->append_entries_result.features;
		out->append_result.capacity = in->append_entries_result.capacity;
		break;
	case RAFT_REQUEST_VOTE:
		out->type = MESSAGE_VOTE;
		out->term = in->request_vote.term;
		out->vote.last_index = in->request_vote.last_log_index;
		out->vote.last_term = in->request_vote.last_log_term;
		out->vote.disrupt_leader = in->request_vote.disrupt_leader;
		out->vote.pre_vote = in->request_vote.pre_vote;
		break;
	case RAFT_REQUEST_VOTE_RESULT:
		out->type = MESSAGE_VOTE_RESULT;
		out->term = in->request_vote_result.term;
		out->vote_result.granted = in->request_vote_result.vote_granted;
		out->vote_result.pre_vote = in->request_vote_result.pre_vote;
		out->vote_result.features = in->request_vote_result.features;
		out->vote_result.capacity = in->request_vote_result.capacity;
		break;
	case RAFT_INSTALL_SNAPSHOT:
		out->type = MESSAGE_INSTALL;
		out->term = in->install_snapshot.term;
		out->install.last_index = in->install_snapshot.last_index;
		out->install.last_term = in->install_snapshot.last_term;
		out->install.configuration_index = in->install_snapshot.conf_index;
		break;
	case RAFT_TIMEOUT_NOW:
		out->type = MESSAGE_TIMEOUT_NOW;
		out->term = in->timeout_now.term;
		out->timeout_now.last_index = in->timeout_now.last_log_index;
		out->timeout_now.last_term = in->timeout_now.last_log_term;
		break;
	}
}

/* What the engine wants stored of an append is what came in it. */
static struct log_entry *received_entry(const struct message *message, uint64_t index, uint64_t term)
{
	if (!message || message->type != MESSAGE_APPEND || index <= message->append.previous_index ||
		index - message->append.previous_index > message->append.count)
		return NULL;
	struct log_entry *entry = message->append.entries[index - message->append.previous_index - 1];
	assert(entry->index == index && entry->term == term);
	return entry;
}

/* What every event shares: step, then take over all that came out. */
static int step(struct raft_engine *engine, struct engine_clock clock, struct raft_event *event, const struct message *received, struct engine_update *update)
{
	struct raft_update out = { 0 };
	event->time = clock.now_ms;
	event->capacity = clock.capacity_kib;
	*update = (struct engine_update){ 0 };
	int rv = raft_step(&engine->raft, event, &out);
	switch (rv) {
	case 0:
		break;
	case RAFT_NOTLEADER:
	case RAFT_LEADERSHIPLOST:
		return ERR_CLOSED;
	case RAFT_NOSPACE:
		return ERR_NO_SPACE;
	case RAFT_NOTFOUND:
		return ERR_NOT_FOUND;
	case RAFT_BUSY:
	case RAFT_CANTCHANGE:
		return ERR_BUSY;
	case RAFT_MALFORMED:
	case RAFT_INVALID:
	case RAFT_BADID:
		return ERR_INVALID;
	default:
		return ERR_IO;
	}
	update->hard_state = (out.flags & (RAFT_UPDATE_CURRENT_TERM)) || (out.flags & (RAFT_UPDATE_VOTED_FOR));
	if ((out.flags & (RAFT_UPDATE_ENTRIES)) && out.entries.n > 0) {
		update->first_index = out.entries.index;
		update->entries_count = out.entries.n;
		update->entries = must_alloc(out.entries.n * sizeof(*update->entries));
		for (unsigned i = 0; i < out.entries.n; i++) {
			const struct raft_entry *entry = &out.entries.batch[i];
			struct log_entry *same = received_entry(received, out.entries.index + i, entry->term);
			update->entries[i] = same ? log_entry_hold(same) : log_entry_make((uint8_t)entry->type, out.entries.index + i, entry->term,
				span_of(entry->buf.base, entry->buf.len));
		}
		raft_free(out.entries.batch[0].batch);
	}
	update->install = (out.flags & (RAFT_UPDATE_SNAPSHOT)) != 0;
	if ((out.flags & (RAFT_UPDATE_MESSAGES)) && out.messages.n > 0) {
		update->messages_count = out.messages.n;
		if (out.messages.n > engine->messages_capacity) {
			engine->messages_capacity = out.messages.n;
			engine->messages = must_realloc(engine->messages, out.messages.n * sizeof(*engine->messages));
		}
		update->messages = engine->messages;
		for (unsigned i = 0; i < out.messages.n; i++)
			message_from_raft(&update->messages[i], &out.messages.batch[i]);
	}
	return 0;
}

/* Only terms and configurations matter to the engine at start. Configurations share one block, as it expects of a batch. */
static struct raft_entry *start_entries(const struct engine_start *start)
{
	size_t bytes = 1;
	for (size_t i = 0; i < start->configurations_count; i++)
		bytes += start->configurations[i]->length + 8;
	struct raft_entry *entries = raft_calloc(start->count, sizeof(*entries));
	uint8_t *block = raft_malloc(bytes);
	if (!entries || !block)
		node_stop("no memory for %zu log entries", start->count);
	size_t next = 0;
	for (size_t i = 0; i < start->count; i++) {
		entries[i] = (struct raft_entry){ .term = start->terms[i], .type = RAFT_COMMAND, .batch = block };
		if (next == start->configurations_count || start->configurations[next]->index != start->first_index + i)
			continue;
		const struct log_entry *configuration = start->configurations[next++];
		size_t offset = 0;
		for (size_t k = 0; k + 1 < next; k++)
			offset += (start->configurations[k]->length + 7) & ~(size_t)7;
		entries[i].type = RAFT_CHANGE;
		entries[i].buf = (struct raft_buffer){ .base = block + offset, .len = configuration->length };
		memcpy(block + offset, configuration->payload, configuration->length);
	}
	if (start->count == 0)
		raft_free(block);
	return entries;
}

int engine_step_start(struct raft_engine *engine, struct engine_clock clock, const struct engine_start *start, struct engine_update *update)
{
	*update = (struct engine_update){ 0 };
	bool has_snapshot = start->snapshot_index > 0;
	if (engine->started || start->term == 0 || start->first_index == 0 || start->first_index > start->snapshot_index + 1 ||
		(has_snapshot && start->snapshot_term == 0))
		return ERR_INVALID;
	if (!has_snapshot && start->count > 0 && (start->configurations_count == 0 || start->configurations[0]->index != 1))
		return ERR_INVALID;
	struct raft_snapshot_metadata metadata = { .index = start->snapshot_index, .term = start->snapshot_term,
		.configuration_index = start->configuration_index };
	if (has_snapshot && decode(&metadata.configuration, start->configuration) != 0)
		return ERR_CORRUPT;
	struct raft_entry *entries = start_entries(start);
	void *block = start->count ? entries[0].batch : NULL;
	struct raft_event event = { .type = RAFT_START };
	event.start.term = start->term;
	event.start.voted_for = start->voted_for;
	event.start.metadata = has_snapshot ? &metadata : NULL;
	event.start.start_index = start->first_index;
	event.start.entries = entries;
	event.start.n_entries = (unsigned)start->count;
	int err = step(engine, clock, &event, NULL, update);
	if (err)
		return err; /* the engine has freed the entries */
	raft_free(entries);
	raft_free(block);
	engine->started = true;
	engine->snapshot_index = start->snapshot_index;
	uint64_t last = start->first_index - 1 + start->count;
	engine->last_stored = last;
	return 0;
}

int engine_step_submit(struct raft_engine *engine, struct engine_clock clock, uint8_t type, struct span payload, struct engine_update *update)
{
	*update = (struct engine_update){ 0 };
	if (raft_state(&engine->raft) != RAFT_LEADER)
		return ERR_CLOSED;
	size_t length = payload.length ? payload.length : 8; /* the engine wants a batch even for an empty entry */
	void *block = raft_calloc(1, length);
	if (!block)
		return ERR_NO_MEMORY;
	if (payload.length)
		memcpy(block, payload.data, payload.length);
	struct raft_entry entry = { .term = engine->raft.current_term, .type = (enum raft_entry_type)type,
		.buf = { .base = block, .len = length }, .batch = block };
	struct raft_event event = { .type = RAFT_SUBMIT };
	event.submit.entries = &entry;
	event.submit.n = 1;
	int err = step(engine, clock, &event, NULL, update);
	if (err)
		raft_free(block); /* a refused submission stays ours */
	return err;
}

int engine_step_persisted(struct raft_engine *engine, struct engine_clock clock, uint64_t index, struct engine_update *update)
{
	*update = (struct engine_update){ 0 };
	enum raft_state state = raft_state(&engine->raft);
	if (index <= engine->raft.last_stored || index > raft_last_index(&engine->raft) || (state != RAFT_LEADER && state != RAFT_FOLLOWER))
		return ERR_INVALID;
	struct raft_event event = { .type = RAFT_PERSISTED_ENTRIES };
	event.persisted_entries.index = index;
	return step(engine, clock, &event, NULL, update);
}

int engine_step_configuration(struct raft_engine *engine, struct engine_clock clock, uint64_t index, struct span configuration, struct engine_update *update)
{
	*update = (struct engine_update){ 0 };
	struct raft_event event = { .type = RAFT_CONFIGURATION };
	event.configuration.index = index;
	if (index == 0 || decode(&event.configuration.conf, configuration) != 0)
		return ERR_CORRUPT;
	return step(engine, clock, &event, NULL, update); /* the engine owns the configuration from here */
}

int engine_step_snapshot(struct raft_engine *engine, struct engine_clock clock, uint64_t index, uint64_t term, uint64_t configuration_index,
	struct span configuration, unsigned trailing, struct engine_update *update)
{
	*update = (struct engine_update){ 0 };
	if (index == 0 || index <= engine->snapshot_index || index > engine->raft.last_stored)
		return ERR_INVALID;
	struct raft_event event = { .type = RAFT_SNAPSHOT };
	event.snapshot.metadata.index = index;
	event.snapshot.metadata.term = term;
	event.snapshot.metadata.configuration_index = configuration_index;
	event.snapshot.trailing = trailing;
	if (decode(&event.snapshot.metadata.configuration, configuration) != 0)
		return ERR_CORRUPT;
	int err = step(engine, clock, &event, NULL, update);
	if (err == 0)
		engine->snapshot_index = index;
	return err;
}

int engine_step_timeout(struct raft_engine *engine, struct engine_clock clock, struct engine_update *update)
{
	struct raft_event event = { .type = RAFT_TIMEOUT };
	return step(engine, clock, &event, NULL, update);
}

/* Received payloads share one block, set as the batch of each entry. The engine frees it unless it hands entries back to be persisted. */
static void received_entries(struct raft_entry *entries, const struct message *message)
{
	size_t bytes = 1;
	for (size_t i = 0; i < message->append.count; i++)
		bytes += (message->append.entries[i]->length + 7) & ~(size_t)7;
	uint8_t *block = raft_malloc(bytes);
	if (!block)
		node_stop("no memory for %zu bytes of received entries", bytes);
	size_t offset = 0;
	for (size_t i = 0; i < message->append.count; i++) {
		const struct log_entry *entry = message->append.entries[i];
		entries[i] = (struct raft_entry){ .term = entry->term, .type = (enum raft_entry_type)entry->type,
			.buf = { .base = block + offset, .len = entry->length }, .batch = block };
		memcpy(block + offset, entry->payload, entry->length);
		offset += (entry->length + 7) & ~(size_t)7;
	}
}

static int message_to_raft(struct raft_message *out, const struct message *in, struct raft_entry entries[RAFT_ENTRIES_MAX])
{
	*out = (struct raft_message){ .server_id = in->peer };
	switch (in->type) {
	case MESSAGE_APPEND:
		out->type = RAFT_APPEND_ENTRIES;
		if (in->append.count > RAFT_ENTRIES_MAX)
			return ERR_INVALID;
		if (in->append.count)
			received_entries(entries, in);
		out->append_entries = (struct raft_append_entries){ .term = in->term, .prev_log_index = in->append.previous_index,
			.prev_log_term = in->append.previous_term, .leader_commit = in->append.commit, .entries = in->append.count ? entries : NULL,
			.n_entries = (unsigned)in->append.count };
		return 0;
	case MESSAGE_APPEND_RESULT:
		out->type = RAFT_APPEND_ENTRIES_RESULT;
		out->append_entries_result = (struct raft_append_entries_result){ .version = 1, .term = in->term, .rejected = in->append_result.rejected,
			.last_log_index = in->append_result.last_index, .features = in->append_result.features, .capacity = in->append_result.capacity };
		return 0;
	case MESSAGE_VOTE:
		out->type = RAFT_REQUEST_VOTE;
		out->request_vote = (struct raft_request_vote){ .version = 2, .term = in->term, .candidate_id = in->peer,
			.last_log_index = in->vote.last_index, .last_log_term = in->vote.last_term, .disrupt_leader = in->vote.disrupt_leader,
			.pre_vote = in->vote.pre_vote };
		return 0;
	case MESSAGE_VOTE_RESULT:
		out->type = RAFT_REQUEST_VOTE_RESULT;
		out->request_vote_result = (struct raft_request_vote_result){ .version = 2, .term = in->term, .vote_granted = in->vote_result.granted,
			.pre_vote = in->vote_result.pre_vote, .features = in->vote_result.features, .capacity = in->vote_result.capacity };
		return 0;
	case MESSAGE_TIMEOUT_NOW:
		out->type = RAFT_TIMEOUT_NOW;
		out->timeout_now = (struct raft_timeout_now){ .term = in->term, .last_log_index = in->timeout_now.last_index,
			.last_log_term = in->timeout_now.last_term };
		return 0;
	case MESSAGE_INSTALL:
		out->type = RAFT_INSTALL_SNAPSHOT;
		out->install_snapshot = (struct raft_install_snapshot){ .term = in->term, .last_index = in->install.last_index,
			.last_term = in->install.last_term, .conf_index = in->install.configuration_index };
		return decode(&out->install_snapshot.conf, in->install.configuration);
	case MESSAGE_PROBE:
	case MESSAGE_PROBE_RESULT:
		break; /* the driver's */
	}
	return ERR_INVALID;
}

int engine_step_receive(struct raft_engine *engine, struct engine_clock clock, const struct message *message, struct engine_update *update)
{
	*update = (struct engine_update){ 0 };
	if (message->type == MESSAGE_INSTALL && engine->raft.snapshot.installing)
		return 0; /* it would be ignored, and its configuration lost */
	/* The engine asks the state of a candidate first of all. In any other it would take bytes of a pointer for it, and now enter the term of the answer and
	 * now not. */
	if (message->type == MESSAGE_VOTE_RESULT && raft_state(&engine->raft) != RAFT_CANDIDATE)
		return 0;
	/* The engine asks whoever is to lead next to begin once, at their next answer, and they ignore it as long as anything that is on its way to them is not
	 * stored: under load always. So they are asked with each of their answers, and the last of those says that all is. */
	if (message->type == MESSAGE_APPEND_RESULT && engine_transferring(engine))
		engine->raft.leader_state.transferring = false;
	struct raft_message raw;
	struct raft_entry entries[RAFT_ENTRIES_MAX];
	int err = message_to_raft(&raw, message, entries);
	if (err)
		return err;
	char address[ADDRESS_BYTES];
	address_of(address, message->peer);
	raw.server_address = address;
	struct raft_event event = { .type = RAFT_RECEIVE };
	event.receive.message = &raw;
	err = step(engine, clock, &event, message, update);
	/* The engine hands the configuration back with the wish to install, or frees it; the driver hands in a copy when the state is here. */
	if (message->type == MESSAGE_INSTALL && update->install)
		raft_configuration_close(&raw.install_snapshot.conf);
	return err;
}

int engine_step_installed(struct raft_engine *engine, struct engine_clock clock, uint64_t index, uint64_t term, uint64_t configuration_index,
	struct span configuration, struct engine_update *update)
{
	*update = (struct engine_update){ 0 };
	if (!engine->raft.snapshot.installing || raft_state(&engine->raft) != RAFT_FOLLOWER || index == 0 || term == 0)
		return ERR_INVALID;
	struct raft_event event = { .type = RAFT_PERSISTED_SNAPSHOT };
	event.persisted_snapshot.metadata.index = index;
	event.persisted_snapshot.metadata.term = term;
	event.persisted_snapshot.metadata.configuration_index = configuration_index;
	event.persisted_snapshot.last = true;
	if (decode(&event.persisted_snapshot.metadata.configuration, configuration) != 0)
		return ERR_CORRUPT;
	int err = step(engine, clock, &event, NULL, update); /* the engine owns the configuration from here */
	if (err == 0)
		engine->snapshot_index = index;
	return err;
}

int engine_step_transfer(struct raft_engine *engine, struct engine_clock clock, uint64_t server_id, struct engine_update *update)
{
	*update = (struct engine_update){ 0 };
	if (raft_state(&engine->raft) != RAFT_LEADER || engine->raft.leader_state.transferee != 0)
		return ERR_CLOSED;
	struct raft_event event = { .type = RAFT_TRANSFER };
	event.transfer.server_id = server_id;
	return step(engine, clock, &event, NULL, update);
}

uint64_t engine_term(const struct raft_engine *engine)
{
	return raft_current_term(&engine->raft);
}

uint64_t engine_voted_for(const struct raft_engine *engine)
{
	return raft_voted_for(&engine->raft);
}

uint64_t engine_commit(const struct raft_engine *engine)
{
	return raft_commit_index(&engine->raft);
}

uint64_t engine_timeout_ms(const struct raft_engine *engine)
{
	return raft_timeout(&engine->raft);
}

uint64_t engine_last_index(struct raft_engine *engine)
{
	return raft_last_index(&engine->raft);
}

enum raft_role engine_role(struct raft_engine *engine)
{
	switch (raft_state(&engine->raft)) {
	case RAFT_LEADER:
		return ROLE_LEADER;
	case RAFT_CANDIDATE:
		return ROLE_CANDIDATE;
	default:
		return ROLE_FOLLOWER;
	}
}

unsigned engine_voters(const struct raft_engine *engine)
{
	unsigned voters = 0;
	for (unsigned i = 0; i < engine->raft.configuration.n; i++)
		voters += engine->raft.configuration.servers[i].role == RAFT_VOTER;
	return voters;
}

uint64_t engine_leader(struct raft_engine *engine)
{
	switch (raft_state(&engine->raft)) {
	case RAFT_LEADER:
		return engine->raft.id;
	case RAFT_FOLLOWER:
		return engine->raft.follower_state.current_leader.id;
	default:
		return 0;
	}
}

size_t engine_servers(const struct raft_engine *engine, struct server servers[SERVERS_MAX])
{
	return copy_servers(servers, &engine->raft.configuration);
}

uint64_t engine_uncommitted_configuration(const struct raft_engine *engine)
{
	return engine->raft.configuration_uncommitted_index;
}

uint64_t engine_committed_configuration(const struct raft_engine *engine)
{
	return engine->raft.configuration_committed_index;
}

uint64_t engine_match(struct raft_engine *engine, uint64_t server_id)
{
	raft_index index = 0;
	if (raft_state(&engine->raft) != RAFT_LEADER || raft_match_index(&engine->raft, server_id, &index) != 0)
		return 0;
	return index;
}

bool engine_transferring(struct raft_engine *engine)
{
	return raft_state(&engine->raft) == RAFT_LEADER && engine->raft.leader_state.transferee != 0;
}

const char *engine_error(struct raft_engine *engine)
{
	return raft_errmsg(&engine->raft);
}
