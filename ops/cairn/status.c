/* status.c - `cairn status` and `cairn stats`: how the hub is, and what it stores. */
#include <stdio.h>
#include <string.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/table.h"

static void print_store(const json_t *store)
{
	uint64_t stored = member_u64(store, "stored_bytes"), raw = member_u64(store, "raw_bytes");
	uint64_t logical = member_u64(store, "logical_bytes"), disk = member_u64(store, "disk_bytes");
	uint64_t syncs = member_u64(store, "syncs"), acknowledged = member_u64(store, "acknowledged");
	printf("files         %s, %s as clients see them\n", text_of_count(member_u64(store, "files")), text_of_bytes(logical));
	printf("unique        %s in %s chunks", text_of_bytes(raw), text_of_count(member_u64(store, "chunks")));
	if (logical && raw)
		printf(" (dedup %.2f x)", (double)logical / (double)raw);
	printf("\nstored        %s in %s xorbs", text_of_bytes(stored), text_of_count(member_u64(store, "xorbs")));
	if (stored && raw)
		printf(" (compression %.2f x)", (double)raw / (double)stored);
	printf("\non disk       %s in %s volumes\n", text_of_bytes(disk), text_of_count(member_u64(store, "volumes")));
	printf("durable       %s writes in %s syncs since the start", text_of_count(acknowledged), text_of_count(syncs));
	if (syncs)
		printf(" (%.1f writes per sync)", (double)acknowledged / (double)syncs);
	putchar('\n');
}

static void print_status(const json_t *status)
{
	const json_t *node = json_object_get(status, "node");
	printf("cairn %s, up %s, %s of memory\n", member_text(status, "version"),
		text_of_ms((int64_t)member_u64(status, "uptime_ms")), text_of_bytes(member_u64(status, "resident_bytes")));
	printf("node          %s, %s, term %llu, %llu voter%s\n", member_text(node, "id"),
		json_is_true(json_object_get(node, "leader")) ? "leader" : "not the leader",
		(unsigned long long)member_u64(node, "term"), (unsigned long long)member_u64(node, "voters"),
		member_u64(node, "voters") == 1 ? "" : "s");
	printf("log           %s entries applied of %s committed, %s commands in %s syncs\n", text_of_count(member_u64(node, "applied")),
		text_of_count(member_u64(node, "committed")), text_of_count(member_u64(node, "commands")),
		text_of_count(member_u64(node, "log_syncs")));
	print_store(json_object_get(status, "store"));
}

static int show(const struct settings *settings, const char *call, void (*print)(const json_t *answer))
{
	json_t *answer = api_once(settings, "GET", NULL, "/api/admin/%s", call);
	if (!answer)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(answer);
	print(answer);
	json_decref(answer);
	return EXIT_OK;
}

int status_main(const struct settings *settings, int argc, char **argv)
{
	return argc > 1 ? usage_error(argv[0], "\"%s\" is not understood", argv[1]) : show(settings, "status", print_status);
}

int stats_main(const struct settings *settings, int argc, char **argv)
{
	return argc > 1 ? usage_error(argv[0], "\"%s\" is not understood", argv[1]) : show(settings, "stats", print_store);
}
