#include "gateway/repo/received_walk.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/repo/oid_set.h"
#include "gateway/repo/received_blobs.h"
#include "schemas/git_object.h"

enum {
	BESIDE_MAX = 2,                        /* parents that a commit is compared with; what only others have is walked */
	SEEN_MAX = 8 << 20,                    /* (known tree, depth) */
	COPIES_BYTES_MAX = 160 << 20,          /* of trees that are under way */
	CALL_BYTES = 2048,                     /* reading a tree costs as much as reading so much more of it */
};
#define PAIRED_BYTES_MAX ((uint64_t)2 << 30)  /* of trees read to be compared with others */
#define WALKED_BYTES_MAX ((uint64_t)32 << 30) /* of all trees read */

struct received_walk {
	struct received_pack *received;
	uint8_t *depths;        /* per position of the pack: 1 + the depth at which all below it was walked; 0: never */
	struct oid_set seen;
	uint64_t paired_bytes, walked_bytes;
	size_t copied_bytes;    /* of trees under way */
	uint32_t missing, too_deep;
	bool is_old;            /* what is walked was there before: it may have been damaged since */
	char path[PATH_BYTES_MAX + 1];
	size_t path_length;
};

/* ------------------------------------------------------------------ trees under way */

/* A tree of its own: what is read next would move it away. */
struct tree_copy {
	uint8_t *data;          /* NULL: there is none */
	struct span rest;
	size_t length;
	struct git_tree_entry entry; /* the one that `rest` is behind; name.data NULL: the end */
};

static void next_entry(struct tree_copy *tree)
{
	if (git_tree_next(&tree->rest, &tree->entry) <= 0)
		tree->entry.name = span_of(NULL, 0);
}

static int copy_tree(struct received_walk *walk, const struct oid *oid, struct tree_copy *out, struct why *why)
{
	unsigned type;
	struct span payload;
	*out = (struct tree_copy){ 0 };
	int err = received_pack_read(walk->received, oid, &type, &payload);
	if (err || type != GIT_TREE)
		return why_set(why, err ? err : ERR_CORRUPT, "a folder cannot be read");
	walk->walked_bytes += payload.length + CALL_BYTES;
	if (walk->copied_bytes + payload.length > COPIES_BYTES_MAX || walk->walked_bytes > WALKED_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "the push has more in its folders than can be looked through; push in parts");
	out->data = malloc(payload.length + 1);
	if (!out->data)
		return why_set(why, ERR_NO_MEMORY, "no memory for a folder");
	memcpy(out->data, payload.data, payload.length);
	out->length = payload.length;
	out->rest = span_of(out->data, payload.length);
	walk->copied_bytes += out->length;
	next_entry(out);
	return 0;
}

static void drop_tree(struct received_walk *walk, struct tree_copy *tree)
{
	walk->copied_bytes -= tree->length;
	free(tree->data);
	tree->data = NULL;
}

/* The entry of the same name, NULL when there is none: names come in git's order. */
static const struct git_tree_entry *beside(struct tree_copy *tree, const struct git_tree_entry *entry)
{
	while (tree->entry.name.data) {
		int order = git_name_compare(tree->entry.name, git_mode_is_directory(tree->entry.mode), entry->name, git_mode_is_directory(entry->mode));
		if (order >= 0)
			return order == 0 ? &tree->entry : NULL;
		next_entry(tree);
	}
	return NULL;
}

/* ------------------------------------------------------------------ one path after another */

static size_t enter(struct received_walk *walk, struct span name)
{
	size_t before = walk->path_length;
	if (before + name.length + 2 > sizeof(walk->path))
		return before; /* only shown */
	if (before)
		walk->path[walk->path_length++] = '/';
	for (size_t i = 0; i < name.length; i++)
		walk->path[walk->path_length++] = name.data[i] < ' ' || name.data[i] == 0x7f ? '?' : (char)name.data[i];
	walk->path[walk->path_length] = 0;
	return before;
}

static void leave(struct received_walk *walk, size_t before)
{
	walk->path_length = before;
	walk->path[before] = 0;
}

/* Blobs of the pack were looked at when it was checked. */
static int walk_blob(struct received_walk *walk, const struct oid *oid, struct why *why)
{
	struct received_pack *received = walk->received;
	uint32_t position;
	unsigned type;
	uint64_t length;
	struct span payload;
	struct git_pointer pointer;
	if (received->pack && indexed_pack_find(received->pack, oid, &position))
		return 0;
	int err = object_dir_header(received->known, oid, &type, &length);
	if (err || type != GIT_BLOB || length > GIT_POINTER_BYTES_MAX)
		return err ? why_set(why, err, "a file cannot be read") : 0;
	err = object_dir_read(received->known, oid, &type, &payload);
	if (err || git_pointer_decode(&pointer, payload) != 0)
		return err ? why_set(why, err, "a file cannot be read") : 0;
	err = received_pointer_find(received, &pointer, walk->is_old, why);
	if (err != ERR_NOT_FOUND && err != ERR_CORRUPT)
		return err;
	received_pointer_say(received, why, walk->path, &walk->missing);
	return 0;
}

