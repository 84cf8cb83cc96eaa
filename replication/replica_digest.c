/* replica_digest.c - compares from time to time what this node knows of files and of codings with what each other node knows, and takes what was lost here.
 *
 * DESIGN. Every node follows the others' records from a place that it remembers (replica_follow.c). What it loses behind that place (a damaged block of a volume, an
 * index made anew from one, an older copy of the disk) is not told again. So it goes over the 65,536 ranges of file hashes (store.h) with each other member, 256 at a
 * time, each side scanning a 256th of its index for it; where digests differ it asks what the other knows there and looks each of it up. Nothing but digests goes over
 * the wire where both are the same (1 MiB a round), nothing is kept, and both sides pause as long as they worked. Each node looks for what it lacks itself; what the
 * other one lacks is the other one's round.
 *
 * What is missing here is not always lost: every node collects garbage for itself, so sets differ rightly. The rule (take_listed):
 *   - a file that a claim here names is taken: a collection drops claims before files;
 *   - a claim that is young (STORE_YOUNG_MS, less than half of the grace of garbage) and was not dropped here is taken, with its file. The store remembers what it dropped
 *     while that is young;
 *   - of any other claim the names are asked, as for a collection, by state that is not older than the question; what they need is taken. Once a day, or when an
 *     operator asks, since that goes over all revisions; nothing is asked when there is no such claim.
 * So nothing that is needed stays lost: what a name needs is taken at the latest within a day, what no name has had time to need is young. And nothing comes back for
 * ever: what is taken is needed, or was not dropped here, and once it is dropped it is old or remembered; only an index that was made anew may have forgotten that, once.
 * A file's record is asked for without its claims, so that no other claim comes back with it.
 * How a xorb was coded is taken when a file here needs the xorb: then no collection has dropped it here, or it would be needed again.
 *
 * What came within a moment is on its way: RECENT_MS.
 *
 * Bounds: one round at a time, LISTED_MAX of what differs looked at in it (the next round goes on there), OLD_MAX claims asked about. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/peer_calls.h"
#include "replication/replica_parts.h"
#include "schemas/volume_record.h"

enum { LOOK_MS = 500, RETRY_MS = 30 * 1000, PACE_MS_MAX = 2000, LISTED_MAX = 1 << 20, OLD_MAX = 1 << 16, LIST_BYTES_MAX = 256 << 10, PARTS = 256 };
#define RECENT_MS ((int64_t)5 * 1000)

struct old_claim {
	struct known_claim claim;
	bool needed;
};

struct round {
	struct replica *replica;
	struct peer *peer;
	struct peer_stream stream;
	struct take take;
	bool asks_names;
	uint64_t seed;
	struct compared mine, theirs;
	struct listed listed;
	uint64_t listed_count, ranges, taken, left;
	struct old_claim *old; /* OLD_MAX */
	size_t old_count;
	unsigned parts;        /* of PARTS that were compared */
};

static void sleep_ms(struct replica *replica, uint64_t ms)
{
	struct timespec until = replica_in_ms(ms);
	pthread_mutex_lock(&replica->lock);
	while (!atomic_load(&replica->stop) && pthread_cond_timedwait(&replica->wake, &replica->lock, &until) == 0)
		;
	pthread_mutex_unlock(&replica->lock);
}

/* Else nobody leans on codings. */
static bool is_coding(struct replica *replica)
{
	pthread_mutex_lock(&replica->lock);
	bool coding = replica->placement.erasure_data > 0;
	pthread_mutex_unlock(&replica->lock);
	return coding;
}

static bool goes_on(const struct round *round)
{
	return !atomic_load(&round->replica->stop) && !atomic_load(&round->peer->leave);
}

/* ---- serving ---- */

int replica_serve_compare(struct replica *replica, struct peer_stream *stream, struct span body, struct why *why)
{
	struct compare_call call;
	struct compared *compared = malloc(sizeof(*compared));
	struct buffer answer;
	uint64_t records;
	buffer_init(&answer, 2 * sizeof(*compared));
	int err = compared ? compare_call_decode(&call, body) : ERR_NO_MEMORY;
	if (err == 0)
		err = store_digest_ranges(replica->config.store, call.first, call.seed, compared->ranges, &records);
	if (err == 0) {
		compared_encode(&answer, compared);
		err = answer.failed ? ERR_NO_MEMORY : peer_stream_send(stream, FRAME_COMPARED, 0, buffer_span(&answer), why);
	}
	buffer_fini(&answer);
	free(compared);
	return err;
}

