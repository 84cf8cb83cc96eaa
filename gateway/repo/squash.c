/* squash.c - a history of one commit: the same tree, no parents. What was before stays in its packs until nothing else leads to it. */
#include <stdlib.h>

#include "gateway/repo/branch_guard.h"
#include "gateway/repo/object.h"
#include "gateway/repo/object_hash.h"
#include "gateway/repo/publish.h"
#include "gateway/repo/quota.h"

enum { SQUASH_COMMIT_BYTES_MAX = 1 << 20 };

static int encode_commit(struct buffer *out, const struct oid *tree, const struct commit_author *author, struct span message)
{
	struct git_identity identity = { .name = span_text(author->name), .email = span_text(author->email), .when_seconds = author->when_ms / 1000 };
	struct git_commit commit = { .tree = *tree, .author = identity, .committer = identity, .message = message };
	return git_commit_encode(out, &commit);
}

int repo_squash(struct gateway *gateway, const struct repo *repo, const struct actor *actor, const char *ref, const struct commit_author *author,
	struct span message, struct oid *commit, struct why *why)
{
	struct ref head;
	struct commit *old;
	struct resource resource = { .repo = repo, .ns = gateway->ns };
	struct ref_update update = { .privileged = may(actor, ACTION_ADMIN, &resource) == 0 };
	int err = ref_get(gateway->ns, NULL, &repo->id, ref, &head);
	if (err == 0)
		err = branch_guard_check(gateway, repo, actor, ref, BRANCH_REWRITE, why);
	if (err == 0)
		err = commit_load_peeled(gateway, &repo->id, &head.oid, REPO_MAY_WAIT, true, &old);
	if (err)
		return err;
	struct buffer payload;
	buffer_init(&payload, SQUASH_COMMIT_BYTES_MAX);
	memcpy(update.name, head.name, sizeof(update.name));
	update.old_oid = head.oid;
	err = encode_commit(&payload, &old->tree, author, message);
	if (err == 0)
		err = object_hash(&update.new_oid, GIT_COMMIT, buffer_span(&payload));
	cached_release(&old->cached);
	struct git_object object = { .type = GIT_COMMIT, .length = payload.length, .payload = buffer_span(&payload) };
	if (err == 0 && quota_is_proposal(gateway, repo, actor))
		err = quota_check(gateway, repo, actor, payload.length, why);
	if (err == 0)
		err = publish_objects(gateway, repo, actor->name, &update, &update.new_oid, &object, 1, why);
	buffer_fini(&payload);
	*commit = update.new_oid;
	return err;
}
