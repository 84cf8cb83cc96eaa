/* replica_settle.c - an acknowledgement waits until xorbs have enough copies, where not every node takes all of them.
 *
 * The records of this node's log behind `settled` are read again for the xorbs that they name; the nodes that should have each are asked, and get it if they
 * lack it (FRAME_KEEP). A node that does not answer in time is passed over for the next in the order of placement: its copy is one too many once the others
 * have theirs, and goes (replica_walk.c). Who has it as garbage already keeps it for as long as if it had been sent there; of records that only copied it
 * nobody does, or garbage would be young again wherever it is copied. So an upload needs as many nodes as wanted copies, whichever they are. One thread at a
 * time asks for what lies behind `settled`.
 *
 * Where a repository wants fewer copies than are waited for (repo_copies.h), a claim of another one on what is stored already may need more: the xorbs of
 * claimed files are asked for as new ones are, of nodes that have the claim's record. By it a node knows how many there have to be, and gives up none that
 * counts here.
 *
 * New records say nothing of xorbs that were stored before, here or elsewhere: a file is known as soon as the node that took it has told of it, perhaps
 * before anybody else has its bytes; and copies that a xorb had once may be gone, as each node collects garbage for itself. Who acknowledges what leans on
 * such a xorb asks for it first (replica_settle_xorbs). What is here is asked for once more after the claim was made, of nodes that have its record: it
 * stays there as long as the claim does, and need not be young. What is not here is asked for before that, to see whether anybody has it, and is to be
 * there still when the claim comes. */
#include <stdlib.h>

#include "replication/replica_parts.h"
#include "schemas/volume_record.h"

enum { NEW_MS = 60 * 60 * 1000, SETTLE_XORBS_MAX = 256, SETTLE_BYTES_MAX = 128 << 20, BATCH_FULL = 2 };

struct unsettled {
	struct hash xorb;
	uint64_t age_ms;  /* that it has at most where it is to be */
	unsigned needed;
	unsigned self;    /* copies that are here and count */
	unsigned copies;  /* found so far */
	size_t asked;     /* of the order, how many */
	uint64_t asks;    /* of whom it is to be asked now; 0: of nobody */
};

struct settle {
	struct replica *replica;
	struct placement placement;
	const struct record_place *end; /* of all */
	uint64_t until_ms;
	bool claims;           /* some want fewer copies than `needed`: claims count */
	bool after_records;    /* nodes are asked once they have the records before `end`: by a claim among them they keep what is old */
	unsigned needed, self; /* self: copies that this node's own counts for */
	size_t count;
	uint64_t bytes;
	struct unsettled xorbs[SETTLE_XORBS_MAX];
	struct keep_call call;
	struct kept kept;
	size_t places[KEEP_XORBS_MAX]; /* of the xorbs of the call */
};

static int settle_batch(struct settle *settle);

static void begin(struct settle *settle, struct replica *replica, const struct record_place *end, uint64_t until_ms)
{
	settle->replica = replica;
	settle->end = end;
	settle->until_ms = until_ms;
	settle->after_records = false;
	settle->count = 0;
	settle->bytes = 0;
}

static void take_needs(struct settle *settle)
{
	struct replica *replica = settle->replica;
	pthread_mutex_lock(&replica->lock);
	settle->placement = replica->placement;
	settle->needed = replica_copies_needed(replica);
	settle->self = replica_counts(replica, replica->node_id);
	settle->claims = placement_least(&settle->placement) < settle->needed;
	pthread_mutex_unlock(&replica->lock);
}

/* As if it had been sent now: since the last full hour, so that it is not written again with every question. */
static uint64_t age_of_new(void)
{
	return (uint64_t)(store_now_ms() % NEW_MS);
}

static uint64_t age_since(int64_t at_ms)
{
	int64_t now_ms = store_now_ms();
	return now_ms > at_ms ? (uint64_t)(now_ms - at_ms) : 0;
}

