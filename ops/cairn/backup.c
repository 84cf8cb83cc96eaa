/* backup.c - `cairn backup` and `cairn restore`: a hub's names and bytes in another directory, and back.
 *
 * A backup directory holds manifest.json, volumes/, names-ID/ (state and log of the names) and admin-token. The manifest is replaced last: until then the
 * backup before stands. Volumes only grow, so that later backups copy what is new: a volume that is *final* is never copied again. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/copy.h"
#include "ops/cairn/progress.h"
#include "ops/cairn/table.h"
#include "replication/recover.h"

enum { MANIFEST_FORMAT = 1, RENEW_S = 60 };

struct backup {
	struct api *api;
	const char *dir;            /* of the backup */
	const char *data_dir;
	char lease[128];            /* path of the call that renews it */
	time_t renewed_s;
	struct progress progress;
	uint64_t done_bytes, total_bytes, kept_bytes;
};

static int path_of(char out[PATH_MAX], const char *dir, const char *name)
{
	if (snprintf(out, PATH_MAX, "%s/%s", dir, name) < PATH_MAX)
		return 0;
	fprintf(stderr, "cairn: the path %s is too long\n", dir);
	return 1;
}

static void volume_name(char out[32], uint64_t id)
{
	snprintf(out, 32, "volumes/%08llx.vol", (unsigned long long)id);
}

/* NULL: there is none, or none that this program reads (told). */
static json_t *read_manifest(const char *dir)
{
	char path[PATH_MAX];
	if (path_of(path, dir, "manifest.json") != 0)
		return NULL;
	json_error_t error;
	json_t *manifest = json_load_file(path, 0, &error);
	if (manifest && member_u64(manifest, "format") == MANIFEST_FORMAT)
		return manifest;
	if (manifest || access(path, F_OK) == 0)
		fprintf(stderr, "cairn: %s was not written by this version of cairn\n", path);
	json_decref(manifest);
	return NULL;
}

static const json_t *find_volume(const json_t *manifest, uint64_t id)
{
	size_t i;
	json_t *volume;
	json_array_foreach(json_object_get(manifest, "volumes"), i, volume)
		if (member_u64(volume, "id") == id)
			return volume;
	return NULL;
}

/* ------------------------------------------------------------------ backup */

static bool on_step(void *context, uint64_t bytes)
{
	struct backup *backup = context;
	backup->done_bytes += bytes;
	progress_show(&backup->progress, backup->done_bytes, backup->total_bytes);
	if (!backup->api || time(NULL) - backup->renewed_s < RENEW_S)
		return true;
	backup->renewed_s = time(NULL);
	json_t *answer = api_call(backup->api, "PUT", backup->lease, NULL);
	json_decref(answer);
	return answer != NULL;
}

/* True when the backup has this volume already, whole and for good. */
static bool is_kept(const struct backup *backup, const json_t *old, const json_t *volume)
{
	char name[32], path[PATH_MAX];
	struct stat info;
	const json_t *before = find_volume(old, member_u64(volume, "id"));
	volume_name(name, member_u64(volume, "id"));
	return before && json_is_true(json_object_get(before, "final")) && member_u64(before, "bytes") == member_u64(volume, "bytes") &&
		path_of(path, backup->dir, name) == 0 && stat(path, &info) == 0 && (uint64_t)info.st_size == member_u64(volume, "bytes");
}

static int copy_volumes(struct backup *backup, const json_t *old, const json_t *volumes)
{
	size_t i;
	json_t *volume;
	json_array_foreach(volumes, i, volume)
		*(is_kept(backup, old, volume) ? &backup->kept_bytes : &backup->total_bytes) += member_u64(volume, "bytes");
	json_array_foreach(volumes, i, volume) {
		char name[32], in_store[48], from[PATH_MAX], to[PATH_MAX];
		if (is_kept(backup, old, volume))
			continue;
		volume_name(name, member_u64(volume, "id"));
		snprintf(in_store, sizeof(in_store), "store/%s", name);
		if (path_of(from, backup->data_dir, in_store) != 0 || path_of(to, backup->dir, name) != 0 ||
			copy_file(from, to, member_u64(volume, "bytes"), on_step, backup) != 0)
			return 1;
	}
	char path[PATH_MAX];
	return path_of(path, backup->dir, "volumes") || sync_directory(path);
}

