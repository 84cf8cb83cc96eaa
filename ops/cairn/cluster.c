/* cluster.c - `cairn cluster ...`: the nodes that are one hub, and where its bytes lie; recover is in recover.c, repair in repair.c. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/duration.h"
#include "ops/cairn/held.h"
#include "ops/cairn/table.h"

static const char *yes_no(const json_t *value)
{
	return json_is_true(value) ? "yes" : "no";
}

static const json_t *find_node(const json_t *nodes, const char *id)
{
	size_t i;
	const json_t *node;
	json_array_foreach(nodes, i, node)
		if (strcmp(member_text(node, "id"), id) == 0)
			return node;
	return NULL;
}

/* The highest feature level that a node's program knows. */
static const char *level_known(const json_t *node, char out[32])
{
	const json_t *level = json_object_get(node, "feature_level");
	snprintf(out, 32, "level %llu", (unsigned long long)json_integer_value(level));
	return strcmp(member_text(node, "role"), "removed") == 0 || !level ? "" : json_is_null(level) ? "unknown" : out;
}

static void print_nodes(const json_t *nodes)
{
	struct table *table = table_open((const char *const[]){ "NODE", "NAME", "ADDRESS", "WANTED", "IS", ">BEHIND", "CONNECTED", "KNOWS", NULL });
	size_t i;
	const json_t *node;
	json_array_foreach(nodes, i, node) {
		const json_t *groups = json_object_get(node, "groups");
		const char *first = member_text(json_array_get(groups, 0), "role"), *second = member_text(json_array_get(groups, 1), "role");
		char is[32], behind[32] = "", level[32];
		snprintf(is, sizeof(is), strcmp(first, second) == 0 ? "%s" : "%s/%s", first, second);
		const json_t *a = json_object_get(json_array_get(groups, 0), "behind"), *b = json_object_get(json_array_get(groups, 1), "behind");
		if (a || b)
			snprintf(behind, sizeof(behind), "%lld", (long long)(json_integer_value(a) + json_integer_value(b)));
		table_row(table, (const char *const[]){ member_text(node, "id"), member_text(node, "name"), member_text(node, "address"),
			member_text(node, "role"), is, behind, json_is_true(json_object_get(node, "self")) ? "this node" : yes_no(json_object_get(node, "connected")),
			level_known(node, level) });
	}
	table_print(table);
	json_array_foreach(nodes, i, node)
		if (*member_text(node, "node_url") && strcmp(member_text(node, "role"), "removed") != 0)
			printf("node %s: clients may be sent to it at %s\n", member_text(node, "id"), member_text(node, "node_url"));
	json_array_foreach(nodes, i, node)
		if (*member_text(node, "trouble") && strcmp(member_text(node, "role"), "removed") != 0)
			printf("node %s: %s\n", member_text(node, "id"), member_text(node, "trouble"));
}

static const char *bytes_or_unknown(const json_t *object, const char *key)
{
	return json_is_integer(json_object_get(object, key)) ? text_of_bytes(member_u64(object, key)) : "unknown";
}

static void print_level(const json_t *answer)
{
	const unsigned long long level = member_u64(answer, "feature_level"), next = member_u64(answer, "feature_level_next");
	if (level == 0) /* a hub that does not tell */
		return;
	printf("the cluster is at feature level %llu", level);
	if (next == level)
		printf(", but for a part of it: `cairn cluster upgrade` completes that");
	else if (next)
		printf("; every node knows %llu: `cairn cluster upgrade` raises it, after which there is no way back to an older program", next);
	puts("");
}

/* How far the others are with this node's bytes, and this node with theirs. */
static void print_bytes(const json_t *answer, const json_t *nodes)
{
	const json_t *copies = json_object_get(answer, "copies"), *node;
	size_t i;
	printf("bytes: %s here", text_of_bytes(member_u64(answer, "stored_bytes")));
	if (json_array_size(nodes) > 1)
		printf("; an upload is acknowledged with %llu copies; %s", (unsigned long long)member_u64(copies, "needed"),
			json_is_true(json_object_get(answer, "bytes_replicated")) ? "fully replicated" : "not all nodes have all of them, as far as this node knows:");
	puts("");
	if (json_is_true(json_object_get(answer, "bytes_replicated")))
		return;
	json_array_foreach(nodes, i, node) {
		const json_t *bytes = json_object_get(node, "bytes");
		if (!bytes)
			continue;
		printf("  %s has yet to take %s from here%s; ", *member_text(node, "name") ? member_text(node, "name") : member_text(node, "id"),
			bytes_or_unknown(bytes, "lacks"), json_is_true(json_object_get(bytes, "follows")) ? "" : " (and is not taking)");
		printf("this node %s from it", json_is_true(json_object_get(bytes, "followed")) ? bytes_or_unknown(bytes, "behind") : "takes nothing");
		if (json_is_integer(json_object_get(bytes, "behind_ms")) && member_u64(bytes, "behind_ms") > 0)
			printf(", all was here %llu s ago", (unsigned long long)member_u64(bytes, "behind_ms") / 1000);
		printf("%s%s\n", *member_text(bytes, "trouble") ? ": " : "", member_text(bytes, "trouble"));
	}
}

