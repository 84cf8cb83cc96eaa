/* roots.c - what garbage collection must keep: packs, bundles, the regular files that their maps name, and every LFS object that a ref reaches.
 *
 * DESIGN. Packs stay, whether refs reach their objects or not, and a map is a part of its pack: without its files a clone could not be made of the pack, and a
 * ref that is set back to an old commit would show files without bytes. LFS objects, which are most of the bytes, go when no ref reaches them: commits
 * from every ref, then trees not seen before. The sets of what was seen are bounded; a repository that does not fit into them, and one whose objects
 * cannot all be read, keeps everything that any of its packs names, which is a superset. Keeping too much costs disk until the next run, keeping
 * too little costs data.
 *
 * Who makes a ref lead to a commit again asks the same question of that one commit: what no ref reaches may be about to go, or gone (repo_renew). */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/repo/object.h"
#include "gateway/repo/oid_set.h"
#include "gateway/repo/pack_file.h"
#include "gateway/repo/rebuild.h"
#include "replication/bucket.h"
#include "replication/bundle.h"
#include "replication/consensus.h"

enum {
	CLAIMS_BATCH = 1024,
	SEEN_MAX = 2 << 20,     /* commits and trees of one repository: 80 MiB at most */
	BLOBS_BATCH = 256,
	NAMES_WAIT_MS = 15 * 1000,
	TAG_DEPTH_MAX = 64,     /* tags of tags */
};

enum asking { /* other nodes for objects that are not here */
	ASKS_NOBODY,
	ASKS_WHO_ANSWERS,
	ASKS_ALL,               /* ERR_BUSY: one may have it that does not answer */
};

typedef int (*emit_function)(void *gc, const struct entity_id *owner, const struct hash *file);

struct marking {
	struct gateway *gateway;
	const struct entity_id *repo;
	emit_function emit;
	void *gc;
	struct why *why;
	const struct namespace_snapshot *snapshot; /* of the refs; NULL: as they are */
	enum asking asks;
	bool only_lfs;          /* the rest stays with its pack */
	uint64_t missing;       /* pointers without an object */
	struct sha256 first_missing;
	struct oid_set seen;
	struct oid *queue;      /* commits to look at */
	size_t queue_count, queue_capacity;
	struct oid blobs[BLOBS_BATCH];
	struct git_object objects[BLOBS_BATCH];
	bool found[BLOBS_BATCH];
	size_t blobs_count;
};

/* Of several files with one digest, readers take one that is whole: which of them that is may change any day, and differ from node to node. */
static int emit_choice(void *context, const struct hash *file)
{
	const struct marking *marking = context;
	return marking->emit(marking->gc, marking->repo, file);
}

static int ask_for(struct marking *marking, const struct sha256 *sha256)
{
	struct store *store = marking->gateway->store;
	struct file_info info;
	if (marking->asks == ASKS_ALL)
		return store_find_by_sha256_on_all(store, marking->repo, sha256, &info, marking->why);
	return marking->asks == ASKS_WHO_ANSWERS && store_find_by_sha256(store, marking->repo, sha256, &info) == 0 ? 0 : ERR_NOT_FOUND;
}

static int emit_object(struct marking *marking, const struct git_object *object)
{
	if (!object->is_lfs_pointer)
		return object->length && !marking->only_lfs ? marking->emit(marking->gc, marking->repo, &object->file) : 0;
	struct store *store = marking->gateway->store;
	int err = store_choices_by_sha256(store, marking->repo, &object->sha256, emit_choice, marking);
	if (err == ERR_NOT_FOUND && (err = ask_for(marking, &object->sha256)) == 0)
		err = store_choices_by_sha256(store, marking->repo, &object->sha256, emit_choice, marking);
	if (err == ERR_NOT_FOUND) {
		marking->first_missing = marking->missing++ ? marking->first_missing : object->sha256;
		return 0;
	}
	return err;
}

static int flush_blobs(struct marking *marking)
{
	int err = marking->blobs_count ? store_git_get_many(marking->gateway->store, marking->repo, marking->blobs, marking->blobs_count, marking->objects,
		marking->found) : 0;
	for (size_t i = 0; i < marking->blobs_count && err == 0; i++)
		err = marking->found[i] ? emit_object(marking, &marking->objects[i]) : ERR_NOT_FOUND;
	marking->blobs_count = 0;
	return err;
}

