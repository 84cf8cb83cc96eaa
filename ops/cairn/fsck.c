/* fsck.c - `cairn fsck`: checks a data directory that no server has open, and remakes its index.
 *
 * The work runs on a thread so that this one can draw how far it is. */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "ops/cairn/commands.h"
#include "ops/cairn/progress.h"
#include "ops/cairn/table.h"
#include "store/store.h"

enum { FINDINGS_MAX = 10000, POLL_MS = 50 };

struct check {
	struct store_config config;
	bool rebuild;
	struct store_progress progress;
	struct store_fsck_report report;
	json_t *findings;
	int err;
	struct why why;
	_Atomic bool done;
};

static struct store_progress *interruptible;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interruptible->cancel = 1;
	signal(SIGINT, SIG_DFL);
}

static void finding(void *context, const char *what)
{
	struct check *check = context;
	if (json_array_size(check->findings) < FINDINGS_MAX)
		json_array_append_new(check->findings, json_string(what));
}

static void *check_main(void *context)
{
	struct check *check = context;
	check->err = store_fsck(&check->config, check->rebuild, &check->progress, finding, check, &check->report, &check->why);
	check->done = true;
	return NULL;
}

static int print_report(const struct check *check, bool json)
{
	const struct store_fsck_report *report = &check->report;
	if (json)
		return print_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "volumes", (json_int_t)report->volumes, "records",
			(json_int_t)report->records, "xorbs", (json_int_t)report->xorbs, "files", (json_int_t)report->files, "chunks",
			(json_int_t)report->chunks, "corrupt", (json_int_t)report->corrupt, "missing", (json_int_t)report->missing, "findings",
			check->findings));
	size_t i;
	json_t *text;
	char before[PATH_MAX];
	json_array_foreach(check->findings, i, text)
		printf("%s\n", json_string_value(text));
	printf("%s volumes, %s records: %s xorbs, %s chunks, %s files\n", text_of_count(report->volumes), text_of_count(report->records),
		text_of_count(report->xorbs), text_of_count(report->chunks), text_of_count(report->files));
	printf("%s damaged, %s missing%s\n", text_of_count(report->corrupt), text_of_count(report->missing),
		check->rebuild ? "; the index was made anew" : "");
	if (check->rebuild && snprintf(before, sizeof(before), "%s/index-before", check->config.dir) < PATH_MAX && access(before, F_OK) == 0)
		printf("the one before is in %s: remove it when nothing is missed\n", before);
	return EXIT_OK;
}

static int run(struct check *check, const struct settings *settings)
{
	pthread_t thread;
	struct progress progress;
	interruptible = &check->progress;
	signal(SIGINT, on_interrupt);
	progress_begin(&progress, check->rebuild ? "rebuilding" : "checking");
	if (pthread_create(&thread, NULL, check_main, check) != 0) {
		fprintf(stderr, "cairn: cannot start a thread\n");
		return EXIT_FAILED;
	}
	while (!check->done) {
		nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
		progress_show(&progress, check->progress.done_bytes, check->progress.total_bytes);
	}
	pthread_join(thread, NULL);
	progress_end(&progress);
	if (check->err) {
		fprintf(stderr, "cairn: %s\n", check->why.text[0] ? check->why.text : err_name(check->err));
		return EXIT_FAILED;
	}
	print_report(check, settings->json);
	return check->report.corrupt || check->report.missing ? EXIT_DAMAGE : EXIT_OK;
}

int fsck_main(const struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = { { "rebuild-index", no_argument, NULL, 'r' }, { NULL, 0, NULL, 0 } };
	static struct check check;
	char dir[PATH_MAX];
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'r')
			return usage_error("fsck", "fsck takes --data DIR and --rebuild-index");
		check.rebuild = true;
	}
	if (optind != argc)
		return usage_error("fsck", "fsck takes --data DIR and --rebuild-index");
	if (snprintf(dir, sizeof(dir), "%s/store", settings->data_dir) >= (int)sizeof(dir))
		return usage_error("fsck", "the path of the data directory is too long");
	check.config = (struct store_config){ .dir = dir };
	check.findings = json_array();
	int status = run(&check, settings);
	json_decref(check.findings);
	return status;
}
