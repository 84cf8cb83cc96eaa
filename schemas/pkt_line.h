/* pkt_line.h - git's framing: four hex digits of length, then the bytes, and packets without bytes that end a section.
 *
 * The length counts its own four digits. "0000" is a flush packet, "0001" a delimiter, "0002" the end of an answer; "0003" does not exist; "0004"
 * is an empty line. A side band is a packet whose first byte says what the rest is. The parser borrows its input and allocates nothing; writers
 * append to a buffer. Pure, thread-safe. */
#ifndef CAIRN_SCHEMAS_PKT_LINE_H
#define CAIRN_SCHEMAS_PKT_LINE_H

#include "schemas/buffer.h"

enum {
	PKT_HEADER_BYTES = 4,
	PKT_BYTES_MAX = 65520,               /* of one packet, header included: what git itself refuses to exceed */
	PKT_PAYLOAD_BYTES_MAX = PKT_BYTES_MAX - PKT_HEADER_BYTES,
	SIDE_BAND_BYTES_MAX = 1000,          /* of one packet where only "side-band" was agreed */
};

enum pkt_kind { PKT_LINE = 1, PKT_FLUSH, PKT_DELIMITER, PKT_END };

struct pkt {
	enum pkt_kind kind;
	struct span payload; /* PKT_LINE; empty for the others */
};
/* Takes the next packet off the front of `rest`. 1; 0: `rest` ends inside it (or is empty), so more bytes are needed; ERR_CORRUPT: no packet begins here. */
int pkt_next(struct span *rest, struct pkt *out);
/* A line without the newline at its end, which is optional everywhere. */
struct span pkt_text(const struct pkt *pkt);

/* Appends; ERR_TOO_BIG for more than PKT_PAYLOAD_BYTES_MAX, or the buffer's errors. */
int pkt_append(struct buffer *out, struct span payload);
int pkt_printf(struct buffer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
int pkt_append_flush(struct buffer *out);

enum side_band { BAND_DATA = 1, BAND_MESSAGE = 2, BAND_FATAL = 3 };
/* Appends any number of bytes as packets of a band, none larger than PKT_BYTES_MAX. No bytes: one packet that says nothing but that we live. */
int pkt_append_band(struct buffer *out, enum side_band band, struct span data);

#endif
