/* lfs_body.h - the JSON bodies of Git LFS calls, read and checked. Pure.
 *
 * What clients are known to send is taken: `ref` as an object, an empty object or null, unknown transfers, unknown members, no body at all where every
 * member is optional. Wrong kinds of values are refused with a sentence. */
#ifndef CAIRN_GATEWAY_HUB_LFS_BODY_H
#define CAIRN_GATEWAY_HUB_LFS_BODY_H

#include "gateway/hub/json_body.h"
#include "schemas/hash.h"

enum {
	LFS_BATCH_OBJECTS_MAX = 1000,
	LFS_LOCKS_PAGE = 100,      /* of one answer, unless asked otherwise */
	LFS_LOCKS_PAGE_MAX = 1000,
};
#define LFS_OBJECT_BYTES_MAX ((uint64_t)8 << 40)

struct lfs_object {
	const char *text;      /* the oid as it came; borrowed from the body */
	json_int_t size;
	bool valid;            /* `oid` and `size` are what they should be */
	struct sha256 oid;
};

struct lfs_batch_body {
	json_t *root;
	bool is_upload;
	bool offers_multipart, offers_xet;
	struct lfs_object *objects; /* each oid once, as first named */
	size_t objects_count;
};
/* 0, or the HTTP status with a sentence in `why`: 413, 409, 422. Finish it in both cases. */
int lfs_batch_body_read(struct span text, struct lfs_batch_body *out, struct why *why);
void lfs_batch_body_fini(struct lfs_batch_body *body);

/* 64 lower-case hex digits: an oid has one spelling. 0 or ERR_INVALID. */
int lfs_oid_read(const char *text, struct sha256 *out);

/* The bodies of the four lock calls; members that a call does not use stay empty. */
struct lfs_lock_body {
	json_t *root;
	const char *path;      /* "" when absent; borrowed */
	const char *ref;       /* ref.name, or "" */
	const char *cursor;
	long limit;            /* 1 to LFS_LOCKS_PAGE_MAX */
	bool force;
};
/* 0 or 422. An empty text is an empty object. Finish it in both cases. */
int lfs_lock_body_read(struct span text, struct lfs_lock_body *out, struct why *why);
void lfs_lock_body_fini(struct lfs_lock_body *body);

#endif
