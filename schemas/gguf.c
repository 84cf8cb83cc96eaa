#include "schemas/gguf.h"

#include <stdlib.h>

enum gguf_type {
	GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL, GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64,
	GGUF_TYPES_COUNT
};

static const unsigned char sizes[GGUF_TYPES_COUNT] = {
	[GGUF_U8] = 1, [GGUF_I8] = 1, [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1,
	[GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

struct reader {
	const struct gguf_source *source;
	uint64_t at;           /* next byte of the file */
	uint64_t window_at;
	size_t window_length;
	int err;               /* the first one; everything answers zero from then on */
	uint8_t window[GGUF_WINDOW_BYTES];
};

static void fail(struct reader *reader, int err)
{
	if (reader->err == 0)
		reader->err = err;
}

static uint64_t left(const struct reader *reader)
{
	return reader->source->length - reader->at;
}

static void fill(struct reader *reader)
{
	reader->window_at = reader->at;
	reader->window_length = left(reader) < GGUF_WINDOW_BYTES ? (size_t)left(reader) : GGUF_WINDOW_BYTES;
	int err = reader->source->read(reader->source->context, reader->at, reader->window, reader->window_length);
	if (err) {
		fail(reader, err);
		reader->window_length = 0;
	}
}

static void skip(struct reader *reader, uint64_t length)
{
	if (reader->err == 0 && length > left(reader))
		fail(reader, ERR_INVALID);
	else if (reader->err == 0 && reader->at + length > GGUF_HEADER_BYTES_MAX)
		fail(reader, ERR_TOO_BIG);
	if (reader->err == 0)
		reader->at += length;
}

static void take(struct reader *reader, void *out, size_t length)
{
	uint8_t *to = out;
	memset(out, 0, length);
	if (reader->err == 0 && length > left(reader))
		fail(reader, ERR_INVALID);
	while (length > 0 && reader->err == 0) {
		if (reader->at < reader->window_at || reader->at >= reader->window_at + reader->window_length)
			fill(reader);
		if (reader->err)
			return;
		size_t offset = (size_t)(reader->at - reader->window_at);
		size_t part = reader->window_length - offset < length ? reader->window_length - offset : length;
		memcpy(to, reader->window + offset, part);
		to += part;
		length -= part;
		skip(reader, part);
	}
}

static uint64_t take_number(struct reader *reader, unsigned length)
{
	uint8_t bytes[8];
	uint64_t value = 0;
	take(reader, bytes, length);
	for (unsigned i = length; i-- > 0;)
		value = value << 8 | bytes[i];
	return value;
}

/* A string into `out` when it fits there (NUL-terminated), else "" and it is stepped over. */
static void take_text(struct reader *reader, char *out, size_t size)
{
	uint64_t length = take_number(reader, 8);
	out[0] = 0;
	if (length >= size) {
		skip(reader, length);
		return;
	}
	take(reader, out, (size_t)length);
	out[length] = 0;
	if (memchr(out, 0, (size_t)length))
		out[0] = 0;
}

static void skip_value(struct reader *reader, uint64_t type)
{
	if (type < GGUF_TYPES_COUNT && sizes[type])
		skip(reader, sizes[type]);
	else if (type == GGUF_STRING)
		skip(reader, take_number(reader, 8));
	else
		fail(reader, ERR_INVALID);
}

/* An array behind its type; `strings` gets where its elements begin when they are strings. */
static void skip_array(struct reader *reader, uint64_t *strings, uint64_t *count)
{
	uint64_t type = take_number(reader, 4);
	*count = take_number(reader, 8);
	*strings = type == GGUF_STRING ? reader->at : 0;
	if (type < GGUF_TYPES_COUNT && sizes[type]) {
		uint64_t bytes;
		if (__builtin_mul_overflow(*count, (uint64_t)sizes[type], &bytes))
			fail(reader, ERR_INVALID);
		skip(reader, bytes);
		return;
	}
	if (type != GGUF_STRING) /* arrays of arrays: nobody writes them */
		fail(reader, ERR_INVALID);
	for (uint64_t i = 0; i < *count && reader->err == 0; i++)
		skip_value(reader, GGUF_STRING);
}

struct vocabulary {
	uint64_t tokens_at, tokens_count;
	uint64_t bos, eos; /* UINT64_MAX: not said */
};

static bool is_integer(uint64_t type)
{
	return type <= GGUF_I32 || type == GGUF_U64 || type == GGUF_I64;
}

static uint64_t take_integer(struct reader *reader, uint64_t type)
{
	return take_number(reader, sizes[type]);
}

static bool ends_with(const char *text, const char *tail)
{
	size_t length = strlen(text), tail_length = strlen(tail);
	return length >= tail_length && strcmp(text + length - tail_length, tail) == 0;
}

static void take_template(struct reader *reader, struct gguf_summary *out)
{
	char *text = out->chat_template ? NULL : malloc(GGUF_TEMPLATE_BYTES_MAX + 1);
	if (!text) {
		skip_value(reader, GGUF_STRING);
		return;
	}
	take_text(reader, text, GGUF_TEMPLATE_BYTES_MAX + 1);
	if (reader->err == 0 && text[0])
		out->chat_template = realloc(text, strlen(text) + 1);
	else
		free(text);
}

static void read_pair(struct reader *reader, struct gguf_summary *out, struct vocabulary *vocabulary)
{
	char key[GGUF_KEY_BYTES_MAX + 1];
	take_text(reader, key, sizeof(key));
	uint64_t type = take_number(reader, 4), strings, count;
	if (type == GGUF_ARRAY) {
		skip_array(reader, &strings, &count);
		if (strcmp(key, "tokenizer.ggml.tokens") == 0 && strings) {
			vocabulary->tokens_at = strings;
			vocabulary->tokens_count = count;
		}
	} else if (type == GGUF_STRING && strcmp(key, "general.architecture") == 0) {
		take_text(reader, out->architecture, sizeof(out->architecture));
	} else if (type == GGUF_STRING && strcmp(key, "tokenizer.chat_template") == 0) {
		take_template(reader, out);
	} else if (is_integer(type) && ends_with(key, ".context_length")) {
		out->context_length = take_integer(reader, type);
	} else if (is_integer(type) && strcmp(key, "tokenizer.ggml.bos_token_id") == 0) {
		vocabulary->bos = take_integer(reader, type);
	} else if (is_integer(type) && strcmp(key, "tokenizer.ggml.eos_token_id") == 0) {
		vocabulary->eos = take_integer(reader, type);
	} else {
		if (strncmp(key, "quantize.imatrix.", 17) == 0)
			out->quantize_imatrix = true;
		skip_value(reader, type);
	}
}

static void read_tensor(struct reader *reader, struct gguf_summary *out)
{
	uint64_t elements = 1;
	skip_value(reader, GGUF_STRING);
	uint64_t dimensions = take_number(reader, 4);
	if (dimensions > GGUF_DIMENSIONS_MAX)
		fail(reader, ERR_INVALID);
	for (uint64_t i = 0; i < dimensions && reader->err == 0; i++)
		if (__builtin_mul_overflow(elements, take_number(reader, 8), &elements))
			fail(reader, ERR_INVALID);
	skip(reader, 4 + 8); /* type, offset */
	if (reader->err == 0 && __builtin_add_overflow(out->parameters, elements, &out->parameters))
		fail(reader, ERR_INVALID);
}

static void read_token(struct reader *reader, const struct vocabulary *vocabulary, uint64_t id, char *out, size_t size)
{
	if (id >= vocabulary->tokens_count)
		return;
	reader->at = vocabulary->tokens_at;
	for (uint64_t i = 0; i < id && reader->err == 0; i++)
		skip_value(reader, GGUF_STRING);
	take_text(reader, out, size);
}

static void read_header(struct reader *reader, struct gguf_summary *out)
{
	uint8_t magic[4];
	take(reader, magic, sizeof(magic));
	uint64_t version = take_number(reader, 4);
	out->tensors = take_number(reader, 8);
	uint64_t pairs = take_number(reader, 8);
	if (memcmp(magic, "GGUF", 4) != 0 || version < 2 || version > 3)
		fail(reader, ERR_INVALID);
	if (out->tensors > GGUF_TENSORS_MAX || pairs > GGUF_PAIRS_MAX)
		fail(reader, ERR_TOO_BIG);
	struct vocabulary vocabulary = { .bos = UINT64_MAX, .eos = UINT64_MAX };
	for (uint64_t i = 0; i < pairs && reader->err == 0; i++)
		read_pair(reader, out, &vocabulary);
	for (uint64_t i = 0; i < out->tensors && reader->err == 0; i++)
		read_tensor(reader, out);
	read_token(reader, &vocabulary, vocabulary.bos, out->bos_token, sizeof(out->bos_token));
	read_token(reader, &vocabulary, vocabulary.eos, out->eos_token, sizeof(out->eos_token));
}

int gguf_summarize(struct gguf_summary *out, const struct gguf_source *source, struct why *why)
{
	memset(out, 0, sizeof(*out));
	struct reader *reader = calloc(1, sizeof(*reader));
	if (!reader)
		return why_set(why, ERR_NO_MEMORY, "no memory to read a GGUF header");
	reader->source = source;
	read_header(reader, out);
	int err = reader->err;
	if (err == ERR_INVALID)
		why_set(why, err, "the GGUF header is malformed at byte %llu", (unsigned long long)reader->at);
	else if (err == ERR_TOO_BIG)
		why_set(why, err, "the GGUF header is larger than %d MiB, or holds more than is believed", GGUF_HEADER_BYTES_MAX >> 20);
	else if (err)
		why_set(why, err, "the GGUF header cannot be read");
	free(reader);
	if (err)
		gguf_summary_fini(out);
	return err;
}

void gguf_summary_fini(struct gguf_summary *summary)
{
	free(summary->chat_template);
	summary->chat_template = NULL;
}
