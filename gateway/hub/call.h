/* call.h - what nearly every Hub call begins with (who asks, which repository, which revision) and how it may end.
 *
 * DESIGN. A handler opens a call on the control loop. What can be answered from memory is answered there: the body of
 * the call is written once, as a function that takes REPO_NO_WAIT or REPO_MAY_WAIT, and call_run repeats it on a worker when the first
 * try would have waited. Such a function must not have answered or added headers before it returns ERR_AGAIN. */
#ifndef CAIRN_GATEWAY_HUB_CALL_H
#define CAIRN_GATEWAY_HUB_CALL_H

#include "gateway/answer.h"
#include "gateway/auth/auth.h"
#include "gateway/hub/names.h"
#include "gateway/process.h"
#include "gateway/repo/repo.h"

enum {
	ANSWER_BYTES_MAX = 64 << 20,   /* of one JSON answer */
	CONTROL_ENTRIES_MAX = 256,     /* tree entries that are written on a control loop; more go to a worker */
	LINK_BYTES_MAX = 16384,
};

struct revision {
	struct oid commit;
	char commit_text[OID_TEXT_BYTES];
	char ref[REF_BYTES_MAX + 1]; /* "" when the revision is a commit id */
	const char *text;            /* as asked for, decoded */
	struct span path;            /* what follows it, decoded, without slashes at the ends */
};

struct call {
	struct gateway *gateway;
	struct actor actor;
	struct repo repo;               /* after call_open_repo */
	struct span captures[ROUTE_CAPTURES_MAX]; /* raw, what follows the id */
	struct span rest;               /* raw */
	struct revision revision;
	void *state;                    /* the call's own */
	int (*run)(struct http_request *request, struct call *call, enum repo_wait wait);
};

/* Identifies the caller. NULL: answered already (401). */
struct call *call_open(struct http_request *request);
/* Also finds the repository of the route and checks the right. `after`: captures that follow the id. NULL: answered already. */
struct call *call_open_repo(struct http_request *request, const struct route_match *match, size_t after, enum action action);

/* 403 (401 to the anonymous) with GatedRepo: what stands between this caller and the files. */
void answer_gated(struct http_request *request, const struct call *call);

/* Whether this caller may do more with the call's repository than it was opened for. False: answered already. */
bool call_may(struct http_request *request, struct call *call, enum action action);
/* Whether this caller may move the ref (full name) of the call's repository. False: answered already. */
bool call_may_move(struct http_request *request, struct call *call, const char *ref);

/* Whether a call whose last capture is a revision prepares a pull request: `create_pr`, or a revision "refs/pr/N". Any reader may prepare one. */
bool call_is_proposal(struct http_request *request, const struct route_match *match);

/* Runs `run` here with REPO_NO_WAIT and, if that says ERR_AGAIN, on a worker with REPO_MAY_WAIT. */
void call_run(struct http_request *request, struct call *call, int (*run)(struct http_request *, struct call *, enum repo_wait));
/* Runs it on a worker at once. */
void call_work(struct http_request *request, struct call *call, int (*run)(struct http_request *, struct call *, enum repo_wait));

/* The k-th raw capture after the id, decoded; NULL: a bad escape, answered already. */
const char *call_text(struct http_request *request, struct call *call, int k);
/* What http_decode would not take is answered 400. */
void call_refuse_address(struct http_request *request);

/* Resolves captures[k] (and, when no such ref, the longest ref name that continues into the rest) to call->revision. 0; ERR_AGAIN;
 * anything else: answered already. */
int call_revision(struct http_request *request, struct call *call, int k, enum repo_wait wait);

/* "https://host/datasets/owner/name" of a repository, in request memory. */
const char *repo_url(struct http_request *request, const struct repo *repo);
/* Adds `Link: <...>; rel="next"`: this request's address with `key` set to `value` (already query-safe) instead. */
void add_next_link(struct http_request *request, const char *key, const char *value);

#endif
