/* target.h - the repository that a git address names, and whether the caller may have it. Private to gateway/git.
 *
 * Addresses are OWNER/NAME for models and datasets|spaces|kernels/OWNER/NAME for the rest, with or without ".git". git asks without credentials first and
 * only sends some after a 401 that names the scheme, so that is what the anonymous get for what they may not see; whom we know gets a 404. */
#ifndef CAIRN_GATEWAY_GIT_TARGET_H
#define CAIRN_GATEWAY_GIT_TARGET_H

#include "gateway/auth/auth.h"

enum { GIT_PROTOCOL_HEADER_BYTES_MAX = 256 };

struct git_target {
	struct gateway *gateway;
	struct actor actor;
	struct repo repo;
	const char *who;      /* for limits per user: the name, or the address of the anonymous */
	unsigned protocol;    /* 0, 1 or 2: the newest that the client's Git-Protocol names */
};

/* The captures of `match` are [type] owner name. NULL: answered already. The target is the request's memory. */
struct git_target *git_target_open(struct http_request *request, const struct route_match *match, enum action action);
/* Of a Git-Protocol header ("version=2", "version=1:extra"): 0 for anything that is not understood. Pure. */
unsigned git_protocol_of(struct span header);

#endif
