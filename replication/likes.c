#include "replication/likes.h"

#include "replication/namespace_state.h"

static const struct field like_fields[] = {
	FIELD(struct like, repo, FIELD_BYTES, true),
	FIELD(struct like, user, FIELD_TEXT, true),
	FIELD(struct like, created_ms, FIELD_I64, false),
};
static const struct schema like_schema = SCHEMA(1, like_fields);

/* ---- apply ---- */

/* Adds to the stream of changes that this user's mind about a repository changed. */
static int like_changed(const struct apply_context *apply, const struct command *command, const struct like *like, struct why *why)
{
	struct change change = { .repo = like->repo };
	return change_append(apply, command, &change, why);
}

static int counts_load(const struct apply_context *apply, const struct entity_id *repo, struct key *key, struct day_counts *counts, struct why *why)
{
	key_repo_likes(key, repo);
	int err = state_get(apply, key, &day_counts_schema, counts, sizeof(*counts), why);
	if (err == ERR_NOT_FOUND)
		*counts = (struct day_counts){ 0 };
	return err == ERR_NOT_FOUND ? 0 : err;
}

int repo_like_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct like like;
	struct key repo, by_repo, by_user, likes;
	struct day_counts counts;
	int err = body_decode(&like, sizeof(like), &like_schema, command, why);
	if (err)
		return err;
	key_repo(&repo, &like.repo);
	err = state_get(apply, &repo, NULL, NULL, 0, why);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such repository") : err;
	key_like(&by_repo, &like.repo, span_text(like.user));
	err = state_get(apply, &by_repo, NULL, NULL, 0, why);
	if (err != ERR_NOT_FOUND)
		return err;
	err = counts_load(apply, &like.repo, &likes, &counts, why);
	if (err)
		return err;
	like.created_ms = apply->leader_ms;
	key_user_like(&by_user, span_text(like.user), &like);
	day_counts_add(&counts, day_of_ms(like.created_ms), 1);
	state_put(apply, &by_repo, &like_schema, &like);
	state_put(apply, &by_user, &like_schema, &like);
	state_put(apply, &likes, &day_counts_schema, &counts);
	return like_changed(apply, command, &like, why);
}

int repo_unlike_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct like body, like;
	struct key by_repo, by_user, likes;
	struct day_counts counts;
	int err = body_decode(&body, sizeof(body), &like_schema, command, why);
	if (err)
		return err;
	key_like(&by_repo, &body.repo, span_text(body.user));
	err = state_get(apply, &by_repo, &like_schema, &like, sizeof(like), why);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	err = counts_load(apply, &like.repo, &likes, &counts, why);
	if (err)
		return err;
	key_user_like(&by_user, span_text(like.user), &like);
	day_counts_remove(&counts, day_of_ms(like.created_ms));
	state_delete(apply, &by_repo);
	state_delete(apply, &by_user);
	state_put(apply, &likes, &day_counts_schema, &counts);
	return like_changed(apply, command, &like, why);
}

/* Body: [repository id, [user, ...]]: some of a deleted repository's likes; with no users its number goes, too. */
int likes_drop_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct cursor cursor = cursor_of(command->body);
	struct entity_id repo;
	cursor_array(&cursor, 2);
	struct span id = cursor_bytes(&cursor, ENTITY_ID_BYTES);
	uint32_t count = cursor_array(&cursor, LIKES_DROPPED_AT_ONCE);
	if (cursor.failed || id.length != ENTITY_ID_BYTES)
		return why_set(why, ERR_INVALID, "a list of likes does not parse");
	memcpy(repo.bytes, id.data, ENTITY_ID_BYTES);
	struct key key;
	if (count == 0) {
		key_repo_likes(&key, &repo);
		state_delete(apply, &key);
	}
	int err = 0;
	for (uint32_t i = 0; i < count && err == 0; i++) {
		struct like like;
		struct span user = cursor_text(&cursor, NAME_BYTES_MAX);
		key_like(&key, &repo, user);
		err = cursor.failed ? ERR_NOT_FOUND : state_get(apply, &key, &like_schema, &like, sizeof(like), why);
		if (err == 0) {
			state_delete(apply, &key);
			key_user_like(&key, span_text(like.user), &like);
			state_delete(apply, &key);
		}
		err = err == ERR_NOT_FOUND ? 0 : err;
	}
	return err;
}

