/* may.c - every permission of the hub, in one function.
 *
 * DESIGN. Two questions, both of which must be answered yes. What is this user in the namespace that is asked about: its owner, an administrator of the
 * hub, a member of the organisation with a role, or nobody (the level)? And does the token that speaks for the user reach that far: a read token never
 * changes anything, a fine-grained one does what its scopes say. A token without a repository's scope does not see a private one at all.
 *
 *   role in the organisation   private repositories   write                   settings, delete, move   members
 *   read                       sees                   -                       -                        -
 *   contributor                sees                   those they created      those they created       -
 *   write                      sees                   all                     those they created       -
 *   admin                      sees                   all                     all                      yes
 *
 * contributor and above create repositories. A gate is a third question, asked of those who read the files of others. */
#include <assert.h>
#include <strings.h>

#include "gateway/auth/auth.h"
#include "replication/gate.h"
#include "replication/org.h"

enum { PERMISSIONS_READING = PERMISSION_REPO_READ | PERMISSION_REPO_WRITE | PERMISSION_REPO_CONTENT_WRITE };

enum level { LEVEL_NONE, LEVEL_READ, LEVEL_CREATE, LEVEL_WRITE, LEVEL_ADMIN };

/* What somebody is in a namespace. */
struct standing {
	enum level level;
	bool has_owner;          /* owner is known */
	struct entity_id owner;  /* of the namespace: user or organisation */
};

static enum level level_of(enum org_role role)
{
	switch (role) {
	case ORG_ROLE_READ: return LEVEL_READ;
	case ORG_ROLE_CONTRIBUTOR: return LEVEL_CREATE;
	case ORG_ROLE_WRITE: return LEVEL_WRITE;
	case ORG_ROLE_ADMIN: return LEVEL_ADMIN;
	case ORG_ROLE_NONE: break;
	}
	return LEVEL_NONE;
}

static struct standing standing_in(const struct actor *actor, const char *owner)
{
	struct standing standing = { .level = LEVEL_NONE };
	if (actor->anonymous)
		return standing;
	if (strcasecmp(actor->name, owner) == 0) {
		standing = (struct standing){ .level = LEVEL_ADMIN, .has_owner = true, .owner = actor->user_id };
	} else if (actor->ns) {
		struct member member;
		if (member_find(actor->ns, owner, actor->name, &member) == 0)
			standing = (struct standing){ .level = level_of(member.role), .has_owner = true, .owner = member.org };
	}
	if (actor->admin)
		standing.level = LEVEL_ADMIN;
	return standing;
}

/* A grant on one repository reaches no other, not even a public one. */
static bool reaches(const struct actor *actor, const struct repo *repo)
{
	return !actor->one_repo_only || memcmp(&actor->only_repo, &repo->id, sizeof(repo->id)) == 0;
}

/* The namespace's id, for administrators of the hub, who stand everywhere without being anything there. */
static bool owner_id(const struct actor *actor, const char *owner, struct standing *standing)
{
	struct user user;
	struct org org;
	if (!standing->has_owner && actor->ns && user_find(actor->ns, owner, &user) == 0) {
		standing->owner = user.id;
		standing->has_owner = true;
	} else if (!standing->has_owner && actor->ns && org_find(actor->ns, owner, &org) == 0) {
		standing->owner = org.id;
		standing->has_owner = true;
	}
	return standing->has_owner;
}

/* Whether the token has one of these permissions on the repository or its namespace. Tokens that are not fine-grained have every permission. */
static bool token_reaches(const struct actor *actor, const struct resource *resource, struct standing *standing, uint32_t permissions)
{
	if (actor->role != TOKEN_FINE_GRAINED)
		return true;
	const struct token_rights *rights = &actor->token.rights;
	const char *owner = resource->repo ? resource->repo->owner : resource->owner;
	return (resource->repo && token_rights_on(rights, &resource->repo->id, permissions)) ||
		(owner_id(actor, owner, standing) && token_rights_on(rights, &standing->owner, permissions));
}

static bool sees(const struct actor *actor, const struct resource *resource, struct standing *standing)
{
	return !resource->repo->private ||
		(standing->level >= LEVEL_READ && token_reaches(actor, resource, standing, PERMISSIONS_READING));
}

/* What somebody may do with one repository: who created it under an organisation's roof keeps its settings in hand. */
static enum level level_on(const struct actor *actor, const struct repo *repo, const struct standing *standing)
{
	bool creator = strcasecmp(repo->creator, actor->name) == 0;
	if (standing->level == LEVEL_CREATE || standing->level == LEVEL_WRITE)
		return creator ? LEVEL_ADMIN : standing->level;
	return standing->level;
}

