#include "gateway/repo/object_dir.h"

#include <git2.h>
#include <stdlib.h>

#include "gateway/repo/indexed_pack.h"

struct object_dir {
	git_odb *odb;
	git_odb_object *object; /* what was read last */
};

static int fail(struct why *why)
{
	return why_set(why, ERR_IO, "the objects of the repository cannot be read"); /* libgit2's own words name paths of this machine */
}

int object_dir_open(struct object_dir **out, const char *path, struct why *why)
{
	libgit2_begin();
	struct object_dir *dir = calloc(1, sizeof(*dir));
	*out = NULL;
	if (!dir)
		return why_set(why, ERR_NO_MEMORY, "no memory for a repository");
	if (git_odb_open(&dir->odb, path) != 0) {
		free(dir);
		return fail(why);
	}
	*out = dir;
	return 0;
}

int object_dir_add(struct object_dir *dir, const char *path, struct why *why)
{
	return git_odb_add_disk_alternate(dir->odb, path) == 0 ? 0 : fail(why);
}

void object_dir_close(struct object_dir *dir)
{
	if (!dir)
		return;
	git_odb_object_free(dir->object);
	git_odb_free(dir->odb);
	free(dir);
}

static git_oid native(const struct oid *oid)
{
	git_oid out;
	memcpy(out.id, oid->bytes, OID_BYTES);
	return out;
}

static int error_of(int status)
{
	return status == GIT_ENOTFOUND ? ERR_NOT_FOUND : ERR_CORRUPT;
}

bool object_dir_has(struct object_dir *dir, const struct oid *oid)
{
	git_oid id = native(oid);
	return git_odb_exists(dir->odb, &id) == 1; /* looks at the directory anew before it says no: packs may have been combined meanwhile */
}

int object_dir_header(struct object_dir *dir, const struct oid *oid, unsigned *type, uint64_t *length)
{
	git_oid id = native(oid);
	size_t size;
	git_object_t kind;
	int status = git_odb_read_header(&size, &kind, dir->odb, &id);
	if (status)
		return error_of(status);
	*type = (unsigned)kind;
	*length = size;
	return 0;
}

int object_dir_read(struct object_dir *dir, const struct oid *oid, unsigned *type, struct span *payload)
{
	uint64_t length;
	int err = object_dir_header(dir, oid, type, &length);
	if (err)
		return err;
	if (length > PACK_READ_BYTES_MAX)
		return ERR_TOO_BIG;
	git_oid id = native(oid);
	git_odb_object_free(dir->object);
	dir->object = NULL;
	int status = git_odb_read(&dir->object, dir->odb, &id);
	if (status)
		return error_of(status);
	*payload = span_of(git_odb_object_data(dir->object), git_odb_object_size(dir->object));
	return 0;
}
