/* index.c - `cairn index`: what lists and search answer from. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/progress.h"
#include "ops/cairn/table.h"

enum { POLL_MS = 200 };

static int print_index(const struct settings *settings, json_t *index)
{
	if (settings->json)
		return print_json(index);
	printf("repositories  %s ever indexed\nbehind        %s changes\n", text_of_count(member_u64(index, "documents")),
		text_of_count(member_u64(index, "behind")));
	printf("generation    %s%s\n", text_of_count(member_u64(index, "generation")), json_is_true(json_object_get(index, "rebuilding")) ? ", the next one is being made" : "");
	printf("since start   %s updates, %s with facts made anew\n", text_of_count(member_u64(index, "indexed")), text_of_count(member_u64(index, "facts_made")));
	json_decref(index);
	return EXIT_OK;
}

static int status(const struct settings *settings)
{
	json_t *index = api_once(settings, "GET", NULL, "/api/admin/index");
	return index ? print_index(settings, index) : EXIT_FAILED;
}

/* Asks for it, then watches. */
static int rebuild(const struct settings *settings)
{
	struct api *api = api_open(settings);
	json_t *index = api ? api_call(api, "POST", "/api/admin/index/rebuild", NULL) : NULL;
	struct progress progress;
	progress_begin(&progress, "rebuilding");
	for (bool running = index != NULL; running;) {
		json_decref(index);
		progress_show(&progress, 0, 0);
		nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
		index = api_call(api, "GET", "/api/admin/index", NULL);
		running = index && json_is_true(json_object_get(index, "rebuilding"));
	}
	progress_end(&progress);
	api_close(api);
	return index ? print_index(settings, index) : EXIT_FAILED;
}

int index_main(const struct settings *settings, int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "status") == 0)
		return status(settings);
	if (argc == 2 && strcmp(argv[1], "rebuild") == 0)
		return rebuild(settings);
	return usage_error("index", "index wants status or rebuild");
}
