#include "gateway/repo/object.h"

#include <stdlib.h>

#include "gateway/repo/listing.h"
#include "gateway/repo/rebuild.h"

enum { TAG_DEPTH_MAX = 8, LISTING_WAIT_MS = 5000 };

static int table_get(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, unsigned types, struct git_object *out)
{
	*out = (struct git_object){ 0 };
	int err = store_git_get(gateway->store, repo, oid, out);
	if (err == 0 && !(types >> out->type & 1)) {
		free((void *)out->payload.data);
		return ERR_CORRUPT;
	}
	return err;
}

/* What was named a moment ago may be on its way into the table. */
static int get_awaited(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, unsigned types, struct git_object *out)
{
	int err = table_get(gateway, repo, oid, types, out);
	if (err != ERR_NOT_FOUND)
		return err;
	listings_wait(gateway->trees, repo, LISTING_WAIT_MS);
	return table_get(gateway, repo, oid, types, out);
}

static int get_repairing(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, unsigned types, struct git_object *out)
{
	int err = get_awaited(gateway, repo, oid, types, out);
	if (err != ERR_NOT_FOUND)
		return err;
	err = rebuild_missing(gateway, repo);
	if (err)
		return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
	err = table_get(gateway, repo, oid, types, out);
	return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

int object_get(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, enum git_type type, struct git_object *out)
{
	return get_repairing(gateway, repo, oid, 1u << type, out);
}

static struct commit *commit_make(const struct oid *oid, const struct git_object *object)
{
	struct commit *commit = cached_alloc(sizeof(*commit) + object->payload.length);
	if (!commit)
		return NULL;
	commit->oid = *oid;
	commit->length = object->payload.length;
	if (commit->length)
		memcpy(commit->payload, object->payload.data, commit->length);
	return commit;
}

/* A commit goes to *out; a tag's target to *next. */
static int load_one(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, bool must_exist, unsigned types, struct commit **out,
	struct oid *next)
{
	struct git_object object;
	int err = must_exist ? get_repairing(gateway, repo, oid, types, &object) : get_awaited(gateway, repo, oid, types, &object);
	if (err == ERR_NOT_FOUND && !must_exist && rebuild_newer(gateway, repo) == 0)
		err = table_get(gateway, repo, oid, types, &object);
	if (err)
		return err == ERR_CORRUPT && !must_exist ? ERR_NOT_FOUND : err; /* it is a tree or a blob */
	if (object.type == GIT_TAG) {
		enum git_type type;
		err = git_tag_object_of(object.payload, next, &type);
		free((void *)object.payload.data);
		return err ? err : type == GIT_COMMIT || type == GIT_TAG ? 0 : ERR_NOT_FOUND;
	}
	struct commit *commit = commit_make(oid, &object);
	free((void *)object.payload.data);
	if (!commit)
		return ERR_NO_MEMORY;
	err = git_commit_root(span_of(commit->payload, commit->length), &commit->tree);
	if (err) {
		cached_release(&commit->cached);
		return err;
	}
	*out = commit;
	return 0;
}

static int load(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, enum repo_wait wait, bool must_exist, unsigned types,
	struct commit **out)
{
	struct cache_key key = cache_key_make(CACHED_COMMIT, repo, oid);
	struct cached *found = repo_cache_get(gateway->trees, &key);
	if (found) {
		*out = (struct commit *)found;
		return 0;
	}
	if (wait == REPO_NO_WAIT)
		return ERR_AGAIN;
	struct commit *commit = NULL;
	struct oid at = *oid, next;
	int err = 0;
	for (int depth = 0; err == 0 && !commit; depth++) {
		if (depth == TAG_DEPTH_MAX)
			return ERR_CORRUPT;
		err = load_one(gateway, repo, &at, must_exist || depth > 0, types, &commit, &next);
		at = next;
	}
	if (err)
		return err;
	key = cache_key_make(CACHED_COMMIT, repo, &commit->oid); /* of the commit, also when a tag led to it */
	repo_cache_put(gateway->trees, &key, &commit->cached);
	*out = commit;
	return 0;
}

int commit_load(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, enum repo_wait wait, bool must_exist, struct commit **out)
{
	return load(gateway, repo, oid, wait, must_exist, 1u << GIT_COMMIT, out);
}

int commit_load_peeled(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, enum repo_wait wait, bool must_exist,
	struct commit **out)
{
	return load(gateway, repo, oid, wait, must_exist, 1u << GIT_COMMIT | 1u << GIT_TAG, out);
}

int commit_tree(struct gateway *gateway, const struct entity_id *repo, const struct oid *commit_oid, struct oid *tree)
{
	struct commit *commit;
	int err = commit_load(gateway, repo, commit_oid, REPO_MAY_WAIT, true, &commit);
	if (err)
		return err;
	*tree = commit->tree;
	cached_release(&commit->cached);
	return 0;
}
