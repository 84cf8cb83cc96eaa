/* revision.c - from what a client calls a revision to a commit.
 *
 * DESIGN. Answers are remembered per (repository, text) together with the version of the namespace they were read at, and hold as long as nothing
 * was applied since: then a look-up costs one probe of the cache. Otherwise the ref is read again, which the state machine's database answers
 * from memory. Short hashes are searched for in history and not remembered. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/repo/object.h"
#include "gateway/repo/oid_set.h"
#include "gateway/repo/rebuild.h"

enum {
	SHORT_DIGITS_MIN = 5,
	SHORT_COMMITS_MAX = 100 * 1000, /* looked at for a short hash */
	REFS_CHECKED_MAX = 100,         /* for lost objects, before a hash is declared unknown */
};

struct revision {
	struct cached cached;
	uint64_t version;
	struct oid commit;
	char ref[REF_BYTES_MAX + 1];
	char text[REF_BYTES_MAX + 1];
};

static bool is_hex(struct span text)
{
	for (size_t i = 0; i < text.length; i++) {
		uint8_t byte = text.data[i] | 0x20;
		if (!((byte >= '0' && byte <= '9' && text.data[i] <= '9') || (byte >= 'a' && byte <= 'f')))
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------ hashes */

struct heads {
	struct gateway *gateway;
	const struct entity_id *repo;
	int checked;
	/* short hashes */
	char digits[OID_TEXT_BYTES];
	struct oid_set seen;
	struct oid *queue;
	size_t queue_count, queue_capacity;
	int matches;
	struct oid match;
};

/* Makes sure that what refs name is in the table: a repair follows if not. */
static int check_head(void *context, const struct ref *ref)
{
	struct heads *heads = context;
	struct commit *commit;
	if (heads->checked++ == REFS_CHECKED_MAX)
		return 1;
	int err = commit_load_peeled(heads->gateway, heads->repo, &ref->oid, REPO_MAY_WAIT, true, &commit);
	if (err == 0)
		cached_release(&commit->cached);
	return err == ERR_NOT_FOUND || err == ERR_CORRUPT ? 0 : err;
}

static int resolve_full(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, enum repo_wait wait, struct oid *out)
{
	struct commit *commit;
	int err = commit_load_peeled(gateway, repo, oid, wait, false, &commit);
	if (err == ERR_NOT_FOUND) {
		struct heads heads = { .gateway = gateway, .repo = repo };
		err = ref_list(gateway->ns, NULL, repo, "", check_head, &heads);
		if (err >= 0)
			err = commit_load_peeled(gateway, repo, oid, wait, false, &commit);
	}
	if (err)
		return err;
	*out = commit->oid;
	cached_release(&commit->cached);
	return 0;
}

static int queue_add(struct heads *heads, const struct oid *oid)
{
	int added = oid_set_add(&heads->seen, oid);
	if (added <= 0)
		return added;
	if (heads->queue_count == heads->queue_capacity) {
		size_t capacity = heads->queue_capacity ? heads->queue_capacity * 2 : 64;
		struct oid *queue = realloc(heads->queue, capacity * sizeof(*queue));
		if (!queue)
			return ERR_NO_MEMORY;
		heads->queue = queue;
		heads->queue_capacity = capacity;
	}
	heads->queue[heads->queue_count++] = *oid;
	return 0;
}

static int queue_head(void *context, const struct ref *ref)
{
	struct heads *heads = context;
	struct commit *commit;
	int err = commit_load_peeled(heads->gateway, heads->repo, &ref->oid, REPO_MAY_WAIT, true, &commit);
	if (err)
		return err == ERR_NOT_FOUND || err == ERR_CORRUPT ? 0 : err;
	err = queue_add(heads, &commit->oid);
	cached_release(&commit->cached);
	return err == ERR_TOO_BIG ? 0 : err;
}

/* Takes one commit off the queue, compares it, queues its parents. */
static int look_at_next(struct heads *heads)
{
	struct oid oid = heads->queue[--heads->queue_count];
	char text[OID_TEXT_BYTES];
	hex_encode(text, oid.bytes, OID_BYTES);
	if (strncmp(text, heads->digits, strlen(heads->digits)) == 0) {
		heads->matches++;
		heads->match = oid;
	}
	struct commit *commit;
	struct git_commit parsed;
	int err = commit_load(heads->gateway, heads->repo, &oid, REPO_MAY_WAIT, true, &commit);
	if (err)
		return err;
	err = git_commit_decode(&parsed, span_of(commit->payload, commit->length));
	for (size_t i = 0; i < parsed.parents_count && err == 0; i++)
		err = queue_add(heads, &parsed.parents[i]);
	cached_release(&commit->cached);
	return err == ERR_TOO_BIG ? 0 : err;
}

static int resolve_short(struct gateway *gateway, const struct entity_id *repo, struct span text, enum repo_wait wait, struct oid *out)
{
	if (wait == REPO_NO_WAIT)
		return ERR_AGAIN;
	struct heads heads = { .gateway = gateway, .repo = repo };
	for (size_t i = 0; i < text.length; i++)
		heads.digits[i] = (char)(text.data[i] <= '9' ? text.data[i] : text.data[i] | 0x20);
	oid_set_init(&heads.seen, SHORT_COMMITS_MAX);
	int err = ref_list(gateway->ns, NULL, repo, "", queue_head, &heads);
	while (err == 0 && heads.queue_count && heads.matches < 2)
		err = look_at_next(&heads);
	free(heads.queue);
	oid_set_fini(&heads.seen);
	if (err)
		return err;
	*out = heads.match;
	return heads.matches == 1 ? 0 : ERR_NOT_FOUND; /* unknown, or ambiguous */
}

/* ------------------------------------------------------------------ refs */

/* The commit of the ref prefix + text. */
static int resolve_ref(struct gateway *gateway, const struct entity_id *repo, const char *prefix, struct span text, enum repo_wait wait, struct oid *out,
	char name[REF_BYTES_MAX + 1])
{
	int length = snprintf(name, REF_BYTES_MAX + 1, "%s%.*s", prefix, (int)text.length, (const char *)text.data);
	if (length > REF_BYTES_MAX || memchr(text.data, 0, text.length))
		return ERR_NOT_FOUND;
	struct ref ref;
	int err = ref_get(gateway->ns, NULL, repo, name, &ref);
	if (err)
		return err;
	struct commit *commit;
	err = commit_load_peeled(gateway, repo, &ref.oid, wait, true, &commit);
	if (err)
		return err;
	*out = commit->oid;
	cached_release(&commit->cached);
	return 0;
}

static int resolve_name(struct gateway *gateway, const struct repo *repo, struct span text, enum repo_wait wait, struct oid *out, char ref[REF_BYTES_MAX + 1])
{
	static const char *const prefixes[] = { "", "refs/heads/", "refs/tags/" };
	/* "HEAD" and full names first, as writes take them: no branch of that name may stand before what they mean. */
	if (span_equal(text, span_text("HEAD")))
		return resolve_ref(gateway, &repo->id, "", span_text(repo->head), wait, out, ref);
	int err = ERR_NOT_FOUND;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]) && err == ERR_NOT_FOUND; i++)
		if (*prefixes[i] || (text.length > 5 && memcmp(text.data, "refs/", 5) == 0))
			err = resolve_ref(gateway, &repo->id, prefixes[i], text, wait, out, ref);
	return err;
}

