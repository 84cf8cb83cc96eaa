/* base.h - one generation of the index: a database in a directory of its own. Private to gateway/search. */
#ifndef CAIRN_GATEWAY_SEARCH_BASE_H
#define CAIRN_GATEWAY_SEARCH_BASE_H

#include "gateway/search/handle.h"

/* [blocks] One reference, the caller's. */
int search_base_open(struct search_base **out, const char *dir, unsigned generation, struct why *why);
/* [blocks] The newest whole one below `dir`, or a fresh one; what else lies there is removed. */
int search_base_open_newest(struct search_base **out, const char *dir, struct why *why);
int search_base_weights(struct search_base *base, const struct hash *file, struct buffer *out);

#endif
