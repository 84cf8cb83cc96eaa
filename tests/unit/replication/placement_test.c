/* Who should hold what: shares, movement, failure domains, and the same answer everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "replication/placement.h"
#include "schemas/error.h"

enum { XORBS = 30000 };

static struct hash xorb_of(uint64_t number)
{
	struct hash hash;
	for (size_t i = 0; i < HASH_BYTES; i++) {
		number = number * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		hash.bytes[i] = (uint8_t)(number >> 56);
	}
	return hash;
}

static struct placement of_nodes(size_t count, unsigned copies)
{
	struct placement placement = { .epoch = 1, .copies = copies, .count = count, .eligible = (unsigned)count };
	for (size_t i = 0; i < count; i++)
		placement.nodes[i] = (struct placement_node){ .id = 1000 + 77 * i, .domain = 1000 + 77 * i, .weight = 100 };
	return placement;
}

static size_t index_of(const struct placement *placement, uint64_t id)
{
	for (size_t i = 0; i < placement->count; i++)
		if (placement->nodes[i].id == id)
			return i;
	fail_msg("node %llu is not in the placement", (unsigned long long)id);
	return 0;
}

static void count_shares(const struct placement *placement, size_t shares[CLUSTER_NODES_MAX])
{
	memset(shares, 0, CLUSTER_NODES_MAX * sizeof(shares[0]));
	for (uint64_t i = 0; i < XORBS; i++) {
		struct hash xorb = xorb_of(i);
		uint64_t order[CLUSTER_NODES_MAX];
		size_t holders;
		assert_int_equal(placement_order(placement, &xorb, placement->copies, order, &holders), placement->count);
		for (size_t k = 0; k < holders; k++)
			shares[index_of(placement, order[k])]++;
	}
}

static void assert_near(size_t is, size_t wanted, unsigned percent)
{
	if (is * 100 < wanted * (100 - percent) || is * 100 > wanted * (100 + percent))
		fail_msg("%zu is not within %u %% of %zu", is, percent, wanted);
}

static void nodes_of_equal_weight_hold_equal_shares(void **state)
{
	(void)state;
	size_t shares[CLUSTER_NODES_MAX];
	struct placement placement = of_nodes(7, 3);
	count_shares(&placement, shares);
	for (size_t i = 0; i < 7; i++)
		assert_near(shares[i], (size_t)XORBS * 3 / 7, 4);
}

static void one_copy_is_shared_by_weight(void **state)
{
	(void)state;
	size_t shares[CLUSTER_NODES_MAX];
	struct placement placement = of_nodes(4, 1);
	placement.nodes[0].weight = 50;
	placement.nodes[1].weight = 100;
	placement.nodes[2].weight = 150;
	placement.nodes[3].weight = 300;
	count_shares(&placement, shares);
	for (size_t i = 0; i < 4; i++)
		assert_near(shares[i], (size_t)XORBS * placement.nodes[i].weight / 600, 5);
}

static void a_new_node_takes_only_its_own_share(void **state)
{
	(void)state;
	struct placement before = of_nodes(5, 3), after = of_nodes(6, 3);
	size_t moved = 0;
	for (uint64_t i = 0; i < XORBS; i++) {
		struct hash xorb = xorb_of(i);
		for (size_t k = 0; k < 5; k++) {
			bool was = placement_holds(&before, &xorb, before.copies, before.nodes[k].id), is = placement_holds(&after, &xorb, after.copies, before.nodes[k].id);
			assert_false(is && !was); /* nothing moves between those that were there */
			moved += was && !is;
		}
	}
	assert_near(moved, (size_t)XORBS * 3 / 6, 4);
}

static void of_a_node_that_goes_only_its_xorbs_move(void **state)
{
	(void)state;
	struct placement before = of_nodes(6, 3), after = of_nodes(6, 3);
	after.nodes[2].weight = 0;
	after.eligible = 5;
	for (uint64_t i = 0; i < XORBS; i++) {
		struct hash xorb = xorb_of(i);
		bool held = placement_holds(&before, &xorb, before.copies, before.nodes[2].id);
		size_t taken = 0;
		assert_false(placement_holds(&after, &xorb, after.copies, before.nodes[2].id));
		for (size_t k = 0; k < 6; k++)
			taken += !placement_holds(&before, &xorb, before.copies, before.nodes[k].id) && placement_holds(&after, &xorb, after.copies, before.nodes[k].id);
		assert_int_equal(taken, held);
	}
}

