/* replica_walk.c - makes what a node holds what placement says: fetches what is missing, offers what others miss, and gives up what is one too many.
 *
 * A walk goes over all xorbs that files here need, and over all that are held here. It begins when the placement has changed, when an operator asks, and from
 * time to time. A copy is given up when all who should hold the xorb say, by the same epoch as this node's, that they do (they are asked to get it first if
 * they lack it): so whoever gives up a copy later in turn needs as many others. They have all records of this node, so what was sent here is no garbage
 * there. What is moved is paced so that it takes at most half of the time, and what is fetched, as the operator limits it.
 *
 * First it counts what is missing and what is one too many, in bytes, so that whoever asks sees how far it is (replica_care). Nodes that have a xorb tell how
 * long it is.
 *
 * A node that is the only one left walks too: it has nobody to ask, so what it does not have is lost, and files that need it are known to.
 *
 * A walk before this node has come level once with each member that it reaches has not seen all: it counts for nothing, and the next one comes soon.
 *
 * Every node knows the xorbs that files need, and fetches its own. A xorb that was acknowledged and is in no file yet is known only to those that have it:
 * after each change of the placement they offer it to the others that should. Not when it is old: else nodes that collect garbage at different times would
 * give it back to each other for ever.
 *
 * Where erasure coding is on, cold xorbs are cut into parts on the way, and parts and wholes are looked after as replica_coding.c says.
 *
 * What no member has is lost, not missing: a node that died for good took it along. Nobody waits for it, but it is looked for again, and files that are read
 * by it take the terms of nodes that know others. */
#include <stdio.h>
#include <stdlib.h>

#include "replication/replica_parts.h"

enum { WALK_BATCH = 256, GIVE_UP_BATCH = 8, GIVE_UP_WAIT_MS = 60 * 1000, RECORDS_WAIT_MS = 10 * 1000, LOOK_MS = 500, PACE_MS_MAX = 30 * 1000,
	PACE_SLICE_MS = 1000, SETTLE_MS = 20 * 1000, WALKS_PART = 20, LOST_FILES_MAX = 4, COMPACT_BYTES = 1 << 30 /* given up while others are still fetched */ };
#define OFFER_AGE_MS_MAX STORE_YOUNG_MS /* less than half of the grace time of garbage: a copy that was made of a copy is not offered when the first one goes */

struct walk {
	struct replica *replica;
	struct placement placement;
	struct replica_care care;
	struct keep_call call;
	struct kept kept;
	const struct hash *giving; /* those that confirm was asked about */
	size_t giving_count;
	struct check {
		size_t at;             /* in `giving` */
		uint64_t age_ms;
		struct keeper keeper;
	} checks[GIVE_UP_BATCH * KEEPERS_MAX];
	size_t checks_count;
	uint64_t dropped_bytes;    /* since volumes were compacted */
	uint64_t began_ms, moved_bytes;
	uint64_t missing_bytes;    /* as far as anybody has told their lengths */
	uint64_t came_bytes, gone_bytes; /* fetched, and given up, since it was told */
	bool gave_up;
	bool owes;                           /* not everybody has what was offered by this epoch */
	bool early;                          /* records that others have had for long were still to come */
	uint64_t silent[CLUSTER_NODES_MAX];  /* nodes that have not answered in this walk: nobody waits for one again */
	size_t silent_count;
};

/* False: the node stops, or the placement is another one now. */
static bool goes_on(struct walk *walk)
{
	struct replica *replica = walk->replica;
	pthread_mutex_lock(&replica->lock);
	bool same = replica->placement.epoch == walk->placement.epoch;
	pthread_mutex_unlock(&replica->lock);
	return same && !atomic_load(&replica->stop);
}

static void sleep_ms(struct replica *replica, uint64_t ms)
{
	struct timespec until = replica_in_ms(ms);
	pthread_mutex_lock(&replica->lock);
	while (!atomic_load(&replica->stop) && pthread_cond_timedwait(&replica->wake, &replica->lock, &until) == 0)
		;
	pthread_mutex_unlock(&replica->lock);
}

