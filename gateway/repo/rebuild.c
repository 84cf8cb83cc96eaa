#include "gateway/repo/rebuild.h"

#include <stdlib.h>

#include "gateway/repo/cache.h"
#include "gateway/repo/object_batch.h"
#include "gateway/repo/pack_file.h"
#include "gateway/repo/turn.h"
#include "replication/consensus.h"

enum {
	REPAIR_PAUSE_MS = 5000,
	REPAIR_WAIT_MS = 60 * 1000,
	BATCH_OBJECTS = 512,
	PACKS_MAX = 1 << 20, /* of one repository */
};

/* ------------------------------------------------------------------ the packs of a repository */

struct pack_array {
	struct pack *packs;
	size_t count, capacity;
};

static int add_pack(void *context, const struct pack *pack)
{
	struct pack_array *array = context;
	if (array->count == array->capacity) {
		size_t capacity = array->capacity ? array->capacity * 2 : 64;
		struct pack *packs = capacity > PACKS_MAX ? NULL : realloc(array->packs, capacity * sizeof(*packs));
		if (!packs)
			return ERR_NO_MEMORY;
		array->packs = packs;
		array->capacity = capacity;
	}
	array->packs[array->count++] = *pack;
	return 0;
}

int rebuild_packs(struct gateway *gateway, const struct entity_id *repo, struct pack **out, size_t *count)
{
	struct pack_array array = { 0 };
	int err = pack_list(gateway->ns, NULL, repo, add_pack, &array);
	if (err) {
		free(array.packs);
		return err;
	}
	*out = array.packs;
	*count = array.count;
	return 0;
}

/* ------------------------------------------------------------------ putting one pack's objects */

static int batch_add(void *context, const struct oid *oid, const struct git_object *object)
{
	return object_batch_add(context, oid, object);
}

static int put_pack(struct gateway *gateway, const struct entity_id *repo, const struct pack *pack, struct why *why)
{
	struct object_batch *batch = calloc(1, sizeof(*batch));
	if (!batch)
		return ERR_NO_MEMORY;
	batch->gateway = gateway;
	batch->repo = repo;
	int err = pack_file_read(gateway, pack, batch_add, batch, why);
	int flushed = object_batch_flush(batch);
	free(batch);
	return err ? err : flushed;
}

/* ------------------------------------------------------------------ is a pack all there? */

enum { STOP_ABSENT = 1 };

struct presence {
	struct gateway *gateway;
	const struct entity_id *repo;
	struct oid oids[BATCH_OBJECTS];
	size_t count;
};

static int presence_flush(struct presence *presence)
{
	struct git_object *objects = calloc(BATCH_OBJECTS, sizeof(*objects));
	bool found[BATCH_OBJECTS] = { false };
	int err = objects ? 0 : ERR_NO_MEMORY;
	if (err == 0 && presence->count)
		err = store_git_get_many(presence->gateway->store, presence->repo, presence->oids, presence->count, objects, found);
	for (size_t i = 0; i < presence->count && err == 0; i++)
		if (!found[i])
			err = STOP_ABSENT;
	presence->count = 0;
	free(objects);
	return err;
}

static int presence_add(void *context, const struct oid *oid)
{
	struct presence *presence = context;
	presence->oids[presence->count++] = *oid;
	return presence->count == BATCH_OBJECTS ? presence_flush(presence) : 0;
}

static int pack_present(struct gateway *gateway, const struct entity_id *repo, const struct pack *pack, bool *present, struct why *why)
{
	struct presence presence = { .gateway = gateway, .repo = repo };
	int err = pack_file_oids(gateway, pack, presence_add, &presence, why);
	if (err == 0)
		err = presence_flush(&presence);
	*present = err == 0;
	return err == STOP_ABSENT ? 0 : err;
}

/* ------------------------------------------------------------------ whole repositories */

/* Everything from the newest pack back to one that is all there. When that is the newest already and yet something is missing, no pack is believed. */
static int repair(struct gateway *gateway, const struct entity_id *repo, bool is_missing, struct why *why)
{
	struct pack *packs;
	size_t count;
	int err = rebuild_packs(gateway, repo, &packs, &count);
	if (err)
		return err;
	size_t first = count;
	for (bool present = false; first > 0 && !present && err == 0;) {
		err = pack_present(gateway, repo, &packs[first - 1], &present, why);
		first -= !present;
	}
	bool all = is_missing && first == count;
	for (size_t i = all ? 0 : first; i < count && err == 0; i++) {
		bool present = false;
		if (all)
			err = pack_present(gateway, repo, &packs[i], &present, why);
		if (err == 0 && !present)
			err = put_pack(gateway, repo, &packs[i], why);
	}
	free(packs);
	return err;
}

struct repair_note {
	struct cached cached;
	int64_t done_ms;
	uint64_t version; /* of the repository, before its packs were listed */
};

static bool is_cluster(const struct gateway *gateway)
{
	return gateway->replica && !consensus_alone(namespace_consensus(gateway->ns));
}

