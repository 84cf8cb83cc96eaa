/* import.c - `cairn repo import`: every branch and tag of another git repository, and its LFS objects, into a repository of the hub.
 *
 * DESIGN. A bare mirror of the source is kept in a folder, and everything goes through the hub's own git and LFS calls with the operator's token, so that all of
 * the hub's rules hold. Each step looks at what is there already: the fetch brings what is new, git-lfs skips objects that a side has, and only refs that
 * differ are pushed. So a run that was cut short is repeated by running it again.
 *
 * What the hub has and the source never had is never overwritten without --force (ref_push.h). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/cairn/api.h"
#include "ops/cairn/git_remote.h"
#include "ops/cairn/ref_push.h"
#include "ops/cairn/repo_copy.h"
#include "ops/cairn/table.h"

struct options {
	const char *type, *sdk, *work, *migrate_above;
	bool private, lfs, prune, force;
	char *source;
	const char *id, *plural;
};

struct import {
	const struct settings *settings;
	struct options options;
	struct git_remote source, hub;
	struct git_settings from, to;     /* what git is told when it talks to either side */
	struct mirror_dir dir;
	struct ref_list local, remote;
	bool is_new;                      /* the hub's repository has nothing but its first commit */
	char default_branch[512];         /* "refs/heads/master"; "" when the source has none */
	size_t changed;
};

static int read_options(struct options *out, int argc, char **argv)
{
	static const struct option options[] = {
		{ "type", required_argument, NULL, 't' }, { "sdk", required_argument, NULL, 's' }, { "private", no_argument, NULL, 'p' },
		{ "lfs", no_argument, NULL, 'l' }, { "lfs-migrate", required_argument, NULL, 'm' }, { "work", required_argument, NULL, 'w' },
		{ "prune", no_argument, NULL, 'r' }, { "force", no_argument, NULL, 'f' }, { NULL, 0, NULL, 0 },
	};
	*out = (struct options){ 0 };
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't': out->type = optarg; break;
		case 's': out->sdk = optarg; break;
		case 'w': out->work = optarg; break;
		case 'm': out->migrate_above = optarg; break;
		case 'p': out->private = true; break;
		case 'l': out->lfs = true; break;
		case 'r': out->prune = true; break;
		case 'f': out->force = true; break;
		default: return usage_error("repo", "repo import does not take that");
		}
	}
	if (optind + 2 != argc)
		return usage_error("repo", "repo import wants the address or folder of a git repository, and OWNER/NAME");
	out->source = argv[optind];
	out->id = argv[optind + 1];
	out->plural = repo_type_plural(out->type);
	const char *slash = strchr(out->id, '/');
	if (!slash || slash == out->id || !slash[1] || strchr(slash + 1, '/'))
		return usage_error("repo", "\"%s\" is not OWNER/NAME", out->id);
	if (!out->plural)
		return usage_error("repo", "\"%s\" is not a type of repositories", out->type);
	if (out->migrate_above && strspn(out->migrate_above, "0123456789.") == 0)
		return usage_error("repo", "--lfs-migrate wants a size, such as 10MiB");
	return 0;
}

/* ------------------------------------------------------------------ the repository on the hub */

static json_t *hub_get(struct import *import, struct api *api, const char *more, bool *is_missing)
{
	char path[2048], owner[256];
	const char *slash = strchr(import->options.id, '/');
	snprintf(owner, sizeof(owner), "%.*s", (int)(slash - import->options.id), import->options.id);
	char *owner_text = api_escape(api, owner), *name_text = api_escape(api, slash + 1);
	snprintf(path, sizeof(path), "/api/%s/%s/%s%s", import->options.plural, owner_text, name_text, more);
	api_free(owner_text);
	api_free(name_text);
	return api_find(api, path, is_missing);
}