/* As long a pause as the work took, and so long that what was fetched is within the limit. */
static void pace(struct walk *walk, uint64_t since_ms, uint64_t fetched_bytes)
{
	uint64_t rate = walk->replica->config.bytes_per_s, took_ms = replica_now_ms() - since_ms;
	uint64_t due_ms = rate ? fetched_bytes * 1000 / rate : 0, left_ms = took_ms < PACE_MS_MAX ? took_ms : PACE_MS_MAX;
	if (due_ms > took_ms + left_ms)
		left_ms = due_ms - took_ms;
	for (uint64_t slice_ms; left_ms > 0 && goes_on(walk); left_ms -= slice_ms) {
		slice_ms = left_ms < PACE_SLICE_MS ? left_ms : PACE_SLICE_MS;
		sleep_ms(walk->replica, slice_ms);
	}
}

static void tell(struct walk *walk)
{
	struct replica *replica = walk->replica;
	uint64_t now_ms = replica_now_ms(), took_ms = now_ms - walk->began_ms;
	if (walk->moved_bytes)
		walk->care.bytes_per_s = walk->moved_bytes * 1000 / (took_ms ? took_ms : 1);
	pthread_mutex_lock(&replica->lock);
	replica->care = walk->care;
	backlog_note(&replica->fetching, walk->came_bytes, walk->missing_bytes, now_ms);
	backlog_note(&replica->giving_up, walk->gone_bytes, walk->care.surplus_bytes, now_ms);
	pthread_mutex_unlock(&replica->lock);
	walk->came_bytes = walk->gone_bytes = 0;
}

static void begin_pass(struct walk *walk, enum replica_pass pass)
{
	walk->care.pass = pass;
	walk->care.pass_permille = 0;
	tell(walk);
}

/* Xorbs are gone over in the order of their hashes, which are spread evenly. Told with what comes next. */
static void pass_is_at(struct walk *walk, const struct hash *xorb)
{
	walk->care.pass_permille = ((unsigned)xorb->bytes[0] << 8 | xorb->bytes[1]) * 1000 >> 16;
}

static uint64_t less(uint64_t from, uint64_t bytes)
{
	return bytes < from ? from - bytes : 0;
}

/* ---- what is in no file yet ---- */

static bool is_silent(const struct walk *walk, uint64_t node_id)
{
	bool silent = false;
	for (size_t i = 0; i < walk->silent_count; i++)
		silent = silent || walk->silent[i] == node_id;
	return silent;
}

static void note_silent(struct walk *walk, uint64_t node_id)
{
	if (!is_silent(walk, node_id) && walk->silent_count < CLUSTER_NODES_MAX)
		walk->silent[walk->silent_count++] = node_id;
}

/* Asks one node to have those that it should; false: it has not all of them, or goes by another epoch and may give them up again. */
static bool offer_to(struct walk *walk, uint64_t node_id, const struct hash *xorbs, size_t count)
{
	bool all = true;
	walk->call.count = 0;
	walk->call.fetch = true;
	walk->call.aged = false; /* else garbage would be young again wherever it is copied */
	for (size_t i = 0; i < count; i++)
		if (replica_holds(walk->replica, &walk->placement, &xorbs[i], node_id))
			walk->call.xorbs[walk->call.count++] = xorbs[i];
	if (walk->call.count == 0)
		return true;
	if (is_silent(walk, node_id))
		return false;
	if (replica_keep(walk->replica, node_id, &walk->call, GIVE_UP_WAIT_MS, &walk->kept, NULL) != 0) {
		note_silent(walk, node_id);
		return false;
	}
	all = walk->kept.epoch == walk->placement.epoch;
	for (size_t i = 0; i < walk->call.count; i++) /* or it went meanwhile: nobody wants it any more */
		all = all && (walk->kept.lengths[i] > 0 || !store_has_xorb(walk->replica->config.store, &walk->call.xorbs[i]));
	return all;
}

static void offer(struct walk *walk, const struct hash *xorbs, size_t count)
{
	uint64_t since_ms = replica_now_ms();
	for (size_t i = 0; i < walk->placement.count; i++)
		if (walk->placement.nodes[i].weight > 0 && walk->placement.nodes[i].id != walk->replica->node_id)
			walk->owes = !offer_to(walk, walk->placement.nodes[i].id, xorbs, count) || walk->owes;
	pace(walk, since_ms, 0);
}

