/* notification_access.c - proposing changes of notifications, and reading them. Declared in notification.h. */
#include "replication/notification_state.h"

static bool copy_name(char out[NAME_BYTES_MAX + 1], const char *name)
{
	size_t length = strlen(name);
	memset(out, 0, NAME_BYTES_MAX + 1);
	if (length > NAME_BYTES_MAX)
		return false;
	memcpy(out, name, length);
	return true;
}

/* ---- changing ---- */

int notify(struct namespace *ns, const struct notification *event, bool joins, const struct recipient *recipients, size_t count, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, 3);
	record_encode(&body, &notification_schema, event);
	pack_bool(&body, joins);
	pack_array(&body, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		pack_array(&body, 2);
		pack_text(&body, span_text(recipients[i].user));
		pack_u64(&body, recipients[i].reasons);
	}
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_NOTIFY, event->actor, &body, NULL, why);
}

int notifications_change(struct namespace *ns, const char *user, enum notification_action action, const uint64_t *places, size_t count, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, 3);
	pack_text(&body, span_text(user));
	pack_u64(&body, action);
	pack_array(&body, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		pack_u64(&body, places[i]);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_NOTIFICATIONS_CHANGE, user, &body, NULL, why);
}

static int wish(struct namespace *ns, const char *user, struct wish_body *body, struct why *why)
{
	if (!name_valid(span_text(user)) || !copy_name(body->user, user))
		return why_set(why, ERR_INVALID, "there is no such user");
	struct buffer bytes;
	buffer_init(&bytes, COMMAND_BYTES_MAX);
	record_encode(&bytes, &wish_schema, body);
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_NOTIFICATION_WISH, user, &bytes, NULL, why);
}

int watch_set(struct namespace *ns, const char *user, enum watch_kind kind, const struct entity_id *id, enum watch_state state, struct why *why)
{
	return wish(ns, user, &(struct wish_body){ .wish = WISH_WATCH, .kind = kind, .id = *id, .value = state }, why);
}

int subscription_set(struct namespace *ns, const char *user, const struct entity_id *repo, uint64_t number, enum subscription state, struct why *why)
{
	return wish(ns, user, &(struct wish_body){ .wish = WISH_SUBSCRIPTION, .id = *repo, .number = number, .value = state }, why);
}

int notification_settings_set(struct namespace *ns, const char *user, uint64_t off, struct why *why)
{
	return wish(ns, user, &(struct wish_body){ .wish = WISH_SETTINGS, .value = off }, why);
}

int notifications_forget(struct namespace *ns, const struct entity_id *repo, uint64_t number, struct why *why)
{
	struct forget_body body = { .repo = *repo, .number = number };
	for (uint64_t gone = FORGOTTEN_AT_ONCE; gone == FORGOTTEN_AT_ONCE;) {
		struct buffer bytes, result;
		buffer_init(&bytes, COMMAND_BYTES_MAX);
		buffer_init(&result, 64);
		record_encode(&bytes, &forget_schema, &body);
		int err = namespace_propose_result(ns, GROUP_CLUSTER, COMMAND_NOTIFICATIONS_FORGET, NULL, &bytes, NULL, &result, why);
		struct cursor cursor = cursor_of(buffer_span(&result));
		gone = cursor_u64(&cursor);
		buffer_fini(&result);
		if (err)
			return err;
	}
	return 0;
}

/* ---- reading ---- */

struct listing {
	size_t prefix_bytes;
	int (*each)(void *context, const struct notification *notification);
	int (*each_watch)(void *context, enum watch_kind kind, const struct entity_id *id, enum watch_state state);
	int (*each_watcher)(void *context, const char *user, enum watch_state state);
	int (*each_subscription)(void *context, const char *user, enum subscription state);
	void *context;
};

static int list_notification(void *context, struct span key, struct span value)
{
	struct listing *listing = context;
	struct notification notification;
	int err = key.length == listing->prefix_bytes + 8 ? record_decode(&notification, sizeof(notification), &notification_schema, value) : ERR_CORRUPT;
	if (err)
		return err;
	notification.place = get_big_endian(key.data + listing->prefix_bytes, 8);
	return listing->each(listing->context, &notification);
}

