/* content.h - a stored file as the body of an answer: conditions, ranges, and the stream itself. */
#ifndef CAIRN_GATEWAY_CONTENT_H
#define CAIRN_GATEWAY_CONTENT_H

#include "gateway/gateway.h"

struct content {
	struct hash file;   /* in the store; unused when length is 0 */
	uint64_t length;
	const char *etag;   /* quoted */
	const char *type;
};

/* True when the request can be answered without the bytes (HEAD, not modified, empty, bad range): then it has been. */
bool reply_content_head(struct http_request *request, const struct content *content);
/* [blocks] Answers with the bytes asked for; call reply_content_head first. */
void reply_content(struct http_request *request, struct gateway *gateway, const struct content *content);
/* The same for bytes that are in memory: all `content->length` of them. */
void reply_content_bytes(struct http_request *request, const struct content *content, const uint8_t *bytes);

#endif
