/* Any bytes as a head and as a chunked body: what the decoders say of them in one piece they also say byte by byte, and they read nothing outside. */
#include "gateway/http/parser.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int scan(const uint8_t *data, size_t size, size_t step)
{
	struct head_scan scan = { 0 };
	int found = 0;
	for (size_t have = step < size ? step : size; found == 0; have = have + step < size ? have + step : size) {
		found = head_scan(&scan, data, have);
		if (have == size)
			break;
	}
	return found;
}

static bool inside(struct span span, const uint8_t *data, size_t size)
{
	return !span.data || (span.data >= data && span.data + span.length <= data + size);
}

static void check_head(const uint8_t *data, size_t size)
{
	static struct head head;
	int found = scan(data, size, size ? size : 1);
	assert(scan(data, size, 1) == found);
	assert(scan(data, size, 7) == found);
	if (found <= 0)
		return;
	assert((size_t)found <= size && found <= HTTP_HEAD_BYTES_MAX);
	uint8_t *copy = malloc((size_t)found); /* of exactly its size, for the sanitizer */
	memcpy(copy, data, (size_t)found);
	int status = head_parse(&head, copy, (size_t)found);
	assert(status == 0 || (status >= 400 && status <= 505));
	if (status == 0) {
		assert(head.path.length == 1 || inside(head.path, copy, (size_t)found));
		assert(inside(head.query, copy, (size_t)found) && inside(head.host, copy, (size_t)found));
		assert(!head.chunked || (!head.has_content_length && head.minor == 1));
		for (unsigned i = 0; i < head.fields_count; i++)
			assert((int)head.fields[i].value + head.fields[i].value_length <= found);
	}
	free(copy);
}

struct decoded {
	int status;
	bool done;
	size_t consumed, produced;
};

static struct decoded decode(uint8_t *out, const uint8_t *data, size_t size, size_t step)
{
	struct chunk_decoder decoder = { 0 };
	struct decoded decoded = { 0 };
	while (decoded.consumed < size && !decoded.status && !decoder.done) {
		size_t piece = size - decoded.consumed < step ? size - decoded.consumed : step, consumed, produced;
		memcpy(out + decoded.produced, data + decoded.consumed, piece);
		decoded.status = chunk_decode(&decoder, out + decoded.produced, piece, &consumed, &produced);
		assert(consumed <= piece && produced <= consumed);
		decoded.consumed += consumed;
		decoded.produced += produced;
	}
	decoded.done = decoder.done;
	return decoded;
}

static void check_chunks(const uint8_t *data, size_t size)
{
	uint8_t *whole = malloc(size + 1), *pieces = malloc(size + 1);
	struct decoded a = decode(whole, data, size, size ? size : 1), b = decode(pieces, data, size, 1);
	assert(a.status == b.status && a.done == b.done && a.consumed == b.consumed && a.produced == b.produced);
	assert(memcmp(whole, pieces, a.produced) == 0);
	free(whole);
	free(pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_head(data, size);
	check_chunks(data, size);
	return 0;
}
