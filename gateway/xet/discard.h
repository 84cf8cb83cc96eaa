/* discard.h - reads a body to its end and throws it away before answering: a client that still writes may take an early answer for a
 * broken connection. */
#ifndef CAIRN_GATEWAY_XET_DISCARD_H
#define CAIRN_GATEWAY_XET_DISCARD_H

#include "gateway/gateway.h"

/* `text` is a constant: JSON for a 200, the sentence of the error otherwise. */
void xet_discard_then(struct http_request *request, uint64_t bytes_max, int status, const char *text);

#endif
