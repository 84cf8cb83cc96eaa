/* pushes.h - all pushes under way on this gateway: counted when they come, waited for when it stops. */
#ifndef CAIRN_GATEWAY_GIT_PUSHES_H
#define CAIRN_GATEWAY_GIT_PUSHES_H

#include "schemas/error.h"

struct pushes; /* struct git_service has it */

int pushes_open(struct pushes **out);
/* [blocks] Ends those whose pack is not stored yet, and waits for those that are about to name theirs. May be NULL. */
void pushes_close(struct pushes *pushes);

#endif
