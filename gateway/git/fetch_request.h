/* fetch_request.h - what a request to upload-pack is about, as far as we need to know. Private to gateway/git. Pure.
 *
 * git parses requests itself. We look for two things: whether the client says that it has something (then the answer is for it alone), and, in protocol 2, which
 * command it is and whether it wants all of the history. A request that is no sequence of packets is refused here, before a process is spent on it. */
#ifndef CAIRN_GATEWAY_GIT_FETCH_REQUEST_H
#define CAIRN_GATEWAY_GIT_FETCH_REQUEST_H

#include "schemas/pkt_line.h"

enum fetch_command { FETCH_UNKNOWN, FETCH_PACK, FETCH_REFS, FETCH_BUNDLE_URI };

struct fetch_request {
	enum fetch_command command; /* protocols 0 and 1 know only FETCH_PACK */
	bool has_haves;
	bool is_partial;            /* not all of what it wants: shallow, or filtered */
	bool is_empty;              /* nothing but flushes: git's probe of our credentials */
};

/* 0 or ERR_CORRUPT. */
int fetch_request_parse(struct fetch_request *out, unsigned protocol, struct span body);

#endif