static int mark_tree(struct marking *marking, const struct oid *tree, int depth)
{
	int added = oid_set_add(&marking->seen, tree);
	if (added <= 0)
		return added;
	if (depth > PATH_DEPTH_MAX)
		return ERR_TOO_BIG;
	struct git_object object;
	int err = object_get(marking->gateway, marking->repo, tree, GIT_TREE, &object);
	if (err)
		return err;
	struct span rest = object.payload;
	struct git_tree_entry entry;
	int got = 0;
	while (err == 0 && (got = git_tree_next(&rest, &entry)) > 0) {
		if (git_mode_is_directory(entry.mode)) {
			err = mark_tree(marking, &entry.oid, depth + 1);
		} else if ((entry.mode & GIT_MODE_KIND) != GIT_MODE_SUBMODULE) {
			marking->blobs[marking->blobs_count++] = entry.oid;
			err = marking->blobs_count == BLOBS_BATCH ? flush_blobs(marking) : 0;
		}
	}
	free((void *)object.payload.data);
	return err ? err : got;
}

static int queue_commit(struct marking *marking, const struct oid *oid)
{
	int added = oid_set_add(&marking->seen, oid);
	if (added <= 0)
		return added;
	if (marking->queue_count == marking->queue_capacity) {
		size_t capacity = marking->queue_capacity ? marking->queue_capacity * 2 : 64;
		struct oid *queue = realloc(marking->queue, capacity * sizeof(*queue));
		if (!queue)
			return ERR_NO_MEMORY;
		marking->queue = queue;
		marking->queue_capacity = capacity;
	}
	marking->queue[marking->queue_count++] = *oid;
	return 0;
}

/* What a tag leads to when that is no commit: git lets people tag folders and files. */
static int mark_tagged(struct marking *marking, const struct oid *oid)
{
	struct oid at = *oid;
	for (int depth = 0; depth < TAG_DEPTH_MAX; depth++) {
		struct git_object object;
		enum git_type type;
		int err = store_git_get(marking->gateway->store, marking->repo, &at, &object);
		if (err)
			return err;
		bool is_tag = object.type == GIT_TAG;
		if (is_tag)
			err = git_tag_object_of(object.payload, &at, &type);
		else if (object.type == GIT_BLOB)
			err = emit_object(marking, &object);
		free((void *)object.payload.data);
		if (err || object.type == GIT_BLOB)
			return err;
		if (!is_tag)
			return object.type == GIT_TREE ? mark_tree(marking, &at, 0) : queue_commit(marking, &at);
	}
	return ERR_TOO_BIG;
}

static int queue_ref(void *context, const struct ref *ref)
{
	struct marking *marking = context;
	struct commit *commit;
	int err = commit_load_peeled(marking->gateway, marking->repo, &ref->oid, REPO_MAY_WAIT, true, &commit);
	if (err == ERR_NOT_FOUND || err == ERR_CORRUPT)
		return mark_tagged(marking, &ref->oid);
	if (err)
		return err;
	err = queue_commit(marking, &commit->oid);
	cached_release(&commit->cached);
	return err;
}

static int mark_commit(struct marking *marking, const struct oid *oid)
{
	struct git_object object;
	struct git_commit commit;
	int err = object_get(marking->gateway, marking->repo, oid, GIT_COMMIT, &object); /* past the cache: a whole history would flush it */
	if (err)
		return err;
	err = git_commit_decode(&commit, object.payload);
	for (size_t i = 0; i < commit.parents_count && err == 0; i++)
		err = queue_commit(marking, &commit.parents[i]);
	free((void *)object.payload.data);
	return err ? err : mark_tree(marking, &commit.tree, 0);
}

static int emit_packed(void *context, const struct oid *oid, const struct git_object *object)
{
	(void)oid;
	return object->type == GIT_BLOB ? emit_object(context, object) : 0;
}

static int mark_everything(struct marking *marking, const struct pack *packs, size_t count)
{
	int err = 0;
	for (size_t i = 0; i < count && err == 0; i++)
		err = pack_file_read(marking->gateway, &packs[i], emit_packed, marking, marking->why);
	return err;
}

static int mark_queued(struct marking *marking)
{
	int err = 0;
	while (err == 0 && marking->queue_count) {
		struct oid oid = marking->queue[--marking->queue_count];
		err = mark_commit(marking, &oid);
	}
	return err ? err : flush_blobs(marking);
}

static int mark_reachable(struct marking *marking)
{
	int err = ref_list(marking->gateway->ns, marking->snapshot, marking->repo, "", queue_ref, marking);
	return err ? err : mark_queued(marking);
}

struct title {
	char text[2 * NAME_BYTES_MAX + 32];
};

