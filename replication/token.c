#include "replication/namespace_state.h"

#include <sodium.h>

enum { TOKEN_RANDOM_CHARACTERS = 34 };

static const struct field token_fields[] = {
	FIELD(struct token, id, FIELD_BYTES, true),
	FIELD(struct token, digest, FIELD_BYTES, true),
	FIELD(struct token, user, FIELD_TEXT, true),
	FIELD(struct token, name, FIELD_TEXT, false),
	FIELD(struct token, role, FIELD_ENUM, true),
	FIELD(struct token, created_ms, FIELD_I64, false),
	FIELD(struct token, expires_ms, FIELD_I64, false),
	FIELD(struct token, app, FIELD_BYTES, false),
	FIELD(struct token, scopes, FIELD_U64, false),
};
static const struct schema token_schema = SCHEMA(1, token_fields);

static bool role_valid(enum token_role role)
{
	return role >= TOKEN_READ && role <= TOKEN_REFRESH;
}

bool token_is_of_app(const struct token *token)
{
	static const struct entity_id none;
	return memcmp(token->app.bytes, none.bytes, ENTITY_ID_BYTES) != 0;
}

void token_encode(struct buffer *out, const struct token *token)
{
	record_encode(out, &token_schema, token);
}

int token_decode_at(struct cursor *cursor, struct token *out)
{
	return record_decode_at(cursor, out, sizeof(*out), &token_schema);
}

/* In the stream of changes: whose it is as owner, what it is called as name, its role as action. */
int token_tell(const struct apply_context *apply, const struct command *command, uint32_t type, const struct token *token, struct why *why)
{
	struct change change = { .type = type, .action = token->role };
	memcpy(change.owner, token->user, sizeof(token->user));
	memcpy(change.name, token->name, sizeof(token->name));
	return change_append(apply, command, &change, why);
}

static int create(const struct apply_context *apply, struct token *token, struct why *why)
{
	struct user user;
	int err = state_user(apply, token->user, &user, why);
	if (err)
		return err;
	struct key key;
	token->created_ms = apply->leader_ms;
	key_token(&key, &token->digest);
	state_put(apply, &key, &token_schema, token);
	key_token_id(&key, &token->id);
	state_put_bytes(apply, &key, token->digest.bytes, HASH_BYTES);
	key_user_token(&key, span_text(token->user), &token->id);
	state_put_bytes(apply, &key, token->digest.bytes, HASH_BYTES);
	return 0;
}

int token_put(const struct apply_context *apply, struct token *token, struct span rights, struct why *why)
{
	int err = create(apply, token, why);
	if (err)
		return err;
	struct key key;
	key_token_rights(&key, &token->id);
	state_put_bytes(apply, &key, rights.data, rights.length);
	return 0;
}

int token_create_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct token token;
	int err = body_decode(&token, sizeof(token), &token_schema, command, why);
	if (err == 0 && (!role_valid(token.role) || token.role == TOKEN_FINE_GRAINED))
		err = why_set(why, ERR_INVALID, "a token's role is read or write");
	if (err == 0)
		err = create(apply, &token, why);
	return err ? err : token_tell(apply, command, 0, &token, why);
}

/* Body: [token, rights]. */
int token_create_fine_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct token token;
	struct token_rights rights;
	struct cursor cursor = cursor_of(command->body);
	cursor_array(&cursor, 2);
	int err = record_decode_at(&cursor, &token, sizeof(token), &token_schema);
	struct span encoded = cursor_value(&cursor);
	if (err || !cursor_done(&cursor) || token.role != TOKEN_FINE_GRAINED || token_rights_decode(&rights, encoded) != 0)
		return why_set(why, ERR_INVALID, "the body of a command of type %u does not parse", command->type);
	err = token_put(apply, &token, encoded, why);
	return err ? err : token_tell(apply, command, 0, &token, why);
}

int token_state(const struct apply_context *apply, const struct entity_id *id, struct token *out, struct why *why)
{
	struct hash digest;
	struct key key;
	key_token_id(&key, id);
	int err = state_get_bytes(apply, &key, digest.bytes, HASH_BYTES, why);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "there is no such token") : err;
	key_token(&key, &digest);
	err = state_get(apply, &key, &token_schema, out, sizeof(*out), why);
	return err == ERR_NOT_FOUND ? why_set(why, ERR_CORRUPT, "a token id leads to no token") : err;
}

void token_drop(const struct apply_context *apply, const struct token *token)
{
	struct key key;
	key_token_id(&key, &token->id);
	state_delete(apply, &key);
	key_token(&key, &token->digest);
	state_delete(apply, &key);
	key_user_token(&key, span_text(token->user), &token->id);
	state_delete(apply, &key);
	key_token_rights(&key, &token->id);
	state_delete(apply, &key);
}

int token_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct entity_body body;
	struct token token;
	int err = body_decode(&body, sizeof(body), &entity_body_schema, command, why);
	if (err == 0)
		err = token_state(apply, &body.id, &token, why);
	if (err)
		return err;
	token_drop(apply, &token);
	return token_tell(apply, command, 0, &token, why);
}

