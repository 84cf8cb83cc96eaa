#include "gateway/repo/publish.h"

#include "gateway/repo/pack_file.h"

int publish_objects(struct gateway *gateway, const struct repo *repo, const char *actor, const struct ref_update *update, const struct oid *oids,
	const struct git_object *objects, size_t count, struct why *why)
{
	struct upload *upload;
	struct pack pack;
	int err = upload_open(&upload, gateway->store, &repo->id, why);
	if (err)
		return err;
	err = pack_file_write(upload, oids, objects, count, &pack, why);
	if (err == 0)
		err = upload_commit(upload, why);
	if (err == 0)
		err = store_git_put(gateway->store, &repo->id, oids, objects, count);
	if (err == 0)
		err = refs_update(gateway->ns, actor, &repo->id, update, 1, &pack, NULL, why);
	upload_close(upload); /* not before the pack has its name */
	return err;
}
