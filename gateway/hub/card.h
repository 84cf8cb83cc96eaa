/* card.h - what a repository's README.md says of it in its front matter, ready to be copied into answers.
 *
 * DESIGN. A card is made from one blob and so never goes stale: cards are cached by (blob id, repository type) in a small
 * process-wide table bounded in bytes, and shared by reference count. */
#ifndef CAIRN_GATEWAY_HUB_CARD_H
#define CAIRN_GATEWAY_HUB_CARD_H

#include "gateway/repo/repo.h"

enum {
	CARD_README_BYTES_MAX = 1 << 20,      /* larger ones are not parsed */
	CARD_CACHE_BYTES_MAX = 8 << 20,
	CARD_CACHE_SLOTS = 2048,
};

struct card {
	char *data;         /* JSON object text, NULL when there is no (readable) front matter */
	char *tags;         /* JSON array text, never NULL */
	char *pipeline_tag; /* NULL: not said */
	char *library_name;
	char *sdk;

	/* the cache's */
	struct oid blob;
	enum repo_type type;
	size_t bytes;
	int references;
};

/* The card at a commit, never NULL on success; give it back with card_release. 0, ERR_AGAIN, ERR_IO, ERR_CORRUPT, ERR_NO_MEMORY. */
int card_get(struct gateway *gateway, const struct repo *repo, const struct oid *commit, enum repo_wait wait, struct card **out);
void card_release(struct card *card);

/* Makes one from a README's text, outside the cache. NULL: out of memory. */
struct card *card_make(struct span readme, enum repo_type type);

#endif
