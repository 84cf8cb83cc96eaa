/* recover.c - `cairn cluster recover`: a node that is left goes on without a majority that is lost for good. Works on a data directory that no server has open. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "ops/cairn/commands.h"
#include "ops/cairn/table.h"
#include "replication/recover.h"

/* The lock that cairnd holds. -1: told. */
static int lock_data(const char *data_dir)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/lock", data_dir);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fprintf(stderr, "cairn: %s: %s; this is no data directory of a node\n", path, strerror(errno));
	else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		fprintf(stderr, "cairn: a server uses %s: stop it first\n", data_dir);
		close(fd);
		fd = -1;
	}
	return fd;
}

static const char *time_text(char out[32], int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	struct tm parts;
	if (ms == 0 || !gmtime_r(&s, &parts))
		return "unknown";
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
	return out;
}

static void tell(const struct recover_report *report, const char *data_dir, bool done)
{
	char text[32];
	printf("node %016llx in %s\n", (unsigned long long)report->node_id, data_dir);
	for (size_t i = 0; i < 2; i++)
		printf("group %zu: term %llu, %llu entries, the newest change is of %s\n", i, (unsigned long long)report->groups[i].term,
			(unsigned long long)report->groups[i].last_index, time_text(text, report->groups[i].newest_ms));
	printf(done ? "This node is the only voter of its cluster now. These are out for ever; wipe their data before they are started again:\n" :
		"With --yes this node becomes the only voter of its cluster, and these are out for ever:\n");
	for (size_t i = 0; i < report->others_count; i++)
		printf("  %016llx %s %s\n", (unsigned long long)report->others[i].node_id, report->others[i].name, report->others[i].address);
	printf("WARNING: what they have acknowledged and this node never heard of is lost: changes after the times above, and bytes of which this node has no\n"
		"copy, which `cairn fsck --data %s` names.\n", data_dir);
	if (!done)
		puts("Be sure that a majority is gone for good: if it lives, there will be two hubs that go apart. Of several nodes that are left, look at each, and run `cairn fsck`\n"
			"on each. Recover the one with the highest term and, among those, the most entries. Keep the others' disks until all bytes are there: with more nodes\n"
			"than copies they may hold the only one (docs/cluster.md, \"When a majority is lost\").");
}

static json_t *report_json(const struct recover_report *report)
{
	char id[17];
	json_t *groups = json_array(), *others = json_array();
	for (size_t i = 0; i < 2; i++)
		json_array_append_new(groups, json_pack("{s:I, s:I, s:I, s:I}", "term", (json_int_t)report->groups[i].term, "last_index",
			(json_int_t)report->groups[i].last_index, "applied", (json_int_t)report->groups[i].applied, "newest_ms", (json_int_t)report->groups[i].newest_ms));
	for (size_t i = 0; i < report->others_count; i++) {
		snprintf(id, sizeof(id), "%016llx", (unsigned long long)report->others[i].node_id);
		json_array_append_new(others, json_pack("{s:s, s:s, s:s}", "id", id, "name", report->others[i].name, "address", report->others[i].address));
	}
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)report->node_id);
	return json_pack("{s:s, s:b, s:o, s:o}", "node", id, "alone", report->alone, "groups", groups, "others", others);
}

int cluster_recover(const struct settings *settings, int argc, char **argv)
{
	struct why why = { 0 };
	struct recover_report report;
	char meta[PATH_MAX];
	bool sure = argc == 2 && strcmp(argv[1], "--yes") == 0;
	if (argc > 2 || (argc == 2 && !sure))
		return usage_error("cluster", "cluster recover wants --data DIR and, when you are sure, --yes");
	int lock = lock_data(settings->data_dir);
	if (lock < 0)
		return EXIT_FAILED;
	snprintf(meta, sizeof(meta), "%s/meta", settings->data_dir);
	int err = consensus_recover(meta, sure ? RECOVER_ALONE : RECOVER_LOOK, &report, &why);
	close(lock);
	if (err) {
		fprintf(stderr, "cairn: %s\n", why.text[0] ? why.text : err_name(err));
		return EXIT_FAILED;
	}
	if (settings->json)
		return print_json(report_json(&report));
	if (report.alone)
		printf("node %016llx in %s is the only voter of its cluster: there is nothing to recover\n", (unsigned long long)report.node_id, settings->data_dir);
	else
		tell(&report, settings->data_dir, sure);
	return EXIT_OK;
}
