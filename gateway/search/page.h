/* page.h - a page of an answer while it is filled. Private to gateway/search. */
#ifndef CAIRN_GATEWAY_SEARCH_PAGE_H
#define CAIRN_GATEWAY_SEARCH_PAGE_H

#include "gateway/search/conditions.h"

/* A place in an order: value then document, or an id. */
struct place {
	uint64_t value;
	uint32_t number;
	char id[REPO_ID_BYTES_MAX];
};

struct page {
	struct run *run;
	const struct place *after; /* NULL: from the start */
	struct place *places;      /* limit + 1 of them */
	size_t count, max;
};

enum { STOP_FULL = 1 };

/* The place that a member gets; NULL: it is none, or cannot be told. *stop: STOP_FULL, or an ERR_*. */
struct place *page_add(struct page *page, uint32_t number, int *stop);
/* Fills the page by sorting all `members` of the run; for when they are few. 0 or an ERR_*. */
int page_sort(struct page *page, uint64_t members);
/* As ids are ordered: in lower case. */
void page_id_of(const struct doc *doc, char out[REPO_ID_BYTES_MAX]);

#endif
