#include "gateway/repo/lfs_uses.h"

#include <stdlib.h>

#include "gateway/repo/object.h"
#include "gateway/repo/oid_set.h"

enum {
	SEEN_MAX = 1 << 20,  /* commits, trees and blobs: 40 MiB at most */
	BLOBS_BATCH = 128,
	REFS_MAX = 100000,
};

/* Blobs of one directory that were not met before. */
struct batch {
	struct oid oids[BLOBS_BATCH];
	size_t names[BLOBS_BATCH]; /* offset of each name in `text` */
	struct buffer text;
	size_t count;
};

struct walk {
	struct gateway *gateway;
	const struct entity_id *repo;
	int (*each)(void *context, const struct lfs_use *use);
	void *context;
	struct oid_set seen;
	const char *ref;
	struct oid *queue;
	size_t queue_count, queue_capacity;
	char path[PATH_BYTES_MAX + 1];
};

static int visit_blob(struct walk *walk, const struct git_object *object, const struct oid *oid, const char *name, size_t length)
{
	size_t name_length = strlen(name);
	if (!object->is_lfs_pointer || length + name_length > PATH_BYTES_MAX)
		return 0;
	memcpy(walk->path + length, name, name_length + 1);
	struct lfs_use use = { .sha256 = object->sha256, .length = object->lfs_length, .pointer = *oid, .path = walk->path, .ref = walk->ref };
	return walk->each(walk->context, &use);
}

static int visit_blobs(struct walk *walk, struct batch *batch, size_t length)
{
	struct git_object objects[BLOBS_BATCH];
	bool found[BLOBS_BATCH];
	int err = batch->count ? store_git_get_many(walk->gateway->store, walk->repo, batch->oids, batch->count, objects, found) : 0;
	for (size_t i = 0; i < batch->count && err == 0; i++)
		if (found[i])
			err = visit_blob(walk, &objects[i], &batch->oids[i], (const char *)batch->text.data + batch->names[i], length);
	batch->count = 0;
	buffer_clear(&batch->text);
	return err;
}

static int visit_tree(struct walk *walk, const struct oid *tree, size_t length, int depth);

static int visit_folder(struct walk *walk, const struct git_tree_entry *entry, size_t length, int depth)
{
	if (length + entry->name.length + 1 > PATH_BYTES_MAX)
		return 0;
	memcpy(walk->path + length, entry->name.data, entry->name.length);
	walk->path[length + entry->name.length] = '/';
	return visit_tree(walk, &entry->oid, length + entry->name.length + 1, depth + 1);
}

static int add_blob(struct walk *walk, struct batch *batch, const struct git_tree_entry *entry, size_t length)
{
	int added = oid_set_add(&walk->seen, &entry->oid);
	if (added <= 0)
		return added;
	batch->oids[batch->count] = entry->oid;
	batch->names[batch->count++] = batch->text.length;
	buffer_append(&batch->text, entry->name.data, entry->name.length);
	buffer_append_byte(&batch->text, 0);
	if (batch->text.failed)
		return ERR_NO_MEMORY;
	return batch->count == BLOBS_BATCH ? visit_blobs(walk, batch, length) : 0;
}

static int visit_entries(struct walk *walk, struct span rest, struct batch *batch, size_t length, int depth)
{
	struct git_tree_entry entry;
	int got, err = 0;
	while (err == 0 && (got = git_tree_next(&rest, &entry)) > 0) {
		if (git_mode_is_directory(entry.mode))
			err = visit_folder(walk, &entry, length, depth);
		else if ((entry.mode & GIT_MODE_KIND) != GIT_MODE_SUBMODULE)
			err = add_blob(walk, batch, &entry, length);
	}
	return err ? err : visit_blobs(walk, batch, length);
}

