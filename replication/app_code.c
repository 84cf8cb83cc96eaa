/* app_code.c - codes and refresh tokens of apps, each exchanged once. Its own end stands in a code's text, so that it leads to its key. */
#include "replication/app.h"

#include "replication/namespace_state.h"

#include <sodium.h>
#include <stdio.h>

enum { CODE_RANDOM_BYTES = 32, CODE_END_BYTES = 8, CODE_BYTES_MAX = 8 << 10 };

static const struct field code_fields[] = {
	FIELD(struct app_code, app, FIELD_BYTES, true),
	FIELD(struct app_code, user, FIELD_TEXT, true),
	FIELD(struct app_code, redirect_uri, FIELD_TEXT, true),
	FIELD(struct app_code, challenge, FIELD_TEXT, false),
	FIELD(struct app_code, nonce, FIELD_TEXT, false),
	FIELD(struct app_code, scopes, FIELD_U64, false),
	FIELD(struct app_code, expires_ms, FIELD_I64, true),
	FIELD(struct app_code, used, FIELD_BOOL, false),
	FIELD(struct app_code, access, FIELD_BYTES, false),
	FIELD(struct app_code, refresh, FIELD_BYTES, false),
};
static const struct schema code_schema = SCHEMA(1, code_fields);

static void encode(struct buffer *out, const struct app_code *code)
{
	pack_array(out, 2);
	record_encode(out, &code_schema, code);
	token_rights_encode(out, &code->rights);
}

static int decode_at(struct cursor *cursor, struct app_code *out)
{
	if (cursor_array(cursor, 2) != 2)
		return ERR_CORRUPT;
	int err = record_decode_at(cursor, out, sizeof(*out), &code_schema);
	struct span rights = cursor_value(cursor);
	return err ? err : cursor->failed ? ERR_CORRUPT : token_rights_decode(&out->rights, rights);
}

/* The key that a code's text leads to. False: it is no code. */
static bool key_of_text(struct key *key, const char *text)
{
	uint8_t bytes[CODE_END_BYTES + CODE_RANDOM_BYTES];
	struct hash digest;
	size_t length = 0, text_length = strnlen(text, APP_CODE_TEXT_BYTES_MAX);
	if (text_length == APP_CODE_TEXT_BYTES_MAX ||
		sodium_base642bin(bytes, sizeof(bytes), text, text_length, NULL, &length, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
		length != sizeof(bytes))
		return false;
	crypto_generichash(digest.bytes, HASH_BYTES, bytes, sizeof(bytes), NULL, 0);
	key_app_code(key, get_big_endian(bytes, CODE_END_BYTES), &digest);
	sodium_memzero(bytes, sizeof(bytes));
	return true;
}

/* ------------------------------------------------------------------ in apply */

/* Keys are in the order of their ends. */
struct ended {
	uint64_t now_ms;
	size_t count;
	struct key keys[APP_CODES_SWEPT];
};

static bool end_one(void *context, struct span key)
{
	struct ended *ended = context;
	if (key.length < KEY_PREFIX_BYTES + CODE_END_BYTES || key.length > KEY_BYTES_MAX || get_big_endian(key.data + KEY_PREFIX_BYTES, CODE_END_BYTES) >= ended->now_ms ||
		ended->count == APP_CODES_SWEPT)
		return true;
	memcpy(ended->keys[ended->count].bytes, key.data, key.length);
	ended->keys[ended->count++].length = key.length;
	return false;
}

static int app_exists(const struct apply_context *apply, const struct entity_id *id, struct why *why)
{
	struct key key;
	key_app(&key, id);
	int err = state_get(apply, &key, NULL, NULL, 0, why);
	return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such app") : err;
}

/* Body: [digest, [code, rights]]. */
int app_code_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct app_code code;
	struct user user;
	struct hash digest = { 0 };
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 2);
	struct span bytes = cursor_bytes(&cursor, HASH_BYTES);
	int err = bytes.length == HASH_BYTES ? decode_at(&cursor, &code) : ERR_CORRUPT;
	if (err || !cursor_done(&cursor))
		return why_set(why, ERR_INVALID, "the body of a command of type %u does not parse", command->type);
	memcpy(digest.bytes, bytes.data, HASH_BYTES);
	err = app_exists(apply, &code.app, why);
	if (err == 0)
		err = state_user(apply, code.user, &user, why);
	if (err)
		return err;
	struct buffer value;
	buffer_init(&value, CODE_BYTES_MAX);
	encode(&value, &code);
	if (value.failed) {
		buffer_fini(&value);
		return why_set(why, ERR_NO_MEMORY, "no memory");
	}
	struct key key;
	struct ended ended = { .now_ms = apply->leader_ms > 0 ? (uint64_t)apply->leader_ms : 0 };
	key_app_code(&key, 0, NULL);
	state_any(apply, &key, end_one, &ended);
	for (size_t i = 0; i < ended.count; i++)
		state_delete(apply, &ended.keys[i]);
	key_app_code(&key, (uint64_t)code.expires_ms, &digest);
	state_put_bytes(apply, &key, value.data, value.length);
	buffer_fini(&value);
	return 0;
}

