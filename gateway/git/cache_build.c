#include "gateway/git/cache_build.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/git/cache_files.h"
#include "gateway/git/local_pack.h"
#include "gateway/git/packed_refs.h"
#include "gateway/git/process.h"

enum { PATH_ROOM = PATH_MAX + 320, REPACK_WALL_MS = 1800 * 1000 };

static const char pack_dir[] = CACHE_PACK_DIR;

static const char config[] =
	"[core]\n\trepositoryformatversion = 0\n\tbare = true\n\thooksPath = /dev/null\n\tlogAllRefUpdates = false\n\tmultiPackIndex = true\n"
	"[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n\tallowTipSHA1InWant = true\n\tallowReachableSHA1InWant = true\n"
	"[uploadpackfilter]\n\tallow = false\n" /* each filter of a combination keeps a set of all objects: a fetch of a few KiB could ask for thousands */
	"[uploadpackfilter \"blob:none\"]\n\tallow = true\n[uploadpackfilter \"blob:limit\"]\n\tallow = true\n"
	"[uploadpackfilter \"tree\"]\n\tallow = true\n[uploadpackfilter \"object:type\"]\n\tallow = true\n"
	"[transfer]\n\tadvertiseSID = false\n"
	"[pack]\n\twriteReverseIndex = true\n"
	"[repack]\n\twriteBitmaps = false\n"
	"[gc]\n\tauto = 0\n"
	"[maintenance]\n\tauto = false\n"
	"[receive]\n\tautogc = false\n";

static void path_below(char out[PATH_ROOM], const char *dir, const char *name)
{
	snprintf(out, PATH_ROOM, "%s/%s", dir, name);
}

static void path_in(char out[PATH_ROOM], const struct cache_build *build, const char *name)
{
	path_below(out, build->dir, name);
}

int cache_throw_away(const char *dir, const char *trash)
{
	if (rename(dir, trash) != 0 && errno == ENOENT)
		return 0;
	return files_remove(trash);
}

/* ------------------------------------------------------------------ what is there */

static int replace(const char *dir, const char *name, struct span content, struct why *why)
{
	char path[PATH_ROOM], temporary[PATH_ROOM];
	path_below(path, dir, name);
	path_below(temporary, dir, "tmp/new.file");
	return files_replace(path, temporary, content, why);
}

int cache_make_empty(const char *dir, struct why *why)
{
	static const char *const directories[] = { "", "objects", "objects/info", "objects/pack", "refs", "refs/heads", "tmp" };
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		char path[PATH_ROOM];
		path_below(path, dir, directories[i]);
		if (mkdir(path, 0700) != 0)
			return files_error(why, "make", path);
	}
	return replace(dir, "config", span_text(config), why);
}

/* Half-made files are of no use, and may be what fills the disk. */
static void clean_up(const struct cache_build *build)
{
	char path[PATH_ROOM];
	path_in(path, build, "tmp");
	files_remove(path);
	files_make_directory(path);
}

/* Packs and temporary files that no state names: of a build that was cut short. */
static void remove_unknown(const struct cache_build *build, const struct cache_state *state)
{
	char path[PATH_ROOM];
	clean_up(build);
	path_in(path, build, pack_dir);
	DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		char name[sizeof(pack_dir) + sizeof(entry->d_name)];
		bool known = entry->d_name[0] == '.';
		snprintf(name, sizeof(name), "%s/%s", pack_dir, entry->d_name);
		for (size_t i = 0; i < state->files_count && !known; i++)
			known = strcmp(state->files[i].name, name) == 0;
		if (!known) {
			path_in(path, build, name);
			files_remove(path);
		}
	}
	if (folder)
		closedir(folder);
}

