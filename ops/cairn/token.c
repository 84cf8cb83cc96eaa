/* token.c - `cairn token create|list|delete`. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/duration.h"
#include "ops/cairn/table.h"

/* "a,b" into a list of texts. */
static json_t *read_list(const char *text)
{
	json_t *list = json_array();
	for (const char *at = text; *at;) {
		const char *end = strchrnul(at, ',');
		json_array_append_new(list, json_stringn(at, (size_t)(end - at)));
		at = *end ? end + 1 : end;
	}
	return list;
}

/* "KIND:NAME=PERMISSION,..." as the hub wants it; NULL: not understood. */
static json_t *read_scope(const char *text)
{
	const char *colon = strchr(text, ':'), *equals = strrchr(text, '=');
	if (!colon || !equals || equals < colon)
		return NULL;
	return json_pack("{s:{s:s#,s:s#},s:o}", "entity", "type", text, (size_t)(colon - text), "name", colon + 1, (size_t)(equals - colon - 1),
		"permissions", read_list(equals + 1));
}

/* The body of a create call from the command line; NULL: told. */
static json_t *read_create(int argc, char **argv)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' }, { "role", required_argument, NULL, 'r' }, { "name", required_argument, NULL, 'n' },
		{ "expires", required_argument, NULL, 'e' }, { "fine-grained", no_argument, NULL, 'f' }, { "scope", required_argument, NULL, 's' },
		{ "global", required_argument, NULL, 'g' }, { "read-gated", no_argument, NULL, 'd' }, { NULL, 0, NULL, 0 },
	};
	json_t *body = json_object(), *rights = json_pack("{s:[]}", "scoped"), *scope;
	int64_t ms;
	int option;
	bool wrong = false, told = false;
	while (!wrong && !told && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'u': json_object_set_new(body, "user", json_string(optarg)); break;
		case 'r': json_object_set_new(body, "role", json_string(optarg)); break;
		case 'n': json_object_set_new(body, "name", json_string(optarg)); break;
		case 'e':
			told = duration_read_option(&ms, "token", optarg) != 0;
			if (!told && ms < 1000)
				told = usage_error("token", "--expires wants at least one second") != 0;
			json_object_set_new(body, "expires_in_s", json_integer(told ? 0 : ms / 1000));
			break;
		case 'f': json_object_set_new(body, "role", json_string("fineGrained")); break;
		case 's':
			scope = read_scope(optarg);
			wrong = !scope || json_array_append_new(json_object_get(rights, "scoped"), scope) != 0;
			break;
		case 'g': json_object_set_new(rights, "global", read_list(optarg)); break;
		case 'd': json_object_set_new(rights, "canReadGatedRepos", json_true()); break;
		default: wrong = true;
		}
	}
	json_object_set_new(body, "rights", rights);
	if (!told && (wrong || optind != argc))
		told = usage_error("token", "token create wants --user NAME and --role read|write, or --fine-grained with --scope KIND:NAME=PERMISSION,...; "
			"[--name TEXT] [--expires DURATION]") != 0;
	else if (!told && (!json_object_get(body, "user") || !json_object_get(body, "role")))
		told = usage_error("token", "token create wants --user, and --role or --fine-grained") != 0;
	if (!told)
		return body;
	json_decref(body);
	return NULL;
}

/* Always JSON: the token is shown this once, and scripts read it with a JSON tool. */
static int create(const struct settings *settings, int argc, char **argv)
{
	json_t *body = read_create(argc, argv);
	if (!body)
		return EXIT_USAGE;
	json_t *token = api_once(settings, "POST", body, "/api/admin/tokens");
	return token ? print_json(token) : EXIT_FAILED;
}

static int list(const struct settings *settings, const char *user)
{
	json_t *tokens = api_once(settings, "GET", NULL, "/api/admin/tokens?user=%s", user);
	if (!tokens)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(tokens);
	struct table *table = table_open((const char *const[]){ "ID", "NAME", "ROLE", "CREATED", "EXPIRES", NULL });
	size_t i;
	json_t *token;
	json_array_foreach(tokens, i, token)
		table_row(table, (const char *const[]){ member_text(token, "id"), member_text(token, "name"), member_text(token, "role"),
			member_text(token, "created_at"), json_object_get(token, "expires_at") ? member_text(token, "expires_at") : "never" });
	table_print(table);
	json_decref(tokens);
	return EXIT_OK;
}

static int delete(const struct settings *settings, const char *id)
{
	return print_done(settings, api_once(settings, "DELETE", NULL, "/api/admin/tokens/%s", id),
		"deleted; it stops working now");
}

int token_main(const struct settings *settings, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	if (strcmp(verb, "create") == 0)
		return create(settings, argc - 1, argv + 1);
	if (strcmp(verb, "list") == 0 && argc == 4 && strcmp(argv[2], "--user") == 0)
		return list(settings, argv[3]);
	if (strcmp(verb, "list") == 0 && argc <= 3)
		return list(settings, argc == 3 ? argv[2] : "admin");
	if (strcmp(verb, "delete") == 0 && argc == 3)
		return delete(settings, argv[2]);
	return usage_error("token", "token wants create, list [USER] or delete ID");
}
