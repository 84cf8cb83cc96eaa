#include "gateway/content.h"

#include "gateway/answer.h"

static int64_t reader_read(void *context, void *out, size_t length, bool may_block)
{
	struct why why = { 0 };
	return file_reader_read(context, out, length, may_block, &why);
}

static int reader_extent(void *context, size_t length, int *fd, uint64_t *offset, size_t *extent_length)
{
	return file_reader_next_extent(context, length, fd, offset, extent_length);
}

static void reader_close(void *context)
{
	file_reader_close(context);
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

/* A Range is honoured unless If-Range names another version of the file. */
static bool wants_range(struct http_request *request, const struct content *content)
{
	if (!http_header(request, "Range").data)
		return false;
	struct span condition = http_header(request, "If-Range");
	return !condition.data || span_equal(condition, span_text(content->etag));
}

/* 0: *start..*end is to be sent, with status *status and headers added; ERR_RANGE: 416. */
static int range_of(struct http_request *request, const struct content *content, uint64_t *start, uint64_t *end, int *status)
{
	bool partial = false;
	*start = 0;
	*end = content->length;
	*status = 200;
	if (!wants_range(request, content))
		return 0;
	int err = http_range(request, content->length, start, end, &partial);
	if (err == ERR_RANGE)
		return err;
	if (err || !partial) { /* several ranges, or unreadable: the whole file is a valid answer */
		*start = 0;
		*end = content->length;
		return 0;
	}
	*status = 206;
	http_add_headerf(request, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)*start,
		(unsigned long long)(*end - 1), (unsigned long long)content->length);
	return 0;
}

bool reply_content_head(struct http_request *request, const struct content *content)
{
	http_add_header(request, "ETag", content->etag);
	http_add_header(request, "Accept-Ranges", "bytes");
	if (http_not_modified(request, content->etag)) {
		http_reply(request, 304, NULL, span_of(NULL, 0));
		return true;
	}
	if (http_method(request) == HTTP_HEAD) {
		struct http_source nothing = { .read = nothing_read, .close = nothing_close };
		http_reply_source(request, 200, content->type, content->length, nothing);
		return true;
	}
	if (content->length == 0) {
		/* "bytes=0-0" of an empty file: clients learn the size from this, and fail on a 416. */
		bool range = wants_range(request, content);
		if (range)
			http_add_header(request, "Content-Range", "bytes */0");
		http_reply(request, range ? 206 : 200, content->type, span_of(NULL, 0));
		return true;
	}
	return false;
}

/* True: *start..*end is to be sent with *status. False: the range is outside the file, which has been answered. */
static bool begin_range(struct http_request *request, const struct content *content, uint64_t *start, uint64_t *end, int *status)
{
	if (range_of(request, content, start, end, status) == 0)
		return true;
	http_reply_error(request, 416, NULL, "The range is outside the file");
	return false;
}

void reply_content_bytes(struct http_request *request, const struct content *content, const uint8_t *bytes)
{
	uint64_t start, end;
	int status;
	if (begin_range(request, content, &start, &end, &status))
		http_reply(request, status, content->type, span_of(bytes + start, (size_t)(end - start)));
}

void reply_content(struct http_request *request, struct gateway *gateway, const struct content *content)
{
	uint64_t start, end;
	int status;
	if (!begin_range(request, content, &start, &end, &status))
		return;
	struct file_reader *reader;
	struct why why = { 0 };
	int err = file_reader_open(&reader, gateway->store, &content->file, start, end, &why);
	if (err == 0 && gateway->replica && file_reader_begin(reader, &why) != 0) {
		file_reader_close(reader);
		err = ERR_NOT_FOUND;
	}
	if (err == ERR_NOT_FOUND && gateway->replica) {
		answer_err(request, ERR_BUSY, &(struct why){ "The nodes of the cluster that have this file do not answer now; try again" });
		return;
	}
	if (err) {
		http_reply_error(request, 500, NULL, "The stored file cannot be read");
		return;
	}
	struct http_source source = {
		.read = reader_read, .extent = reader_extent, .close = reader_close, .context = reader
	};
	http_reply_source(request, status, content->type, end - start, source);
}