/* What the directory holds, from its own words; NULL: nothing that can be believed. */
static struct cache_state *load(const struct cache_build *build)
{
	char path[PATH_ROOM];
	struct buffer text;
	struct cache_state *state = NULL;
	path_in(path, build, "cairn-state");
	buffer_init(&text, CACHE_STATE_BYTES_MAX);
	if (files_read(path, &text) == 0 && cache_state_decode(&state, buffer_span(&text), cache_boot_id()) == 0) {
		if (cache_state_check(state, build->dir) == 0) {
			remove_unknown(build, state);
		} else {
			cache_state_release(state);
			state = NULL;
		}
	}
	buffer_fini(&text);
	return state;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* ------------------------------------------------------------------ what the names say */

struct wanted {
	struct repo repo;
	struct pack *packs; /* oldest first */
	size_t count, capacity;
};

static int add_pack(void *context, const struct pack *pack)
{
	struct wanted *wanted = context;
	if (wanted->count == wanted->capacity) {
		size_t capacity = wanted->capacity ? wanted->capacity * 2 : 64;
		struct pack *packs = capacity > CACHE_PACKS_MAX ? NULL : realloc(wanted->packs, capacity * sizeof(*packs));
		if (!packs)
			return ERR_NO_MEMORY;
		wanted->packs = packs;
		wanted->capacity = capacity;
	}
	wanted->packs[wanted->count++] = *pack;
	return 0;
}

static bool has_unwanted(const struct cache_state *state, const struct wanted *wanted)
{
	size_t found = 0;
	for (size_t i = 0; i < wanted->count; i++)
		found += cache_state_has_pack(state, &wanted->packs[i].file);
	return found < state->packs_count;
}

/* ------------------------------------------------------------------ packs */

static int bring_packs(struct cache_build *build, const struct cache_state *have, const struct wanted *wanted, struct why *why)
{
	struct pack *inserts = malloc((wanted->count + 1) * sizeof(*inserts));
	size_t count = 0;
	uint64_t bytes = 0;
	if (!inserts)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < wanted->count; i++)
		bytes += cache_state_has_pack(have, &wanted->packs[i].file) ? 0 : wanted->packs[i].length;
	int err = git_cache_has_room(build->gateway->git_cache, bytes) ? 0 : why_set(why, ERR_NO_SPACE, "the disk is too full for the git cache");
	for (size_t i = 0; i < wanted->count && err == 0; i++) {
		const struct pack *pack = &wanted->packs[i];
		if (cache_state_has_pack(have, &pack->file))
			continue;
		if (pack->class == PACK_INSERT)
			inserts[count++] = *pack;
		else
			err = local_pack_copy(build->gateway, build->dir, pack, why);
	}
	if (err == 0 && count)
		err = local_pack_combine(build->gateway, build->dir, inserts, count, why);
	free(inserts);
	return err;
}

/* Fewer packs, of sizes that grow by a factor, so that each object is moved a logarithmic number of times. */
static int repack(struct cache_build *build, struct why *why)
{
	static const char *const arguments[] = { "repack", "--geometric=2", "-d", "-q", "-n", "--threads=1", NULL };
	struct git_command command = { .arguments = arguments, .directory = build->dir, .input = GIT_FD_NONE, .output = GIT_FD_PIPE,
		.wall_ms_max = REPACK_WALL_MS };
	int err = git_run(&command, NULL, why);
	return err == ERR_IO ? ERR_CORRUPT : err;
}

/* ------------------------------------------------------------------ refs */

static int write_refs(struct cache_build *build, struct namespace_snapshot *snapshot, const char *head, struct why *why)
{
	char path[PATH_ROOM], temporary[PATH_ROOM];
	path_in(path, build, "packed-refs");
	path_in(temporary, build, "tmp/new.refs");
	int err = packed_refs_write(build->gateway, snapshot, &build->repo, temporary, why);
	if (err == 0 && rename(temporary, path) != 0)
		err = files_error(why, "rename", path);
	char text[REF_BYTES_MAX + 8];
	int length = snprintf(text, sizeof(text), "ref: %s\n", head);
	return err ? err : replace(build->dir, "HEAD", span_of(text, (size_t)length), why);
}

/* ------------------------------------------------------------------ the new state */

static int add_pack_files(struct cache_build *build, struct cache_state *state, unsigned *packs)
{
	char path[PATH_ROOM];
	path_in(path, build, pack_dir);
	DIR *folder = opendir(path);
	int err = folder ? 0 : ERR_IO;
	*packs = 0;
	for (struct dirent *entry; err == 0 && (entry = readdir(folder));) {
		char name[CACHE_FILE_NAME_BYTES_MAX + 1];
		if (entry->d_name[0] == '.')
			continue;
		*packs += cache_name_ends(entry->d_name, ".pack");
		if ((size_t)snprintf(name, sizeof(name), "%s/%s", pack_dir, entry->d_name) < sizeof(name))
			err = cache_state_add_file(state, build->dir, name);
	}
	if (folder)
		closedir(folder);
	return err;
}

/* What goes on from the state before: the bitmap index, unless git dropped it with packs that it covered, and what is here twice. Packs are merged into one of
 * all their objects, so what was brought beside merged ones is here already; what git combines loses its duplicates. */
static void carry(const struct cache_state *before, const struct wanted *wanted, struct cache_state *state)
{
	uint64_t had = cache_state_bytes_of(before, ".pack"), has = cache_state_bytes_of(state, ".pack");
	if (cache_state_find_file(state, CACHE_BITMAP_INDEX))
		state->indexed_bytes = before->indexed_bytes;
	state->duplicate_bytes = before->duplicate_bytes;
	if (has > had && has_unwanted(before, wanted))
		state->duplicate_bytes += has - had;
	else if (has < had)
		state->duplicate_bytes -= had - has < state->duplicate_bytes ? had - has : state->duplicate_bytes;
}