static int make_repo(struct import *import, struct api *api)
{
	const struct options *options = &import->options;
	const char *slash = strchr(options->id, '/');
	json_t *body = json_pack("{s:s%, s:s%, s:s, s:b, s:b}", "type", options->plural, strlen(options->plural) - 1, "organization", options->id,
		(size_t)(slash - options->id), "name", slash + 1, "private", options->private, "empty", 1);
	if (options->sdk)
		json_object_set_new(body, "sdk", json_string(options->sdk));
	json_t *made = api_call(api, "POST", "/api/repos/create", body);
	if (!made)
		return EXIT_FAILED;
	fprintf(stderr, "cairn: made %s\n", member_text(made, "url"));
	json_decref(made);
	return 0;
}

/* One commit, and it is the one that creating a repository makes. */
static bool has_first_commit_only(struct import *import, struct api *api)
{
	bool is_missing;
	json_t *commits = hub_get(import, api, "/commits/main?limit=2", &is_missing), *refs = hub_get(import, api, "/refs", &is_missing);
	bool is_first = json_array_size(commits) == 1 && strcmp(member_text(json_array_get(commits, 0), "title"), "initial commit") == 0 &&
		json_array_size(json_object_get(refs, "branches")) == 1 && json_array_size(json_object_get(refs, "tags")) == 0;
	json_decref(commits);
	json_decref(refs);
	return is_first;
}

static int find_or_make_repo(struct import *import)
{
	struct api *api = api_open(import->settings);
	if (!api)
		return EXIT_FAILED;
	bool is_missing;
	json_t *repo = hub_get(import, api, "", &is_missing);
	int status = 0;
	if (repo)
		import->is_new = has_first_commit_only(import, api);
	else
		status = is_missing ? make_repo(import, api) : EXIT_FAILED;
	json_decref(repo);
	api_close(api);
	return status;
}

/* ------------------------------------------------------------------ what comes in */

/* The branch that the source's HEAD names. */
static void find_default_branch(struct import *import)
{
	static const char prefix[] = "ref: ";
	struct buffer out;
	buffer_init(&out, 1 << 20);
	int status = git_run_words(&import->from, import->dir.path, &out, "ls-remote", "--quiet", "--symref", "source", "HEAD", NULL);
	buffer_append_byte(&out, 0);
	const char *text = (const char *)out.data;
	if (status == 0 && !out.failed && strncmp(text, prefix, sizeof(prefix) - 1) == 0) {
		text += sizeof(prefix) - 1;
		size_t length = strcspn(text, "\t\n");
		if (length < sizeof(import->default_branch) && strncmp(text, "refs/heads/", 11) == 0)
			snprintf(import->default_branch, sizeof(import->default_branch), "%.*s", (int)length, text);
	}
	buffer_fini(&out);
}

static int fetch(struct import *import)
{
	fprintf(stderr, "cairn: fetching %s\n", import->source.url);
	int status = mirror_dir_fetch(&import->dir, &import->from, "source");
	if (status)
		return status;
	find_default_branch(import);
	/* git-lfs reads .lfsconfig from HEAD. */
	if (import->default_branch[0])
		git_run_words(&import->from, import->dir.path, NULL, "symbolic-ref", "HEAD", import->default_branch, NULL);
	return 0;
}

static int bring_lfs(struct import *import)
{
	const struct options *options = &import->options;
	if (options->lfs) {
		fprintf(stderr, "cairn: fetching LFS objects\n");
		if (git_run_words(&import->from, import->dir.path, NULL, "lfs", "fetch", "--all", "source", NULL) != 0)
			fprintf(stderr, "cairn: some LFS objects could not be fetched; the hub will refuse the branches and tags that need them\n");
	}
	if (options->migrate_above) {
		char above[64];
		snprintf(above, sizeof(above), "--above=%s", options->migrate_above);
		fprintf(stderr, "cairn: rewriting history so that files above %s are LFS objects\n", options->migrate_above);
		if (git_run_words(&import->from, import->dir.path, NULL, "lfs", "migrate", "import", "--everything", "--yes", above, NULL) != 0) {
			fprintf(stderr, "cairn: git lfs migrate failed\n");
			return EXIT_FAILED;
		}
	}
	if (!options->lfs && !options->migrate_above)
		return 0;
	fprintf(stderr, "cairn: pushing LFS objects\n");
	if (git_run_words(&import->to, import->dir.path, NULL, "lfs", "push", "--all", "hub", NULL) == 0)
		return 0;
	fprintf(stderr, "cairn: the LFS objects could not be pushed; run this again to go on\n");
	return EXIT_FAILED;
}

