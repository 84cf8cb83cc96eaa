#include "gateway/git/compaction.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/git/process.h"
#include "gateway/repo/pack_merge.h"
#include "gateway/repo/scratch_dir.h"

enum { PATH_ROOM = PATH_MAX + 160, NAME_ROOM = 64 };

/* ------------------------------------------------------------------ which */

struct pack_array {
	struct pack *packs;
	size_t count, capacity;
	bool made_here; /* PACK_INSERT, or all the others */
	size_t all;     /* of both kinds */
};

static int add_pack(void *context, const struct pack *pack)
{
	struct pack_array *array = context;
	array->all++;
	if ((pack->class == PACK_INSERT) != array->made_here)
		return 0;
	if (array->count == array->capacity) {
		size_t capacity = array->capacity ? 2 * array->capacity : 64;
		struct pack *packs = realloc(array->packs, capacity * sizeof(*packs));
		if (!packs)
			return ERR_NO_MEMORY;
		array->packs = packs;
		array->capacity = capacity;
	}
	array->packs[array->count++] = *pack;
	return 0;
}

static int by_length(const void *a, const void *b)
{
	const struct pack *left = a, *right = b;
	return left->length < right->length ? -1 : left->length > right->length;
}

/* Sorts packs by length. How many of the first ones are to be merged: as far as one is not dwarfed by those before it together. */
static size_t choose(struct pack *packs, size_t count, uint64_t bytes_max)
{
	size_t chosen = 0;
	uint64_t sum = 0;
	qsort(packs, count, sizeof(*packs), by_length);
	for (size_t i = 0; i < count && i < PACKS_PER_COMMAND_MAX && sum + packs[i].length <= bytes_max; i++) {
		if (i > 0 && packs[i].length < 2 * sum)
			chosen = i + 1;
		sum += packs[i].length;
	}
	return chosen;
}

/* ------------------------------------------------------------------ packs that git made */

struct git_merge {
	struct gateway *gateway;
	struct scratch_dir dir;
	struct pack_map_entry *map;
	size_t map_count, map_capacity, map_next;
	struct why *why;
};

static int add_entry(void *context, const struct oid *oid, const struct git_object *object)
{
	struct git_merge *merge = context;
	if (merge->map_count == merge->map_capacity) {
		size_t capacity = merge->map_capacity ? 2 * merge->map_capacity : 1024;
		if (capacity > 2 * (size_t)COMPACTION_MAP_ENTRIES_MAX)
			return ERR_TOO_BIG;
		struct pack_map_entry *map = realloc(merge->map, capacity * sizeof(*map));
		if (!map)
			return ERR_NO_MEMORY;
		merge->map = map;
		merge->map_capacity = capacity;
	}
	merge->map[merge->map_count++] = (struct pack_map_entry){ .oid = *oid, .file = object->file, .length = object->length };
	return 0;
}

static int by_oid(const void *a, const void *b)
{
	return memcmp(((const struct pack_map_entry *)a)->oid.bytes, ((const struct pack_map_entry *)b)->oid.bytes, OID_BYTES);
}

static void sort_map(struct git_merge *merge)
{
	size_t kept = 0;
	if (merge->map_count)
		qsort(merge->map, merge->map_count, sizeof(*merge->map), by_oid);
	for (size_t i = 0; i < merge->map_count; i++)
		if (kept == 0 || by_oid(&merge->map[kept - 1], &merge->map[i]) != 0)
			merge->map[kept++] = merge->map[i];
	merge->map_count = kept;
}

static int next_entry(void *context, struct pack_map_entry *out)
{
	struct git_merge *merge = context;
	if (merge->map_next == merge->map_count)
		return 0;
	*out = merge->map[merge->map_next++];
	return 1;
}

static int file_failed(const char *path, struct why *why)
{
	return why_set(why, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "%s: %s", path, strerror(errno));
}

