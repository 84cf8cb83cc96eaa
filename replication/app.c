#include "replication/app.h"

#include "replication/namespace_state.h"

enum { APP_BYTES_MAX = 16 << 10 };

static const struct field app_fields[] = {
	FIELD(struct app, id, FIELD_BYTES, true),
	FIELD(struct app, name, FIELD_TEXT, true),
	FIELD(struct app, owner, FIELD_TEXT, true),
	FIELD(struct app, has_secret, FIELD_BOOL, false),
	FIELD(struct app, secret_digest, FIELD_BYTES, false),
	FIELD(struct app, eddsa, FIELD_BOOL, false),
	FIELD(struct app, scopes, FIELD_U64, false),
	FIELD(struct app, created_ms, FIELD_I64, false),
};
static const struct schema app_schema = SCHEMA(1, app_fields);

/* [record, [redirect URI, ...]] */
static void encode(struct buffer *out, const struct app *app)
{
	pack_array(out, 2);
	record_encode(out, &app_schema, app);
	pack_array(out, app->uris_count);
	for (uint32_t i = 0; i < app->uris_count; i++)
		pack_text(out, span_text(app->uris[i]));
}

static int decode(struct app *out, struct span bytes)
{
	struct cursor cursor = cursor_of(bytes);
	if (cursor_array(&cursor, 2) != 2)
		return ERR_CORRUPT;
	int err = record_decode_at(&cursor, out, sizeof(*out), &app_schema);
	if (err)
		return err;
	uint32_t count = cursor_array(&cursor, APP_URIS_MAX);
	for (uint32_t i = 0; i < count && !cursor.failed; i++) {
		struct span uri = cursor_text(&cursor, APP_URI_BYTES_MAX);
		memcpy(out->uris[i], uri.data ? uri.data : (const uint8_t *)"", uri.length);
	}
	out->uris_count = count;
	return cursor_done(&cursor) ? 0 : ERR_CORRUPT;
}

/* In the stream of changes: whose it is as owner, what it is called as name. */
static int tell(const struct apply_context *apply, const struct command *command, const struct app *app, struct why *why)
{
	struct change change = { 0 };
	memcpy(change.owner, app->owner, sizeof(change.owner));
	memcpy(change.name, app->name, sizeof(change.name));
	return change_append(apply, command, &change, why);
}

int app_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct app app;
	struct user owner;
	if (decode(&app, command->body) != 0)
		return why_set(why, ERR_INVALID, "the body of a command of type %u does not parse", command->type);
	int err = state_user(apply, app.owner, &owner, why);
	if (err)
		return err;
	struct key key;
	key_app(&key, &app.id);
	err = state_get(apply, &key, NULL, NULL, 0, why);
	if (err != ERR_NOT_FOUND)
		return err ? err : why_set(why, ERR_EXISTS, "there is an app of this id");
	memcpy(app.owner, owner.name, sizeof(app.owner));
	app.created_ms = apply->leader_ms;
	struct buffer value;
	buffer_init(&value, APP_BYTES_MAX);
	encode(&value, &app);
	if (!value.failed)
		state_put_bytes(apply, &key, value.data, value.length);
	err = value.failed ? why_set(why, ERR_NO_MEMORY, "no memory") : tell(apply, command, &app, why);
	buffer_fini(&value);
	return err;
}

int app_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct entity_body body;
	struct app app;
	struct key key;
	struct buffer value;
	int err = body_decode(&body, sizeof(body), &entity_body_schema, command, why);
	if (err)
		return err;
	key_app(&key, &body.id);
	buffer_init(&value, APP_BYTES_MAX);
	err = state_read(apply, &key, &value, why);
	if (err == ERR_NOT_FOUND)
		why_set(why, err, "there is no such app");
	else if (err == 0 && decode(&app, buffer_span(&value)) != 0)
		err = why_set(why, ERR_CORRUPT, "an app of the state does not parse");
	buffer_fini(&value);
	if (err)
		return err;
	state_delete(apply, &key);
	return tell(apply, command, &app, why);
}

int app_create(struct namespace *ns, const char *actor, const struct app *app, struct entity_id *id, struct why *why)
{
	if (!app->name[0] || !name_valid(span_text(app->owner)) || app->uris_count > APP_URIS_MAX)
		return why_set(why, ERR_INVALID, "an app needs a name and an owner, and has at most %d redirect URIs", APP_URIS_MAX);
	struct app made = *app;
	entity_id_make(&made.id);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	encode(&body, &made);
	int err = namespace_propose(ns, GROUP_CLUSTER, COMMAND_APP_CREATE, actor, &body, NULL, why);
	if (err == 0)
		*id = made.id;
	return err;
}

int app_delete(struct namespace *ns, const char *actor, const struct entity_id *id, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &entity_body_schema, &(struct entity_body){ .id = *id });
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_APP_DELETE, actor, &body, NULL, why);
}

int app_get(struct namespace *ns, const struct entity_id *id, struct app *out)
{
	struct key key;
	uint8_t bytes[APP_BYTES_MAX];
	size_t length;
	key_app(&key, id);
	int err = namespace_get_some(ns, NULL, &key, bytes, sizeof(bytes), &length);
	return err ? err : decode(out, span_of(bytes, length));
}

struct listing {
	int (*each)(void *context, const struct app *app);
	void *context;
};

static int list_one(void *context, struct span key, struct span value)
{
	(void)key;
	const struct listing *listing = context;
	struct app app;
	int err = decode(&app, value);
	return err ? err : listing->each(listing->context, &app);
}

int app_list(struct namespace *ns, int (*each)(void *context, const struct app *app), void *context)
{
	struct key prefix;
	struct listing listing = { .each = each, .context = context };
	key_app(&prefix, NULL);
	return namespace_scan(ns, NULL, &prefix, NULL, list_one, &listing);
}
