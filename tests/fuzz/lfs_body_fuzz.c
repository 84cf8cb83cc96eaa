/* Any bytes as the body of a Git LFS call: what is taken is of a shape that its receiver may rely on, what is not has a status and a sentence. The first
 * byte chooses the call. */
#include "gateway/hub/lfs_body.h"

#include <assert.h>

static void check_batch(struct span text)
{
	struct lfs_batch_body body;
	struct why why = { 0 };
	int status = lfs_batch_body_read(text, &body, &why);
	assert(status == 0 || status == 409 || status == 413 || status == 422);
	assert(status == 0 || why.text[0]);
	if (status == 0)
		assert(body.objects_count <= LFS_BATCH_OBJECTS_MAX);
	for (size_t i = 0; status == 0 && i < body.objects_count; i++) {
		const struct lfs_object *object = &body.objects[i];
		struct sha256 oid;
		assert(object->text);
		assert(!object->valid || (lfs_oid_read(object->text, &oid) == 0 && memcmp(&oid, &object->oid, sizeof(oid)) == 0));
		assert(!object->valid || (object->size >= 0 && (uint64_t)object->size <= LFS_OBJECT_BYTES_MAX));
		for (size_t j = 0; j < i && i < 20; j++)
			assert(strcmp(object->text, body.objects[j].text) != 0);
	}
	lfs_batch_body_fini(&body);
}

static void check_lock(struct span text)
{
	struct lfs_lock_body body;
	struct why why = { 0 };
	int status = lfs_lock_body_read(text, &body, &why);
	assert(status == 0 || (status == 422 && why.text[0]));
	if (status == 0)
		assert(body.path && body.ref && body.cursor && body.limit >= 1 && body.limit <= LFS_LOCKS_PAGE_MAX);
	lfs_lock_body_fini(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	if (length == 0)
		return 0;
	struct span text = span_of(data + 1, length - 1);
	if (data[0] & 1)
		check_batch(text);
	else
		check_lock(text);
	return 0;
}
