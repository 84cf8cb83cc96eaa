#include "replication/branch_rule.h"

#include "replication/namespace_state.h"

static const struct field rule_fields[] = {
	FIELD(struct branch_rule, pattern, FIELD_TEXT, true),
	FIELD(struct branch_rule, allow_force, FIELD_BOOL, false),
	FIELD(struct branch_rule, allow_delete, FIELD_BOOL, false),
	FIELD(struct branch_rule, admins_only, FIELD_BOOL, false),
};
static const struct schema rule_schema = SCHEMA(1, rule_fields);

struct rule_body {
	struct entity_id repo;
	struct branch_rule rule;
};
static const struct field rule_body_fields[] = {
	FIELD(struct rule_body, repo, FIELD_BYTES, true),
	{ "pattern", FIELD_TEXT, offsetof(struct rule_body, rule.pattern), sizeof(((struct branch_rule *)0)->pattern), true },
	{ "allow_force", FIELD_BOOL, offsetof(struct rule_body, rule.allow_force), sizeof(bool), false },
	{ "allow_delete", FIELD_BOOL, offsetof(struct rule_body, rule.allow_delete), sizeof(bool), false },
	{ "admins_only", FIELD_BOOL, offsetof(struct rule_body, rule.admins_only), sizeof(bool), false },
};
static const struct schema rule_body_schema = SCHEMA(1, rule_body_fields);

static const char branches[] = "refs/heads/";

/* ---- patterns ---- */

bool branch_pattern_valid(struct span pattern)
{
	char name[REF_BYTES_MAX + 1];
	size_t prefix = sizeof(branches) - 1;
	if (pattern.length == 0 || prefix + pattern.length > REF_BYTES_MAX)
		return false;
	memcpy(name, branches, prefix);
	for (size_t i = 0; i < pattern.length; i++)
		name[prefix + i] = pattern.data[i] == '*' ? 'x' : (char)pattern.data[i];
	return ref_name_valid(span_of(name, prefix + pattern.length));
}

/* One star at a time can be taken back: the last one. A double star is remembered beside it, since it may reach further. */
bool branch_pattern_matches(struct span pattern, struct span branch)
{
	size_t p = 0, b = 0;
	size_t star = SIZE_MAX, star_at = 0, far_star = SIZE_MAX, far_at = 0;
	while (b < branch.length || p < pattern.length) {
		if (p < pattern.length && pattern.data[p] == '*') {
			bool far = p + 1 < pattern.length && pattern.data[p + 1] == '*';
			p += far ? 2 : 1;
			if (far) {
				far_star = p;
				far_at = b;
				star = SIZE_MAX;
			} else {
				star = p;
				star_at = b;
			}
			continue;
		}
		if (p < pattern.length && b < branch.length && pattern.data[p] == branch.data[b]) {
			p++;
			b++;
			continue;
		}
		if (star != SIZE_MAX && star_at < branch.length && branch.data[star_at] != '/') {
			p = star;
			b = ++star_at;
		} else if (far_star != SIZE_MAX && far_at < branch.length) {
			p = far_star;
			b = ++far_at;
			star = SIZE_MAX;
		} else {
			return false;
		}
	}
	return true;
}

/* ---- in apply ---- */

static void key_rule(struct key *key, const struct entity_id *repo, struct span pattern)
{
	key_begin_repo(key, repo, 'R');
	key_add(key, pattern.data, pattern.length);
}

