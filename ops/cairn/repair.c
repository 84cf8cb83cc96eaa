/* repair.c - `cairn cluster repair`: every node looks after its copies now, and whoever gave the command may watch until they have. The repair goes on when nobody
 * watches any more. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/held.h"
#include "ops/cairn/progress.h"
#include "ops/cairn/table.h"

enum { POLL_MS_FIRST = 100, POLL_MS_MAX = 1000 };

/* Bytes that a node has yet to move or to go over. */
static uint64_t left_bytes(const json_t *held)
{
	static const char *const works[] = { "catching_up", "fetching", "giving_up" };
	uint64_t left = 0;
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		const json_t *work = json_object_get(held, works[i]);
		left += member_u64(work, "total_bytes") - member_u64(work, "done_bytes");
	}
	return left;
}

static bool is_reached(const json_t *node)
{
	return json_is_true(json_object_get(node, "self")) || json_is_true(json_object_get(node, "connected"));
}

static bool is_removed(const json_t *node)
{
	return strcmp(member_text(node, "role"), "removed") == 0;
}

/* Nodes of an older version do not count requests. */
static bool has_repaired(const json_t *node, uint64_t number)
{
	const json_t *held = json_object_get(node, "held");
	if (!held)
		return json_is_true(json_object_get(node, "self")); /* a hub that is no cluster has nothing to look after */
	if (json_is_integer(json_object_get(held, "repair")))
		return member_u64(held, "repair") >= number;
	return json_is_true(json_object_get(held, "complete")) && !json_is_true(json_object_get(held, "walking"));
}

/* All nodes that are reached have done it? *left: of all. */
static bool all_have_repaired(const json_t *answer, uint64_t number, uint64_t *left)
{
	bool all = true;
	size_t i;
	const json_t *node;
	*left = 0;
	json_array_foreach(json_object_get(answer, "nodes"), i, node) {
		*left += left_bytes(json_object_get(node, "held"));
		all = all && (is_removed(node) || !is_reached(node) || has_repaired(node, number));
	}
	return all;
}

/* The status when it is done; NULL: told. */
static json_t *watch(struct api *api, uint64_t number)
{
	struct progress progress;
	progress_begin(&progress, "repair");
	uint64_t left = 0, most = 0;
	json_t *answer;
	for (long wait_ms = POLL_MS_FIRST;; wait_ms = wait_ms * 2 < POLL_MS_MAX ? wait_ms * 2 : POLL_MS_MAX) {
		answer = api_call(api, "GET", "/api/admin/cluster", NULL);
		if (!answer || all_have_repaired(answer, number, &left))
			break;
		json_decref(answer);
		most = left > most ? left : most;
		progress_show(&progress, most - left, most);
		nanosleep(&(struct timespec){ .tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000 }, NULL);
	}
	progress_end(&progress);
	return answer;
}

/* Every node is there, and has what it should; says else which does not. */
static int judge(const json_t *answer)
{
	int status = EXIT_OK;
	size_t i;
	const json_t *node;
	json_array_foreach(json_object_get(answer, "nodes"), i, node) {
		const json_t *held = json_object_get(node, "held");
		if (is_removed(node) || (is_reached(node) && (!held || json_is_true(json_object_get(held, "complete")))))
			continue;
		fprintf(stderr, "cairn: %s %s\n", *member_text(node, "name") ? member_text(node, "name") : member_text(node, "id"),
			is_reached(node) ? "does not have everything that it should, or others do not have what it should hand on" : "was not reached");
		status = EXIT_FAILED;
	}
	return status;
}

static int repair_and_wait(struct api *api, const struct settings *settings)
{
	json_t *before = api_call(api, "GET", "/api/admin/cluster", NULL);
	if (!before)
		return EXIT_FAILED;
	bool tells = json_is_integer(json_object_get(before, "repair"));
	uint64_t number = member_u64(before, "repair") + 1;
	json_decref(before);
	if (!tells) {
		fputs("cairn: this node does not tell when a repair is done: it is of an older version\n", stderr);
		return EXIT_FAILED;
	}
	json_t *answer = api_call(api, "POST", "/api/admin/cluster/settings", json_pack("{s:b}", "walk", 1));
	json_decref(answer);
	answer = answer ? watch(api, number) : NULL;
	if (!answer)
		return EXIT_FAILED;
	int status = judge(answer);
	if (settings->json)
		print_json(json_incref(answer));
	else
		print_held(answer);
	if (status == EXIT_OK && !settings->json)
		puts("every node has looked after its copies, and has what it should");
	json_decref(answer);
	return status;
}

static int repair(struct api *api, const struct settings *settings)
{
	json_t *answer = api_call(api, "POST", "/api/admin/cluster/settings", json_pack("{s:b}", "walk", 1));
	if (!answer)
		return EXIT_FAILED;
	json_decref(answer);
	if (settings->json)
		return print_json(json_pack("{s:b}", "walk", 1));
	puts("every node looks after its copies; `cairn cluster status` shows how far they are");
	return EXIT_OK;
}

int cluster_repair(const struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = { { "wait", no_argument, NULL, 'w' }, { NULL, 0, NULL, 0 } };
	bool wait = false;
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return usage_error("cluster", "cluster repair does not take that");
		wait = true;
	}
	if (optind != argc)
		return usage_error("cluster", "cluster repair wants [--wait]");
	struct api *api = api_open(settings);
	if (!api)
		return EXIT_FAILED;
	int status = wait ? repair_and_wait(api, settings) : repair(api, settings);
	api_close(api);
	return status;
}
