/* protect.c - `cairn repo protect|unprotect`: the rules for branches of a repository. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/table.h"

#define RULES_PATH "/api/admin/repos/%s/%s/%s/branch-rules"

struct protect_options {
	const char *type, *name, *pattern;
	char owner[256];
	bool allow_force, allow_delete, admins_only;
};

static int read_options(struct protect_options *out, int argc, char **argv, bool wants_pattern)
{
	static const struct option options[] = {
		{ "type", required_argument, NULL, 't' }, { "allow-force", no_argument, NULL, 'f' }, { "allow-delete", no_argument, NULL, 'd' },
		{ "admins-only", no_argument, NULL, 'a' }, { NULL, 0, NULL, 0 },
	};
	*out = (struct protect_options){ .type = "model" };
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't': out->type = optarg; break;
		case 'f': out->allow_force = true; break;
		case 'd': out->allow_delete = true; break;
		case 'a': out->admins_only = true; break;
		default: return usage_error("repo", "repo %s does not take that", argv[0]);
		}
	}
	int left = argc - optind;
	const char *slash = left > 0 ? strchr(argv[optind], '/') : NULL;
	if (left < (wants_pattern ? 2 : 1) || left > 2 || !slash)
		return usage_error("repo", "repo %s wants OWNER/NAME and %s", argv[0], wants_pattern ? "a branch" : "a branch, or OWNER/NAME alone to list the rules");
	snprintf(out->owner, sizeof(out->owner), "%.*s", (int)(slash - argv[optind]), argv[optind]);
	out->name = slash + 1;
	out->pattern = left == 2 ? argv[optind + 1] : NULL;
	return 0;
}

/* What is in force after the call. */
static int print_rules(const struct settings *settings, json_t *rules)
{
	if (!rules)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(rules);
	struct table *table = table_open((const char *const[]){ "BRANCHES", "FORCE", "DELETE", "WHO", NULL });
	size_t i;
	json_t *rule;
	json_array_foreach(rules, i, rule)
		table_row(table, (const char *const[]){ member_text(rule, "pattern"),
			json_is_true(json_object_get(rule, "allow_force")) ? "allowed" : "refused",
			json_is_true(json_object_get(rule, "allow_delete")) ? "allowed" : "refused",
			json_is_true(json_object_get(rule, "admins_only")) ? "administrators" : "writers" });
	table_print(table);
	json_decref(rules);
	return EXIT_OK;
}

int protect_main(const struct settings *settings, int argc, char **argv)
{
	struct protect_options options;
	int status = read_options(&options, argc, argv, false);
	if (status)
		return status;
	json_t *body = options.pattern ? json_pack("{s:s, s:b, s:b, s:b}", "pattern", options.pattern, "allow_force", options.allow_force,
		"allow_delete", options.allow_delete, "admins_only", options.admins_only) : NULL;
	return print_rules(settings, api_once(settings, body ? "PUT" : "GET", body, RULES_PATH, options.type, options.owner, options.name));
}

int unprotect_main(const struct settings *settings, int argc, char **argv)
{
	struct protect_options options;
	int status = read_options(&options, argc, argv, true);
	if (status)
		return status;
	return print_rules(settings, api_once(settings, "DELETE", NULL, RULES_PATH "?pattern=%s", options.type, options.owner, options.name, options.pattern));
}
