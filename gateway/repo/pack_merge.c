#include "gateway/repo/pack_merge.h"

#include <stdlib.h>

#include "gateway/repo/draft.h"

struct merge {
	struct draft_objects objects;
	struct arena pointers;
};

static int add(void *context, const struct oid *oid, const struct git_object *object)
{
	struct merge *merge = context;
	struct git_object copy = *object;
	uint8_t *payload = NULL;
	if (object->payload.length) {
		payload = object->type == GIT_BLOB ? arena_alloc(&merge->pointers, object->payload.length) : malloc(object->payload.length);
		if (!payload)
			return ERR_NO_MEMORY;
		memcpy(payload, object->payload.data, object->payload.length);
	}
	copy.payload = span_of(payload, object->payload.length);
	int err = draft_objects_add(&merge->objects, oid, &copy);
	if (err && object->type != GIT_BLOB)
		free(payload);
	return err;
}

int pack_merge(struct gateway *gateway, struct upload *upload, const struct pack *packs, size_t count, struct pack *out, struct why *why)
{
	struct merge merge = { 0 };
	int err = 0;
	for (size_t i = 0; i < count && err == 0; i++)
		err = pack_file_read(gateway, &packs[i], add, &merge, why);
	draft_objects_unique(&merge.objects);
	if (err == 0)
		err = pack_file_write(upload, merge.objects.oids, merge.objects.objects, merge.objects.count, out, why);
	draft_objects_fini(&merge.objects);
	arena_fini(&merge.pointers);
	return err;
}