/* True when all below the tree was walked before, from at least this depth. Notes that it is being walked. */
static int was_walked(struct received_walk *walk, const struct oid *oid, int depth, bool *out, struct why *why)
{
	struct received_pack *received = walk->received;
	uint32_t position;
	if (received->pack && indexed_pack_find(received->pack, oid, &position)) {
		*out = walk->depths[position] > depth;
		if (!*out)
			walk->depths[position] = (uint8_t)(depth + 1);
		return 0;
	}
	struct oid key = *oid; /* of tree and depth */
	key.bytes[0] ^= (uint8_t)depth;
	int added = oid_set_add(&walk->seen, &key);
	*out = added == 0;
	return added < 0 ? why_set(why, added, "the push makes more folders reachable than can be looked through; push in parts") : 0;
}

static int walk_tree(struct received_walk *walk, const struct oid *oid, const struct oid *parents, size_t parents_count, int depth, struct why *why);

static int walk_entry(struct received_walk *walk, const struct git_tree_entry *entry, struct tree_copy *trees, size_t trees_count, int depth, struct why *why)
{
	bool is_directory = git_mode_is_directory(entry->mode);
	struct oid parents[BESIDE_MAX];
	size_t count = 0;
	if ((entry->mode & GIT_MODE_KIND) == GIT_MODE_SUBMODULE)
		return 0;
	for (size_t i = 0; i < trees_count; i++) {
		const struct git_tree_entry *other = beside(&trees[i], entry);
		if (!other || git_mode_is_directory(other->mode) != is_directory)
			continue;
		if (git_oid_equal(&other->oid, &entry->oid))
			return 0;
		if (is_directory)
			parents[count++] = other->oid;
	}
	size_t before = enter(walk, entry->name);
	int err = is_directory ? walk_tree(walk, &entry->oid, parents, count, depth + 1, why) : walk_blob(walk, &entry->oid, why);
	leave(walk, before);
	return err;
}

static void refuse_depth(struct received_walk *walk)
{
	if (walk->too_deep++ == 0)
		buffer_printf(walk->received->messages, "error: %s is deeper than %d folders\nerror: move it up in every commit that has it and push again\n", walk->path,
			PATH_DEPTH_MAX);
}

/* `parents`: trees under the same path in commits that are looked after. `depth`: components of the path. */
static int walk_tree(struct received_walk *walk, const struct oid *oid, const struct oid *parents, size_t parents_count, int depth, struct why *why)
{
	struct tree_copy tree, others[BESIDE_MAX];
	bool done = false;
	size_t count = 0;
	if (walk->received->cancelled)
		return why_set(why, ERR_CLOSED, "the server is stopping");
	if (depth >= PATH_DEPTH_MAX) {
		refuse_depth(walk);
		return 0;
	}
	if (walk->paired_bytes > PAIRED_BYTES_MAX)
		parents_count = 0;
	int err = parents_count ? 0 : was_walked(walk, oid, depth, &done, why);
	if (err || done)
		return err;
	uint64_t walked_bytes = walk->walked_bytes;
	err = copy_tree(walk, oid, &tree, why);
	for (; count < parents_count && err == 0; count++)
		err = copy_tree(walk, &parents[count], &others[count], why);
	walk->paired_bytes += count ? walk->walked_bytes - walked_bytes : 0;
	for (; err == 0 && tree.entry.name.data && walk->too_deep == 0; next_entry(&tree))
		err = walk_entry(walk, &tree.entry, others, count, depth, why);
	drop_tree(walk, &tree);
	while (count > 0)
		drop_tree(walk, &others[--count]);
	return err;
}

/* ------------------------------------------------------------------ where it begins */

static int root_of(struct received_walk *walk, const struct oid *commit, struct oid *tree, struct why *why)
{
	unsigned type;
	struct span payload;
	int err = received_pack_read(walk->received, commit, &type, &payload);
	if (err == 0)
		err = type == GIT_COMMIT ? git_commit_root(payload, tree) : ERR_CORRUPT;
	return err ? why_set(why, err, "a commit cannot be read") : 0;
}

int received_walk_known(struct received_walk *walk, const struct oid *oid, struct why *why)
{
	unsigned type;
	uint64_t length;
	struct oid tree = *oid;
	int err = object_dir_header(walk->received->known, oid, &type, &length);
	if (err == 0 && type == GIT_COMMIT)
		err = root_of(walk, oid, &tree, why);
	else if (err)
		why_set(why, err, "an object cannot be read");
	if (err)
		return err;
	leave(walk, 0);
	walk->is_old = true;
	return type == GIT_COMMIT || type == GIT_TREE ? walk_tree(walk, &tree, NULL, 0, 0, why) : type == GIT_BLOB ? walk_blob(walk, oid, why) : 0;
}

static int walk_commit(struct received_walk *walk, uint32_t position, struct git_commit *commit, struct why *why)
{
	struct oid parents[BESIDE_MAX], root;
	unsigned type;
	struct span payload;
	size_t count = 0;
	int err = indexed_pack_read(walk->received->pack, position, &type, &payload, why);
	if (err == 0)
		err = git_commit_decode(commit, payload);
	root = commit->tree;
	for (; err == 0 && count < commit->parents_count && count < BESIDE_MAX; count++) {
		err = root_of(walk, &commit->parents[count], &parents[count], why);
		if (err == 0 && git_oid_equal(&parents[count], &root))
			return 0;
	}
	return err ? err : walk_tree(walk, &root, parents, count, 0, why);
}

