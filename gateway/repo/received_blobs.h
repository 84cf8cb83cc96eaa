/* received_blobs.h - the files that a push brings. Private to gateway/repo. */
#ifndef CAIRN_GATEWAY_REPO_RECEIVED_BLOBS_H
#define CAIRN_GATEWAY_REPO_RECEIVED_BLOBS_H

#include "gateway/repo/received_pack.h"
#include "schemas/git_object.h"

/* A regular blob that is a store file. */
struct stored_blob {
	struct hash file;
	uint64_t length;
	bool is_stored;
};

/* 0: the object of a pointer is here, verified. ERR_NOT_FOUND, ERR_CORRUPT with a sentence: it is not, is not what the pointer says, or is damaged.
 * `is_old`: the repository has had this pointer before, and it may have been damaged since. */
int received_pointer_find(struct received_pack *received, const struct git_pointer *pointer, bool is_old, struct why *why);
/* A finding: that sentence, at `path`; counts it. */
void received_pointer_say(struct received_pack *received, const struct why *finding, const char *path, uint32_t *missing);
/* ERR_INVALID: says the remedy. */
int received_pointers_refuse(struct received_pack *received, uint32_t missing, struct why *why);
/* Claims of objects that were found, so that no collection that began earlier drops them: durable on return. */
int received_claims_flush(struct received_pack *received, struct why *why);
/* Every LFS pointer of the pack must have its object: a finding each that has not. After the scan. */
int received_pointers_check(struct received_pack *received, struct why *why);
void received_blobs_unmap(struct received_pack *received);

#endif