/* As people know a repository: whoever reads that one of thousands is damaged looks for that one. */
static const char *title_of(struct gateway *gateway, const struct entity_id *id, struct title *out)
{
	static const char *const types[] = { [REPO_MODEL] = "model", [REPO_DATASET] = "dataset", [REPO_SPACE] = "Space", [REPO_KERNEL] = "kernel",
		[REPO_BUCKET] = "bucket" };
	struct repo repo;
	char text[2 * ENTITY_ID_BYTES + 1];
	hex_encode(text, id->bytes, ENTITY_ID_BYTES);
	bool known = repo_get_record(gateway->ns, NULL, id, &repo) == 0 && repo.type < sizeof(types) / sizeof(types[0]) && types[repo.type];
	if (known)
		snprintf(out->text, sizeof(out->text), "%s %s/%s", types[repo.type], repo.owner, repo.name);
	else
		snprintf(out->text, sizeof(out->text), "repository of id %s", text);
	return out->text;
}

struct bucket_marking {
	const struct entity_id *bucket;
	emit_function emit;
	void *gc;
};

static int mark_bucket_file(void *context, const struct bucket_file *file)
{
	const struct bucket_marking *marking = context;
	return hash_is_zero(&file->file) ? 0 : marking->emit(marking->gc, marking->bucket, &file->file);
}

/* A bucket's paths lead to files directly. Of a repository with history there are none. */
static int mark_bucket(struct gateway *gateway, const struct entity_id *bucket, emit_function emit, void *gc, struct why *why)
{
	struct bucket_marking marking = { .bucket = bucket, .emit = emit, .gc = gc };
	int err = bucket_file_list(gateway->ns, bucket, "", NULL, mark_bucket_file, &marking);
	struct title title;
	return err ? why_set(why, err, "the files of the %s cannot be enumerated", title_of(gateway, bucket, &title)) : 0;
}

static int mark_bundles(struct marking *marking)
{
	struct bundles bundles;
	int err = bundles_get(marking->gateway->ns, NULL, marking->repo, &bundles);
	if (err)
		return why_set(marking->why, ERR_IO, "the bundles of a repository cannot be listed");
	for (size_t i = 0; i < bundles.count && err == 0; i++)
		err = marking->emit(marking->gc, marking->repo, &bundles.items[i].file);
	return err;
}

static int emit_mapped(void *context, const struct oid *oid, const struct git_object *object)
{
	(void)oid;
	return emit_object(context, object);
}

static int mark_packs(struct marking *marking, const struct pack *packs, size_t count)
{
	int err = 0;
	for (size_t i = 0; i < count && err == 0; i++) {
		err = marking->emit(marking->gc, marking->repo, &packs[i].file);
		if (err == 0)
			err = pack_map_read(marking->gateway->store, &packs[i], emit_mapped, marking, marking->why);
	}
	return err;
}

static bool is_unreadable(int err)
{
	return err == ERR_TOO_BIG || err == ERR_CORRUPT || err == ERR_NOT_FOUND;
}

static int mark_repo(struct gateway *gateway, const struct entity_id *repo, const struct namespace_snapshot *snapshot, enum asking asks,
	emit_function emit, void *gc, struct why *why)
{
	struct pack *packs;
	size_t count;
	int err = rebuild_packs(gateway, repo, &packs, &count);
	struct marking *marking = err ? NULL : calloc(1, sizeof(*marking));
	struct title title;
	if (!marking)
		return why_set(why, err ? err : ERR_NO_MEMORY, "the packs of the %s cannot be listed", title_of(gateway, repo, &title));
	*marking = (struct marking){ .gateway = gateway, .repo = repo, .emit = emit, .gc = gc, .why = why, .snapshot = snapshot,
		.asks = asks };
	oid_set_init(&marking->seen, SEEN_MAX);
	err = mark_packs(marking, packs, count);
	if (err == 0)
		err = mark_bundles(marking);
	if (err == 0) {
		err = mark_reachable(marking);
		if (is_unreadable(err))
			err = mark_everything(marking, packs, count);
	}
	if (err && err != ERR_BUSY) /* that says what to wait for */
		why_set(why, err, "the files of the %s cannot be enumerated%s", title_of(gateway, repo, &title),
			is_unreadable(err) ? ": a git pack of it is lost or damaged" : "");
	oid_set_fini(&marking->seen);
	free(marking->queue);
	free(marking);
	free(packs);
	return err;
}

/* The repositories are listed first: marking one takes longer than an iterator should live. */
struct repo_ids {
	struct entity_id *ids;
	size_t count, capacity;
};

