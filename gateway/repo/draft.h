/* draft.h - a commit in the making. Private to gateway/repo.
 *
 * DESIGN. Operations are kept as a tree of path components, the *overlay*, that knows nothing of the parent commit: each node says what happens to
 * the file of its name (kept, set, gone) and whether the folder of its name begins empty. Applying operations in order to the overlay gives "the last one
 * wins" for free; merging the overlay with a commit's trees gives the new trees, of which only touched ones are read, made and packed. The same overlay
 * can be merged with another commit, so when the branch has moved the work is done again from there, without the client.
 *
 *   draft.c         opening, operations
 *   draft_merge.c   overlay + parent's trees -> new trees
 *   draft_finish.c  .gitattributes, commit, pack, durability, the ref */
#ifndef CAIRN_GATEWAY_REPO_DRAFT_H
#define CAIRN_GATEWAY_REPO_DRAFT_H

#include "gateway/repo/object.h"

enum {
	DRAFT_OPERATIONS_MAX = 1000 * 1000,
	DRAFT_MEMORY_BYTES_MAX = 512 << 20, /* names, nodes and pointers */
	DRAFTS_MEMORY_BYTES_MAX = 1 << 30,  /* of all drafts in the process */
};

/* What a path is set to. */
struct draft_file {
	struct oid oid;
	uint32_t mode;             /* 0: what the path had, or an ordinary file */
	bool is_pointer;
	uint64_t length;           /* of the blob */
	struct hash file;          /* not is_pointer */
	struct sha256 sha256;      /* is_pointer */
	uint64_t lfs_length;
	struct span payload;       /* is_pointer: in the draft's memory */
};

enum draft_change { DRAFT_KEEP, DRAFT_SET, DRAFT_GONE };

struct draft_node {
	struct draft_node *parent, *chain;
	struct draft_node **children;
	uint32_t children_count, children_capacity;
	struct span name;
	enum draft_change change;  /* of the file of this name */
	bool emptied;              /* the folder of this name begins empty */
	struct draft_file *file;   /* DRAFT_SET */

	/* while merging: what the parent commit has under this name */
	bool has_base_file, has_base_folder;
	uint32_t base_mode;
	struct oid base_file, base_folder;
};

/* Memory that is freed all at once. */
struct arena {
	struct arena_block *blocks;
	size_t bytes;
};

/* Objects that the new commit brings. Payloads of trees and commits are malloc'ed, of pointers borrowed from the draft. */
struct draft_objects {
	struct oid *oids;
	struct git_object *objects;
	size_t count, capacity;
};

struct commit_draft {
	struct gateway *gateway;
	struct repo repo;
	char ref[REF_BYTES_MAX + 1]; /* "": on no ref, at a commit */
	bool has_expected;
	struct oid expected;
	struct oid base;           /* the commit that operations are checked against; zero: none */
	struct oid base_tree;
	bool has_second_parent;
	struct oid second_parent;  /* of a merge */
	commit_publish_fn publish; /* NULL: the ref is moved */
	void *publish_context;
	const struct actor *by;    /* NULL: whoever it is may write */
	struct upload_entry naming; /* through all uploads: what the first of them brought is named by a later attempt */
	bool is_naming;
	uint64_t collections;       /* that had begun when it was opened */
	struct upload *upload;
	bool upload_committed;

	struct arena arena;
	struct draft_node root;
	struct draft_node **buckets; /* nodes by parent and name */
	size_t buckets_count, nodes_count;
	size_t operations_count;
	size_t lfs_count;            /* operations that set an LFS file */
};

/* ---- draft.c ---- */
void *arena_alloc(struct arena *arena, size_t bytes); /* zeroed; NULL: limit or memory */
void arena_fini(struct arena *arena);
/* The child of this name; made if `make`. NULL: none, or no memory. */
struct draft_node *draft_child(struct commit_draft *draft, struct draft_node *parent, struct span name, bool make);
/* The node of a checked path, made. NULL: no memory. */
struct draft_node *draft_node_at(struct commit_draft *draft, struct span path);
/* Sets a path to an object that is in the table, or whose bytes are in the draft's upload. A pointer's payload is copied. Claims are renewed. */
int draft_set_object(struct commit_draft *draft, struct span path, const struct draft_file *file, struct why *why);
/* [blocks] A new upload in place of a committed one. */
int draft_upload_renew(struct commit_draft *draft, struct why *why);
/* Head of the draft's ref: zero when the ref does not exist. */
int draft_head(struct commit_draft *draft, struct oid *head);
int draft_tree_of(struct commit_draft *draft, const struct oid *commit, struct oid *tree); /* zero for zero */
/* The length and data of a path for "%.*s", cut to what fits in a sentence. */
#define PATH_SHOWN(path) (int)((path).length < 200 ? (path).length : 200), (const char *)(path).data

/* ---- draft_merge.c ---- */
/* [blocks] Merges the overlay with a root tree (zero: empty). New trees, and blobs that are set, are added to `objects` (NULL: only *tree is wanted).
 * ERR_INVALID with a sentence when a path would be file and folder. */
int draft_merge(struct commit_draft *draft, const struct oid *base_tree, struct oid *tree, struct draft_objects *objects, struct why *why);
int draft_objects_add(struct draft_objects *objects, const struct oid *oid, const struct git_object *object);
/* Sorts, drops duplicates. */
void draft_objects_unique(struct draft_objects *objects);
void draft_objects_fini(struct draft_objects *objects);

#endif
