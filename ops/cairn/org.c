/* org.c - `cairn org create|update|list|delete|member`. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/table.h"

enum { ORG_PATH_BYTES_MAX = 1024 };

/* "/api/admin/organizations/ORG[/members[/USER]]". */
static void make_path(struct api *api, char out[ORG_PATH_BYTES_MAX], const char *org, const char *tail, const char *user)
{
	char *org_escaped = api_escape(api, org), *user_escaped = api_escape(api, user);
	snprintf(out, ORG_PATH_BYTES_MAX, "/api/admin/organizations/%s%s%s%s", org_escaped, tail, *user ? "/" : "", user_escaped);
	api_free(org_escaped);
	api_free(user_escaped);
}

/* Calls, and prints what came back: all of it with --json, else the sentence. */
static int call_and_tell(const struct settings *settings, const char *method, const char *org, const char *tail, const char *user, json_t *body,
	const char *sentence)
{
	char path[ORG_PATH_BYTES_MAX];
	struct api *api = api_open(settings);
	if (!api) {
		json_decref(body);
		return EXIT_FAILED;
	}
	make_path(api, path, org, tail, user);
	json_t *answer = api_call(api, method, *org ? path : "/api/admin/organizations", body);
	api_close(api);
	if (!answer)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(answer);
	json_decref(answer);
	puts(sentence);
	return EXIT_OK;
}

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
	return call_and_tell(settings, "POST", "", "", "", body, "made; add members with: cairn org member set ORG USER ROLE");
}

static int update(const struct settings *settings, int argc, char **argv)
{
	json_t *body = json_object();
	if (read_profile(body, argc, argv, "org update wants NAME [--fullname F] [--email E] [--private|--public]"))
		return call_and_tell(settings, "PATCH", argv[optind], "", "", body, "changed");
	json_decref(body);
	return EXIT_USAGE;
}

static int list(const struct settings *settings)
{
	struct api *api = api_open(settings);
	json_t *orgs = api ? api_call(api, "GET", "/api/admin/organizations", NULL) : NULL;
	api_close(api);
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
	char path[ORG_PATH_BYTES_MAX];
	struct api *api = api_open(settings);
	if (!api)
		return EXIT_FAILED;
	make_path(api, path, org, "/members", "");
	json_t *members = api_call(api, "GET", path, NULL);
	api_close(api);
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
		return call_and_tell(settings, "PUT", argv[2], "/members", argv[3], json_pack("{s:s}", "role", argv[4]), "set; it holds from now on");
	if (strcmp(verb, "remove") == 0 && argc == 4)
		return call_and_tell(settings, "DELETE", argv[2], "/members", argv[3], NULL, "removed; their tokens lose these rights now");
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
		return call_and_tell(settings, "DELETE", argv[2], "", "", NULL, "deleted");
	if (strcmp(verb, "member") == 0)
		return member(settings, argc - 1, argv + 1);
	return usage_error("org", "org wants create, update, list, delete or member");
}
