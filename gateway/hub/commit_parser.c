#include "gateway/hub/commit_parser.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/hub/base64.h"
#include "gateway/hub/json_scan.h"
#include "gateway/repo/repo.h"

enum { DOCUMENT_OPERATIONS_MAX = 20000 };

/* Every member that any kind of operation has; which of them count is decided by the key, which may come after the value. */
struct members {
	struct span path, old_path, content, encoding, algo, oid, summary, description, parent_commit, source, source_revision, xet_hash;
	uint64_t size;
};

static void read_members(struct json_scan *scan, struct members *members)
{
	const struct {
		const char *name;
		struct span *to;
	} known[] = {
		{ "path", &members->path }, { "content", &members->content }, { "encoding", &members->encoding },
		{ "oldPath", &members->old_path }, { "algo", &members->algo }, { "oid", &members->oid },
		{ "summary", &members->summary }, { "description", &members->description },
		{ "parentCommit", &members->parent_commit }, { "srcPath", &members->source },
		{ "srcRevision", &members->source_revision }, { "xetHash", &members->xet_hash },
	};
	struct span key;
	bool first = true;
	while (json_scan_key(scan, &first, &key)) {
		size_t i = 0;
		while (i < sizeof(known) / sizeof(known[0]) && !span_equal(key, span_text(known[i].name)))
			i++;
		if (i < sizeof(known) / sizeof(known[0]))
			*known[i].to = json_scan_string(scan);
		else if (span_equal(key, span_text("size")))
			members->size = json_scan_u64(scan, UINT64_MAX);
		else
			json_scan_skip(scan);
	}
}

/* ------------------------------------------------------------------ what the members mean */

/* Content in base64 is ASCII, and paths are looked at by whoever takes them: what is left is what would be kept as it came. */
static int check_text(struct span text, const char *what, struct why *why)
{
	return text_is_utf8(text) ? 0 : why_set(why, ERR_INVALID, "The %s of the commit is not valid UTF-8", what);
}

static int decode_content(const struct members *members, struct operation *out, struct why *why)
{
	out->content = members->content;
	if (members->encoding.length == 0 || span_equal(members->encoding, span_text("utf-8")))
		return check_text(members->content, "content of a file", why);
	if (!span_equal(members->encoding, span_text("base64")))
		return why_set(why, ERR_INVALID, "The encoding of a file must be \"base64\" or \"utf-8\"");
	/* The bytes are the line store's, which are ours to change; the span only says that a caller may not. */
	size_t length = base64_decode_in_place((uint8_t *)(uintptr_t)members->content.data, members->content.length);
	if (length == SIZE_MAX)
		return why_set(why, ERR_INVALID, "The content of \"%.*s\" is not valid base64",
			(int)(members->path.length > 200 ? 200 : members->path.length), (const char *)members->path.data);
	out->content.length = length;
	return 0;
}

static int file_operation(const struct members *members, struct operation *out, struct why *why)
{
	out->kind = OPERATION_FILE;
	out->old_path = members->old_path;
	return decode_content(members, out, why);
}

static int lfs_operation(const struct members *members, struct operation *out, struct why *why)
{
	out->kind = OPERATION_LFS_FILE;
	out->old_path = members->old_path;
	out->length = members->size;
	if (members->algo.length && !span_equal(members->algo, span_text("sha256")))
		return why_set(why, ERR_INVALID, "The algo of an lfsFile must be \"sha256\"");
	if (hex_decode(out->oid.bytes, HASH_BYTES, (const char *)members->oid.data, members->oid.length) != 0)
		return why_set(why, ERR_INVALID, "The oid of \"%.*s\" must be 64 hex digits",
			(int)(members->path.length > 200 ? 200 : members->path.length), (const char *)members->path.data);
	return 0;
}

