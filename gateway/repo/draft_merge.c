#include "gateway/repo/draft.h"

#include <stdlib.h>

#include "gateway/repo/object_hash.h"

/* ------------------------------------------------------------------ objects */

int draft_objects_add(struct draft_objects *objects, const struct oid *oid, const struct git_object *object)
{
	if (objects->count == objects->capacity) {
		size_t capacity = objects->capacity ? objects->capacity * 2 : 64;
		struct oid *oids = realloc(objects->oids, capacity * sizeof(*oids));
		if (oids)
			objects->oids = oids;
		struct git_object *all = realloc(objects->objects, capacity * sizeof(*all));
		if (all)
			objects->objects = all;
		if (!oids || !all)
			return ERR_NO_MEMORY;
		objects->capacity = capacity;
	}
	objects->oids[objects->count] = *oid;
	objects->objects[objects->count++] = *object;
	return 0;
}

static void object_free(struct git_object *object)
{
	if (object->type != GIT_BLOB) /* a pointer's text belongs to the draft */
		free((void *)object->payload.data);
}

void draft_objects_fini(struct draft_objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		object_free(&objects->objects[i]);
	free(objects->oids);
	free(objects->objects);
	*objects = (struct draft_objects){ 0 };
}

static int compare_places(const void *a, const void *b, void *context)
{
	const struct oid *oids = context;
	size_t left = *(const size_t *)a, right = *(const size_t *)b;
	int order = memcmp(oids[left].bytes, oids[right].bytes, OID_BYTES);
	return order ? order : left < right ? -1 : left > right;
}

/* Keeps the order in which objects were added: trees before the commit, children before their parents. */
void draft_objects_unique(struct draft_objects *objects)
{
	size_t *places = malloc((objects->count + 1) * sizeof(*places));
	bool *twice = calloc(objects->count + 1, sizeof(*twice));
	if (places && twice) { /* without memory the pack has an object twice: allowed, only larger */
		for (size_t i = 0; i < objects->count; i++)
			places[i] = i;
		qsort_r(places, objects->count, sizeof(*places), compare_places, objects->oids);
		for (size_t i = 1; i < objects->count; i++)
			twice[places[i]] = git_oid_equal(&objects->oids[places[i]], &objects->oids[places[i - 1]]);
		size_t kept = 0;
		for (size_t i = 0; i < objects->count; i++) {
			if (twice[i]) {
				object_free(&objects->objects[i]);
				continue;
			}
			objects->oids[kept] = objects->oids[i];
			objects->objects[kept++] = objects->objects[i];
		}
		objects->count = kept;
	}
	free(places);
	free(twice);
}

/* ------------------------------------------------------------------ one folder */

struct merge {
	struct commit_draft *draft;
	struct draft_objects *objects; /* may be NULL */
	struct why *why;
};

/* The entries of a folder in the making; names borrowed from the old tree and the overlay. */
struct entries {
	struct git_tree_entry *list;
	size_t count, capacity;
};

static int add_entry(struct entries *entries, uint32_t mode, struct span name, const struct oid *oid)
{
	if (entries->count == entries->capacity) {
		size_t capacity = entries->capacity ? entries->capacity * 2 : 16;
		struct git_tree_entry *list = realloc(entries->list, capacity * sizeof(*list));
		if (!list)
			return ERR_NO_MEMORY;
		entries->list = list;
		entries->capacity = capacity;
	}
	entries->list[entries->count++] = (struct git_tree_entry){ .mode = mode, .name = name, .oid = *oid };
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct git_tree_entry *left = a, *right = b;
	return git_name_compare(left->name, git_mode_is_directory(left->mode), right->name, git_mode_is_directory(right->mode));
}

/* The path of a node, for a sentence. */
static int refuse_clash(const struct merge *merge, const struct draft_node *node)
{
	char text[201];
	size_t start = sizeof(text) - 1;
	text[start] = 0;
	for (; node->parent; node = node->parent) {
		if (node->name.length + 1 > start)
			break;
		if (text[start])
			text[--start] = '/';
		start -= node->name.length;
		memcpy(text + start, node->name.data, node->name.length);
	}
	return why_set(merge->why, ERR_INVALID, "\"%s\" cannot be a file and a folder at once", text + start);
}

static int add_blob(struct merge *merge, const struct draft_file *file)
{
	if (!merge->objects)
		return 0;
	struct git_object object = {
		.type = GIT_BLOB,
		.is_lfs_pointer = file->is_pointer,
		.length = file->length,
		.file = file->file,
		.sha256 = file->sha256,
		.lfs_length = file->lfs_length,
		.payload = file->payload,
	};
	return draft_objects_add(merge->objects, &file->oid, &object);
}