static void add(struct settle *settle, const struct hash *xorb, bool here, uint64_t age_ms)
{
	struct unsettled *to = &settle->xorbs[settle->count++];
	unsigned wanted = settle->claims ? replica_wanted(settle->replica, &settle->placement, xorb) : settle->needed, self = here ? settle->self : 0;
	unsigned needed = wanted < settle->needed ? wanted : settle->needed;
	*to = (struct unsettled){ .xorb = *xorb, .age_ms = age_ms, .needed = needed, .self = self, .copies = self };
	/* What is coded needs no whole copies; if parts are missing they count no more than nothing, and it gets them. */
	if (to->copies < to->needed && replica_parts_are_safe(settle->replica, &settle->placement, xorb, to->age_ms, to->needed - 1))
		to->self = to->copies = to->needed;
}

static int gather_claimed(void *context, const struct hash *xorb)
{
	struct settle *settle = context;
	for (size_t i = 0; i < settle->count; i++)
		if (hash_equal(&settle->xorbs[i].xorb, xorb))
			return 0;
	if (settle->count == SETTLE_XORBS_MAX) {
		int err = settle_batch(settle);
		if (err)
			return err;
		settle->count = 0;
		settle->bytes = 0;
	}
	/* Who is asked has the claim, which keeps it there. */
	add(settle, xorb, store_has_xorb(settle->replica->config.store, xorb), KEEP_ANY_AGE_MS);
	return 0;
}

static int gather_claim(struct settle *settle, struct span payload)
{
	struct claim_record claim;
	struct file_info info;
	struct store *store = settle->replica->config.store;
	if (claim_record_decode(&claim, payload) != 0 || store_file_info(store, &claim.file, &info) != 0)
		return 0; /* or it was collected */
	int err = store_xorbs_of_file(store, &claim.file, gather_claimed, settle, NULL);
	return err == ERR_NOT_FOUND || err == ERR_CORRUPT ? 0 : err;
}

/* It was sent again: others may have collected it. */
static int gather_touched(struct settle *settle, struct span payload)
{
	struct touch_record record;
	struct store *store = settle->replica->config.store;
	if (touch_record_decode(&record, payload) != 0 || !store_has_xorb(store, &record.xorb) || store_is_part(store, &record.xorb))
		return 0;
	if (settle->count == SETTLE_XORBS_MAX)
		return BATCH_FULL;
	add(settle, &record.xorb, true, age_since(record.touched_ms));
	return 0;
}

static int gather(void *context, uint8_t kind, struct span payload)
{
	struct settle *settle = context;
	struct xorb_record record;
	if (kind == VOLUME_TOUCH)
		return gather_touched(settle, payload);
	if (kind == VOLUME_CLAIM && settle->claims)
		return gather_claim(settle, payload);
	if (kind != VOLUME_XORB || xorb_record_decode(&record, payload) != 0 || coded_is_part(&record) || !store_has_xorb(settle->replica->config.store, &record.xorb))
		return 0; /* or it was given up, or collected; a part is made of what is acknowledged already */
	if (settle->count == SETTLE_XORBS_MAX || (settle->count > 0 && settle->bytes + record.body_length > SETTLE_BYTES_MAX))
		return BATCH_FULL;
	add(settle, &record.xorb, true, record.sent ? age_since(record.stored_ms) : KEEP_ANY_AGE_MS);
	settle->bytes += record.body_length;
	return 0;
}

/* 0: this node does not ask it now. */
static bool may_ask(struct replica *replica, uint64_t node_id, bool shunned_too)
{
	bool may = false;
	pthread_mutex_lock(&replica->lock);
	for (size_t i = 0; i < replica->peers_count; i++) {
		const struct peer *peer = &replica->peers[i];
		if (peer->node.node_id == node_id)
			may = peer->member && peer->connected && (shunned_too || peer->shunned_until_ms < replica_now_ms());
	}
	pthread_mutex_unlock(&replica->lock);
	return may;
}

void replica_shun(struct replica *replica, uint64_t node_id)
{
	pthread_mutex_lock(&replica->lock);
	for (size_t i = 0; i < replica->peers_count; i++)
		if (replica->peers[i].node.node_id == node_id)
			replica->peers[i].shunned_until_ms = replica_now_ms() + REPLICA_SHUN_MS;
	pthread_mutex_unlock(&replica->lock);
}

