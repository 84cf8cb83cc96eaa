/* Any bytes as a safetensors file: what is counted adds up. */
#include "schemas/safetensors.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of(data, size);
	struct safetensors_summary summary;
	struct why why;
	uint64_t length;
	if (safetensors_header_length(&length, bytes, size, &why) == 0) {
		bytes = span_of(data + SAFETENSORS_PREFIX_BYTES, (size_t)length);
		assert(length <= size - SAFETENSORS_PREFIX_BYTES);
	}
	if (safetensors_summarize(&summary, bytes, UINT64_C(1) << 40, &why) != 0)
		return 0;
	uint64_t sum = 0;
	assert(summary.dtypes_count <= SAFETENSORS_DTYPES_MAX);
	for (size_t i = 0; i < summary.dtypes_count; i++)
		sum += summary.dtypes[i].parameters;
	assert(sum == summary.parameters);
	return 0;
}
