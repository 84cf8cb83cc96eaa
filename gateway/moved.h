/* moved.h - requests for a repository under a name that it had once.
 *
 * Every view that finds nothing under a name asks here before it says so. The answer is 307 with the same address under the new name, path and query only: then
 * a POST stays one, the client stays on this host, and its credentials go along. Who may not see the repository learns nothing. */
#ifndef CAIRN_GATEWAY_MOVED_H
#define CAIRN_GATEWAY_MOVED_H

#include "gateway/auth/auth.h"

/* `owner` and `name` are raw segments of the request's path (a ".git" behind the name stays). True: it moved, this actor sees it, and 307 was answered. */
bool answer_if_moved(struct http_request *request, const struct actor *actor, enum repo_type type, struct span owner, struct span name);

#endif
