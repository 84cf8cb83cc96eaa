#include "gateway/xet/xorbs.h"

#include "gateway/answer.h"
#include "gateway/repo/quota.h"
#include "gateway/xet/caller.h"

struct xorb_post {
	struct xet_caller *caller;
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
	if (err == 0 && !inserted)
		inserted = !store_xorb_is_seen(post->store, &post->xorb, xet_may_see, post->caller);
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
	post->caller = caller;
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

struct xorb_head {
	struct xet_caller *caller;
	struct hash xorb;
};

static void head_work(struct http_request *request, void *context)
{
	const struct xorb_head *head = context;
	struct store *store = head->caller->gateway->store;
	struct xorb_info info;
	int err = store_xorb_is_seen(store, &head->xorb, xet_may_see, head->caller) ? store_find_xorb(store, &head->xorb, &info) : ERR_NOT_FOUND;
	if (err)
		answer_err(request, err, NULL);
	else
		xet_reply_length(request, info.body_length);
}

void xet_xorb_head(struct http_request *request, const struct route_match *match)
{
	struct xorb_head *head = http_alloc(request, sizeof(*head));
	head->caller = xet_caller_open(request, XET_READ);
	if (head->caller && xet_hash_capture(request, match->captures[1], &head->xorb))
		http_work(request, head_work, head);
}