/* What a tag of the pack points to, unless it is a commit, which is walked by itself. */
static int walk_tag(struct received_walk *walk, uint32_t position, struct why *why)
{
	unsigned type;
	struct span payload;
	struct oid target;
	enum git_type target_type;
	int err = indexed_pack_read(walk->received->pack, position, &type, &payload, why);
	if (err == 0)
		err = git_tag_object_of(payload, &target, &target_type);
	return err || target_type != GIT_TREE ? err : walk_tree(walk, &target, NULL, 0, 0, why);
}

/* How deep each tree of the pack is on the longest way to it; for a pack that names no folder beside its own. */
static void check_depths(struct received_walk *walk)
{
	struct received_pack *received = walk->received;
	bool changes = true;
	while (changes && walk->too_deep == 0) {
		changes = false;
		for (size_t i = 0; i < received->edges_count; i++) {
			const struct tree_edge *edge = &received->edges[i];
			if (walk->depths[edge->child] > walk->depths[edge->parent])
				continue;
			walk->depths[edge->child] = walk->depths[edge->parent] + 1;
			changes = true;
			if (walk->depths[edge->child] < PATH_DEPTH_MAX)
				continue;
			received_path(received, edge->child, walk->path);
			refuse_depth(walk);
			break;
		}
	}
}

int received_walk_pack(struct received_walk *walk, struct why *why)
{
	struct received_pack *received = walk->received;
	if (!received->pack)
		return 0;
	if (!received->leans && received->has_all_edges) {
		check_depths(walk);
		return 0;
	}
	struct git_commit *commit = malloc(sizeof(*commit));
	uint32_t count = indexed_pack_count(received->pack);
	int err = commit ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for a commit");
	received->phase = "Checking folders";
	walk->is_old = false;
	for (uint32_t i = 0; i < count && err == 0 && walk->too_deep == 0; i++) {
		uint32_t position = indexed_pack_nth(received->pack, i);
		received->done = i;
		leave(walk, 0);
		if (received->types[position] == GIT_COMMIT)
			err = walk_commit(walk, position, commit, why);
		else if (received->types[position] == GIT_TAG)
			err = walk_tag(walk, position, why);
	}
	free(commit);
	return err;
}

/* ------------------------------------------------------------------ edges */

static int edges_of(struct received_pack *received, uint32_t position, struct git_commit *commit, int (*each)(void *context, const struct oid *oid), void *context,
	struct why *why)
{
	unsigned type;
	struct span payload;
	enum git_type target_type;
	uint32_t found;
	int err = indexed_pack_read(received->pack, position, &type, &payload, why);
	if (err)
		return err;
	if (type == GIT_COMMIT) {
		err = git_commit_decode(commit, payload);
	} else {
		commit->parents_count = 1;
		err = git_tag_object_of(payload, &commit->parents[0], &target_type);
	}
	for (size_t i = 0; i < commit->parents_count && err == 0; i++)
		if (!indexed_pack_find(received->pack, &commit->parents[i], &found))
			err = each(context, &commit->parents[i]);
	return err;
}

int received_edges(struct received_pack *received, int (*each)(void *context, const struct oid *oid), void *context, struct why *why)
{
	struct git_commit *commit = malloc(sizeof(*commit));
	uint32_t count = received->pack ? indexed_pack_count(received->pack) : 0;
	int err = commit ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for a commit");
	for (uint32_t i = 0; i < count && err == 0; i++) {
		uint32_t position = indexed_pack_nth(received->pack, i);
		if (received->types[position] == GIT_COMMIT || received->types[position] == GIT_TAG)
			err = edges_of(received, position, commit, each, context, why);
	}
	free(commit);
	return err;
}

/* ------------------------------------------------------------------ begin and end */

int received_walk_open(struct received_walk **out, struct received_pack *received)
{
	struct received_walk *walk = calloc(1, sizeof(*walk));
	*out = walk;
	if (!walk)
		return ERR_NO_MEMORY;
	walk->received = received;
	oid_set_init(&walk->seen, SEEN_MAX);
	walk->depths = calloc(received->pack ? indexed_pack_count(received->pack) + 1 : 1, 1);
	if (walk->depths)
		return 0;
	received_walk_close(walk);
	*out = NULL;
	return ERR_NO_MEMORY;
}

void received_walk_close(struct received_walk *walk)
{
	if (!walk)
		return;
	oid_set_fini(&walk->seen);
	free(walk->depths);
	free(walk);
}

int received_walk_verdict(struct received_walk *walk, struct why *why)
{
	struct received_pack *received = walk->received;
	if (walk->too_deep)
		return why_set(why, ERR_INVALID, "a path is not allowed");
	return walk->missing ? received_pointers_refuse(received, walk->missing, why) : received_claims_flush(received, why);
}
