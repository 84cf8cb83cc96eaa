/* pack_part.h - what the readers and writers of a pack's store file share. Private to gateway/repo. */
#ifndef CAIRN_GATEWAY_REPO_PACK_PART_H
#define CAIRN_GATEWAY_REPO_PACK_PART_H

#include "gateway/repo/pack_file.h"

enum {
	MAP_HEADER_BYTES = 16,
	MAP_ENTRY_BYTES = OID_BYTES + HASH_BYTES + 8,
	PACK_SECTION_HEADER_BYTES = 16,
	PACK_SECTIONS_MAX = 16, /* of one file */
};

extern const char pack_map_magic[8];

/* [blocks] Of a pack with an index, what is not in its map: commits, trees, tags, LFS pointers. */
int pack_unpacked_read(struct gateway *gateway, const struct pack *pack, pack_each each, void *context, struct why *why);

#endif
