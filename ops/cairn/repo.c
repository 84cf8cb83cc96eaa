/* repo.c - `cairn repo list|create|delete|info|stats|set|lfs-gc`; import and mirror are files of their own. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/duration.h"
#include "ops/cairn/operation.h"
#include "ops/cairn/repo_copy.h"
#include "ops/cairn/table.h"

enum { PAGE_REPOS = 1000 };

struct repo_options {
	const char *type, *owner, *sdk;
	const char *lfs_locks;  /* "on" or "off" */
	const char *copies;     /* a number, or "default" */
	bool private, yes, usage, dry_run, empty;
	int64_t grace_ms;       /* -1: as the hub has it */
	const char *id; /* OWNER/NAME */
};

static int read_options(struct repo_options *out, int argc, char **argv, bool wants_id)
{
	static const struct option options[] = {
		{ "type", required_argument, NULL, 't' }, { "owner", required_argument, NULL, 'o' }, { "sdk", required_argument, NULL, 's' },
		{ "private", no_argument, NULL, 'p' }, { "yes", no_argument, NULL, 'y' }, { "usage", no_argument, NULL, 'u' },
		{ "empty", no_argument, NULL, 'e' },
		{ "lfs-locks", required_argument, NULL, 'l' }, { "copies", required_argument, NULL, 'c' }, { "dry-run", no_argument, NULL, 'd' }, { "grace", required_argument, NULL, 'g' }, { NULL, 0, NULL, 0 },
	};
	*out = (struct repo_options){ .grace_ms = -1 };
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't': out->type = optarg; break;
		case 'o': out->owner = optarg; break;
		case 's': out->sdk = optarg; break;
		case 'p': out->private = true; break;
		case 'y': out->yes = true; break;
		case 'u': out->usage = true; break;
		case 'e': out->empty = true; break;
		case 'l': out->lfs_locks = optarg; break;
		case 'c': out->copies = optarg; break;
		case 'd': out->dry_run = true; break;
		case 'g':
			if (duration_read_option(&out->grace_ms, "repo", optarg) != 0)
				return EXIT_USAGE;
			break;
		default: return usage_error("repo", "repo %s does not take that", argv[0]);
		}
	}
	if (optind + (wants_id ? 1 : 0) != argc)
		return usage_error("repo", wants_id ? "repo %s wants one OWNER/NAME" : "repo %s takes options only", argv[0]);
	out->id = wants_id ? argv[optind] : NULL;
	if (wants_id && !strchr(out->id, '/'))
		return usage_error("repo", "\"%s\" is not OWNER/NAME", out->id);
	if (!repo_type_plural(out->type))
		return usage_error("repo", "\"%s\" is not a type of repositories", out->type);
	return 0;
}

/* ------------------------------------------------------------------ list */

static void page_path(struct api *api, char *out, size_t size, const struct repo_options *options, const char *after)
{
	char *type = api_escape(api, options->type ? options->type : ""), *owner = api_escape(api, options->owner ? options->owner : "");
	char *escaped = api_escape(api, after);
	snprintf(out, size, "/api/admin/repos?limit=%d&usage=%s%s%s%s%s%s%s", PAGE_REPOS, options->usage ? "true" : "false",
		*type ? "&type=" : "", type, *owner ? "&owner=" : "", owner, *escaped ? "&after=" : "", escaped);
	api_free(type);
	api_free(owner);
	api_free(escaped);
}

/* Every page in one array; NULL: told. */
static json_t *fetch_all(struct api *api, const struct repo_options *options)
{
	json_t *all = json_array();
	char path[2048], after[512] = "";
	for (;;) {
		page_path(api, path, sizeof(path), options, after);
		json_t *page = api_call(api, "GET", path, NULL);
		if (!page) {
			json_decref(all);
			return NULL;
		}
		size_t count = json_array_size(page);
		json_array_extend(all, page);
		const json_t *last = json_array_get(page, count ? count - 1 : 0);
		snprintf(after, sizeof(after), "%s/%s/%s", member_text(last, "type"), member_text(last, "owner"), member_text(last, "name"));
		json_decref(page);
		if (count < PAGE_REPOS)
			return all;
	}
}

