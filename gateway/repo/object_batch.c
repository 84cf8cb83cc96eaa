#include "gateway/repo/object_batch.h"

#include <stdlib.h>

int object_batch_flush(struct object_batch *batch)
{
	int err = batch->count ? store_git_put(batch->gateway->store, batch->repo, batch->oids, batch->objects, batch->count) : 0;
	for (size_t i = 0; i < batch->count; i++)
		free((void *)(uintptr_t)batch->objects[i].payload.data);
	batch->count = batch->bytes = 0;
	return err;
}

int object_batch_add(struct object_batch *batch, const struct oid *oid, const struct git_object *object)
{
	uint8_t *payload = NULL;
	if (object->payload.length) {
		payload = malloc(object->payload.length);
		if (!payload)
			return ERR_NO_MEMORY;
		memcpy(payload, object->payload.data, object->payload.length);
	}
	batch->oids[batch->count] = *oid;
	batch->objects[batch->count] = *object;
	batch->objects[batch->count].payload = span_of(payload, object->payload.length);
	batch->count++;
	batch->bytes += object->payload.length;
	return batch->count == OBJECT_BATCH_MAX || batch->bytes >= OBJECT_BATCH_BYTES_MAX ? object_batch_flush(batch) : 0;
}
