/* document.h - what a repository is in the index: its record, its values, its terms. Private to gateway/search. */
#ifndef CAIRN_GATEWAY_SEARCH_DOCUMENT_H
#define CAIRN_GATEWAY_SEARCH_DOCUMENT_H

#include "gateway/search/writer.h"

enum document_change { DOCUMENT_SAME, DOCUMENT_INDEXED, DOCUMENT_FACTS_MADE, DOCUMENT_INCOMPLETE /* look again later */ };

/* [blocks] Brings the index up to date with one repository as it is now; a gone one is removed. What it did (enum document_change), or an ERR_*: ERR_CORRUPT and
 * ERR_NOT_FOUND only when its git content cannot be read, which leaves it with what can be known without. */
int document_update(struct gateway *gateway, struct search_writer *writer, const struct facts_cache *cache, const struct entity_id *repo, int64_t now_ms);

/* What it is found by. `facts` are decoded or made; their text adds the card's words. */
int document_terms(struct term_list *out, const struct doc *doc, const struct facts *facts);

#endif