static void copies_lie_in_different_failure_domains(void **state)
{
	(void)state;
	struct placement placement = of_nodes(7, 3);
	for (size_t i = 0; i < 7; i++)
		placement.nodes[i].domain = i < 4 ? 1 : i < 6 ? 2 : 3; /* four nodes, two and one */
	assert_int_equal(placement_domains(&placement), 3);
	for (uint64_t i = 0; i < XORBS; i++) {
		struct hash xorb = xorb_of(i);
		uint64_t order[CLUSTER_NODES_MAX];
		size_t holders;
		placement_order(&placement, &xorb, placement.copies, order, &holders);
		assert_int_equal(holders, 3);
		unsigned seen = 0;
		for (size_t k = 0; k < holders; k++)
			seen |= 1u << placement.nodes[index_of(&placement, order[k])].domain;
		assert_int_equal(seen, 2 | 4 | 8);
	}
}

static void with_too_few_domains_there_are_as_many_copies_all_the_same(void **state)
{
	(void)state;
	struct placement placement = of_nodes(4, 3);
	for (size_t i = 0; i < 4; i++)
		placement.nodes[i].domain = i / 2;
	placement.nodes[3].weight = 0;
	placement.eligible = 3;
	for (uint64_t i = 0; i < 100; i++) {
		struct hash xorb = xorb_of(i);
		uint64_t order[CLUSTER_NODES_MAX];
		size_t holders;
		assert_int_equal(placement_order(&placement, &xorb, placement.copies, order, &holders), 4);
		assert_int_equal(holders, 3);
		assert_int_equal(order[3], placement.nodes[3].id);
	}
}

static void as_many_nodes_as_copies_are_a_full_mirror(void **state)
{
	(void)state;
	struct placement placement = of_nodes(3, 3), none = of_nodes(3, 3);
	struct hash xorb = xorb_of(5);
	for (size_t i = 0; i < 3; i++) {
		assert_true(placement_holds_all(&placement, placement.nodes[i].id));
		assert_true(placement_holds(&placement, &xorb, placement.copies, placement.nodes[i].id));
		none.nodes[i].weight = 0;
	}
	none.eligible = 0; /* nobody should hold anything: then everybody keeps what there is */
	assert_true(placement_holds(&none, &xorb, none.copies, none.nodes[1].id));
	assert_false(placement_holds_all(&placement, 5)); /* not one of them */
	assert_false(placement_holds(&placement, &xorb, placement.copies, 5));
}

/* What repositories want only says where the order is cut: who should hold it of n copies should of n + 1. */
static void more_copies_are_the_same_nodes_and_more(void **state)
{
	(void)state;
	struct placement placement = of_nodes(7, 3), wanted;
	for (size_t i = 0; i < 7; i++) {
		placement.nodes[i].domain = i < 4 ? 1 : i < 6 ? 2 : 3;
		placement.nodes[i].weight = i == 2 ? 0 : 100 + 30 * (unsigned)i;
	}
	placement.eligible = 6;
	wanted = placement;
	wanted.repos_least = 1;
	wanted.repos_most = 5;
	assert_true(placement_least(&placement) == 3 && placement_most(&placement) == 3);
	assert_true(placement_least(&wanted) == 1 && placement_most(&wanted) == 5);
	for (uint64_t i = 0; i < 2000; i++) {
		struct hash xorb = xorb_of(i);
		unsigned ranks = 0;
		for (size_t k = 0; k < 7; k++) {
			uint64_t node = placement.nodes[k].id;
			/* Of as many as the cluster makes, it is who it was before any repository said anything. */
			assert_true(placement_holds(&placement, &xorb, 3, node) == placement_holds(&wanted, &xorb, 3, node));
			unsigned rank = placement_rank(&wanted, &xorb, node), held = 0;
			for (unsigned copies = 1; copies <= 5; copies++) {
				bool holds = placement_holds(&wanted, &xorb, copies, node);
				assert_true(holds == (rank <= copies) && (holds || held == 0));
				held += holds;
			}
			ranks |= rank <= 5 ? 1u << rank : 0;
			assert_true(k != 2 || held == 0);
		}
		assert_int_equal(ranks, 0x3e); /* each place of the order is somebody's, once */
	}
}

