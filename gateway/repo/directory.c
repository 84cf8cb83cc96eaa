#include "gateway/repo/directory.h"

#include <assert.h>
#include <stdlib.h>

#include "gateway/repo/object.h"
#include "gateway/repo/rebuild.h"

enum { JOIN_BATCH = 256 };

/* ------------------------------------------------------------------ parsing */

static int measure(struct span payload, size_t *count, size_t *names_length)
{
	struct git_tree_entry entry;
	int got;
	*count = *names_length = 0;
	while ((got = git_tree_next(&payload, &entry)) > 0) {
		(*count)++;
		*names_length += entry.name.length;
	}
	return got;
}

/* Entries as the tree has them; ERR_CORRUPT when they are not in git's order, which look-ups rely on. */
static int parse(struct span payload, struct directory **out)
{
	size_t count, names_length;
	int err = measure(payload, &count, &names_length);
	if (err)
		return err;
	struct directory *directory = cached_alloc(sizeof(*directory) + count * sizeof(directory->entries[0]) + names_length);
	if (!directory)
		return ERR_NO_MEMORY;
	char *names = (char *)&directory->entries[count];
	directory->names = names;
	size_t used = 0;
	struct git_tree_entry entry;
	for (; git_tree_next(&payload, &entry) > 0; directory->count++) {
		struct directory_entry *to = &directory->entries[directory->count];
		to->name_offset = (uint32_t)used;
		to->name_length = (uint16_t)entry.name.length;
		to->mode = entry.mode;
		to->oid = entry.oid;
		memcpy(names + used, entry.name.data, entry.name.length);
		used += entry.name.length;
		if (directory->count && git_name_compare(directory_entry_name(directory, to - 1), directory_entry_is_directory(to - 1), entry.name,
			directory_entry_is_directory(to)) >= 0) {
			cached_release(&directory->cached);
			return ERR_CORRUPT;
		}
	}
	*out = directory;
	return 0;
}

/* ------------------------------------------------------------------ joining */

static bool is_blob(const struct directory_entry *entry)
{
	uint32_t kind = entry->mode & GIT_MODE_KIND;
	return kind != GIT_MODE_DIRECTORY && kind != GIT_MODE_SUBMODULE;
}

static int join_blob(struct gateway *gateway, const struct entity_id *repo, const struct git_object *blob, struct directory_entry *entry)
{
	entry->is_missing = false;
	if (!blob->is_lfs_pointer) {
		entry->length = blob->length;
		entry->file = blob->file;
		entry->has_file = blob->length == 0 || !hash_is_zero(&blob->file);
		return 0;
	}
	entry->is_lfs = true;
	entry->length = blob->lfs_length;
	entry->pointer_length = (uint16_t)blob->length;
	entry->sha256 = blob->sha256;
	struct file_info info;
	/* A name promises this digest, so whoever said only that a file has it is not believed, in case the true one was lost. */
	int err = store_find_verified(gateway->store, repo, &blob->sha256, NULL, &info, NULL);
	if (err && err != ERR_NOT_FOUND && err != ERR_CORRUPT && err != ERR_BUSY)
		return err;
	entry->is_unsettled = err == ERR_BUSY;
	entry->has_file = err == 0;
	entry->is_damaged = err == 0 && info.is_damaged;
	if (err == 0)
		entry->file = info.file;
	return 0;
}

struct join {
	struct oid oids[JOIN_BATCH];
	struct directory_entry *entries[JOIN_BATCH];
	struct git_object objects[JOIN_BATCH];
	bool found[JOIN_BATCH];
	size_t count;
};

static int join_flush(struct gateway *gateway, const struct entity_id *repo, struct join *join, size_t *missing)
{
	int err = join->count ? store_git_get_many(gateway->store, repo, join->oids, join->count, join->objects, join->found) : 0;
	for (size_t i = 0; i < join->count && err == 0; i++) {
		if (join->found[i])
			err = join_blob(gateway, repo, &join->objects[i], join->entries[i]);
		else
			join->entries[i]->is_missing = true;
		*missing += !join->found[i];
	}
	join->count = 0;
	return err;
}