int replica_serve_list(struct replica *replica, struct peer_stream *stream, struct span body, struct why *why)
{
	struct store *store = replica->config.store;
	struct list_call call;
	struct listed *listed = malloc(sizeof(*listed));
	struct buffer answer;
	buffer_init(&answer, LIST_BYTES_MAX);
	int err = listed ? list_call_decode(&call, body) : ERR_NO_MEMORY;
	if (err == 0) {
		listed->kind = call.kind;
		err = call.kind == VOLUME_FILE
			? store_files_of_range(store, call.range, call.is_next ? &call.after.file : NULL, listed->files, LIST_ITEMS_MAX, &listed->count)
			: store_claims_of_range(store, call.range, call.is_next ? &call.after : NULL, listed->claims, LIST_ITEMS_MAX, &listed->count);
	}
	if (err == 0) {
		listed->more = listed->count == LIST_ITEMS_MAX;
		listed_encode(&answer, listed);
		err = answer.failed ? ERR_NO_MEMORY : peer_stream_send(stream, FRAME_LISTED, 0, buffer_span(&answer), why);
	}
	buffer_fini(&answer);
	free(listed);
	return err;
}

/* ---- taking ---- */

static void note_fd(struct replica *replica, int fd)
{
	pthread_mutex_lock(&replica->lock);
	replica->compare_fd = fd;
	pthread_mutex_unlock(&replica->lock);
}

static int open_stream(struct round *round, struct why *why)
{
	struct cluster_node node;
	pthread_mutex_lock(&round->replica->lock);
	node = round->peer->node;
	pthread_mutex_unlock(&round->replica->lock);
	int err = consensus_call(round->replica->config.consensus, &node, 0, &round->stream, why);
	if (err)
		return err;
	round->stream.wait_ms = REPLICA_FETCH_WAIT_MS;
	note_fd(round->replica, round->stream.fd);
	take_init(&round->take, round->replica, round->peer, &round->stream);
	return 0;
}

static void close_stream(struct round *round)
{
	note_fd(round->replica, -1);
	take_fini(&round->take);
	peer_stream_close(&round->stream);
}

/* Records into the run, which is empty before. ERR_NOT_FOUND, ERR_CORRUPT: the other node has no good ones. */
static int find_records(struct round *round, const struct find_call *call, bool *broken, struct why *why)
{
	struct records_end end;
	struct buffer body;
	buffer_init(&body, 64);
	find_call_encode(&body, call);
	int err = body.failed ? ERR_NO_MEMORY : peer_stream_send(&round->stream, FRAME_FIND, 0, buffer_span(&body), why);
	buffer_fini(&body);
	if (err == 0)
		err = records_receive(&round->stream, &round->take.run, &end, why);
	*broken = err != 0 && err != ERR_NOT_FOUND && err != ERR_CORRUPT;
	return err;
}

static int take_run_of(struct round *round, uint64_t records, struct why *why)
{
	int err = round->take.run.failed ? ERR_NO_MEMORY : take_run(&round->take, why);
	round->taken += err == 0 ? records : 0;
	return err;
}

/* A file that is not here, and `claim` on it (NULL: there is one here). What the other node has not either is left. */
static int take_file(struct round *round, const struct hash *file, const struct known_claim *claim, struct why *why)
{
	struct file_info info;
	uint8_t payload[CLAIM_RECORD_BYTES];
	bool broken = false, here = store_file_info(round->replica->config.store, file, &info) == 0;
	uint64_t length = info.length;
	buffer_clear(&round->take.run);
	if (!here) {
		struct file_record record;
		struct store_record told;
		struct find_call call = { .what = FIND_RECORD };
		memcpy(call.digest, file->bytes, HASH_BYTES);
		int err = find_records(round, &call, &broken, why);
		struct span run = buffer_span(&round->take.run);
		if (err)
			return broken ? err : 0;
		if (records_next(&run, &told) != 1 || told.kind != VOLUME_FILE || run.length || file_record_decode(&record, told.payload) != 0 ||
			!hash_equal(&record.file, file))
			return why_set(why, ERR_CORRUPT, "another file was answered than was asked for");
		length = record.length;
	}
	if (claim) {
		claim_record_encode(payload, &(struct claim_record){ claim->file, claim->owner, claim->claimed_ms, length });
		records_add(&round->take.run, VOLUME_CLAIM, span_of(payload, sizeof(payload)));
	}
	return take_run_of(round, (uint64_t)!here + (claim != NULL), why);
}

