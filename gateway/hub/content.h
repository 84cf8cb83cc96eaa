/* content.h - what a file of a repository calls itself when it is sent. The sending is gateway/content.h. */
#ifndef CAIRN_GATEWAY_HUB_CONTENT_H
#define CAIRN_GATEWAY_HUB_CONTENT_H

#include "gateway/content.h"

/* Media type of a file by its name: never one that a browser would run. */
const char *content_type_of(struct span path);
/* How it is called when it is saved, and what keeps a browser from running it. */
void add_content_headers(struct http_request *request, struct span path);

#endif