static void remember(struct gateway *gateway, const struct cache_key *key, uint64_t version, struct span text, const struct oid *commit, const char *ref)
{
	struct revision *revision = cached_alloc(sizeof(*revision));
	if (!revision)
		return;
	revision->version = version;
	revision->commit = *commit;
	snprintf(revision->ref, sizeof(revision->ref), "%s", ref);
	memcpy(revision->text, text.data, text.length);
	repo_cache_put(gateway->trees, key, &revision->cached);
	cached_release(&revision->cached);
}

static bool recall(struct gateway *gateway, const struct cache_key *key, uint64_t version, struct span text, struct oid *commit, char *ref)
{
	struct revision *revision = (struct revision *)repo_cache_get(gateway->trees, key);
	if (!revision)
		return false;
	bool holds = revision->version == version && strlen(revision->text) == text.length && memcmp(revision->text, text.data, text.length) == 0;
	if (holds) {
		*commit = revision->commit;
		if (ref)
			strcpy(ref, revision->ref);
	}
	cached_release(&revision->cached);
	return holds;
}

static int resolve_named(struct gateway *gateway, const struct repo *repo, struct span text, enum repo_wait wait, struct oid *commit, char *ref)
{
	/* Read before the ref is: what is remembered is then never older than its version says. */
	uint64_t version = namespace_version(gateway->ns);
	struct oid digest = repo_cache_digest(gateway->trees, text);
	struct cache_key key = cache_key_make(CACHED_REVISION, &repo->id, &digest);
	if (recall(gateway, &key, version, text, commit, ref))
		return 0;
	char name[REF_BYTES_MAX + 1];
	int err = resolve_name(gateway, repo, text, wait, commit, name);
	if (err)
		return err;
	remember(gateway, &key, version, text, commit, name);
	if (ref)
		strcpy(ref, name);
	return 0;
}

int repo_resolve(struct gateway *gateway, const struct repo *repo, struct span text, enum repo_wait wait, struct oid *commit, char ref[REF_BYTES_MAX + 1])
{
	if (text.length == 0 || text.length > REF_BYTES_MAX)
		return ERR_NOT_FOUND;
	int err = ERR_NOT_FOUND;
	struct oid oid;
	if (text.length == 2 * OID_BYTES && hex_decode(oid.bytes, OID_BYTES, (const char *)text.data, text.length) == 0) {
		err = resolve_full(gateway, &repo->id, &oid, wait, commit);
		if (err == 0 && ref)
			ref[0] = 0;
	}
	if (err == ERR_NOT_FOUND)
		err = resolve_named(gateway, repo, text, wait, commit, ref);
	if (err == ERR_NOT_FOUND && text.length >= SHORT_DIGITS_MIN && text.length < 2 * OID_BYTES && is_hex(text)) {
		err = resolve_short(gateway, &repo->id, text, wait, commit);
		if (err == 0 && ref)
			ref[0] = 0;
	}
	return err;
}
