/* repo.h - a repository's history: revisions, trees, commits. Shared by every view that shows or changes files.
 *
 * DESIGN. Commits, trees and LFS pointer blobs are real git objects. Each commit made here writes one pack (commits, trees, pointers) as
 * a store file and names it in the refs_update command that moves the branch; the bytes of regular files are store files of their own
 * (so that they dedup with everything else), and the map behind the pack, in the same store file, names the store file of each such
 * blob (docs/git-storage.md). All of it is one upload, durable before the ref moves. The git object table of the store is a view of packs and maps; it is
 * rebuilt from them when an object is missing. Parsed directories are cached in memory, joined with sizes and LFS facts, keyed by
 * (repository, tree oid), so a look-up in a warm repository touches neither disk nor database.
 *
 * Threads: any; functions marked [blocks] not on control loops. Others may still miss their cache: they then return ERR_AGAIN if called
 * with REPO_NO_WAIT, and the caller repeats on a worker. */
#ifndef CAIRN_GATEWAY_REPO_REPO_H
#define CAIRN_GATEWAY_REPO_REPO_H

#include "gateway/gateway.h"

struct actor; /* gateway/auth/auth.h */
struct repo_cache; /* directories and commits, byte-bounded LRU shared by all repositories */
int repo_cache_open(struct repo_cache **out, uint64_t bytes_max);
void repo_cache_close(struct repo_cache *cache);

enum repo_wait { REPO_NO_WAIT, REPO_MAY_WAIT };

enum {
	PATH_BYTES_MAX = 4096,
	PATH_NAME_BYTES_MAX = 255, /* between slashes: what file systems of clients can hold */
	PATH_DEPTH_MAX = 64,
	TREE_WALK_ENTRIES_MAX = 8 << 20, /* visited by one walk: a few trees that name each other often enough are a folder without end */
	REGULAR_FILE_BYTES_MAX = 10 << 20, /* larger ones must be LFS */
};

/* 0, or ERR_INVALID with a sentence: empty, absolute, "..", ".", "//", "..\" at the start, NUL, control bytes, ".git", invalid UTF-8, too long or deep. */
int path_check(struct span path, struct why *why);
/* What may be called so in some folder: "..\" may begin it unless that is the top folder. */
int path_check_name(struct span name, struct why *why);
/* What is no UTF-8 cannot be told in JSON. Fast where text is ASCII. */
bool text_is_utf8(struct span text);

/* ---- revisions ---- */
/* Full hash, then "HEAD", then full ref name, then branch, then tag, then short hash (>= 5 digits). `ref` (may be NULL) gets the full ref name, "" when
 * the revision is a commit id. 0, ERR_NOT_FOUND, ERR_AGAIN. */
int repo_resolve(struct gateway *gateway, const struct repo *repo, struct span revision, enum repo_wait wait, struct oid *commit, char ref[REF_BYTES_MAX + 1]);

struct commit_info {
	struct oid oid, tree;
	struct oid parents[8];
	size_t parents_count;
	int64_t author_ms, committer_ms;
	char author[NAME_BYTES_MAX + 1];
	char author_email[EMAIL_BYTES_MAX + 1];
	char *title;       /* first line; malloc'ed */
	char *message;     /* the rest, trimmed; malloc'ed */
};
int repo_commit_info(struct gateway *gateway, const struct repo *repo, const struct oid *commit, enum repo_wait wait, struct commit_info *out);
void commit_info_fini(struct commit_info *info);
/* [blocks] First-parent history, newest first; skips `skip`, at most `limit`; *total (may be NULL) counts all of it. Non-zero from `each` stops. */
int repo_log(struct gateway *gateway, const struct repo *repo, const struct oid *commit, uint64_t skip, uint64_t limit, uint64_t *total,
	int (*each)(void *context, const struct commit_info *info), void *context, struct why *why);

/* ---- files ---- */
struct tree_entry {
	struct span path;      /* from the root; valid during the call or, from repo_entry, borrowed from the caller's argument */
	bool is_directory;
	bool is_executable;
	struct oid oid;        /* git blob or tree */
	uint64_t length;       /* real size: the LFS object's for LFS files; 0 for directories */
	bool is_lfs;
	struct sha256 sha256;  /* is_lfs */
	uint64_t pointer_length; /* is_lfs */
	struct hash file;      /* the store file that holds the content; valid if has_file */
	bool has_file;
	bool is_unsettled;     /* no has_file, but other nodes may know of one that cannot be asked now */
};
/* 0, ERR_NOT_FOUND, ERR_AGAIN, ERR_CORRUPT. The root ("" path) is a directory. */
int repo_entry(struct gateway *gateway, const struct repo *repo, const struct oid *commit, struct span path, enum repo_wait wait, struct tree_entry *out);
/* Entries below `folder` in path order (git's: by byte, directories compared as "name/"), directories included, starting after
 * the path `after` ("": first). Stops when `each` returns non-zero (returned). Cost depends on what is visited, not on the repository.
 * ERR_NOT_FOUND: no such folder. ERR_TOO_BIG: more than TREE_WALK_ENTRIES_MAX. */
