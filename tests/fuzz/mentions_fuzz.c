/* Any text as a comment: whoever it calls has a valid name, which stands in it behind an at sign. */
#include "gateway/notifications/mentions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "replication/namespace.h"

struct seen {
	struct span text;
	size_t count;
};

static int check(void *context, const char *name)
{
	struct seen *seen = context;
	char wanted[NAME_BYTES_MAX + 2] = "@";
	assert(strlen(name) <= NAME_BYTES_MAX && name_valid(span_text(name)));
	strcat(wanted, name);
	assert(memmem(seen->text.data, seen->text.length, wanted, strlen(wanted)));
	assert(++seen->count <= MENTIONS_MAX);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = { .text = span_of(data, size) };
	if (size <= 64 << 10)
		assert(mentions_each(seen.text, check, &seen) == 0);
	return 0;
}
