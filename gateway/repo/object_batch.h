/* object_batch.h - objects on their way into the git object table, some hundred at a time. Private to gateway/repo. */
#ifndef CAIRN_GATEWAY_REPO_OBJECT_BATCH_H
#define CAIRN_GATEWAY_REPO_OBJECT_BATCH_H

#include "gateway/gateway.h"

enum { OBJECT_BATCH_MAX = 512, OBJECT_BATCH_BYTES_MAX = 4 << 20 };

struct object_batch {
	struct gateway *gateway;
	const struct entity_id *repo;
	struct oid oids[OBJECT_BATCH_MAX];
	struct git_object objects[OBJECT_BATCH_MAX];
	size_t count, bytes;
};

/* Copies the payload; flushes when full. */
int object_batch_add(struct object_batch *batch, const struct oid *oid, const struct git_object *object);
/* [blocks] What is left is put; the batch is empty afterwards, whatever comes of it. */
int object_batch_flush(struct object_batch *batch);

#endif