int repo_walk(struct gateway *gateway, const struct repo *repo, const struct oid *commit, struct span folder, bool recursive, struct span after,
	enum repo_wait wait, int (*each)(void *context, const struct tree_entry *entry), void *context);
/* [blocks] What a folder holds, in git's order, by name, kind and id alone: past the cache, and without asking the store about each file, which for a folder of
 * a hundred thousand is most of the work. Stops when `each` returns non-zero (returned). ERR_NOT_FOUND: no such folder. */
int repo_names(struct gateway *gateway, const struct repo *repo, const struct oid *commit, struct span folder,
	int (*each)(void *context, struct span name, bool is_directory, const struct oid *oid), void *context);
/* [blocks] How many bytes the files of a commit have together. With another commit of which that is known (`known`, may be NULL) the cost depends on what differs.
 * ERR_CORRUPT, ERR_NOT_FOUND: one of the two cannot be read. */
int repo_size(struct gateway *gateway, const struct repo *repo, const struct oid *known, uint64_t known_bytes, const struct oid *commit, uint64_t *bytes);
/* [blocks] Newest commit that changed each of these paths (for `expand`). out[i].title == NULL where not found in the bounded walk. */
int repo_last_commits(struct gateway *gateway, const struct repo *repo, const struct oid *commit, const struct span *paths, size_t count, struct commit_info *out);
/* [blocks] Whole content of a regular file, at most `out`'s limit. Pointer text for LFS files. */
int repo_read_blob(struct gateway *gateway, const struct repo *repo, const struct tree_entry *entry, struct buffer *out, struct why *why);

/* ---- .gitattributes ---- */
/* True when `attributes` (text of a .gitattributes file) sends `path` through LFS (filter=lfs; last match wins). */
bool attributes_lfs(struct span attributes, struct span path);
/* The default file of a new repository. */
struct span attributes_default(enum repo_type type);

/* ---- commits ---- */
struct commit_draft;
/* A draft of one commit onto a ref (full name). The parent is the ref's head; `expected_parent` (may be NULL) must equal it: else ERR_CONFLICT,
 * here or, when it is the head's parent, by commit_draft_finish, which can tell whether this is a retry. A missing ref is ERR_NOT_FOUND,
 * unless it is the default branch of an empty repository. */
int commit_draft_open(struct commit_draft **out, struct gateway *gateway, const struct repo *repo, const char *ref, const struct oid *expected_parent, struct why *why);
/* A draft upon a commit that no ref needs to be at: commit_draft_publish says what names the result. ERR_NOT_FOUND: no such commit. */
int commit_draft_open_at(struct commit_draft **out, struct gateway *gateway, const struct repo *repo, const struct oid *parent, struct why *why);
void commit_draft_close(struct commit_draft *draft);
/* The commit that operations are checked against; zero: none. */
const struct oid *commit_draft_base(const struct commit_draft *draft);
/* Gives the finished commit its name in place of moving the draft's ref: one command that moves refs from `base` to `commit`, or does more, and keeps the pack.
 * Everything is durable by then. */
typedef int (*commit_publish_fn)(void *context, const struct oid *base, const struct oid *commit, const struct pack *pack, struct why *why);
void commit_draft_publish(struct commit_draft *draft, commit_publish_fn publish, void *context);
/* Somebody who may only propose also needs room for the trees and the commit (quota.h). `actor` must outlive the draft. */
void commit_draft_by(struct commit_draft *draft, const struct actor *actor);
/* While a body comes, which may take hours: garbage collections need not wait for the draft (store_naming_begin) until it is resumed, before any change of paths.
 * False: one has begun since the draft was opened, and may have dropped what it builds on. Commit its upload, close it and open another. */
void commit_draft_pause(struct commit_draft *draft);
bool commit_draft_resume(struct commit_draft *draft);
/* All files of the draft go through this upload; the draft owns it and commits it. Ask again after commit_draft_finish: it may be another one. */
struct upload *commit_draft_upload(struct commit_draft *draft);

/* Operations; the last one on a path wins. Paths are checked (ERR_INVALID) and copied. What was stored before the draft (LFS objects, sources of
 * copies) is claimed anew, so that no garbage collection drops it before the ref names it. */
int commit_draft_file(struct commit_draft *draft, struct span path, const struct upload_result *content, struct why *why);
/* The object must be claimed by this repository, and its SHA-256 verified (done here if it was not yet: [blocks]). `length` UINT64_MAX: unknown.
 * ERR_NOT_FOUND / ERR_CORRUPT / ERR_INVALID (size differs) name the path. Appends a .gitattributes rule at the end if none covers the path. */