static void digest_of(struct hash *out, struct span text)
{
	crypto_generichash(out->bytes, HASH_BYTES, text.data, text.length, NULL, 0);
}

void token_mint(struct token *token, char text[TOKEN_TEXT_BYTES_MAX])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	memcpy(text, "hf_", 3);
	uint8_t random[4 * TOKEN_RANDOM_CHARACTERS];
	size_t made = 0;
	while (made < TOKEN_RANDOM_CHARACTERS) { /* nearly always once: a byte in four is over */
		randombytes_buf(random, sizeof(random));
		for (size_t i = 0; i < sizeof(random) && made < TOKEN_RANDOM_CHARACTERS; i++)
			if ((random[i] & 63) < sizeof(alphabet) - 1)
				text[3 + made++] = alphabet[random[i] & 63];
	}
	sodium_memzero(random, sizeof(random));
	text[3 + TOKEN_RANDOM_CHARACTERS] = '\0';
	entity_id_make(&token->id);
	digest_of(&token->digest, span_text(text));
}

int token_create(struct namespace *ns, const char *actor, const struct token *token, char text[TOKEN_TEXT_BYTES_MAX], struct why *why)
{
	bool fine = token->role == TOKEN_FINE_GRAINED;
	if (!name_valid(span_text(token->user)) || !role_valid(token->role))
		return why_set(why, ERR_INVALID, "a token needs a user and a role");
	if (fine && !token_rights_valid(&token->rights))
		return why_set(why, ERR_INVALID, "a fine-grained token has at most %d scopes, each with a permission", TOKEN_SCOPES_MAX);
	struct token made = *token;
	token_mint(&made, text);
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	if (fine)
		pack_array(&body, 2);
	record_encode(&body, &token_schema, &made);
	if (fine)
		token_rights_encode(&body, &made.rights);
	int err = namespace_propose(ns, GROUP_CLUSTER, fine ? COMMAND_TOKEN_CREATE_FINE : COMMAND_TOKEN_CREATE, actor, &body, NULL, why);
	if (err)
		sodium_memzero(text, TOKEN_TEXT_BYTES_MAX);
	return err;
}

/* Rights have one encoding, of at most this length. */
enum { RIGHTS_BYTES_MAX = 32 + TOKEN_SCOPES_MAX * (8 + 2 + ENTITY_ID_BYTES) };

/* False also when that cannot be found out: then a token opens nothing either. */
static bool app_lives(struct namespace *ns, const struct token *token)
{
	struct key key;
	key_app(&key, &token->app);
	return namespace_get(ns, NULL, &key, NULL, NULL, 0) == 0;
}

static int find_by_digest(struct namespace *ns, const struct hash *digest, struct token *out)
{
	struct key key;
	uint8_t bytes[RIGHTS_BYTES_MAX];
	size_t length;
	key_token(&key, digest);
	int err = namespace_get(ns, NULL, &key, &token_schema, out, sizeof(*out));
	bool of_app = err == 0 && token_is_of_app(out);
	if (of_app && !app_lives(ns, out))
		out->expires_ms = 1;
	if (err || (out->role != TOKEN_FINE_GRAINED && !of_app))
		return err;
	key_token_rights(&key, &out->id);
	err = namespace_get_some(ns, NULL, &key, bytes, sizeof(bytes), &length);
	return err ? err : token_rights_decode(&out->rights, span_of(bytes, length));
}

int token_find(struct namespace *ns, struct span text, struct token *out)
{
	if (text.length == 0 || text.length > TOKEN_TEXT_BYTES_MAX)
		return ERR_NOT_FOUND;
	struct hash digest;
	digest_of(&digest, text);
	return find_by_digest(ns, &digest, out);
}

int token_get(struct namespace *ns, const struct entity_id *id, struct token *out)
{
	struct key key;
	struct hash digest;
	key_token_id(&key, id);
	int err = namespace_get_bytes(ns, NULL, &key, digest.bytes, HASH_BYTES);
	return err ? err : find_by_digest(ns, &digest, out);
}

int token_delete(struct namespace *ns, const char *actor, const struct entity_id *id, struct why *why)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &entity_body_schema, &(struct entity_body){ .id = *id });
	return namespace_propose(ns, GROUP_CLUSTER, COMMAND_TOKEN_DELETE, actor, &body, NULL, why);
}

struct listing {
	struct namespace *ns;
	int (*each)(void *context, const struct token *token);
	void *context;
};

static int list_one(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	if (value.length != HASH_BYTES)
		return ERR_CORRUPT;
	struct hash digest;
	memcpy(digest.bytes, value.data, HASH_BYTES);
	struct token token;
	int err = find_by_digest(listing->ns, &digest, &token);
	if (err == ERR_NOT_FOUND)
		return 0; /* deleted since the scan began */
	return err ? err : listing->each(listing->context, &token);
}

int token_list(struct namespace *ns, const char *user, int (*each)(void *context, const struct token *token), void *context)
{
	if (!name_valid(span_text(user)))
		return 0;
	struct key prefix;
	key_user_token(&prefix, span_text(user), NULL);
	struct listing listing = { .ns = ns, .each = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, NULL, list_one, &listing);
}