static int add_repo(void *context, const struct repo *repo)
{
	struct repo_ids *list = context;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 256;
		struct entity_id *ids = realloc(list->ids, capacity * sizeof(*ids));
		if (!ids)
			return ERR_NO_MEMORY;
		list->ids = ids;
		list->capacity = capacity;
	}
	list->ids[list->count++] = repo->id;
	return 0;
}

static int mark_all(struct gateway *gateway, enum asking asks, emit_function emit, void *gc, struct why *why)
{
	struct repo_ids list = { 0 };
	int err = repo_list(gateway->ns, 0, NULL, NULL, add_repo, &list);
	if (err)
		why_set(why, err, "the repositories cannot be listed");
	for (size_t i = 0; i < list.count && err == 0; i++)
		err = mark_repo(gateway, &list.ids[i], NULL, asks, emit, gc, why);
	for (size_t i = 0; i < list.count && err == 0; i++)
		err = mark_bucket(gateway, &list.ids[i], emit, gc, why);
	free(list.ids);
	return err;
}

struct losses {
	struct store *store;
	uint64_t count;
};

static int count_lost(void *context, const struct entity_id *owner, const struct hash *file)
{
	struct losses *losses = context;
	(void)owner;
	int err = store_find_file(losses->store, NULL, file, NULL);
	losses->count += err == ERR_NOT_FOUND;
	return err == ERR_NOT_FOUND ? 0 : err;
}

int repo_lost_files(struct gateway *gateway, uint64_t *count, struct why *why)
{
	struct repo_ids list = { 0 };
	struct losses losses = { .store = gateway->store };
	int err = repo_list(gateway->ns, 0, NULL, NULL, add_repo, &list);
	for (size_t i = 0; i < list.count && err == 0; i++) {
		struct pack *packs = NULL;
		size_t packs_count;
		err = rebuild_packs(gateway, &list.ids[i], &packs, &packs_count);
		for (size_t k = 0; err == 0 && k < packs_count; k++)
			err = count_lost(&losses, &list.ids[i], &packs[k].file);
		free(packs);
		if (err == 0)
			err = mark_bucket(gateway, &list.ids[i], count_lost, &losses, why);
	}
	free(list.ids);
	*count = losses.count;
	return err ? why_set(why, err, "it cannot be told whether the files of all names are here; try again") : 0;
}

int repo_newest_names(struct gateway *gateway, struct why *why)
{
	int err = 0;
	for (uint32_t group = GROUP_CLUSTER; group <= GROUP_REPOS && err == 0; group++)
		err = consensus_read_barrier(namespace_consensus(gateway->ns), group, NAMES_WAIT_MS, why);
	return err;
}

int repo_gc_roots(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *why)
{
	return mark_all(context, ASKS_NOBODY, emit, gc, why);
}

int repo_needs(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *why)
{
	return mark_all(context, ASKS_WHO_ANSWERS, emit, gc, why);
}

int repo_files_of(const struct repo_roots *roots, int (*emit)(void *context, const struct entity_id *owner, const struct hash *file), void *context,
	struct why *why)
{
	return mark_repo(roots->gateway, &roots->repo, roots->snapshot, roots->asks_all ? ASKS_ALL : ASKS_NOBODY, emit, context, why);
}

int repo_gc_roots_of(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *why)
{
	const struct repo_roots *roots = context;
	int err = repo_newest_names(roots->gateway, why);
	return err ? err : repo_files_of(roots, emit, gc, why);
}

/* ------------------------------------------------------------------ naming what is old */

struct renewal {
	struct marking marking;
	const struct oid *wanted; /* is it reached? */
	struct hash files[CLAIMS_BATCH];
	size_t files_count;
};

static int flush_claims(struct renewal *renewal)
{
	const struct marking *marking = &renewal->marking;
	int err = store_claim_many(marking->gateway->store, marking->repo, renewal->files, renewal->files_count, marking->why);
	renewal->files_count = 0;
	return err == ERR_NOT_FOUND ? why_set(marking->why, ERR_CONFLICT, "an LFS object of it was just dropped by a garbage collection") : err;
}

static int claim_file(void *context, const struct entity_id *owner, const struct hash *file)
{
	(void)owner;
	struct renewal *renewal = context;
	if (hash_is_zero(file))
		return 0;
	renewal->files[renewal->files_count++] = *file;
	return renewal->files_count == CLAIMS_BATCH ? flush_claims(renewal) : 0;
}

enum { MET = 1 };

/* A ref, and then what it reaches, counts as seen; what cannot be read does not. MET: it is what was looked for. */
static int see(struct renewal *renewal, const struct oid *oid)
{
	return git_oid_equal(oid, renewal->wanted) ? MET : queue_commit(&renewal->marking, oid);
}

