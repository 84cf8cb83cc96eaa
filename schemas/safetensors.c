#include "schemas/safetensors.h"

#include <ctype.h>

#include <jansson.h>

static const struct dtype_size {
	const char *name;
	unsigned bits;
} dtype_sizes[] = {
	{ "BOOL", 8 }, { "U8", 8 }, { "I8", 8 }, { "F8_E5M2", 8 }, { "F8_E4M3", 8 }, { "F8_E8M0", 8 }, { "F4", 4 }, { "F6_E2M3", 6 },
	{ "F6_E3M2", 6 }, { "I16", 16 }, { "U16", 16 }, { "F16", 16 }, { "BF16", 16 }, { "I32", 32 }, { "U32", 32 }, { "F32", 32 },
	{ "F64", 64 }, { "I64", 64 }, { "U64", 64 }, { "C64", 64 },
};

/* 0: a dtype that is younger than this list. */
static unsigned bits_of(const char *dtype)
{
	for (size_t i = 0; i < sizeof(dtype_sizes) / sizeof(dtype_sizes[0]); i++)
		if (strcmp(dtype_sizes[i].name, dtype) == 0)
			return dtype_sizes[i].bits;
	return 0;
}

int safetensors_header_length(uint64_t *out, struct span first, uint64_t file_length, struct why *why)
{
	if (first.length < SAFETENSORS_PREFIX_BYTES || file_length < SAFETENSORS_PREFIX_BYTES)
		return why_set(why, ERR_INVALID, "a safetensors file has at least %d bytes", SAFETENSORS_PREFIX_BYTES);
	uint64_t length = 0;
	for (unsigned i = SAFETENSORS_PREFIX_BYTES; i-- > 0;)
		length = length << 8 | first.data[i];
	if (length > file_length - SAFETENSORS_PREFIX_BYTES)
		return why_set(why, ERR_INVALID, "the safetensors header is longer than the file");
	if (length > SAFETENSORS_HEADER_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "the safetensors header has more than %d bytes", SAFETENSORS_HEADER_BYTES_MAX);
	*out = length;
	return 0;
}

/* Letters, digits and '_': the name goes into answers as a JSON key. */
static bool dtype_is_plain(const char *dtype)
{
	size_t length = strlen(dtype);
	for (const char *p = dtype; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			return false;
	return length > 0 && length <= SAFETENSORS_DTYPE_BYTES_MAX;
}

/* The product of a shape; a scalar has the empty shape and one element. False: not a shape. */
static bool elements_of(uint64_t *out, const json_t *shape)
{
	*out = 1;
	if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_DIMENSIONS_MAX)
		return false;
	size_t i;
	json_t *dimension;
	json_array_foreach(shape, i, dimension) {
		json_int_t size = json_integer_value(dimension);
		if (!json_is_integer(dimension) || size < 0 || __builtin_mul_overflow(*out, (uint64_t)size, out))
			return false;
	}
	return true;
}

static bool offsets_of(uint64_t *length, const json_t *offsets, uint64_t data_length)
{
	const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
	if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
		return false;
	json_int_t from = json_integer_value(begin), to = json_integer_value(end);
	if (from < 0 || to < from || (uint64_t)to > data_length)
		return false;
	*length = (uint64_t)(to - from);
	return true;
}

/* The shape fills exactly the bytes that the offsets enclose. */
static bool fills(uint64_t elements, unsigned bits, uint64_t length)
{
	uint64_t size_bits;
	return !__builtin_mul_overflow(elements, (uint64_t)bits, &size_bits) && size_bits % 8 == 0 && size_bits / 8 == length;
}

static int count(struct safetensors_summary *out, const char *dtype, uint64_t elements, struct why *why)
{
	size_t i = 0;
	while (i < out->dtypes_count && strcmp(out->dtypes[i].name, dtype) != 0)
		i++;
	if (i == SAFETENSORS_DTYPES_MAX)
		return why_set(why, ERR_INVALID, "more than %d different dtypes", SAFETENSORS_DTYPES_MAX);
	if (i == out->dtypes_count) {
		memcpy(out->dtypes[i].name, dtype, strlen(dtype) + 1);
		out->dtypes_count++;
	}
	out->tensors++;
	/* Only dtypes without a known size can get here with more elements than a file has room for. */
	if (__builtin_add_overflow(out->parameters, elements, &out->parameters))
		return why_set(why, ERR_INVALID, "more parameters than can be counted");
	out->dtypes[i].parameters += elements;
	return 0;
}

static int read_tensor(struct safetensors_summary *out, const char *name, const json_t *tensor, uint64_t data_length, struct why *why)
{
	const char *dtype = json_string_value(json_object_get(tensor, "dtype"));
	uint64_t elements, length;
	if (!dtype || !dtype_is_plain(dtype))
		return why_set(why, ERR_INVALID, "tensor \"%.80s\" has no dtype", name);
	if (!elements_of(&elements, json_object_get(tensor, "shape")))
		return why_set(why, ERR_INVALID, "tensor \"%.80s\" has no valid shape", name);
	if (!offsets_of(&length, json_object_get(tensor, "data_offsets"), data_length))
		return why_set(why, ERR_INVALID, "tensor \"%.80s\" lies outside the file", name);
	unsigned bits = bits_of(dtype);
	if (bits && !fills(elements, bits, length))
		return why_set(why, ERR_INVALID, "tensor \"%.80s\" does not fill its bytes", name);
	return count(out, dtype, elements, why);
}

int safetensors_summarize(struct safetensors_summary *out, struct span header, uint64_t data_length, struct why *why)
{
	memset(out, 0, sizeof(*out));
	if (header.length > SAFETENSORS_HEADER_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "the safetensors header has more than %d bytes", SAFETENSORS_HEADER_BYTES_MAX);
	/* The format wants '{' first, so that a header cannot be mistaken for something else. */
	if (header.length == 0 || header.data[0] != '{')
		return why_set(why, ERR_INVALID, "the safetensors header is not a JSON object");
	json_error_t error;
	json_t *root = json_loadb((const char *)header.data, header.length, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(root)) {
		json_decref(root);
		return why_set(why, ERR_INVALID, "the safetensors header is not JSON: %.100s", error.text);
	}
	int err = 0;
	const char *name;
	json_t *tensor;
	json_object_foreach(root, name, tensor) {
		if (err == 0 && strcmp(name, "__metadata__") != 0)
			err = read_tensor(out, name, tensor, data_length, why);
	}
	json_decref(root);
	return err;
}