static uint64_t version_of(struct gateway *gateway, const struct entity_id *repo)
{
	struct repo found;
	return repo_get(gateway->ns, NULL, repo, &found) == 0 ? found.version : 0;
}

static bool note_get(struct gateway *gateway, const struct cache_key *key, struct repair_note *out)
{
	struct repair_note *note = (struct repair_note *)repo_cache_get(gateway->trees, key);
	if (note) { /* not its head: the cache's lists run through that */
		out->done_ms = note->done_ms;
		out->version = note->version;
	}
	cached_release(note ? &note->cached : NULL);
	return note != NULL;
}

static bool is_fresh(struct gateway *gateway, const struct cache_key *key, int64_t pause_ms)
{
	struct repair_note note;
	return note_get(gateway, key, &note) && cache_clock_ms() - note.done_ms < pause_ms;
}

static void note_done(struct gateway *gateway, const struct cache_key *key, uint64_t version)
{
	struct repair_note *note = cached_alloc(sizeof(*note));
	if (!note)
		return;
	note->done_ms = cache_clock_ms();
	note->version = version;
	repo_cache_put(gateway->trees, key, &note->cached);
	cached_release(&note->cached);
}

static int repair_once(struct gateway *gateway, const struct entity_id *repo, bool is_missing, const struct cache_key *key, int64_t pause_ms)
{
	struct turns *turns = repo_cache_turns(gateway->trees);
	struct turn turn;
	int err = turn_begin(turns, &turn, repo, "", REPAIR_WAIT_MS);
	if (err)
		return err;
	if (!is_fresh(gateway, key, pause_ms)) {
		struct why why = { 0 };
		err = repair(gateway, repo, is_missing, &why);
		if (err == 0 || (is_missing && err != ERR_BUSY)) /* busy: not here yet */
			note_done(gateway, key, 0);
	}
	turn_end(turns, &turn);
	return err;
}

/* ------------------------------------------------------------------ packs that other nodes have brought */

/* Every pack behind `known`. Those that this node brought itself are there, so one that is all there says nothing of those before it. */
static int put_newer(struct gateway *gateway, const struct entity_id *repo, uint64_t known, struct why *why)
{
	struct pack *packs;
	size_t count;
	int err = rebuild_packs(gateway, repo, &packs, &count);
	if (err)
		return err;
	for (size_t i = 0; i < count && err == 0; i++) {
		bool present = false;
		if (packs[i].version <= known)
			continue;
		err = pack_present(gateway, repo, &packs[i], &present, why);
		if (err == 0 && !present)
			err = put_pack(gateway, repo, &packs[i], why);
	}
	free(packs);
	return err;
}

/* A node of a cluster remembers up to which version its table has all packs. At the same version it does not look again within the pause. */
static int catch_up(struct gateway *gateway, const struct entity_id *repo, int64_t pause_ms)
{
	struct cache_key key = cache_key_make(CACHED_REPAIR, repo, &(struct oid){ { 2 } });
	struct turns *turns = repo_cache_turns(gateway->trees);
	struct turn turn;
	struct repair_note note;
	struct why why = { 0 };
	int err = turn_begin(turns, &turn, repo, "", REPAIR_WAIT_MS);
	if (err)
		return err;
	uint64_t version = version_of(gateway, repo);
	bool noted = note_get(gateway, &key, &note), is_new = !noted || note.version < version;
	if (is_new || cache_clock_ms() - note.done_ms >= pause_ms) {
		err = put_newer(gateway, repo, is_new && noted ? note.version : 0, &why);
		if (err == 0)
			note_done(gateway, &key, version);
	}
	turn_end(turns, &turn);
	return err;
}

int rebuild_newer(struct gateway *gateway, const struct entity_id *repo)
{
	return is_cluster(gateway) ? catch_up(gateway, repo, INT64_MAX) : 0;
}

int rebuild_missing(struct gateway *gateway, const struct entity_id *repo)
{
	struct cache_key key = cache_key_make(CACHED_REPAIR, repo, &(struct oid){ { 0 } });
	if (is_cluster(gateway))
		return catch_up(gateway, repo, REPAIR_PAUSE_MS);
	return repair_once(gateway, repo, true, &key, REPAIR_PAUSE_MS);
}

int rebuild_before_put(struct gateway *gateway, const struct entity_id *repo)
{
	struct cache_key key = cache_key_make(CACHED_REPAIR, repo, &(struct oid){ { 1 } });
	return is_fresh(gateway, &key, INT64_MAX) ? 0 : repair_once(gateway, repo, false, &key, INT64_MAX);
}

int repo_rebuild(struct gateway *gateway, const struct repo *repo, struct why *why)
{
	struct pack *packs;
	size_t count;
	int err = rebuild_packs(gateway, &repo->id, &packs, &count);
	if (err)
		return why_set(why, err, "the packs of %s/%s cannot be listed", repo->owner, repo->name);
	/* Put over what is there, not in place of it: readers go on meanwhile. */
	for (size_t i = 0; i < count && err == 0; i++)
		err = put_pack(gateway, &repo->id, &packs[i], why);
	free(packs);
	return err;
}
