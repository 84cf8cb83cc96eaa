/* visibility.h - "visibility", or the older "private", of a body that makes or changes a repository. */
#ifndef CAIRN_GATEWAY_HUB_VISIBILITY_H
#define CAIRN_GATEWAY_HUB_VISIBILITY_H

#include <stdbool.h>

#include <jansson.h>

#include "schemas/error.h"

/* 0, ERR_INVALID, ERR_UNSUPPORTED; *given false: neither is there. */
int visibility_read(const json_t *body, bool *given, bool *private, struct why *why);

#endif