/* ------------------------------------------------------------------ what goes to the hub */

static int push(struct import *import)
{
	const struct options *options = &import->options;
	int status = ref_list_local(&import->local, &import->dir, &import->from);
	if (status == 0)
		status = ref_list_remote(&import->remote, &import->dir, &import->to, "hub");
	if (status == 0 && import->local.count == 0) {
		fprintf(stderr, "cairn: the source has no branch and no tag\n");
		status = EXIT_FAILED;
	}
	if (status)
		return status;
	struct ref_push ref_push = { .dir = &import->dir, .settings = &import->to, .local = &import->local, .remote = &import->remote,
		.default_branch = import->default_branch, .prune = options->prune, .force = options->force, .is_new = import->is_new };
	status = ref_push_run(&ref_push);
	import->changed = ref_push.moved;
	if (ref_push.refused)
		fprintf(stderr, "cairn: %zu of %zu branches and tags were not taken; the hub's reasons stand above.\n"
			"cairn: for files that are too large: run this again with --lfs-migrate 10MiB%s\n", ref_push.refused,
			ref_push.refused + ref_push.moved, options->lfs ? "" : "; for LFS objects that are missing: with --lfs");
	return status;
}

/* ------------------------------------------------------------------ */

static int run(struct import *import)
{
	char name[512], what[GIT_RUN_TEXT_BYTES_MAX + 512];
	const struct options *options = &import->options;
	const char *slash = strchr(options->id, '/');
	snprintf(name, sizeof(name), "import/%s/%.*s/%s", options->plural, (int)(slash - options->id), options->id, slash + 1);
	snprintf(what, sizeof(what), "import of %s into %s/%s of %s", import->source.url, options->plural, options->id, import->settings->url);
	int status = mirror_dir_open(&import->dir, options->work, name, what);
	if (status)
		return status;
	mirror_dir_settings(&import->from);
	mirror_dir_settings(&import->to);
	git_remote_settings(&import->from, "source", &import->source);
	if ((options->lfs || options->migrate_above) && !mirror_dir_has_lfs(&import->from))
		status = EXIT_FAILED;
	if (status == 0)
		status = git_remote_hub_settings(&import->to, "hub", &import->hub, import->settings);
	if (status == 0)
		status = fetch(import);
	if (status == 0)
		status = find_or_make_repo(import);
	if (status == 0)
		status = bring_lfs(import);
	if (status == 0)
		status = push(import);
	mirror_dir_close(&import->dir);
	return status;
}

static int tell(const struct import *import)
{
	if (import->settings->json)
		return print_json(json_pack("{s:s, s:I, s:I, s:s}", "repo", import->options.id, "refs", (json_int_t)import->local.count, "changed",
			(json_int_t)import->changed, "mirror", import->dir.path));
	printf("%s: %s branches and tags, %s of them changed\n", import->options.id, text_of_count(import->local.count), text_of_count(import->changed));
	return EXIT_OK;
}

int repo_import_main(const struct settings *settings, int argc, char **argv)
{
	static struct import import;
	import.settings = settings;
	int status = read_options(&import.options, argc, argv);
	if (status == 0)
		status = git_remote_read(&import.source, "repo", import.options.source);
	if (status == 0)
		status = git_remote_hub(&import.hub, settings, import.options.plural, import.options.id);
	if (status == 0)
		status = run(&import);
	if (status == 0)
		status = tell(&import);
	ref_list_free(&import.local);
	ref_list_free(&import.remote);
	git_settings_free(&import.from);
	git_settings_free(&import.to);
	git_remote_wipe(&import.source);
	return status;
}
