#include "gateway/auth/token_json.h"

#include "gateway/auth/owner.h"

#include <stdio.h>

static const char *const kinds[] = { "", "model", "dataset", "space", "kernel", "user", "org" };

const char *token_role_name(enum token_role role)
{
	switch (role) {
	case TOKEN_READ: return "read";
	case TOKEN_WRITE: return "write";
	case TOKEN_FINE_GRAINED: return "fineGrained";
	case TOKEN_REFRESH: return "refresh";
	}
	return "";
}

enum token_role token_role_named(const char *name)
{
	if (strcmp(name, "fine-grained") == 0)
		return TOKEN_FINE_GRAINED;
	for (int role = TOKEN_READ; role <= TOKEN_FINE_GRAINED; role++)
		if (strcmp(name, token_role_name((enum token_role)role)) == 0)
			return (enum token_role)role;
	return (enum token_role)0;
}

static void write_permissions(struct json_writer *json, const char *key, uint32_t permissions)
{
	json_array_begin(json, key);
	for (uint32_t bit = 1; bit < PERMISSIONS_ALL; bit <<= 1)
		if (permissions & bit)
			json_text(json, NULL, permission_name(bit));
	json_array_end(json);
}

/* 0 and the name of what a scope is about. */
static int entity_name(struct namespace *ns, const struct token *token, const struct token_scope *scope, char out[REPO_ID_BYTES_MAX])
{
	struct repo repo;
	struct owner owner;
	bool is_repo = scope->kind <= SCOPE_KERNEL;
	int err = is_repo ? repo_get(ns, NULL, &scope->entity, &repo) : owner_by_id(ns, token->user, &scope->entity, &owner);
	if (err)
		return err;
	if (is_repo)
		snprintf(out, REPO_ID_BYTES_MAX, "%s/%s", repo.owner, repo.name);
	else
		snprintf(out, REPO_ID_BYTES_MAX, "%s", owner.name);
	return 0;
}

static void write_scope(struct json_writer *json, struct namespace *ns, const struct token *token, const struct token_scope *scope)
{
	char id[ENTITY_ID_TEXT_BYTES], name[REPO_ID_BYTES_MAX];
	if (entity_name(ns, token, scope, name) != 0)
		return;
	hex_encode(id, scope->entity.bytes, ENTITY_ID_BYTES);
	json_object_begin(json, NULL);
	json_object_begin(json, "entity");
	json_text(json, "_id", id);
	json_text(json, "type", kinds[scope->kind]);
	json_text(json, "name", name);
	json_object_end(json);
	write_permissions(json, "permissions", scope->permissions);
	json_object_end(json);
}

void token_rights_write(struct json_writer *json, const char *key, struct namespace *ns, const struct token *token)
{
	const struct token_rights *rights = &token->rights;
	json_object_begin(json, key);
	json_bool(json, "canReadGatedRepos", rights->read_gated);
	write_permissions(json, "global", rights->global);
	json_array_begin(json, "scoped");
	for (uint32_t i = 0; i < rights->count; i++)
		write_scope(json, ns, token, &rights->scopes[i]);
	json_array_end(json);
	json_object_end(json);
}

static int read_permissions(const json_t *list, uint32_t *out, struct why *why)
{
	size_t i;
	const json_t *item;
	*out = 0;
	if (list && !json_is_null(list) && !json_is_array(list))
		return why_set(why, ERR_INVALID, "Permissions are a list");
	json_array_foreach(list, i, item) {
		const char *name = json_string_value(item);
		uint32_t bit = name ? permission_named(span_text(name)) : 0;
		if (!bit)
			return why_set(why, ERR_INVALID, "\"%.60s\" is not a permission", name ? name : "");
		*out |= bit;
	}
	return 0;
}

static int find_repo(struct namespace *ns, int kind, const char *name, struct entity_id *out)
{
	struct repo repo;
	const char *slash = strchr(name, '/');
	if (!slash)
		return ERR_NOT_FOUND;
	int err = repo_find(ns, NULL, (enum repo_type)kind, span_of(name, (size_t)(slash - name)), span_text(slash + 1), &repo);
	*out = repo.id;
	return err;
}

static int read_scope(struct token_scope *out, struct namespace *ns, const json_t *value, struct why *why)
{
	const json_t *entity = json_object_get(value, "entity");
	const char *type = json_string_value(json_object_get(entity, "type")), *name = json_string_value(json_object_get(entity, "name"));
	if (!type || !name)
		return why_set(why, ERR_INVALID, "A scope needs an entity with its type and name");
	int kind = SCOPE_ORG;
	while (kind > 0 && strcmp(kinds[kind], type) != 0)
		kind--;
	if (kind == 0)
		return why_set(why, ERR_INVALID, "\"%.60s\" is not a kind of entity", type);
	out->kind = (enum scope_kind)kind;
	struct owner owner = { 0 };
	int err = kind <= SCOPE_KERNEL ? find_repo(ns, kind, name, &out->entity) : owner_find(ns, name, &owner);
	if (kind > SCOPE_KERNEL) {
		out->entity = owner.id;
		if (err == 0 && owner.is_org != (kind == SCOPE_ORG))
			err = ERR_NOT_FOUND;
	}
	if (err)
		return why_set(why, err, "There is no %s \"%.200s\"", type, name);
	err = read_permissions(json_object_get(value, "permissions"), &out->permissions, why);
	if (err == 0 && out->permissions == 0)
		err = why_set(why, ERR_INVALID, "A scope needs a permission");
	return err;
}

int token_rights_read(struct token_rights *out, struct namespace *ns, const json_t *value, struct why *why)
{
	size_t i;
	const json_t *item, *scoped = json_object_get(value, "scoped");
	memset(out, 0, sizeof(*out));
	if (!json_is_object(value))
		return why_set(why, ERR_INVALID, "A fine-grained token needs its rights: {\"scoped\": [...], \"global\": [...]}");
	out->read_gated = json_is_true(json_object_get(value, "canReadGatedRepos"));
	int err = read_permissions(json_object_get(value, "global"), &out->global, why);
	if (err == 0 && json_array_size(scoped) > TOKEN_SCOPES_MAX)
		err = why_set(why, ERR_INVALID, "A token has at most %d scopes", TOKEN_SCOPES_MAX);
	json_array_foreach(scoped, i, item)
		if (err == 0)
			err = read_scope(&out->scopes[out->count++], ns, item, why);
	return err;
}
