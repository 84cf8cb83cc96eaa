/* copy.c - a repository with the whole history of another one.
 *
 * DESIGN. Nothing is read but lists and trees: the target claims every file that the source's refs reach and its packs, takes the packs under its own name,
 * and then the refs, all as they stood in one snapshot. The order is that of a push: bytes (claims), then what leads to them (packs and
 * the object table), then names (refs). */
#include <stdlib.h>

#include "gateway/repo/quota.h"
#include "gateway/repo/repo.h"

enum { CLAIMS_BATCH = 4096, REFS_BATCH = 500 };

struct copy {
	struct gateway *gateway;
	const struct repo *source, *target;
	const struct actor *actor;
	struct namespace_snapshot *snapshot;
	struct hash *files;
	size_t files_count;
	struct pack *packs;
	size_t packs_count, packs_capacity;
	struct ref_update *refs;
	size_t refs_count, refs_capacity;
	struct why *why;
};

static int flush_files(struct copy *copy)
{
	struct store *store = copy->gateway->store;
	int err = store_claim_many(store, &copy->target->id, copy->files, copy->files_count, copy->why);
	copy->files_count = 0;
	if (err == ERR_NOT_FOUND) /* which says something else to who emits them */
		return store_has_others(store) ? why_set(copy->why, ERR_BUSY, "a file of the repository is not known here yet; try again") :
			why_set(copy->why, ERR_CORRUPT, "a file of the repository is no longer stored");
	return err;
}

static int add_file(void *context, const struct entity_id *owner, const struct hash *file)
{
	(void)owner;
	struct copy *copy = context;
	if (hash_is_zero(file))
		return 0;
	copy->files[copy->files_count++] = *file;
	return copy->files_count == CLAIMS_BATCH ? flush_files(copy) : 0;
}

static void *grown(void *items, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return items;
	size_t wanted = *capacity ? *capacity * 2 : 64;
	void *more = realloc(items, wanted * size);
	*capacity = more ? wanted : *capacity;
	return more;
}

static int add_pack(void *context, const struct pack *pack)
{
	struct copy *copy = context;
	struct pack *packs = grown(copy->packs, copy->packs_count, &copy->packs_capacity, sizeof(*packs));
	if (!packs)
		return ERR_NO_MEMORY;
	copy->packs = packs;
	copy->packs[copy->packs_count++] = *pack;
	return 0;
}

/* Pull requests belong to the discussions of the source. */
static int add_ref(void *context, const struct ref *ref)
{
	struct copy *copy = context;
	if (strncmp(ref->name, "refs/pr/", 8) == 0)
		return 0;
	struct ref_update *refs = grown(copy->refs, copy->refs_count, &copy->refs_capacity, sizeof(*refs));
	if (!refs)
		return ERR_NO_MEMORY;
	copy->refs = refs;
	struct ref_update *update = &copy->refs[copy->refs_count++];
	*update = (struct ref_update){ .new_oid = ref->oid, .privileged = true };
	memcpy(update->name, ref->name, sizeof(update->name));
	return 0;
}

static int claim_files(struct copy *copy)
{
	struct repo_roots roots = { .gateway = copy->gateway, .repo = copy->source->id, .snapshot = copy->snapshot, .asks_all = true };
	int err = repo_files_of(&roots, add_file, copy, copy->why);
	for (size_t i = 0; i < copy->packs_count && err == 0; i++)
		err = add_file(copy, NULL, &copy->packs[i].file); /* as the snapshot has them: they may have been merged since */
	return err ? err : flush_files(copy);
}

static int take_names(struct copy *copy)
{
	struct namespace *ns = copy->gateway->ns;
	int err = 0;
	for (size_t i = 0; i < copy->packs_count && err == 0; i++)
		err = refs_update(ns, copy->actor->name, &copy->target->id, NULL, 0, &copy->packs[i], NULL, copy->why);
	if (err == 0)
		err = repo_rebuild(copy->gateway, copy->target, copy->why);
	for (size_t at = 0; at < copy->refs_count && err == 0; at += REFS_BATCH) {
		size_t count = copy->refs_count - at < REFS_BATCH ? copy->refs_count - at : REFS_BATCH;
		err = refs_update(ns, copy->actor->name, &copy->target->id, copy->refs + at, count, NULL, NULL, copy->why);
	}
	return err;
}

static int run(struct copy *copy)
{
	struct quota_reservation reservation = { 0 };
	uint64_t files, bytes;
	int err = ref_list(copy->gateway->ns, copy->snapshot, &copy->source->id, "", add_ref, copy);
	if (err == 0)
		err = pack_list(copy->gateway->ns, copy->snapshot, &copy->source->id, add_pack, copy);
	if (err == 0)
		err = store_owner_usage(copy->gateway->store, &copy->source->id, &files, &bytes);
	if (err)
		return why_set(copy->why, err, "the repository %s/%s cannot be read", copy->source->owner, copy->source->name);
	err = quota_reserve(copy->gateway, copy->target, copy->actor, bytes, &reservation, copy->why);
	if (err == 0)
		err = claim_files(copy);
	if (err == 0)
		err = take_names(copy);
	quota_release(&reservation, err == 0);
	return err;
}

int repo_copy(struct gateway *gateway, const struct repo *source, const struct repo *target, const struct actor *actor, struct why *why)
{
	struct copy copy = { .gateway = gateway, .source = source, .target = target, .actor = actor, .why = why };
	struct upload_entry naming;
	store_naming_begin(gateway->store, &naming);
	copy.snapshot = namespace_snapshot_open(gateway->ns);
	copy.files = malloc(CLAIMS_BATCH * sizeof(*copy.files));
	int err = copy.snapshot && copy.files ? run(&copy) : why_set(why, ERR_NO_MEMORY, "no memory to copy a repository");
	namespace_snapshot_close(copy.snapshot);
	store_naming_end(gateway->store, &naming);
	free(copy.files);
	free(copy.packs);
	free(copy.refs);
	return err;
}
