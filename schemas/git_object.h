/* git_object.h - git's objects as bytes: trees, commits, tags, LFS pointer files, and the entry headers of a pack.
 *
 * Parsing allocates nothing and borrows its input. Limits: names and lines by the constants below, the rest by the length of the input,
 * which the caller bounds (GIT_OBJECT_BYTES_MAX). Writers append to a buffer and produce what `git fsck --strict` accepts.
 * Hashing is the caller's. Pure, thread-safe. */
#ifndef CAIRN_SCHEMAS_GIT_OBJECT_H
#define CAIRN_SCHEMAS_GIT_OBJECT_H

#include "schemas/buffer.h"
#include "schemas/hash.h"

enum git_type { GIT_COMMIT = 1, GIT_TREE = 2, GIT_BLOB = 3, GIT_TAG = 4, GIT_OFS_DELTA = 6, GIT_REF_DELTA = 7 };

enum git_mode {
	GIT_MODE_DIRECTORY = 040000,
	GIT_MODE_FILE = 0100644,
	GIT_MODE_EXECUTABLE = 0100755,
	GIT_MODE_SYMLINK = 0120000,
	GIT_MODE_SUBMODULE = 0160000,
	GIT_MODE_KIND = 0170000, /* mask */
};

enum {
	GIT_NAME_BYTES_MAX = 4096,        /* one name in a tree */
	GIT_PARENTS_MAX = 256,            /* of one commit; more are refused */
	GIT_OBJECT_BYTES_MAX = 128 << 20, /* inflated commit, tree or tag */
	GIT_POINTER_BYTES_MAX = 1023,     /* a pointer file is shorter than 1 KiB */
	GIT_IDENTITY_BYTES_MAX = 1024,
	GIT_PACK_HEADER_BYTES = 12,
	GIT_ENTRY_HEADER_BYTES_MAX = 10,
	GIT_DELTA_BASE_BYTES_MAX = 10,
};

static inline bool git_oid_equal(const struct oid *a, const struct oid *b)
{
	return memcmp(a->bytes, b->bytes, OID_BYTES) == 0;
}

static inline bool git_oid_is_zero(const struct oid *oid)
{
	static const struct oid zero;
	return git_oid_equal(oid, &zero);
}

/* ---- trees ---- */
struct git_tree_entry {
	uint32_t mode;
	struct span name;
	struct oid oid;
};
static inline bool git_mode_is_directory(uint32_t mode)
{
	return (mode & GIT_MODE_KIND) == GIT_MODE_DIRECTORY;
}
/* Takes the next entry off the front of `rest`. 1, 0 at the end, or ERR_CORRUPT. */
int git_tree_next(struct span *rest, struct git_tree_entry *out);
int git_tree_append(struct buffer *out, const struct git_tree_entry *entry);
/* Git's order: bytes, a directory's name counted as if it ended in '/'. */
int git_name_compare(struct span a, bool a_is_directory, struct span b, bool b_is_directory);

/* ---- commits and tags ---- */
struct git_identity {
	struct span name, email;
	int64_t when_seconds;
	int zone_minutes; /* east of UTC */
};
struct git_commit {
	struct oid tree;
	struct oid parents[GIT_PARENTS_MAX];
	size_t parents_count;
	struct git_identity author, committer;
	struct span message; /* all of it, title included */
};
int git_commit_decode(struct git_commit *out, struct span payload); /* 0, ERR_CORRUPT, ERR_TOO_BIG */
/* Names lose what would break the line (angle brackets, control bytes), the message its NULs; an empty name becomes "unknown". */
int git_commit_encode(struct buffer *out, const struct git_commit *commit);
/* Only the tree: for look-ups. */
int git_commit_root(struct span payload, struct oid *tree);
/* An annotated tag of a commit; the name is a ref's, without "refs/tags/". */
int git_tag_encode(struct buffer *out, const struct oid *commit, struct span name, const struct git_identity *tagger, struct span message);
/* What an annotated tag points to. */
int git_tag_object_of(struct span payload, struct oid *target, enum git_type *type);

/* ---- LFS pointer files ---- */
struct git_pointer {
	struct sha256 sha256;
	uint64_t length;
};
/* 0, or ERR_INVALID when these bytes are no pointer (then they are an ordinary file). */
int git_pointer_decode(struct git_pointer *out, struct span payload);
int git_pointer_encode(struct buffer *out, const struct git_pointer *pointer);

/* ---- packs: version 2 ---- */
int git_pack_header_encode(struct buffer *out, uint32_t objects_count);
int git_pack_header_decode(struct span bytes, uint32_t *objects_count);
/* Type and inflated length in front of every packed object. */
size_t git_entry_header_encode(uint8_t out[GIT_ENTRY_HEADER_BYTES_MAX], enum git_type type, uint64_t length);
/* Bytes used, or ERR_CORRUPT (also when `bytes` ends inside it). */
int git_entry_header_decode(struct span bytes, enum git_type *type, uint64_t *length);
/* The backward distance that follows the header of an OFS_DELTA. Bytes used, or ERR_CORRUPT. */
int git_delta_base_decode(struct span bytes, uint64_t *distance);
/* Applies a delta to `base`; appends the result to `out`. 0, ERR_CORRUPT, ERR_TOO_BIG. */
int git_delta_apply(struct span base, struct span delta, struct buffer *out);

#endif
