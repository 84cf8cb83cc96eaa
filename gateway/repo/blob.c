#include "gateway/repo/blob.h"

#include <stdlib.h>

enum { TEXT_LOOKED_AT_BYTES = 8000 };

int blob_facts(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, struct git_object *out)
{
	int err = object_get(gateway, repo, oid, GIT_BLOB, out);
	if (err)
		return err;
	free((void *)out->payload.data);
	out->payload = (struct span){ 0 };
	return 0;
}

int blob_read(struct gateway *gateway, const struct entity_id *repo, const struct oid *oid, struct buffer *out, struct why *why)
{
	struct git_object object;
	int err = object_get(gateway, repo, oid, GIT_BLOB, &object);
	if (err)
		return why_set(why, err, "a file of the repository is missing");
	if (object.length > out->limit - out->length)
		err = ERR_TOO_BIG;
	else if (object.is_lfs_pointer)
		err = buffer_append(out, object.payload.data, object.payload.length);
	else if (object.length)
		err = store_file_read_all(gateway->store, &object.file, out, why);
	free((void *)object.payload.data);
	return err;
}

bool blob_is_text(struct span bytes)
{
	return bytes.length == 0 || !memchr(bytes.data, 0, bytes.length < TEXT_LOOKED_AT_BYTES ? bytes.length : TEXT_LOOKED_AT_BYTES);
}
