#include "gateway/xet/caller.h"

#include <strings.h>

#include "gateway/answer.h"

static const char bearer[] = "Bearer ";

static struct span token_of(struct http_request *request)
{
	struct span value = http_header(request, "Authorization");
	size_t length = sizeof(bearer) - 1;
	if (!value.data || value.length <= length || strncasecmp((const char *)value.data, bearer, length) != 0)
		return span_of(NULL, 0);
	return span_of(value.data + length, value.length - length);
}

struct xet_caller *xet_caller_open(struct http_request *request, enum xet_scope scope)
{
	struct xet_caller *caller = http_alloc(request, sizeof(*caller));
	caller->gateway = gateway_of(request);
	struct grant grant;
	if (grant_verify(caller->gateway, token_of(request), &grant) != 0 ||
		(grant.kind != GRANT_XET_READ && grant.kind != GRANT_XET_WRITE)) {
		answer_bad_token(request);
		return NULL;
	}
	if (grant.actor[0])
		http_set_actor_name(request, grant.actor);
	if (scope == XET_WRITE && grant.kind != GRANT_XET_WRITE) {
		answer_err(request, ERR_DENIED, &(struct why){ "This token does not permit uploads" });
		return NULL;
	}
	int err = grant_holder(caller->gateway, &grant, scope == XET_WRITE ? ACTION_PROPOSE : ACTION_READ_FILES, &caller->actor, &caller->repo);
	if (err) {
		answer_err(request, err, NULL);
		return NULL;
	}
	return caller;
}

bool xet_hash_capture(struct http_request *request, struct span capture, struct hash *out)
{
	if (hash_from_text(out, (const char *)capture.data, capture.length) == 0)
		return true;
	answer_err(request, ERR_INVALID, &(struct why){ "A hash is 64 hexadecimal digits" });
	return false;
}

bool xet_may_see(void *context, const struct entity_id *owner)
{
	const struct xet_caller *caller = context;
	if (memcmp(owner->bytes, caller->repo.id.bytes, ENTITY_ID_BYTES) == 0)
		return true;
	struct repo repo;
	struct resource resource = { .repo = &repo, .ns = caller->gateway->ns };
	return repo_get(caller->gateway->ns, NULL, owner, &repo) == 0 && may(&caller->actor, ACTION_READ_FILES, &resource) == 0;
}