/* What this node has compared with others. */
static void print_compared(const json_t *nodes)
{
	size_t i;
	const json_t *node;
	json_array_foreach(nodes, i, node) {
		const json_t *compared = json_object_get(node, "compared");
		if (!compared)
			continue;
		printf("  compared with %s ", *member_text(node, "name") ? member_text(node, "name") : member_text(node, "id"));
		if (json_is_integer(json_object_get(compared, "since_ms")))
			printf("%llu s ago: %llu ranges differed, %llu records of files and claims there are not wanted here; ", (unsigned long long)member_u64(compared, "since_ms") / 1000,
				(unsigned long long)member_u64(compared, "ranges"), (unsigned long long)member_u64(compared, "left_records"));
		else
			printf("not yet; ");
		printf("%llu lost records were taken again since the start\n", (unsigned long long)member_u64(compared, "taken_records"));
	}
}

static int status(const struct settings *settings)
{
	struct api *api = api_open(settings);
	json_t *answer = api ? api_call(api, "GET", "/api/admin/cluster", NULL) : NULL;
	api_close(api);
	if (!answer)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(answer);
	const json_t *nodes = json_object_get(answer, "nodes"), *group;
	size_t i, voters = 0, there = 0;
	const json_t *node;
	print_nodes(nodes);
	json_array_foreach(nodes, i, node) {
		bool voter = strcmp(member_text(json_array_get(json_object_get(node, "groups"), 0), "role"), "voter") == 0;
		voters += voter;
		there += voter && json_is_true(json_object_get(node, "connected"));
	}
	json_array_foreach(json_object_get(answer, "groups"), i, group) {
		const json_t *leader = find_node(nodes, member_text(group, "leader"));
		printf("group %zu: term %llu, leader %s, %llu of %llu entries applied here%s\n", i, (unsigned long long)member_u64(group, "term"),
			leader ? *member_text(leader, "name") ? member_text(leader, "name") : member_text(leader, "id") : "NONE",
			(unsigned long long)member_u64(group, "applied"), (unsigned long long)member_u64(group, "committed"),
			json_is_true(json_object_get(group, "installing")) ? ", copying the state" : "");
	}
	printf("%zu voters, %zu of them connected to this node; the cluster goes on while %zu of them live\n", voters, there, voters / 2 + 1);
	if (voters == 2)
		printf("WARNING: with two voters neither may fail: make a third one\n");
	print_level(answer);
	print_bytes(answer, nodes);
	print_held(answer);
	print_compared(nodes);
	json_decref(answer);
	return EXIT_OK;
}

static int token(const struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = { { "voter", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 } };
	bool voter = false;
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return usage_error("cluster", "cluster token does not take that");
		voter = true;
	}
	if (optind != argc)
		return usage_error("cluster", "cluster token wants [--voter]");
	struct api *api = api_open(settings);
	json_t *answer = api ? api_call(api, "POST", "/api/admin/cluster/token", json_pack("{s:s}", "role", voter ? "voter" : "learner")) : NULL;
	api_close(api);
	if (!answer)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(answer);
	puts(member_text(answer, "token"));
	json_decref(answer);
	return EXIT_OK;
}

/* Says what is wanted, which is also what --json prints: the cluster makes it so in its own time. `body` is stolen. */
static int tell(const struct settings *settings, const char *path, json_t *body, const char *done)
{
	struct api *api = api_open(settings);
	json_t *answer = api ? api_call(api, "POST", path, json_incref(body)) : NULL;
	bool is_done = answer != NULL;
	api_close(api);
	json_decref(answer);
	if (is_done && settings->json)
		return print_json(body);
	json_decref(body);
	if (is_done)
		puts(done);
	return is_done ? EXIT_OK : EXIT_FAILED;
}

