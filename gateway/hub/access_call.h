/* access_call.h - what the calls on access requests share: asking and listing (access.c), deciding (access_decide.c). */
#ifndef CAIRN_GATEWAY_HUB_ACCESS_CALL_H
#define CAIRN_GATEWAY_HUB_ACCESS_CALL_H

#include "gateway/hub/body_call.h"

#include "replication/gate.h"

enum { ACCESS_BODY_BYTES_MAX = 64 << 10 };

/* "pending" and so on. 0 or ERR_NOT_FOUND. */
int access_status_from(struct span text, enum access_status *out);
/* True: the repository has no gate, and that is answered. */
bool access_refuse_ungated(struct http_request *request, const struct call *call);

#endif