/* The file of a child's name, if any is left. */
static int merge_file(struct merge *merge, struct draft_node *child, struct entries *entries)
{
	if (child->change == DRAFT_GONE || (child->change == DRAFT_KEEP && !child->has_base_file))
		return 0;
	if (child->change == DRAFT_KEEP)
		return add_entry(entries, child->base_mode, child->name, &child->base_file);
	const struct draft_file *file = child->file;
	uint32_t mode = file->mode ? file->mode : child->has_base_file && child->base_mode == GIT_MODE_EXECUTABLE ? GIT_MODE_EXECUTABLE : GIT_MODE_FILE;
	bool is_new = !child->has_base_file || !git_oid_equal(&child->base_file, &file->oid);
	int err = is_new ? add_blob(merge, file) : 0;
	return err ? err : add_entry(entries, mode, child->name, &file->oid);
}

static int merge_node(struct merge *merge, struct draft_node *node, const struct oid *base, struct oid *out);

/* The folder of a child's name, if anything is left in it. */
static int merge_folder(struct merge *merge, struct draft_node *child, struct entries *entries)
{
	struct oid oid = { { 0 } };
	if (child->has_base_folder && !child->emptied)
		oid = child->base_folder;
	if (child->children_count) {
		struct oid base = oid;
		int err = merge_node(merge, child, &base, &oid);
		if (err)
			return err;
	}
	return git_oid_is_zero(&oid) ? 0 : add_entry(entries, GIT_MODE_DIRECTORY, child->name, &oid);
}

static int merge_child(struct merge *merge, struct draft_node *child, struct entries *entries)
{
	size_t before = entries->count;
	int err = merge_file(merge, child, entries);
	if (err == 0)
		err = merge_folder(merge, child, entries);
	if (err == 0 && entries->count - before == 2)
		err = refuse_clash(merge, child);
	return err;
}

/* Entries that no child is about stay as they are; the others are noted at their child. */
static int spread_base(struct merge *merge, struct draft_node *node, struct span payload, struct entries *entries)
{
	struct git_tree_entry entry;
	int got, err = 0;
	while (err == 0 && (got = git_tree_next(&payload, &entry)) != 0) {
		if (got < 0)
			return why_set(merge->why, got, "a tree of the repository is malformed");
		struct draft_node *child = draft_child(merge->draft, node, entry.name, false);
		if (!child) {
			err = add_entry(entries, entry.mode, entry.name, &entry.oid);
		} else if (git_mode_is_directory(entry.mode)) {
			child->has_base_folder = true;
			child->base_folder = entry.oid;
		} else {
			child->has_base_file = true;
			child->base_mode = entry.mode;
			child->base_file = entry.oid;
		}
	}
	return err;
}

/* Writes the tree; *out is zero for an empty one below the root. */
static int write_tree(struct merge *merge, const struct draft_node *node, struct entries *entries, const struct oid *base, struct oid *out)
{
	*out = (struct oid){ { 0 } };
	if (entries->count == 0 && node->parent)
		return 0;
	if (entries->count)
		qsort(entries->list, entries->count, sizeof(entries->list[0]), compare_entries);
	struct buffer payload;
	buffer_init(&payload, GIT_OBJECT_BYTES_MAX);
	for (size_t i = 0; i < entries->count; i++)
		git_tree_append(&payload, &entries->list[i]);
	int err = payload.failed ? why_set(merge->why, ERR_TOO_BIG, "a folder of the commit has too many entries") :
		object_hash(out, GIT_TREE, buffer_span(&payload));
	if (err == 0 && merge->objects && !git_oid_equal(out, base)) {
		struct git_object object = { .type = GIT_TREE, .length = payload.length, .payload = buffer_span(&payload) };
		err = draft_objects_add(merge->objects, out, &object);
		if (err == 0)
			return 0; /* the payload went along */
	}
	buffer_fini(&payload);
	return err;
}

static int merge_node(struct merge *merge, struct draft_node *node, const struct oid *base, struct oid *out)
{
	struct commit_draft *draft = merge->draft;
	struct git_object object = { 0 };
	struct entries entries = { 0 };
	int err = 0;
	for (uint32_t i = 0; i < node->children_count; i++)
		node->children[i]->has_base_file = node->children[i]->has_base_folder = false;
	if (!git_oid_is_zero(base)) {
		err = object_get(draft->gateway, &draft->repo.id, base, GIT_TREE, &object);
		if (err)
			return why_set(merge->why, err, "a tree of the repository is missing");
		err = spread_base(merge, node, object.payload, &entries);
	}
	for (uint32_t i = 0; i < node->children_count && err == 0; i++)
		err = merge_child(merge, node->children[i], &entries);
	if (err == 0)
		err = write_tree(merge, node, &entries, base, out);
	free(entries.list);
	free((void *)object.payload.data);
	return err;
}

int draft_merge(struct commit_draft *draft, const struct oid *base_tree, struct oid *tree, struct draft_objects *objects, struct why *why)
{
	struct merge merge = { .draft = draft, .objects = objects, .why = why };
	return merge_node(&merge, &draft->root, base_tree, tree);
}
