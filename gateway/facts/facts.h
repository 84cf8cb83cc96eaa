/* facts.h - what a revision says of itself: its card, its tags, what its weights hold, which library loads it.
 *
 * DESIGN. A fact is JSON text ready to be copied into an answer, made from a handful of files (files.h) and from nothing else: of the same files come the
 * same facts, so they may be kept, thrown away and made again. Files are read within limits; one that cannot be read or understood adds
 * nothing, as if it were not there, and an object is given whole or not at all.
 *
 * Numbers of weights files are found by reading their headers, which costs more than all the rest: a facts_cache, when there is one, is asked by
 * file hash first. */
#ifndef CAIRN_GATEWAY_FACTS_FACTS_H
#define CAIRN_GATEWAY_FACTS_FACTS_H

#include "gateway/facts/files.h"

enum {
	FACTS_README_BYTES_MAX = 1 << 20,  /* larger ones are not parsed */
	FACTS_CONFIG_BYTES_MAX = 4 << 20,
	FACTS_TAGS_MAX = 1000,
	FACTS_BYTES_MAX = 8 << 20,         /* of one revision's, encoded */
};

/* Kept and stored by number: never renumber. */
enum fact {
	/* small ones, which lists show */
	FACT_TAGS,              /* array of text; never absent */
	FACT_PIPELINE_TAG,      /* text */
	FACT_LIBRARY_NAME,      /* text */
	FACT_SDK,               /* text */
	FACT_PARAMETERS,        /* number of all weights */
	FACTS_SMALL_COUNT,
	/* the rest */
	FACT_CARD_DATA = 8,
	FACT_CONFIG,
	FACT_TRANSFORMERS_INFO,
	FACT_SAFETENSORS,
	FACT_GGUF,
	FACT_MODEL_INDEX,
	FACT_EVAL_RESULTS,
	FACT_WIDGET_DATA,
	FACT_MASK_TOKEN,
	FACT_BASE_MODELS,
	FACT_MODELS,            /* that a Space names */
	FACT_DATASETS,
	FACT_DESCRIPTION,       /* of a data set */
	FACT_CITATION,
	FACT_PAPERSWITHCODE_ID,
	FACT_APPS,              /* array of text: local programs that can run it; searched, not shown */
	FACTS_COUNT = 32,
};

struct facts {
	char *json[FACTS_COUNT]; /* malloc'ed, NULL when absent */
	uint8_t digest[16];      /* of the files they were made from */
	/* not encoded: only after facts_make */
	bool incomplete;         /* a file could not be read now, such as one whose bytes are not on this node yet */
	struct buffer text;      /* the card behind its front matter, for search */
};

struct facts_cache {
	void *context;
	/* 0 and JSON text; ERR_NOT_FOUND. */
	int (*get)(void *context, const struct hash *file, struct buffer *out);
	void (*put)(void *context, const struct hash *file, struct span json);
};

/* [blocks] The facts of a commit; `cache` may be NULL. 0 with facts that hold at least tags (of a repository without files, too: commit NULL); ERR_IO,
 * ERR_CORRUPT, ERR_NO_MEMORY, ERR_NOT_FOUND: the revision itself cannot be read. facts_fini in every case. */
int facts_make(struct gateway *gateway, const struct repo *repo, const struct oid *commit, const struct facts_cache *cache, struct facts *out);
void facts_fini(struct facts *facts);
/* [blocks] What facts_make would put into `digest`, for little. */
int facts_digest(struct gateway *gateway, const struct repo *repo, const struct oid *commit, uint8_t digest[16]);

/* msgpack [1, digest, {number: JSON text}] of the small ones, or of the rest. */
void facts_encode(struct buffer *out, const struct facts *facts, bool small);
/* Adds to `facts` what was encoded. ERR_CORRUPT, ERR_UNSUPPORTED, ERR_NO_MEMORY. */
int facts_decode(struct facts *facts, struct span bytes);
/* Of what files they are; zeros when unreadable. */
void facts_peek_digest(struct span bytes, uint8_t digest[16]);
/* One of them, borrowed from what was encoded; length 0: absent or unreadable. */
struct span facts_peek(struct span bytes, enum fact fact);

#endif
