#include "gateway/git/packed_refs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/git/cache_files.h"
#include "schemas/git_object.h"

enum { IO_BYTES = 64 << 10, TAG_DEPTH_MAX = 64 /* tags of tags */ };

/* The second takes the place of the first when a tag's target is not known: the same length, so that nothing has to be written again. */
static const char header_peeled[] = "# pack-refs with: peeled fully-peeled sorted \n";
static const char header_plain[] = "# pack-refs with: sorted                     \n";
_Static_assert(sizeof(header_peeled) == sizeof(header_plain), "one replaces the other in place");

struct refs_writer {
	struct gateway *gateway;
	const struct entity_id *repo;
	int fd;
	struct buffer out;
	char last[REF_BYTES_MAX + 1];
	bool is_unpeeled; /* a target could not be found out */
	struct why *why;
};

static int flush(struct refs_writer *writer)
{
	if (writer->out.failed)
		return ERR_NO_MEMORY;
	int err = files_write_all(writer->fd, writer->out.data, writer->out.length, writer->why);
	buffer_clear(&writer->out);
	return err;
}

/* Branches and pull requests are commits; whatever else may be a tag. */
static bool may_be_tag(const char *name)
{
	return strncmp(name, "refs/heads/", 11) != 0 && strncmp(name, "refs/pr/", 8) != 0;
}

/* 1: *out is what the tag leads to; 0: it is none; ERR_*: not to be found out. */
static int peel(struct store *store, const struct entity_id *repo, const struct oid *oid, struct oid *out)
{
	*out = *oid;
	for (int depth = 0; depth < TAG_DEPTH_MAX; depth++) {
		struct git_object object;
		enum git_type type = GIT_TAG;
		int err = store_git_get(store, repo, out, &object);
		if (err)
			return err;
		if (object.type == GIT_TAG)
			err = git_tag_object_of(object.payload, out, &type);
		free((void *)object.payload.data);
		if (object.type != GIT_TAG)
			return depth > 0;
		if (err || type != GIT_TAG)
			return err ? err : 1;
	}
	return ERR_TOO_BIG;
}

static int write_ref(void *context, const struct ref *ref)
{
	struct refs_writer *writer = context;
	struct oid target;
	char hex[OID_TEXT_BYTES];
	if (strcmp(writer->last, ref->name) >= 0)
		return why_set(writer->why, ERR_CORRUPT, "the refs of a repository are out of order");
	memcpy(writer->last, ref->name, sizeof(writer->last));
	hex_encode(hex, ref->oid.bytes, OID_BYTES);
	buffer_printf(&writer->out, "%s %s\n", hex, ref->name);
	int peeled = may_be_tag(ref->name) ? peel(writer->gateway->store, writer->repo, &ref->oid, &target) : 0;
	if (peeled == 1) {
		hex_encode(hex, target.bytes, OID_BYTES);
		buffer_printf(&writer->out, "^%s\n", hex);
	}
	writer->is_unpeeled |= peeled < 0;
	return writer->out.length >= IO_BYTES ? flush(writer) : 0;
}

int packed_refs_write(struct gateway *gateway, struct namespace_snapshot *snapshot, const struct entity_id *repo, const char *path, struct why *why)
{
	struct refs_writer writer = { .gateway = gateway, .repo = repo, .why = why };
	writer.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (writer.fd < 0)
		return files_error(why, "write", path);
	buffer_init(&writer.out, 2 * IO_BYTES);
	buffer_append_text(&writer.out, header_peeled);
	int err = ref_list(gateway->ns, snapshot, repo, "", write_ref, &writer);
	if (err == 0)
		err = flush(&writer);
	if (err == 0 && writer.is_unpeeled && pwrite(writer.fd, header_plain, sizeof(header_plain) - 1, 0) != (ssize_t)sizeof(header_plain) - 1)
		err = files_error(why, "write", path);
	buffer_fini(&writer.out);
	close(writer.fd);
	return err;
}
