#include "gateway/xet/dedup.h"

#include "gateway/answer.h"
#include "gateway/xet/caller.h"

struct dedup {
	struct xet_caller *caller;
	struct hash chunk;
};

static void dedup_work(struct http_request *request, void *context)
{
	const struct dedup *dedup = context;
	struct buffer answer;
	struct why why = { 0 };
	buffer_init(&answer, DEDUP_ANSWER_BYTES_MAX);
	int err = store_dedup_query(dedup->caller->gateway->store, &dedup->chunk, xet_may_see, dedup->caller, &answer, &why);
	if (err == 0 && answer.failed)
		err = ERR_NOT_FOUND; /* an answer that cannot be made whole is no answer: a broken one fails the upload */
	if (err)
		answer_err(request, err, NULL);
	else
		http_reply_buffer(request, 200, "application/octet-stream", &answer);
	buffer_fini(&answer);
}

void xet_chunk_get(struct http_request *request, const struct route_match *match)
{
	struct dedup *dedup = http_alloc(request, sizeof(*dedup));
	dedup->caller = xet_caller_open(request, XET_READ);
	if (dedup->caller && xet_hash_capture(request, match->captures[1], &dedup->chunk))
		http_work(request, dedup_work, dedup);
}