static void a_mirror_is_none_when_a_repository_wants_less(void **state)
{
	(void)state;
	struct placement placement = of_nodes(3, 3);
	struct hash xorb = xorb_of(5);
	placement.repos_least = placement.repos_most = 2;
	unsigned holders = 0;
	for (size_t i = 0; i < 3; i++) {
		assert_false(placement_holds_all(&placement, placement.nodes[i].id));
		assert_true(placement_holds(&placement, &xorb, 3, placement.nodes[i].id));
		holders += placement_holds(&placement, &xorb, 2, placement.nodes[i].id);
	}
	assert_int_equal(holders, 2);
	placement.copies = 2; /* and where one wants more than the cluster makes, too */
	placement.repos_least = placement.repos_most = 3;
	assert_false(placement_holds_all(&placement, placement.nodes[0].id));
}

/* Nodes of other machines and versions must come to the same: what these say may never change. */
static void the_order_is_the_same_everywhere(void **state)
{
	(void)state;
	static const unsigned char wanted[4][6] = { { 2, 5, 3, 4, 1, 0 }, { 4, 5, 1, 2, 3, 0 }, { 4, 5, 0, 3, 1, 2 }, { 3, 1, 5, 4, 2, 0 } };
	struct placement placement = of_nodes(6, 3);
	for (unsigned i = 0; i < 6; i++)
		placement.nodes[i].weight = 60 + 40 * i;
	for (uint64_t i = 0; i < 4; i++) {
		struct hash xorb = xorb_of(i);
		uint64_t order[CLUSTER_NODES_MAX];
		size_t holders;
		placement_order(&placement, &xorb, placement.copies, order, &holders);
		for (size_t k = 0; k < 6; k++)
			assert_int_equal(index_of(&placement, order[k]), wanted[i][k]);
	}
}

static void the_order_does_not_depend_on_how_nodes_are_listed(void **state)
{
	(void)state;
	struct placement there = of_nodes(6, 3), back = there;
	for (size_t i = 0; i < 6; i++)
		back.nodes[i] = there.nodes[5 - i];
	for (uint64_t i = 0; i < 1000; i++) {
		struct hash xorb = xorb_of(i);
		uint64_t a[CLUSTER_NODES_MAX], b[CLUSTER_NODES_MAX];
		size_t holders;
		placement_order(&there, &xorb, there.copies, a, &holders);
		placement_order(&back, &xorb, back.copies, b, &holders);
		assert_memory_equal(a, b, 6 * sizeof(a[0]));
	}
}

static void a_view_says_who_weighs_what(void **state)
{
	(void)state;
	struct cluster_view *view = calloc(1, sizeof(*view));
	struct placement placement;
	assert_non_null(view);
	view->settings = (struct cluster_settings){ .epoch = 9, .replication_factor = 2 };
	view->count = 5;
	for (size_t i = 0; i < 5; i++)
		view->nodes[i] = (struct cluster_node){ .node_id = i + 1, .role = NODE_VOTER };
	view->nodes[0].role = NODE_REMOVED;
	view->nodes[1].drained = true;
	view->nodes[2].away = true;
	view->nodes[3].weight = 7;
	strcpy(view->nodes[3].domain, "rack");
	strcpy(view->nodes[4].domain, "rack");
	placement_of_view(&placement, view);
	free(view);
	assert_int_equal(placement.epoch, 9);
	assert_int_equal(placement.copies, 2);
	assert_int_equal(placement.count, 4);
	assert_int_equal(placement.eligible, 2);
	assert_int_equal(placement.nodes[2].weight, 7);
	assert_int_equal(placement.nodes[3].weight, NODE_WEIGHT_DEFAULT);
	assert_int_equal(placement_domains(&placement), 3);
}

/* ---- parts of coded xorbs ---- */

enum { PARTS = 6, PARITY = 2, CODED = 3000 };

static void place_parts(const struct placement *placement, uint64_t number, uint64_t out[PARTS])
{
	struct hash parts[PARTS];
	for (uint64_t i = 0; i < PARTS; i++)
		parts[i] = xorb_of(number * PARTS + i);
	assert_int_equal(placement_parts(placement, parts, PARTS, PARITY, out), 0);
}

static void parts_lie_on_different_nodes_in_equal_shares(void **state)
{
	(void)state;
	struct placement placement = of_nodes(9, 3);
	size_t shares[CLUSTER_NODES_MAX] = { 0 };
	for (uint64_t i = 0; i < CODED; i++) {
		uint64_t nodes[PARTS], seen = 0;
		place_parts(&placement, i, nodes);
		for (size_t k = 0; k < PARTS; k++) {
			size_t at = index_of(&placement, nodes[k]);
			assert_false(seen >> at & 1);
			seen |= UINT64_C(1) << at;
			shares[at]++;
		}
	}
	for (size_t i = 0; i < 9; i++)
		assert_near(shares[i], (size_t)CODED * PARTS / 9, 5);
}

