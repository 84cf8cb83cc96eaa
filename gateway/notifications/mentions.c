#include "gateway/notifications/mentions.h"

#include <string.h>

#include "replication/namespace.h"

enum { UNENDED_MAX = 50 }; /* backticks that nothing ends: each costs a look through the rest of the text */

static bool is_name_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static size_t backticks_at(struct span text, size_t at)
{
	size_t count = 0;
	while (at + count < text.length && text.data[at + count] == '`')
		count++;
	return count;
}

/* Behind the code that begins with the backticks at `at`; `at` itself when nothing ends it. */
static size_t skip_code(struct span text, size_t at)
{
	size_t ticks = backticks_at(text, at);
	for (size_t end = at + ticks; end < text.length;) {
		size_t run = backticks_at(text, end);
		if (run == ticks)
			return end + run;
		end += run ? run : 1;
	}
	return at;
}

int mentions_each(struct span text, int (*each)(void *context, const char *name), void *context)
{
	size_t count = 0, unended = 0;
	for (size_t at = 0; at < text.length && count < MENTIONS_MAX;) {
		uint8_t c = text.data[at];
		if (c == '`') {
			size_t next = unended < UNENDED_MAX ? skip_code(text, at) : at;
			unended += next == at;
			at = next > at ? next : at + backticks_at(text, at);
			continue;
		}
		bool begins = c == '@' && (at == 0 || !(is_name_byte(text.data[at - 1]) || text.data[at - 1] == '@' || text.data[at - 1] == '/'));
		at++;
		if (!begins)
			continue;
		size_t end = at;
		while (end < text.length && is_name_byte(text.data[end]))
			end++;
		size_t length = end - at;
		while (length && (text.data[at + length - 1] == '.' || text.data[at + length - 1] == '-'))
			length--;
		char name[NAME_BYTES_MAX + 1] = { 0 };
		struct span found = span_of(text.data + at, length);
		at = end;
		if (length == 0 || length > NAME_BYTES_MAX || !name_valid(found))
			continue;
		memcpy(name, found.data, length);
		count++;
		int err = each(context, name);
		if (err)
			return err;
	}
	return 0;
}