static int take_listed_file(struct round *round, const struct known_file *file, struct why *why)
{
	struct store *store = round->replica->config.store;
	struct file_info info;
	uint8_t payload[VERIFIED_RECORD_BYTES];
	int known = store_file_info(store, &file->file, &info);
	if (known == ERR_NOT_FOUND)
		return store_file_is_claimed(store, &file->file) ? take_file(round, &file->file, NULL, why) : 0;
	if (known || !file->verified || info.sha256_verified)
		return 0;
	buffer_clear(&round->take.run);
	verified_record_encode(payload, &(struct verified_record){ file->file, file->sha256 });
	records_add(&round->take.run, VOLUME_VERIFIED, span_of(payload, sizeof(payload)));
	return take_run_of(round, 1, why);
}

static int take_listed_claim(struct round *round, const struct known_claim *claim, struct why *why)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	enum claim_state state = store_claim_state(round->replica->config.store, claim);
	if (state == CLAIM_HERE || (int64_t)now.tv_sec * 1000 - claim->claimed_ms < RECENT_MS)
		return 0;
	if (state == CLAIM_MISSING)
		return take_file(round, &claim->file, claim, why);
	round->left++;
	if (round->asks_names && round->old_count < OLD_MAX)
		round->old[round->old_count++] = (struct old_claim){ .claim = *claim };
	return 0;
}

/* ---- comparing ---- */

static int list(struct round *round, const struct list_call *call, struct why *why)
{
	struct buffer body;
	struct peer_frame frame;
	buffer_init(&body, 256);
	list_call_encode(&body, call);
	int err = call_exchange(&round->stream, FRAME_LIST, &body, FRAME_LISTED, &frame, why);
	buffer_fini(&body);
	if (err == 0 && (listed_decode(&round->listed, frame.body) != 0 || round->listed.kind != call->kind))
		err = why_set(why, ERR_CORRUPT, "a list of what another node knows does not parse");
	return err;
}

/* The files of a range, or the claims. */
static int compare_kind(struct round *round, uint16_t range, uint8_t kind, struct why *why)
{
	struct list_call call = { .kind = kind, .range = range };
	int err = 0;
	for (bool more = true; more && err == 0 && goes_on(round) && round->listed_count < LISTED_MAX; call.is_next = true) {
		err = list(round, &call, why);
		struct listed *listed = &round->listed;
		more = err == 0 && listed->more && listed->count > 0;
		round->listed_count += err == 0 ? listed->count : 0;
		if (more && kind == VOLUME_FILE)
			call.after.file = listed->files[listed->count - 1].file;
		else if (more)
			call.after = listed->claims[listed->count - 1];
		for (size_t i = 0; err == 0 && i < listed->count && goes_on(round); i++)
			err = kind == VOLUME_FILE ? take_listed_file(round, &listed->files[i], why) : take_listed_claim(round, &listed->claims[i], why);
	}
	return err;
}

static bool is_lost_coding(struct store *store, const struct store_record *told)
{
	struct coded_record coded, known[CODINGS_MAX];
	if (told->kind != VOLUME_CODED || coded_record_decode(&coded, told->payload) != 0)
		return false;
	size_t count = store_codings(store, &coded.xorb, known);
	for (size_t i = 0; i < count; i++)
		if (memcmp(&known[i], &coded, sizeof(coded)) == 0)
			return false;
	return count < CODINGS_MAX && store_files_of_xorb(store, &coded.xorb, 1) > 0;
}

/* How the xorbs of a range were coded. */
static int compare_codings(struct round *round, uint16_t range, struct why *why)
{
	struct find_call call = { .what = FIND_RANGE_CODED, .digest = { (uint8_t)(range >> 8), (uint8_t)range } };
	struct buffer lost;
	struct store_record told;
	bool broken;
	int err = find_records(round, &call, &broken, why);
	struct span run = buffer_span(&round->take.run);
	uint64_t count = 0;
	int more = 0;
	if (err)
		return broken ? err : 0;
	buffer_init(&lost, RECORDS_BYTES_MAX);
	while ((more = records_next(&run, &told)) == 1)
		if (is_lost_coding(round->replica->config.store, &told)) {
			records_add(&lost, told.kind, told.payload);
			count++;
		}
	buffer_clear(&round->take.run);
	if (more || lost.failed || buffer_append(&round->take.run, lost.data, lost.length) != 0)
		err = why_set(why, more ? ERR_CORRUPT : ERR_NO_MEMORY, "codings of another node cannot be taken");
	buffer_fini(&lost);
	return err || count == 0 ? err : take_run_of(round, count, why);
}

