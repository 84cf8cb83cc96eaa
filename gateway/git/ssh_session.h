/* ssh_session.h - what `cairn ssh-shell` asks for when somebody came in over SSH: POST /api/admin/ssh-session, for an operator's token.
 *
 *   {key: "SHA256:...", service: "greeting"|"upload-pack"|"receive-pack"|"lfs-download"|"lfs-upload", type, owner, name, pid?}
 *   -> {user, path: "/datasets/owner/name.git", url: "https://hub/datasets/owner/name.git", authorization: "Bearer ...", expires_in, directory?}
 *
 * The key says who it is; rights are those of its owner now. `authorization` is a grant on that repository, to read or to write it, and ends with the
 * key. For upload-pack `directory` is a bare repository on this machine with everything the repository had when it was asked for, kept as long as the process `pid`
 * lives: a stock git serves the clone from it, so that a large clone costs what git alone costs, and v0 of the protocol, whose
 * server must remember the conversation, works as well as v2. Pushes go through the HTTP call, as whatever changes a repository must pass its rules. */
#ifndef CAIRN_GATEWAY_GIT_SSH_SESSION_H
#define CAIRN_GATEWAY_GIT_SSH_SESSION_H

#include "gateway/gateway.h"

enum { SSH_GRANT_MS = 3600 * 1000 }; /* a push may think for long before it sends */

void ssh_session(struct http_request *request, const struct route_match *match);

#endif