int commit_draft_lfs(struct commit_draft *draft, struct span path, const struct sha256 *sha256, uint64_t length, struct store_caller *caller, struct why *why);
int commit_draft_delete(struct commit_draft *draft, struct span path, struct why *why);        /* file or folder; missing: ERR_NOT_FOUND */
int commit_draft_copy(struct commit_draft *draft, struct span path, struct span from, const struct oid *from_commit, struct why *why);

struct commit_author { const char *name, *email; int64_t when_ms; };
/* [blocks] Builds trees and commit, makes everything durable, moves the ref. An identical retry (same parent, same tree, branch head already that tree with
 * this parent and title) answers the existing commit. Without expected parent, a branch that moved is no conflict: the operations are merged with its new head.
 * ERR_CONFLICT: the branch is not at the expected parent, or a path clashes with the new head. ERR_BUSY: too many commits wait for the branch.
 * ERR_DENIED: a path that changes is locked by somebody else (path_lock.h). */
int commit_draft_finish(struct commit_draft *draft, const char *actor, const struct commit_author *author, struct span title, struct span message,
	struct oid *commit, struct why *why);

/* [blocks] One commit without parents and with the tree of the ref's head takes the head's place. ERR_NOT_FOUND: no such ref; ERR_DENIED: the ref is protected
 * from that; ERR_CONFLICT: it moved meanwhile. */
int repo_squash(struct gateway *gateway, const struct repo *repo, const struct actor *actor, const char *ref, const struct commit_author *author,
	struct span message, struct oid *commit, struct why *why);
/* [blocks] A branch of one commit without files and without parents. `ref` says which, and where it must be now. */
int repo_branch_empty(struct gateway *gateway, const struct repo *repo, const char *actor, const struct ref_update *ref, const struct commit_author *author,
	struct span message, struct why *why);
/* [blocks] A tag ("refs/tags/...") that is not there yet, with a message. ERR_CONFLICT: it is. */
int repo_tag_annotated(struct gateway *gateway, const struct repo *repo, const char *actor, const char *ref, const struct oid *commit,
	const struct commit_author *author, struct span message, struct why *why);
/* [blocks] Branches, tags and converted data of `source`, with their whole history, into the empty repository `target`. Bytes are shared, not copied. A target that
 * this fails for is left as it is then: delete it. What is lost for good is lost in it too; ERR_BUSY: this node cannot tell that now. */
int repo_copy(struct gateway *gateway, const struct repo *source, const struct repo *target, const struct actor *actor, struct why *why);

/* [blocks] Emits every (repository, store file) that must stay: all packs, the files of their maps, and what a ref of any repository reaches; the roots of
 * store_gc. `context` is the gateway. */
int repo_gc_roots(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *why);
/* The same. A large object is named by its SHA-256, and one that is not here is of no file: the other nodes are asked for it, and bring it, first. */
int repo_needs(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *why);
/* The same of one repository, by names that are not older than the call: the roots of store_gc_owner. `context` is a struct repo_roots. */
struct repo_roots {
	struct gateway *gateway;
	struct entity_id repo;
	const struct namespace_snapshot *snapshot; /* repo_files_of: of the refs; NULL: as they are known here now */
	bool asks_all; /* repo_files_of: for objects that are not here, all other nodes. ERR_BUSY with a sentence: one may have it that does not answer */
};
int repo_gc_roots_of(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *why);
/* The same, by names as they are known here. */
int repo_files_of(const struct repo_roots *roots, int (*emit)(void *context, const struct entity_id *owner, const struct hash *file), void *context,
	struct why *why);
/* [blocks] How many packs and files of buckets that names lead to nobody has: lost, with all that is known of them. ERR_BUSY: too few nodes can be asked. */
int repo_lost_files(struct gateway *gateway, uint64_t *count, struct why *why);
/* [blocks] Until this node knows every name that was there when it was called: what roots are told by. */
int repo_newest_names(struct gateway *gateway, struct why *why);
/* [blocks] For who is naming (store_naming_begin), before a ref is made to lead to a commit that is there already: claims anew its LFS objects, and those of
 * its history, that no ref reaches; all of them while a collection is under way. ERR_CONFLICT with a sentence: one is no longer stored; ERR_BUSY with one: a
 * node may have it that does not answer. */
int repo_renew(struct gateway *gateway, const struct entity_id *repo, const struct oid *commit, struct why *why);
/* [blocks] While a collection is under way, claims anew what is there of all LFS objects of these commits and their history. */
int repo_renew_all(struct gateway *gateway, const struct entity_id *repo, const struct oid *commits, size_t count, struct why *why);
/* [blocks] Rebuilds a repository's git object table from its packs and maps (after an index rebuild). */
int repo_rebuild(struct gateway *gateway, const struct repo *repo, struct why *why);

#endif
