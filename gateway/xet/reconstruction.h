/* reconstruction.h - the terms of a file (or a range of it), and where to fetch the xorb bytes they need.
 *
 * Only files that the token's repository has a claim on exist here: file hashes are no secrets. "Range begins at the end" is how
 * clients find the end of a file, so that 416 is made on the control loop from the file's record. */
#ifndef CAIRN_GATEWAY_XET_RECONSTRUCTION_H
#define CAIRN_GATEWAY_XET_RECONSTRUCTION_H

#include "gateway/gateway.h"

enum {
	RECONSTRUCTION_BYTES_MAX = 64 << 20, /* of one answer */
	BATCH_FILES_MAX = 256,
	BATCH_BODY_BYTES_MAX = 64 << 10,
};

void xet_reconstruction_v1(struct http_request *request, const struct route_match *match); /* capture: file */
void xet_reconstruction_v2(struct http_request *request, const struct route_match *match);
void xet_reconstruction_batch(struct http_request *request, const struct route_match *match);      /* ?file_id=..&file_id=.. */
void xet_reconstruction_batch_post(struct http_request *request, const struct route_match *match); /* [{prefix, hash}] */
void xet_file_head(struct http_request *request, const struct route_match *match);

#endif
