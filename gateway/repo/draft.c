#include "gateway/repo/draft.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "gateway/repo/damage.h"
#include "gateway/repo/object_hash.h"

enum { ARENA_BLOCK_BYTES = 64 << 10, BUCKETS_FIRST = 64, CHILDREN_FIRST = 4 };

/* ------------------------------------------------------------------ memory */

struct arena_block {
	struct arena_block *next;
	size_t used, capacity;
	_Alignas(16) uint8_t data[];
};

static _Atomic size_t arenas_bytes; /* of all drafts together */

void *arena_alloc(struct arena *arena, size_t bytes)
{
	bytes = (bytes + 15) & ~(size_t)15;
	struct arena_block *block = arena->blocks;
	if (!block || block->capacity - block->used < bytes) {
		size_t capacity = bytes > ARENA_BLOCK_BYTES ? bytes : ARENA_BLOCK_BYTES;
		if (arena->bytes + capacity > DRAFT_MEMORY_BYTES_MAX || atomic_load(&arenas_bytes) + capacity > DRAFTS_MEMORY_BYTES_MAX)
			return NULL;
		block = calloc(1, sizeof(*block) + capacity);
		if (!block)
			return NULL;
		atomic_fetch_add(&arenas_bytes, capacity);
		block->capacity = capacity;
		block->next = arena->blocks;
		arena->blocks = block;
		arena->bytes += capacity;
	}
	void *memory = block->data + block->used;
	block->used += bytes;
	return memory;
}

