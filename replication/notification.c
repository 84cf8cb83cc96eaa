#include "replication/notification.h"

#include <stdlib.h>

#include "replication/notification_state.h"

static const struct field notification_fields[] = {
	FIELD(struct notification, repo, FIELD_BYTES, true),
	FIELD(struct notification, subject, FIELD_BYTES, true),
	FIELD(struct notification, discussion, FIELD_U64, true),
	FIELD(struct notification, event, FIELD_U64, true),
	FIELD(struct notification, event_id, FIELD_BYTES, false),
	FIELD(struct notification, updated_ms, FIELD_I64, true),
	FIELD(struct notification, reasons, FIELD_ENUM, false),
	FIELD(struct notification, access, FIELD_ENUM, false),
	FIELD(struct notification, actor, FIELD_TEXT, false),
	FIELD(struct notification, read, FIELD_BOOL, false),
};
const struct schema notification_schema = SCHEMA(1, notification_fields);

static const struct field inbox_fields[] = {
	FIELD(struct inbox, last, FIELD_U64, true),
	FIELD(struct inbox, count, FIELD_U64, true),
	FIELD(struct inbox, off, FIELD_U64, false),
};
const struct schema inbox_schema = SCHEMA(1, inbox_fields);

static const struct field wish_fields[] = {
	FIELD(struct wish_body, user, FIELD_TEXT, true),
	FIELD(struct wish_body, wish, FIELD_ENUM, true),
	FIELD(struct wish_body, kind, FIELD_ENUM, false),
	FIELD(struct wish_body, id, FIELD_BYTES, false),
	FIELD(struct wish_body, number, FIELD_U64, false),
	FIELD(struct wish_body, value, FIELD_U64, false),
};
const struct schema wish_schema = SCHEMA(1, wish_fields);

static const struct field forget_fields[] = {
	FIELD(struct forget_body, repo, FIELD_BYTES, true),
	FIELD(struct forget_body, number, FIELD_U64, false),
};
const struct schema forget_schema = SCHEMA(1, forget_fields);

/* ---- apply: telling ---- */

static int load_inbox(const struct apply_context *apply, const char *user, struct inbox *out, struct why *why)
{
	struct key key;
	*out = (struct inbox){ 0 };
	key_inbox(&key, user);
	int err = state_get(apply, &key, &inbox_schema, out, sizeof(*out), why);
	return err == ERR_NOT_FOUND ? 0 : err;
}

static void store_inbox(const struct apply_context *apply, const char *user, const struct inbox *inbox)
{
	struct key key;
	key_inbox(&key, user);
	state_put(apply, &key, &inbox_schema, inbox);
}

static int load_at(const struct apply_context *apply, const char *user, uint64_t place, struct notification *out, struct why *why)
{
	struct key key;
	key_notification(&key, user, place);
	return state_get(apply, &key, &notification_schema, out, sizeof(*out), why);
}

static void drop(const struct apply_context *apply, const char *user, uint64_t place, const struct notification *notification)
{
	struct key key;
	key_notification(&key, user, place);
	state_delete(apply, &key);
	key_notification_about(&key, user, &notification->repo, notification->discussion);
	state_delete(apply, &key);
}

static bool take_place(void *context, struct span key)
{
	*(uint64_t *)context = get_big_endian(key.data + key.length - 8, 8);
	return true;
}

/* Makes room for one more. */
static int drop_oldest(const struct apply_context *apply, const char *user, struct inbox *inbox, struct why *why)
{
	struct notification oldest;
	struct key prefix;
	uint64_t place = 0;
	key_notification(&prefix, user, 0);
	if (inbox->count < NOTIFICATIONS_MAX || !state_any(apply, &prefix, take_place, &place))
		return 0;
	int err = load_at(apply, user, place, &oldest, why);
	if (err == 0) {
		drop(apply, user, place, &oldest);
		inbox->count--;
	}
	return err;
}

