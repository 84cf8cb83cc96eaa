#include "gateway/xet/shards.h"

#include "gateway/answer.h"
#include "gateway/repo/quota.h"
#include "gateway/store_caller.h"
#include "gateway/xet/caller.h"
#include "gateway/xet/discard.h"
#include "gateway/xet/shard_spool.h"

struct shard_post {
	struct gateway *gateway;
	const struct xet_caller *caller;
	uint64_t length_max;
	struct shard_spool *spool; /* opened with the first bytes, on the bulk loop */
	struct why why;
};

static int post_write(struct http_request *request, const uint8_t *data, size_t length, void *context)
{
	(void)request;
	struct shard_post *post = context;
	int err = 0;
	if (!post->spool)
		err = shard_spool_open(&post->spool, post->gateway->data_dir, post->length_max, &post->why);
	return err ? err : shard_spool_write(post->spool, data, length, &post->why);
}

/* Bytes of the files in a shard that the repository does not have yet. A shard that does not parse counts as far as it does. */
static uint64_t more_bytes(const struct shard_post *post, struct span bytes)
{
	struct shard_reader reader;
	struct shard_file file;
	struct why why;
	uint64_t more = 0;
	if (shard_open(&reader, bytes, &why) != 0)
		return 0;
	while (shard_next_file(&reader, &file, &why) == 1) {
		bool had = store_claim_check(post->gateway->store, &post->caller->repo.id, &file.hash) == 0;
		for (uint32_t i = 0; i < file.terms_count && !had; i++) {
			struct shard_term term;
			shard_term_at(&term, &file, i);
			more += term.raw_length;
		}
	}
	return more;
}

static int register_files(struct shard_post *post, struct span bytes, struct store_caller *asker, int *registered)
{
	struct quota_reservation reservation;
	const struct xet_caller *caller = post->caller;
	uint64_t more = quota_applies(post->gateway, &caller->repo) ? more_bytes(post, bytes) : 0;
	int err = quota_reserve(post->gateway, &caller->repo, &caller->actor, more, &reservation, &post->why);
	if (err)
		return xet_quota_error(err);
	err = store_shard_register(post->gateway->store, &caller->repo.id, bytes, asker, registered, &post->why);
	quota_release(&reservation, err == 0);
	return err;
}

/* What a shard may be wrong in is the client's doing: a missing xorb, too, was never uploaded. */
static bool is_clients_fault(int err)
{
	return err == ERR_CORRUPT || err == ERR_INVALID || err == ERR_NOT_FOUND || err == ERR_RANGE;
}

static void post_end(struct http_request *request, int err, void *context)
{
	struct shard_post *post = context;
	struct store_caller caller = store_caller_of(request);
	struct span bytes;
	int registered = 0;
	if (err == 0 && !post->spool)
		err = why_set(&post->why, ERR_INVALID, "The body of the request is empty");
	if (err == 0)
		err = shard_spool_bytes(post->spool, &bytes, &post->why);
	if (err == 0)
		err = register_files(post, bytes, &caller, &registered);
	shard_spool_close(post->spool);
	if (err == 0)
		http_reply(request, 200, "application/json; charset=utf-8", span_text(registered ? "{\"result\":1}" : "{\"result\":0}"));
	else
		answer_err(request, is_clients_fault(err) ? ERR_INVALID : err, &post->why);
}

void xet_shard_post(struct http_request *request, const struct route_match *match)
{
	(void)match; /* older clients name a hash that is not of this body */
	static const struct http_sink sink = { .write = post_write, .end = post_end };
	struct xet_caller *caller = xet_caller_open(request, XET_WRITE);
	if (!caller)
		return;
	struct shard_post *post = http_alloc(request, sizeof(*post));
	post->gateway = caller->gateway;
	post->caller = caller;
	uint64_t announced = http_body_length(request);
	post->length_max = announced > SHARD_BYTES_MAX ? SHARD_BYTES_MAX : announced;
	/* How much a shard adds its body tells; a client that asks first is spared sending it when there is room for nothing. */
	int err = http_expects_continue(request) ? quota_check(post->gateway, &caller->repo, &caller->actor, 1, &post->why) : 0;
	if (err)
		answer_err(request, xet_quota_error(err), &post->why);
	else
		http_sink(request, SHARD_BYTES_MAX, &sink, post);
}

void xet_shard_post_v2(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (xet_caller_open(request, XET_WRITE))
		xet_discard_then(request, SHARD_BYTES_MAX, 404, "Shards are taken at /v1/shards");
}