void arena_fini(struct arena *arena)
{
	for (struct arena_block *block = arena->blocks, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	atomic_fetch_sub(&arenas_bytes, arena->bytes);
	arena->bytes = 0;
}

/* ------------------------------------------------------------------ the overlay */

static size_t bucket_of(const struct draft_node *parent, struct span name, size_t buckets_count)
{
	return (size_t)XXH3_64bits_withSeed(name.data, name.length, (uint64_t)(uintptr_t)parent) & (buckets_count - 1);
}

static bool grow_buckets(struct commit_draft *draft)
{
	size_t count = draft->buckets_count ? draft->buckets_count * 2 : BUCKETS_FIRST;
	struct draft_node **buckets = calloc(count, sizeof(*buckets));
	if (!buckets)
		return false;
	for (size_t i = 0; i < draft->buckets_count; i++) {
		for (struct draft_node *node = draft->buckets[i], *next; node; node = next) {
			next = node->chain;
			struct draft_node **bucket = &buckets[bucket_of(node->parent, node->name, count)];
			node->chain = *bucket;
			*bucket = node;
		}
	}
	free(draft->buckets);
	draft->buckets = buckets;
	draft->buckets_count = count;
	return true;
}

static bool add_child(struct commit_draft *draft, struct draft_node *parent, struct draft_node *child)
{
	if (parent->children_count == parent->children_capacity) {
		uint32_t capacity = parent->children_capacity ? parent->children_capacity * 2 : CHILDREN_FIRST;
		struct draft_node **children = arena_alloc(&draft->arena, capacity * sizeof(*children)); /* the old one stays: at most as much again */
		if (!children)
			return false;
		if (parent->children_count)
			memcpy(children, parent->children, parent->children_count * sizeof(*children));
		parent->children = children;
		parent->children_capacity = capacity;
	}
	parent->children[parent->children_count++] = child;
	return true;
}

struct draft_node *draft_child(struct commit_draft *draft, struct draft_node *parent, struct span name, bool make)
{
	if (draft->buckets_count)
		for (struct draft_node *node = draft->buckets[bucket_of(parent, name, draft->buckets_count)]; node; node = node->chain)
			if (node->parent == parent && span_equal(node->name, name))
				return node;
	if (!make || (draft->nodes_count >= draft->buckets_count && !grow_buckets(draft)))
		return NULL;
	struct draft_node *node = arena_alloc(&draft->arena, sizeof(*node));
	uint8_t *copy = arena_alloc(&draft->arena, name.length);
	if (!node || !copy || !add_child(draft, parent, node))
		return NULL;
	memcpy(copy, name.data, name.length);
	node->parent = parent;
	node->name = span_of(copy, name.length);
	struct draft_node **bucket = &draft->buckets[bucket_of(parent, node->name, draft->buckets_count)];
	node->chain = *bucket;
	*bucket = node;
	draft->nodes_count++;
	return node;
}

/* The first component of `rest`, taken off it. */
static struct span take_component(struct span *rest)
{
	const uint8_t *slash = memchr(rest->data, '/', rest->length);
	struct span name = span_of(rest->data, slash ? (size_t)(slash - rest->data) : rest->length);
	size_t used = name.length + (slash != NULL);
	*rest = span_of(rest->data + used, rest->length - used);
	return name;
}

struct draft_node *draft_node_at(struct commit_draft *draft, struct span path)
{
	struct draft_node *node = &draft->root;
	while (node && path.length)
		node = draft_child(draft, node, take_component(&path), true);
	return node;
}

/* Forgets everything set or removed below a node. */
static void clear_below(struct draft_node *node)
{
	for (uint32_t i = 0; i < node->children_count; i++) {
		node->children[i]->change = DRAFT_KEEP;
		node->children[i]->emptied = false;
		clear_below(node->children[i]);
	}
}

static bool any_set(const struct draft_node *node)
{
	bool any = node->change == DRAFT_SET;
	for (uint32_t i = 0; i < node->children_count && !any; i++)
		any = any_set(node->children[i]);
	return any;
}

/* ------------------------------------------------------------------ opening and closing */

int draft_tree_of(struct commit_draft *draft, const struct oid *oid, struct oid *tree)
{
	*tree = (struct oid){ { 0 } };
	if (git_oid_is_zero(oid))
		return 0;
	struct commit *commit;
	int err = commit_load(draft->gateway, &draft->repo.id, oid, REPO_MAY_WAIT, true, &commit);
	if (err)
		return err;
	*tree = commit->tree;
	cached_release(&commit->cached);
	return 0;
}

int draft_head(struct commit_draft *draft, struct oid *head)
{
	struct ref ref;
	*head = draft->ref[0] ? (struct oid){ { 0 } } : draft->base;
	if (!draft->ref[0])
		return 0;
	int err = ref_get(draft->gateway->ns, NULL, &draft->repo.id, draft->ref, &ref);
	if (err == 0)
		*head = ref.oid;
	return err == ERR_NOT_FOUND ? 0 : err;
}

static int any_ref(void *context, const struct ref *ref)
{
	(void)context;
	(void)ref;
	return 1;
}

/* The head to build on: what the client expects, if that is the head, or the head's parent - then this may be a retry of a commit that was made,
 * which only its end can tell. */
static int choose_base(struct commit_draft *draft, const struct oid *head, struct why *why)
{
	draft->base = *head;
	if (!draft->has_expected || git_oid_equal(head, &draft->expected))
		return 0;
	struct commit_info info = { 0 };
	int err = git_oid_is_zero(head) ? 0 : repo_commit_info(draft->gateway, &draft->repo, head, REPO_MAY_WAIT, &info);
	if (err)
		return err;
	bool is_parent = info.parents_count && git_oid_equal(&info.parents[0], &draft->expected);
	commit_info_fini(&info);
	if (!is_parent)
		return why_set(why, ERR_CONFLICT, "%s is no longer where the commit was made for", draft->ref);
	draft->base = draft->expected;
	return 0;
}

static int open_on_ref(struct commit_draft *draft, struct why *why)
{
	struct oid head;
	int err = draft_head(draft, &head);
	if (err)
		return why_set(why, err, "%s cannot be read", draft->ref);
	if (git_oid_is_zero(&head)) {
		bool is_default = strcmp(draft->ref, draft->repo.head) == 0;
		err = is_default ? ref_list(draft->gateway->ns, NULL, &draft->repo.id, "", any_ref, NULL) : 1;
		if (err)
			return why_set(why, err > 0 ? ERR_NOT_FOUND : err, "there is no %s", draft->ref);
	}
	err = choose_base(draft, &head, why);
	if (err == 0)
		err = draft_tree_of(draft, &draft->base, &draft->base_tree);
	if (err == ERR_NOT_FOUND) /* the ref is there: what it names is on another node, or lost */
		err = store_has_others(draft->gateway->store) ? ERR_BUSY : ERR_CORRUPT;
	if (err)
		return err == ERR_CONFLICT ? err : why_set(why, err, "the head of %s cannot be read", draft->ref);
	return upload_open(&draft->upload, draft->gateway->store, &draft->repo.id, why);
}

static void begin_naming(struct commit_draft *draft)
{
	store_naming_begin(draft->gateway->store, &draft->naming);
	draft->is_naming = true;
}

void commit_draft_pause(struct commit_draft *draft)
{
	if (draft->is_naming)
		store_naming_end(draft->gateway->store, &draft->naming);
	draft->is_naming = false;
}

bool commit_draft_resume(struct commit_draft *draft)
{
	begin_naming(draft);
	return store_collections(draft->gateway->store) == draft->collections;
}

int commit_draft_open(struct commit_draft **out, struct gateway *gateway, const struct repo *repo, const char *ref, const struct oid *expected_parent,
	struct why *why)
{
	*out = NULL;
	if (strlen(ref) > REF_BYTES_MAX)
		return why_set(why, ERR_INVALID, "the ref's name is too long");
	struct commit_draft *draft = calloc(1, sizeof(*draft));
	if (!draft)
		return why_set(why, ERR_NO_MEMORY, "no memory for a commit");
	draft->gateway = gateway;
	draft->repo = *repo;
	begin_naming(draft);
	draft->collections = store_collections(gateway->store);
	snprintf(draft->ref, sizeof(draft->ref), "%s", ref);
	draft->has_expected = expected_parent != NULL;
	if (expected_parent)
		draft->expected = *expected_parent;
	int err = open_on_ref(draft, why);
	if (err) {
		commit_draft_close(draft);
		return err;
	}
	*out = draft;
	return 0;
}

int commit_draft_open_at(struct commit_draft **out, struct gateway *gateway, const struct repo *repo, const struct oid *parent, struct why *why)
{
	*out = NULL;
	struct commit_draft *draft = calloc(1, sizeof(*draft));
	if (!draft)
		return why_set(why, ERR_NO_MEMORY, "no memory for a commit");
	draft->gateway = gateway;
	draft->repo = *repo;
	begin_naming(draft);
	draft->collections = store_collections(gateway->store);
	draft->base = *parent;
	int err = draft_tree_of(draft, &draft->base, &draft->base_tree);
	if (err)
		err = why_set(why, err == ERR_CORRUPT ? ERR_NOT_FOUND : err, "there is no such commit");
	else
		err = repo_renew(gateway, &repo->id, parent, why);
	if (err == 0)
		err = upload_open(&draft->upload, gateway->store, &repo->id, why);
	if (err) {
		commit_draft_close(draft);
		return err;
	}
	*out = draft;
	return 0;
}

const struct oid *commit_draft_base(const struct commit_draft *draft)
{
	return &draft->base;
}

void commit_draft_publish(struct commit_draft *draft, commit_publish_fn publish, void *context)
{
	draft->publish = publish;
	draft->publish_context = context;
}

void commit_draft_by(struct commit_draft *draft, const struct actor *actor)
{
	draft->by = actor;
}

void commit_draft_close(struct commit_draft *draft)
{
	if (!draft)
		return;
	if (draft->upload)
		upload_close(draft->upload);
	commit_draft_pause(draft);
	free(draft->buckets);
	arena_fini(&draft->arena);
	free(draft);
}

struct upload *commit_draft_upload(struct commit_draft *draft)
{
	return draft->upload;
}

int draft_upload_renew(struct commit_draft *draft, struct why *why)
{
	if (!draft->upload_committed)
		return 0;
	upload_close(draft->upload);
	draft->upload = NULL;
	draft->upload_committed = false;
	return upload_open(&draft->upload, draft->gateway->store, &draft->repo.id, why);
}

/* ------------------------------------------------------------------ operations */

static int begin_operation(struct commit_draft *draft, struct span path, struct why *why)
{
	if (draft->operations_count == DRAFT_OPERATIONS_MAX)
		return why_set(why, ERR_TOO_BIG, "the commit has more than %d operations", DRAFT_OPERATIONS_MAX);
	draft->operations_count++;
	return path_check(path, why);
}

static int set_file(struct commit_draft *draft, struct span path, const struct draft_file *file, struct why *why)
{
	struct draft_node *node = draft_node_at(draft, path);
	struct draft_file *copy = node ? arena_alloc(&draft->arena, sizeof(*copy)) : NULL;
	uint8_t *payload = copy && file->payload.length ? arena_alloc(&draft->arena, file->payload.length) : NULL;
	if (!copy || (file->payload.length && !payload))
		return why_set(why, ERR_NO_MEMORY, "the commit has too many paths");
	*copy = *file;
	if (payload) {
		memcpy(payload, file->payload.data, file->payload.length);
		copy->payload.data = payload;
	}
	node->change = DRAFT_SET;
	node->file = copy;
	draft->lfs_count += file->is_pointer;
	return 0;
}

int commit_draft_file(struct commit_draft *draft, struct span path, const struct upload_result *content, struct why *why)
{
	int err = begin_operation(draft, path, why);
	if (err)
		return err;
	if (git_oid_is_zero(&content->git_oid))
		return why_set(why, ERR_INVALID, "the blob id of \"%.*s\" was not computed", PATH_SHOWN(path));
	if (content->length > REGULAR_FILE_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "\"%.*s\" is larger than 10 MiB and must be stored with LFS", PATH_SHOWN(path));
	struct draft_file file = { .oid = content->git_oid, .length = content->length, .file = content->file };
	return set_file(draft, path, &file, why);
}

/* A file that was stored before this commit may be named by nothing: a collection that began before the ref moves would drop it once its claim
 * is old. Claiming it again makes the claim young. The empty file has nothing to keep. */
static int renew_claim(struct commit_draft *draft, struct span path, const struct hash *file, struct why *why)
{
	if (hash_is_zero(file))
		return 0;
	int err = store_claim(draft->gateway->store, &draft->repo.id, file, why);
	return err == ERR_NOT_FOUND ? why_set(why, err, "the content of \"%.*s\" is no longer stored", PATH_SHOWN(path)) : err;
}

/* The store's file for an LFS object of this repository, its digest known to be true and its claim young. */
static int find_lfs_object(struct commit_draft *draft, struct span path, const struct sha256 *sha256, uint64_t length, struct store_caller *caller,
	struct file_info *info, struct why *why)
{
	char text[2 * HASH_BYTES + 1];
	hex_encode(text, sha256->bytes, HASH_BYTES);
	struct why inner = { 0 };
	int err = store_find_verified(draft->gateway->store, &draft->repo.id, sha256, caller, info, &inner);
	if (err == ERR_BUSY || err == ERR_CLOSED)
		return why_set(why, err, "the content of \"%.*s\" (%s) is not verified yet: %s", PATH_SHOWN(path), text, inner.text);
	if (err == ERR_NOT_FOUND)
		return why_set(why, err, "the LFS object %s of \"%.*s\" was not uploaded", text, PATH_SHOWN(path));
	if (err == 0 && damage_check(info, sha256, path, why) != 0)
		return ERR_CORRUPT;
	if (err)
		return why_set(why, err, err == ERR_CORRUPT ? "the content of \"%.*s\" does not have the SHA-256 %s" : "the content of \"%.*s\" (%s) cannot be read",
			PATH_SHOWN(path), text);
	if (length != UINT64_MAX && info->length != length)
		return why_set(why, ERR_INVALID, "the LFS object %s of \"%.*s\" has another size than announced", text, PATH_SHOWN(path));
	return renew_claim(draft, path, &info->file, why);
}

int commit_draft_lfs(struct commit_draft *draft, struct span path, const struct sha256 *sha256, uint64_t length, struct store_caller *caller, struct why *why)
{
	int err = begin_operation(draft, path, why);
	if (err)
		return err;
	struct file_info info;
	err = find_lfs_object(draft, path, sha256, length, caller, &info, why);
	if (err)
		return err;
	struct buffer text;
	buffer_init(&text, GIT_POINTER_BYTES_MAX);
	struct draft_file file = { .is_pointer = true, .sha256 = *sha256, .lfs_length = info.length };
	err = git_pointer_encode(&text, &(struct git_pointer){ .sha256 = *sha256, .length = info.length });
	file.payload = buffer_span(&text);
	file.length = text.length;
	if (err == 0)
		err = object_hash(&file.oid, GIT_BLOB, file.payload);
	if (err == 0)
		err = set_file(draft, path, &file, why);
	buffer_fini(&text);
	return err;
}

static int unsettled(struct span path, struct why *why)
{
	return why_set(why, ERR_BUSY, "the content of \"%.*s\" is not here, and nodes that may have it cannot be asked now; try again", PATH_SHOWN(path));
}

int draft_set_object(struct commit_draft *draft, struct span path, const struct draft_file *file, struct why *why)
{
	int err = begin_operation(draft, path, why);
	if (err)
		return err;
	struct file_info info;
	int found = file->is_pointer ? store_find_verified(draft->gateway->store, &draft->repo.id, &file->sha256, NULL, &info, NULL) : ERR_NOT_FOUND;
	if (found == ERR_BUSY)
		return unsettled(path, why);
	const struct hash *claimed = found == 0 ? &info.file : &file->file;
	/* What is still in the draft's own upload has no claim yet, and needs none. */
	if (store_find_file(draft->gateway->store, &draft->repo.id, claimed, NULL) == 0)
		err = renew_claim(draft, path, claimed, why);
	return err ? err : set_file(draft, path, file, why);
}

/* ------------------------------------------------------------------ removing and copying */

/* What a path is with the operations so far: 0 or ERR_NOT_FOUND. */
static int path_exists(struct commit_draft *draft, struct span path)
{
	struct draft_node *node = &draft->root;
	bool base_shows = !git_oid_is_zero(&draft->base);
	for (struct span rest = path; node && rest.length;) {
		node = draft_child(draft, node, take_component(&rest), false);
		if (node && rest.length && node->emptied)
			base_shows = false;
	}
	if (node && any_set(node))
		return 0;
	if (!base_shows)
		return ERR_NOT_FOUND;
	struct tree_entry entry;
	int err = repo_entry(draft->gateway, &draft->repo, &draft->base, path, REPO_MAY_WAIT, &entry);
	if (err == ERR_CORRUPT) /* its content is lost; it can still be removed */
		return 0;
	if (err == 0 && node && (entry.is_directory ? node->emptied : node->change == DRAFT_GONE))
		return ERR_NOT_FOUND;
	return err;
}

int commit_draft_delete(struct commit_draft *draft, struct span path, struct why *why)
{
	while (path.length > 1 && path.data[path.length - 1] == '/') /* folders are often written so */
		path.length--;
	int err = begin_operation(draft, path, why);
	if (err == 0)
		err = path_exists(draft, path);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "\"%.*s\" does not exist", PATH_SHOWN(path)) : err;
	struct draft_node *node = draft_node_at(draft, path);
	if (!node)
		return why_set(why, ERR_NO_MEMORY, "the commit has too many paths");
	node->change = DRAFT_GONE;
	node->emptied = true;
	clear_below(node);
	return 0;
}