/* ---- changing ---- */

static int propose(struct namespace *ns, enum command_type type, const char *user, const struct entity_id *repo, struct why *why)
{
	struct like like = { .repo = *repo };
	if (!name_valid(span_text(user)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a name", user);
	strcpy(like.user, user);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &like_schema, &like);
	return namespace_propose(ns, GROUP_CLUSTER, type, user, &body, NULL, why);
}

int repo_like(struct namespace *ns, const char *user, const struct entity_id *repo, struct why *why)
{
	return propose(ns, COMMAND_REPO_LIKE, user, repo, why);
}

int repo_unlike(struct namespace *ns, const char *user, const struct entity_id *repo, struct why *why)
{
	return propose(ns, COMMAND_REPO_UNLIKE, user, repo, why);
}

struct drop {
	struct buffer users; /* msgpack texts */
	uint32_t count;
};

static int drop_one(void *context, const struct like *like)
{
	struct drop *drop = context;
	pack_text(&drop->users, span_text(like->user));
	return ++drop->count == LIKES_DROPPED_AT_ONCE ? 1 : 0;
}

int likes_drop(struct namespace *ns, const struct entity_id *repo, struct why *why)
{
	for (;;) {
		struct drop drop = { .count = 0 };
		buffer_init(&drop.users, COMMAND_BYTES_MAX);
		int err = likers_list(ns, repo, NULL, drop_one, &drop);
		struct buffer body;
		buffer_init(&body, COMMAND_BYTES_MAX);
		pack_array(&body, 2);
		pack_bytes(&body, span_of(repo->bytes, ENTITY_ID_BYTES));
		pack_array(&body, drop.count);
		buffer_append(&body, drop.users.data, drop.users.length);
		body.failed = body.failed || drop.users.failed;
		buffer_fini(&drop.users);
		if (err < 0) {
			buffer_fini(&body);
			return err;
		}
		err = namespace_propose(ns, GROUP_CLUSTER, COMMAND_LIKES_DROP, NULL, &body, NULL, why);
		if (err || drop.count == 0)
			return err;
	}
}

/* ---- reading ---- */

int likes_of_repo(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, struct day_counts *out)
{
	struct key key;
	key_repo_likes(&key, repo);
	int err = namespace_get(ns, snapshot, &key, &day_counts_schema, out, sizeof(*out));
	if (err == ERR_NOT_FOUND)
		*out = (struct day_counts){ 0 };
	return err == ERR_NOT_FOUND ? 0 : err;
}

bool repo_liked_by(struct namespace *ns, const struct entity_id *repo, const char *user)
{
	struct key key;
	struct like like;
	key_like(&key, repo, span_text(user));
	return user[0] && namespace_get(ns, NULL, &key, &like_schema, &like, sizeof(like)) == 0;
}

struct listing {
	const struct key *after;
	int (*each)(void *context, const struct like *like);
	void *context;
};

static int list_one(void *context, struct span key, struct span value)
{
	struct listing *listing = context;
	if (listing->after && span_equal(key, span_of(listing->after->bytes, listing->after->length)))
		return 0;
	struct like like;
	int err = record_decode(&like, sizeof(like), &like_schema, value);
	return err ? err : listing->each(listing->context, &like);
}

int likers_list(struct namespace *ns, const struct entity_id *repo, const char *after, int (*each)(void *context, const struct like *like), void *context)
{
	struct key prefix, start;
	if (after && !name_valid(span_text(after)))
		return ERR_INVALID;
	key_like(&prefix, repo, (struct span){ 0 });
	key_like(&start, repo, span_text(after ? after : ""));
	struct listing listing = { .after = after ? &start : NULL, .each = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, listing.after, list_one, &listing);
}

int liked_list(struct namespace *ns, const char *user, const struct like *after, int (*each)(void *context, const struct like *like), void *context)
{
	struct key prefix, start;
	if (!name_valid(span_text(user)))
		return 0;
	key_user_like(&prefix, span_text(user), NULL);
	if (after)
		key_user_like(&start, span_text(user), after);
	struct listing listing = { .after = after ? &start : NULL, .each = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, listing.after, list_one, &listing);
}
