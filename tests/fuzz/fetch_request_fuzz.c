/* Requests to upload-pack, compressed or not, and the state file of a cached repository. */
#include <assert.h>
#include <stdlib.h>

#include "gateway/git/cache_state.h"
#include "gateway/git/fetch_request.h"
#include "gateway/git/request_body.h"
#include "gateway/git/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void state_file(struct span text)
{
	struct cache_state *state;
	if (cache_state_decode(&state, text, "boot") != 0)
		return;
	struct buffer again;
	buffer_init(&again, 1 << 20);
	assert(cache_state_encode(state, "boot", &again) == 0);
	buffer_fini(&again);
	cache_state_release(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct span rest = span_of(data + 1, size - 1), bytes = rest;
	struct request_body *body = NULL;
	struct fetch_request request;
	struct why why = { 0 };
	state_file(rest);
	unsigned protocol = git_protocol_of(rest);
	assert(protocol <= 2);
	if (request_body_open(&body, "/tmp/cairn-fuzz-no-such-directory", data[0] & 1 ? span_text("gzip") : span_of(NULL, 0), 1 << 20, &why) != 0)
		return 0;
	size_t half = rest.length / 2;
	if (request_body_write(body, rest.data, half, &why) == 0 && request_body_write(body, rest.data + half, rest.length - half, &why) == 0 &&
		request_body_end(body, &why) == 0 && request_body_bytes(body, &bytes, &why) == 0)
		fetch_request_parse(&request, data[0] >> 1 & 3, bytes);
	request_body_close(body);
	return 0;
}
