/* publish.h - a few new objects and the ref that needs them: bytes, then the name, then the table (listing.h). Private to gateway/repo. */
#ifndef CAIRN_GATEWAY_REPO_PUBLISH_H
#define CAIRN_GATEWAY_REPO_PUBLISH_H

#include "gateway/repo/repo.h"
#include "schemas/git_object.h"

/* [blocks] Writes the objects, with their payloads, as one pack and moves the ref. What refs_update says, and what the store says of writing. */
int publish_objects(struct gateway *gateway, const struct repo *repo, const char *actor, const struct ref_update *update, const struct oid *oids,
	const struct git_object *objects, size_t count, struct why *why);

#endif
