/* commit_parser.h - the body of a commit: one JSON object per line, or the older single JSON document.
 *
 * DESIGN. Bytes are fed as they arrive. A line is gathered in a line store (memory while it is short, an unlinked temporary file when a file's
 * content makes it long, see line_store.h) and then scanned in place: no tree of JSON values is built, strings are unescaped where they
 * lie, and base64 content is decoded over itself. So the cost of a commit in memory is one line, whatever its length.
 *
 * What comes out is checked in shape only; paths, objects and revisions are the caller's to check. Pure but for the line store's file. */
#ifndef CAIRN_GATEWAY_HUB_COMMIT_PARSER_H
#define CAIRN_GATEWAY_HUB_COMMIT_PARSER_H

#include "gateway/hub/line_store.h"
#include "schemas/buffer.h"
#include "schemas/error.h"
#include "schemas/hash.h"

enum {
	COMMIT_LINE_BYTES_MAX = LINE_BYTES_MAX,
	COMMIT_JSON_DEPTH_MAX = 32,
};

enum operation_kind {
	OPERATION_HEADER = 1,
	OPERATION_FILE,
	OPERATION_LFS_FILE,
	OPERATION_DELETE,        /* file or folder */
	OPERATION_COPY,
};

/* Spans point into the line and die with it. */
struct operation {
	enum operation_kind kind;
	struct span path;
	struct span old_path;        /* length 0: none */
	struct span content;         /* FILE, decoded */
	struct sha256 oid;           /* LFS_FILE */
	uint64_t length;             /* LFS_FILE; UINT64_MAX: not said */
	struct span source, source_revision; /* COPY */
	struct span summary, description, parent_commit; /* HEADER */
};

/* Called in order; non-zero stops the parser and is returned. */
typedef int (*operation_fn)(void *context, const struct operation *operation, struct why *why);

struct commit_parser {
	struct line_store line;
	bool is_document;            /* the whole body is one JSON object */
	operation_fn each;
	void *context;
};

void commit_parser_init(struct commit_parser *parser, const char *spool_dir, bool is_document, operation_fn each, void *context);
void commit_parser_fini(struct commit_parser *parser);
/* 0; ERR_INVALID, ERR_TOO_BIG (a line), ERR_BUSY (too many long lines at once), ERR_UNSUPPORTED with a sentence; or what `each` said. */
int commit_parser_feed(struct commit_parser *parser, const uint8_t *data, size_t length, struct why *why);
/* The end of the body; the last line may lack its newline. */
int commit_parser_finish(struct commit_parser *parser, struct why *why);

/* One line, changed in place. */
int commit_line_parse(uint8_t *line, size_t length, struct operation *out, struct why *why);

#endif
