/* upload_serving.h - one request to upload-pack while it is answered. Private to gateway/git: upload_pack.c decides, upload_stored.c and upload_direct.c
 * answer. */
#ifndef CAIRN_GATEWAY_GIT_UPLOAD_SERVING_H
#define CAIRN_GATEWAY_GIT_UPLOAD_SERVING_H

#include "gateway/git/cache.h"
#include "gateway/git/fetch_request.h"
#include "gateway/git/gate.h"
#include "gateway/git/request_body.h"
#include "gateway/git/target.h"

struct serving {
	struct http_request *request;
	struct git_target *target;
	struct request_body *body;      /* NULL: info/refs */
	struct fetch_request fetch;
	struct git_lease lease;
	struct gate_pass pass;
	const char *environment[2];
	const char *arguments[6];
	struct why why;
};

/* What goes ahead of the advertisement of protocols 0 and 1; "" for everything else. */
const char *upload_prefix(const struct serving *serving);
/* Its media type. */
const char *upload_type(const struct serving *serving);
/* The head of an answer, and where its bytes come from; `length` UINT64_MAX: not known. */
void upload_reply(struct serving *serving, uint64_t length, struct http_source source);
/* A place at the gate, unless it has one. */
int upload_take_pass(struct serving *serving);
/* Arguments and environment of git, for the lease that it has. */
void upload_set_command(struct serving *serving);

/* Both [block]. 0: answered; ERR_AGAIN: the cache was at fault, another try makes sense; else not answered. Lease and pass are the answer's, or stay. */
int upload_serve_stored(struct serving *serving);
int upload_serve_direct(struct serving *serving);

#endif
