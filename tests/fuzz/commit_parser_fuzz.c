/* Any bytes as the body of a commit: what comes out does not depend on how they arrive, and every operation is of a shape that its receiver
 * may rely on. The first byte chooses the form and where the body is cut. */
#include "gateway/hub/commit_parser.h"

#include <assert.h>

struct trace {
	uint64_t sum; /* of everything that came out, in order */
	size_t count;
};

static void add_bytes(struct trace *trace, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	for (size_t i = 0; i < length; i++)
		trace->sum = (trace->sum ^ bytes[i]) * UINT64_C(1099511628211);
	trace->sum = (trace->sum ^ length) * UINT64_C(1099511628211);
}

static int note(void *context, const struct operation *operation, struct why *why)
{
	(void)why;
	struct trace *trace = context;
	trace->count++;
	assert(operation->kind >= OPERATION_HEADER && operation->kind <= OPERATION_COPY);
	assert(operation->kind == OPERATION_HEADER || operation->path.length > 0);
	assert(operation->kind != OPERATION_COPY || operation->source.length > 0);
	const struct span spans[] = { operation->path, operation->old_path, operation->content, operation->source, operation->source_revision,
		operation->summary, operation->description, operation->parent_commit };
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		add_bytes(trace, spans[i].data, spans[i].length);
	add_bytes(trace, operation->oid.bytes, sizeof(operation->oid.bytes));
	add_bytes(trace, &operation->length, sizeof(operation->length));
	return 0;
}

static int parse(struct trace *trace, const uint8_t *data, size_t length, size_t piece, bool is_document)
{
	struct commit_parser parser;
	struct why why = { 0 };
	int err = 0;
	commit_parser_init(&parser, "/tmp", is_document, note, trace);
	for (size_t at = 0; at < length && err == 0; at += piece)
		err = commit_parser_feed(&parser, data + at, piece < length - at ? piece : length - at, &why);
	if (err == 0)
		err = commit_parser_finish(&parser, &why);
	commit_parser_fini(&parser);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	if (length == 0)
		return 0;
	bool is_document = data[0] & 1;
	size_t piece = (size_t)(data[0] >> 1) + 1;
	struct trace whole = { 0 }, split = { 0 };
	int err = parse(&whole, data + 1, length - 1, length, is_document);
	assert(parse(&split, data + 1, length - 1, piece, is_document) == err);
	assert(split.count == whole.count && split.sum == whole.sum);
	return 0;
}
