/* lfs_call.h - what every Git LFS call begins with, and how it ends when it fails.
 *
 * Errors are {"message", "request_id"} for git-lfs and "error" for the Hub's own clients, of the media type that git-lfs reads. A 401 asks
 * for credentials twice: LFS-Authenticate is what git-lfs prefers, WWW-Authenticate what everybody knows. */
#ifndef CAIRN_GATEWAY_HUB_LFS_CALL_H
#define CAIRN_GATEWAY_HUB_LFS_CALL_H

#include "gateway/auth/grant_holder.h"
#include "gateway/hub/call.h"

#define LFS_MEDIA_TYPE "application/vnd.git-lfs+json"

/* call_open_repo in the LFS dialect. Also refuses an Accept that leaves out the media type of the answer (406). NULL: answered already. */
struct call *lfs_call_open(struct http_request *request, const struct route_match *match, size_t after, enum action action);
/* 0 if the caller may; else answered: 401 to the anonymous, 403. */
int lfs_call_may(struct http_request *request, const struct call *call, enum action action);

/* The verified grant in the path, of the kind wanted, whose holder still may do what it says; `holder` and `repo` (may be NULL) are they and its repository.
 * NULL: answered. */
struct grant *lfs_grant_open(struct http_request *request, const struct route_match *match, enum grant_kind kind, struct actor *holder, struct repo *repo);

/* `code` may be NULL. */
void lfs_reply_error(struct http_request *request, int status, const char *code, const char *text);
/* An ERR_* of storing or looking up, with its sentence or a general one. */
void lfs_reply_err(struct http_request *request, int err, const struct why *why);
/* Sends what a json_writer made and frees it. */
void lfs_reply_json(struct http_request *request, int status, struct buffer *body);

#endif