static void offer_what_no_file_needs(struct walk *walk)
{
	struct held_xorb held[WALK_BATCH];
	struct hash offered[GIVE_UP_BATCH], after;
	struct store *store = walk->replica->config.store;
	size_t used = 0, count = store_held_xorbs(store, NULL, held, WALK_BATCH);
	walk->owes = false;
	for (; count > 0 && goes_on(walk); count = store_held_xorbs(store, &after, held, WALK_BATCH)) {
		after = held[count - 1].xorb;
		tell(walk);
		for (size_t i = 0; i < count && goes_on(walk); i++) {
			pass_is_at(walk, &held[i].xorb);
			if (held[i].is_part || held[i].age_ms > OFFER_AGE_MS_MAX || store_files_of_xorb(store, &held[i].xorb, 1) > 0)
				continue;
			offered[used++] = held[i].xorb;
			if (used == GIVE_UP_BATCH) {
				offer(walk, offered, used);
				used = 0;
			}
		}
	}
	if (used > 0 && goes_on(walk))
		offer(walk, offered, used);
}

/* ---- what is one too many ---- */

/* No record tells of parts: those of what no file needs are kept for as long as the whole here. */
static uint64_t keeper_age_ms(struct store *store, const struct hash *xorb, const struct keeper *keeper)
{
	struct xorb_info info;
	if (hash_equal(xorb, &keeper->xorb) || store_files_of_xorb(store, xorb, 1) > 0 || store_xorb_info(store, xorb, &info) != 0)
		return KEEP_ANY_AGE_MS;
	return info.age_ms > 0 ? (uint64_t)info.age_ms : 0; /* not, when the clock was set back */
}

/* Asks one node for what it should have; what it has not makes those that lean on it not `ok` any more. */
static void confirm_keeper(struct walk *walk, uint64_t node_id, const struct record_place *end, bool *ok)
{
	struct store *store = walk->replica->config.store;
	size_t places[GIVE_UP_BATCH * KEEPERS_MAX];
	bool self = node_id == walk->replica->node_id;
	walk->call.count = 0;
	walk->call.fetch = true;
	walk->call.aged = false;
	for (size_t i = 0; i < walk->checks_count; i++)
		if (ok[walk->checks[i].at] && walk->checks[i].keeper.node_id == node_id) {
			walk->call.aged = walk->call.aged || walk->checks[i].age_ms != KEEP_ANY_AGE_MS;
			walk->call.ages_ms[walk->call.count] = walk->checks[i].age_ms;
			places[walk->call.count] = walk->checks[i].at;
			walk->call.xorbs[walk->call.count++] = walk->checks[i].keeper.xorb;
		}
	if (walk->call.count == 0)
		return;
	bool answers = self ? store_make_as_young(store, walk->call.xorbs, walk->call.ages_ms, walk->call.count, NULL) == 0 :
		!is_silent(walk, node_id) && replica_has_records(walk->replica, node_id, end, RECORDS_WAIT_MS) &&
		replica_keep(walk->replica, node_id, &walk->call, GIVE_UP_WAIT_MS, &walk->kept, NULL) == 0 && walk->kept.epoch == walk->placement.epoch;
	if (!answers)
		note_silent(walk, node_id);
	for (size_t i = 0; i < walk->call.count; i++)
		ok[places[i]] = ok[places[i]] && answers && (self ? store_has_xorb(store, &walk->call.xorbs[i]) : walk->kept.lengths[i] > 0);
}

static void confirm(void *context, const struct hash *xorbs, size_t count, const struct record_place *end, bool *ok)
{
	struct walk *walk = context;
	struct keeper keepers[KEEPERS_MAX];
	walk->giving = xorbs;
	walk->giving_count = count;
	walk->checks_count = 0;
	for (size_t i = 0; i < count; i++) {
		size_t wanted = walk->placement.eligible > 0 && !replica_holds(walk->replica, &walk->placement, &xorbs[i], walk->replica->node_id) ?
			replica_keepers(walk->replica, &walk->placement, &xorbs[i], keepers) : 0;
		ok[i] = wanted > 0;
		for (size_t k = 0; k < wanted; k++)
			walk->checks[walk->checks_count++] = (struct check){ i, keeper_age_ms(walk->replica->config.store, &xorbs[i], &keepers[k]), keepers[k] };
	}
	for (size_t i = 0; i < walk->placement.count; i++)
		if (walk->placement.nodes[i].weight > 0)
			confirm_keeper(walk, walk->placement.nodes[i].id, end, ok);
}

