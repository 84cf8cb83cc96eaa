#include "gateway/hub/related.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/search/terms.h"
#include "replication/org.h"
#include "schemas/json_writer.h"

struct gathering {
	struct query_owners *owners;
	struct search_query *query;
};

static int add_owner(void *context, const struct org *org, const struct member *member)
{
	(void)member;
	struct gathering *gathering = context;
	size_t at = gathering->query->owners_count;
	if (at == QUERY_OWNERS_MAX)
		return 1;
	memcpy(gathering->owners->names[at], org->name, sizeof(org->name));
	gathering->query->owners[at] = gathering->owners->names[at];
	gathering->query->owners_count++;
	return 0;
}

int query_owners_set(struct namespace *ns, const struct actor *actor, struct query_owners *owners, struct search_query *query)
{
	query->sees_all = actor->admin && !actor->one_repo_only;
	query->owners_count = 0;
	if (actor->anonymous || actor->one_repo_only || query->sees_all)
		return 0;
	memcpy(owners->names[0], actor->name, sizeof(actor->name));
	query->owners[query->owners_count++] = owners->names[0];
	struct gathering gathering = { owners, query };
	int err = member_orgs(ns, actor->name, add_owner, &gathering);
	return err < 0 ? err : 0;
}

static int ask(struct gateway *gateway, const struct actor *actor, const struct repo *repo, const char *prefix, struct search_query *query,
	int (*run)(struct gateway *gateway, const struct search_query *query, void *out), void *out)
{
	struct query_owners *owners = malloc(sizeof(*owners));
	char text[TERM_BYTES_MAX];
	int length = snprintf(text, sizeof(text), "%s%s/%s", prefix, repo->owner, repo->name);
	if (!owners)
		return ERR_NO_MEMORY;
	for (char *c = text + 1; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	query->terms[query->terms_count++] = span_of(text, (size_t)length);
	query->gated = -1;
	/* Numbers cannot be asked may() about: a token that may reach only some of its user's repositories counts none of the private ones. */
	int err = actor->role == TOKEN_FINE_GRAINED ? 0 : query_owners_set(gateway->ns, actor, owners, query);
	if (err == 0)
		err = run(gateway, query, out);
	free(owners);
	return err == ERR_BUSY ? 0 : err; /* of an index that is not whole: the repository itself is known */
}

static int run_count(struct gateway *gateway, const struct search_query *query, void *out)
{
	return search_count(gateway->search, query, out);
}

int related_children(struct gateway *gateway, const struct actor *actor, const struct repo *repo, uint64_t *out)
{
	*out = 0;
	if (!gateway->search)
		return 0;
	struct search_query query = { .type = REPO_MODEL, .sort = SORT_TREND, .limit = 1 };
	return ask(gateway, actor, repo, "tbase_model:", &query, run_count, out);
}

static int run_spaces(struct gateway *gateway, const struct search_query *query, void *out)
{
	struct search_result result;
	struct why why;
	struct json_writer json;
	char id[REPO_ID_BYTES_MAX];
	int err = search_run(gateway->search, query, &result, &why);
	json_writer_init(&json, out);
	json_array_begin(&json, NULL);
	for (size_t i = 0; i < result.count && err == 0; i++) {
		if (result.hits[i].doc.private)
			continue; /* whoever may see it finds it in the list of Spaces */
		snprintf(id, sizeof(id), "%s/%s", result.hits[i].doc.owner, result.hits[i].doc.name);
		json_text(&json, NULL, id);
	}
	json_array_end(&json);
	search_result_fini(&result);
	return err;
}

int related_spaces(struct gateway *gateway, const struct actor *actor, const struct repo *repo, struct buffer *out)
{
	if (!gateway->search)
		return 0;
	struct search_query query = { .type = REPO_SPACE, .sort = SORT_TREND, .limit = RELATED_SPACES_MAX };
	return ask(gateway, actor, repo, "m", &query, run_spaces, out);
}