static int list(const struct settings *settings, const struct repo_options *options)
{
	struct api *api = api_open(settings);
	json_t *repos = api ? fetch_all(api, options) : NULL;
	api_close(api);
	if (!repos)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(repos);
	static const char *const with_usage[] = { "TYPE", "REPOSITORY", "VISIBILITY", "MODIFIED", ">FILES", ">SIZE", NULL };
	static const char *const plain[] = { "TYPE", "REPOSITORY", "VISIBILITY", "MODIFIED", NULL };
	struct table *table = table_open(options->usage ? with_usage : plain);
	size_t i;
	json_t *repo;
	json_array_foreach(repos, i, repo) {
		char name[256];
		snprintf(name, sizeof(name), "%s/%s", member_text(repo, "owner"), member_text(repo, "name"));
		table_row(table, (const char *const[]){ member_text(repo, "type"), name,
			json_is_true(json_object_get(repo, "private")) ? "private" : "public", member_text(repo, "modified_at"),
			text_of_count(member_u64(repo, "files")), text_of_bytes(member_u64(repo, "bytes")) });
	}
	table_print(table);
	json_decref(repos);
	return EXIT_OK;
}

/* ------------------------------------------------------------------ create, delete, info */

/* {type, organization, name} as the Hub API wants it. */
static json_t *name_body(const struct repo_options *options)
{
	const char *slash = strchr(options->id, '/');
	return json_pack("{s:s, s:s%, s:s}", "type", options->type ? options->type : "model", "organization", options->id,
		(size_t)(slash - options->id), "name", slash + 1);
}

static int create(const struct settings *settings, const struct repo_options *options)
{
	json_t *body = name_body(options);
	json_object_set_new(body, "private", json_boolean(options->private));
	if (options->empty)
		json_object_set_new(body, "empty", json_true());
	if (options->sdk)
		json_object_set_new(body, "sdk", json_string(options->sdk));
	json_t *repo = api_once(settings, "POST", body, "/api/repos/create");
	if (!repo)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(repo);
	printf("%s\n", member_text(repo, "url"));
	json_decref(repo);
	return EXIT_OK;
}

static int delete(const struct settings *settings, const struct repo_options *options)
{
	if (!options->yes)
		return usage_error("repo", "deleting %s removes all of its history; say --yes", options->id);
	json_t *answer = api_once(settings, "DELETE", name_body(options), "/api/repos/delete");
	if (!answer)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(answer);
	json_decref(answer);
	printf("deleted %s; gc frees its bytes after the grace time\n", options->id);
	return EXIT_OK;
}

const char *repo_type_plural(const char *type)
{
	static const char *const plurals[] = { "models", "datasets", "spaces", "kernels" };
	for (size_t i = 0; type && i < sizeof(plurals) / sizeof(plurals[0]); i++)
		if (strncmp(plurals[i], type, strlen(type)) == 0 && strlen(type) + 1 >= strlen(plurals[i]))
			return plurals[i];
	return type ? NULL : plurals[0];
}

/* The address of one of the operator's calls on a repository. */
static void admin_path(struct api *api, char *out, size_t size, const struct repo_options *options, const char *call)
{
	const char *slash = strchr(options->id, '/'), *plural = repo_type_plural(options->type);
	char owner[256];
	snprintf(owner, sizeof(owner), "%.*s", (int)(slash - options->id), options->id);
	char *owner_text = api_escape(api, owner), *name_text = api_escape(api, slash + 1);
	snprintf(out, size, "/api/admin/repos/%.*s/%s/%s/%s", (int)strlen(plural) - 1, plural, owner_text, name_text, call);
	api_free(owner_text);
	api_free(name_text);
}

static json_t *admin_call(struct api *api, const char *method, const struct repo_options *options, const char *call, json_t *body)
{
	char path[2048];
	admin_path(api, path, sizeof(path), options, call);
	return api_call(api, method, path, body);
}

static int compact(const struct settings *settings, const struct repo_options *options)
{
	struct api *api = api_open(settings);
	json_t *report = api ? admin_call(api, "POST", options, "compact", NULL) : NULL;
	api_close(api);
	if (!report)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(report);
	printf("%s packs of %s\n", text_of_count(member_u64(report, "packs_after")), text_of_count(member_u64(report, "packs_before")));
	json_decref(report);
	return EXIT_OK;
}

static int bundle(const struct settings *settings, const struct repo_options *options)
{
	struct api *api = api_open(settings);
	json_t *report = api ? admin_call(api, "POST", options, "bundle", NULL) : NULL;
	api_close(api);
	if (!report)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(report);
	printf("%s bundles, %s", text_of_count(member_u64(report, "bundles")), text_of_bytes(member_u64(report, "bytes")));
	printf(" (%s new)\n", text_of_bytes(member_u64(report, "made_bytes")));
	json_decref(report);
	return EXIT_OK;
}

