/* draft_content.h - the bytes of one regular file into a commit draft's upload. */
#ifndef CAIRN_GATEWAY_HUB_DRAFT_CONTENT_H
#define CAIRN_GATEWAY_HUB_DRAFT_CONTENT_H

#include "gateway/repo/repo.h"

/* Waits for the store's write buffers at most. */
int draft_store_content(struct commit_draft *draft, struct span content, struct upload_result *out, struct why *why);

#endif
