/* received_blobs.h - the files that a push brings. Private to gateway/repo. */
#ifndef CAIRN_GATEWAY_REPO_RECEIVED_BLOBS_H
#define CAIRN_GATEWAY_REPO_RECEIVED_BLOBS_H

#include "gateway/repo/received_pack.h"

/* A regular blob that is a store file. */
struct stored_blob {
	struct hash file;
	uint64_t length;
	bool is_stored;
};

/* Every LFS pointer of the pack must have its object: a finding each that has not. After the scan. */
int received_pointers_check(struct received_pack *received, struct why *why);
void received_blobs_unmap(struct received_pack *received);

#endif