/* The address of the Hub's own call on it, `call` "" or "/settings". */
static void hub_path(struct api *api, char *out, size_t size, const struct repo_options *options, const char *call)
{
	const char *slash = strchr(options->id, '/');
	char owner[256];
	snprintf(owner, sizeof(owner), "%.*s", (int)(slash - options->id), options->id);
	char *owner_text = api_escape(api, owner), *name_text = api_escape(api, slash + 1);
	snprintf(out, size, "/api/%s/%s/%s%s", repo_type_plural(options->type), owner_text, name_text, call);
	api_free(owner_text);
	api_free(name_text);
}

/* The Hub's own view of the repository with its storage beside it. */
static json_t *fetch_info(struct api *api, const struct repo_options *options)
{
	char path[2048];
	hub_path(api, path, sizeof(path), options, "");
	json_t *info = api_call(api, "GET", path, NULL);
	json_t *usage = info ? admin_call(api, "GET", options, "usage", NULL) : NULL;
	if (usage)
		json_object_set_new(info, "usage", usage);
	return info;
}

static const char *text_of_copies(uint64_t copies)
{
	return copies ? text_of_count(copies) : "as many as the cluster makes";
}

static int info(const struct settings *settings, const struct repo_options *options)
{
	struct api *api = api_open(settings);
	json_t *repo = api ? fetch_info(api, options) : NULL;
	api_close(api);
	if (!repo)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(repo);
	const json_t *usage = json_object_get(repo, "usage");
	printf("%s (%s)\n", member_text(repo, "id"), json_is_true(json_object_get(repo, "private")) ? "private" : "public");
	printf("commit        %s\n", member_text(repo, "sha"));
	printf("created       %s, modified %s\n", member_text(repo, "createdAt"), member_text(repo, "lastModified"));
	printf("files         %zu at the head\n", json_array_size(json_object_get(repo, "siblings")));
	printf("stored        %s files of all revisions, %s\n", text_of_count(member_u64(usage, "files")),
		text_of_bytes(member_u64(usage, "bytes")));
	printf("copies        %s\n", text_of_copies(member_u64(usage, "copies")));
	json_decref(repo);
	return EXIT_OK;
}

/* ------------------------------------------------------------------ set, lfs-gc */

/* What is to be changed, as the Hub API wants it; NULL: told. */
static json_t *settings_body(const struct repo_options *options)
{
	json_t *body = json_object();
	bool on = options->lfs_locks && strcmp(options->lfs_locks, "on") == 0, is_default = options->copies && strcmp(options->copies, "default") == 0;
	char *end = NULL;
	long copies = options->copies && !is_default ? strtol(options->copies, &end, 10) : 0;
	bool wrong = (options->lfs_locks && !on && strcmp(options->lfs_locks, "off") != 0) || (end && (end == options->copies || *end || copies < 1));
	if (wrong || (!options->lfs_locks && !options->copies)) {
		usage_error("repo", "repo set wants --lfs-locks on, --lfs-locks off, --copies N or --copies default");
		json_decref(body);
		return NULL;
	}
	if (options->lfs_locks)
		json_object_set_new(body, "lfsLocks", json_boolean(on));
	if (options->copies)
		json_object_set_new(body, "copies", json_integer(copies));
	return body;
}

static int set(const struct settings *settings, const struct repo_options *options)
{
	char path[2048];
	json_t *body = settings_body(options);
	if (!body)
		return EXIT_USAGE;
	struct api *api = api_open(settings);
	if (api)
		hub_path(api, path, sizeof(path), options, "/settings");
	else
		json_decref(body);
	json_t *answer = api ? api_call(api, "PUT", path, body) : NULL;
	api_close(api);
	if (!answer)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(answer);
	if (options->lfs_locks)
		printf("file locks of %s are %s\n", options->id, json_is_true(json_object_get(answer, "lfsLocks")) ? "on" : "off");
	if (options->copies)
		printf("copies of %s: %s\n", options->id, text_of_copies(member_u64(answer, "copies")));
	json_decref(answer);
	return EXIT_OK;
}

static int print_lfs_gc(const json_t *result)
{
	if (!result)
		return EXIT_OK;
	bool dry = json_is_true(json_object_get(result, "dry_run"));
	struct table *table = table_open((const char *const[]){ "OID", ">SIZE", ">AGE", NULL });
	size_t i;
	json_t *object;
	json_array_foreach(json_object_get(result, "objects"), i, object)
		table_row(table, (const char *const[]){ member_text(object, "oid"), text_of_bytes(member_u64(object, "size")),
			text_of_ms((int64_t)member_u64(object, "age_ms")) });
	if (i > 0)
		table_print(table);
	uint64_t dropped = member_u64(result, "objects_dropped");
	if (dropped > i)
		printf("... and %s more\n", text_of_count(dropped - i));
	printf("%s %s objects that no ref reaches (%s), kept %s\n", dry ? "would drop" : "dropped", text_of_count(dropped),
		text_of_bytes(member_u64(result, "bytes_dropped")), text_of_count(member_u64(result, "objects_kept")));
	if (!dry && dropped)
		printf("cairn gc frees their bytes after its grace time, where no other repository has them\n");
	return EXIT_OK;
}

