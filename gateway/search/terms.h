/* terms.h - what a repository can be found by, as short texts; and what a search asks for, in the same texts.
 *
 * A term is one byte that says of what kind it is, then text in lower case without NUL. Words are runs of letters and digits (every byte above ASCII counts
 * as a letter), cut to WORD_BYTES_MAX. Pure. */
#ifndef CAIRN_GATEWAY_SEARCH_TERMS_H
#define CAIRN_GATEWAY_SEARCH_TERMS_H

#include "schemas/buffer.h"

enum {
	TERM_BYTES_MAX = 240,
	WORD_BYTES_MAX = 40,
	WORD_EDGE_MAX = 3,          /* beginnings of words up to this length are terms of their own */
	TERMS_MAX = 6000,           /* of one document */
	CARD_WORDS_MAX = 800,       /* different ones of one card */
	PARAMETER_BUCKETS_MAX = 255,
};

enum term_kind {
	TERM_ALL = '*',        /* no text: every document of the type */
	TERM_PRIVATE = 'v',    /* no text */
	TERM_AUTHOR = 'a',
	TERM_TAG = 't',
	TERM_PIPELINE = 'p',
	TERM_GATED = 'g',      /* "auto", "manual" */
	TERM_APP = 'A',
	TERM_MODEL = 'm',      /* that a Space names; no text: any */
	TERM_DATASET = 'd',
	TERM_PARAMETERS = 'n', /* one byte: parameter_bucket + 1 */
	TERM_WORD = 'w',
	TERM_EDGE = 'e',       /* the first 1 to 3 bytes of a word */
	TERM_PART = 's',       /* 2 or 3 bytes in a row of "owner/name" */
};

/* A list of different terms, one after the other: u8 length, kind, text. */
struct term_list {
	struct buffer bytes;
	size_t count;
	uint64_t *seen;    /* open hash table of term hashes */
	size_t seen_size;
};
int term_list_init(struct term_list *list);
void term_list_fini(struct term_list *list);
/* Lower-cases; what is too long is cut, what is too much or was there is passed over. */
void term_add(struct term_list *list, enum term_kind kind, struct span text);
bool term_list_has(const struct term_list *list, struct span term);
/* The next term (kind byte first) of a list's bytes; false at the end. */
bool term_next(struct span *rest, struct span *term);

/* Adds words and their edges; at most `max` words. */
void terms_of_text(struct term_list *list, struct span text, size_t max);
/* Adds words, edges and parts of "owner/name". */
void terms_of_id(struct term_list *list, const char *id);

/* Four per factor of two: parameters n lie in bucket k when parameter_bucket(n) = k; 0 for n = 0. */
unsigned parameter_bucket(uint64_t parameters);

/* The next word of `text`, lower-cased into `word`; false at the end. */
bool word_next(struct span *rest, char word[WORD_BYTES_MAX + 1]);

#endif
