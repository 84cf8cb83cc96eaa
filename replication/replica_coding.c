/* replica_coding.c - cold xorbs as k + m parts on as many nodes, any k of which bring one back, instead of whole copies.
 *
 * What a coding is: store/coded.h. Its record is on every node, as that of a file is; the parts lie where placement_parts says. The first node in the order of a
 * xorb cuts it when it is cold: old enough, large enough, and wanted in no more copies than the parts bear losses. Then every node that has a whole copy gives it up, once all
 * parts are where they should be (replica_keepers, confirmed as for copies: replica_walk.c).
 *
 * A record that a node has lost it gets again by comparing what is known (replica_digest.c): a node without it would neither look after its parts nor keep them.
 *
 * Nobody gives up what another one leans on: whether a coding stays depends on the epoch and on its record alone, so nodes of one epoch that know the record agree on
 * it, and whoever is asked to confirm has the record. A coding stays while the setting is on and no node has to hold more than m parts. If it does not stay, whole
 * copies are wanted as of any other xorb, made of the parts, and parts are given up when all who should have a whole copy have it. Repositories that want more
 * copies than the parts bear losses get whole copies besides the parts.
 *
 * A reader's node gathers k parts and joins them. A part that no node has is made again of the whole, which is joined for it. */
#include <stdio.h>
#include <stdlib.h>

#include "replication/replica_parts.h"

enum { CODED_BODY_BYTES_MIN = 1 << 20, JOIN_TRIES = 3 };

static bool stays(const struct placement *placement, const struct coded_record *coded)
{
	return placement->erasure_data > 0 && placement->eligible * coded->m >= (unsigned)(coded->k + coded->m);
}

static size_t staying(struct replica *replica, const struct placement *placement, const struct hash *xorb, struct coded_record out[CODINGS_MAX])
{
	size_t count = store_codings(replica->config.store, xorb, out), left = 0;
	for (size_t i = 0; i < count; i++)
		if (stays(placement, &out[i]))
			out[left++] = out[i];
	return left;
}

static unsigned parts_of(const struct coded_record *coded)
{
	return (unsigned)(coded->k + coded->m);
}

static int place(const struct placement *placement, const struct coded_record *coded, uint64_t out[CODED_PARTS_MAX])
{
	return placement_parts(placement, coded->parts, parts_of(coded), coded->m, out);
}

static bool holds_part(const struct placement *placement, const struct coded_record *codings, size_t count, const struct hash *part, uint64_t node_id)
{
	uint64_t nodes[CODED_PARTS_MAX];
	for (size_t i = 0; i < count; i++)
		for (unsigned k = 0; k < parts_of(&codings[i]); k++)
			if (hash_equal(&codings[i].parts[k], part) && place(placement, &codings[i], nodes) == 0 && nodes[k] == node_id)
				return true;
	return false;
}

bool replica_coding_decides(struct replica *replica, const struct placement *placement, const struct hash *xorb, uint64_t node_id, bool *holds)
{
	struct coded_record codings[CODINGS_MAX];
	struct hash whole;
	if (!store_has_coded(replica->config.store))
		return false;
	if (store_xorb_of_part(replica->config.store, xorb, &whole) == 0) {
		size_t count = staying(replica, placement, &whole, codings);
		*holds = holds_part(placement, codings, count, xorb, node_id);
		return true;
	}
	*holds = false;
	return staying(replica, placement, xorb, codings) > 0 && replica_wanted(replica, placement, xorb) <= codings[0].m + 1u;
}

/* ------------------------------------------------------------------ who has to have what */

static size_t add_keeper(struct keeper *out, size_t count, const struct hash *xorb, uint64_t node_id)
{
	if (count < KEEPERS_MAX)
		out[count] = (struct keeper){ *xorb, node_id };
	return count + 1;
}

static size_t holders_of(struct replica *replica, const struct placement *placement, const struct hash *xorb, struct keeper *out)
{
	size_t count = 0;
	for (size_t i = 0; i < placement->count; i++)
		if (placement->nodes[i].weight > 0 && replica_holds(replica, placement, xorb, placement->nodes[i].id))
			count = add_keeper(out, count, xorb, placement->nodes[i].id);
	return count;
}

size_t replica_keepers(struct replica *replica, const struct placement *placement, const struct hash *xorb, struct keeper out[KEEPERS_MAX])
{
	struct coded_record codings[CODINGS_MAX];
	struct hash whole = *xorb;
	uint64_t nodes[CODED_PARTS_MAX];
	size_t count = 0;
	bool is_part = store_xorb_of_part(replica->config.store, xorb, &whole) == 0;
	size_t stay = staying(replica, placement, &whole, codings);
	if (is_part && stay > 0)
		count = holders_of(replica, placement, xorb, out);
	else if (stay > 0 && place(placement, &codings[0], nodes) == 0)
		for (unsigned i = 0; i < parts_of(&codings[0]); i++)
			count = add_keeper(out, count, &codings[0].parts[i], nodes[i]);
	else if (!store_is_part(replica->config.store, &whole)) /* else a part of nothing that is known: the next garbage collection takes it */
		count = holders_of(replica, placement, &whole, out);
	return count <= KEEPERS_MAX ? count : 0;
}