static int change(const struct settings *settings, int argc, char **argv, const char *role, bool sure)
{
	json_t *nodes = json_array();
	bool force = false;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--yes") == 0)
			sure = true;
		else if (strcmp(argv[i], "--force") == 0)
			force = true;
		else
			json_array_append_new(nodes, json_string(argv[i]));
	if (json_array_size(nodes) == 0 || !sure) {
		json_decref(nodes);
		return usage_error("cluster", sure ? "cluster %s wants ids of nodes" : "cluster %s is final: say --yes", argv[0]);
	}
	return tell(settings, "/api/admin/cluster/roles", json_pack("{s:o,s:s,s:b}", "nodes", nodes, "role", role, "force", (int)force),
		"the cluster makes it so; `cairn cluster status` shows when it is done");
}

static int drain(const struct settings *settings, int argc, char **argv)
{
	bool undo = argc > 1 && strcmp(argv[1], "--undo") == 0;
	json_t *nodes = json_array();
	for (int i = undo ? 2 : 1; i < argc; i++)
		json_array_append_new(nodes, json_string(argv[i]));
	if (json_array_size(nodes) == 0) {
		json_decref(nodes);
		return usage_error("cluster", "cluster drain wants [--undo] and ids of nodes");
	}
	return tell(settings, "/api/admin/cluster/drain", json_pack("{s:o,s:b}", "nodes", nodes, "drained", (int)!undo),
		undo ? "the node gets its share again" : "others take over what it holds; `cairn cluster status` shows how far they are");
}

/* -1: not one of set's, or not a value of it. */
static int take_setting(json_t *body, int option, const char *value)
{
	if (option == 'e')
		return json_object_set_new(body, "erasure", json_string(value));
	if (option == 'g' || option == 'a') {
		int64_t ms;
		if (duration_read(&ms, value) != 0)
			return -1;
		return json_object_set_new(body, option == 'g' ? "grace_s" : "erasure_after_s", json_integer(ms / 1000));
	}
	char *end;
	long long number = strtoll(value, &end, 10);
	if (end == value || *end)
		return -1;
	return json_object_set_new(body, option == 'r' ? "replication_factor" : "copies", json_integer(number));
}

static int set(const struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = { { "replication-factor", required_argument, NULL, 'r' }, { "copies", required_argument, NULL, 'c' },
		{ "grace", required_argument, NULL, 'g' }, { "erasure", required_argument, NULL, 'e' }, { "erasure-after", required_argument, NULL, 'a' }, { NULL, 0, NULL, 0 } };
	json_t *body = json_object();
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (option == '?' || take_setting(body, option, optarg) != 0)
			break;
	if (option != -1 || optind != argc || json_object_size(body) == 0) {
		json_decref(body);
		return usage_error("cluster", "cluster set wants --replication-factor N, --copies N, --grace DURATION, --erasure K+M|off or --erasure-after DURATION");
	}
	return tell(settings, "/api/admin/cluster/settings", body, "set; `cairn cluster status` shows how far the nodes are");
}

static int upgrade(const struct settings *settings)
{
	struct api *api = api_open(settings);
	json_t *answer = api ? api_call(api, "POST", "/api/admin/cluster/upgrade", NULL) : NULL;
	api_close(api);
	if (!answer)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(answer);
	const unsigned long long level = member_u64(answer, "feature_level");
	if (json_is_true(json_object_get(answer, "raised")))
		printf("the cluster is at feature level %llu now: a program that knows less is refused from here on\n", level);
	else
		printf("there is nothing to raise: the cluster is at feature level %llu, and no node that answers knows a higher one\n", level);
	json_decref(answer);
	return EXIT_OK;
}

int cluster_main(const struct settings *settings, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	if (strcmp(verb, "status") == 0 && argc == 2)
		return status(settings);
	if (strcmp(verb, "token") == 0)
		return token(settings, argc - 1, argv + 1);
	if (strcmp(verb, "promote") == 0)
		return change(settings, argc - 1, argv + 1, "voter", true);
	if (strcmp(verb, "demote") == 0)
		return change(settings, argc - 1, argv + 1, "learner", true);
	if (strcmp(verb, "remove") == 0)
		return change(settings, argc - 1, argv + 1, "removed", false);
	if (strcmp(verb, "recover") == 0)
		return cluster_recover(settings, argc - 1, argv + 1);
	if (strcmp(verb, "drain") == 0)
		return drain(settings, argc - 1, argv + 1);
	if (strcmp(verb, "set") == 0)
		return set(settings, argc - 1, argv + 1);
	if (strcmp(verb, "repair") == 0)
		return cluster_repair(settings, argc - 1, argv + 1);
	if (strcmp(verb, "upgrade") == 0 && argc == 2)
		return upgrade(settings);
	return usage_error("cluster", "cluster wants status, token, promote, demote, drain, set, repair, upgrade, remove or recover");
}