static int copy_operation(const struct members *members, struct operation *out, struct why *why)
{
	out->kind = OPERATION_COPY;
	out->source = members->source;
	out->source_revision = members->source_revision;
	if (!text_is_utf8(members->source) || !text_is_utf8(members->source_revision))
		return why_set(why, ERR_INVALID, "The srcPath or srcRevision of a copyFile is not valid UTF-8");
	if (members->xet_hash.length)
		return why_set(why, ERR_UNSUPPORTED, "Copying by xetHash is not implemented by this server");
	if (members->source.length == 0)
		return why_set(why, ERR_INVALID, "A copyFile needs a srcPath");
	return 0;
}

static bool is_operation(struct span key)
{
	static const char *const keys[] = { "file", "lfsFile", "copyFile", "deletedFile", "deletedFolder", "deletedEntry" };
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (span_equal(key, span_text(keys[i])))
			return true;
	return false;
}

static int operation_from(struct span key, const struct members *members, struct operation *out, struct why *why)
{
	*out = (struct operation){ .path = members->path, .length = UINT64_MAX };
	if (span_equal(key, span_text("header"))) {
		out->kind = OPERATION_HEADER;
		out->summary = members->summary;
		out->description = members->description;
		out->parent_commit = members->parent_commit;
		int err = check_text(members->summary, "summary", why);
		return err ? err : check_text(members->description, "description", why);
	}
	if (!is_operation(key))
		return why_set(why, ERR_INVALID, "Unknown operation \"%.*s\" in the commit", (int)(key.length > 60 ? 60 : key.length),
			(const char *)key.data);
	if (members->path.length == 0)
		return why_set(why, ERR_INVALID, "An operation of the commit has no path");
	if (span_equal(key, span_text("file")))
		return file_operation(members, out, why);
	if (span_equal(key, span_text("lfsFile")))
		return lfs_operation(members, out, why);
	if (span_equal(key, span_text("copyFile")))
		return copy_operation(members, out, why);
	out->kind = OPERATION_DELETE;
	return 0;
}

int commit_line_parse(uint8_t *line, size_t length, struct operation *out, struct why *why)
{
	struct json_scan scan;
	json_scan_init(&scan, line, length);
	struct members members = { .size = UINT64_MAX };
	struct span key, kind = span_of(NULL, 0);
	bool first = true, has_value = false;
	if (!json_scan_object(&scan))
		return why_set(why, ERR_INVALID, "A line of the commit is not a JSON object");
	while (json_scan_key(&scan, &first, &key)) {
		if (span_equal(key, span_text("key"))) {
			kind = json_scan_string(&scan);
		} else if (span_equal(key, span_text("value")) && !has_value && json_scan_object(&scan)) {
			has_value = true;
			read_members(&scan, &members);
		} else {
			json_scan_skip(&scan);
		}
	}
	if (!json_scan_done(&scan))
		return why_set(why, ERR_INVALID, "A line of the commit is not valid JSON");
	if (kind.length == 0 || !has_value)
		return why_set(why, ERR_INVALID, "A line of the commit needs a \"key\" and a \"value\"");
	return operation_from(kind, &members, out, why);
}

/* ------------------------------------------------------------------ the single document */

struct document {
	struct operation *operations;
	size_t count, capacity;
	struct members header;
};

static int document_add(struct document *document, const struct operation *operation, struct why *why)
{
	if (document->count == DOCUMENT_OPERATIONS_MAX)
		return why_set(why, ERR_TOO_BIG, "The commit has more than %d operations", DOCUMENT_OPERATIONS_MAX);
	if (document->count == document->capacity) {
		size_t capacity = document->capacity ? document->capacity * 2 : 64;
		struct operation *operations = realloc(document->operations, capacity * sizeof(*operations));
		if (!operations)
			return ERR_NO_MEMORY;
		document->operations = operations;
		document->capacity = capacity;
	}
	document->operations[document->count++] = *operation;
	return 0;
}

/* A list of objects, each an operation of one kind. */
static int read_list(struct json_scan *scan, const char *kind, struct document *document, struct why *why)
{
	bool first = true;
	int err = 0;
	if (!json_scan_array(scan))
		return why_set(why, ERR_INVALID, "A list of operations was expected in the commit");
	while (err == 0 && json_scan_element(scan, &first)) {
		struct members members = { .size = UINT64_MAX };
		struct operation operation;
		if (!json_scan_object(scan))
			return why_set(why, ERR_INVALID, "An operation of the commit is not a JSON object");
		read_members(scan, &members);
		if (scan->failed)
			break;
		err = operation_from(span_text(kind), &members, &operation, why);
		if (err == 0)
			err = document_add(document, &operation, why);
	}
	return err;
}