static int see_ref(void *context, const struct ref *ref)
{
	struct renewal *renewal = context;
	struct commit *commit;
	if (git_oid_equal(&ref->oid, renewal->wanted))
		return MET;
	int err = commit_load_peeled(renewal->marking.gateway, renewal->marking.repo, &ref->oid, REPO_MAY_WAIT, true, &commit);
	if (err)
		return is_unreadable(err) ? 0 : err;
	err = see(renewal, &commit->oid);
	cached_release(&commit->cached);
	return err;
}

static int see_parents(struct renewal *renewal, const struct oid *oid)
{
	struct git_object object;
	struct git_commit commit;
	int err = object_get(renewal->marking.gateway, renewal->marking.repo, oid, GIT_COMMIT, &object);
	if (err)
		return is_unreadable(err) ? 0 : err;
	err = git_commit_decode(&commit, object.payload);
	for (size_t i = 0; i < commit.parents_count && err == 0; i++)
		err = see(renewal, &commit.parents[i]);
	free((void *)object.payload.data);
	return err;
}

static int see_reached(struct renewal *renewal)
{
	struct marking *marking = &renewal->marking;
	int err = ref_list(marking->gateway->ns, NULL, marking->repo, "", see_ref, renewal);
	while (err == 0 && marking->queue_count) {
		struct oid oid = marking->queue[--marking->queue_count];
		err = see_parents(renewal, &oid);
	}
	marking->queue_count = 0;
	return err;
}

static int claim_queued(struct renewal *renewal)
{
	struct marking *marking = &renewal->marking;
	struct pack *packs = NULL;
	size_t count;
	int err = mark_queued(marking);
	if (is_unreadable(err)) {
		err = rebuild_packs(marking->gateway, marking->repo, &packs, &count);
		err = err ? err : mark_everything(marking, packs, count);
		marking->missing = 0; /* it may be of anything */
		free(packs);
	}
	return err ? err : flush_claims(renewal);
}

static struct renewal *renewal_open(struct gateway *gateway, const struct entity_id *repo, struct why *why)
{
	struct renewal *renewal = calloc(1, sizeof(*renewal));
	if (!renewal) {
		why_set(why, ERR_NO_MEMORY, "no memory to look at what a ref shall lead to");
		return NULL;
	}
	renewal->marking = (struct marking){ .gateway = gateway, .repo = repo, .emit = claim_file, .gc = renewal, .why = why,
		.asks = ASKS_WHO_ANSWERS, .only_lfs = true };
	oid_set_init(&renewal->marking.seen, SEEN_MAX);
	return renewal;
}

static int renewal_close(struct renewal *renewal, int err)
{
	oid_set_fini(&renewal->marking.seen);
	free(renewal->marking.queue);
	free(renewal);
	return err;
}

int repo_renew_all(struct gateway *gateway, const struct entity_id *repo, const struct oid *commits, size_t count, struct why *why)
{
	int err = 0;
	if (!store_is_collecting(gateway->store))
		return 0;
	struct renewal *renewal = renewal_open(gateway, repo, why);
	if (!renewal)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < count && err == 0; i++)
		err = queue_commit(&renewal->marking, &commits[i]);
	return renewal_close(renewal, err && !is_unreadable(err) ? err : claim_queued(renewal));
}

/* First all, then what no ref reaches: a ref that is still there now either was there when a collection under way looked, or came with claims of its own. */
int repo_renew(struct gateway *gateway, const struct entity_id *repo, const struct oid *commit, struct why *why)
{
	int err = repo_renew_all(gateway, repo, commit, 1, why);
	struct renewal *renewal = err ? NULL : renewal_open(gateway, repo, why);
	if (!renewal)
		return err ? err : ERR_NO_MEMORY;
	renewal->marking.asks = ASKS_ALL;
	renewal->wanted = commit;
	err = see_reached(renewal);
	if (err == MET)
		return renewal_close(renewal, 0);
	if (err == 0)
		err = queue_commit(&renewal->marking, commit);
	if (err == 0 || is_unreadable(err))
		err = claim_queued(renewal);
	if (err == 0 && renewal->marking.missing) {
		char text[HASH_TEXT_BYTES];
		hex_encode(text, renewal->marking.first_missing.bytes, HASH_BYTES);
		err = why_set(why, ERR_CONFLICT, "the LFS object %s, which the commit needs, is no longer stored", text);
	}
	return renewal_close(renewal, err);
}
