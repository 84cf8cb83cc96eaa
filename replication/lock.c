#include "replication/lock.h"

#include <sodium.h>
#include <stdlib.h>

#include "replication/namespace_state.h"

enum { CREATE_TRIES = 3 }; /* when the lock that was in the way is gone by the time we look at it */

static const struct field lock_fields[] = {
	FIELD(struct lock, id, FIELD_BYTES, true),
	FIELD(struct lock, path, FIELD_TEXT, true),
	FIELD(struct lock, owner, FIELD_TEXT, true),
	FIELD(struct lock, ref, FIELD_TEXT, false),
	FIELD(struct lock, locked_ms, FIELD_I64, true),
};
static const struct schema lock_schema = SCHEMA(1, lock_fields);

struct lock_create_body {
	struct entity_id repo, id;
	char path[LOCK_PATH_BYTES_MAX + 1];
	char owner[NAME_BYTES_MAX + 1];
	char ref[REF_BYTES_MAX + 1];
};
static const struct field lock_create_fields[] = {
	FIELD(struct lock_create_body, repo, FIELD_BYTES, true),
	FIELD(struct lock_create_body, id, FIELD_BYTES, true),
	FIELD(struct lock_create_body, path, FIELD_TEXT, true),
	FIELD(struct lock_create_body, owner, FIELD_TEXT, true),
	FIELD(struct lock_create_body, ref, FIELD_TEXT, false),
};
static const struct schema lock_create_schema = SCHEMA(1, lock_create_fields);

struct lock_delete_body {
	struct entity_id repo;
	struct lock_id id;
	char owner[NAME_BYTES_MAX + 1]; /* who asks */
	bool force;
};
static const struct field lock_delete_fields[] = {
	FIELD(struct lock_delete_body, repo, FIELD_BYTES, true),
	FIELD(struct lock_delete_body, id, FIELD_BYTES, true),
	FIELD(struct lock_delete_body, owner, FIELD_TEXT, true),
	FIELD(struct lock_delete_body, force, FIELD_BOOL, false),
};
static const struct schema lock_delete_schema = SCHEMA(1, lock_delete_fields);

static void key_of_path(struct key *key, const struct entity_id *repo, struct span path)
{
	uint8_t digest[HASH_BYTES];
	crypto_generichash(digest, sizeof(digest), path.data, path.length, NULL, 0);
	key_lock_path(key, repo, span_of(digest, sizeof(digest)));
}

static void key_of_id(struct key *key, const struct entity_id *repo, const struct lock_id *id)
{
	key_lock(key, repo, span_of(id->bytes, LOCK_ID_BYTES));
}

/* ---- apply ---- */

static int load_count(const struct apply_context *apply, const struct entity_id *repo, uint64_t *count, struct why *why)
{
	uint8_t bytes[8];
	struct key key;
	key_lock_count(&key, repo);
	int err = state_get_bytes(apply, &key, bytes, sizeof(bytes), why);
	*count = err ? 0 : get_big_endian(bytes, sizeof(bytes));
	return err == ERR_NOT_FOUND ? 0 : err;
}

static void store_count(const struct apply_context *apply, const struct entity_id *repo, uint64_t count)
{
	uint8_t bytes[8];
	struct key key;
	key_lock_count(&key, repo);
	put_big_endian(bytes, count, sizeof(bytes));
	if (count)
		state_put_bytes(apply, &key, bytes, sizeof(bytes));
	else
		state_delete(apply, &key);
}

/* 0 when the path may be locked. */
static int check_free(const struct apply_context *apply, const struct lock_create_body *body, const struct key *by_path, uint64_t *count, struct why *why)
{
	struct repo_state state = { 0 };
	struct key key;
	key_repo_state(&key, &body->repo);
	int err = state_get(apply, &key, &repo_state_schema, &state, sizeof(state), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (state.deleted)
		return why_set(why, ERR_NOT_FOUND, "there is no such repository");
	if (!body->path[0] || !body->owner[0])
		return why_set(why, ERR_INVALID, "a lock has a path and an owner");
	err = state_get(apply, by_path, NULL, NULL, 0, why);
	if (err != ERR_NOT_FOUND)
		return err ? err : why_set(why, ERR_EXISTS, "the path is locked already");
	err = load_count(apply, &body->repo, count, why);
	if (err == 0 && *count >= LOCKS_MAX)
		err = why_set(why, ERR_TOO_BIG, "a repository has at most %d locks", LOCKS_MAX);
	return err;
}

static int create_apply(const struct apply_context *apply, const struct lock_create_body *body, struct lock *lock, struct why *why)
{
	struct key by_id, by_path;
	uint64_t count = 0;
	key_of_path(&by_path, &body->repo, span_text(body->path));
	int err = check_free(apply, body, &by_path, &count, why);
	if (err)
		return err;
	lock->locked_ms = apply->leader_ms;
	put_big_endian(lock->id.bytes, ~(uint64_t)apply->leader_ms, 8);
	memcpy(lock->id.bytes + 8, body->id.bytes, ENTITY_ID_BYTES);
	memcpy(lock->path, body->path, sizeof(lock->path));
	memcpy(lock->owner, body->owner, sizeof(lock->owner));
	memcpy(lock->ref, body->ref, sizeof(lock->ref));
	key_of_id(&by_id, &body->repo, &lock->id);
	state_put(apply, &by_id, &lock_schema, lock);
	state_put_bytes(apply, &by_path, lock->id.bytes, LOCK_ID_BYTES);
	store_count(apply, &body->repo, count + 1);
	return 0;
}

int lock_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct lock_create_body body;
	struct lock lock = { 0 };
	int err = body_decode(&body, sizeof(body), &lock_create_schema, command, why);
	return err ? err : create_apply(apply, &body, &lock, why);
}