static int compare_part(struct round *round, uint8_t first, struct why *why)
{
	struct compare_call call = { first, round->seed };
	struct buffer body;
	struct peer_frame frame;
	uint64_t records;
	buffer_init(&body, 64);
	compare_call_encode(&body, &call);
	int err = call_exchange(&round->stream, FRAME_COMPARE, &body, FRAME_COMPARED, &frame, why);
	buffer_fini(&body);
	if (err == 0 && compared_decode(&round->theirs, frame.body) != 0)
		err = why_set(why, ERR_CORRUPT, "digests of another node do not parse");
	if (err == 0 && (err = store_digest_ranges(round->replica->config.store, first, round->seed, round->mine.ranges, &records)) != 0)
		why_set(why, err, "the index cannot be read");
	for (unsigned i = 0; err == 0 && i < STORE_RANGES && goes_on(round); i++) {
		if (memcmp(&round->mine.ranges[i], &round->theirs.ranges[i], sizeof(round->mine.ranges[i])) == 0)
			continue;
		uint16_t range = (uint16_t)((unsigned)first << 8 | i);
		round->ranges++;
		err = compare_kind(round, range, VOLUME_FILE, why);
		if (err == 0)
			err = compare_kind(round, range, VOLUME_CLAIM, why);
		if (err == 0 && is_coding(round->replica))
			err = compare_codings(round, range, why);
	}
	return err;
}

static int compare_all(struct round *round, uint8_t from, struct why *why)
{
	int err = open_stream(round, why);
	if (err)
		return err;
	while (err == 0 && round->parts < PARTS && goes_on(round) && round->listed_count < LISTED_MAX) {
		uint64_t since_ms = replica_now_ms();
		err = compare_part(round, (uint8_t)(from + round->parts), why);
		uint64_t took_ms = replica_now_ms() - since_ms;
		if (took_ms > 0)
			sleep_ms(round->replica, took_ms < PACE_MS_MAX ? took_ms : PACE_MS_MAX);
		round->parts += err == 0 && goes_on(round);
	}
	close_stream(round);
	return err;
}

/* ---- asking the names ---- */

static int by_claim(const void *a, const void *b)
{
	const struct known_claim *left = &((const struct old_claim *)a)->claim, *right = &((const struct old_claim *)b)->claim;
	int order = memcmp(left->file.bytes, right->file.bytes, HASH_BYTES);
	return order ? order : memcmp(left->owner.bytes, right->owner.bytes, ENTITY_ID_BYTES);
}

static int note_needed(void *context, const struct entity_id *owner, const struct hash *file)
{
	struct round *round = context;
	struct old_claim key = { .claim = { .file = *file, .owner = *owner } };
	struct old_claim *found = bsearch(&key, round->old, round->old_count, sizeof(key), by_claim);
	if (found)
		found->needed = true;
	return goes_on(round) && !atomic_load(&round->replica->names_leave) ? 0 : ERR_CLOSED;
}

static int ask_names(struct round *round, struct why *why)
{
	struct replica *replica = round->replica;
	qsort(round->old, round->old_count, sizeof(*round->old), by_claim);
	pthread_mutex_lock(&replica->lock);
	store_roots names = replica->names;
	void *context = replica->names_context;
	replica->asking_names = names != NULL;
	pthread_mutex_unlock(&replica->lock);
	int err = names ? names(context, note_needed, round, why) : why_set(why, ERR_BUSY, "the names cannot be asked yet");
	pthread_mutex_lock(&replica->lock);
	replica->asking_names = false;
	pthread_cond_broadcast(&replica->landed);
	pthread_mutex_unlock(&replica->lock);
	return err;
}

void replica_set_names(struct replica *replica, store_roots names, void *context)
{
	if (!replica)
		return;
	atomic_store(&replica->names_leave, names == NULL);
	pthread_mutex_lock(&replica->lock);
	replica->names = names;
	replica->names_context = context;
	while (!names && replica->asking_names)
		pthread_cond_wait(&replica->landed, &replica->lock);
	pthread_mutex_unlock(&replica->lock);
}

