/* Rights of fine-grained tokens as they come from the log: whatever is taken is valid, and is written the same way again. */
#include <assert.h>

#include "replication/token_rights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct token_rights rights, again;
	struct buffer bytes;
	if (token_rights_decode(&rights, span_of(data, size)) != 0)
		return 0;
	assert(token_rights_valid(&rights));
	buffer_init(&bytes, 1 << 16);
	token_rights_encode(&bytes, &rights);
	assert(!bytes.failed && token_rights_decode(&again, buffer_span(&bytes)) == 0);
	assert(memcmp(&rights, &again, sizeof(rights)) == 0);
	buffer_fini(&bytes);
	return 0;
}
