#include "gateway/xet/discard.h"

struct discard {
	int status;
	const char *text;
};

static int discard_write(struct http_request *request, const uint8_t *data, size_t length, void *context)
{
	(void)request, (void)data, (void)length, (void)context;
	return 0;
}

static void discard_end(struct http_request *request, int err, void *context)
{
	(void)err;
	const struct discard *discard = context;
	if (discard->status == 200)
		http_reply(request, 200, "application/json; charset=utf-8", span_text(discard->text));
	else
		http_reply_error(request, discard->status, NULL, discard->text);
}

void xet_discard_then(struct http_request *request, uint64_t bytes_max, int status, const char *text)
{
	static const struct http_sink sink = { .write = discard_write, .end = discard_end };
	struct discard *discard = http_alloc(request, sizeof(*discard));
	*discard = (struct discard){ .status = status, .text = text };
	http_sink(request, bytes_max, &sink, discard);
}
