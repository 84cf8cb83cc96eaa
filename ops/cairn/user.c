/* user.c - `cairn user create|list|link`. */
#include <getopt.h>
#include <string.h>

#include <stdio.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/table.h"

static int create(const struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = {
		{ "email", required_argument, NULL, 'e' }, { "fullname", required_argument, NULL, 'f' }, { "admin", no_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *body = json_object();
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?') {
			json_decref(body);
			return usage_error("user", "user create does not take that");
		}
		if (option == 'a')
			json_object_set_new(body, "admin", json_true());
		else
			json_object_set_new(body, option == 'e' ? "email" : "fullname", json_string(optarg));
	}
	if (optind + 1 != argc) {
		json_decref(body);
		return usage_error("user", "user create wants one NAME");
	}
	json_object_set_new(body, "name", json_string(argv[optind]));
	json_t *user = api_once(settings, "POST", body, "/api/admin/users");
	if (!user)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(user);
	printf("made the user %s; give them a token with: cairn token create --user %s --role write\n", member_text(user, "name"),
		member_text(user, "name"));
	json_decref(user);
	return EXIT_OK;
}

static int list(const struct settings *settings)
{
	json_t *users = api_once(settings, "GET", NULL, "/api/admin/users");
	if (!users)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(users);
	struct table *table = table_open((const char *const[]){ "NAME", "FULL NAME", "EMAIL", "ADMIN", "CREATED", NULL });
	size_t i;
	json_t *user;
	json_array_foreach(users, i, user)
		table_row(table, (const char *const[]){ member_text(user, "name"), member_text(user, "fullname"), member_text(user, "email"),
			json_is_true(json_object_get(user, "admin")) ? "yes" : "", member_text(user, "created_at") });
	table_print(table);
	json_decref(users);
	return EXIT_OK;
}

static int link_identity(const struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = {
		{ "issuer", required_argument, NULL, 'i' }, { "subject", required_argument, NULL, 's' }, { NULL, 0, NULL, 0 },
	};
	json_t *body = json_object();
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1 && option != '?')
		json_object_set_new(body, option == 'i' ? "issuer" : "subject", json_string(optarg));
	if (option == '?' || optind + 1 != argc || json_object_size(body) != 2) {
		json_decref(body);
		return usage_error("user", "user link wants NAME --issuer URL --subject SUB");
	}
	json_object_set_new(body, "user", json_string(argv[optind]));
	return print_done(settings, api_once(settings, "POST", body, "/api/admin/identities"),
		"linked; who signs in there is this user here");
}

int user_main(const struct settings *settings, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	if (strcmp(verb, "create") == 0)
		return create(settings, argc - 1, argv + 1);
	if (strcmp(verb, "list") == 0 && argc == 2)
		return list(settings);
	if (strcmp(verb, "link") == 0)
		return link_identity(settings, argc - 1, argv + 1);
	return usage_error("user", "user wants create, list or link");
}
