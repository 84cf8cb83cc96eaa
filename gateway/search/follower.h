/* follower.h - the one who keeps an index up to date: where it is, and what it works on. Private to gateway/search.
 *
 * A round is a set of repositories, each once, that are brought up to date together; its batch may be ended early when it grows too large, always without a position:
 * positions are written with the last batch of what they stand for. */
#ifndef CAIRN_GATEWAY_SEARCH_FOLLOWER_H
#define CAIRN_GATEWAY_SEARCH_FOLLOWER_H

#include "gateway/search/base.h"
#include "gateway/search/document.h"

enum {
	ROUND_REPOS_MAX = 512,
	ROUND_SLOTS = 4 * ROUND_REPOS_MAX,
	RETRIES_MAX = 256, /* repositories whose files could not all be read; of more, the newest are looked at again */
};

enum { STOP_ROUND_FULL = 1 };

struct round {
	struct entity_id repos[ROUND_REPOS_MAX];
	size_t count;
	uint16_t slots[ROUND_SLOTS]; /* index + 1 */
};

struct position {
	uint64_t cluster, repos;  /* numbers of changes */
	uint64_t downloads;       /* log index up to which downloads are looked at */
	bool within;              /* and of the next one, those up to this repository */
	struct entity_id downloads_repo;
	uint64_t downloads_known; /* the newest that a change told of */
};

struct follower {
	struct search *search;
	struct search_base *base;
	struct search_writer *writer;
	struct position position;
	struct round round;
	struct position next;     /* while gathering */
	uint64_t downloads_seen;  /* the newest log index met then */
	bool has_begun;           /* downloads were looked at since the start: what told of the last ones may have been read before it */
	struct facts_cache cache;
	struct entity_id retries[RETRIES_MAX];
	size_t retries_count;
	int64_t retry_ms, retry_wait_ms; /* when they are looked at again, and how long that was put off */
};

/* False: the round is full. */
bool round_add(struct round *round, const struct entity_id *repo);
void round_clear(struct round *round);

bool follower_is_closing(struct follower *follower);
/* [blocks] Brings the gathered repositories up to date. */
int follower_update_round(struct follower *follower);
void follower_write_position(struct follower *follower, const struct position *position);

/* [blocks] Goes over all repositories, and over all that is indexed; the position is then that from before. */
int follower_scan_all(struct follower *follower);
/* [blocks] Once a day: looks again at what had likes or downloads within thirty days. */
int follower_sweep_daily(struct follower *follower);

#endif
