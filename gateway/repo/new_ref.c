/* new_ref.c - refs that need an object of their own: a branch without history, a tag with a message. Declared in repo.h. */
#include <stdio.h>

#include "gateway/repo/object_hash.h"
#include "gateway/repo/publish.h"

enum { NEW_OBJECT_BYTES_MAX = 1 << 20 };

static struct git_identity identity_of(const struct commit_author *author)
{
	return (struct git_identity){ .name = span_text(author->name), .email = span_text(author->email), .when_seconds = author->when_ms / 1000 };
}

static struct git_object object_of(enum git_type type, struct span payload)
{
	return (struct git_object){ .type = (uint8_t)type, .length = payload.length, .payload = payload };
}

int repo_branch_empty(struct gateway *gateway, const struct repo *repo, const char *actor, const struct ref_update *ref, const struct commit_author *author,
	struct span message, struct why *why)
{
	struct ref_update update = *ref;
	struct oid oids[2];
	struct buffer payload;
	struct git_commit commit = { .author = identity_of(author), .committer = identity_of(author), .message = message };
	buffer_init(&payload, NEW_OBJECT_BYTES_MAX);
	int err = object_hash(&oids[0], GIT_TREE, span_of("", 0));
	commit.tree = oids[0];
	if (err == 0)
		err = git_commit_encode(&payload, &commit);
	if (err == 0)
		err = object_hash(&oids[1], GIT_COMMIT, buffer_span(&payload));
	update.new_oid = oids[1];
	struct git_object objects[2] = { object_of(GIT_TREE, span_of("", 0)), object_of(GIT_COMMIT, buffer_span(&payload)) };
	if (err == 0)
		err = publish_objects(gateway, repo, actor, &update, oids, objects, 2, why);
	buffer_fini(&payload);
	return err;
}

int repo_tag_annotated(struct gateway *gateway, const struct repo *repo, const char *actor, const char *ref, const struct oid *commit,
	const struct commit_author *author, struct span message, struct why *why)
{
	struct ref_update update = { 0 };
	struct git_identity tagger = identity_of(author);
	struct buffer payload;
	snprintf(update.name, sizeof(update.name), "%s", ref);
	buffer_init(&payload, NEW_OBJECT_BYTES_MAX);
	int err = git_tag_encode(&payload, commit, span_text(ref + strlen("refs/tags/")), &tagger, message);
	if (err == 0)
		err = object_hash(&update.new_oid, GIT_TAG, buffer_span(&payload));
	struct git_object object = object_of(GIT_TAG, buffer_span(&payload));
	if (err == 0)
		err = publish_objects(gateway, repo, actor, &update, &update.new_oid, &object, 1, why);
	buffer_fini(&payload);
	return err;
}