int lock_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct lock_delete_body body;
	struct lock lock;
	struct key by_id, by_path;
	uint64_t count;
	int err = body_decode(&body, sizeof(body), &lock_delete_schema, command, why);
	if (err)
		return err;
	key_of_id(&by_id, &body.repo, &body.id);
	err = state_get(apply, &by_id, &lock_schema, &lock, sizeof(lock), why);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such lock") : err;
	if (!body.force && strcmp(lock.owner, body.owner) != 0)
		return why_set(why, ERR_DENIED, "the lock is held by %s", lock.owner);
	err = load_count(apply, &body.repo, &count, why);
	if (err)
		return err;
	key_of_path(&by_path, &body.repo, span_text(lock.path));
	state_delete(apply, &by_id);
	state_delete(apply, &by_path);
	store_count(apply, &body.repo, count ? count - 1 : 0);
	return 0;
}

int locks_purge(const struct apply_context *apply, const struct entity_id *repo, struct why *why)
{
	struct key key;
	key_lock(&key, repo, (struct span){ 0 });
	int err = state_delete_prefix(apply, &key, why);
	key_lock_path(&key, repo, (struct span){ 0 });
	if (err == 0)
		err = state_delete_prefix(apply, &key, why);
	if (err == 0)
		store_count(apply, repo, 0);
	return err;
}

/* ---- changing ---- */

static int propose_create(struct namespace *ns, const struct lock_create_body *create, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &lock_create_schema, create);
	return namespace_propose(ns, GROUP_REPOS, COMMAND_LOCK_CREATE, create->owner, &body, NULL, why);
}

int lock_create(struct namespace *ns, const char *owner, const struct entity_id *repo, struct span path, const char *ref, struct lock *out,
	struct why *why)
{
	struct lock_create_body create = { .repo = *repo };
	if (path.length == 0 || path.length > LOCK_PATH_BYTES_MAX || memchr(path.data, 0, path.length))
		return why_set(why, ERR_INVALID, "a lock's path has 1 to %d bytes", LOCK_PATH_BYTES_MAX);
	if (strlen(owner) > NAME_BYTES_MAX || strlen(ref) > REF_BYTES_MAX)
		return why_set(why, ERR_INVALID, "the ref of a lock has at most %d bytes", REF_BYTES_MAX);
	memcpy(create.path, path.data, path.length);
	strcpy(create.owner, owner);
	strcpy(create.ref, ref);
	int err = ERR_EXISTS;
	for (int i = 0; i < CREATE_TRIES && err == ERR_EXISTS; i++) {
		entity_id_make(&create.id);
		err = propose_create(ns, &create, why);
		if (err && err != ERR_EXISTS)
			return err;
		int found = lock_of_path(ns, repo, path, out);
		if (found != ERR_NOT_FOUND)
			return found ? why_set(why, found, "the lock cannot be read") : err;
	}
	/* Ours was taken away again at once, or others come and go: either way the path is not ours. */
	return why_set(why, err ? ERR_BUSY : ERR_CONFLICT, "the path is being locked and unlocked by others");
}

int lock_delete(struct namespace *ns, const char *actor, const struct entity_id *repo, const struct lock_id *id, bool force, struct why *why)
{
	struct lock_delete_body delete = { .repo = *repo, .id = *id, .force = force };
	struct buffer body;
	if (strlen(actor) > NAME_BYTES_MAX)
		return why_set(why, ERR_INVALID, "the name is too long");
	strcpy(delete.owner, actor);
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &lock_delete_schema, &delete);
	return namespace_propose(ns, GROUP_REPOS, COMMAND_LOCK_DELETE, actor, &body, NULL, why);
}

/* ---- reading ---- */

int lock_get(struct namespace *ns, const struct entity_id *repo, const struct lock_id *id, struct lock *out)
{
	struct key key;
	key_of_id(&key, repo, id);
	return namespace_get(ns, NULL, &key, &lock_schema, out, sizeof(*out));
}

int lock_of_path(struct namespace *ns, const struct entity_id *repo, struct span path, struct lock *out)
{
	struct key key;
	struct lock_id id;
	key_of_path(&key, repo, path);
	int err = namespace_get_bytes(ns, NULL, &key, id.bytes, LOCK_ID_BYTES);
	return err ? err : lock_get(ns, repo, &id, out);
}

int lock_count(struct namespace *ns, const struct entity_id *repo, uint64_t *count)
{
	uint8_t bytes[8];
	struct key key;
	key_lock_count(&key, repo);
	int err = namespace_get_bytes(ns, NULL, &key, bytes, sizeof(bytes));
	*count = err ? 0 : get_big_endian(bytes, sizeof(bytes));
	return err == ERR_NOT_FOUND ? 0 : err;
}

struct listing {
	int (*each)(void *context, const struct lock *lock);
	void *context;
	struct lock lock;
};

static int list_one(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	int err = record_decode(&listing->lock, sizeof(listing->lock), &lock_schema, value);
	return err ? err : listing->each(listing->context, &listing->lock);
}

int lock_list(struct namespace *ns, const struct entity_id *repo, const struct lock_id *from, int (*each)(void *context, const struct lock *lock),
	void *context)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	if (!listing)
		return ERR_NO_MEMORY;
	*listing = (struct listing){ .each = each, .context = context };
	struct key prefix, start;
	key_lock(&prefix, repo, (struct span){ 0 });
	if (from)
		key_of_id(&start, repo, from);
	int err = namespace_scan(ns, NULL, &prefix, from ? &start : NULL, list_one, listing);
	free(listing);
	return err;
}