static int read_document(struct json_scan *scan, struct document *document, struct why *why)
{
	static const struct {
		const char *name, *kind;
	} lists[] = {
		{ "files", "file" }, { "lfsFiles", "lfsFile" }, { "deletedEntries", "deletedEntry" },
		{ "deletedFiles", "deletedEntry" }, { "deletedFolders", "deletedEntry" }, { "copyFiles", "copyFile" },
	};
	struct span key;
	bool first = true;
	int err = 0;
	if (!json_scan_object(scan))
		return why_set(why, ERR_INVALID, "The commit is not a JSON object");
	while (err == 0 && json_scan_key(scan, &first, &key)) {
		size_t i = 0;
		while (i < sizeof(lists) / sizeof(lists[0]) && !span_equal(key, span_text(lists[i].name)))
			i++;
		if (i < sizeof(lists) / sizeof(lists[0]))
			err = read_list(scan, lists[i].kind, document, why);
		else if (span_equal(key, span_text("summary")))
			document->header.summary = json_scan_string(scan);
		else if (span_equal(key, span_text("description")))
			document->header.description = json_scan_string(scan);
		else if (span_equal(key, span_text("parentCommit")))
			document->header.parent_commit = json_scan_string(scan);
		else
			json_scan_skip(scan);
	}
	if (err == 0 && !json_scan_done(scan))
		err = why_set(why, ERR_INVALID, "The commit is not valid JSON");
	return err;
}

static int document_parse(struct commit_parser *parser, struct why *why)
{
	if (parser->line.length == 0)
		return why_set(why, ERR_INVALID, "The commit is empty");
	struct document document = { 0 };
	struct json_scan scan;
	json_scan_init(&scan, parser->line.bytes, parser->line.length);
	int err = read_document(&scan, &document, why);
	struct operation header;
	if (err == 0)
		err = operation_from(span_text("header"), &document.header, &header, why);
	if (err == 0)
		err = parser->each(parser->context, &header, why);
	for (size_t i = 0; err == 0 && i < document.count; i++)
		err = parser->each(parser->context, &document.operations[i], why);
	free(document.operations);
	return err;
}

/* ------------------------------------------------------------------ feeding */

void commit_parser_init(struct commit_parser *parser, const char *spool_dir, bool is_document, operation_fn each, void *context)
{
	*parser = (struct commit_parser){ .is_document = is_document, .each = each, .context = context };
	line_store_init(&parser->line, spool_dir);
}

void commit_parser_fini(struct commit_parser *parser)
{
	line_store_fini(&parser->line);
}

static int end_line(struct commit_parser *parser, struct why *why)
{
	struct line_store *line = &parser->line;
	if (line->length && line->bytes[line->length - 1] == '\r')
		line->length--;
	if (line->length == 0)
		return 0;
	struct operation operation;
	int err = commit_line_parse(line->bytes, line->length, &operation, why);
	if (err == 0)
		err = parser->each(parser->context, &operation, why);
	line_store_clear(line);
	return err;
}

int commit_parser_feed(struct commit_parser *parser, const uint8_t *data, size_t length, struct why *why)
{
	const uint8_t *end = data + length;
	while (data < end) {
		const uint8_t *newline = parser->is_document ? NULL : memchr(data, '\n', (size_t)(end - data));
		size_t part = newline ? (size_t)(newline - data) : (size_t)(end - data);
		int err = line_store_append(&parser->line, data, part, why);
		if (err == 0 && newline)
			err = end_line(parser, why);
		if (err)
			return err;
		data += part + (newline ? 1 : 0);
	}
	return 0;
}

int commit_parser_finish(struct commit_parser *parser, struct why *why)
{
	return parser->is_document ? document_parse(parser, why) : end_line(parser, why);
}