/* Joins all blobs, or only those found missing before. */
static int join_all(struct gateway *gateway, const struct entity_id *repo, struct directory *directory, bool only_missing, size_t *missing)
{
	struct join *join = malloc(sizeof(*join));
	if (!join)
		return ERR_NO_MEMORY;
	join->count = 0;
	*missing = 0;
	int err = 0;
	for (uint32_t i = 0; i < directory->count && err == 0; i++) {
		struct directory_entry *entry = &directory->entries[i];
		if (!is_blob(entry) || (only_missing && !entry->is_missing))
			continue;
		join->oids[join->count] = entry->oid;
		join->entries[join->count++] = entry;
		if (join->count == JOIN_BATCH)
			err = join_flush(gateway, repo, join, missing);
	}
	if (err == 0)
		err = join_flush(gateway, repo, join, missing);
	free(join);
	return err;
}

static int make(struct gateway *gateway, const struct entity_id *repo, const struct oid *tree, struct directory **out)
{
	struct git_object object;
	uint64_t damage_found = store_damage_found(gateway->store);
	int err = object_get(gateway, repo, tree, GIT_TREE, &object);
	if (err)
		return err;
	err = parse(object.payload, out);
	free((void *)object.payload.data);
	if (err)
		return err;
	struct directory *directory = *out;
	size_t missing;
	err = join_all(gateway, repo, directory, false, &missing);
	if (err == 0 && missing && rebuild_missing(gateway, repo) == 0)
		err = join_all(gateway, repo, directory, true, &missing);
	if (err) {
		cached_release(&directory->cached);
		return err;
	}
	directory->damage_found = damage_found;
	for (uint32_t i = 0; i < directory->count; i++)
		if (is_blob(&directory->entries[i]) && (!directory->entries[i].has_file || directory->entries[i].is_damaged))
			directory->recheck_ms = cache_clock_ms() + DIRECTORY_RECHECK_MS;
	return 0;
}

int directory_load(struct gateway *gateway, const struct entity_id *repo, const struct oid *tree, enum repo_wait wait, struct directory **out)
{
	struct cache_key key = cache_key_make(CACHED_DIRECTORY, repo, tree);
	struct directory *found = (struct directory *)repo_cache_get(gateway->trees, &key);
	if (found && found->damage_found == store_damage_found(gateway->store) && (found->recheck_ms == 0 || cache_clock_ms() < found->recheck_ms)) {
		*out = found;
		return 0;
	}
	cached_release(found ? &found->cached : NULL);
	if (wait == REPO_NO_WAIT)
		return ERR_AGAIN;
	int err = make(gateway, repo, tree, out);
	if (err == 0)
		repo_cache_put(gateway->trees, &key, &(*out)->cached);
	return err;
}

/* ------------------------------------------------------------------ searching */

uint32_t directory_lower_bound(const struct directory *directory, struct span name, bool is_directory)
{
	uint32_t low = 0, high = directory->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct directory_entry *entry = &directory->entries[middle];
		if (git_name_compare(directory_entry_name(directory, entry), directory_entry_is_directory(entry), name, is_directory) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct directory_entry *directory_find_kind(const struct directory *directory, struct span name, bool is_directory)
{
	uint32_t i = directory_lower_bound(directory, name, is_directory);
	if (i == directory->count)
		return NULL;
	const struct directory_entry *entry = &directory->entries[i];
	return directory_entry_is_directory(entry) == is_directory && span_equal(directory_entry_name(directory, entry), name) ? entry : NULL;
}

const struct directory_entry *directory_find(const struct directory *directory, struct span name)
{
	const struct directory_entry *entry = directory_find_kind(directory, name, false);
	return entry ? entry : directory_find_kind(directory, name, true);
}

int directory_descend(struct gateway *gateway, const struct entity_id *repo, const struct oid *tree, struct span path, enum repo_wait wait,
	struct directory **out)
{
	struct directory *at;
	int err = directory_load(gateway, repo, tree, wait, &at);
	for (bool more = path.length > 0; err == 0 && more;) {
		const uint8_t *slash = memchr(path.data, '/', path.length);
		struct span name = span_of(path.data, slash ? (size_t)(slash - path.data) : path.length);
		path = span_of(path.data + name.length + (slash != NULL), path.length - name.length - (slash != NULL));
		more = slash != NULL; /* a slash at the end is followed by an empty name, which nothing has */
		const struct directory_entry *entry = directory_find_kind(at, name, true);
		struct directory *next = NULL;
		err = entry ? directory_load(gateway, repo, &entry->oid, wait, &next) : ERR_NOT_FOUND;
		cached_release(&at->cached);
		at = next;
	}
	if (err == 0)
		*out = at;
	return err;
}