/* Of what is old or was dropped here, what the names need. */
static int take_needed(struct round *round, struct why *why)
{
	size_t needed = 0;
	int err = ask_names(round, why);
	for (size_t i = 0; i < round->old_count && err == 0; i++)
		if (round->old[i].needed)
			round->old[needed++] = round->old[i];
	if (err || needed == 0)
		return err;
	err = open_stream(round, why);
	if (err)
		return err;
	for (size_t i = 0; i < needed && err == 0 && goes_on(round); i++) {
		if (store_claim_state(round->replica->config.store, &round->old[i].claim) == CLAIM_HERE)
			round->taken++; /* whoever went over the names has fetched it already */
		else
			err = take_file(round, &round->old[i].claim.file, &round->old[i].claim, why);
		round->left -= err == 0;
	}
	close_stream(round);
	return err;
}

/* ---- rounds ---- */

static uint64_t jittered(uint64_t ms)
{
	return ms - ms / 4 + randombytes_uniform((uint32_t)(ms / 2 + 1));
}

/* True when a round with it is due. Under the lock. */
static bool is_due(struct replica *replica, struct peer *peer)
{
	uint64_t now = replica_now_ms();
	if (!peer->compares) {
		peer->compares = true;
		peer->compare_number = replica->settings.walks;
		peer->compare_at_ms = now + REPLICA_COMPARE_FIRST_MS;
		peer->names_at_ms = now;
	}
	/* What is behind comes by following. */
	return peer->member && peer->connected && peer->current && (now >= peer->compare_at_ms || peer->compare_number != replica->settings.walks);
}

static void note_end(struct round *round, int err, uint64_t took_ms)
{
	struct replica *replica = round->replica;
	struct peer *peer = round->peer;
	bool whole = err == 0 && round->parts == PARTS;
	uint64_t now = replica_now_ms();
	pthread_mutex_lock(&replica->lock);
	replica->status.rounds += whole;
	replica->status.rounds_failed += !whole;
	replica->status.ranges_differed += round->ranges;
	replica->status.records_taken += round->taken;
	peer->compared_taken += round->taken;
	peer->compare_from = (uint8_t)(peer->compare_from + round->parts);
	peer->compare_at_ms = now + (err ? RETRY_MS : jittered(REPLICA_COMPARE_MS) + 20 * took_ms);
	if (round->asks_names)
		peer->names_at_ms = err ? now : now + REPLICA_NAMES_MS;
	if (err == 0) {
		peer->compared = true;
		peer->compared_at_ms = now;
		peer->compared_ranges = round->ranges;
		peer->compared_left = round->left;
	}
	pthread_mutex_unlock(&replica->lock);
}

static void compare_with(struct replica *replica, struct peer *peer)
{
	struct why why = { 0 };
	struct round *round = calloc(1, sizeof(*round));
	struct old_claim *old = malloc(OLD_MAX * sizeof(*old));
	uint64_t since_ms = replica_now_ms();
	if (!round || !old) {
		free(round);
		free(old);
		return;
	}
	*round = (struct round){ .replica = replica, .peer = peer, .old = old };
	randombytes_buf(&round->seed, sizeof(round->seed));
	pthread_mutex_lock(&replica->lock);
	uint8_t from = peer->compare_from;
	round->asks_names = since_ms >= peer->names_at_ms || peer->compare_number != replica->settings.walks;
	peer->compare_number = replica->settings.walks;
	pthread_mutex_unlock(&replica->lock);
	int err = compare_all(round, from, &why);
	if (err == 0 && round->old_count > 0 && goes_on(round))
		err = take_needed(round, &why);
	note_end(round, err, replica_now_ms() - since_ms);
	if (round->taken)
		fprintf(stderr, "cairn: replica: %llu records that were lost here were taken again from node %016llx\n", (unsigned long long)round->taken,
			(unsigned long long)peer->node.node_id);
	if (err && err != ERR_CLOSED && err != ERR_BUSY && goes_on(round))
		fprintf(stderr, "cairn: replica: comparing with node %016llx: %s\n", (unsigned long long)peer->node.node_id, why.text[0] ? why.text : err_name(err));
	free(old);
	free(round);
}

void *replica_compare(void *context)
{
	struct replica *replica = context;
	while (!atomic_load(&replica->stop)) {
		for (size_t i = 0; i < CLUSTER_NODES_MAX && !atomic_load(&replica->stop); i++) {
			pthread_mutex_lock(&replica->lock);
			struct peer *peer = i < replica->peers_count && is_due(replica, &replica->peers[i]) ? &replica->peers[i] : NULL;
			pthread_mutex_unlock(&replica->lock);
			if (peer)
				compare_with(replica, peer);
		}
		sleep_ms(replica, LOOK_MS);
	}
	return NULL;
}