/* Chooses whom to ask next of one xorb. False: there is nobody left. */
static bool choose(struct settle *settle, struct unsettled *xorb, bool shunned_too)
{
	uint64_t order[CLUSTER_NODES_MAX];
	size_t holders, count = placement_order(&settle->placement, &xorb->xorb, settle->placement.copies, order, &holders);
	if (settle->placement.eligible)
		count = settle->placement.eligible;
	while (xorb->asked < count) {
		uint64_t node_id = order[xorb->asked++];
		if (node_id == settle->replica->node_id || !may_ask(settle->replica, node_id, shunned_too))
			continue;
		xorb->asks = node_id;
		return true;
	}
	return false;
}

static void ask_node(struct settle *settle, uint64_t node_id)
{
	settle->call.count = 0;
	settle->call.fetch = true;
	settle->call.aged = false;
	for (size_t i = 0; i < settle->count; i++)
		if (settle->xorbs[i].asks == node_id) {
			settle->places[settle->call.count] = i;
			settle->call.ages_ms[settle->call.count] = settle->xorbs[i].age_ms;
			settle->call.aged = settle->call.aged || settle->xorbs[i].age_ms != KEEP_ANY_AGE_MS;
			settle->call.xorbs[settle->call.count++] = settle->xorbs[i].xorb;
			settle->xorbs[i].asks = 0;
		}
	if (((settle->claims || settle->after_records) && !replica_has_records(settle->replica, node_id, settle->end, REPLICA_KEEP_WAIT_MS)) ||
		replica_keep(settle->replica, node_id, &settle->call, REPLICA_KEEP_WAIT_MS, &settle->kept, NULL) != 0) {
		replica_shun(settle->replica, node_id);
		return;
	}
	for (size_t i = 0; i < settle->call.count; i++)
		settle->xorbs[settle->places[i]].copies += settle->kept.lengths[i] > 0;
}

/* One more node for each xorb that needs one. False: all have enough, or nobody is left for those that have not. */
static bool ask_round(struct settle *settle, bool shunned_too)
{
	bool any = false;
	for (size_t i = 0; i < settle->count; i++)
		if (settle->xorbs[i].copies < settle->xorbs[i].needed)
			any = choose(settle, &settle->xorbs[i], shunned_too) || any;
	for (size_t i = 0; i < settle->count; i++)
		if (settle->xorbs[i].asks)
			ask_node(settle, settle->xorbs[i].asks);
	return any;
}

static int settle_batch(struct settle *settle)
{
	struct replica *replica = settle->replica;
	for (int shunned_too = 0; shunned_too < 2; shunned_too++) {
		while (replica_now_ms() < settle->until_ms && !atomic_load(&replica->stop) && ask_round(settle, shunned_too))
			;
		for (size_t i = 0; i < settle->count; i++)
			if (settle->xorbs[i].copies < settle->xorbs[i].needed)
				settle->xorbs[i].asked = 0, settle->xorbs[i].copies = settle->xorbs[i].self;
	}
	for (size_t i = 0; i < settle->count; i++)
		if (settle->xorbs[i].copies < settle->xorbs[i].needed)
			return ERR_BUSY;
	return 0;
}

bool replica_has_records(struct replica *replica, uint64_t node_id, const struct record_place *end, uint64_t wait_ms)
{
	struct timespec until = replica_in_ms(wait_ms);
	bool has = false, waits = true;
	pthread_mutex_lock(&replica->lock);
	while (!has && waits && !atomic_load(&replica->stop)) {
		for (size_t i = 0; i < replica->peers_count; i++) {
			const struct peer *peer = &replica->peers[i];
			has = has || (peer->node.node_id == node_id && peer->member && peer->acked && peer->streams > 0 && place_is_reached(&peer->acked_place, end));
		}
		waits = !has && pthread_cond_timedwait(&replica->acked, &replica->lock, &until) == 0;
	}
	pthread_mutex_unlock(&replica->lock);
	return has;
}

