/* entry.h - a file or folder as tree and paths-info list it. */
#ifndef CAIRN_GATEWAY_HUB_ENTRY_H
#define CAIRN_GATEWAY_HUB_ENTRY_H

#include "gateway/repo/repo.h"
#include "schemas/json_writer.h"

/* `last` (may be NULL, or without title) is the newest commit that changed it. */
void write_entry(struct json_writer *json, const struct tree_entry *entry, const struct commit_info *last);
/* The "lfs" object: all three keys or nothing, since clients take each for granted. `oid_key` is "oid" in listings, "sha256" in siblings. */
void write_entry_lfs(struct json_writer *json, const struct tree_entry *entry, const char *oid_key);

#endif