/* Who may change a repository needs no request to read it, nor do members of its organisation, unless the repository says so. */
static bool passes_gate(const struct actor *actor, const struct resource *resource, struct standing *standing)
{
	const struct repo *repo = resource->repo;
	if (repo->gated == REPO_GATE_NONE)
		return true;
	if (standing->level >= LEVEL_WRITE || level_on(actor, repo, standing) >= LEVEL_WRITE ||
		(standing->level >= LEVEL_READ && !repo->org_members_gated))
		return token_reaches(actor, resource, standing, PERMISSIONS_READING) ||
			(actor->role == TOKEN_FINE_GRAINED && actor->token.rights.read_gated);
	if (actor->role == TOKEN_FINE_GRAINED && !actor->token.rights.read_gated)
		return false;
	assert(resource->ns);
	struct access_request request;
	return !actor->anonymous && access_get(resource->ns, &repo->id, actor->name, &request) == 0 && request.status == ACCESS_ACCEPTED;
}

static bool is_of_namespace(enum action action)
{
	return action == ACTION_CREATE || action == ACTION_ORG_READ || action == ACTION_ORG_ADMIN;
}

/* A token never does more than its role, whoever holds it; a grant on one repository moves its content and nothing else. */
static bool token_allows(const struct actor *actor, enum action action, const struct resource *resource, struct standing *standing)
{
	if (actor->one_repo_only && (action == ACTION_ADMIN || action == ACTION_SEE_REQUESTS || is_of_namespace(action) || action == ACTION_OPERATE))
		return false;
	if (actor->role != TOKEN_FINE_GRAINED)
		return actor->role == TOKEN_WRITE || action == ACTION_ORG_READ;
	switch (action) {
	case ACTION_READ:
	case ACTION_READ_FILES:
		return true; /* to whom sees it */
	case ACTION_DISCUSS:
	case ACTION_PROPOSE:
		return (actor->token.rights.global & PERMISSION_DISCUSSION_WRITE) ||
			token_reaches(actor, resource, standing, PERMISSION_DISCUSSION_WRITE | PERMISSION_REPO_WRITE);
	case ACTION_WRITE:
		return token_reaches(actor, resource, standing, PERMISSION_REPO_WRITE | PERMISSION_REPO_CONTENT_WRITE);
	case ACTION_SEE_REQUESTS:
		return token_reaches(actor, resource, standing, PERMISSION_REPO_ACCESS_READ | PERMISSION_REPO_WRITE);
	case ACTION_ADMIN:
	case ACTION_CREATE:
		return token_reaches(actor, resource, standing, PERMISSION_REPO_WRITE);
	case ACTION_ORG_READ:
		return token_reaches(actor, resource, standing, PERMISSION_ORG_READ | PERMISSION_ORG_WRITE);
	case ACTION_ORG_ADMIN:
		return token_reaches(actor, resource, standing, PERMISSION_ORG_WRITE);
	case ACTION_OPERATE:
		return false;
	}
	return false;
}

static bool rights_allow(const struct actor *actor, enum action action, const struct resource *resource, const struct standing *standing)
{
	switch (action) {
	case ACTION_READ:
	case ACTION_READ_FILES:
		return true; /* to whom sees it */
	case ACTION_DISCUSS:
	case ACTION_PROPOSE:
		return !resource->repo->discussions_disabled || level_on(actor, resource->repo, standing) >= LEVEL_WRITE;
	case ACTION_WRITE:
		return level_on(actor, resource->repo, standing) >= LEVEL_WRITE;
	case ACTION_SEE_REQUESTS:
	case ACTION_ADMIN:
		return level_on(actor, resource->repo, standing) >= LEVEL_ADMIN;
	case ACTION_CREATE:
		return standing->level >= LEVEL_CREATE;
	case ACTION_ORG_READ:
		return standing->level >= LEVEL_READ;
	case ACTION_ORG_ADMIN:
		return standing->level >= LEVEL_ADMIN;
	case ACTION_OPERATE:
		return actor->admin;
	}
	return false;
}

int may(const struct actor *actor, enum action action, const struct resource *resource)
{
	assert(action == ACTION_OPERATE || (is_of_namespace(action) ? resource->owner != NULL : resource->repo != NULL));
	const struct repo *repo = action == ACTION_OPERATE || is_of_namespace(action) ? NULL : resource->repo;
	struct standing standing = { .level = LEVEL_NONE };
	if (repo && !repo->private && reaches(actor, repo) && (action == ACTION_READ || (action == ACTION_READ_FILES && repo->gated == REPO_GATE_NONE)))
		return 0; /* the hottest: no look-up */
	struct resource about = { .repo = repo, .owner = resource->owner, .ns = resource->ns };
	if (action != ACTION_OPERATE)
		standing = standing_in(actor, repo ? repo->owner : resource->owner);
	if (repo && !(reaches(actor, repo) && sees(actor, &about, &standing)))
		return actor->anonymous ? ERR_UNAUTHENTICATED : ERR_NOT_FOUND;
	if (action == ACTION_READ)
		return 0;
	if (action == ACTION_READ_FILES)
		return passes_gate(actor, &about, &standing) ? 0 : ERR_GATED;
	if (actor->anonymous)
		return ERR_UNAUTHENTICATED;
	if (action == ACTION_PROPOSE && !passes_gate(actor, &about, &standing))
		return ERR_GATED;
	return token_allows(actor, action, &about, &standing) && rights_allow(actor, action, &about, &standing) ? 0 : ERR_DENIED;
}
