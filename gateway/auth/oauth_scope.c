#include "gateway/auth/oauth_scope.h"

#include <assert.h>

static const struct {
	const char *name, *meaning;
	uint32_t permissions; /* on a namespace */
	uint32_t global;
} scopes[OAUTH_SCOPES_COUNT] = {
	{ "openid", "know that it is you", 0, 0 },
	{ "profile", "see your name, your picture and your public organisations", 0, 0 },
	{ "email", "see your e-mail address", 0, 0 },
	{ "read-billing", "see whether you can pay", PERMISSION_BILLING_READ, 0 },
	{ "read-memberships", "see which organisations you belong to, and your role in them", PERMISSION_ORG_READ, 0 },
	{ "read-repos", "read your private repositories", PERMISSION_REPO_READ, 0 },
	{ "gated-repos", "read gated repositories that you were given access to", 0, 0 },
	{ "write-repos", "read and change the files of your repositories", PERMISSION_REPO_CONTENT_WRITE, 0 },
	{ "manage-repos", "create, change and delete your repositories", PERMISSION_REPO_WRITE, 0 },
	{ "read-collections", "see your private collections", PERMISSION_COLLECTION_READ, 0 },
	{ "write-collections", "change your collections", PERMISSION_COLLECTION_READ | PERMISSION_COLLECTION_WRITE, 0 },
	{ "inference-api", "use inference in your name", 0, PERMISSION_INFERENCE },
	{ "write-endpoints", "change your inference endpoints", PERMISSION_ENDPOINTS_WRITE, 0 },
	{ "jobs", "run jobs in your name", PERMISSION_JOB_WRITE, 0 },
	{ "webhooks", "see and change your webhooks", 0, PERMISSION_WEBHOOKS_READ | PERMISSION_WEBHOOKS_WRITE },
	{ "write-discussions", "take part in discussions and open pull requests in your name", 0, PERMISSION_DISCUSSION_WRITE },
};

const char *oauth_scope_name(unsigned k)
{
	return k < OAUTH_SCOPES_COUNT ? scopes[k].name : NULL;
}

const char *oauth_scope_meaning(unsigned k)
{
	return k < OAUTH_SCOPES_COUNT ? scopes[k].meaning : NULL;
}

uint64_t oauth_scopes_read(struct span text)
{
	uint64_t found = 0;
	for (size_t at = 0; at < text.length;) {
		const uint8_t *blank = memchr(text.data + at, ' ', text.length - at);
		size_t end = blank ? (size_t)(blank - text.data) : text.length;
		for (unsigned k = 0; k < OAUTH_SCOPES_COUNT; k++)
			if (span_equal(span_of(text.data + at, end - at), span_text(scopes[k].name)))
				found |= UINT64_C(1) << k;
		at = end + 1;
	}
	return found;
}

void oauth_scopes_write(uint64_t wanted, char out[OAUTH_SCOPE_TEXT_BYTES_MAX])
{
	size_t length = 0;
	for (unsigned k = 0; k < OAUTH_SCOPES_COUNT; k++) {
		size_t name_length = strlen(scopes[k].name);
		if (!(wanted >> k & 1))
			continue;
		assert(length + name_length + 2 <= OAUTH_SCOPE_TEXT_BYTES_MAX);
		if (length)
			out[length++] = ' ';
		memcpy(out + length, scopes[k].name, name_length);
		length += name_length;
	}
	out[length] = 0;
}

static int add(struct token_rights *rights, uint64_t wanted, enum scope_kind kind, const struct entity_id *entity)
{
	uint32_t permissions = 0;
	for (unsigned k = 0; k < OAUTH_SCOPES_COUNT; k++)
		if (wanted >> k & 1)
			permissions |= scopes[k].permissions;
	if (permissions == 0)
		return 0;
	if (rights->count == TOKEN_SCOPES_MAX)
		return ERR_TOO_BIG;
	rights->scopes[rights->count++] = (struct token_scope){ .kind = kind, .entity = *entity, .permissions = permissions };
	return 0;
}

void oauth_rights(struct token_rights *out, uint64_t wanted, const struct entity_id *user)
{
	memset(out, 0, sizeof(*out));
	for (unsigned k = 0; k < OAUTH_SCOPES_COUNT; k++)
		if (wanted >> k & 1)
			out->global |= scopes[k].global;
	out->read_gated = wanted & OAUTH_GATED_REPOS;
	add(out, wanted & ~(uint64_t)OAUTH_READ_MEMBERSHIPS, SCOPE_USER, user);
}

int oauth_rights_add_org(struct token_rights *rights, uint64_t wanted, const struct entity_id *org)
{
	return add(rights, wanted & OAUTH_SCOPES_OF_ORGS, SCOPE_ORG, org);
}