/* A repository with nothing but these packs. */
static int make_repository(struct git_merge *merge)
{
	static const char *const directories[] = { "objects", "objects/pack", "refs" };
	char path[PATH_ROOM];
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", merge->dir.path, directories[i]);
		if (mkdir(path, 0700) != 0)
			return file_failed(path, merge->why);
	}
	snprintf(path, sizeof(path), "%s/HEAD", merge->dir.path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	static const char head[] = "ref: refs/heads/main\n";
	bool written = fd >= 0 && write(fd, head, sizeof(head) - 1) == (ssize_t)sizeof(head) - 1;
	if (fd >= 0)
		close(fd);
	return written ? 0 : file_failed(path, merge->why);
}

static int copy_part(struct git_merge *merge, const struct pack *pack, enum pack_part part, const char *name, const char *extension)
{
	char path[PATH_ROOM];
	snprintf(path, sizeof(path), "%s/objects/pack/%s.%s", merge->dir.path, name, extension);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return file_failed(path, merge->why);
	int err = pack_file_copy(merge->gateway->store, pack, part, fd, merge->why);
	close(fd);
	return err;
}

static int unpack_one(struct git_merge *merge, const struct pack *pack, struct buffer *names)
{
	char name[NAME_ROOM], hex[2 * OID_BYTES + 1];
	hex_encode(hex, pack->sha1.bytes, OID_BYTES);
	snprintf(name, sizeof(name), "pack-%s", hex);
	int err = copy_part(merge, pack, PACK_PART_PACK, name, "pack");
	if (err == 0)
		err = copy_part(merge, pack, PACK_PART_IDX, name, "idx");
	if (err == 0)
		err = pack_map_read(merge->gateway->store, pack, add_entry, merge, merge->why);
	buffer_append_text(names, name);
	buffer_append_text(names, ".pack\n");
	return err;
}

