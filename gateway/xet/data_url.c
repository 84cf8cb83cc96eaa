#include "gateway/xet/data_url.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/answer.h"
#include "gateway/read_point.h"
#include "gateway/xet/multipart.h"

enum { RANGES_TEXT_BYTES_MAX = DATA_URL_BYTES_MAX };

/* What a grant's object field holds: the xorb and the ranges, as they stand in the URL. */
static void bind(struct hash *out, const struct hash *xorb, struct span ranges)
{
	crypto_generichash_state state;
	crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
	crypto_generichash_update(&state, xorb->bytes, HASH_BYTES);
	crypto_generichash_update(&state, ranges.data, ranges.length);
	crypto_generichash_final(&state, out->bytes, HASH_BYTES);
}

void data_url_append(struct buffer *out, const char *base_url, const struct xet_caller *caller, int64_t now_ms, const struct hash *xorb,
	const struct byte_range *ranges, size_t count)
{
	assert(count > 0 && count <= DATA_URL_RANGES_MAX);
	char text[HASH_TEXT_BYTES];
	hash_to_text(text, xorb);
	buffer_printf(out, "%s/xet/data/%s?r=", base_url, text);
	size_t start = out->length;
	for (size_t i = 0; i < count; i++)
		buffer_printf(out, "%s%llu-%llu", i ? "," : "", (unsigned long long)ranges[i].start, (unsigned long long)(ranges[i].end - 1));
	if (out->failed)
		return;
	struct grant grant = { .kind = GRANT_XORB_DATA, .repo = caller->repo.id, .expires_ms = now_ms + DATA_URL_MS };
	grant.token = caller->actor.token_id;
	memcpy(grant.actor, caller->actor.name, sizeof(grant.actor));
	bind(&grant.object, xorb, span_of(out->data + start, out->length - start));
	char signed_text[GRANT_TEXT_BYTES_MAX];
	grant_sign(caller->gateway, &grant, signed_text);
	buffer_printf(out, "&g=%s", signed_text);
}

/* ------------------------------------------------------------------ serving */

struct data_get {
	struct store *store;
	struct hash xorb;
	struct byte_range granted[DATA_URL_RANGES_MAX];
	size_t granted_count;
};

static int64_t reader_read(void *context, void *out, size_t length, bool may_block)
{
	struct why why = { 0 };
	return xorb_reader_read(context, out, length, may_block, &why);
}

static int reader_extent(void *context, size_t length, int *fd, uint64_t *offset, size_t *extent_length)
{
	return xorb_reader_next_extent(context, length, fd, offset, extent_length);
}

static void reader_close(void *context)
{
	xorb_reader_close(context);
}

static void reply_single(struct http_request *request, const struct data_get *get, struct byte_range range, uint64_t total, bool partial)
{
	struct xorb_reader *reader;
	struct why why = { 0 };
	int err = xorb_reader_open(&reader, get->store, &get->xorb, range.start, range.end, &why);
	if (err) {
		answer_err(request, err, NULL);
		return;
	}
	if (partial)
		http_add_headerf(request, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)range.start,
			(unsigned long long)(range.end - 1), (unsigned long long)total);
	struct http_source source = { .read = reader_read, .extent = reader_extent, .close = reader_close, .context = reader };
	http_reply_source(request, partial ? 206 : 200, "application/octet-stream", range.end - range.start, source);
}

static void reply_range_error(struct http_request *request, int err, uint64_t total)
{
	if (err == ERR_RANGE)
		http_add_headerf(request, "Content-Range", "bytes */%llu", (unsigned long long)total);
	answer_err(request, err, NULL);
}

static void data_work(struct http_request *request, void *context)
{
	const struct data_get *get = context;
	struct xorb_info info;
	int err = store_find_xorb(get->store, &get->xorb, &info);
	if (err) {
		store_avoid_xorb(get->store, &get->xorb); /* for who asks anew of what the file is made */
		answer_err(request, err, NULL);
		return;
	}
	struct span header = http_header(request, "Range");
	if (!header.data) { /* the whole of what is granted, if that is one run of bytes */
		if (get->granted_count == 1 && get->granted[0].end <= info.body_length)
			reply_single(request, get, get->granted[0], info.body_length, false);
		else
			reply_range_error(request, ERR_RANGE, info.body_length);
		return;
	}
	struct byte_range *asked = http_alloc(request, DATA_URL_RANGES_MAX * sizeof(*asked));
	size_t count = 0;
	err = byte_ranges_of_header(header, info.body_length, asked, DATA_URL_RANGES_MAX, &count);
	for (size_t i = 0; err == 0 && i < count; i++)
		if (!byte_range_within(asked[i], get->granted, get->granted_count))
			err = ERR_DENIED;
	if (err)
		reply_range_error(request, err, info.body_length);
	else if (count == 1)
		reply_single(request, get, asked[0], info.body_length, true);
	else
		multipart_reply(request, get->store, &get->xorb, info.body_length, asked, count);
}

/* 0; ERR_DENIED: not signed for this xorb and these ranges, expired, or its holder lost the right to read. */
static int check(struct http_request *request, struct span ranges, const struct data_get *get)
{
	struct gateway *gateway = gateway_of(request);
	const char *text = http_query_value(request, "g", 0);
	struct grant grant;
	if (!text || grant_verify(gateway, span_text(text), &grant) != 0 || grant.kind != GRANT_XORB_DATA)
		return ERR_DENIED;
	struct hash bound;
	bind(&bound, &get->xorb, ranges);
	if (sodium_memcmp(bound.bytes, grant.object.bytes, HASH_BYTES) != 0)
		return ERR_DENIED;
	struct actor actor;
	struct repo repo;
	return grant_holder(gateway, &grant, ACTION_READ_FILES, &actor, &repo);
}

/* Sends what is granted by what this node knows. */
static int serve_granted(struct http_request *request, struct data_get *get)
{
	const char *ranges = http_query_value(request, "r", 0);
	int err = ranges ? byte_ranges_of_text(span_text(ranges), get->granted, DATA_URL_RANGES_MAX, &get->granted_count) : ERR_DENIED;
	if (err == 0)
		err = check(request, span_text(ranges), get);
	if (err)
		return err;
	get->store = gateway_of(request)->store;
	http_work(request, data_work, get);
	return 0;
}

static void data_get_newest(struct http_request *request, const struct route_match *match)
{
	struct data_get *get = http_alloc(request, sizeof(*get));
	if (xet_hash_capture(request, match->captures[0], &get->xorb) && serve_granted(request, get) != 0)
		answer_err(request, ERR_DENIED, &(struct why){ "This address has expired or was not signed here" });
}

void xet_data_get(struct http_request *request, const struct route_match *match)
{
	static const struct route newest = { HTTP_GET | HTTP_HEAD, NULL, data_get_newest, NULL };
	struct data_get *get = http_alloc(request, sizeof(*get));
	if (!xet_hash_capture(request, match->captures[0], &get->xorb))
		return;
	if (!read_point_is_near(gateway_of(request)) || serve_granted(request, get) != 0)
		read_point_then(request, &newest, match);
}
