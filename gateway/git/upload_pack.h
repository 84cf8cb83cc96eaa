/* upload_pack.h - one run of git upload-pack for one request. Private to gateway/git. */
#ifndef CAIRN_GATEWAY_GIT_UPLOAD_PACK_H
#define CAIRN_GATEWAY_GIT_UPLOAD_PACK_H

#include "gateway/git/request_body.h"
#include "gateway/git/target.h"

/* [blocks] On a worker; ends the request. `body` NULL: the advertisement that info/refs is. Takes the body over. */
void upload_pack_serve(struct http_request *request, struct git_target *target, struct request_body *body);

#endif
