#include "replication/follow.h"

#include <strings.h>

#include "replication/community_keys.h"
#include "replication/namespace_state.h"
#include "replication/org.h"

struct follow_body {
	char follower[NAME_BYTES_MAX + 1], followed[NAME_BYTES_MAX + 1];
	bool follows;
};
static const struct field body_fields[] = {
	FIELD(struct follow_body, follower, FIELD_TEXT, true),
	FIELD(struct follow_body, followed, FIELD_TEXT, true),
	FIELD(struct follow_body, follows, FIELD_BOOL, false),
};
static const struct schema body_schema = SCHEMA(1, body_fields);

static const struct field counts_fields[] = {
	FIELD(struct follow_counts, followers, FIELD_U64, true),
	FIELD(struct follow_counts, following, FIELD_U64, true),
};
static const struct schema counts_schema = SCHEMA(1, counts_fields);

/* ---- apply ---- */

static int load_counts(const struct apply_context *apply, const char *name, struct follow_counts *out, struct why *why)
{
	struct key key;
	*out = (struct follow_counts){ 0 };
	key_follow_counts(&key, name);
	int err = state_get(apply, &key, &counts_schema, out, sizeof(*out), why);
	return err == ERR_NOT_FOUND ? 0 : err;
}

static void store_counts(const struct apply_context *apply, const char *name, const struct follow_counts *counts)
{
	struct key key;
	key_follow_counts(&key, name);
	state_put(apply, &key, &counts_schema, counts);
}

static int change(const struct apply_context *apply, const struct follow_body *body, struct why *why)
{
	struct follow_counts mine, theirs;
	struct key key;
	int err = load_counts(apply, body->follower, &mine, why);
	if (err == 0)
		err = load_counts(apply, body->followed, &theirs, why);
	if (err)
		return err;
	if (body->follows && mine.following >= FOLLOWING_MAX)
		return why_set(why, ERR_TOO_BIG, "%s follows %d already", body->follower, FOLLOWING_MAX);
	mine.following += body->follows ? 1 : mine.following > 0 ? (uint64_t)-1 : 0;
	theirs.followers += body->follows ? 1 : theirs.followers > 0 ? (uint64_t)-1 : 0;
	store_counts(apply, body->follower, &mine);
	store_counts(apply, body->followed, &theirs);
	key_follower(&key, body->followed, body->follower);
	if (body->follows)
		state_put_bytes(apply, &key, "", 0);
	else
		state_delete(apply, &key);
	key_following(&key, body->follower, body->followed);
	if (body->follows)
		state_put_bytes(apply, &key, "", 0);
	else
		state_delete(apply, &key);
	return 0;
}

int follow_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct follow_body body;
	struct key key;
	int err = body_decode(&body, sizeof(body), &body_schema, command, why);
	if (err)
		return err;
	if (!name_valid(span_text(body.follower)) || !name_valid(span_text(body.followed)) || strcasecmp(body.follower, body.followed) == 0)
		return why_set(why, ERR_INVALID, "nobody follows oneself");
	key_follower(&key, body.followed, body.follower);
	err = state_get(apply, &key, NULL, NULL, 0, why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	return (err == 0) == body.follows ? 0 : change(apply, &body, why);
}

/* ---- outside ---- */

int follow_set(struct namespace *ns, const char *follower, const char *followed, bool follows, struct why *why)
{
	struct follow_body body = { .follows = follows };
	struct user user;
	struct org org;
	if (strcasecmp(follower, followed) == 0)
		return why_set(why, ERR_INVALID, "You cannot follow yourself");
	if (user_find(ns, followed, &user) != 0 && org_find(ns, followed, &org) != 0)
		return why_set(why, ERR_NOT_FOUND, "There is no user or organisation of this name");
	strncpy(body.follower, follower, NAME_BYTES_MAX);
	strncpy(body.followed, followed, NAME_BYTES_MAX);
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	record_encode(&bytes, &body_schema, &body);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_FOLLOW, follower, &bytes, NULL, why);
}

bool follow_is(struct namespace *ns, const char *follower, const char *followed)
{
	struct key key;
	uint8_t nothing;
	key_follower(&key, followed, follower);
	return namespace_get_bytes(ns, NULL, &key, &nothing, 0) == 0;
}

int follow_count(struct namespace *ns, const char *name, struct follow_counts *out)
{
	struct key key;
	*out = (struct follow_counts){ 0 };
	key_follow_counts(&key, name);
	int err = namespace_get(ns, NULL, &key, &counts_schema, out, sizeof(*out));
	return err == ERR_NOT_FOUND ? 0 : err;
}

struct listing {
	size_t name_offset;
	const struct key *after;
	int (*each)(void *context, const char *name);
	void *context;
};

static int list_one(void *context, struct span key, struct span value)
{
	(void)value;
	struct listing *listing = context;
	char name[NAME_BYTES_MAX + 1] = { 0 };
	if (listing->after && span_equal(key, span_of(listing->after->bytes, listing->after->length)))
		return 0;
	if (key.length <= listing->name_offset || key.length - listing->name_offset > NAME_BYTES_MAX)
		return ERR_CORRUPT;
	memcpy(name, key.data + listing->name_offset, key.length - listing->name_offset);
	return listing->each(listing->context, name);
}

static int list(struct namespace *ns, const struct key *prefix, const struct key *after, int (*each)(void *context, const char *name), void *context)
{
	struct listing listing = { .name_offset = prefix->length, .after = after, .each = each, .context = context };
	return namespace_scan(ns, NULL, prefix, after, list_one, &listing);
}

int follower_list(struct namespace *ns, const char *name, const char *after, int (*each)(void *context, const char *follower), void *context)
{
	struct key prefix, start;
	key_follower(&prefix, name, NULL);
	key_follower(&start, name, after);
	return list(ns, &prefix, after ? &start : NULL, each, context);
}

int following_list(struct namespace *ns, const char *name, const char *after, int (*each)(void *context, const char *followed), void *context)
{
	struct key prefix, start;
	key_following(&prefix, name, NULL);
	key_following(&start, name, after);
	return list(ns, &prefix, after ? &start : NULL, each, context);
}