static int load_state(const struct apply_context *apply, const struct entity_id *repo, struct key *key, struct repo_state *state, struct why *why)
{
	key_repo_state(key, repo);
	*state = (struct repo_state){ 0 };
	int err = state_get(apply, key, &repo_state_schema, state, sizeof(*state), why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	return state->deleted ? why_set(why, ERR_NOT_FOUND, "the repository was deleted") : 0;
}

int branch_rule_set_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct rule_body body;
	struct repo_state state;
	struct key key, state_key;
	int err = body_decode(&body, sizeof(body), &rule_body_schema, command, why);
	if (err == 0)
		err = load_state(apply, &body.repo, &state_key, &state, why);
	if (err)
		return err;
	if (!branch_pattern_valid(span_text(body.rule.pattern)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a pattern of branches", body.rule.pattern);
	key_rule(&key, &body.repo, span_text(body.rule.pattern));
	err = state_get(apply, &key, NULL, NULL, 0, why);
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (err == ERR_NOT_FOUND) {
		if (state.branch_rules >= BRANCH_RULES_MAX)
			return why_set(why, ERR_TOO_BIG, "a repository has at most %d rules for branches", BRANCH_RULES_MAX);
		state.branch_rules++;
		state_put(apply, &state_key, &repo_state_schema, &state);
	}
	state_put(apply, &key, &rule_schema, &body.rule);
	struct change change = { .repo = body.repo };
	return change_append(apply, command, &change, why);
}

int branch_rule_delete_apply(const struct apply_context *apply, const struct command *command, struct buffer *result, struct why *why)
{
	(void)result;
	struct rule_body body;
	struct repo_state state;
	struct key key, state_key;
	int err = body_decode(&body, sizeof(body), &rule_body_schema, command, why);
	if (err == 0)
		err = load_state(apply, &body.repo, &state_key, &state, why);
	if (err)
		return err;
	key_rule(&key, &body.repo, span_text(body.rule.pattern));
	err = state_get(apply, &key, NULL, NULL, 0, why);
	if (err)
		return err == ERR_NOT_FOUND ? why_set(why, err, "there is no rule for \"%s\"", body.rule.pattern) : err;
	if (state.branch_rules)
		state.branch_rules--;
	state_put(apply, &state_key, &repo_state_schema, &state);
	state_delete(apply, &key);
	struct change change = { .repo = body.repo };
	return change_append(apply, command, &change, why);
}

int branch_rules_purge(const struct apply_context *apply, const struct entity_id *repo, struct why *why)
{
	struct key key;
	key_rule(&key, repo, (struct span){ 0 });
	return state_delete_prefix(apply, &key, why);
}

struct search {
	struct span branch;
	size_t pattern_offset; /* in a key */
	struct key found[BRANCH_RULES_MAX];
	size_t count;
};

static bool note_match(void *context, struct span key)
{
	struct search *search = context;
	struct span pattern = span_of(key.data + search->pattern_offset, key.length - search->pattern_offset);
	if (search->count < BRANCH_RULES_MAX && branch_pattern_matches(pattern, search->branch)) {
		struct key *found = &search->found[search->count++];
		memcpy(found->bytes, key.data, key.length);
		found->length = key.length;
	}
	return false; /* go on */
}

static int forbid(const struct branch_rule *rule, const struct ref_update *update, bool exists, bool goes, struct why *why)
{
	const char *name = update->name + sizeof(branches) - 1;
	if (rule->admins_only && !update->privileged)
		return why_set(why, ERR_DENIED, "%s is protected: only administrators of the repository may change it", name);
	if (exists && goes && !rule->allow_delete)
		return why_set(why, ERR_DENIED, "%s is protected: it cannot be deleted", name);
	if (exists && !goes && !update->fast_forward && !rule->allow_force)
		return why_set(why, ERR_DENIED, "%s is protected: its history cannot be rewritten", name);
	return 0;
}

int branch_rules_check(const struct apply_context *apply, const struct entity_id *repo, const struct ref_update *update, bool exists, bool goes,
	struct why *why)
{
	if (strncmp(update->name, branches, sizeof(branches) - 1) != 0)
		return 0;
	struct search search = { .branch = span_text(update->name + sizeof(branches) - 1) };
	struct key prefix;
	key_rule(&prefix, repo, (struct span){ 0 });
	search.pattern_offset = prefix.length;
	state_any(apply, &prefix, note_match, &search);
	int err = 0;
	for (size_t i = 0; i < search.count && err == 0; i++) {
		struct branch_rule rule;
		err = state_get(apply, &search.found[i], &rule_schema, &rule, sizeof(rule), why);
		if (err == 0)
			err = forbid(&rule, update, exists, goes, why);
	}
	return err;
}

/* ---- outside ---- */

static int propose(struct namespace *ns, enum command_type type, const char *actor, const struct rule_body *made, struct why *why)
{
	struct repo repo;
	int err = repo_get(ns, NULL, &made->repo, &repo);
	if (err)
		return why_set(why, err, "there is no such repository");
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX);
	record_encode(&body, &rule_body_schema, made);
	return namespace_propose(ns, GROUP_REPOS, type, actor, &body, NULL, why);
}

int branch_rule_set(struct namespace *ns, const char *actor, const struct entity_id *repo, const struct branch_rule *rule, struct why *why)
{
	if (!branch_pattern_valid(span_text(rule->pattern)))
		return why_set(why, ERR_INVALID, "\"%s\" is not a pattern of branches", rule->pattern);
	struct rule_body body = { .repo = *repo, .rule = *rule };
	return propose(ns, COMMAND_BRANCH_RULE_SET, actor, &body, why);
}

int branch_rule_delete(struct namespace *ns, const char *actor, const struct entity_id *repo, const char *pattern, struct why *why)
{
	struct rule_body body = { .repo = *repo };
	if (strlen(pattern) > REF_BYTES_MAX)
		return why_set(why, ERR_NOT_FOUND, "there is no such rule");
	strcpy(body.rule.pattern, pattern);
	return propose(ns, COMMAND_BRANCH_RULE_DELETE, actor, &body, why);
}

struct listing {
	int (*each)(void *context, const struct branch_rule *rule);
	void *context;
};

static int list_one(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	struct branch_rule rule;
	int err = record_decode(&rule, sizeof(rule), &rule_schema, value);
	return err ? err : listing->each(listing->context, &rule);
}

int branch_rule_list(struct namespace *ns, const struct entity_id *repo, int (*each)(void *context, const struct branch_rule *rule), void *context)
{
	struct key prefix;
	struct listing listing = { .each = each, .context = context };
	key_rule(&prefix, repo, (struct span){ 0 });
	return namespace_scan(ns, NULL, &prefix, NULL, list_one, &listing);
}
