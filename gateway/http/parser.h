/* parser.h - HTTP/1.1 heads and chunked bodies, read strictly.
 *
 * DESIGN. A server behind or in front of another one is safe only if both see the same messages in the same bytes. So nothing is repaired: a bare
 * LF, a blank before a colon, two lengths, a folded line are refused, each with the status that the connection ends on. Pure functions over
 * the caller's bytes: no I/O, no allocation, no clock. What they say never depends on how the bytes were split on the way. */
#ifndef CAIRN_GATEWAY_HTTP_PARSER_H
#define CAIRN_GATEWAY_HTTP_PARSER_H

#include "gateway/http/http.h"

enum {
	HEAD_NAME_BYTES_MAX = 128,
	CHUNK_SIZE_DIGITS_MAX = 16,
	CHUNK_EXTENSION_BYTES_MAX = 256,
	CHUNK_TRAILERS_BYTES_MAX = 8192,
};

/* ------------------------------------------------------------------ heads */

/* Where the search for the end of a head stands: zero before the first byte of one. */
struct head_scan {
	size_t scanned; /* bytes looked at */
	size_t line;    /* offset of the line that is not complete yet */
	bool in_fields; /* the request line is complete */
};

/* Looks for the empty line in data[0, length), where `data` begins with the head and only grows from call to call. Returns the head's length
 * (with the empty line), 0 when more bytes are wanted, or a negated status: -400, -414, -431. */
int head_scan(struct head_scan *scan, const uint8_t *data, size_t length);

struct head_field {
	uint16_t name, name_length, value, value_length; /* within the head */
};

/* What framing and routing need, found in one pass. Spans and fields borrow the head's bytes. */
struct head {
	const uint8_t *data;
	enum http_method method;
	unsigned minor;           /* 0 or 1 */
	struct span path, query;  /* query without '?' */
	struct span host;         /* of the target when absolute, else the Host field; may be empty */
	uint64_t content_length;  /* 0 when absent */
	bool chunked;
	bool has_content_length;
	bool keep_alive;
	bool expects_continue;
	unsigned fields_count;
	struct head_field fields[HTTP_FIELDS_MAX];
};

/* 0 or the status to refuse it with: 400, 414, 417, 431, 501, 505. `data` is what head_scan found complete. */
int head_parse(struct head *out, const uint8_t *data, size_t length);

/* First field of that name in any case; data NULL when absent. */
struct span head_find(const struct head *head, const char *name);

bool is_token_byte(uint8_t byte);
/* Bytes that a host with an optional port may have; also what keeps a hostile Host out of the URLs that we make. */
bool is_host_text(struct span text);

/* ------------------------------------------------------------------ chunked bodies */

struct chunk_decoder {
	int state;
	bool done;          /* the final chunk and the trailers are complete */
	unsigned count;     /* digits, or bytes of extension, so far */
	unsigned trailers;  /* bytes of trailers so far */
	unsigned name;      /* bytes of the current trailer's name */
	uint64_t remaining; /* of the current chunk */
};

/* Decodes data[0, length) in place: *produced body bytes end up at its beginning, *consumed says how far it got (short of `length` only once
 * done). Zero-initialise the decoder. Returns 0 or 400, 431. */
int chunk_decode(struct chunk_decoder *decoder, uint8_t *data, size_t length, size_t *consumed, size_t *produced);

#endif