/* `names`: a line for each pack. git writes out-HASH.pack and its kin, and says HASH. */
static int run_pack_objects(struct git_merge *merge, struct span names, char hash[2 * OID_BYTES + 1])
{
	char git_dir[PATH_ROOM], out[PATH_ROOM], list[PATH_ROOM];
	snprintf(git_dir, sizeof(git_dir), "--git-dir=%s", merge->dir.path);
	snprintf(out, sizeof(out), "%s/out", merge->dir.path);
	snprintf(list, sizeof(list), "%s/list", merge->dir.path);
	int fd = open(list, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return file_failed(list, merge->why);
	const char *const arguments[] = { git_dir, "-c", "pack.writeReverseIndex=true", "pack-objects", "-q", "--stdin-packs", "--delta-base-offset",
		"--threads=1", out, NULL };
	struct git_command command = { .arguments = arguments, .input = fd, .output = GIT_FD_PIPE, .wall_ms_max = COMPACTION_WALL_MS };
	struct buffer said;
	buffer_init(&said, 1024);
	int err = write(fd, names.data, names.length) == (ssize_t)names.length && lseek(fd, 0, SEEK_SET) == 0 ? git_run(&command, &said, merge->why)
		: file_failed(list, merge->why);
	if (err == 0 && said.length < 2 * OID_BYTES)
		err = why_set(merge->why, ERR_IO, "git pack-objects made no pack");
	if (err == 0)
		memcpy(hash, said.data, 2 * OID_BYTES);
	hash[2 * OID_BYTES] = 0;
	buffer_fini(&said);
	close(fd);
	return err;
}

static int open_made(const struct git_merge *merge, const char *hash, const char *extension)
{
	char path[PATH_ROOM];
	snprintf(path, sizeof(path), "%s/out-%s.%s", merge->dir.path, hash, extension);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int import_made(struct git_merge *merge, struct upload *upload, const char *hash, struct pack *out)
{
	struct pack_import import = { .class = PACK_COMPACT, .pack_fd = open_made(merge, hash, "pack"), .idx_fd = open_made(merge, hash, "idx"),
		.rev_fd = open_made(merge, hash, "rev"), .bitmap_fd = -1, .map_count = merge->map_count, .next = next_entry, .context = merge };
	int err = import.pack_fd < 0 || import.idx_fd < 0 ? why_set(merge->why, ERR_IO, "git pack-objects left no pack behind")
		: pack_file_import(upload, &import, out, merge->why);
	if (import.pack_fd >= 0)
		close(import.pack_fd);
	if (import.idx_fd >= 0)
		close(import.idx_fd);
	if (import.rev_fd >= 0)
		close(import.rev_fd);
	return err;
}

static int merge_by_git(struct gateway *gateway, struct upload *upload, const struct pack *packs, size_t count, struct pack *out, struct why *why)
{
	struct git_merge merge = { .gateway = gateway, .why = why };
	char hash[2 * OID_BYTES + 1];
	struct buffer names;
	buffer_init(&names, PACKS_PER_COMMAND_MAX * NAME_ROOM);
	int err = scratch_dir_make(&merge.dir, gateway->data_dir, "compact", why);
	if (err == 0)
		err = make_repository(&merge);
	for (size_t i = 0; i < count && err == 0; i++)
		err = unpack_one(&merge, &packs[i], &names);
	if (err == 0)
		err = run_pack_objects(&merge, buffer_span(&names), hash);
	sort_map(&merge);
	if (err == 0)
		err = import_made(&merge, upload, hash, out);
	scratch_dir_remove(&merge.dir);
	buffer_fini(&names);
	free(merge.map);
	return err;
}

/* ------------------------------------------------------------------ one repository */

/* Makes the merged pack durable, then swaps the list. */
static int replace(struct gateway *gateway, const struct entity_id *repo, bool made_here, const struct pack *packs, size_t count, struct why *why)
{
	struct upload *upload;
	struct pack merged = { 0 };
	int err = upload_open(&upload, gateway->store, repo, why);
	if (err)
		return err;
	err = made_here ? pack_merge(gateway, upload, packs, count, &merged, why) : merge_by_git(gateway, upload, packs, count, &merged, why);
	if (err == 0)
		err = upload_commit(upload, why);
	/* Who reads them now keeps them for the grace time. */
	for (size_t i = 0; i < count && err == 0; i++)
		err = store_claim(gateway->store, repo, &packs[i].file, why);
	if (err == 0)
		err = packs_replace(gateway->ns, repo, packs, count, &merged, why);
	upload_close(upload);
	return err;
}

static int compact_kind(struct gateway *gateway, const struct entity_id *repo, bool made_here, size_t packs_min, struct compaction_report *report,
	struct why *why)
{
	struct pack_array array = { .made_here = made_here };
	int err = pack_list(gateway->ns, NULL, repo, add_pack, &array);
	if (err) {
		why_set(why, err, "the packs of the repository cannot be listed");
	} else if (array.count >= packs_min) {
		size_t chosen = choose(array.packs, array.count, made_here ? COMPACTION_BYTES_MAX : COMPACTION_GIT_BYTES_MAX);
		if (chosen > 1) {
			err = replace(gateway, repo, made_here, array.packs, chosen, why);
			report->after -= err == 0 ? chosen - 1 : 0;
		}
	}
	free(array.packs);
	return err;
}

static int count_pack(void *context, const struct pack *pack)
{
	(void)pack;
	++*(uint64_t *)context;
	return 0;
}

int repo_compact(struct gateway *gateway, const struct entity_id *repo, size_t packs_min, struct compaction_report *out, struct why *why)
{
	*out = (struct compaction_report){ 0 };
	int err = pack_list(gateway->ns, NULL, repo, count_pack, &out->before);
	if (err)
		return why_set(why, err, "the packs of the repository cannot be listed");
	out->after = out->before;
	err = compact_kind(gateway, repo, true, packs_min, out, why);
	return err ? err : compact_kind(gateway, repo, false, packs_min, out, why);
}
