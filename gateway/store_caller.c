#include "gateway/store_caller.h"

#include <xxhash.h>

static bool waits(void *context)
{
	return http_is_awaited(context);
}

uint64_t store_caller_who(const char *name)
{
	return XXH3_64bits(name, strlen(name));
}

struct store_caller store_caller_of(struct http_request *request)
{
	const char *name = http_actor_name(request);
	return (struct store_caller){ .waits = waits, .context = request, .who = store_caller_who(name[0] ? name : http_peer_address(request)) };
}
