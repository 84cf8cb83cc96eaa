/* Any bytes as a GGUF file: ends, stays within its source, and gives texts that end. */
#include "schemas/gguf.h"

#include <assert.h>

static int read_at(void *context, uint64_t offset, void *out, size_t length)
{
	const struct span *bytes = context;
	assert(offset <= bytes->length && length <= bytes->length - offset);
	memcpy(out, bytes->data + offset, length);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of(data, size);
	struct gguf_source source = { .read = read_at, .context = &bytes, .length = size };
	struct gguf_summary summary;
	struct why why = { 0 };
	int err = gguf_summarize(&summary, &source, &why);
	assert((err != 0) == (why.text[0] != 0));
	if (err == 0) {
		assert(memchr(summary.architecture, 0, sizeof(summary.architecture)));
		assert(memchr(summary.bos_token, 0, sizeof(summary.bos_token)));
		assert(!summary.chat_template || strlen(summary.chat_template) <= GGUF_TEMPLATE_BYTES_MAX);
		gguf_summary_fini(&summary);
	}
	return 0;
}