static bool begin_giving(void *context)
{
	struct walk *walk = context;
	pthread_rwlock_wrlock(&walk->replica->placing);
	bool goes = goes_on(walk);
	/* A claim that has come meanwhile may want more copies, and its sender may count this one: told so before, by a claim that is seen now. */
	for (size_t i = 0; i < walk->giving_count && goes; i++)
		goes = !replica_holds(walk->replica, &walk->placement, &walk->giving[i], walk->replica->node_id);
	return goes;
}

static void end_giving(void *context)
{
	struct walk *walk = context;
	pthread_rwlock_unlock(&walk->replica->placing);
}

static void give_up(struct walk *walk, const struct hash *xorbs, size_t count)
{
	struct store_give_up how = { .context = walk, .confirm = confirm, .begin = begin_giving, .end = end_giving };
	uint64_t bytes = 0, since_ms = replica_now_ms();
	if (store_give_up(walk->replica->config.store, xorbs, count, &how, &bytes, NULL) == 0 && bytes > 0) {
		walk->gave_up = true;
		walk->dropped_bytes += bytes;
		walk->moved_bytes += bytes;
		walk->gone_bytes += bytes;
		walk->care.given_up_bytes += bytes;
		walk->care.surplus_bytes = less(walk->care.surplus_bytes, bytes);
	}
	tell(walk);
	pace(walk, since_ms, 0);
}

/* ---- what is missing, and what is cold ---- */

struct shortfall {
	uint64_t missing, lost;
};

/* Of what no node has: a part, or a whole by which a file is read here of which nobody knows other terms? */
static bool is_missed(struct replica *replica, const struct hash *xorb)
{
	struct store *store = replica->config.store;
	struct hash files[LOST_FILES_MAX], whole;
	enum store_asked asked;
	if (store_xorb_of_part(store, xorb, &whole) == 0)
		return true;
	store_avoid_xorb(store, xorb);
	size_t count = store_note_lost(store, xorb, files, LOST_FILES_MAX);
	for (size_t i = 0; i < count; i++)
		replica_fetch_file(replica, &files[i], &asked);
	return count > 0 && store_note_lost(store, xorb, files, LOST_FILES_MAX) > 0;
}

/* True when it came. */
static bool fetch_one(struct walk *walk, const struct hash *xorb, struct shortfall *shortfall)
{
	struct replica *replica = walk->replica;
	struct xorb_info info = { 0 };
	uint64_t since_ms = replica_now_ms();
	bool all = replica_reaches_all(replica);
	int err = replica_fetch_from(replica, 0, xorb, NULL);
	bool came = err == 0 && store_xorb_info(replica->config.store, xorb, &info) == 0;
	if (came) {
		walk->care.fetched_xorbs++;
		walk->care.fetched_bytes += info.body_length;
		walk->moved_bytes += info.body_length;
		walk->came_bytes += info.body_length;
		walk->missing_bytes = less(walk->missing_bytes, info.body_length);
		walk->care.missing_xorbs = less(walk->care.missing_xorbs, 1);
	} else if (err == ERR_NOT_FOUND && all && replica_reaches_all(replica)) {
		shortfall->lost += is_missed(replica, xorb);
	} else {
		shortfall->missing++;
	}
	tell(walk);
	pace(walk, since_ms, info.body_length);
	return came;
}

static void code_one(struct walk *walk, const struct hash *xorb)
{
	uint64_t since_ms = replica_now_ms(), bytes = 0;
	struct why why = { 0 };
	int err = replica_code(walk->replica, &walk->placement, xorb, &bytes, &why);
	if (err && err != ERR_NOT_FOUND)
		fprintf(stderr, "cairn: replica: a xorb could not be coded: %s\n", why.text);
	walk->moved_bytes += bytes;
	walk->care.coded_bytes += bytes;
	tell(walk);
	pace(walk, since_ms, 0);
}

