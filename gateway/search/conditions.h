/* conditions.h - a query's conditions as sets of documents, and what is looked up while it runs. Private to gateway/search.
 *
 * Every condition is a set of documents. Most are exact; those that are not (a long text in an id, told from its parts of three bytes; a number of parameters in the
 * first or last bucket of a range) mark their members as suspects, and a suspect is looked at before it counts. */
#ifndef CAIRN_GATEWAY_SEARCH_CONDITIONS_H
#define CAIRN_GATEWAY_SEARCH_CONDITIONS_H

#include "gateway/search/base.h"
#include "gateway/search/postings.h"
#include "gateway/search/terms.h"

enum { PARTS_MAX = 16 }; /* of all texts searched for; the rest is passed over */

struct run {
	const struct search_query *query;
	struct search_view view;
	struct search_base *base;
	struct doc_set members;                      /* once is_narrowed: before, every document of the type is one */
	struct doc_set hidden, suspects;
	bool is_narrowed, has_suspects;
	bool range_holds;                            /* of who is asked about now: parameters need no look */
	uint64_t range_count;                        /* documents that a range of parameters may hold */
	struct part {
		char text[REPO_ID_BYTES_MAX + 1];
		struct doc_set sure;                 /* found without looking at ids */
	} sought[PARTS_MAX];                        /* of all searches */
	size_t sought_count;
};

/* Opens a view and combines the conditions; run_end in every case. */
int run_begin(struct run *run, struct search_base *base, const struct search_query *query);
void run_end(struct run *run);
/* Narrows the members to documents of this term. */
int run_and_term(struct run *run, struct span term);
/* 1: shown; 0: not; or an ERR_*. */
int run_is_member(struct run *run, uint32_t number);

#endif
