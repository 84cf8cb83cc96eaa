/* related.h - what other repositories say of one: asked of the index, shown as the caller may see it. [blocks] */
#ifndef CAIRN_GATEWAY_HUB_RELATED_H
#define CAIRN_GATEWAY_HUB_RELATED_H

#include "gateway/auth/auth.h"
#include "gateway/search/search.h"

enum { RELATED_SPACES_MAX = 100 };

/* The caller's namespaces, in memory of the request; sets sees_all, owners and owners_count of a query. */
struct query_owners {
	char names[QUERY_OWNERS_MAX][NAME_BYTES_MAX + 1];
};
int query_owners_set(struct namespace *ns, const struct actor *actor, struct query_owners *owners, struct search_query *query);

/* How many models name this one as their base. */
int related_children(struct gateway *gateway, const struct actor *actor, const struct repo *repo, uint64_t *out);
/* JSON array of ids of Spaces that name this model, most wanted first. */
int related_spaces(struct gateway *gateway, const struct actor *actor, const struct repo *repo, struct buffer *out);

#endif
