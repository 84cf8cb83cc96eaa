#include "gateway/auth/auth.h"

int may_move_ref(const struct actor *actor, const struct resource *resource, const char *ref)
{
	(void)ref;
	return may(actor, ACTION_WRITE, resource);
}