/* What no manifest names any more: volumes that were compacted away, names of earlier backups, what an interrupted one left. */
static void tidy(const struct backup *backup, const json_t *old, const json_t *manifest)
{
	size_t i;
	json_t *volume;
	char name[32], path[PATH_MAX];
	json_array_foreach(json_object_get(old, "volumes"), i, volume) {
		volume_name(name, member_u64(volume, "id"));
		if (!find_volume(manifest, member_u64(volume, "id")) && path_of(path, backup->dir, name) == 0)
			unlink(path);
	}
	if (old && strcmp(member_text(old, "names"), member_text(manifest, "names")) != 0 && path_of(path, backup->dir, member_text(old, "names")) == 0)
		remove_directory(path);
}

static int copy_all(struct backup *backup, const json_t *old, const json_t *lent, json_t **manifest)
{
	char names[PATH_MAX], path[PATH_MAX], from[PATH_MAX], text[64];
	snprintf(text, sizeof(text), "names-%.48s", member_text(lent, "backup"));
	if (path_of(path, backup->dir, "volumes") || make_directory(path) || path_of(names, backup->dir, text) ||
		copy_directory(member_text(lent, "names"), names, on_step, backup) || copy_volumes(backup, old, json_object_get(lent, "volumes")))
		return 1;
	if (path_of(from, backup->data_dir, "admin-token") == 0 && path_of(path, backup->dir, "admin-token") == 0 && access(from, R_OK) == 0 &&
		copy_file(from, path, UINT64_MAX, NULL, NULL) != 0)
		return 1;
	time_t now = time(NULL);
	char when[32];
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	*manifest = json_pack("{s:i, s:s, s:s, s:s, s:O}", "format", MANIFEST_FORMAT, "version", member_text(lent, "version"), "created_at", when, "names",
		text, "volumes", json_object_get(lent, "volumes"));
	char *written = *manifest ? json_dumps(*manifest, JSON_INDENT(1)) : NULL;
	int status = !written || path_of(path, backup->dir, "manifest.json") || sync_directory(backup->dir) || write_file(path, written) ||
		sync_directory(backup->dir);
	free(written);
	return status;
}

static int print_backup(const struct backup *backup, const json_t *manifest, bool json)
{
	if (json)
		return print_json(json_pack("{s:s, s:I, s:I, s:O}", "created_at", member_text(manifest, "created_at"), "copied_bytes",
			(json_int_t)backup->done_bytes, "kept_bytes", (json_int_t)backup->kept_bytes, "volumes", json_object_get(manifest, "volumes")));
	printf("copied %s, %s were there already\n", text_of_bytes(backup->done_bytes), text_of_bytes(backup->kept_bytes));
	return EXIT_OK;
}

static int back_up(struct backup *backup, const json_t *old, bool json)
{
	json_t *lent = api_call(backup->api, "POST", "/api/admin/backups", NULL), *manifest = NULL;
	if (!lent)
		return EXIT_FAILED;
	snprintf(backup->lease, sizeof(backup->lease), "/api/admin/backups/%.48s", member_text(lent, "backup"));
	backup->renewed_s = time(NULL);
	int status = EXIT_FAILED;
	if (access(member_text(lent, "names"), R_OK) != 0) {
		fprintf(stderr, "cairn: cannot read %s: %s; backup runs on the hub's machine, as a user that may read its data\n", member_text(lent, "names"),
			strerror(errno));
	} else {
		progress_begin(&backup->progress, "copying");
		status = copy_all(backup, old, lent, &manifest) ? EXIT_FAILED : EXIT_OK;
		progress_end(&backup->progress);
	}
	json_t *ended = api_call(backup->api, "DELETE", backup->lease, NULL);
	if (!ended)
		status = EXIT_FAILED;
	json_decref(ended);
	if (status == EXIT_OK) {
		tidy(backup, old, manifest);
		status = print_backup(backup, manifest, json);
	}
	json_decref(manifest);
	json_decref(lent);
	return status;
}

