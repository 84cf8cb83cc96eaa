/* Any bytes as a README and as bare YAML: reading ends within its limits, and what it makes is JSON that can be written and read. */
#include "gateway/facts/front_matter.h"

#include <assert.h>
#include <stdlib.h>

static size_t count_values(const json_t *value, int depth)
{
	assert(depth <= FRONT_MATTER_DEPTH_MAX);
	size_t count = 1, i;
	const char *key;
	json_t *item;
	json_array_foreach(value, i, item)
		count += count_values(item, depth + 1);
	json_object_foreach((json_t *)(uintptr_t)value, key, item)
		count += count_values(item, depth + 1);
	return count;
}

static void check(json_t *data)
{
	if (!data)
		return;
	assert(count_values(data, 0) <= FRONT_MATTER_VALUES_MAX);
	char *text = json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY);
	assert(text);
	json_t *again = json_loads(text, JSON_DECODE_ANY, NULL);
	assert(again);
	json_decref(again);
	free(text);
	json_decref(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct span bytes = span_of(data, length), block = front_matter_find(bytes);
	struct why why = { 0 };
	json_t *value;
	assert(block.length == 0 || (block.data > data && block.data + block.length < data + length));
	int err = front_matter_parse(bytes, &value, &why);
	assert(err == 0 || !value);
	assert(!value || json_is_object(value));
	check(value);
	err = yaml_to_json(bytes, &value, &why);
	assert(err == 0 || !value);
	check(value);
	return 0;
}