/* What both exchanges end in: [..., access token, refresh token, rights]. */
struct pair {
	struct token access, refresh;
	struct span rights;
};

static int take_pair(struct cursor *cursor, struct pair *out, const struct command *command, struct why *why)
{
	struct token_rights rights;
	int err = token_decode_at(cursor, &out->access);
	if (err == 0)
		err = token_decode_at(cursor, &out->refresh);
	out->rights = cursor_value(cursor);
	if (err || !cursor_done(cursor) || token_rights_decode(&rights, out->rights) != 0 || out->access.role != TOKEN_FINE_GRAINED ||
		out->refresh.role != TOKEN_REFRESH || strcmp(out->access.user, out->refresh.user) != 0 || memcmp(&out->access.app, &out->refresh.app, ENTITY_ID_BYTES) != 0)
		return why_set(why, ERR_INVALID, "the body of a command of type %u does not parse", command->type);
	return 0;
}

static int put_pair(const struct apply_context *apply, const struct command *command, struct pair *pair, struct why *why)
{
	int err = app_exists(apply, &pair->access.app, why);
	if (err == 0)
		err = token_put(apply, &pair->access, pair->rights, why);
	if (err == 0)
		err = token_put(apply, &pair->refresh, pair->rights, why);
	return err ? err : token_tell(apply, command, COMMAND_TOKEN_CREATE_FINE, &pair->access, why);
}

static int read_code(const struct apply_context *apply, const struct key *key, struct app_code *out, struct why *why)
{
	struct buffer value;
	buffer_init(&value, CODE_BYTES_MAX);
	int err = state_read(apply, key, &value, why);
	struct cursor cursor = cursor_of(buffer_span(&value));
	if (err == 0 && (decode_at(&cursor, out) != 0 || !cursor_done(&cursor)))
		err = why_set(why, ERR_CORRUPT, "a code of the state does not parse");
	buffer_fini(&value);
	return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such code") : err;
}

/* Body: [key of the code, access token, refresh token, rights]. */
int app_code_take_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct pair pair;
	struct app_code code;
	struct key key = { 0 };
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 4);
	struct span bytes = cursor_bytes(&cursor, KEY_BYTES_MAX);
	int err = take_pair(&cursor, &pair, command, why);
	if (err)
		return err;
	key_app_code(&key, 0, NULL);
	if (bytes.length != KEY_PREFIX_BYTES + CODE_END_BYTES + HASH_BYTES || memcmp(bytes.data, key.bytes, key.length) != 0)
		return why_set(why, ERR_INVALID, "the body of a command of type %u does not parse", command->type);
	memcpy(key.bytes, bytes.data, bytes.length);
	key.length = bytes.length;
	err = read_code(apply, &key, &code, why);
	if (err)
		return err;
	if (strcmp(code.user, pair.access.user) != 0 || memcmp(&code.app, &pair.access.app, ENTITY_ID_BYTES) != 0)
		return why_set(why, ERR_INVALID, "this code is for another app or user");
	if (code.used || code.expires_ms <= apply->leader_ms)
		return why_set(why, ERR_CONFLICT, "this code was used or has run out");
	code.used = true;
	code.access = pair.access.id;
	code.refresh = pair.refresh.id;
	struct buffer value;
	buffer_init(&value, CODE_BYTES_MAX);
	encode(&value, &code);
	err = value.failed ? why_set(why, ERR_NO_MEMORY, "no memory") : put_pair(apply, command, &pair, why);
	if (err == 0)
		state_put_bytes(apply, &key, value.data, value.length);
	buffer_fini(&value);
	return err;
}

