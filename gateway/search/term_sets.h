/* term_sets.h - sets of documents that queries used, kept in memory. Private to gateway/search.
 *
 * DESIGN. Which documents are private, or have the tag that everybody filters by, is asked again and again and changes seldom: a set is kept with the version
 * of its term (database.h), and is as good as reading its blocks while that is the same. A table without chains: terms that share a slot push each other out.
 * Memory: at most TERM_SETS_BYTES_MAX, whatever the number of documents.
 *
 * Threads: any; a slot's lock is held while a set is copied. */
#ifndef CAIRN_GATEWAY_SEARCH_TERM_SETS_H
#define CAIRN_GATEWAY_SEARCH_TERM_SETS_H

#include <pthread.h>

#include "gateway/search/database.h"
#include "gateway/search/postings.h"
#include "gateway/search/terms.h"

enum { TERM_SETS_MAX = 512, TERM_SETS_BYTES_MAX = 8 << 20, TERM_KEY_BYTES_MAX = TERM_BYTES_MAX + 8 };

struct term_sets {
	struct term_set {
		pthread_mutex_t lock;
		uint8_t key[TERM_KEY_BYTES_MAX]; /* prefix of the term's blocks */
		size_t key_length; /* 0: free */
		unsigned version;
		struct doc_set set;
	} slots[TERM_SETS_MAX];
};

void term_sets_init(struct term_sets *sets);
void term_sets_fini(struct term_sets *sets);
/* Adds the documents of a term to `out`. False: not known, or old. */
bool term_sets_add(struct term_sets *sets, const struct key *prefix, unsigned version, struct doc_set *out);
/* Keeps a copy of what was read after `version` was. */
void term_sets_keep(struct term_sets *sets, const struct key *prefix, unsigned version, const struct doc_set *set);

#endif
