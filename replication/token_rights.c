#include "replication/token_rights.h"

enum { RIGHTS_FORMAT = 1, SCOPE_VALUES = 3, RIGHTS_VALUES = 4 };

static const char *const names[] = {
	"repo.content.read", "repo.write", "repo.access.read", "discussion.write", "collection.read", "collection.write", "user.webhooks.read",
	"user.webhooks.write", "org.read", "org.write", "inference.serverless.write", "inference.endpoints.infer.write", "inference.endpoints.write",
	"user.billing.read", "job.write", "post.write", "repo.content.write",
};
enum { NAMES_COUNT = sizeof(names) / sizeof(names[0]) };
_Static_assert(PERMISSIONS_ALL == (1 << NAMES_COUNT) - 1, "every permission has a name");

const char *permission_name(uint32_t permission)
{
	for (unsigned i = 0; i < NAMES_COUNT; i++)
		if (permission == 1u << i)
			return names[i];
	return NULL;
}

uint32_t permission_named(struct span name)
{
	for (unsigned i = 0; i < NAMES_COUNT; i++)
		if (span_equal(name, span_text(names[i])))
			return 1u << i;
	return 0;
}

bool token_rights_valid(const struct token_rights *rights)
{
	if (rights->count > TOKEN_SCOPES_MAX || (rights->global & ~(uint32_t)PERMISSIONS_ALL))
		return false;
	for (uint32_t i = 0; i < rights->count; i++) {
		const struct token_scope *scope = &rights->scopes[i];
		if (scope->kind < SCOPE_MODEL || scope->kind > SCOPE_ORG || scope->permissions == 0 || (scope->permissions & ~(uint32_t)PERMISSIONS_ALL))
			return false;
	}
	return true;
}

bool token_rights_on(const struct token_rights *rights, const struct entity_id *entity, uint32_t permissions)
{
	for (uint32_t i = 0; i < rights->count && i < TOKEN_SCOPES_MAX; i++)
		if ((rights->scopes[i].permissions & permissions) && memcmp(rights->scopes[i].entity.bytes, entity->bytes, ENTITY_ID_BYTES) == 0)
			return true;
	return false;
}

void token_rights_encode(struct buffer *out, const struct token_rights *rights)
{
	pack_array(out, RIGHTS_VALUES);
	pack_u64(out, RIGHTS_FORMAT);
	pack_u64(out, rights->global);
	pack_bool(out, rights->read_gated);
	pack_array(out, rights->count);
	for (uint32_t i = 0; i < rights->count; i++) {
		pack_array(out, SCOPE_VALUES);
		pack_u64(out, rights->scopes[i].kind);
		pack_bytes(out, span_of(rights->scopes[i].entity.bytes, ENTITY_ID_BYTES));
		pack_u64(out, rights->scopes[i].permissions);
	}
}

static void decode_scope(struct cursor *cursor, struct token_scope *out)
{
	if (cursor_array(cursor, SCOPE_VALUES) != SCOPE_VALUES)
		cursor->failed = true;
	uint64_t kind = cursor_u64(cursor);
	struct span entity = cursor_bytes(cursor, ENTITY_ID_BYTES);
	uint64_t permissions = cursor_u64(cursor);
	if (cursor->failed || kind > SCOPE_ORG || entity.length != ENTITY_ID_BYTES || permissions > PERMISSIONS_ALL) {
		cursor->failed = true;
		return;
	}
	out->kind = (enum scope_kind)kind;
	memcpy(out->entity.bytes, entity.data, ENTITY_ID_BYTES);
	out->permissions = (uint32_t)permissions;
}

int token_rights_decode(struct token_rights *out, struct span bytes)
{
	memset(out, 0, sizeof(*out));
	struct cursor cursor = cursor_of(bytes);
	if (cursor_array(&cursor, RIGHTS_VALUES) != RIGHTS_VALUES)
		return ERR_CORRUPT;
	uint64_t format = cursor_u64(&cursor);
	if (!cursor.failed && format != RIGHTS_FORMAT)
		return ERR_UNSUPPORTED;
	uint64_t global = cursor_u64(&cursor);
	out->global = (uint32_t)(global & PERMISSIONS_ALL);
	out->read_gated = cursor_bool(&cursor);
	out->count = cursor_array(&cursor, TOKEN_SCOPES_MAX);
	for (uint32_t i = 0; i < out->count && !cursor.failed; i++)
		decode_scope(&cursor, &out->scopes[i]);
	if (cursor_done(&cursor) && global <= PERMISSIONS_ALL && token_rights_valid(out))
		return 0;
	memset(out, 0, sizeof(*out));
	return ERR_CORRUPT;
}