size_t replica_wants(struct replica *replica, const struct placement *placement, const struct hash *xorb, struct hash out[WANTS_MAX])
{
	struct coded_record codings[CODINGS_MAX];
	struct store *store = replica->config.store;
	uint64_t nodes[CODED_PARTS_MAX];
	size_t count = 0, stay = staying(replica, placement, xorb, codings);
	for (size_t i = 0; i < stay; i++)
		for (unsigned k = 0; place(placement, &codings[i], nodes) == 0 && k < parts_of(&codings[i]); k++)
			if (nodes[k] == replica->node_id && !store_has_xorb(store, &codings[i].parts[k]))
				out[count++] = codings[i].parts[k];
	if (replica_holds(replica, placement, xorb, replica->node_id) && !store_has_xorb(store, xorb))
		out[count++] = *xorb;
	return count;
}

uint32_t replica_coded_length(struct replica *replica, const struct hash *whole, const struct hash *xorb)
{
	struct coded_record codings[CODINGS_MAX];
	size_t count = store_codings(replica->config.store, whole, codings);
	if (count > 0 && hash_equal(whole, xorb))
		return codings[0].body_length;
	for (size_t i = 0; i < count; i++)
		for (unsigned k = 0; k < parts_of(&codings[i]); k++)
			if (hash_equal(&codings[i].parts[k], xorb))
				return coded_part_length(codings[i].body_length, codings[i].k);
	return 0;
}

size_t replica_leftovers(struct replica *replica, const struct placement *placement, const struct hash *xorb, struct hash out[WANTS_MAX])
{
	struct coded_record codings[CODINGS_MAX];
	struct store *store = replica->config.store;
	size_t count = 0, known = store_codings(store, xorb, codings);
	if (known && store_has_xorb(store, xorb) && !replica_holds(replica, placement, xorb, replica->node_id))
		out[count++] = *xorb;
	for (size_t i = 0; i < known; i++)
		for (unsigned k = 0; k < parts_of(&codings[i]); k++)
			if (store_has_xorb(store, &codings[i].parts[k]) && !replica_holds(replica, placement, &codings[i].parts[k], replica->node_id))
				out[count++] = codings[i].parts[k];
	return count;
}

/* ------------------------------------------------------------------ cutting */

bool replica_is_cold(struct replica *replica, const struct placement *placement, const struct hash *xorb)
{
	struct coded_record codings[CODINGS_MAX];
	struct store *store = replica->config.store;
	struct xorb_info info;
	uint64_t order[CLUSTER_NODES_MAX];
	size_t holders;
	if (placement->erasure_data == 0 || placement->eligible < placement->erasure_data + placement->erasure_parity || !store_has_xorb(store, xorb) ||
		store_xorb_info(store, xorb, &info) != 0 || info.body_length < CODED_BODY_BYTES_MIN || info.age_ms < (int64_t)placement->erasure_after_ms)
		return false;
	if (store_codings(store, xorb, codings) > 0 || store_is_part(store, xorb) || placement_order(placement, xorb, placement->copies, order, &holders) == 0 ||
		order[0] != replica->node_id)
		return false;
	unsigned wanted = replica_wanted(replica, placement, xorb);
	return wanted >= 2 && wanted <= placement->erasure_parity + 1;
}

int replica_code(struct replica *replica, const struct placement *placement, const struct hash *xorb, uint64_t *bytes, struct why *why)
{
	int err = store_code_xorb(replica->config.store, xorb, placement->erasure_data, placement->erasure_parity, bytes, why);
	pthread_mutex_lock(&replica->lock);
	replica->status.coded_xorbs += err == 0;
	pthread_mutex_unlock(&replica->lock);
	return err;
}

/* ------------------------------------------------------------------ joining */

static unsigned parts_here(struct replica *replica, const struct coded_record *coded)
{
	unsigned count = 0;
	for (unsigned i = 0; i < parts_of(coded); i++)
		count += store_has_xorb(replica->config.store, &coded->parts[i]);
	return count;
}

/* Until k are here: first of the nodes that should have them, then of any. */
static int gather(struct replica *replica, const struct placement *placement, const struct coded_record *coded, struct why *why)
{
	uint64_t nodes[CODED_PARTS_MAX] = { 0 };
	unsigned have = parts_here(replica, coded);
	place(placement, coded, nodes);
	for (int any = 0; any < 2; any++)
		for (unsigned i = 0; i < parts_of(coded) && have < coded->k; i++)
			if (!store_has_xorb(replica->config.store, &coded->parts[i]))
				have += replica_fetch_part(replica, nodes[i], any, &coded->parts[i], NULL) == 0;
	return have >= coded->k ? 0 : why_set(why, ERR_NOT_FOUND, "only %u of %u parts of a xorb could be found", have, coded->k);
}

