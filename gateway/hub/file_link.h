/* file_link.h - signed addresses of one file's bytes on another node, and the call that serves them.
 *
 * /api/files/{file}/{name}?e=ETAG&g=GRANT. The grant binds repository, holder, file, name and ETag, so that the answer has the headers that the file has under its own address. Whoever
 * shows the link gets the bytes, as long as the grant lasts and its holder still may read the repository. */
#ifndef CAIRN_GATEWAY_HUB_FILE_LINK_H
#define CAIRN_GATEWAY_HUB_FILE_LINK_H

#include "gateway/hub/call.h"
#include "gateway/hub/content.h"

enum { FILE_LINK_MS = 3600 * 1000 };

/* [blocks] True when this node lacks some of a file that another has: then the caller, who may read it, has been sent there. `path` is what it is called in the repository. Call
 * reply_content_head first: what needs no bytes is answered here. */
bool file_link_reply(struct http_request *request, const struct call *call, const struct content *content, struct span path);

/* GET and HEAD. Captures: file, name. */
void file_link_get(struct http_request *request, const struct route_match *match);

#endif
