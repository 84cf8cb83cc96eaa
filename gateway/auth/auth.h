/* auth.h - who is asking, and the one place that says what they may do.
 *
 * Every view calls auth_identify once and may() before it touches anything. Answers do not leak: what a caller may not
 * see does not exist for them. */
#ifndef CAIRN_GATEWAY_AUTH_AUTH_H
#define CAIRN_GATEWAY_AUTH_AUTH_H

#include "gateway/gateway.h"

struct actor {
	bool anonymous;
	bool admin;                    /* of the whole hub */
	char name[NAME_BYTES_MAX + 1]; /* "" when anonymous */
	struct entity_id user_id;
	struct entity_id token_id;
	struct token token;            /* digest zeroed */
	enum token_role role;
	bool one_repo_only;            /* came by a grant: reads, or reads and writes, `only_repo` and nothing else */
	struct entity_id only_repo;
	struct hash ssh_key;           /* fingerprint of the key that the grant stands for; zero: none */
	struct namespace *ns;          /* where memberships are looked up; NULL: the actor has none */
};

/* From `Authorization: Bearer`, Basic (password = token) or the cookie "token". No credentials: anonymous, 0. A wrong, revoked or
 * expired token, or a cookie that another site's page makes a browser send with a change: ERR_UNAUTHENTICATED. Any thread; reads from memory almost
 * always. Sets the access log's actor name. */
int auth_identify(struct http_request *request, struct actor *out);
/* The same for a token that came in a form. */
int auth_identify_text(struct http_request *request, struct span text, struct actor *out);
/* The value of one cookie in a `Cookie` header, a part of it; empty: it is not there, or has none. */
struct span auth_cookie(struct span cookies, const char *name);
/* True for a change that a page of another site makes a browser send. */
bool auth_is_forged(struct http_request *request);
/* The same for the calls of git and git-lfs on one repository, which ask may() about it: they also take a grant on that repository where a token may stand. */
int auth_identify_for_repo(struct http_request *request, struct actor *out);

/* The user of a grant, as they are now: rights may have been lost since it was signed. "" is the anonymous. 0, ERR_UNAUTHENTICATED: gone. */
int auth_by_name(struct namespace *ns, const char *name, enum token_role role, struct actor *out);

/* The same for what a token asked for (zero: no token was in play): it must still be there, unexpired, and reaches as far as it does now. */
int auth_by_token(struct namespace *ns, const char *name, const struct entity_id *token_id, enum token_role role, struct actor *out);

/* Who asked a while ago, as they are now: before what takes minutes becomes visible. 0, ERR_UNAUTHENTICATED: user, token or key is gone or expired; then the
 * actor stays as it was. Any thread. */
int auth_renew(struct namespace *ns, struct actor *actor);

enum action {
	ACTION_READ,         /* see a repository: what it is, which files it has */
	ACTION_READ_FILES,   /* read what is in them */
	ACTION_DISCUSS,      /* open and comment discussions: also before a gate */
	ACTION_PROPOSE,      /* open pull requests, and upload for them */
	ACTION_WRITE,        /* commit, branches, tags, uploads */
	ACTION_ADMIN,        /* settings, delete */
	ACTION_SEE_REQUESTS, /* who asked for access: whoever may ACTION_ADMIN, also with a token that may see this alone */
	ACTION_CREATE,       /* a repository in a namespace (resource.owner) */
	ACTION_ORG_READ,     /* see what an organisation (resource.owner) shows to its members */
	ACTION_ORG_ADMIN,    /* its members and its settings */
	ACTION_OPERATE,      /* the hub itself: users, tokens, gc, scrub, stats */
};

struct resource {
	const struct repo *repo; /* unused by the actions on a namespace and on the hub */
	const char *owner;       /* ACTION_CREATE, ACTION_ORG_*: the namespace */
	struct namespace *ns;    /* ACTION_READ_FILES and ACTION_PROPOSE: where accepted access requests are looked up */
};

/* 0; ERR_NOT_FOUND: hidden from this caller (anonymous callers get ERR_UNAUTHENTICATED instead, the edge answers 401 with
 * RepoNotFound); ERR_GATED: may see it, but has no accepted request for its files; ERR_DENIED: may see it, not do it (role or rights). */
int may(const struct actor *actor, enum action action, const struct resource *resource);

/* ACTION_WRITE, narrowed to one ref: whoever opened a pull request also moves its "refs/pr/N" while it is neither merged nor closed. ERR_CONFLICT: it is. */
int may_move_ref(const struct actor *actor, const struct resource *resource, const char *ref);

#endif
