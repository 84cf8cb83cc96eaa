/* org.c - `cairn org create|update|list|delete|member`. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/table.h"

/* The options of create and update into `body`. False: told. */
static bool read_profile(json_t *body, int argc, char **argv, const char *usage)
{
	static const struct option options[] = {
		{ "admin", required_argument, NULL, 'a' }, { "email", required_argument, NULL, 'e' }, { "fullname", required_argument, NULL, 'f' },
		{ "private", no_argument, NULL, 'p' }, { "public", no_argument, NULL, 'P' }, { NULL, 0, NULL, 0 },
	};
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			break;
		if (option == 'p' || option == 'P')
			json_object_set_new(body, "private_by_default", json_boolean(option == 'p'));
		else
			json_object_set_new(body, option == 'a' ? "admin" : option == 'e' ? "email" : "fullname", json_string(optarg));
	}
	if (option == -1 && optind + 1 == argc)
		return true;
	usage_error("org", "%s", usage);
	return false;
}

static int create(const struct settings *settings, int argc, char **argv)
{
	static const char usage[] = "org create wants NAME --admin USER [--fullname F] [--email E] [--private]";
	json_t *body = json_object();
	if (!read_profile(body, argc, argv, usage) || !json_object_get(body, "admin")) {
		if (!json_object_get(body, "admin"))
			usage_error("org", "%s", usage);
		json_decref(body);
		return EXIT_USAGE;
	}
	json_object_set_new(body, "name", json_string(argv[optind]));
	return print_done(settings, api_once(settings, "POST", body, "/api/admin/organizations"),
			"made; add members with: cairn org member set ORG USER ROLE");
}

static int update(const struct settings *settings, int argc, char **argv)
{
	json_t *body = json_object();
	if (read_profile(body, argc, argv, "org update wants NAME [--fullname F] [--email E] [--private|--public]"))
		return print_done(settings, api_once(settings, "PATCH", body, "/api/admin/organizations/%s", argv[optind]), "changed");
	json_decref(body);
	return EXIT_USAGE;
}

static int list(const struct settings *settings)
{
	json_t *orgs = api_once(settings, "GET", NULL, "/api/admin/organizations");
	if (!orgs)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(orgs);
	struct table *table = table_open((const char *const[]){ "NAME", "FULL NAME", ">MEMBERS", "NEW REPOS", "CREATED", NULL });
	size_t i;
	json_t *org;
	json_array_foreach(orgs, i, org)
		table_row(table, (const char *const[]){ member_text(org, "name"), member_text(org, "fullname"), text_of_count(member_u64(org, "members")),
			json_is_true(json_object_get(org, "private_by_default")) ? "private" : "public", member_text(org, "created_at") });
	table_print(table);
	json_decref(orgs);
	return EXIT_OK;
}

static int member_list(const struct settings *settings, const char *org)
{
	json_t *members = api_once(settings, "GET", NULL, "/api/admin/organizations/%s/members", org);
	if (!members)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(members);
	struct table *table = table_open((const char *const[]){ "USER", "ROLE", "SINCE", NULL });
	size_t i;
	json_t *member;
	json_array_foreach(members, i, member)
		table_row(table, (const char *const[]){ member_text(member, "user"), member_text(member, "role"), member_text(member, "since") });
	table_print(table);
	json_decref(members);
	return EXIT_OK;
}

static int member(const struct settings *settings, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	if (strcmp(verb, "list") == 0 && argc == 3)
		return member_list(settings, argv[2]);
	if (strcmp(verb, "set") == 0 && argc == 5)
		return print_done(settings, api_once(settings, "PUT", json_pack("{s:s}", "role", argv[4]), "/api/admin/organizations/%s/members/%s", argv[2], argv[3]),
			"set; it holds from now on");
	if (strcmp(verb, "remove") == 0 && argc == 4)
		return print_done(settings, api_once(settings, "DELETE", NULL, "/api/admin/organizations/%s/members/%s", argv[2], argv[3]),
			"removed; their tokens lose these rights now");
	return usage_error("org", "org member wants list ORG, set ORG USER read|contributor|write|admin, or remove ORG USER");
}

int org_main(const struct settings *settings, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	if (strcmp(verb, "create") == 0)
		return create(settings, argc - 1, argv + 1);
	if (strcmp(verb, "update") == 0)
		return update(settings, argc - 1, argv + 1);
	if (strcmp(verb, "list") == 0 && argc == 2)
		return list(settings);
	if (strcmp(verb, "delete") == 0 && argc == 3)
		return print_done(settings, api_once(settings, "DELETE", NULL, "/api/admin/organizations/%s", argv[2]), "deleted");
	if (strcmp(verb, "member") == 0)
		return member(settings, argc - 1, argv + 1);
	return usage_error("org", "org wants create, update, list, delete or member");
}