static int join(struct replica *replica, const struct placement *placement, const struct coded_record *coded, struct why *why)
{
	int err = ERR_NOT_FOUND;
	/* What was fetched may be given up again before it is read, or turn out to be damaged. */
	for (int tries = 0; tries < JOIN_TRIES && err == ERR_NOT_FOUND && !atomic_load(&replica->stop); tries++) {
		err = gather(replica, placement, coded, why);
		if (err)
			break;
		err = store_join_parts(replica->config.store, coded, why);
	}
	return err;
}

int replica_join_parts(struct replica *replica, const struct hash *xorb, bool only_staying, struct why *why)
{
	struct coded_record codings[CODINGS_MAX];
	struct placement placement;
	replica_placement(replica, &placement);
	size_t count = only_staying ? staying(replica, &placement, xorb, codings) : store_codings(replica->config.store, xorb, codings);
	int err = ERR_NOT_FOUND;
	for (size_t i = 0; i < count && err; i++)
		err = join(replica, &placement, &codings[i], why);
	return err;
}

uint64_t replica_part_holder(struct replica *replica, const struct hash *part)
{
	struct placement placement;
	replica_placement(replica, &placement);
	for (size_t i = 0; i < placement.count; i++)
		if (placement.nodes[i].weight > 0 && replica_holds(replica, &placement, part, placement.nodes[i].id))
			return placement.nodes[i].id;
	return 0;
}

static bool number_of(const struct coded_record *coded, const struct hash *part, unsigned *out)
{
	for (*out = 0; *out < parts_of(coded); ++*out)
		if (hash_equal(&coded->parts[*out], part))
			return true;
	return false;
}

int replica_remake_part(struct replica *replica, const struct hash *part, struct why *why)
{
	struct coded_record codings[CODINGS_MAX];
	struct placement placement;
	struct hash whole;
	replica_placement(replica, &placement);
	int err = store_xorb_of_part(replica->config.store, part, &whole);
	size_t count = err ? 0 : staying(replica, &placement, &whole, codings);
	if (count == 0 || !replica_holds(replica, &placement, part, replica->node_id))
		return ERR_NOT_FOUND;
	size_t coding = 0;
	unsigned number = 0;
	while (coding + 1 < count && !number_of(&codings[coding], part, &number))
		coding++;
	if (!number_of(&codings[coding], part, &number))
		return ERR_NOT_FOUND;
	err = ERR_NOT_FOUND;
	for (int tries = 0; tries < JOIN_TRIES && err == ERR_NOT_FOUND; tries++) { /* the whole may be given up again before it is read */
		err = store_has_xorb(replica->config.store, &whole) ? 0 : replica_fetch_from(replica, 0, &whole, why);
		if (err)
			break;
		err = store_make_part(replica->config.store, &codings[coding], number, why);
	}
	return err;
}

/* ------------------------------------------------------------------ how many losses are borne */

/* Parts that a node has, of those that it should, and keeps for as long as one that is so old. */
static unsigned parts_on(struct replica *replica, uint64_t node_id, const struct coded_record *coded, const uint64_t *nodes, uint64_t age_ms,
	struct keep_call *call, struct kept *kept)
{
	unsigned count = 0;
	bool self = node_id == replica->node_id;
	call->fetch = false;
	call->aged = age_ms != KEEP_ANY_AGE_MS;
	call->count = 0;
	for (unsigned i = 0; i < parts_of(coded); i++)
		if (nodes[i] == node_id) {
			call->ages_ms[call->count] = age_ms;
			call->xorbs[call->count++] = coded->parts[i];
		}
	int err = call->count == 0 ? ERR_NOT_FOUND : self ? store_make_as_young(replica->config.store, call->xorbs, call->ages_ms, call->count, NULL) :
		replica_keep(replica, node_id, call, REPLICA_KEEP_WAIT_MS, kept, NULL);
	if (err)
		return 0;
	for (size_t i = 0; i < call->count; i++)
		count += self ? store_has_xorb(replica->config.store, &call->xorbs[i]) : kept->lengths[i] > 0;
	return count;
}

static unsigned take_most(unsigned *counts, size_t count)
{
	size_t most = 0;
	for (size_t i = 1; i < count; i++)
		most = counts[i] > counts[most] ? i : most;
	unsigned taken = counts[most];
	counts[most] = 0;
	return taken;
}

bool replica_parts_are_safe(struct replica *replica, const struct placement *placement, const struct hash *xorb, uint64_t age_ms, unsigned losses)
{
	struct coded_record codings[CODINGS_MAX];
	uint64_t nodes[CODED_PARTS_MAX];
	unsigned counts[CLUSTER_NODES_MAX] = { 0 }, total = 0;
	if (!store_has_coded(replica->config.store) || staying(replica, placement, xorb, codings) == 0 || place(placement, &codings[0], nodes) != 0)
		return false;
	struct keep_call *call = malloc(sizeof(*call));
	struct kept *kept = malloc(sizeof(*kept));
	for (size_t i = 0; call && kept && i < placement->count; i++)
		total += counts[i] = parts_on(replica, placement->nodes[i].id, &codings[0], nodes, age_ms, call, kept);
	for (unsigned i = 0; i < losses; i++)
		total -= take_most(counts, placement->count);
	free(call);
	free(kept);
	return total >= codings[0].k;
}
