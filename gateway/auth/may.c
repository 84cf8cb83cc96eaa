/* may.c - every permission of the hub, in one function.
 *
 * What is not built yet has its place here: an organisation makes owns() true for its members according to their role; a fine-grained token
 * narrows role_allows() to the repositories and permissions it lists. */
#include <assert.h>
#include <strings.h>

#include "gateway/auth/auth.h"
#include "replication/gate.h"

/* A namespace belongs to the user of that name. */
static bool owns(const struct actor *actor, const char *owner)
{
	return !actor->anonymous && strcasecmp(actor->name, owner) == 0;
}

static bool sees(const struct actor *actor, const struct repo *repo)
{
	return !repo->private || actor->admin || owns(actor, repo->owner);
}

/* A grant on one repository reaches no other, not even a public one. */
static bool reaches(const struct actor *actor, const struct repo *repo)
{
	return !actor->one_repo_only || memcmp(&actor->only_repo, &repo->id, sizeof(repo->id)) == 0;
}

/* A token never does more than its role, whoever holds it; a grant on one repository moves its content and nothing else. */
static bool role_allows(const struct actor *actor, enum action action)
{
	if (actor->one_repo_only && (action == ACTION_ADMIN || action == ACTION_CREATE || action == ACTION_OPERATE))
		return false;
	return action == ACTION_READ || action == ACTION_READ_FILES || actor->role == TOKEN_WRITE;
}

/* Who may change a repository needs no request to read it. */
static bool passes_gate(const struct actor *actor, const struct resource *resource)
{
	const struct repo *repo = resource->repo;
	if (repo->gated == REPO_GATE_NONE || actor->admin || owns(actor, repo->owner))
		return true;
	assert(resource->ns);
	struct access_request request;
	return !actor->anonymous && access_get(resource->ns, &repo->id, actor->name, &request) == 0 && request.status == ACCESS_ACCEPTED;
}

static bool rights_allow(const struct actor *actor, enum action action, const struct resource *resource)
{
	switch (action) {
	case ACTION_READ:
	case ACTION_READ_FILES:
		return true; /* to whom sees it */
	case ACTION_PROPOSE:
		return !resource->repo->discussions_disabled || actor->admin || owns(actor, resource->repo->owner);
	case ACTION_WRITE:
	case ACTION_ADMIN:
		return actor->admin || owns(actor, resource->repo->owner);
	case ACTION_CREATE:
		return actor->admin || owns(actor, resource->owner);
	case ACTION_OPERATE:
		return actor->admin;
	}
	return false;
}

int may(const struct actor *actor, enum action action, const struct resource *resource)
{
	assert(action == ACTION_OPERATE || (action == ACTION_CREATE ? resource->owner != NULL : resource->repo != NULL));
	if (action != ACTION_OPERATE && action != ACTION_CREATE && !(sees(actor, resource->repo) && reaches(actor, resource->repo)))
		return actor->anonymous ? ERR_UNAUTHENTICATED : ERR_NOT_FOUND;
	if (action == ACTION_READ)
		return 0;
	if (action == ACTION_READ_FILES)
		return passes_gate(actor, resource) ? 0 : ERR_GATED;
	if (actor->anonymous)
		return ERR_UNAUTHENTICATED;
	if (action == ACTION_PROPOSE && !passes_gate(actor, resource))
		return ERR_GATED;
	return role_allows(actor, action) && rights_allow(actor, action, resource) ? 0 : ERR_DENIED;
}
