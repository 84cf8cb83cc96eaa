#include "gateway/repo/branch_guard.h"

#include <stdlib.h>

#include "gateway/repo/oid_set.h"
#include "replication/branch_rule.h"
#include "schemas/git_object.h"

enum { COMMITS_MAX = 8 << 20 /* looked at to find an ancestor */ };

static const char branches[] = "refs/heads/";

/* ------------------------------------------------------------------ rules */

struct search {
	struct span branch;
	struct branch_rule all; /* what all rules that cover the branch allow together */
	bool found;
};

static int look(void *context, const struct branch_rule *rule)
{
	struct search *search = context;
	if (!branch_pattern_matches(span_text(rule->pattern), search->branch))
		return 0;
	search->all.allow_force &= rule->allow_force;
	search->all.allow_delete &= rule->allow_delete;
	search->all.admins_only |= rule->admins_only;
	search->found = true;
	return 0;
}

static int rules_of(struct gateway *gateway, const struct repo *repo, const char *ref, struct search *out)
{
	*out = (struct search){ .all = { .allow_force = true, .allow_delete = true } };
	if (strncmp(ref, branches, sizeof(branches) - 1) != 0)
		return 0;
	out->branch = span_text(ref + sizeof(branches) - 1);
	return branch_rule_list(gateway->ns, &repo->id, look, out);
}

bool branch_guard_any(struct gateway *gateway, const struct repo *repo, const char *ref)
{
	struct search search;
	return rules_of(gateway, repo, ref, &search) != 0 || search.found; /* when in doubt, the change is looked at closer */
}

int branch_guard_check(struct gateway *gateway, const struct repo *repo, const struct actor *actor, const char *ref, enum branch_change change,
	struct why *why)
{
	struct search search;
	int err = rules_of(gateway, repo, ref, &search);
	if (err)
		return why_set(why, err, "the rules for branches cannot be read");
	const char *name = ref + sizeof(branches) - 1;
	if (search.all.admins_only && may(actor, ACTION_ADMIN, &(struct resource){ .repo = repo }) != 0)
		return why_set(why, ERR_DENIED, "%s is protected: only administrators of the repository may change it; change another branch and open a pull request", name);
	if (change == BRANCH_DELETE && !search.all.allow_delete)
		return why_set(why, ERR_DENIED, "%s is protected: it cannot be deleted, unless the rule is taken away (cairn repo unprotect)", name);
	if (change == BRANCH_REWRITE && !search.all.allow_force)
		return why_set(why, ERR_DENIED, "%s is protected: its history cannot be rewritten; take in what it has (git pull) and push without --force", name);
	return 0;
}

/* ------------------------------------------------------------------ history */

struct walk {
	struct oid *queue;
	size_t first, count, capacity;
	struct oid_set seen;
};

static int enqueue(struct walk *walk, const struct oid *oid)
{
	int added = oid_set_add(&walk->seen, oid);
	if (added <= 0)
		return added;
	if (walk->count == walk->capacity) {
		size_t capacity = walk->capacity ? walk->capacity * 2 : 256;
		struct oid *queue = realloc(walk->queue, capacity * sizeof(*queue));
		if (!queue)
			return ERR_NO_MEMORY;
		walk->queue = queue;
		walk->capacity = capacity;
	}
	walk->queue[walk->count++] = *oid;
	return 0;
}

int branch_descends(int (*read)(void *context, const struct oid *oid, struct span *payload), void *context, const struct oid *commit,
	const struct oid *ancestor, bool *out)
{
	struct walk walk = { 0 };
	struct git_commit *parsed = malloc(sizeof(*parsed));
	oid_set_init(&walk.seen, COMMITS_MAX);
	int err = parsed ? enqueue(&walk, commit) : ERR_NO_MEMORY;
	*out = false;
	/* From the new head backwards, breadth first: a change that only adds finds the old head at once. */
	while (err == 0 && walk.first < walk.count && !*out) {
		struct oid oid = walk.queue[walk.first++];
		struct span payload;
		*out = git_oid_equal(&oid, ancestor);
		if (*out)
			break;
		err = read(context, &oid, &payload);
		if (err == 0)
			err = git_commit_decode(parsed, payload);
		for (size_t i = 0; err == 0 && i < parsed->parents_count; i++)
			err = enqueue(&walk, &parsed->parents[i]);
	}
	oid_set_fini(&walk.seen);
	free(walk.queue);
	free(parsed);
	return err;
}