/* Starts one of the operator's calls on the repository and watches it; `body` is stolen. */
static int operate(const struct settings *settings, const struct repo_options *options, const char *call, json_t *body, const char *what,
	int (*finish)(const json_t *result))
{
	struct api *api = api_open(settings);
	if (!api) {
		json_decref(body);
		return EXIT_FAILED;
	}
	char path[2048];
	admin_path(api, path, sizeof(path), options, call);
	api_close(api);
	return operation_run(settings, path, body, what, finish);
}

static int lfs_gc(const struct settings *settings, const struct repo_options *options)
{
	json_t *body = json_pack("{s:b}", "dry_run", options->dry_run);
	if (options->grace_ms >= 0)
		json_object_set_new(body, "grace_ms", json_integer(options->grace_ms));
	return operate(settings, options, "lfs-gc", body, "lfs-gc", print_lfs_gc);
}

/* ------------------------------------------------------------------ stats */

static int print_stats(const json_t *result)
{
	if (!result)
		return EXIT_OK;
	uint64_t logical = member_u64(result, "logical_bytes"), unique = member_u64(result, "unique_bytes"), stored = member_u64(result, "stored_bytes");
	uint64_t unread = member_u64(result, "unread_files"), coded = member_u64(result, "coded_bytes"), estimated = member_u64(result, "estimated_bytes");
	printf("files         %s of all revisions, %s\n", text_of_count(member_u64(result, "files")), text_of_bytes(logical));
	printf("unique        %s", text_of_bytes(unique));
	if (logical && unique)
		printf(" (dedup %.2f x)", (double)logical / (double)unique);
	printf("\nstored        %s in %s xorbs", text_of_bytes(stored), text_of_count(member_u64(result, "xorbs")));
	if (stored && unique)
		printf(" (compression %.2f x)", (double)unique / (double)stored);
	printf("\nshared        %s of it, in xorbs that other repositories need too\n", text_of_bytes(member_u64(result, "shared_bytes")));
	printf("same files    %s (%s) that other repositories hold too\n", text_of_count(member_u64(result, "shared_files")),
		text_of_bytes(member_u64(result, "shared_files_bytes")));
	printf("freed         %s by gc if the repository were deleted\n", text_of_bytes(member_u64(result, "freed_bytes")));
	if (coded)
		printf("coded         %s of it, as parts that take %s on all nodes\n", text_of_bytes(coded), text_of_bytes(member_u64(result, "parts_bytes")));
	if (estimated)
		printf("estimated     %s of it at most, in xorbs that this node does not hold or cannot read\n", text_of_bytes(estimated));
	if (unread)
		printf("left out      %s files that this node cannot read, from unique on\n", text_of_count(unread));
	return EXIT_OK;
}

static int stats(const struct settings *settings, const struct repo_options *options)
{
	return operate(settings, options, "stats", json_object(), "stats", print_stats);
}

int repo_main(const struct settings *settings, int argc, char **argv)
{
	static const struct {
		const char *verb;
		bool wants_id;
		int (*run)(const struct settings *settings, const struct repo_options *options);
	} verbs[] = { { "list", false, list }, { "create", true, create }, { "delete", true, delete }, { "info", true, info },
		{ "compact", true, compact }, { "bundle", true, bundle }, { "set", true, set }, { "lfs-gc", true, lfs_gc },
		{ "stats", true, stats } };
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (argc < 2 || strcmp(verbs[i].verb, argv[1]) != 0)
			continue;
		struct repo_options options;
		int status = read_options(&options, argc - 1, argv + 1, verbs[i].wants_id);
		return status ? status : verbs[i].run(settings, &options);
	}
	if (argc >= 2 && strcmp(argv[1], "import") == 0)
		return repo_import_main(settings, argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "mirror") == 0)
		return repo_mirror_main(settings, argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "protect") == 0)
		return protect_main(settings, argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "unprotect") == 0)
		return unprotect_main(settings, argc - 1, argv + 1);
	return usage_error("repo", "repo wants list, create, info, stats, set, compact, bundle, lfs-gc, protect, unprotect, import, mirror or delete");
}