int notification_list(struct namespace *ns, const char *user, int (*each)(void *context, const struct notification *notification), void *context)
{
	struct key prefix;
	key_notification(&prefix, user, 0);
	struct listing listing = { .prefix_bytes = prefix.length, .each = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, NULL, list_notification, &listing);
}

static int list_watch(void *context, struct span key, struct span value)
{
	struct listing *listing = context;
	struct entity_id id;
	if (key.length != listing->prefix_bytes + 1 + ENTITY_ID_BYTES || value.length != 1)
		return ERR_CORRUPT;
	memcpy(id.bytes, key.data + listing->prefix_bytes + 1, ENTITY_ID_BYTES);
	return listing->each_watch(listing->context, (enum watch_kind)key.data[listing->prefix_bytes], &id, (enum watch_state)value.data[0]);
}

int watch_list(struct namespace *ns, const char *user, int (*each)(void *context, enum watch_kind kind, const struct entity_id *id, enum watch_state state),
	void *context)
{
	struct key prefix;
	key_watch(&prefix, user, 0, NULL);
	struct listing listing = { .prefix_bytes = prefix.length, .each_watch = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, NULL, list_watch, &listing);
}

/* The name at the end of a key. */
static int take_user(const struct listing *listing, struct span key, char out[NAME_BYTES_MAX + 1])
{
	size_t length = key.length - listing->prefix_bytes;
	if (length == 0 || length > NAME_BYTES_MAX)
		return ERR_CORRUPT;
	memset(out, 0, NAME_BYTES_MAX + 1);
	memcpy(out, key.data + listing->prefix_bytes, length);
	return 0;
}

static int list_watcher(void *context, struct span key, struct span value)
{
	struct listing *listing = context;
	char user[NAME_BYTES_MAX + 1];
	int err = value.length == 1 ? take_user(listing, key, user) : ERR_CORRUPT;
	return err ? err : listing->each_watcher(listing->context, user, (enum watch_state)value.data[0]);
}

int watcher_list(struct namespace *ns, const struct entity_id *id, int (*each)(void *context, const char *user, enum watch_state state), void *context)
{
	struct key prefix;
	key_watcher(&prefix, id, "");
	struct listing listing = { .prefix_bytes = prefix.length, .each_watcher = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, NULL, list_watcher, &listing);
}

static int list_subscription(void *context, struct span key, struct span value)
{
	struct listing *listing = context;
	char user[NAME_BYTES_MAX + 1];
	int err = value.length == 1 ? take_user(listing, key, user) : ERR_CORRUPT;
	return err ? err : listing->each_subscription(listing->context, user, (enum subscription)value.data[0]);
}

int subscription_list(struct namespace *ns, const struct entity_id *repo, uint64_t number,
	int (*each)(void *context, const char *user, enum subscription state), void *context)
{
	struct key prefix;
	key_subscription(&prefix, repo, number, "");
	struct listing listing = { .prefix_bytes = prefix.length, .each_subscription = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, NULL, list_subscription, &listing);
}

enum subscription subscription_get(struct namespace *ns, const char *user, const struct entity_id *repo, uint64_t number)
{
	struct key key;
	uint8_t state = SUBSCRIPTION_NONE;
	key_subscription(&key, repo, number, user);
	return namespace_get_bytes(ns, NULL, &key, &state, 1) == 0 ? (enum subscription)state : SUBSCRIPTION_NONE;
}

int notification_settings_get(struct namespace *ns, const char *user, uint64_t *off)
{
	struct inbox inbox = { 0 };
	struct key key;
	key_inbox(&key, user);
	int err = namespace_get(ns, NULL, &key, &inbox_schema, &inbox, sizeof(inbox));
	*off = err ? 0 : inbox.off;
	return err == ERR_NOT_FOUND ? 0 : err;
}
