#include "gateway/git/cache_bitmap.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/git/cache_build.h"
#include "gateway/git/cache_files.h"
#include "gateway/git/process.h"

enum { PATH_ROOM = PATH_MAX + 320 };

static const char index_ending[] = ".idx", pack_ending[] = ".pack";

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_bitmap_file(const char *name)
{
	return begins_with(name, CACHE_BITMAP_INDEX);
}

static bool is_pack_file(const char *name)
{
	return begins_with(name, CACHE_PACK_DIR "/") && !is_bitmap_file(name);
}

bool cache_bitmap_wanted(const struct cache_state *state, uint64_t tried_bytes)
{
	uint64_t bytes = cache_state_bytes_of(state, index_ending);
	uint64_t known = state->indexed_bytes > tried_bytes ? state->indexed_bytes : tried_bytes;
	return bytes >= BITMAP_INDEXES_BYTES_MIN && bytes > known + known / BITMAP_SHARE;
}

/* ------------------------------------------------------------------ making */

static int link_file(const char *dir, const char *scratch, const char *name, struct why *why)
{
	char from[PATH_ROOM], to[PATH_ROOM];
	snprintf(from, sizeof(from), "%s/%s", dir, name);
	snprintf(to, sizeof(to), "%s/%s", scratch, name);
	if (link(from, to) == 0)
		return 0;
	return errno == ENOENT ? why_set(why, ERR_CONFLICT, "the packs have changed meanwhile") : files_error(why, "link", to);
}

/* The packs and refs of the repository, and nothing else of it. */
static int link_all(const char *dir, const struct cache_state *state, const char *scratch, struct why *why)
{
	static const char *const others[] = { "HEAD", "packed-refs" };
	int err = 0;
	for (size_t i = 0; i < state->files_count && err == 0; i++)
		if (is_pack_file(state->files[i].name) && !cache_name_ends(state->files[i].name, ".bitmap"))
			err = link_file(dir, scratch, state->files[i].name, why);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && err == 0; i++)
		err = link_file(dir, scratch, others[i], why);
	return err;
}

/* git copies from this one as it is; it has most of what a clone sends. */
static const char *largest_pack(const struct cache_state *state)
{
	const struct cache_file *largest = NULL;
	for (size_t i = 0; i < state->files_count; i++)
		if (cache_name_ends(state->files[i].name, pack_ending) && (!largest || state->files[i].bytes > largest->bytes))
			largest = &state->files[i];
	return largest ? largest->name + sizeof(CACHE_PACK_DIR) : "";
}

int cache_bitmap_make(const char *dir, const struct cache_state *state, const char *scratch, const _Atomic bool *stopping, struct why *why)
{
	char preferred[CACHE_FILE_NAME_BYTES_MAX + 32];
	snprintf(preferred, sizeof(preferred), "--preferred-pack=%s", largest_pack(state));
	const char *const arguments[] = { "multi-pack-index", "write", "--bitmap", "--no-progress", preferred, NULL };
	struct git_command command = { .arguments = arguments, .directory = scratch, .input = GIT_FD_NONE, .output = GIT_FD_PIPE, .wall_ms_max = BITMAP_WALL_MS };
	int err = cache_make_empty(scratch, why);
	if (err == 0)
		err = link_all(dir, state, scratch, why);
	return err ? err : git_run_until(&command, stopping, why);
}

/* ------------------------------------------------------------------ taking */

static bool covers(const struct cache_state *covered, const struct cache_state *now)
{
	for (size_t i = 0; i < covered->files_count; i++) {
		const struct cache_file *then = &covered->files[i], *file;
		if (!cache_name_ends(then->name, pack_ending) && !cache_name_ends(then->name, index_ending))
			continue;
		file = cache_state_find_file(now, then->name);
		if (!file || file->bytes != then->bytes || file->mtime_ns != then->mtime_ns)
			return false;
	}
	return true;
}

/* The name of the bitmaps, which has the checksum of the index that they belong to. */
static int find_made(const char *scratch, char name[CACHE_FILE_NAME_BYTES_MAX + 1], struct why *why)
{
	char path[PATH_ROOM];
	snprintf(path, sizeof(path), "%s/" CACHE_PACK_DIR, scratch);
	DIR *folder = opendir(path);
	name[0] = 0;
	for (struct dirent *entry; folder && (entry = readdir(folder));)
		if (begins_with(entry->d_name, "multi-pack-index-") && cache_name_ends(entry->d_name, ".bitmap"))
			snprintf(name, CACHE_FILE_NAME_BYTES_MAX + 1, "%s/%.80s", CACHE_PACK_DIR, entry->d_name);
	if (folder)
		closedir(folder);
	return name[0] ? 0 : why_set(why, ERR_CORRUPT, "git made no bitmaps");
}

static int move_file(const char *scratch, const char *dir, const char *name, struct why *why)
{
	char from[PATH_ROOM], to[PATH_ROOM];
	snprintf(from, sizeof(from), "%s/%s", scratch, name);
	snprintf(to, sizeof(to), "%s/%s", dir, name);
	return rename(from, to) == 0 ? 0 : files_error(why, "rename", to);
}

/* The state of now with these files in place of those of an earlier index, which are removed. */
static int make_state(const char *dir, const struct cache_state *now, const char *bitmap, struct cache_state *state)
{
	int err = 0;
	for (size_t i = 0; i < now->packs_count && err == 0; i++)
		err = cache_state_add_pack(state, &now->packs[i]);
	for (size_t i = 0; i < now->files_count && err == 0; i++) {
		const char *name = now->files[i].name;
		char path[PATH_ROOM];
		if (!is_bitmap_file(name)) {
			err = cache_state_add_file(state, dir, name);
		} else if (strcmp(name, CACHE_BITMAP_INDEX) != 0 && strcmp(name, bitmap) != 0) {
			snprintf(path, sizeof(path), "%s/%s", dir, name);
			unlink(path);
		}
	}
	if (err == 0)
		err = cache_state_add_file(state, dir, CACHE_BITMAP_INDEX);
	if (err == 0)
		err = cache_state_add_file(state, dir, bitmap);
	cache_state_sort(state);
	state->version = now->version;
	state->duplicate_bytes = now->duplicate_bytes;
	memcpy(state->head, now->head, sizeof(state->head));
	return err;
}

int cache_bitmap_take(const char *dir, const struct cache_state *covered, const struct cache_state *now, const char *scratch, struct cache_state **out, struct why *why)
{
	char bitmap[CACHE_FILE_NAME_BYTES_MAX + 1];
	*out = NULL;
	if (!covers(covered, now))
		return why_set(why, ERR_CONFLICT, "the packs have changed meanwhile");
	struct cache_state *state = cache_state_make();
	int err = state ? find_made(scratch, bitmap, why) : ERR_NO_MEMORY;
	if (err == 0)
		err = move_file(scratch, dir, bitmap, why);
	if (err == 0)
		err = move_file(scratch, dir, CACHE_BITMAP_INDEX, why);
	if (err == 0)
		err = make_state(dir, now, bitmap, state);
	if (err == 0) {
		state->indexed_bytes = cache_state_bytes_of(covered, index_ending);
		err = cache_write_state(dir, state, why);
	}
	if (err)
		cache_state_release(state);
	else
		*out = state;
	return err;
}
