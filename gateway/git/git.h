/* git.h - the handlers behind git_routes. Private to gateway/git. */
#ifndef CAIRN_GATEWAY_GIT_GIT_H
#define CAIRN_GATEWAY_GIT_GIT_H

#include "gateway/gateway.h"

/* GET .../info/refs?service=...: the start of every conversation. */
void git_info_refs(struct http_request *request, const struct route_match *match);
/* POST .../git-upload-pack: clones and fetches. */
void git_upload_pack(struct http_request *request, const struct route_match *match);
/* POST /api/admin/repos/{type}/{owner}/{name}/compact: {packs_before, packs_after}. */
void git_compact(struct http_request *request, const struct route_match *match);
/* POST /api/admin/repos/{type}/{owner}/{name}/bundle: makes the bundle that it lacks. {bundles, bytes, made_bytes}. */
void git_bundle_make(struct http_request *request, const struct route_match *match);
/* GET .../info/bundles: a bundle list, as `git clone --bundle-uri` takes it; 404 when there is none. */
void git_bundle_list(struct http_request *request, const struct route_match *match);
/* GET /api/git/bundles/{grant}: the bytes. */
void git_bundle_download(struct http_request *request, const struct route_match *match);
/* Runs `work` on a worker with the id of the repository that an administrator named; answers everybody else. */
void git_operate(struct http_request *request, const struct route_match *match, http_work_fn work);
/* What clients of the old protocol without a server ask for: 403. */
void git_dumb(struct http_request *request, const struct route_match *match);

#endif