static int describe(struct cache_build *build, const struct cache_state *before, const struct wanted *wanted, struct cache_state **out, unsigned *packs)
{
	struct cache_state *state = cache_state_make();
	int err = state ? 0 : ERR_NO_MEMORY;
	for (size_t i = 0; i < wanted->count && err == 0; i++)
		err = cache_state_add_pack(state, &wanted->packs[i].file);
	if (err == 0)
		err = add_pack_files(build, state, packs);
	static const char *const others[] = { "config", "HEAD", "packed-refs" };
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && err == 0; i++)
		err = cache_state_add_file(state, build->dir, others[i]);
	if (err) {
		cache_state_release(state);
		return err;
	}
	cache_state_sort(state);
	carry(before, wanted, state);
	state->version = wanted->repo.version;
	memcpy(state->head, wanted->repo.head, sizeof(state->head));
	*out = state;
	return 0;
}

int cache_write_state(const char *dir, const struct cache_state *state, struct why *why)
{
	struct buffer text;
	buffer_init(&text, CACHE_STATE_BYTES_MAX);
	int err = cache_state_encode(state, cache_boot_id(), &text);
	if (err == 0)
		err = replace(dir, "cairn-state", buffer_span(&text), why);
	buffer_fini(&text);
	return err;
}

static int bring(struct cache_build *build, const struct cache_state *have, const struct wanted *wanted, struct namespace_snapshot *snapshot,
	struct cache_state **out, struct why *why)
{
	unsigned packs;
	int err = bring_packs(build, have, wanted, why);
	if (err)
		clean_up(build);
	if (err == 0)
		err = write_refs(build, snapshot, wanted->repo.head, why);
	if (err == 0)
		err = describe(build, have, wanted, out, &packs);
	if (err == 0 && packs > GIT_CACHE_PACKS_MAX && build->alone) {
		struct cache_state *before = *out;
		*out = NULL;
		err = repack(build, why);
		if (err == 0)
			err = describe(build, before, wanted, out, &packs);
		cache_state_release(before);
	}
	return err ? err : cache_write_state(build->dir, *out, why);
}

static int bring_all(struct cache_build *build, const struct wanted *wanted, struct namespace_snapshot *snapshot, struct cache_state **out, struct why *why)
{
	struct cache_state *nothing = NULL;
	struct cache_state *have = build->distrusted ? NULL : build->old ? cache_state_hold(build->old) : load(build);
	bool is_sound = have && cache_state_check(have, build->dir) == 0;
	if (have && (!is_sound || (build->alone && 2 * have->duplicate_bytes > cache_state_bytes_of(have, ".pack")))) {
		cache_state_release(have);
		have = NULL;
	}
	int err = ERR_CORRUPT;
	if (have) {
		err = bring(build, have, wanted, snapshot, out, why);
		cache_state_release(have);
	}
	/* What was there is no base to build on; a full disk or a busy machine would only be worse off. */
	if (err == ERR_CORRUPT || err == ERR_IO || err == ERR_NOT_FOUND) {
		build->was_rebuilt = exists(build->dir);
		cache_state_release(*out);
		*out = NULL;
		nothing = cache_state_make();
		cache_throw_away(build->dir, build->trash);
		err = nothing ? cache_make_empty(build->dir, why) : ERR_NO_MEMORY;
		if (err == 0)
			err = bring(build, nothing, wanted, snapshot, out, why);
		cache_state_release(nothing);
	}
	return err;
}

int cache_build(struct cache_build *build, struct cache_state **out, struct why *why)
{
	struct wanted wanted = { 0 };
	struct namespace *ns = build->gateway->ns;
	*out = NULL;
	struct namespace_snapshot *snapshot = namespace_snapshot_open(ns);
	if (!snapshot)
		return ERR_NO_MEMORY;
	int err = repo_get(ns, snapshot, &build->repo, &wanted.repo);
	bool deleted = err == ERR_NOT_FOUND;
	if (err == 0)
		err = pack_list(ns, snapshot, &build->repo, add_pack, &wanted);
	if (err == 0)
		err = bring_all(build, &wanted, snapshot, out, why);
	if (err) {
		cache_state_release(*out);
		*out = NULL;
	}
	if (err == ERR_NOT_FOUND && !deleted)
		err = ERR_CORRUPT;
	namespace_snapshot_close(snapshot);
	free(wanted.packs);
	return err;
}
