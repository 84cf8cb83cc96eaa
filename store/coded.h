/* coded.h - a xorb cut into parts, any k of which bring it back (erasure.h).
 *
 * DESIGN. The body of a xorb is cut into stripes of k units of CODED_UNIT_BYTES; part i < k has the i-th unit of each stripe, the others have parity of them. The units of
 * the last stripe are as long as its rest needs, zeros at the end. A part is a xorb itself, with chunks that are not compressed: first
 * a mark, which tells it from what clients store, then what it is a part of, then its units. So parts are verified, fetched, repaired, moved and
 * dropped like every other xorb; but their chunks are in no index, so that no file comes to name them, and they live as long as their xorb does.
 *
 * The same body makes the same parts on every node. Equal xorbs may be compressed differently: then each body makes a coding of its own, and a xorb has both.
 *
 * Stripes go by one at a time: memory is at most 2k units. */
#ifndef CAIRN_STORE_CODED_H
#define CAIRN_STORE_CODED_H

#include "schemas/volume_record.h"
#include "store/store.h"

enum {
	CODED_UNIT_BYTES = CHUNK_BYTES_MAX,
	CODED_MARK_BYTES = 32,
	CODED_ABOUT_BYTES = 40,
	CODINGS_MAX = 4, /* of one xorb that are known; each but the first is an accident */
};

/* [blocks] Makes all parts of a xorb that is here, durable, then the record. *bytes: of the parts. Nothing is waited for on other nodes. */
int store_code_xorb(struct store *store, const struct hash *xorb, unsigned k, unsigned m, uint64_t *bytes, struct why *why);
/* [blocks] Makes one part again, of the xorb, which is here. ERR_CORRUPT: the xorb here has another body than the one that was coded. */
int store_make_part(struct store *store, const struct coded_record *coded, unsigned part, struct why *why);
/* [blocks] Makes the xorb of parts that are here, verified like an upload. ERR_NOT_FOUND: fewer than k good ones are. */
int store_join_parts(struct store *store, const struct coded_record *coded, struct why *why);

/* True when anything was ever coded: else nothing need be looked up. */
bool store_has_coded(struct store *store);
/* The codings of a xorb that are known here, in the same order on every node; how many. */
size_t store_codings(struct store *store, const struct hash *xorb, struct coded_record out[CODINGS_MAX]);
/* Of which xorb is it a part? ERR_NOT_FOUND: of none that is known. */
int store_xorb_of_part(struct store *store, const struct hash *part, struct hash *out);
/* True when what is stored here under this hash is a part, known or not. */
bool store_is_part(struct store *store, const struct hash *xorb);
/* As another node takes them. ERR_NOT_FOUND. */
int store_tell_codings(struct store *store, const struct hash *xorb, store_each_record each, void *context, struct why *why);

/* True for the chunk that a part begins with. A xorb that has it first and is no part, as somebody may push a file of these bytes, must end with it. */
bool coded_is_mark(const struct hash *chunk, uint32_t raw_length);
/* True when the record is one of a part. */
bool coded_is_part(const struct xorb_record *record);
/* The same of a table. */
bool coded_begins_part(const struct xorb_chunk *chunks, uint32_t count);
/* Length of the body of each part. */
uint32_t coded_part_length(uint32_t body_length, unsigned k);

#endif
