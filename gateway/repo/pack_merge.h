/* pack_merge.h - several packs made here as one. */
#ifndef CAIRN_GATEWAY_REPO_PACK_MERGE_H
#define CAIRN_GATEWAY_REPO_PACK_MERGE_H

#include "gateway/repo/pack_file.h"

/* [blocks] Writes one PACK_INSERT pack that has every object and map entry of `packs`, all PACK_INSERT, into an open upload. Holds all payloads in
 * memory, several times the packs' length: the caller bounds it. */
int pack_merge(struct gateway *gateway, struct upload *upload, const struct pack *packs, size_t count, struct pack *out, struct why *why);

#endif
