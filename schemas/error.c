#include "schemas/error.h"

#include <stdarg.h>
#include <stdio.h>

int why_set(struct why *why, int err, const char *format, ...)
{
	if (why) {
		va_list args;
		va_start(args, format);
		vsnprintf(why->text, sizeof(why->text), format, args);
		va_end(args);
	}
	return err;
}

const char *err_name(int err)
{
	static const char *const names[] = {
		"OK", "ERR_INVALID", "ERR_NOT_FOUND", "ERR_EXISTS", "ERR_CONFLICT", "ERR_CORRUPT", "ERR_TOO_BIG",
		"ERR_RANGE", "ERR_NO_SPACE", "ERR_DENIED", "ERR_UNAUTHENTICATED", "ERR_BUSY", "ERR_UNKNOWN_OUTCOME",
		"ERR_IO", "ERR_NO_MEMORY", "ERR_UNSUPPORTED", "ERR_CLOSED", "ERR_AGAIN", "ERR_GATED",
	};
	int index = -err;
	if (index < 0 || index >= (int)(sizeof(names) / sizeof(names[0])))
		return "ERR_?";
	return names[index];
}
