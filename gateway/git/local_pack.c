#include "gateway/git/local_pack.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "gateway/git/cache_files.h"
#include "gateway/git/process.h"
#include "gateway/repo/oid_set.h"
#include "gateway/repo/pack_file.h"
#include "schemas/git_object.h"

enum {
	IO_BYTES = 64 << 10,
	HASH_IO_BYTES = 1 << 20,
	DEFLATE_LEVEL = 1, /* the cache is made to be thrown away */
	COUNT_OFFSET = 8,  /* of the number of objects in a pack's header */
	PATH_ROOM = PATH_MAX + 96,
};

struct combiner {
	struct gateway *gateway;
	const char *dir;
	int fd;
	z_stream deflater;
	struct oid_set seen;    /* what this pack has */
	uint64_t length, room_checked;
	uint32_t objects;
	struct why *why;
	uint8_t out[IO_BYTES];
	size_t out_length;
	uint8_t in[IO_BYTES];
};

static void tmp_path(char out[PATH_ROOM], const char *dir, const char *kind)
{
	snprintf(out, PATH_ROOM, "%s/tmp/new.%s", dir, kind);
}

/* ------------------------------------------------------------------ putting a finished pack in its place */

static int move_one(const char *dir, const char *kind, const char *name, bool optional, struct why *why)
{
	char from[PATH_ROOM], to[PATH_ROOM];
	tmp_path(from, dir, kind);
	snprintf(to, sizeof(to), "%s/objects/pack/pack-%s.%s", dir, name, kind);
	if (rename(from, to) == 0 || (optional && access(from, F_OK) != 0))
		return 0;
	return files_error(why, "rename", to);
}

static int move_pack(const char *dir, const struct oid *sha1, struct why *why)
{
	char name[OID_TEXT_BYTES];
	hex_encode(name, sha1->bytes, OID_BYTES);
	int err = move_one(dir, "pack", name, false, why);
	if (err == 0)
		err = move_one(dir, "bitmap", name, true, why);
	if (err == 0)
		err = move_one(dir, "rev", name, true, why);
	return err ? err : move_one(dir, "idx", name, false, why);
}

static int index_pack(const char *dir, struct why *why)
{
	static const char *const arguments[] = { "index-pack", "--rev-index", "tmp/new.pack", NULL };
	struct git_command command = { .arguments = arguments, .directory = dir, .input = GIT_FD_NONE, .output = GIT_FD_PIPE };
	int err = git_run(&command, NULL, why);
	return err == ERR_IO ? ERR_CORRUPT : err;
}

static void remove_new(const char *dir)
{
	static const char *const kinds[] = { "pack", "bitmap", "rev", "idx" };
	char path[PATH_ROOM];
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		tmp_path(path, dir, kinds[i]);
		unlink(path);
	}
}

static int open_new(const char *dir, const char *kind, int *fd, struct why *why)
{
	char path[PATH_ROOM];
	tmp_path(path, dir, kind);
	*fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *fd < 0 ? files_error(why, "write", path) : 0;
}

/* ------------------------------------------------------------------ writing a combined pack */

static int flush(struct combiner *combiner)
{
	int err = files_write_all(combiner->fd, combiner->out, combiner->out_length, combiner->why);
	combiner->length += combiner->out_length;
	combiner->out_length = 0;
	if (err == 0 && combiner->length - combiner->room_checked >= ROOM_STEP_BYTES) {
		combiner->room_checked = combiner->length;
		if (!git_cache_has_room(combiner->gateway->git_cache, ROOM_STEP_BYTES))
			err = why_set(combiner->why, ERR_NO_SPACE, "the disk is too full for the git cache");
	}
	return err;
}

static int put(struct combiner *combiner, const void *data, size_t length)
{
	if (combiner->out_length + length > IO_BYTES) {
		int err = flush(combiner);
		if (err)
			return err;
	}
	memcpy(combiner->out + combiner->out_length, data, length);
	combiner->out_length += length;
	return 0;
}

