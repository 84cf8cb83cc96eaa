/* mentions.h - who is addressed in a text: "@name", outside of code. Pure. */
#ifndef CAIRN_GATEWAY_NOTIFICATIONS_MENTIONS_H
#define CAIRN_GATEWAY_NOTIFICATIONS_MENTIONS_H

#include "schemas/buffer.h"

enum { MENTIONS_MAX = 50 }; /* of one text: those beyond are not told */

/* Calls `each` for the names in order, as they are written, the same one as often as it is there. Non-zero stops and is returned. */
int mentions_each(struct span text, int (*each)(void *context, const char *name), void *context);

#endif
