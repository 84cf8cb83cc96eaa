/* lfs.h - Git LFS as git-lfs, the Hub clients and git-xet speak it: the batch call, and the transfers it hands out.
 *
 * DESIGN. The batch answer carries signed grants in its URLs, so the calls that move bytes need no credentials: a grant says which repository,
 * which object (SHA-256 and length) and until when. Whether an object is "already there" is told in lfs_batch.c.
 * A part of a multipart upload is a store file of its own, claimed by the repository; its ETag is its file hash, which the client hands
 * back at completion. So the server keeps no state between the calls, parts may come in any order and survive restarts on both
 * sides, and parts that nobody completes are garbage like any other unnamed file. */
#ifndef CAIRN_GATEWAY_HUB_LFS_H
#define CAIRN_GATEWAY_HUB_LFS_H

#include "gateway/gateway.h"

enum {
	LFS_GRANT_MS = 24 * 3600 * 1000,
	LFS_PARTS_MAX = 200,           /* the parts grow rather than their number */
	LFS_PART_BYTES_MIN = 64 << 20,
};
void lfs_batch(struct http_request *request, const struct route_match *match);

void lfs_upload(struct http_request *request, const struct route_match *match);   /* PUT, one object */
void lfs_part(struct http_request *request, const struct route_match *match);     /* PUT, one part */
void lfs_complete(struct http_request *request, const struct route_match *match); /* POST, all parts are there */
void lfs_verify(struct http_request *request, const struct route_match *match);   /* POST {oid, size} */
void lfs_download(struct http_request *request, const struct route_match *match);

/* Locks: 404 until the repository switches them on. */
void lfs_locks_list(struct http_request *request, const struct route_match *match);
void lfs_locks_create(struct http_request *request, const struct route_match *match);
void lfs_locks_verify(struct http_request *request, const struct route_match *match);
void lfs_locks_delete(struct http_request *request, const struct route_match *match);

/* How many parts of `part_bytes` an object has. */
uint64_t lfs_parts_count(uint64_t length, uint64_t part_bytes);

#endif