int backup_main(const struct settings *settings, int argc, char **argv)
{
	if (argc != 2)
		return usage_error("backup", "backup takes the directory that the copy goes to");
	struct backup backup = { .dir = argv[1], .data_dir = settings->data_dir };
	json_t *old = read_manifest(backup.dir);
	char volumes[PATH_MAX];
	if (!old && !directory_is_empty(backup.dir) && (path_of(volumes, backup.dir, "volumes") || access(volumes, F_OK) != 0)) {
		fprintf(stderr, "cairn: %s is not empty and holds no backup\n", backup.dir);
		return EXIT_FAILED;
	}
	if (make_directory(backup.dir) != 0 || !(backup.api = api_open(settings))) {
		json_decref(old);
		return EXIT_FAILED;
	}
	int status = back_up(&backup, old, settings->json);
	api_close(backup.api);
	json_decref(old);
	return status;
}

/* ------------------------------------------------------------------ restore */

/* The names of a node that may live on, and wait for others: this copy is neither. */
static int become_own(const char *names)
{
	struct why why = { 0 };
	struct recover_report report;
	if (consensus_recover(names, RECOVER_COPY, &report, &why) == 0)
		return 0;
	fprintf(stderr, "cairn: the names of the backup cannot be made a hub's: %s\n", why.text);
	return 1;
}

static int restore(struct backup *restore, const json_t *manifest)
{
	char path[PATH_MAX], from[PATH_MAX], to[PATH_MAX], name[48];
	static const char *const directories[] = { "", "store", "store/volumes" };
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (path_of(path, restore->data_dir, directories[i]) || make_directory(path))
			return 1;
	size_t i;
	json_t *volume;
	json_array_foreach(json_object_get(manifest, "volumes"), i, volume)
		restore->total_bytes += member_u64(volume, "bytes");
	json_array_foreach(json_object_get(manifest, "volumes"), i, volume) {
		char in_backup[32];
		volume_name(in_backup, member_u64(volume, "id"));
		snprintf(name, sizeof(name), "store/%s", in_backup);
		if (path_of(from, restore->dir, in_backup) || path_of(to, restore->data_dir, name) ||
			copy_file(from, to, member_u64(volume, "bytes"), on_step, restore))
			return 1;
	}
	if (sync_directory(path))
		return 1;
	if (path_of(from, restore->dir, "admin-token") == 0 && path_of(to, restore->data_dir, "admin-token") == 0 && access(from, R_OK) == 0 &&
		copy_file(from, to, UINT64_MAX, NULL, NULL))
		return 1;
	/* Last, and at once: without names a hub does not take this for its data. */
	return path_of(from, restore->dir, member_text(manifest, "names")) || path_of(to, restore->data_dir, "meta.part") ||
		copy_directory(from, to, on_step, restore) || become_own(to) || path_of(path, restore->data_dir, "meta") || rename(to, path) != 0 ||
		sync_directory(restore->data_dir);
}

int restore_main(const struct settings *settings, int argc, char **argv)
{
	if (argc != 2)
		return usage_error("restore", "restore takes the directory of a backup, and --data DIR");
	struct backup state = { .dir = argv[1], .data_dir = settings->data_dir };
	json_t *manifest = read_manifest(state.dir);
	if (!manifest) {
		fprintf(stderr, "cairn: there is no backup in %s\n", state.dir);
		return EXIT_FAILED;
	}
	if (!directory_is_empty(state.data_dir)) {
		fprintf(stderr, "cairn: %s is not empty: a backup is restored into a directory of its own\n", state.data_dir);
		json_decref(manifest);
		return EXIT_FAILED;
	}
	progress_begin(&state.progress, "copying");
	int status = restore(&state, manifest) ? EXIT_FAILED : EXIT_OK;
	progress_end(&state.progress);
	if (status == EXIT_OK && settings->json)
		status = print_json(json_pack("{s:s, s:I}", "created_at", member_text(manifest, "created_at"), "copied_bytes", (json_int_t)state.done_bytes));
	else if (status == EXIT_OK)
		printf("restored the hub as it was at %s (%s) into %s; its first start reads all of it to make the index anew\n",
			member_text(manifest, "created_at"), text_of_bytes(state.done_bytes), state.data_dir);
	json_decref(manifest);
	return status;
}