/* What was made or fetched on the way to a coding goes at once: else a node that makes up for another one would need room for many times what it gets. */
static void clear_away(struct walk *walk, const struct hash *xorb)
{
	struct hash leftovers[WANTS_MAX];
	struct store_gc_report report;
	size_t count = replica_leftovers(walk->replica, &walk->placement, xorb, leftovers);
	for (size_t at = 0; at < count && goes_on(walk); at += GIVE_UP_BATCH)
		give_up(walk, leftovers + at, count - at < GIVE_UP_BATCH ? count - at : GIVE_UP_BATCH);
	if (walk->dropped_bytes >= COMPACT_BYTES && goes_on(walk)) {
		walk->dropped_bytes = 0;
		store_compact(walk->replica->config.store, &report, NULL);
	}
}

static void fetch_missing(struct walk *walk)
{
	struct replica *replica = walk->replica;
	struct store *store = replica->config.store;
	struct hash xorbs[WALK_BATCH], wants[WANTS_MAX], after;
	struct shortfall shortfall = { 0 };
	size_t count = store_needed_xorbs(store, NULL, xorbs, WALK_BATCH);
	for (; count > 0 && goes_on(walk); count = store_needed_xorbs(store, &after, xorbs, WALK_BATCH)) {
		for (size_t i = 0; i < count && goes_on(walk); i++) {
			bool here = store_has_xorb(store, &xorbs[i]), made = false;
			pass_is_at(walk, &xorbs[i]);
			size_t wanted = replica_wants(replica, &walk->placement, &xorbs[i], wants);
			for (size_t k = 0; k < wanted && goes_on(walk); k++)
				made = (fetch_one(walk, &wants[k], &shortfall) && !here) || made;
			if (wanted == 0 && goes_on(walk) && replica_is_cold(replica, &walk->placement, &xorbs[i])) {
				code_one(walk, &xorbs[i]);
				made = true;
			}
			if (made && goes_on(walk))
				clear_away(walk, &xorbs[i]);
		}
		after = xorbs[count - 1];
		tell(walk);
	}
	walk->care.missing_xorbs = shortfall.missing;
	walk->care.lost_xorbs = shortfall.lost;
	if (shortfall.missing == 0 && goes_on(walk))
		walk->missing_bytes = 0; /* the rest came by other ways, or is lost */
	tell(walk);
}

/* ---- the rest of what is one too many ---- */

/* A part of nothing that is known is garbage, or what it is a part of is about to be known. */
static bool is_surplus(struct walk *walk, const struct held_xorb *held)
{
	struct hash whole;
	if (held->is_part && store_xorb_of_part(walk->replica->config.store, &held->xorb, &whole) != 0)
		return false;
	return !replica_holds(walk->replica, &walk->placement, &held->xorb, walk->replica->node_id);
}

static void give_up_surplus(struct walk *walk)
{
	struct held_xorb held[WALK_BATCH];
	struct hash surplus[GIVE_UP_BATCH], after;
	struct store *store = walk->replica->config.store;
	size_t used = 0, count = store_held_xorbs(store, NULL, held, WALK_BATCH);
	for (; count > 0 && goes_on(walk); count = store_held_xorbs(store, &after, held, WALK_BATCH)) {
		after = held[count - 1].xorb;
		tell(walk);
		for (size_t i = 0; i < count && goes_on(walk); i++) {
			pass_is_at(walk, &held[i].xorb);
			if (!is_surplus(walk, &held[i]))
				continue;
			surplus[used++] = held[i].xorb;
			if (used == GIVE_UP_BATCH) {
				give_up(walk, surplus, used);
				used = 0;
			}
		}
	}
	if (used > 0 && goes_on(walk))
		give_up(walk, surplus, used);
}

/* ---- the whole ---- */