/* Puts it at the end of the inbox, in place of what the inbox had about the same thing. */
static int tell(const struct apply_context *apply, const char *user, struct notification event, struct why *why)
{
	struct inbox inbox;
	struct notification before = { 0 };
	struct key about, key;
	uint8_t place[8];
	int err = load_inbox(apply, user, &inbox, why);
	if (err)
		return err;
	key_notification_about(&about, user, &event.repo, event.discussion);
	err = state_get_bytes(apply, &about, place, sizeof(place), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	bool known = err == 0;
	uint64_t at = known ? get_big_endian(place, 8) : 0;
	err = known ? load_at(apply, user, at, &before, why) : drop_oldest(apply, user, &inbox, why);
	if (err)
		return err;
	if (known && before.event >= event.event) { /* told already; what it says of why may be new */
		before.reasons |= event.reasons;
		key_notification(&key, user, at);
		state_put(apply, &key, &notification_schema, &before);
		return 0;
	}
	if (known) {
		event.reasons |= before.read ? 0 : before.reasons;
		drop(apply, user, at, &before);
	} else {
		inbox.count++;
	}
	key_notification(&key, user, ++inbox.last);
	state_put(apply, &key, &notification_schema, &event);
	put_big_endian(place, inbox.last, 8);
	state_put_bytes(apply, &about, place, sizeof(place));
	store_inbox(apply, user, &inbox);
	return 0;
}

static bool count_key(void *context, struct span key)
{
	(void)key;
	return ++*(uint64_t *)context >= SUBSCRIBERS_MAX;
}

/* What somebody said of the discussion counts for more than that they took part. */
static int join(const struct apply_context *apply, const struct notification *event, struct why *why)
{
	struct key key, prefix;
	uint64_t count = 0;
	key_subscription(&key, &event->repo, event->discussion, event->actor);
	int err = state_get(apply, &key, NULL, NULL, 0, why);
	if (err != ERR_NOT_FOUND)
		return err;
	key_subscription(&prefix, &event->repo, event->discussion, "");
	if (!state_any(apply, &prefix, count_key, &count))
		state_put_bytes(apply, &key, &(uint8_t){ SUBSCRIPTION_PARTICIPATES }, 1);
	return 0;
}

static int malformed(const struct command *command, struct why *why)
{
	return why_set(why, ERR_INVALID, "the body of a command of type %u does not parse", command->type);
}

/* A name from a cursor; false: none. */
static bool take_name(struct cursor *cursor, char out[NAME_BYTES_MAX + 1])
{
	struct span name = cursor_text(cursor, NAME_BYTES_MAX);
	memset(out, 0, NAME_BYTES_MAX + 1);
	if (name.length)
		memcpy(out, name.data, name.length);
	return !cursor->failed && name_valid(name);
}

/* Body: [event, joins, [[user, reasons], ...]]. */
int notify_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct notification event;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 3);
	int err = record_decode_at(&cursor, &event, sizeof(event), &notification_schema);
	bool joins = cursor_bool(&cursor);
	uint32_t count = cursor_array(&cursor, NOTIFY_RECIPIENTS_MAX);
	if (err || cursor.failed || (joins && !name_valid(span_text(event.actor))))
		return err == ERR_UNSUPPORTED ? err : malformed(command, why);
	struct cursor checked = cursor;
	for (uint32_t i = 0; i < count; i++) {
		char user[NAME_BYTES_MAX + 1];
		cursor_array(&checked, 2);
		if (!take_name(&checked, user) || cursor_u64(&checked) > UINT32_MAX)
			return malformed(command, why);
	}
	if (!cursor_done(&checked))
		return malformed(command, why);
	err = joins && event.discussion ? join(apply, &event, why) : 0;
	for (uint32_t i = 0; i < count && err == 0; i++) {
		char user[NAME_BYTES_MAX + 1];
		cursor_array(&cursor, 2);
		take_name(&cursor, user);
		event.reasons = (uint32_t)cursor_u64(&cursor);
		err = tell(apply, user, event, why);
	}
	return err;
}

/* ---- apply: reading and deleting ---- */

static int change_one(const struct apply_context *apply, const char *user, unsigned action, uint64_t place, struct inbox *inbox, struct why *why)
{
	struct notification notification;
	struct key key;
	int err = load_at(apply, user, place, &notification, why);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	if (action == NOTIFICATION_DELETE) {
		drop(apply, user, place, &notification);
		inbox->count -= inbox->count > 0;
		return 0;
	}
	notification.read = action == NOTIFICATION_READ;
	key_notification(&key, user, place);
	state_put(apply, &key, &notification_schema, &notification);
	return 0;
}

/* Body: [user, action, [place, ...]]. */
int notifications_change_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	char user[NAME_BYTES_MAX + 1];
	struct inbox inbox;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 3);
	bool named = take_name(&cursor, user);
	uint64_t action = cursor_u64(&cursor);
	uint32_t count = cursor_array(&cursor, NOTIFICATIONS_MAX);
	struct cursor checked = cursor;
	for (uint32_t i = 0; i < count; i++)
		cursor_u64(&checked);
	if (!named || !cursor_done(&checked) || action < NOTIFICATION_READ || action > NOTIFICATION_DELETE)
		return malformed(command, why);
	int err = load_inbox(apply, user, &inbox, why);
	for (uint32_t i = 0; i < count && err == 0; i++)
		err = change_one(apply, user, (unsigned)action, cursor_u64(&cursor), &inbox, why);
	if (err == 0)
		store_inbox(apply, user, &inbox);
	return err;
}

/* ---- apply: wishes ---- */

