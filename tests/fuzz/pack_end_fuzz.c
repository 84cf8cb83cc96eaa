/* Any bytes as a pack: the end is at the same place whether they come at once or one by one. */
#include "schemas/pack_end.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pack_end *whole = pack_end_open(), *bytewise = pack_end_open();
	size_t used = 0, at = 0, one = 0;
	int more = pack_end_take(whole, span_of(data, size), &used), each = 0;
	while (each == 0 && at < size) {
		each = pack_end_take(bytewise, span_of(data + at, 1), &one);
		at += one;
	}
	assert(used <= size);
	assert(more == each);
	assert(more != 1 || used == at);
	pack_end_close(whole);
	pack_end_close(bytewise);
	return 0;
}
