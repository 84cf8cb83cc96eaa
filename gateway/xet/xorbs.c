#include "gateway/xet/xorbs.h"

#include "gateway/answer.h"
#include "gateway/repo/quota.h"
#include "gateway/xet/caller.h"

struct xorb_post {
	struct store *store;
	struct hash xorb;
	uint64_t length;            /* announced; UINT64_MAX: chunked */
	struct xorb_upload *upload; /* opened with the first bytes, on the bulk loop */
	struct quota_reservation reservation; /* while it is under way; what it adds is counted when a shard registers files */
	struct why why;
};

static int post_open(struct xorb_post *post)
{
	return post->upload ? 0 : xorb_upload_open(&post->upload, post->store, &post->xorb, post->length, &post->why);
}

static uint8_t *post_room(struct http_request *request, size_t *length, void *context)
{
	(void)request;
	struct xorb_post *post = context;
	return post_open(post) == 0 ? xorb_upload_room(post->upload, length) : NULL;
}

static int post_write(struct http_request *request, const uint8_t *data, size_t length, void *context)
{
	(void)request;
	struct xorb_post *post = context;
	int err = post_open(post);
	return err ? err : xorb_upload_write(post->upload, data, length, &post->why);
}

static void post_end(struct http_request *request, int err, void *context)
{
	struct xorb_post *post = context;
	bool inserted = false;
	if (err == 0 && !post->upload)
		err = why_set(&post->why, ERR_INVALID, "The body of the request is empty");
	if (err == 0)
		err = xorb_upload_commit(post->upload, &inserted, &post->why);
	if (post->upload)
		xorb_upload_close(post->upload);
	quota_release(&post->reservation, false);
	if (err == 0)
		http_reply(request, 200, "application/json; charset=utf-8",
			span_text(inserted ? "{\"was_inserted\":true}" : "{\"was_inserted\":false}"));
	else
		answer_err(request, err == ERR_CORRUPT ? ERR_INVALID : err, &post->why);
}

void xet_xorb_post(struct http_request *request, const struct route_match *match)
{
	static const struct http_sink sink = { .write = post_write, .end = post_end, .room = post_room };
	struct xet_caller *caller = xet_caller_open(request, XET_WRITE);
	struct xorb_post *post = http_alloc(request, sizeof(*post));
	if (!caller || !xet_hash_capture(request, match->captures[1], &post->xorb))
		return;
	post->store = caller->gateway->store;
	uint64_t announced = http_body_length(request);
	post->length = announced;
	int err = quota_reserve(caller->gateway, &caller->repo, &caller->actor, announced == UINT64_MAX ? 1 : announced, &post->reservation, &post->why);
	if (err)
		answer_err(request, xet_quota_error(err), &post->why);
	else
		http_sink(request, XORB_UPLOAD_BYTES_MAX, &sink, post);
}

static int64_t nothing_read(void *context, void *out, size_t length, bool may_block)
{
	(void)context, (void)out, (void)length, (void)may_block;
	return 0;
}

static void nothing_close(void *context)
{
	(void)context;
}

void xet_reply_length(struct http_request *request, uint64_t length)
{
	struct http_source nothing = { .read = nothing_read, .close = nothing_close };
	http_reply_source(request, 200, "application/octet-stream", length, nothing);
}

static void reply_xorb_length(struct http_request *request, int err, const struct xorb_info *info)
{
	if (err)
		answer_err(request, err, NULL);
	else
		xet_reply_length(request, info->body_length);
}

static void head_work(struct http_request *request, void *context)
{
	struct xorb_info info;
	int err = store_find_xorb(gateway_of(request)->store, context, &info);
	reply_xorb_length(request, err, &info);
}

void xet_xorb_head(struct http_request *request, const struct route_match *match)
{
	struct xet_caller *caller = xet_caller_open(request, XET_READ);
	struct hash *xorb = http_alloc(request, sizeof(*xorb));
	if (!caller || !xet_hash_capture(request, match->captures[1], xorb))
		return;
	struct xorb_info info;
	int err = store_xorb_info(caller->gateway->store, xorb, &info);
	if (err == ERR_NOT_FOUND && caller->gateway->replica)
		http_work(request, head_work, xorb); /* another node may have it */
	else
		reply_xorb_length(request, err, &info);
}
