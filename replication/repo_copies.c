#include "replication/repo_copies.h"

#include "replication/cluster_settings.h"
#include "replication/namespace_state.h"

#include <stdlib.h>

struct stored_copies {
	uint32_t copies;
};
static const struct field stored_fields[] = {
	FIELD(struct stored_copies, copies, FIELD_ENUM, true),
};
static const struct schema stored_schema = SCHEMA(1, stored_fields);

struct copies_body {
	struct entity_id id;
	uint32_t copies;
};
static const struct field body_fields[] = {
	FIELD(struct copies_body, id, FIELD_BYTES, true),
	FIELD(struct copies_body, copies, FIELD_ENUM, true),
};
static const struct schema body_schema = SCHEMA(1, body_fields);

/* ---- apply ---- */

static int check(const struct apply_context *apply, unsigned copies, struct why *why)
{
	int err = 0;
	if (copies > REPLICATION_FACTOR_MAX)
		return why_set(why, ERR_INVALID, "a repository has 1 to %d copies, or 0: as many as the cluster makes", REPLICATION_FACTOR_MAX);
	unsigned domains = cluster_domains_apply(apply, &err, why);
	domains = domains ? domains : 1; /* alone */
	if (err == 0 && copies > domains)
		return why_set(why, ERR_INVALID, "%u copies of a repository cannot lie in different failure domains: there %s only %u", copies, domains == 1 ? "is" : "are",
			domains);
	return err;
}

/* -1, 0 or 1: what the number of repositories that say something changes by. */
static int count_change(const struct apply_context *apply, const struct key *key, unsigned copies, int *err, struct why *why)
{
	*err = state_get(apply, key, NULL, NULL, 0, why);
	bool was = *err == 0;
	if (*err == ERR_NOT_FOUND)
		*err = 0;
	return (copies > 0) - was;
}

int repo_copies_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct copies_body body;
	struct repo repo;
	struct key by_id, key;
	int err = body_decode(&body, sizeof(body), &body_schema, command, why);
	if (err)
		return err;
	key_repo(&by_id, &body.id);
	key_repo_copies(&key, &body.id);
	err = state_get(apply, &by_id, &repo_schema, &repo, sizeof(repo), why);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such repository") : err;
	err = check(apply, body.copies, why);
	int more = err ? 0 : count_change(apply, &key, body.copies, &err, why);
	if (err == 0 && (more || body.copies))
		err = cluster_repos_next(apply, more, REPO_COPIES_SET_MAX, why);
	if (err)
		return err;
	if (body.copies)
		state_put(apply, &key, &stored_schema, &(struct stored_copies){ .copies = body.copies });
	else if (more)
		state_delete(apply, &key);
	struct change change = { .repo = repo.id, .repo_type = repo.type };
	memcpy(change.owner, repo.owner, sizeof(change.owner));
	memcpy(change.name, repo.name, sizeof(change.name));
	return change_append(apply, command, &change, why);
}

int repo_copies_drop(const struct apply_context *apply, const struct entity_id *repo, struct why *why)
{
	struct key key;
	int err;
	key_repo_copies(&key, repo);
	if (count_change(apply, &key, 0, &err, why) == 0)
		return err;
	err = cluster_repos_next(apply, -1, REPO_COPIES_SET_MAX, why);
	if (err == 0)
		state_delete(apply, &key);
	return err;
}

/* ---- outside ---- */

int repo_copies_set(struct namespace *ns, const char *actor, const struct entity_id *repo, unsigned copies, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &body_schema, &(struct copies_body){ .id = *repo, .copies = copies });
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_REPO_COPIES, actor, &body, NULL, why);
}

int repo_copies_get(struct namespace *ns, const struct entity_id *repo, unsigned *out)
{
	struct stored_copies stored = { 0 };
	struct key key;
	key_repo_copies(&key, repo);
	int err = namespace_get(ns, NULL, &key, &stored_schema, &stored, sizeof(stored));
	*out = err ? 0 : stored.copies;
	return err == ERR_NOT_FOUND ? 0 : err;
}

/* ---- all of them ---- */

struct loading {
	struct repo_copies_table *table;
	size_t capacity;
};

static int load_one(void *context, struct span key, struct span value)
{
	struct loading *loading = context;
	struct repo_copies_table *table = loading->table;
	struct stored_copies stored;
	if (key.length != KEY_PREFIX_BYTES + ENTITY_ID_BYTES || table->count == REPO_COPIES_SET_MAX)
		return ERR_CORRUPT;
	int err = record_decode(&stored, sizeof(stored), &stored_schema, value);
	if (err || stored.copies == 0 || stored.copies > REPLICATION_FACTOR_MAX)
		return err ? err : ERR_CORRUPT;
	if (table->count == loading->capacity) {
		size_t capacity = loading->capacity ? 2 * loading->capacity : 64;
		struct repo_copies *items = realloc(table->items, capacity * sizeof(*items));
		if (!items)
			return ERR_NO_MEMORY;
		table->items = items;
		loading->capacity = capacity;
	}
	struct repo_copies *item = &table->items[table->count++];
	memcpy(item->repo.bytes, key.data + KEY_PREFIX_BYTES, ENTITY_ID_BYTES);
	item->copies = (uint8_t)stored.copies;
	if (table->least == 0 || item->copies < table->least)
		table->least = item->copies;
	if (item->copies > table->most)
		table->most = item->copies;
	return 0;
}

int repo_copies_load(struct namespace *ns, struct repo_copies_table *out, struct why *why)
{
	struct cluster_settings settings;
	struct loading loading = { .table = out };
	struct key prefix;
	*out = (struct repo_copies_table){ 0 };
	key_repo_copies(&prefix, NULL);
	struct namespace_snapshot *snapshot = namespace_snapshot_open(ns);
	int err = cluster_settings_get(ns, snapshot, &settings);
	if (err == 0)
		err = namespace_scan(ns, snapshot, &prefix, NULL, load_one, &loading);
	namespace_snapshot_close(snapshot);
	if (err == 0)
		out->epoch = settings.epoch;
	else
		repo_copies_fini(out);
	return err ? why_set(why, err, "cannot read how many copies repositories want") : 0;
}

void repo_copies_fini(struct repo_copies_table *table)
{
	free(table->items);
	*table = (struct repo_copies_table){ 0 };
}

static int by_id(const void *id, const void *item)
{
	return memcmp(id, ((const struct repo_copies *)item)->repo.bytes, ENTITY_ID_BYTES);
}

unsigned repo_copies_find(const struct repo_copies_table *table, const struct entity_id *repo)
{
	const struct repo_copies *item = table->count ? bsearch(repo->bytes, table->items, table->count, sizeof(*table->items), by_id) : NULL;
	return item ? item->copies : 0;
}