/* What is in walk->call is missing: how much is that? Who does not answer is not asked again in this walk. */
static void size_missing(struct walk *walk, bool deaf[CLUSTER_NODES_MAX])
{
	for (size_t i = 0; i < walk->placement.count && walk->call.count > 0 && goes_on(walk); i++) {
		uint64_t node_id = walk->placement.nodes[i].id;
		size_t left = 0;
		if (node_id == walk->replica->node_id || deaf[i])
			continue;
		deaf[i] = replica_keep(walk->replica, node_id, &walk->call, REPLICA_KEEP_WAIT_MS, &walk->kept, NULL) != 0;
		for (size_t k = 0; k < walk->call.count && !deaf[i]; k++)
			if (walk->kept.lengths[k] > 0)
				walk->missing_bytes += walk->kept.lengths[k];
			else
				walk->call.xorbs[left++] = walk->call.xorbs[k];
		walk->call.count = deaf[i] ? walk->call.count : left;
	}
	walk->call.count = 0;
}

static void count_missing(struct walk *walk)
{
	struct replica *replica = walk->replica;
	struct store *store = replica->config.store;
	struct hash xorbs[WALK_BATCH], wants[WANTS_MAX], after;
	bool deaf[CLUSTER_NODES_MAX] = { false };
	walk->missing_bytes = walk->care.missing_xorbs = 0;
	walk->call.count = 0;
	walk->call.fetch = walk->call.aged = false;
	size_t count = store_needed_xorbs(store, NULL, xorbs, WALK_BATCH);
	for (; count > 0 && goes_on(walk); count = store_needed_xorbs(store, &after, xorbs, WALK_BATCH)) {
		for (size_t i = 0; i < count; i++) {
			size_t wanted = replica_wants(replica, &walk->placement, &xorbs[i], wants);
			walk->care.missing_xorbs += wanted;
			for (size_t k = 0; k < wanted; k++) {
				uint32_t length = replica_coded_length(replica, &xorbs[i], &wants[k]);
				walk->missing_bytes += length;
				if (length == 0)
					walk->call.xorbs[walk->call.count++] = wants[k];
				if (walk->call.count == KEEP_XORBS_MAX)
					size_missing(walk, deaf);
			}
		}
		after = xorbs[count - 1];
	}
	size_missing(walk, deaf);
}

static void count_held(struct walk *walk)
{
	struct held_xorb held[WALK_BATCH];
	struct hash after;
	struct store *store = walk->replica->config.store;
	walk->care.part_bytes = walk->care.surplus_bytes = 0;
	size_t count = store_held_xorbs(store, NULL, held, WALK_BATCH);
	for (; count > 0 && goes_on(walk); count = store_held_xorbs(store, &after, held, WALK_BATCH)) {
		after = held[count - 1].xorb;
		for (size_t i = 0; i < count; i++) {
			walk->care.part_bytes += held[i].is_part ? held[i].body_length : 0;
			if (is_surplus(walk, &held[i]))
				walk->care.surplus_bytes += held[i].body_length;
		}
	}
}

static void note_counted(struct walk *walk)
{
	tell(walk);
	if (!goes_on(walk))
		return; /* not to its end */
	pthread_mutex_lock(&walk->replica->lock);
	walk->replica->counted_at_ms = replica_now_ms();
	pthread_mutex_unlock(&walk->replica->lock);
}

static void note_complete(struct walk *walk)
{
	struct replica *replica = walk->replica;
	bool complete = goes_on(walk) && walk->care.missing_xorbs == 0 && !walk->owes && !walk->early;
	pthread_mutex_lock(&replica->lock);
	replica->complete_epoch = complete ? walk->placement.epoch : 0;
	pthread_mutex_unlock(&replica->lock);
}

/* What an operator asked for is done, as far as it can be now. */
static void note_repaired(struct walk *walk)
{
	struct replica *replica = walk->replica;
	bool whole = goes_on(walk) && !walk->early;
	pthread_mutex_lock(&replica->lock);
	if (whole)
		replica->repaired_number = replica->walk_number;
	pthread_mutex_unlock(&replica->lock);
}

