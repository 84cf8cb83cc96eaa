/* search.h - finding repositories: an index of all of them, kept up to date by the streams of changes.
 *
 * DESIGN. One thread follows what the state machine applied (replication/changes.h), whatever protocol it came by: for each repository that changed it looks at the
 * state as it is now, makes the facts of its default branch anew when the files they are made from have changed, and writes what differs. Many changes
 * of one repository are one. The index is a view: lost, it is made again from the state and from git; where it has fallen behind further than the streams are kept
 * it goes over all repositories. Rebuilding happens beside the old index, which serves until the new one is whole.
 *
 * Until it knows of everything that there was at the start, it is not whole: queries are ERR_BUSY then, as an answer that lacks repositories looks like one
 * that has them all. So it is again in a cluster when it goes over all repositories because this node was behind: others can answer.
 *
 * The index may be some milliseconds old, and is never trusted with rights: who answers from it asks the state, and may(), for each repository it shows.
 *
 * Queries combine terms as sets (postings.h), then either walk the wanted order and test members, or, when few match, sort these: the cost depends
 * on the page and the number of blocks, not on the number of repositories. */
#ifndef CAIRN_GATEWAY_SEARCH_SEARCH_H
#define CAIRN_GATEWAY_SEARCH_SEARCH_H

#include "gateway/facts/facts.h"
#include "gateway/search/database.h"

struct search;

/* [blocks] Opens or makes DIR/search below gateway->data_dir and starts following; waits a moment for it to be whole. */
int search_open(struct search **out, struct gateway *gateway, struct why *why);
/* Stops the thread; nobody may query any more. */
void search_close(struct search *search);

/* [blocks] until everything that was applied before the call is indexed, at most `timeout_ms`. True: it is. */
bool search_catch_up(struct search *search, int64_t timeout_ms);
/* Makes all of it anew in the background. ERR_EXISTS: that is under way. */
int search_rebuild(struct search *search, struct why *why);

bool search_is_whole(struct search *search);

struct search_status {
	uint64_t documents;
	uint64_t behind;      /* changes not yet looked at */
	bool rebuilding;
	uint64_t generation;  /* grows by one with each rebuild */
	uint64_t indexed, facts_made; /* since start */
};
void search_status(struct search *search, struct search_status *out);

/* ---- looking up one repository ---- */
struct doc_found {
	uint32_t number;
	struct doc doc;
	struct doc_values values;
};
/* 0, ERR_NOT_FOUND. `facts` (may be NULL, else zeroed) gets all facts of doc.commit: facts_fini. */
int search_find(struct search *search, const struct entity_id *repo, struct doc_found *out, struct facts *facts);
/* What the header of a weights file says, if it was read before. */
int search_weights(struct search *search, const struct hash *file, struct buffer *out);

/* ---- queries ---- */
enum { QUERY_TERMS_MAX = 64, QUERY_SEARCHES_MAX = 8, QUERY_OWNERS_MAX = 256, QUERY_LIMIT_MAX = 1000, SEARCH_CURSOR_BYTES_MAX = 300 };

struct search_query {
	enum repo_type type;
	const char *author;                        /* NULL: anyone's; any case */
	struct span terms[QUERY_TERMS_MAX];        /* all of these must hold; kind byte first (terms.h), lower case */
	size_t terms_count;
	struct span any_of[QUERY_TERMS_MAX];       /* and one of these, if there are any */
	size_t any_of_count;
	/* And each blank-separated part of each of these: somewhere in "owner/name"; or at the beginning of a word of id, tags or card; or a whole tag. */
	const char *searches[QUERY_SEARCHES_MAX];
	size_t searches_count;
	int gated;                                 /* -1: either; 0: no; 1: yes */
	uint64_t parameters_min, parameters_max;   /* max 0: any */
	bool sees_all;                             /* an admin of the hub */
	const char *owners[QUERY_OWNERS_MAX];      /* namespaces whose private repositories the caller may see */
	size_t owners_count;
	enum sort sort;
	bool ascending;                            /* SORT_ID: descending */
	uint64_t limit;                            /* at most QUERY_LIMIT_MAX */
	const char *cursor;                        /* where the page before ended; NULL: the first page */
};

struct search_hit {
	uint32_t number;
	struct doc doc;
	struct doc_values values;
	struct span small;                         /* encoded facts (facts_peek); valid until search_result_fini */
};
struct search_base;
struct search_result {
	struct search_base *base;                  /* the numbers are of this one */
	size_t count;
	uint32_t *numbers;                         /* owned */
	struct search_hit *hits;                   /* owned; after search_run: as many */
	struct buffer rows;
	bool more;
	char cursor[SEARCH_CURSOR_BYTES_MAX];      /* of the last hit, safe in a query */
};
/* [blocks] Which documents are on the page, and no more: who keeps what they are shown as need not read them. 0, ERR_INVALID (cursor), ERR_BUSY (not whole),
 * ERR_IO, ERR_NO_MEMORY. search_result_fini in every case. */
int search_page(struct search *search, const struct search_query *query, struct search_result *out, struct why *why);
/* [blocks] One of them as it is now; `row` is cleared, and holds what out->small borrows. ERR_NOT_FOUND: it has gone meanwhile. */
int search_read(const struct search_result *result, uint32_t number, struct buffer *row, struct search_hit *out);
/* What names a document for good, and the version of its row: the same version, the same row. */
unsigned search_generation(const struct search_result *result);
unsigned search_doc_version(const struct search_result *result, uint32_t number);
/* [blocks] The page with all rows. 0 or as search_page. search_result_fini in every case. */
int search_run(struct search *search, const struct search_query *query, struct search_result *out, struct why *why);
void search_result_fini(struct search_result *result);
/* Where a page that ends with this hit would go on. */
void search_hit_cursor(const struct search_query *query, const struct search_hit *hit, char out[SEARCH_CURSOR_BYTES_MAX]);
/* [blocks] How many match. */
int search_count(struct search *search, const struct search_query *query, uint64_t *out);
/* [blocks] The facts of a hit that are not small, added to `facts`. */
int search_hit_facts(const struct search_result *result, const struct search_hit *hit, struct facts *facts);

/* [blocks] The tags of public repositories of a type, in order, with the number of those that have each; non-zero ends and is returned. */
int search_tags(struct search *search, enum repo_type type, int (*each)(void *context, struct span tag, uint64_t count), void *context);

#endif
