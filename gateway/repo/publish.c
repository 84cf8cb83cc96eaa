#include "gateway/repo/publish.h"

#include "gateway/repo/listing.h"
#include "gateway/repo/pack_file.h"

static int list(struct gateway *gateway, const struct repo *repo, const char *actor, const struct ref_update *update, const struct pack *pack,
	const struct oid *oids, const struct git_object *objects, size_t count, struct why *why)
{
	struct turn listing;
	listing_begin(gateway->trees, &listing, &repo->id);
	int err = refs_update(gateway->ns, actor, &repo->id, update, 1, pack, NULL, why);
	if (err == 0)
		(void)store_git_put(gateway->store, &repo->id, oids, objects, count); /* named by now: what the table lacks comes back on the first miss */
	listing_end(gateway->trees, &listing);
	return err;
}

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
		err = list(gateway, repo, actor, update, &pack, oids, objects, count, why);
	upload_close(upload); /* not before the pack has its name */
	return err;
}
