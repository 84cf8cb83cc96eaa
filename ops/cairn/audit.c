/* audit.c - `cairn audit`: what the hub's audit log says, newest last. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/duration.h"
#include "ops/cairn/table.h"

enum { AUDIT_PATH_BYTES_MAX = 4096 };

static void add_query(struct api *api, char path[AUDIT_PATH_BYTES_MAX], const char *key, const char *value)
{
	char *escaped = api_escape(api, value);
	size_t length = strlen(path);
	snprintf(path + length, AUDIT_PATH_BYTES_MAX - length, "&%s=%s", key, escaped);
	api_free(escaped);
}

/* What it was about, in one cell. */
static const char *subject_of(const json_t *entry, char out[600])
{
	const json_t *repo = json_object_get(entry, "repo");
	const char *old_name = member_text(entry, "old_name"), *ref = member_text(entry, "ref"), *path = member_text(entry, "path");
	if (*path)
		snprintf(out, 600, "%s", path);
	else if (repo)
		snprintf(out, 600, "%s%s%s%s%s", *old_name ? old_name : "", *old_name ? " -> " : "",
			*member_text(repo, "name") ? member_text(repo, "name") : member_text(repo, "id"), *ref ? " " : "", ref);
	else if (json_object_get(entry, "feature_level"))
		snprintf(out, 600, "feature level %llu", (unsigned long long)member_u64(entry, "feature_level"));
	else
		snprintf(out, 600, "%s%s%s", member_text(entry, "owner"), *member_text(entry, "name") ? " " : "", member_text(entry, "name"));
	return out;
}

static void print_table(const json_t *entries)
{
	struct table *table = table_open((const char *const[]){ "TIME", "ACTOR", "EVENT", "WHAT", NULL });
	size_t i;
	const json_t *entry;
	char subject[600];
	json_array_foreach(entries, i, entry)
		table_row(table, (const char *const[]){ member_text(entry, "time"), *member_text(entry, "actor") ? member_text(entry, "actor") : "-",
			member_text(entry, "event"), subject_of(entry, subject) });
	table_print(table);
}

int audit_main(const struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = {
		{ "actor", required_argument, NULL, 'a' }, { "event", required_argument, NULL, 'e' }, { "repo", required_argument, NULL, 'r' },
		{ "since", required_argument, NULL, 's' }, { "limit", required_argument, NULL, 'l' }, { NULL, 0, NULL, 0 },
	};
	char path[AUDIT_PATH_BYTES_MAX] = "/api/admin/audit?", number[32];
	struct api *api = api_open(settings);
	int option;
	int64_t ms;
	bool wrong = false, told = false;
	if (!api)
		return EXIT_FAILED;
	while (!wrong && !told && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'a': add_query(api, path, "actor", optarg); break;
		case 'e': add_query(api, path, "event", optarg); break;
		case 'r': add_query(api, path, "repo", optarg); break;
		case 'l': add_query(api, path, "limit", optarg); break;
		case 's':
			told = duration_read_option(&ms, "audit", optarg) != 0;
			snprintf(number, sizeof(number), "%lld", (long long)time(NULL) * 1000 - (told ? 0 : ms));
			add_query(api, path, "since_ms", number);
			break;
		default: wrong = true;
		}
	}
	if (told || wrong || optind != argc) {
		api_close(api);
		return told ? EXIT_USAGE : usage_error("audit", "audit takes --actor NAME, --event NAME, --repo OWNER/NAME, --since DURATION and --limit N");
	}
	json_t *entries = api_call(api, "GET", path, NULL);
	api_close(api);
	if (!entries)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(entries);
	print_table(entries);
	json_decref(entries);
	return EXIT_OK;
}
