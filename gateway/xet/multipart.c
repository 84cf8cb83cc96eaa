#include "gateway/xet/multipart.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/answer.h"

enum {
	BOUNDARY_RANDOM_BYTES = 32,
	BOUNDARY_TEXT_BYTES = 2 * BOUNDARY_RANDOM_BYTES + 1,
	PART_HEAD_BYTES_MAX = 256,
};

struct multipart {
	struct store *store;
	struct hash xorb;
	uint64_t total;
	size_t at, count;
	char boundary[BOUNDARY_TEXT_BYTES];
	char head[PART_HEAD_BYTES_MAX]; /* of part `at`, or the closing line when at == count */
	size_t head_length, head_sent;
	struct xorb_reader *reader;     /* of part `at`, once its head is out */
	struct byte_range ranges[];
};

/* The text before part `at`, with the line end that closes the part before it. */
static size_t write_head(const struct multipart *parts, size_t at, char out[PART_HEAD_BYTES_MAX])
{
	const char *before = at > 0 ? "\r\n" : "";
	if (at == parts->count)
		return (size_t)snprintf(out, PART_HEAD_BYTES_MAX, "%s--%s--\r\n", before, parts->boundary);
	const struct byte_range *range = &parts->ranges[at];
	return (size_t)snprintf(out, PART_HEAD_BYTES_MAX,
		"%s--%s\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes %llu-%llu/%llu\r\n\r\n", before, parts->boundary,
		(unsigned long long)range->start, (unsigned long long)(range->end - 1), (unsigned long long)parts->total);
}

static uint64_t total_length(const struct multipart *parts)
{
	char head[PART_HEAD_BYTES_MAX];
	uint64_t length = 0;
	for (size_t i = 0; i <= parts->count; i++)
		length += write_head(parts, i, head);
	for (size_t i = 0; i < parts->count; i++)
		length += parts->ranges[i].end - parts->ranges[i].start;
	return length;
}

static void next_part(struct multipart *parts)
{
	xorb_reader_close(parts->reader);
	parts->reader = NULL;
	parts->at++;
	parts->head_length = write_head(parts, parts->at, parts->head);
	parts->head_sent = 0;
}

static int64_t multipart_read(void *context, void *out, size_t length, bool may_block)
{
	struct multipart *parts = context;
	struct why why = { 0 };
	for (;;) {
		size_t left = parts->head_length - parts->head_sent;
		if (left > 0) {
			size_t taken = left < length ? left : length;
			memcpy(out, parts->head + parts->head_sent, taken);
			parts->head_sent += taken;
			return (int64_t)taken;
		}
		if (parts->at == parts->count)
			return 0;
		if (!parts->reader) {
			if (!may_block)
				return ERR_AGAIN;
			int err = xorb_reader_open(&parts->reader, parts->store, &parts->xorb, parts->ranges[parts->at].start,
				parts->ranges[parts->at].end, &why);
			if (err)
				return err;
		}
		int64_t got = xorb_reader_read(parts->reader, out, length, may_block, &why);
		if (got != 0)
			return got;
		next_part(parts);
	}
}

static void multipart_close(void *context)
{
	struct multipart *parts = context;
	if (parts->reader)
		xorb_reader_close(parts->reader);
	free(parts);
}

void multipart_reply(struct http_request *request, struct store *store, const struct hash *xorb, uint64_t total,
	const struct byte_range *ranges, size_t count)
{
	struct multipart *parts = calloc(1, sizeof(*parts) + count * sizeof(*ranges));
	if (!parts) {
		answer_err(request, ERR_NO_MEMORY, NULL);
		return;
	}
	parts->store = store;
	parts->xorb = *xorb;
	parts->total = total;
	parts->count = count;
	memcpy(parts->ranges, ranges, count * sizeof(*ranges));
	uint8_t random[BOUNDARY_RANDOM_BYTES];
	randombytes_buf(random, sizeof(random));
	hex_encode(parts->boundary, random, sizeof(random));
	parts->head_length = write_head(parts, 0, parts->head);
	struct http_source source = { .read = multipart_read, .close = multipart_close, .context = parts };
	http_reply_source(request, 206, http_printf(request, "multipart/byteranges; boundary=%s", parts->boundary), total_length(parts), source);
}
