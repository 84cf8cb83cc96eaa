/* mirror.c - `cairn repo mirror`: every branch and tag of a repository of the hub, and its LFS objects, to another git remote.
 *
 * The other side becomes what the hub is: branches and tags that the hub does not have go, and those that differ are moved, as `git push --mirror` does.
 * Pull requests (refs/pr) stay at home. Repeating it changes nothing, and goes on where a run was cut short. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ops/cairn/git_remote.h"
#include "ops/cairn/ref_list.h"
#include "ops/cairn/repo_copy.h"
#include "ops/cairn/table.h"

struct options {
	const char *type, *work;
	bool lfs;
	const char *id, *plural;
	char *target;
};

struct mirror {
	const struct settings *settings;
	struct options options;
	struct git_remote hub, target;
	struct git_settings from, to;
	struct mirror_dir dir;
	struct ref_list local;
};

static int read_options(struct options *out, int argc, char **argv)
{
	static const struct option options[] = {
		{ "type", required_argument, NULL, 't' }, { "work", required_argument, NULL, 'w' }, { "lfs", no_argument, NULL, 'l' }, { NULL, 0, NULL, 0 },
	};
	*out = (struct options){ 0 };
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't': out->type = optarg; break;
		case 'w': out->work = optarg; break;
		case 'l': out->lfs = true; break;
		default: return usage_error("repo", "repo mirror does not take that");
		}
	}
	if (optind + 2 != argc)
		return usage_error("repo", "repo mirror wants OWNER/NAME and the address or folder of a git repository");
	out->id = argv[optind];
	out->target = argv[optind + 1];
	out->plural = repo_type_plural(out->type);
	if (!strchr(out->id, '/'))
		return usage_error("repo", "\"%s\" is not OWNER/NAME", out->id);
	return out->plural ? 0 : usage_error("repo", "\"%s\" is not a type of repositories", out->type);
}

static int copy_lfs(struct mirror *mirror)
{
	fprintf(stderr, "cairn: fetching LFS objects\n");
	if (git_run_words(&mirror->from, mirror->dir.path, NULL, "lfs", "fetch", "--all", "hub", NULL) != 0) {
		fprintf(stderr, "cairn: the LFS objects could not be fetched; run this again to go on\n");
		return EXIT_FAILED;
	}
	fprintf(stderr, "cairn: pushing LFS objects to %s\n", mirror->target.url);
	if (git_run_words(&mirror->to, mirror->dir.path, NULL, "lfs", "push", "--all", "target", NULL) == 0)
		return 0;
	fprintf(stderr, "cairn: the LFS objects could not be pushed; run this again to go on\n");
	return EXIT_FAILED;
}

static int copy_refs(struct mirror *mirror)
{
	const char *progress = isatty(STDERR_FILENO) ? "--progress" : "--no-progress";
	fprintf(stderr, "cairn: pushing branches and tags to %s\n", mirror->target.url);
	if (git_run_words(&mirror->to, mirror->dir.path, NULL, "push", "--prune", "--no-verify", progress, "target", "+refs/heads/*:refs/heads/*",
		    "+refs/tags/*:refs/tags/*", NULL) == 0)
		return 0;
	fprintf(stderr, "cairn: not everything was taken; git's reasons stand above\n");
	return EXIT_FAILED;
}

static int run(struct mirror *mirror)
{
	char name[512], what[GIT_RUN_TEXT_BYTES_MAX + 512];
	const struct options *options = &mirror->options;
	snprintf(name, sizeof(name), "mirror/%s/%s", options->plural, options->id);
	snprintf(what, sizeof(what), "mirror of %s/%s of %s", options->plural, options->id, mirror->settings->url);
	int status = mirror_dir_open(&mirror->dir, options->work, name, what);
	if (status)
		return status;
	mirror_dir_settings(&mirror->from);
	mirror_dir_settings(&mirror->to);
	git_remote_settings(&mirror->to, "target", &mirror->target);
	if (options->lfs && !mirror_dir_has_lfs(&mirror->to))
		status = EXIT_FAILED;
	if (status == 0)
		status = git_remote_hub_settings(&mirror->from, "hub", &mirror->hub, mirror->settings);
	if (status == 0) {
		fprintf(stderr, "cairn: fetching %s\n", mirror->hub.url);
		status = mirror_dir_fetch(&mirror->dir, &mirror->from, "hub");
	}
	if (status == 0)
		status = ref_list_local(&mirror->local, &mirror->dir, &mirror->from);
	if (status == 0 && options->lfs) /* first: a branch must not name objects that are not there yet */
		status = copy_lfs(mirror);
	if (status == 0)
		status = copy_refs(mirror);
	mirror_dir_close(&mirror->dir);
	return status;
}

int repo_mirror_main(const struct settings *settings, int argc, char **argv)
{
	static struct mirror mirror;
	mirror.settings = settings;
	int status = read_options(&mirror.options, argc, argv);
	if (status == 0)
		status = git_remote_read(&mirror.target, "repo", mirror.options.target);
	if (status == 0)
		status = git_remote_hub(&mirror.hub, settings, mirror.options.plural, mirror.options.id);
	if (status == 0)
		status = run(&mirror);
	if (status == 0 && settings->json)
		status = print_json(json_pack("{s:s, s:s, s:I}", "repo", mirror.options.id, "target", mirror.target.url, "refs", (json_int_t)mirror.local.count));
	else if (status == 0)
		printf("%s: %s branches and tags are at %s\n", mirror.options.id, text_of_count(mirror.local.count), mirror.target.url);
	ref_list_free(&mirror.local);
	git_settings_free(&mirror.from);
	git_settings_free(&mirror.to);
	git_remote_wipe(&mirror.target);
	return status;
}
