/* xorbs.h - POST and HEAD of xorbs. A body is verified chunk by chunk while it streams into its place in a volume; the answer comes after
 * the bytes are durable.
 *
 * A file of one chunk is a xorb whose hash anybody can make who guesses the content. So both calls tell that a xorb is there only to whom they could
 * show a file that uses it: for all others a HEAD finds nothing, and what is sent counts as new. No client asks by HEAD, or minds what a POST says. */
#ifndef CAIRN_GATEWAY_XET_XORBS_H
#define CAIRN_GATEWAY_XET_XORBS_H

#include "gateway/gateway.h"

/* Captures: prefix, hash. */
void xet_xorb_post(struct http_request *request, const struct route_match *match);
void xet_xorb_head(struct http_request *request, const struct route_match *match);

/* Answers a HEAD with an object's length. */
void xet_reply_length(struct http_request *request, uint64_t length);

#endif