static void take_walk(struct walk *walk)
{
	struct store_gc_report report;
	walk->began_ms = replica_now_ms();
	walk->moved_bytes = 0;
	walk->gave_up = false;
	walk->dropped_bytes = 0;
	walk->silent_count = 0;
	walk->care.walking = true;
	begin_pass(walk, PASS_COUNT);
	count_held(walk);
	count_missing(walk);
	note_counted(walk);
	replica_settle_all(walk->replica, SETTLE_MS);
	begin_pass(walk, PASS_FETCH);
	fetch_missing(walk);
	begin_pass(walk, PASS_OFFER);
	if (walk->owes)
		offer_what_no_file_needs(walk);
	note_complete(walk);
	begin_pass(walk, PASS_GIVE_UP);
	give_up_surplus(walk);
	if (walk->gave_up && goes_on(walk))
		store_compact(walk->replica->config.store, &report, NULL);
	begin_pass(walk, PASS_COUNT);
	count_held(walk);
	walk->care.walking = false;
	walk->care.walks++;
	walk->care.pass = PASS_NONE;
	note_counted(walk);
	note_repaired(walk);
}

/* How long it rests after a walk. One that could not finish has mostly waited for others: it is tried again soon, if they are there. Under the lock. */
static uint64_t rest_ms(const struct walk *walk, bool all_are_here, uint64_t last_took_ms)
{
	const struct replica *replica = walk->replica;
	if (walk->care.surplus_bytes > 0 || walk->care.missing_xorbs > 0 || walk->early || (walk->owes && all_are_here))
		return REPLICA_RETRY_MS_MAX + last_took_ms;
	/* A mirror makes no copies that are one too many: nothing is to be found there unless something has happened. */
	bool mirror = replica->placement.eligible <= placement_least(&replica->placement);
	mirror = mirror && replica->placement.erasure_data == 0; /* where they are coded they grow cold by themselves */
	return mirror && walk->care.lost_xorbs == 0 ? UINT64_MAX / 2 : REPLICA_WALK_MS + WALKS_PART * last_took_ms;
}

/* There is nobody else who could have anything. Under the lock. */
static bool is_only_member(const struct replica *replica)
{
	return replica->members == 1 && replica->placement.count == 1 && replica->placement.nodes[0].id == replica->node_id;
}

/* True when it is time. What this node follows comes first: it brings most of what is missing. */
static bool is_due(struct walk *walk, uint64_t last_took_ms)
{
	struct replica *replica = walk->replica;
	uint64_t now = replica_now_ms();
	bool behind = false, early = false, all = replica_reaches_all(replica);
	pthread_mutex_lock(&replica->lock);
	for (size_t i = 0; i < replica->peers_count; i++) {
		const struct peer *peer = &replica->peers[i];
		behind = behind || (peer->member && peer->connected && !peer->current && peer->behind_bytes > REPLICA_FAR_BEHIND_BYTES);
		early = early || (peer->member && peer->connected && !peer->was_current);
	}
	bool only = is_only_member(replica), asked = replica->settings.walks != replica->walk_number;
	bool is_new = replica->placement.epoch != replica->walk_epoch || (only && walk->care.walks == 0); /* which may have no epoch yet */
	bool rested = now - replica->walked_at_ms >= rest_ms(walk, all, last_took_ms);
	bool due = (only || (replica->members > 1 && replica->placement.epoch > 0)) && !behind && (is_new || asked || rested);
	if (due) {
		replica->walk_epoch = replica->placement.epoch;
		replica->walk_number = replica->settings.walks;
		walk->placement = replica->placement;
		walk->owes = walk->owes || is_new || asked;
		walk->early = early;
	}
	pthread_mutex_unlock(&replica->lock);
	return due;
}

void *replica_walk(void *context)
{
	struct replica *replica = context;
	struct walk *walk = calloc(1, sizeof(*walk));
	uint64_t took_ms = 0;
	if (!walk)
		return NULL;
	walk->replica = replica;
	while (!atomic_load(&replica->stop)) {
		if (is_due(walk, took_ms)) {
			uint64_t since_ms = replica_now_ms();
			take_walk(walk);
			replica->walked_at_ms = replica_now_ms();
			took_ms = replica->walked_at_ms - since_ms;
		}
		replica_say_who_is_away(replica);
		sleep_ms(replica, LOOK_MS);
	}
	free(walk);
	return NULL;
}