static int copy_file(struct commit_draft *draft, struct span path, const struct tree_entry *from, struct why *why)
{
	struct draft_file file = { .oid = from->oid, .mode = from->is_executable ? GIT_MODE_EXECUTABLE : GIT_MODE_FILE };
	int err = from->has_file ? renew_claim(draft, from->path, &from->file, why) : 0; /* an LFS file may be a pointer alone */
	if (err)
		return err;
	if (from->is_unsettled)
		return unsettled(from->path, why);
	if (!from->is_lfs) {
		if (!from->has_file)
			return why_set(why, ERR_CORRUPT, "the content of \"%.*s\" is missing", PATH_SHOWN(from->path));
		file.length = from->length;
		file.file = from->file;
		return set_file(draft, path, &file, why);
	}
	struct git_object object;
	err = object_get(draft->gateway, &draft->repo.id, &from->oid, GIT_BLOB, &object);
	if (err)
		return why_set(why, err, "the pointer of \"%.*s\" is missing", PATH_SHOWN(from->path));
	file.is_pointer = true;
	file.length = object.payload.length;
	file.payload = object.payload;
	file.sha256 = from->sha256;
	file.lfs_length = from->length;
	err = set_file(draft, path, &file, why);
	free((void *)object.payload.data);
	return err;
}

