/* answer.h - failures as clients expect them: one table from ERR_* to status, and the sentences that client libraries parse.
 *
 * Every function here ends the request (http_reply*), so the caller must own it and not touch it afterwards. */
#ifndef CAIRN_GATEWAY_ANSWER_H
#define CAIRN_GATEWAY_ANSWER_H

#include "gateway/http/http.h"

enum { ANSWER_RETRY_AFTER_S = 1 };

/* The status for an ERR_*, as the Hub API uses them (412 for ERR_CONFLICT, 507 for ERR_NO_SPACE, 503 for what may be retried). */
int answer_status(int err);

/* Any ERR_* with its sentence (`why` may be NULL or empty: a general one is used). Adds Retry-After to every 503. */
void answer_err(struct http_request *request, int err, const struct why *why);

/* A token that is wrong, revoked or expired. The text is what clients tell this case by. */
void answer_bad_token(struct http_request *request);
/* Credentials are wanted and there were none. */
void answer_login(struct http_request *request);
/* A repository that is absent or hidden: 404 to whom we know, 401 to the anonymous, who may log in and see it. */
void answer_repo_missing(struct http_request *request, bool anonymous);
void answer_revision_missing(struct http_request *request, const char *revision);
/* `commit` (40 hex digits) goes out as X-Repo-Commit, so that clients remember the absence. */
void answer_entry_missing(struct http_request *request, const char *commit, const char *text);
/* 501: understood, not built. `what` begins the sentence. */
void answer_unbuilt(struct http_request *request, const char *what);

/* Sends what a json_writer made and frees it; 500 when it outgrew its limit. */
void answer_json(struct http_request *request, int status, struct buffer *body);

#endif