static bool count_watch(void *context, struct span key)
{
	(void)key;
	return ++*(uint64_t *)context >= WATCHES_MAX;
}

static int set_watch(const struct apply_context *apply, const struct wish_body *body, struct why *why)
{
	struct key mine, theirs, prefix;
	uint64_t count = 0;
	key_watch(&mine, body->user, body->kind, &body->id);
	key_watcher(&theirs, &body->id, body->user);
	if (body->value == WATCH_UNSAID) {
		state_delete(apply, &mine);
		state_delete(apply, &theirs);
		return 0;
	}
	int err = state_get(apply, &mine, NULL, NULL, 0, why);
	key_watch(&prefix, body->user, 0, NULL);
	if (err == ERR_NOT_FOUND && state_any(apply, &prefix, count_watch, &count))
		return why_set(why, ERR_TOO_BIG, "A user watches at most %d", WATCHES_MAX);
	if (err && err != ERR_NOT_FOUND)
		return err;
	state_put_bytes(apply, &mine, &(uint8_t){ (uint8_t)body->value }, 1);
	state_put_bytes(apply, &theirs, &(uint8_t){ (uint8_t)body->value }, 1);
	return 0;
}

static int set_subscription(const struct apply_context *apply, const struct wish_body *body, struct why *why)
{
	struct key key, prefix;
	uint64_t count = 0;
	key_subscription(&key, &body->id, body->number, body->user);
	if (body->value == SUBSCRIPTION_NONE) {
		state_delete(apply, &key);
		return 0;
	}
	int err = state_get(apply, &key, NULL, NULL, 0, why);
	key_subscription(&prefix, &body->id, body->number, "");
	if (err == ERR_NOT_FOUND && state_any(apply, &prefix, count_key, &count))
		return why_set(why, ERR_TOO_BIG, "A discussion has at most %d subscribers", SUBSCRIBERS_MAX);
	if (err && err != ERR_NOT_FOUND)
		return err;
	state_put_bytes(apply, &key, &(uint8_t){ (uint8_t)body->value }, 1);
	return 0;
}

int notification_wish_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct wish_body body;
	struct inbox inbox;
	int err = body_decode(&body, sizeof(body), &wish_schema, command, why);
	if (err)
		return err;
	if (!name_valid(span_text(body.user)))
		return malformed(command, why);
	if (body.wish == WISH_WATCH && body.kind >= WATCH_USER && body.kind <= WATCH_REPO && body.value <= WATCH_NO)
		return set_watch(apply, &body, why);
	if (body.wish == WISH_SUBSCRIPTION && body.number && body.value <= SUBSCRIPTION_MUTED)
		return set_subscription(apply, &body, why);
	if (body.wish != WISH_SETTINGS)
		return malformed(command, why);
	err = load_inbox(apply, body.user, &inbox, why);
	if (err)
		return err;
	inbox.off = body.value;
	store_inbox(apply, body.user, &inbox);
	return 0;
}

/* ---- apply: forgetting ---- */

struct collected {
	struct key keys[FORGOTTEN_AT_ONCE];
	size_t count;
};

static bool collect_key(void *context, struct span key)
{
	struct collected *collected = context;
	struct key *copy = &collected->keys[collected->count++];
	copy->length = 0;
	key_add(copy, key.data, key.length);
	return collected->count == FORGOTTEN_AT_ONCE;
}

/* Leaves how many keys went: FORGOTTEN_AT_ONCE means that there may be more. */
int notifications_forget_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	struct forget_body body;
	struct key prefix, key;
	int err = body_decode(&body, sizeof(body), &forget_schema, command, why);
	if (err)
		return err;
	struct collected *collected = malloc(sizeof(*collected));
	if (!collected)
		return why_set(why, ERR_NO_MEMORY, "no memory to forget a repository");
	collected->count = 0;
	key_subscription(&prefix, &body.repo, body.number, NULL);
	state_any(apply, &prefix, collect_key, collected);
	size_t subscriptions = collected->count;
	key_watcher(&prefix, &body.repo, "");
	if (body.number == 0 && collected->count < FORGOTTEN_AT_ONCE)
		state_any(apply, &prefix, collect_key, collected);
	for (size_t i = 0; i < collected->count; i++) {
		const struct key *found = &collected->keys[i];
		state_delete(apply, found);
		if (i < subscriptions)
			continue;
		char user[NAME_BYTES_MAX + 1] = { 0 };
		size_t length = found->length - prefix.length;
		memcpy(user, found->bytes + prefix.length, length < NAME_BYTES_MAX ? length : NAME_BYTES_MAX);
		key_watch(&key, user, WATCH_REPO, &body.repo);
		state_delete(apply, &key);
	}
	pack_u64(result, collected->count);
	free(collected);
	return 0;
}