/* Some of an object's payload. */
static int put_deflated(struct combiner *combiner, struct span payload, bool last)
{
	z_stream *z = &combiner->deflater;
	z->next_in = (Bytef *)(uintptr_t)payload.data;
	z->avail_in = (uInt)payload.length;
	for (int state = Z_OK; z->avail_in || (last && state != Z_STREAM_END);) {
		if (combiner->out_length == IO_BYTES) {
			int err = flush(combiner);
			if (err)
				return err;
		}
		z->next_out = combiner->out + combiner->out_length;
		z->avail_out = (uInt)(IO_BYTES - combiner->out_length);
		state = deflate(z, last ? Z_FINISH : Z_NO_FLUSH);
		combiner->out_length = IO_BYTES - z->avail_out;
	}
	return 0;
}

static int put_header(struct combiner *combiner, enum git_type type, uint64_t length)
{
	uint8_t header[GIT_ENTRY_HEADER_BYTES_MAX];
	combiner->objects++;
	deflateReset(&combiner->deflater);
	return put(combiner, header, git_entry_header_encode(header, type, length));
}

static int put_blob(struct combiner *combiner, const struct hash *file, uint64_t length)
{
	struct file_reader *reader = NULL;
	int err = put_header(combiner, GIT_BLOB, length);
	if (err || length == 0)
		return err ? err : put_deflated(combiner, span_of(NULL, 0), true);
	err = file_reader_open(&reader, combiner->gateway->store, file, 0, length, combiner->why);
	uint64_t left = length;
	while (err == 0 && left) {
		int64_t got = file_reader_read(reader, combiner->in, left < IO_BYTES ? (size_t)left : IO_BYTES, true, combiner->why);
		if (got <= 0) {
			err = got < 0 ? (int)got : why_set(combiner->why, ERR_CORRUPT, "the bytes of a file end early");
			break;
		}
		left -= (uint64_t)got;
		err = put_deflated(combiner, span_of(combiner->in, (size_t)got), left == 0);
	}
	if (reader)
		file_reader_close(reader);
	return err == ERR_NOT_FOUND ? why_set(combiner->why, ERR_CORRUPT, "the bytes of a file are missing from the store") : err;
}

static int put_object(void *context, const struct oid *oid, const struct git_object *object)
{
	struct combiner *combiner = context;
	int added = oid_set_add(&combiner->seen, oid);
	if (added <= 0 && added != ERR_TOO_BIG)
		return added;
	if (!pack_holds(object))
		return put_blob(combiner, &object->file, object->length);
	int err = put_header(combiner, (enum git_type)object->type, object->payload.length);
	return err ? err : put_deflated(combiner, object->payload, true);
}

/* ------------------------------------------------------------------ one combined pack */

static int pack_begin(struct combiner *combiner)
{
	static const uint8_t header[GIT_PACK_HEADER_BYTES] = { 'P', 'A', 'C', 'K', 0, 0, 0, 2 };
	oid_set_init(&combiner->seen, LOCAL_PACK_OBJECTS_MAX);
	combiner->length = combiner->room_checked = combiner->objects = 0;
	combiner->out_length = 0;
	remove_new(combiner->dir);
	int err = open_new(combiner->dir, "pack", &combiner->fd, combiner->why);
	return err ? err : put(combiner, header, sizeof(header));
}

static void pack_drop(struct combiner *combiner)
{
	oid_set_fini(&combiner->seen);
	if (combiner->fd >= 0)
		close(combiner->fd);
	combiner->fd = -1;
}

/* The trailer: SHA-1 of all before it. The number of objects, in front, is known only now, so the file is read once more, from memory mostly. */
static int hash_file(struct combiner *combiner, struct oid *out)
{
	uint8_t *data = malloc(HASH_IO_BYTES);
	EVP_MD_CTX *sha1 = EVP_MD_CTX_new();
	int err = data && sha1 && EVP_DigestInit_ex(sha1, EVP_sha1(), NULL) ? 0 : ERR_NO_MEMORY;
	for (uint64_t at = 0; err == 0 && at < combiner->length;) {
		ssize_t got = pread(combiner->fd, data, HASH_IO_BYTES, (off_t)at);
		if (got <= 0)
			err = files_error(combiner->why, "read", "new.pack");
		else if (!EVP_DigestUpdate(sha1, data, (size_t)got))
			err = ERR_NO_MEMORY;
		else
			at += (uint64_t)got;
	}
	if (err == 0 && !EVP_DigestFinal_ex(sha1, out->bytes, NULL))
		err = ERR_NO_MEMORY;
	EVP_MD_CTX_free(sha1);
	free(data);
	return err;
}

