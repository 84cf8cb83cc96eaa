/* bucket.h - storage without history: paths that lead to files of the store.
 *
 * DESIGN. A bucket is a repository record of type REPO_BUCKET: names, rights, moves and deletion are those of repositories. In place of refs it has one record per
 * path (group 1, under its id). A batch is applied as a whole, the last write of a path wins; counts and bytes are kept by the state machine. */
#ifndef CAIRN_REPLICATION_BUCKET_H
#define CAIRN_REPLICATION_BUCKET_H

#include "replication/namespace.h"

enum {
	BUCKET_PATH_BYTES_MAX = 1024,
	BUCKET_CONTENT_TYPE_BYTES_MAX = 127,
	BUCKET_CHANGES_MAX = 500, /* of one command */
};

struct bucket_file {
	char path[BUCKET_PATH_BYTES_MAX + 1];
	struct hash file;        /* in the store; zero: empty */
	uint64_t length;
	int64_t mtime_ms;        /* as the client says; 0: not said */
	int64_t uploaded_ms;
	char content_type[BUCKET_CONTENT_TYPE_BYTES_MAX + 1];
};

struct bucket_change {
	bool remove;
	struct bucket_file file; /* remove: only the path */
};

struct bucket_totals {
	uint64_t files, bytes;
};

/* [blocks] At most BUCKET_CHANGES_MAX, all or none. Removing what is not there is no error. What is added is durable and claimed by the bucket before. */
int bucket_change(struct namespace *ns, const char *actor, const struct entity_id *bucket, const struct bucket_change *changes, size_t count, struct why *why);

int bucket_file_get(struct namespace *ns, const struct entity_id *bucket, const char *path, struct bucket_file *out); /* 0, ERR_NOT_FOUND */
/* Files whose path begins with `prefix`, in order, from `start` (inclusive, NULL: the first). Non-zero from `each` stops and is returned. */
int bucket_file_list(struct namespace *ns, const struct entity_id *bucket, const char *prefix, const char *start,
	int (*each)(void *context, const struct bucket_file *file), void *context);
int bucket_totals_get(struct namespace *ns, const struct entity_id *bucket, struct bucket_totals *out);

#endif
