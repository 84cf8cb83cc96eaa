/* gguf.h - what a GGUF file says about its model, from its header alone.
 *
 * A file begins with "GGUF", u32 version, u64 number of tensors, u64 number of metadata pairs; then the pairs (key, type, value), then the
 * tensors' names, shapes and types; all little-endian. The header of a real model has megabytes (its vocabulary is in it), so it is read through a window
 * from wherever it lies, and what is not wanted is stepped over. No I/O of its own; a source belongs to one thread. */
#ifndef CAIRN_SCHEMAS_GGUF_H
#define CAIRN_SCHEMAS_GGUF_H

#include "schemas/buffer.h"
#include "schemas/error.h"

enum {
	GGUF_PAIRS_MAX = 65536,
	GGUF_TENSORS_MAX = 1 << 20,
	GGUF_DIMENSIONS_MAX = 8,
	GGUF_KEY_BYTES_MAX = 1024,
	GGUF_NAME_BYTES_MAX = 64,               /* of an architecture */
	GGUF_TOKEN_BYTES_MAX = 256,
	GGUF_TEMPLATE_BYTES_MAX = 64 << 10,     /* longer chat templates are left out */
	GGUF_HEADER_BYTES_MAX = 128 << 20,      /* looked at, not held */
	GGUF_WINDOW_BYTES = 64 << 10,
};

struct gguf_source {
	/* Exactly `length` bytes at `offset`; 0 or an ERR_*. Never asked beyond `length` of the source. */
	int (*read)(void *context, uint64_t offset, void *out, size_t length);
	void *context;
	uint64_t length;
};

struct gguf_summary {
	uint64_t tensors, parameters;
	char architecture[GGUF_NAME_BYTES_MAX + 1]; /* "llama"; "" when it does not say */
	uint64_t context_length;                    /* 0: does not say */
	bool quantize_imatrix;
	char bos_token[GGUF_TOKEN_BYTES_MAX + 1], eos_token[GGUF_TOKEN_BYTES_MAX + 1];
	char *chat_template;                        /* malloc'ed, or NULL */
};

/* 0; ERR_INVALID or ERR_TOO_BIG with what is wrong; what the source answered. gguf_summary_fini on success. */
int gguf_summarize(struct gguf_summary *out, const struct gguf_source *source, struct why *why);
void gguf_summary_fini(struct gguf_summary *summary);

#endif