static int pack_finish(struct combiner *combiner)
{
	struct oid sha1;
	uint8_t count[4] = { (uint8_t)(combiner->objects >> 24), (uint8_t)(combiner->objects >> 16), (uint8_t)(combiner->objects >> 8),
		(uint8_t)combiner->objects };
	int err = flush(combiner);
	if (err == 0 && pwrite(combiner->fd, count, sizeof(count), COUNT_OFFSET) != sizeof(count))
		err = files_error(combiner->why, "write", "new.pack");
	if (err == 0)
		err = hash_file(combiner, &sha1);
	if (err == 0)
		err = files_write_all(combiner->fd, sha1.bytes, OID_BYTES, combiner->why);
	uint32_t objects = combiner->objects;
	pack_drop(combiner);
	if (err || objects == 0)
		return err;
	err = index_pack(combiner->dir, combiner->why);
	return err ? err : move_pack(combiner->dir, &sha1, combiner->why);
}

static int combine(struct combiner *combiner, const struct pack *packs, size_t count)
{
	int err = pack_begin(combiner);
	for (size_t i = 0; i < count && err == 0; i++) {
		err = pack_file_read(combiner->gateway, &packs[i], put_object, combiner, combiner->why);
		bool is_large = combiner->length >= LOCAL_PACK_BYTES_MAX || combiner->objects >= LOCAL_PACK_OBJECTS_MAX;
		if (err == 0 && is_large && i + 1 < count) {
			err = pack_finish(combiner);
			if (err == 0)
				err = pack_begin(combiner);
		}
	}
	if (err == 0)
		return pack_finish(combiner);
	pack_drop(combiner);
	return err;
}

int local_pack_combine(struct gateway *gateway, const char *dir, const struct pack *packs, size_t count, struct why *why)
{
	struct combiner *combiner = calloc(1, sizeof(*combiner));
	if (!combiner)
		return ERR_NO_MEMORY;
	combiner->gateway = gateway;
	combiner->dir = dir;
	combiner->why = why;
	combiner->fd = -1;
	int err = ERR_NO_MEMORY;
	if (deflateInit(&combiner->deflater, DEFLATE_LEVEL) == Z_OK) {
		err = combine(combiner, packs, count);
		deflateEnd(&combiner->deflater);
	}
	free(combiner);
	return err;
}

/* ------------------------------------------------------------------ a pack that git made */

/* 0, ERR_NOT_FOUND (it has no such part), ... */
static int copy_part(struct gateway *gateway, const char *dir, const char *kind, const struct pack *pack, enum pack_part part, struct why *why)
{
	uint64_t start, end;
	int fd = -1;
	int err = pack_file_part(gateway->store, pack, part, &start, &end, why);
	if (err)
		return err;
	if (!git_cache_has_room(gateway->git_cache, end - start))
		return why_set(why, ERR_NO_SPACE, "the disk is too full for the git cache");
	err = open_new(dir, kind, &fd, why);
	if (err == 0)
		err = pack_file_copy(gateway->store, pack, part, fd, why);
	if (fd >= 0)
		close(fd);
	return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

int local_pack_copy(struct gateway *gateway, const char *dir, const struct pack *pack, struct why *why)
{
	remove_new(dir);
	int err = copy_part(gateway, dir, "pack", pack, PACK_PART_PACK, why);
	if (err)
		return err;
	err = copy_part(gateway, dir, "bitmap", pack, PACK_PART_BITMAP, why);
	if (err == 0 || err == ERR_NOT_FOUND)
		err = copy_part(gateway, dir, "rev", pack, PACK_PART_REV, why);
	if (err == 0 || err == ERR_NOT_FOUND)
		err = copy_part(gateway, dir, "idx", pack, PACK_PART_IDX, why);
	if (err == ERR_NOT_FOUND)
		err = index_pack(dir, why);
	return err ? err : move_pack(dir, &pack->sha1, why);
}