static void with_fewer_nodes_none_has_more_parts_than_it_must(void **state)
{
	(void)state;
	for (size_t nodes = 1; nodes < PARTS; nodes++) {
		struct placement placement = of_nodes(nodes, 3);
		for (uint64_t i = 0; i < 300; i++) {
			uint64_t out[PARTS];
			size_t counts[PARTS] = { 0 };
			place_parts(&placement, i, out);
			for (size_t k = 0; k < PARTS; k++)
				assert_true(++counts[index_of(&placement, out[k])] <= (PARTS + nodes - 1) / nodes);
		}
	}
	struct placement nobody = of_nodes(3, 3);
	struct hash part = xorb_of(1);
	uint64_t out[1];
	for (size_t i = 0; i < 3; i++)
		nobody.nodes[i].weight = 0;
	nobody.eligible = 0;
	assert_int_equal(placement_parts(&nobody, &part, 1, PARITY, out), ERR_NOT_FOUND);
}

static void no_failure_domain_has_more_parts_than_may_be_lost(void **state)
{
	(void)state;
	struct placement placement = of_nodes(7, 3);
	for (size_t i = 0; i < 7; i++)
		placement.nodes[i].domain = i < 4 ? 1 : i < 6 ? 2 : 3; /* four nodes, two and one */
	for (uint64_t i = 0; i < CODED; i++) {
		uint64_t nodes[PARTS];
		size_t counts[4] = { 0 };
		place_parts(&placement, i, nodes);
		for (size_t k = 0; k < PARTS; k++)
			assert_true(++counts[placement.nodes[index_of(&placement, nodes[k])].domain] <= PARITY);
	}
	/* Two domains cannot bear the loss of one: then nodes count. */
	for (size_t i = 0; i < 7; i++)
		placement.nodes[i].domain = i == 0;
	for (uint64_t i = 0; i < CODED; i++) {
		uint64_t nodes[PARTS];
		size_t counts[7] = { 0 };
		place_parts(&placement, i, nodes);
		for (size_t k = 0; k < PARTS; k++)
			assert_int_equal(++counts[index_of(&placement, nodes[k])], 1);
	}
}

static void few_parts_move_when_a_node_comes_or_goes(void **state)
{
	(void)state;
	struct placement before = of_nodes(11, 3), after = of_nodes(12, 3);
	size_t moved = 0;
	for (uint64_t i = 0; i < CODED; i++) {
		uint64_t was[PARTS], is[PARTS];
		place_parts(&before, i, was);
		place_parts(&after, i, is);
		for (size_t k = 0; k < PARTS; k++)
			moved += was[k] != is[k];
	}
	/* A twelfth of the parts has to; a part that comes before another one may push it on. */
	size_t least = (size_t)CODED * PARTS / 12;
	if (moved < least * 95 / 100 || moved > least * 2)
		fail_msg("%zu of %d parts moved, %zu had to", moved, CODED * PARTS, least);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_of_equal_weight_hold_equal_shares),
		cmocka_unit_test(one_copy_is_shared_by_weight),
		cmocka_unit_test(a_new_node_takes_only_its_own_share),
		cmocka_unit_test(of_a_node_that_goes_only_its_xorbs_move),
		cmocka_unit_test(copies_lie_in_different_failure_domains),
		cmocka_unit_test(with_too_few_domains_there_are_as_many_copies_all_the_same),
		cmocka_unit_test(as_many_nodes_as_copies_are_a_full_mirror),
		cmocka_unit_test(more_copies_are_the_same_nodes_and_more),
		cmocka_unit_test(a_mirror_is_none_when_a_repository_wants_less),
		cmocka_unit_test(the_order_is_the_same_everywhere),
		cmocka_unit_test(the_order_does_not_depend_on_how_nodes_are_listed),
		cmocka_unit_test(a_view_says_who_weighs_what),
		cmocka_unit_test(parts_lie_on_different_nodes_in_equal_shares),
		cmocka_unit_test(with_fewer_nodes_none_has_more_parts_than_it_must),
		cmocka_unit_test(no_failure_domain_has_more_parts_than_may_be_lost),
		cmocka_unit_test(few_parts_move_when_a_node_comes_or_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
