/* discussion_call.h - what calls about one discussion begin with: the repository, the number, and who may do what to it. */
#ifndef CAIRN_GATEWAY_HUB_DISCUSSION_CALL_H
#define CAIRN_GATEWAY_HUB_DISCUSSION_CALL_H

#include "gateway/hub/body_call.h"
#include "replication/discussion.h"

enum { DISCUSSION_BODY_BYTES_MAX = 512 << 10, DISCUSSION_TITLE_BYTES_MIN = 3 };

/* Opens a call on a repository whose discussions are on. `after` and `action` as in call_open_repo. NULL: answered already. */
struct call *discussion_call_open(struct http_request *request, const struct route_match *match, size_t after, enum action action);

/* [blocks] The discussion that captures[0] numbers. 0; else answered already (404). */
int discussion_call_find(struct http_request *request, struct call *call, struct discussion *out);
/* The event of a comment that captures[1] names by its id, in either case. 0; else answered already. */
int discussion_call_find_comment(struct http_request *request, struct call *call, uint64_t number, struct discussion_event *out);

/* True for who may write to the repository. */
bool discussion_call_writes(const struct call *call);
/* True for the author of something, and for who may write; else answered 403 already. */
bool discussion_call_owns(struct http_request *request, const struct call *call, const char *author);

#endif
