#include "replication/placement.h"

#include "schemas/error.h"

#include <limits.h>
#include <xxhash.h>

enum { FRACTION_BITS = 32 };

/* -log2((draw + 1) / 2^64) with FRACTION_BITS binary places, rounded up: each squaring of the mantissa brings out one. */
static uint64_t negative_log2(uint64_t draw)
{
	if (draw == UINT64_MAX)
		return 1;
	uint64_t value = draw + 1;
	unsigned top = 63u - (unsigned)__builtin_clzll(value);
	uint64_t mantissa = value << (63 - top), fraction = 0; /* in [1, 2) with 63 places */
	for (unsigned i = 0; i < FRACTION_BITS; i++) {
		unsigned __int128 square = (unsigned __int128)mantissa * mantissa;
		bool above = (square >> 127) & 1;
		mantissa = (uint64_t)(square >> (above ? 64 : 63));
		fraction = fraction << 1 | above;
	}
	return ((uint64_t)64 << FRACTION_BITS) - (((uint64_t)top << FRACTION_BITS) + fraction);
}

struct draw {
	const struct placement_node *node;
	uint64_t cost; /* divided by the weight it decides */
};

static bool is_before(const struct draw *a, const struct draw *b)
{
	/* Those without a weight come last, in an order of their own. */
	if ((a->node->weight == 0) != (b->node->weight == 0))
		return b->node->weight == 0;
	unsigned __int128 left = (unsigned __int128)a->cost * (b->node->weight ? b->node->weight : 1);
	unsigned __int128 right = (unsigned __int128)b->cost * (a->node->weight ? a->node->weight : 1);
	return left != right ? left < right : a->node->id < b->node->id;
}

static void draw_all(const struct placement *placement, const struct hash *xorb, struct draw out[CLUSTER_NODES_MAX])
{
	for (size_t i = 0; i < placement->count; i++) {
		const struct placement_node *node = &placement->nodes[i];
		struct draw draw = { node, negative_log2(XXH3_64bits_withSeed(xorb->bytes, HASH_BYTES, node->id)) };
		size_t at = i;
		for (; at > 0 && is_before(&draw, &out[at - 1]); at--)
			out[at] = out[at - 1];
		out[at] = draw;
	}
}

static bool has_domain(const struct placement *placement, const uint64_t *chosen, size_t count, uint64_t domain)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < placement->count; k++)
			if (placement->nodes[k].id == chosen[i] && placement->nodes[k].domain == domain)
				return true;
	return false;
}

static size_t min_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t placement_order(const struct placement *placement, const struct hash *xorb, unsigned copies, uint64_t out[CLUSTER_NODES_MAX], size_t *holders)
{
	struct draw draws[CLUSTER_NODES_MAX];
	bool chosen[CLUSTER_NODES_MAX] = { false };
	size_t count = 0, wanted = min_of(placement_most(placement), placement->eligible);
	draw_all(placement, xorb, draws);
	for (size_t i = 0; i < placement->count && count < wanted; i++) {
		if (draws[i].node->weight == 0 || has_domain(placement, out, count, draws[i].node->domain))
			continue;
		chosen[i] = true;
		out[count++] = draws[i].node->id;
	}
	for (size_t i = 0; i < placement->count; i++)
		if (!chosen[i])
			out[count++] = draws[i].node->id;
	*holders = placement->eligible ? min_of(copies, placement->eligible) : count;
	return count;
}

static unsigned eligible_domains(const struct placement *placement)
{
	unsigned domains = 0;
	for (size_t i = 0; i < placement->count; i++) {
		bool known = placement->nodes[i].weight == 0;
		for (size_t k = 0; k < i; k++)
			known = known || (placement->nodes[k].weight > 0 && placement->nodes[k].domain == placement->nodes[i].domain);
		domains += !known;
	}
	return domains;
}

static unsigned domain_load(const struct placement *placement, const unsigned *loads, uint64_t domain)
{
	unsigned load = 0;
	for (size_t i = 0; i < placement->count; i++)
		load += placement->nodes[i].domain == domain ? loads[i] : 0;
	return load;
}

int placement_parts(const struct placement *placement, const struct hash *parts, size_t count, unsigned parity, uint64_t *out)
{
	unsigned loads[CLUSTER_NODES_MAX] = { 0 };
	bool domains_first = (size_t)eligible_domains(placement) * parity >= count;
	if (placement->eligible == 0)
		return ERR_NOT_FOUND;
	for (size_t part = 0; part < count; part++) {
		struct draw draws[CLUSTER_NODES_MAX];
		size_t best = 0;
		uint64_t least = UINT64_MAX;
		draw_all(placement, &parts[part], draws);
		for (size_t i = 0; i < placement->count && draws[i].node->weight > 0; i++) {
			size_t at = (size_t)(draws[i].node - placement->nodes);
			uint64_t in_domain = domain_load(placement, loads, draws[i].node->domain), on_node = loads[at];
			uint64_t load = domains_first ? in_domain << 32 | on_node : on_node << 32 | in_domain;
			if (load < least) {
				least = load;
				best = at;
			}
		}
		loads[best]++;
		out[part] = placement->nodes[best].id;
	}
	return 0;
}

bool placement_holds_all(const struct placement *placement, uint64_t node)
{
	bool weighs = false;
	for (size_t i = 0; i < placement->count; i++)
		weighs = weighs || (placement->nodes[i].id == node && placement->nodes[i].weight > 0);
	return placement->eligible == 0 || (weighs && placement->eligible <= placement_least(placement));
}

unsigned placement_rank(const struct placement *placement, const struct hash *xorb, uint64_t node)
{
	uint64_t order[CLUSTER_NODES_MAX];
	size_t holders;
	if (placement_holds_all(placement, node))
		return 0;
	placement_order(placement, xorb, placement_most(placement), order, &holders);
	for (size_t i = 0; i < holders; i++)
		if (order[i] == node)
			return (unsigned)i + 1;
	return UINT_MAX;
}

bool placement_holds(const struct placement *placement, const struct hash *xorb, unsigned copies, uint64_t node)
{
	return placement_rank(placement, xorb, node) <= copies;
}

unsigned placement_domains(const struct placement *placement)
{
	unsigned domains = 0;
	for (size_t i = 0; i < placement->count; i++) {
		bool known = false;
		for (size_t k = 0; k < i; k++)
			known = known || placement->nodes[k].domain == placement->nodes[i].domain;
		domains += !known;
	}
	return domains;
}

void placement_of_view(struct placement *out, const struct cluster_view *view)
{
	*out = (struct placement){ .epoch = view->settings.epoch,
		.copies = view->settings.replication_factor ? view->settings.replication_factor : REPLICATION_FACTOR_DEFAULT };
	out->erasure_data = view->settings.erasure_data;
	out->erasure_parity = view->settings.erasure_parity;
	out->erasure_after_ms = view->settings.erasure_after_ms;
	if (view->settings.epoch == 0) /* it is not known yet, or nothing has changed since nodes place at all */
		out->copies = CLUSTER_NODES_MAX;
	for (size_t i = 0; i < view->count; i++) {
		const struct cluster_node *node = &view->nodes[i];
		if (node->role == NODE_REMOVED)
			continue;
		struct placement_node *to = &out->nodes[out->count++];
		size_t length = strnlen(node->domain, sizeof(node->domain));
		*to = (struct placement_node){ .id = node->node_id, .domain = length ? XXH3_64bits(node->domain, length) : node->node_id,
			.weight = node->drained || node->away ? 0 : node->weight ? node->weight : NODE_WEIGHT_DEFAULT };
		out->eligible += to->weight > 0;
	}
}