/* Body: [id of the refresh token, access token, refresh token, rights]. */
int app_tokens_renew_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct pair pair;
	struct token old;
	struct entity_id id;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 4);
	struct span bytes = cursor_bytes(&cursor, ENTITY_ID_BYTES);
	int err = take_pair(&cursor, &pair, command, why);
	if (err)
		return err;
	if (bytes.length != ENTITY_ID_BYTES)
		return why_set(why, ERR_INVALID, "the body of a command of type %u does not parse", command->type);
	memcpy(id.bytes, bytes.data, ENTITY_ID_BYTES);
	err = token_state(apply, &id, &old, why);
	if (err)
		return err;
	if (old.role != TOKEN_REFRESH || old.expires_ms <= apply->leader_ms || strcmp(old.user, pair.access.user) != 0 ||
		memcmp(&old.app, &pair.access.app, ENTITY_ID_BYTES) != 0)
		return why_set(why, ERR_NOT_FOUND, "there is no such token");
	err = put_pair(apply, command, &pair, why);
	if (err == 0)
		token_drop(apply, &old);
	return err;
}

/* ------------------------------------------------------------------ outside */

int app_code_create(struct namespace *ns, const char *actor, const struct app_code *code, char text[APP_CODE_TEXT_BYTES_MAX], struct why *why)
{
	uint8_t bytes[CODE_END_BYTES + CODE_RANDOM_BYTES];
	struct hash digest;
	put_big_endian(bytes, (uint64_t)code->expires_ms, CODE_END_BYTES);
	randombytes_buf(bytes + CODE_END_BYTES, CODE_RANDOM_BYTES);
	crypto_generichash(digest.bytes, HASH_BYTES, bytes, sizeof(bytes), NULL, 0);
	sodium_bin2base64(text, APP_CODE_TEXT_BYTES_MAX, bytes, sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, 2);
	pack_bytes(&body, span_of(digest.bytes, HASH_BYTES));
	encode(&body, code);
	int err = namespace_propose(ns, GROUP_CLUSTER, COMMAND_APP_CODE_CREATE, actor, &body, NULL, why);
	if (err)
		sodium_memzero(text, APP_CODE_TEXT_BYTES_MAX);
	return err;
}

int app_code_find(struct namespace *ns, const char *text, struct app_code *out)
{
	struct key key;
	uint8_t bytes[CODE_BYTES_MAX];
	size_t length;
	if (!key_of_text(&key, text))
		return ERR_NOT_FOUND;
	int err = namespace_get_some(ns, NULL, &key, bytes, sizeof(bytes), &length);
	if (err)
		return err;
	struct cursor cursor = cursor_of(span_of(bytes, length));
	err = decode_at(&cursor, out);
	return err == 0 && !cursor_done(&cursor) ? ERR_CORRUPT : err;
}

/* Proposes [source, access, refresh, rights]. */
static int propose_pair(struct namespace *ns, enum command_type type, struct span source, struct app_tokens *tokens, struct why *why)
{
	if (!token_rights_valid(&tokens->rights))
		return why_set(why, ERR_INVALID, "these are no rights of a token");
	tokens->access.role = TOKEN_FINE_GRAINED;
	tokens->refresh.role = TOKEN_REFRESH;
	token_mint(&tokens->access, tokens->access_text);
	token_mint(&tokens->refresh, tokens->refresh_text);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	pack_array(&body, 4);
	pack_bytes(&body, source);
	token_encode(&body, &tokens->access);
	token_encode(&body, &tokens->refresh);
	token_rights_encode(&body, &tokens->rights);
	int err = namespace_propose(ns, GROUP_CLUSTER, type, tokens->access.user, &body, NULL, why);
	if (err) {
		sodium_memzero(tokens->access_text, sizeof(tokens->access_text));
		sodium_memzero(tokens->refresh_text, sizeof(tokens->refresh_text));
	}
	return err;
}

int app_code_take(struct namespace *ns, const char *text, struct app_tokens *tokens, struct why *why)
{
	struct key key;
	if (!key_of_text(&key, text))
		return why_set(why, ERR_NOT_FOUND, "there is no such code");
	return propose_pair(ns, COMMAND_APP_CODE_TAKE, span_of(key.bytes, key.length), tokens, why);
}

int app_tokens_renew(struct namespace *ns, const struct entity_id *refresh, struct app_tokens *tokens, struct why *why)
{
	return propose_pair(ns, COMMAND_APP_TOKENS_RENEW, span_of(refresh->bytes, ENTITY_ID_BYTES), tokens, why);
}
