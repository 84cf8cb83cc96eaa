#include "ops/cairn/held.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ops/cairn/table.h"

/* ", has fetched 1.0 GiB of 4.0 GiB, 20.0 MiB a second, 2 min 34 s left"; nothing when nothing is left. */
static void print_work(const char *what, const char *of, const json_t *work)
{
	uint64_t done_bytes = member_u64(work, "done_bytes"), total_bytes = member_u64(work, "total_bytes");
	if (done_bytes >= total_bytes)
		return;
	printf(", %s %s of %s%s", what, text_of_bytes(done_bytes), text_of_bytes(total_bytes), of);
	if (json_is_integer(json_object_get(work, "left_ms")))
		printf(", %s a second, %s left", text_of_bytes(member_u64(work, "bytes_per_s")), text_of_ms((int64_t)member_u64(work, "left_ms")));
}

static void print_surplus(const json_t *held, bool drained)
{
	uint64_t left = member_u64(held, "surplus"), speed = member_u64(held, "bytes_per_s");
	if (left)
		printf(", of which %s should be elsewhere%s", text_of_bytes(left), drained ? " (drained)" : "");
	else if (drained)
		printf(", is drained: it may be removed");
	if (member_u64(json_object_get(held, "giving_up"), "done_bytes"))
		print_work("has given up", "", json_object_get(held, "giving_up"));
	else if (left && speed && !json_object_get(held, "giving_up")) /* a node of an older version */
		printf(", about %llu s left", (unsigned long long)((left + speed - 1) / speed));
}

static void print_walk(const json_t *held)
{
	static const char *const passes[][2] = { { "count", "counts" }, { "fetch", "fetches" }, { "offer", "hands on" }, { "give_up", "gives up" } };
	bool counted = json_is_integer(json_object_get(held, "counted_ms"));
	if (json_is_true(json_object_get(held, "walking"))) {
		printf(", looks after them now");
		for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++)
			if (strcmp(member_text(held, "pass"), passes[i][0]) == 0)
				printf(" (%s, %llu %% gone over)", passes[i][1], (unsigned long long)member_u64(held, "pass_permille") / 10);
	} else if (counted && (member_u64(held, "surplus") || member_u64(held, "missing_xorbs"))) {
		printf(", as it counted %s ago", text_of_ms((int64_t)member_u64(held, "counted_ms")));
	}
}

static void print_node(const json_t *held, bool drained)
{
	uint64_t missing = member_u64(held, "missing_xorbs"), lost = member_u64(held, "lost_xorbs");
	printf(" holds %s%s", text_of_bytes(member_u64(held, "bytes")), json_object_get(held, "xorbs") ? "" : " (when it last looked)"); /* an older version */
	print_surplus(held, drained);
	if (missing)
		printf(", %llu xorbs are missing", (unsigned long long)missing);
	if (lost)
		printf(", %llu more are on no node", (unsigned long long)lost);
	print_work("has gone over", " that others have told", json_object_get(held, "catching_up"));
	print_work("has fetched", "", json_object_get(held, "fetching"));
	print_walk(held);
}

static void print_copies(const json_t *copies)
{
	unsigned long long factor = member_u64(copies, "replication_factor"), wanted = member_u64(copies, "replication_factor_set");
	if (wanted > factor)
		printf("%llu of %llu copies of everything: no more nodes may hold any\n", factor, wanted);
	else
		printf("%llu copies of everything\n", factor);
	if (*member_text(copies, "erasure") && strcmp(member_text(copies, "erasure"), "off") != 0)
		printf("but %s parts of what is older than %llu s\n", member_text(copies, "erasure"), (unsigned long long)member_u64(copies, "erasure_after_s"));
}

void print_held(const json_t *answer)
{
	const json_t *nodes = json_object_get(answer, "nodes"), *node;
	size_t i;
	bool lost = false;
	if (json_array_size(nodes) < 2)
		return;
	json_array_foreach(nodes, i, node) {
		const json_t *held = json_object_get(node, "held");
		bool away = json_is_true(json_object_get(node, "away"));
		if (strcmp(member_text(node, "role"), "removed") == 0)
			continue;
		printf("  %s", *member_text(node, "name") ? member_text(node, "name") : member_text(node, "id"));
		if (away)
			printf(" is away, others take over what it held");
		if (held)
			print_node(held, json_is_true(json_object_get(node, "drained")));
		else if (!away)
			printf(" does not say what it holds");
		puts("");
		lost = lost || member_u64(held, "lost_xorbs") > 0;
	}
	print_copies(json_object_get(answer, "copies"));
	if (lost)
		puts("What is on no node was lost with a node that is gone for good. Uploads that were never acknowledged leave such traces, which `cairn gc` on each node clears away\n"
		     "after its grace time; what is still lost then, a revision needs. Until then keep the disks of nodes that are gone: who has the bytes can push them again.");
}