/* What is short of copies and not here is brought here, if that makes one more. False: it cannot be. */
static bool bring_short(struct settle *settle)
{
	for (size_t i = 0; i < settle->count; i++) {
		struct unsettled *xorb = &settle->xorbs[i];
		if (xorb->copies >= xorb->needed)
			continue;
		if (xorb->self || !settle->self || replica_fetch_from(settle->replica, 0, &xorb->xorb, NULL) != 0)
			return false;
		xorb->self = xorb->copies = settle->self;
	}
	return true;
}

/* By what an acknowledgement waits for, as many nodes as it needs have taken everything that each record before theirs needs. Under the lock. */
static bool is_mirror(const struct replica *replica)
{
	unsigned copies = replica_counts(replica, replica->node_id), least = placement_least(&replica->placement);
	if (replica->placement.eligible > least || least < replica_copies_needed(replica))
		return false;
	for (size_t i = 0; i < replica->peers_count; i++) {
		const struct peer *peer = &replica->peers[i];
		copies += peer->member && peer->acked && place_is_reached(&replica->settled, &peer->partial_until) && replica_counts(replica, peer->node.node_id);
	}
	return copies >= replica_copies_needed(replica);
}

bool replica_awaits_xorb(void *context, const struct record_place *place)
{
	struct replica *replica = context;
	pthread_mutex_lock(&replica->lock);
	bool awaits = (place && place_is_reached(place, &replica->settled)) || is_mirror(replica);
	pthread_mutex_unlock(&replica->lock);
	return awaits || consensus_alone(replica->config.consensus);
}

int replica_settle_xorbs(void *context, const struct hash *xorbs, size_t count, struct why *why)
{
	struct replica *replica = context;
	if (consensus_alone(replica->config.consensus))
		return 0;
	struct settle *settle = malloc(sizeof(*settle));
	if (!settle)
		return why_set(why, ERR_NO_MEMORY, "no memory to ask for copies");
	struct record_place end;
	store_position(replica->config.store, &end);
	begin(settle, replica, &end, replica_now_ms() + REPLICA_AWAIT_MS);
	settle->after_records = true;
	take_needs(settle);
	int err = 0;
	for (size_t at = 0; at < count && err == 0;) {
		for (settle->count = 0; at < count && settle->count < SETTLE_XORBS_MAX; at++) {
			bool here = store_has_xorb(replica->config.store, &xorbs[at]);
			add(settle, &xorbs[at], here, here ? KEEP_ANY_AGE_MS : age_of_new());
		}
		err = settle_batch(settle);
		if (err && bring_short(settle))
			err = settle_batch(settle);
	}
	free(settle);
	return err ? why_set(why, err, "A file that is known already is not on enough nodes yet; send it again") : 0;
}

int replica_settle(struct replica *replica, const struct record_place *end, uint64_t until_ms, struct why *why)
{
	struct settle *settle = malloc(sizeof(*settle));
	if (!settle)
		return why_set(why, ERR_NO_MEMORY, "no memory to ask for copies");
	begin(settle, replica, end, until_ms);
	pthread_mutex_lock(&replica->lock);
	struct record_place place = replica->settled;
	pthread_mutex_unlock(&replica->lock);
	int err = 0;
	while (err == 0 && !place_is_reached(&place, end)) {
		bool at_end;
		settle->count = 0;
		settle->bytes = 0;
		take_needs(settle);
		err = store_read_records(replica->config.store, &place, REPLICA_BATCH_RECORDS, REPLICA_BATCH_BYTES, gather, settle, &at_end, why);
		if (err == BATCH_FULL)
			err = 0;
		if (err == 0)
			err = settle_batch(settle);
		if (err)
			break;
		pthread_mutex_lock(&replica->lock);
		if (place_is_reached(&place, &replica->settled))
			replica->settled = place;
		replica->remarked = true;
		pthread_cond_broadcast(&replica->acked);
		pthread_mutex_unlock(&replica->lock);
	}
	free(settle);
	return err;
}
