/* operation.c - `cairn gc`, `cairn scrub`, `cairn operation`: work that runs in the hub while this command watches it.
 *
 * Ctrl-C asks the hub to stop the work too; a second one leaves at once. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/duration.h"
#include "ops/cairn/operation.h"
#include "ops/cairn/progress.h"
#include "ops/cairn/table.h"

enum { POLL_MS_FIRST = 20, POLL_MS_MAX = 500 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
	signal(SIGINT, SIG_DFL);
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* Until it has ended; the operation, or NULL: told. */
static json_t *watch(struct api *api, const char *id, const char *what)
{
	char path[256];
	snprintf(path, sizeof(path), "/api/admin/operations/%s", id);
	struct progress progress;
	progress_begin(&progress, what);
	signal(SIGINT, on_interrupt);
	bool cancelled = false;
	json_t *operation;
	for (long wait_ms = POLL_MS_FIRST;; wait_ms = wait_ms * 2 < POLL_MS_MAX ? wait_ms * 2 : POLL_MS_MAX) {
		operation = api_call(api, "GET", path, NULL);
		if (!operation || strcmp(member_text(operation, "state"), "running") != 0)
			break;
		progress_show(&progress, member_u64(operation, "done_bytes"), member_u64(operation, "total_bytes"));
		json_decref(operation);
		if (interrupted && !cancelled) {
			json_decref(api_call(api, "DELETE", path, NULL));
			cancelled = true;
		}
		sleep_ms(wait_ms);
	}
	progress_end(&progress);
	return operation;
}

int operation_run(const struct settings *settings, const char *path, json_t *body, const char *what, int (*finish)(const json_t *result))
{
	struct api *api = api_open(settings);
	json_t *started = api ? api_call(api, "POST", path, json_incref(body)) : NULL;
	json_decref(body);
	json_t *operation = started ? watch(api, member_text(started, "operation"), what) : NULL;
	json_decref(started);
	api_close(api);
	if (!operation)
		return EXIT_FAILED;
	bool done = strcmp(member_text(operation, "state"), "done") == 0;
	int status = done ? finish(settings->json ? NULL : json_object_get(operation, "result")) : EXIT_FAILED;
	if (done && status == EXIT_OK && member_u64(json_object_get(operation, "result"), "corrupt") > 0)
		status = EXIT_DAMAGE;
	if (!done)
		fprintf(stderr, "cairn: %s %s %s\n", what, member_text(operation, "state"), member_text(operation, "error"));
	if (settings->json)
		print_json(json_incref(operation));
	json_decref(operation);
	return status;
}

/* ------------------------------------------------------------------ gc */

static int print_gc(const json_t *result)
{
	if (!result)
		return EXIT_OK;
	bool dry = json_is_true(json_object_get(result, "dry_run"));
	printf("%s %s files and %s xorbs (%s)%s\n", dry ? "would drop" : "dropped", text_of_count(member_u64(result, "files_dropped")),
		text_of_count(member_u64(result, "xorbs_dropped")), text_of_bytes(member_u64(result, "bytes_freed")),
		dry ? "; nothing was changed" : "");
	printf("kept %s files and %s xorbs\n", text_of_count(member_u64(result, "files_live")), text_of_count(member_u64(result, "xorbs_live")));
	if (!dry)
		printf("compacted %s volumes (%s moved)\n", text_of_count(member_u64(result, "volumes_compacted")),
			text_of_bytes(member_u64(result, "bytes_compacted")));
	return EXIT_OK;
}

int gc_main(const struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = { { "dry-run", no_argument, NULL, 'd' }, { "grace", required_argument, NULL, 'g' }, { NULL, 0, NULL, 0 } };
	json_t *body = json_object();
	int64_t grace_ms = 0;
	int option;
	bool wrong = false, told = false;
	while (!told && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		wrong |= option == '?';
		told = option == 'g' && duration_read_option(&grace_ms, "gc", optarg) != 0;
		if (option == 'd')
			json_object_set_new(body, "dry_run", json_true());
		else if (option == 'g')
			json_object_set_new(body, "grace_ms", json_integer(grace_ms));
	}
	if (!told && !wrong && optind == argc)
		return operation_run(settings, "/api/admin/gc", body, "gc", print_gc);
	json_decref(body);
	return told ? EXIT_USAGE : usage_error("gc", "gc takes --dry-run and --grace DURATION (such as 21d, 12h, 0)");
}

/* ------------------------------------------------------------------ scrub */

static int print_scrub(const json_t *result)
{
	if (!result)
		return EXIT_OK;
	size_t i;
	json_t *finding;
	json_array_foreach(json_object_get(result, "findings"), i, finding)
		printf("%s\n", json_string_value(finding));
	uint64_t corrupt = member_u64(result, "corrupt");
	printf("%s records, %s read: %s\n", text_of_count(member_u64(result, "records")), text_of_bytes(member_u64(result, "bytes")),
		corrupt ? "damage found" : "all as they were written");
	if (corrupt)
		printf("%s damaged, %s of them replaced by copies of other nodes\n", text_of_count(corrupt), text_of_count(member_u64(result, "repaired")));
	return EXIT_OK;
}

int scrub_main(const struct settings *settings, int argc, char **argv)
{
	if (argc > 1)
		return usage_error("scrub", "\"%s\" is not understood", argv[1]);
	return operation_run(settings, "/api/admin/scrub", json_object(), "scrub", print_scrub);
}

/* ------------------------------------------------------------------ operation */

static int list(const struct settings *settings)
{
	json_t *operations = api_once(settings, "GET", NULL, "/api/admin/operations");
	if (!operations)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(operations);
	struct table *table = table_open((const char *const[]){ "ID", "KIND", "STATE", "STARTED", ">DONE", ">OF", NULL });
	size_t i;
	json_t *operation;
	json_array_foreach(operations, i, operation)
		table_row(table, (const char *const[]){ member_text(operation, "operation"), member_text(operation, "kind"),
			member_text(operation, "state"), member_text(operation, "started_at"), text_of_bytes(member_u64(operation, "done_bytes")),
			text_of_bytes(member_u64(operation, "total_bytes")) });
	table_print(table);
	json_decref(operations);
	return EXIT_OK;
}

static int cancel(const struct settings *settings, const char *id)
{
	json_t *answer = api_once(settings, "DELETE", NULL, "/api/admin/operations/%s", id);
	if (!answer)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(answer);
	json_decref(answer);
	return EXIT_OK;
}

int operation_main(const struct settings *settings, int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return list(settings);
	if (argc == 3 && strcmp(argv[1], "cancel") == 0)
		return cancel(settings, argv[2]);
	return usage_error("operation", "operation wants list or cancel ID");
}
