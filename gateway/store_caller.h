/* store_caller.h - the store's long work for a request goes on while its client waits, and counts as its user's, or its address's. */
#ifndef CAIRN_GATEWAY_STORE_CALLER_H
#define CAIRN_GATEWAY_STORE_CALLER_H

#include "gateway/http/http.h"
#include "store/store.h"

/* For whoever owns the request, on a worker, until it is answered. */
struct store_caller store_caller_of(struct http_request *request);
uint64_t store_caller_who(const char *name);

#endif