/* `length` bytes of walk->path lead to it. */
static int visit_tree(struct walk *walk, const struct oid *tree, size_t length, int depth)
{
	int added = oid_set_add(&walk->seen, tree);
	if (added <= 0)
		return added;
	if (depth > PATH_DEPTH_MAX)
		return ERR_TOO_BIG;
	struct git_object object;
	int err = object_get(walk->gateway, walk->repo, tree, GIT_TREE, &object);
	struct batch *batch = err ? NULL : calloc(1, sizeof(*batch));
	if (!batch) {
		if (err == 0)
			free((void *)object.payload.data);
		return err ? err : ERR_NO_MEMORY;
	}
	buffer_init(&batch->text, BLOBS_BATCH * (PATH_BYTES_MAX + 1));
	err = visit_entries(walk, object.payload, batch, length, depth);
	buffer_fini(&batch->text);
	free(batch);
	free((void *)object.payload.data);
	return err;
}

static int queue_commit(struct walk *walk, const struct oid *oid)
{
	int added = oid_set_add(&walk->seen, oid);
	if (added <= 0)
		return added;
	if (walk->queue_count == walk->queue_capacity) {
		size_t capacity = walk->queue_capacity ? walk->queue_capacity * 2 : 64;
		struct oid *queue = realloc(walk->queue, capacity * sizeof(*queue));
		if (!queue)
			return ERR_NO_MEMORY;
		walk->queue = queue;
		walk->queue_capacity = capacity;
	}
	walk->queue[walk->queue_count++] = *oid;
	return 0;
}

static int visit_commit(struct walk *walk, const struct oid *oid)
{
	struct git_object object;
	struct git_commit commit;
	int err = object_get(walk->gateway, walk->repo, oid, GIT_COMMIT, &object);
	if (err)
		return err;
	err = git_commit_decode(&commit, object.payload);
	for (size_t i = 0; i < commit.parents_count && err == 0; i++)
		err = queue_commit(walk, &commit.parents[i]);
	free((void *)object.payload.data);
	return err ? err : visit_tree(walk, &commit.tree, 0, 0);
}

static int visit_ref(struct walk *walk, const struct ref *ref)
{
	struct commit *commit;
	walk->ref = ref->name;
	int err = commit_load_peeled(walk->gateway, walk->repo, &ref->oid, REPO_MAY_WAIT, true, &commit);
	if (err)
		return err;
	err = queue_commit(walk, &commit->oid);
	cached_release(&commit->cached);
	while (err == 0 && walk->queue_count) {
		struct oid oid = walk->queue[--walk->queue_count];
		err = visit_commit(walk, &oid);
	}
	return err;
}

/* Listed first: the walk takes longer than an iterator should live. */
static int keep_ref(void *context, const struct ref *ref)
{
	struct buffer *refs = context;
	return refs->length / sizeof(*ref) < REFS_MAX ? buffer_append(refs, ref, sizeof(*ref)) : ERR_TOO_BIG;
}

int lfs_uses(struct gateway *gateway, const struct entity_id *repo, int (*each)(void *context, const struct lfs_use *use), void *context, struct why *why)
{
	struct buffer refs;
	struct walk *walk = calloc(1, sizeof(*walk));
	if (!walk)
		return why_set(why, ERR_NO_MEMORY, "no memory to look at a repository");
	*walk = (struct walk){ .gateway = gateway, .repo = repo, .each = each, .context = context };
	oid_set_init(&walk->seen, SEEN_MAX);
	buffer_init(&refs, REFS_MAX * sizeof(struct ref));
	int err = ref_list(gateway->ns, NULL, repo, "", keep_ref, &refs);
	for (size_t at = 0; at < refs.length && err == 0; at += sizeof(struct ref)) {
		struct ref ref;
		memcpy(&ref, refs.data + at, sizeof(ref));
		err = visit_ref(walk, &ref);
	}
	if (err == ERR_TOO_BIG)
		why_set(why, err, "The history is too large to be looked through");
	else if (err < 0)
		why_set(why, err, "The history cannot be read");
	buffer_fini(&refs);
	oid_set_fini(&walk->seen);
	free(walk->queue);
	free(walk);
	return err;
}
