#include "gateway/hub/visibility.h"

#include <string.h>

#include "gateway/hub/json_body.h"

int visibility_read(const json_t *body, bool *given, bool *private, struct why *why)
{
	const char *visibility = json_body_text(body, "visibility", NULL);
	const json_t *flag = json_object_get(body, "private");
	*given = visibility || json_is_boolean(flag);
	*private = json_is_true(flag);
	if (!visibility)
		return 0;
	if (strcmp(visibility, "protected") == 0)
		return why_set(why, ERR_UNSUPPORTED, "Protected repositories are not implemented by this server");
	if (strcmp(visibility, "private") != 0 && strcmp(visibility, "public") != 0)
		return why_set(why, ERR_INVALID, "The visibility must be \"public\" or \"private\"");
	*private = strcmp(visibility, "private") == 0;
	return 0;
}