struct folder_copy {
	struct commit_draft *draft;
	struct span to;
	size_t from_length;
	struct why *why;
};

static int copy_entry(void *context, const struct tree_entry *entry)
{
	struct folder_copy *copy = context;
	if (entry->is_directory)
		return 0;
	char path[2 * PATH_BYTES_MAX + 2];
	int length = snprintf(path, sizeof(path), "%.*s%.*s", (int)copy->to.length, (const char *)copy->to.data,
		(int)(entry->path.length - copy->from_length), (const char *)entry->path.data + copy->from_length);
	struct span to = span_of(path, (size_t)length);
	int err = begin_operation(copy->draft, to, copy->why);
	return err ? err : copy_file(copy->draft, to, entry, copy->why);
}

int commit_draft_copy(struct commit_draft *draft, struct span path, struct span from, const struct oid *from_commit, struct why *why)
{
	int err = begin_operation(draft, path, why);
	if (err)
		return err;
	struct tree_entry entry;
	err = repo_entry(draft->gateway, &draft->repo, from_commit, from, REPO_MAY_WAIT, &entry);
	if (err)
		return why_set(why, err, err == ERR_NOT_FOUND ? "\"%.*s\" does not exist" : "\"%.*s\" cannot be read", PATH_SHOWN(from));
	if (!entry.is_directory)
		return copy_file(draft, path, &entry, why);
	struct folder_copy copy = { .draft = draft, .to = path, .from_length = from.length, .why = why };
	return repo_walk(draft->gateway, &draft->repo, from_commit, from, true, span_of("", 0), REPO_MAY_WAIT, copy_entry, &copy);
}
