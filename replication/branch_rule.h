/* branch_rule.h - what may not happen to which branches of a repository: protected branches.
 *
 * A rule covers branches by a pattern: the name behind "refs/heads/", where '*' stands for any run of characters without '/', and "**" for any run. What several
 * rules forbid adds up. refs_update enforces them when it is applied, for every way in: the proposer says what it knows of a change (that it only adds to
 * the branch; that whoever asks is an administrator of the repository), and what is not known counts against it. */
#ifndef CAIRN_REPLICATION_BRANCH_RULE_H
#define CAIRN_REPLICATION_BRANCH_RULE_H

#include "replication/namespace.h"

enum { BRANCH_RULES_MAX = 64 /* of one repository */ };

struct branch_rule {
	char pattern[REF_BYTES_MAX + 1];
	bool allow_force;  /* a new head that does not descend from the old one */
	bool allow_delete;
	bool admins_only;  /* nobody else moves it at all */
};

/* A ref name's length at most, valid UTF-8 without control characters, and a ref name once its stars are letters. */
bool branch_pattern_valid(struct span pattern);
bool branch_pattern_matches(struct span pattern, struct span branch);

/* [blocks] A rule of the same pattern is replaced. ERR_INVALID, ERR_TOO_BIG (BRANCH_RULES_MAX), ERR_NOT_FOUND (no such repository). */
int branch_rule_set(struct namespace *ns, const char *actor, const struct entity_id *repo, const struct branch_rule *rule, struct why *why);
int branch_rule_delete(struct namespace *ns, const char *actor, const struct entity_id *repo, const char *pattern, struct why *why); /* ERR_NOT_FOUND */
/* In the order of patterns; non-zero stops and is returned. */
int branch_rule_list(struct namespace *ns, const struct entity_id *repo, int (*each)(void *context, const struct branch_rule *rule), void *context);

#endif
