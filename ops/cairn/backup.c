/* backup.c - `cairn backup` and `cairn restore`: a hub's names and bytes in another directory or in a bucket, and back.
 *
 * A backup holds manifest.json, volumes/, names-ID/ (state and log of the names) and admin-token. The manifest is replaced last: until then the
 * backup before stands, with all its volumes: none takes the place of another (backup_volume.h). A volume that is *final* is not copied again. */
#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ops/cairn/api.h"
#include "ops/cairn/backup_target.h"
#include "ops/cairn/backup_volume.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/progress.h"
#include "ops/cairn/restore_dir.h"
#include "ops/cairn/table.h"
#include "replication/recover.h"

enum {
	MANIFEST_FORMAT = 2, /* 1: volumes had no marks */
	RENEW_S = 60,
};

struct backup {
	struct api *api;
	const char *where;          /* the backup is */
	struct backup_target *target;
	const char *data_dir;
	char lease[128];            /* path of the call that renews it */
	time_t renewed_s;
	char names[64];             /* directory of the names in the backup */
	json_t *names_files;
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

/* Files of the names are in their directory, and no name leads elsewhere. */
static bool names_are_plain(const json_t *manifest)
{
	size_t i, length = strlen(member_text(manifest, "names"));
	json_t *file;
	bool plain = backup_name_is_plain(member_text(manifest, "names"));
	json_array_foreach(json_object_get(manifest, "names_files"), i, file) {
		const char *name = member_text(file, "name");
		plain = plain && backup_name_is_plain(name) && strncmp(name, member_text(manifest, "names"), length) == 0 && name[length] == '/';
	}
	return plain;
}

static bool volumes_are_plain(const json_t *manifest)
{
	size_t i;
	json_t *volume;
	bool plain = true;
	json_array_foreach(json_object_get(manifest, "volumes"), i, volume)
		plain = plain && backup_volume_is_plain(volume);
	return plain;
}

/* *out NULL: there is none. 1: there is one that this program does not read (told). */
static int read_manifest(struct backup *backup, json_t **out)
{
	char *text;
	json_error_t error;
	*out = NULL;
	if (backup->target->get_text(backup->target, "manifest.json", &text) != 0)
		return 1;
	if (!text)
		return 0;
	*out = json_loads(text, 0, &error);
	free(text);
	uint64_t format = member_u64(*out, "format");
	if (format >= 1 && format <= MANIFEST_FORMAT && names_are_plain(*out) && volumes_are_plain(*out))
		return 0;
	fprintf(stderr, "cairn: %s/manifest.json was not written by this version of cairn\n", backup->where);
	json_decref(*out);
	*out = NULL;
	return 1;
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

/* True when the backup has this very volume already, whole and for good. */
static bool is_kept(const struct backup *backup, const json_t *old, const json_t *volume)
{
	char name[BACKUP_VOLUME_NAME_BYTES];
	const json_t *before = backup_volume_find(old, member_u64(volume, "id"));
	backup_volume_name(name, volume);
	return before && backup_volume_is_named(old, volume) && json_is_true(json_object_get(before, "final")) &&
		member_u64(before, "bytes") == member_u64(volume, "bytes") && backup->target->has(backup->target, name, member_u64(volume, "bytes"));
}

static int copy_volumes(struct backup *backup, const json_t *old, const json_t *volumes)
{
	size_t i;
	json_t *volume, *to_copy = json_array();
	int status = 0;
	json_array_foreach(volumes, i, volume) {
		status = backup_volume_mark(volume, backup->data_dir);
		if (status)
			break;
		bool kept = is_kept(backup, old, volume);
		*(kept ? &backup->kept_bytes : &backup->total_bytes) += member_u64(volume, "bytes");
		if (!kept)
			json_array_append(to_copy, volume);
	}
	for (i = 0; i < json_array_size(to_copy) && status == 0; i++) {
		char name[BACKUP_VOLUME_NAME_BYTES], from[PATH_MAX];
		volume = json_array_get(to_copy, i);
		backup_volume_name(name, volume);
		status = backup_volume_path(from, backup->data_dir, volume) ||
			backup->target->put_file(backup->target, name, from, member_u64(volume, "bytes"), on_step, backup);
	}
	json_decref(to_copy);
	return status;
}

static int copy_name(void *context, const char *path, const char *inside)
{
	struct backup *backup = context;
	struct stat info;
	char name[PATH_MAX];
	if (path_of(name, backup->names, inside) != 0)
		return 1;
	if (!backup_name_is_plain(name) || stat(path, &info) != 0) {
		fprintf(stderr, "cairn: cannot back up %s\n", path);
		return 1;
	}
	json_array_append_new(backup->names_files, json_pack("{s:s, s:I}", "name", name, "bytes", (json_int_t)info.st_size));
	return backup->target->put_file(backup->target, name, path, (uint64_t)info.st_size, on_step, backup);
}

static void remove_names(struct backup_target *target, const json_t *files)
{
	size_t i;
	json_t *file;
	json_array_foreach(files, i, file)
		target->remove(target, member_text(file, "name"));
}

/* What no manifest names any more: volumes that were compacted away or have grown, those of another node, names of earlier backups. */
static void tidy(const struct backup *backup, const json_t *old, const json_t *manifest)
{
	size_t i;
	json_t *volume;
	char name[BACKUP_VOLUME_NAME_BYTES], path[PATH_MAX];
	json_array_foreach(json_object_get(old, "volumes"), i, volume) {
		backup_volume_name(name, volume);
		if (!backup_volume_is_named(manifest, volume))
			backup->target->remove(backup->target, name);
	}
	if (!old || strcmp(member_text(old, "names"), member_text(manifest, "names")) == 0)
		return;
	remove_names(backup->target, json_object_get(old, "names_files"));
	if (!json_object_get(old, "names_files") && path_of(path, backup->where, member_text(old, "names")) == 0)
		remove_directory(path); /* of a version that did not list them */
}

static int put_manifest(struct backup *backup, const json_t *lent, json_t **manifest)
{
	struct backup_target *target = backup->target;
	time_t now = time(NULL);
	char when[32];
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	*manifest = json_pack("{s:i, s:s, s:s, s:s, s:O, s:O}", "format", MANIFEST_FORMAT, "version", member_text(lent, "version"), "created_at", when, "names",
		backup->names, "names_files", backup->names_files, "volumes", json_object_get(lent, "volumes"));
	char *written = *manifest ? json_dumps(*manifest, JSON_INDENT(1)) : NULL;
	int status = !written || target->settle(target) || target->put_text(target, "manifest.json", written) || target->settle(target);
	free(written);
	return status;
}

static int copy_all(struct backup *backup, const json_t *old, const json_t *lent, json_t **manifest)
{
	char from[PATH_MAX];
	snprintf(backup->names, sizeof(backup->names), "names-%.48s", member_text(lent, "backup"));
	int status = path_of(from, backup->data_dir, "admin-token") || each_file(member_text(lent, "names"), copy_name, backup) ||
		copy_volumes(backup, old, json_object_get(lent, "volumes")) ||
		(access(from, R_OK) == 0 && backup->target->put_file(backup->target, "admin-token", from, UINT64_MAX, NULL, NULL) != 0);
	if (status == 0)
		return put_manifest(backup, lent, manifest); /* may be there even if it is said to have failed: what it names stays */
	remove_names(backup->target, backup->names_files);
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

/* The hub made the copy of the names just now, below its data directory: where that is, there its volumes are. */
static int check_place(const struct backup *backup, const char *names, const char *url)
{
	char path[PATH_MAX];
	struct stat ours, above;
	if (access(names, R_OK) != 0) {
		fprintf(stderr, "cairn: cannot read %s: %s; backup runs on the hub's machine, as a user that may read its data\n", names, strerror(errno));
		return 1;
	}
	if (stat(backup->data_dir, &ours) != 0) {
		fprintf(stderr, "cairn: cannot read %s: %s\n", backup->data_dir, strerror(errno));
		return 1;
	}
	snprintf(path, sizeof(path), "%s", names);
	for (char *slash = strrchr(path, '/'); slash && slash > path; slash = strrchr(path, '/')) {
		*slash = 0;
		if (stat(path, &above) == 0 && above.st_dev == ours.st_dev && above.st_ino == ours.st_ino)
			return 0;
	}
	fprintf(stderr, "cairn: the hub that answers at %s does not have its data in %s: --url and --data must name the same node\n", url, backup->data_dir);
	return 1;
}

static int back_up(struct backup *backup, const json_t *old, bool accept_damage, const struct settings *settings)
{
	json_t *body = json_pack("{s:b}", "accept_damage", accept_damage), *lent = api_call(backup->api, "POST", "/api/admin/backups", body), *manifest = NULL;
	if (!lent)
		return EXIT_FAILED;
	snprintf(backup->lease, sizeof(backup->lease), "/api/admin/backups/%.48s", member_text(lent, "backup"));
	backup->renewed_s = time(NULL);
	int status = EXIT_FAILED;
	if (check_place(backup, member_text(lent, "names"), settings->url) == 0) {
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
		status = print_backup(backup, manifest, settings->json);
	}
	json_decref(manifest);
	json_decref(lent);
	return status;
}

int backup_main(const struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = { { "accept-damage", no_argument, NULL, 'a' }, { NULL, 0, NULL, 0 } };
	bool accept_damage = false, wrong = false;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		wrong |= option != 'a';
		accept_damage |= option == 'a';
	}
	if (wrong || optind + 1 != argc)
		return usage_error("backup", "backup takes the directory or s3://BUCKET/PREFIX that the copy goes to, and --accept-damage");
	struct backup backup = { .where = argv[optind], .data_dir = settings->data_dir, .names_files = json_array() };
	json_t *old = NULL;
	int status = EXIT_FAILED;
	if (backup_target_open(&backup.target, backup.where) == 0 && backup.target->prepare(backup.target) == 0 && read_manifest(&backup, &old) == 0 &&
		(backup.api = api_open(settings))) {
		backup.target->sweep(backup.target, old);
		status = back_up(&backup, old, accept_damage, settings);
	}
	api_close(backup.api);
	if (backup.target)
		backup.target->close(backup.target);
	json_decref(old);
	json_decref(backup.names_files);
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

/* An earlier restore of the same backup brought it: it has its name since it was whole and synced. */
static bool is_restored(const char *path, const json_t *volume)
{
	struct stat info;
	return stat(path, &info) == 0 && (uint64_t)info.st_size == member_u64(volume, "bytes");
}

static int restore_volumes(struct backup *restore, const json_t *volumes)
{
	size_t i;
	json_t *volume;
	char name[BACKUP_VOLUME_NAME_BYTES], to[PATH_MAX];
	json_array_foreach(volumes, i, volume) {
		if (backup_volume_path(to, restore->data_dir, volume))
			return 1;
		*(is_restored(to, volume) ? &restore->kept_bytes : &restore->total_bytes) += member_u64(volume, "bytes");
	}
	json_array_foreach(volumes, i, volume) {
		backup_volume_name(name, volume);
		if (backup_volume_path(to, restore->data_dir, volume))
			return 1;
		if (!is_restored(to, volume) && restore->target->get_file(restore->target, name, to, member_u64(volume, "bytes"), on_step, restore))
			return 1;
	}
	return 0;
}

/* To a directory that does not exist. */
static int restore_names(struct backup *restore, const json_t *manifest, const char *to)
{
	size_t i;
	json_t *file, *files = json_object_get(manifest, "names_files");
	char path[PATH_MAX];
	if (!files) /* a version that did not list them, in a directory */
		return path_of(path, restore->where, member_text(manifest, "names")) || copy_directory(path, to, on_step, restore);
	if (make_directory(to))
		return 1;
	size_t root = strlen(member_text(manifest, "names"));
	json_array_foreach(files, i, file) {
		const char *name = member_text(file, "name");
		if (path_of(path, to, name + root + 1))
			return 1;
		if (make_parents(path, strlen(to)) || restore->target->get_file(restore->target, name, path, member_u64(file, "bytes"), on_step, restore))
			return 1;
	}
	return sync_tree(to);
}

static int restore_token(struct backup *restore)
{
	char *token = NULL, path[PATH_MAX];
	int status = path_of(path, restore->data_dir, "admin-token") || restore->target->get_text(restore->target, "admin-token", &token) ||
		(token && write_file(path, token));
	if (token)
		sodium_memzero(token, strlen(token));
	free(token);
	return status;
}

static int rename_durably(const char *from, const char *to, const char *dir)
{
	if (rename(from, to) == 0)
		return sync_directory(dir);
	fprintf(stderr, "cairn: cannot rename %s to %s: %s\n", from, to, strerror(errno));
	return 1;
}

static int restore(struct backup *restore, const json_t *manifest)
{
	char path[PATH_MAX], names[PATH_MAX];
	static const char *const directories[] = { "store", "store/volumes" };
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (path_of(path, restore->data_dir, directories[i]) || make_directory(path))
			return 1;
	if (restore_volumes(restore, json_object_get(manifest, "volumes")) || sync_directory(path) || restore_token(restore) ||
		path_of(names, restore->data_dir, "meta.part") || path_of(path, restore->data_dir, "meta"))
		return 1;
	/* Last, and at once: without names a hub does not take this for its data. */
	remove_directory(names);
	return restore_names(restore, manifest, names) || become_own(names) || rename_durably(names, path, restore->data_dir);
}

static int fill(struct backup *state, struct restore_dir *dir, const json_t *manifest)
{
	progress_begin(&state->progress, "copying");
	int status = (!dir->is_whole && restore(state, manifest)) || restore_dir_finish(dir);
	progress_end(&state->progress);
	if (status)
		fprintf(stderr, "cairn: %s holds a part of the backup, which no server takes for a hub: the same command goes on from there\n", state->data_dir);
	return status;
}

static int restore_all(struct backup *state, const json_t *manifest, bool json)
{
	char line[160];
	struct restore_dir dir;
	snprintf(line, sizeof(line), "%.64s %.64s", member_text(manifest, "names"), member_text(manifest, "created_at"));
	if (restore_dir_open(&dir, state->data_dir, line) != 0)
		return EXIT_FAILED;
	int status = fill(state, &dir, manifest) ? EXIT_FAILED : EXIT_OK;
	restore_dir_close(&dir);
	if (status == EXIT_OK && json)
		return print_json(json_pack("{s:s, s:I, s:I}", "created_at", member_text(manifest, "created_at"), "copied_bytes", (json_int_t)state->done_bytes,
			"kept_bytes", (json_int_t)state->kept_bytes));
	if (status == EXIT_OK)
		printf("restored the hub as it was at %s (%s) into %s; its first start reads all of it to make the index anew\n",
			member_text(manifest, "created_at"), text_of_bytes(state->done_bytes + state->kept_bytes), state->data_dir);
	return status;
}

int restore_main(const struct settings *settings, int argc, char **argv)
{
	if (argc != 2)
		return usage_error("restore", "restore takes the directory or s3://BUCKET/PREFIX of a backup, and --data DIR");
	struct backup state = { .where = argv[1], .data_dir = settings->data_dir };
	json_t *manifest = NULL;
	int status = EXIT_FAILED;
	if (backup_target_open(&state.target, state.where) != 0 || read_manifest(&state, &manifest) != 0)
		;
	else if (!manifest)
		fprintf(stderr, "cairn: there is no backup in %s\n", state.where);
	else
		status = restore_all(&state, manifest, settings->json);
	if (state.target)
		state.target->close(state.target);
	json_decref(manifest);
	return status;
}
