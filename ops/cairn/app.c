/* app.c - `cairn app create|list|delete`: apps that may ask users for access. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/table.h"

/* The body of a create call from the command line; NULL: told. */
static json_t *read_create(int argc, char **argv)
{
	static const struct option options[] = {
		{ "owner", required_argument, NULL, 'o' }, { "redirect", required_argument, NULL, 'r' }, { "scopes", required_argument, NULL, 's' },
		{ "secret", no_argument, NULL, 'S' }, { "eddsa", no_argument, NULL, 'e' }, { NULL, 0, NULL, 0 },
	};
	json_t *body = json_object(), *uris = json_array();
	int option;
	bool wrong = false;
	while (!wrong && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'o': json_object_set_new(body, "owner", json_string(optarg)); break;
		case 'r': json_array_append_new(uris, json_string(optarg)); break;
		case 's': json_object_set_new(body, "scopes", json_string(optarg)); break;
		case 'S': json_object_set_new(body, "secret", json_true()); break;
		case 'e': json_object_set_new(body, "eddsa", json_true()); break;
		default: wrong = true;
		}
	}
	bool complete = !wrong && optind + 1 == argc && json_array_size(uris) > 0 && json_object_get(body, "owner");
	json_object_set_new(body, "redirect_uris", uris);
	if (complete) {
		json_object_set_new(body, "name", json_string(argv[optind]));
		return body;
	}
	usage_error("app", "app create wants NAME --owner USER --redirect URI [--redirect URI]... [--scopes \"openid profile ...\"] [--secret] [--eddsa]");
	json_decref(body);
	return NULL;
}

/* Always JSON: the secret is shown this once, and scripts read it with a JSON tool. */
static int create(const struct settings *settings, int argc, char **argv)
{
	json_t *body = read_create(argc, argv);
	if (!body)
		return EXIT_USAGE;
	json_t *app = api_once(settings, "POST", body, "/api/admin/apps");
	return app ? print_json(app) : EXIT_FAILED;
}

static int list(const struct settings *settings)
{
	json_t *apps = api_once(settings, "GET", NULL, "/api/admin/apps");
	if (!apps)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(apps);
	struct table *table = table_open((const char *const[]){ "CLIENT ID", "NAME", "OWNER", "SECRET", "FIRST REDIRECT", "SCOPES", NULL });
	size_t i;
	json_t *app;
	json_array_foreach(apps, i, app) {
		const char *uri = json_string_value(json_array_get(json_object_get(app, "redirect_uris"), 0));
		table_row(table, (const char *const[]){ member_text(app, "client_id"), member_text(app, "name"), member_text(app, "owner"),
			json_is_true(json_object_get(app, "has_secret")) ? "yes" : "no", uri ? uri : "", member_text(app, "scopes") });
	}
	table_print(table);
	json_decref(apps);
	return EXIT_OK;
}

static int delete(const struct settings *settings, const char *id)
{
	return print_done(settings, api_once(settings, "DELETE", NULL, "/api/admin/apps/%s", id), "deleted; its tokens stop working now");
}

int app_main(const struct settings *settings, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	if (strcmp(verb, "create") == 0)
		return create(settings, argc - 1, argv + 1);
	if (strcmp(verb, "list") == 0 && argc == 2)
		return list(settings);
	if (strcmp(verb, "delete") == 0 && argc == 3)
		return delete(settings, argv[2]);
	return usage_error("app", "app wants create, list or delete CLIENT_ID");
}
