/* lfs_files.h - the LFS objects of a repository as its administrators see them: list, and let go of. */
#ifndef CAIRN_GATEWAY_HUB_LFS_FILES_H
#define CAIRN_GATEWAY_HUB_LFS_FILES_H

#include "gateway/gateway.h"

void lfs_files_list(struct http_request *request, const struct route_match *match);
void lfs_files_delete(struct http_request *request, const struct route_match *match); /* DELETE of one, ?rewriteHistory= */
void lfs_files_batch(struct http_request *request, const struct route_match *match);  /* POST {deletions: {sha, rewriteHistory}} */

#endif
