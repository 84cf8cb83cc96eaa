/* directory.h - one tree object parsed and joined with what the store knows of its files. Private to gateway/repo.
 *
 * DESIGN. Immutable, one allocation, entries in git's order with their names behind them, so that a name is found by binary search and a page starts
 * anywhere. Each blob is joined with its size, LFS facts and store file, so that answering for it touches no database. A tree is the same
 * in every commit that has it, so the key is (repository, tree). What the store did not have, or had damaged, when the directory was made is looked for
 * again after DIRECTORY_RECHECK_MS; all is looked for again once more damage is found. */
#ifndef CAIRN_GATEWAY_REPO_DIRECTORY_H
#define CAIRN_GATEWAY_REPO_DIRECTORY_H

#include "gateway/repo/cache.h"
#include "schemas/git_object.h"

enum { DIRECTORY_RECHECK_MS = 2000 };

struct directory_entry {
	uint32_t name_offset;  /* into the directory's names */
	uint16_t name_length;
	uint16_t pointer_length;
	uint32_t mode;
	bool is_lfs : 1, has_file : 1, is_damaged : 1;
	bool is_missing : 1;   /* the blob is not in the object table */
	bool is_unsettled : 1; /* no has_file: nodes that may know of one could not be asked */
	struct oid oid;
	uint64_t length;       /* of the content */
	struct hash file;
	struct sha256 sha256;
};

struct directory {
	struct cached cached;
	int64_t recheck_ms;    /* 0: complete */
	uint64_t damage_found; /* in the store, when it was made */
	uint32_t count;
	const char *names;     /* behind the entries */
	struct directory_entry entries[];
};

static inline bool directory_entry_is_directory(const struct directory_entry *entry)
{
	return git_mode_is_directory(entry->mode);
}

static inline struct span directory_entry_name(const struct directory *directory, const struct directory_entry *entry)
{
	return span_of(directory->names + entry->name_offset, entry->name_length);
}

/* Release with cached_release(&directory->cached). ERR_AGAIN, ERR_CORRUPT, ... */
int directory_load(struct gateway *gateway, const struct entity_id *repo, const struct oid *tree, enum repo_wait wait, struct directory **out);

/* First entry at or behind this name in git's order. */
uint32_t directory_lower_bound(const struct directory *directory, struct span name, bool is_directory);
/* The entry of this name, of either kind, or NULL. */
const struct directory_entry *directory_find(const struct directory *directory, struct span name);
const struct directory_entry *directory_find_kind(const struct directory *directory, struct span name, bool is_directory);

/* Follows `path` from a tree to the directory it names ("" is the tree itself). ERR_NOT_FOUND: a component is missing or a file. */
int directory_descend(struct gateway *gateway, const struct entity_id *repo, const struct oid *tree, struct span path, enum repo_wait wait,
	struct directory **out);

#endif
