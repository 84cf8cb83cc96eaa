/* handle.h - which database serves: it is exchanged when a rebuild is done. Private to gateway/search. */
#ifndef CAIRN_GATEWAY_SEARCH_HANDLE_H
#define CAIRN_GATEWAY_SEARCH_HANDLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/search/kept_values.h"
#include "gateway/search/search.h"
#include "gateway/search/term_sets.h"

struct search_base {
	struct search_db db;
	struct term_sets sets;
	struct kept_values values;
	char dir[4096];
	unsigned generation;
	atomic_int references;
	bool obsolete;        /* remove the directory with the last reference */
};

struct search {
	struct gateway *gateway;
	char dir[3072];       /* holds one directory per generation */
	pthread_mutex_t mutex;
	pthread_cond_t caught_up;
	struct search_base *base;
	pthread_t thread;
	bool started, closing, rebuild_wanted, rebuilding;
	/* Of the base in use, for waiting: how far it has come. */
	uint64_t cluster, repos;
	/* Whole: it has come at least this far, which is what there was when it began. */
	bool whole;
	uint64_t begin_cluster, begin_repos;
	uint64_t documents, indexed, facts_made;
};

/* ERR_BUSY, `why` says it: what is looked for may not be in the index yet. */
int search_need_whole(struct search *search, struct why *why);
/* Marks that the index lacks what there is now. */
int search_begin_whole(struct search *search);

/* A reference to the base in use. */
struct search_base *search_base_take(struct search *search);
void search_base_release(struct search_base *base);

/* The thread. */
void *search_follow(void *search);

#endif
