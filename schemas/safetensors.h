/* safetensors.h - what a safetensors file says about its tensors, from its header alone.
 *
 * A file begins with the header's length (u64, little-endian), then the header: a JSON object of tensor name -> {dtype, shape, data_offsets:
 * [begin, end)} and perhaps "__metadata__": text -> text. The rest of the file is data; offsets count from its start.
 * Used to show how many parameters a model has, so only that is drawn from it. Pure, no I/O. */
#ifndef CAIRN_SCHEMAS_SAFETENSORS_H
#define CAIRN_SCHEMAS_SAFETENSORS_H

#include "schemas/buffer.h"
#include "schemas/error.h"

enum {
	SAFETENSORS_PREFIX_BYTES = 8,
	SAFETENSORS_HEADER_BYTES_MAX = 16 << 20, /* the format allows 100 MB; parsed JSON takes several times its text in memory */
	SAFETENSORS_DIMENSIONS_MAX = 32,
	SAFETENSORS_DTYPE_BYTES_MAX = 16,
	SAFETENSORS_DTYPES_MAX = 32,             /* different ones in one file */
};

struct safetensors_dtype {
	char name[SAFETENSORS_DTYPE_BYTES_MAX + 1]; /* "BF16" */
	uint64_t parameters;
};

struct safetensors_summary {
	uint64_t tensors;
	uint64_t parameters; /* of all dtypes */
	size_t dtypes_count;
	struct safetensors_dtype dtypes[SAFETENSORS_DTYPES_MAX]; /* in order of first appearance */
};

/* Reads the prefix. 0, ERR_INVALID (fewer than 8 bytes, or a header longer than the file) or ERR_TOO_BIG. */
int safetensors_header_length(uint64_t *out, struct span first, uint64_t file_length, struct why *why);

/* Reads the header (without the prefix) of a file whose data part has `data_length` bytes. 0, or ERR_INVALID with what is wrong: offsets
 * outside the data, a shape that does not fill them, names of the wrong kind. */
int safetensors_summarize(struct safetensors_summary *out, struct span header, uint64_t data_length, struct why *why);

#endif
