#include "ops/cairn/duration.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ops/cairn/settings.h"

int duration_read(int64_t *ms, const char *text)
{
	static const char units[] = "smhdw";
	static const int64_t unit_ms[] = { 1000, 60000, 3600000, 86400000, 7 * 86400000LL };
	const int64_t ms_max = INT64_C(1000) * 366 * 86400000;
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : units;
	if (!isdigit((unsigned char)text[0]) || errno || !unit || (*end && end[1]))
		return -1;
	int64_t each = unit_ms[unit - units];
	if (number > ms_max / each)
		return -1;
	*ms = number * each;
	return 0;
}

int duration_read_option(int64_t *ms, const char *noun, const char *text)
{
	return duration_read(ms, text) == 0 ? 0 : usage_error(noun, "\"%s\" is no duration (such as 21d, 12h, 90s)", text);
}
