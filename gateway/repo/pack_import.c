/* pack_import.c - a pack that git made, written as a store file: pack, map, index and what else git keeps beside it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/repo/pack_part.h"
#include "schemas/git_object.h"
#include "schemas/little_endian.h"

enum { IO_BYTES = 256 << 10, MAP_BATCH = IO_BYTES / MAP_ENTRY_BYTES };

static int read_at(int fd, uint64_t offset, uint8_t *out, size_t length, struct why *why)
{
	for (size_t have = 0; have < length;) {
		ssize_t got = pread(fd, out + have, length - have, (off_t)(offset + have));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return why_set(why, ERR_IO, "a pack cannot be read back: %s", got < 0 ? strerror(errno) : "it became shorter");
		have += (size_t)got;
	}
	return 0;
}

static int length_of(int fd, uint64_t *length, struct why *why)
{
	struct stat stat;
	if (fstat(fd, &stat) != 0)
		return why_set(why, ERR_IO, "a pack cannot be looked at: %s", strerror(errno));
	*length = (uint64_t)stat.st_size;
	return 0;
}

static int write_file(struct upload *upload, int fd, uint64_t length, uint8_t *io, struct why *why)
{
	int err = 0;
	for (uint64_t at = 0; at < length && err == 0;) {
		size_t some = length - at < IO_BYTES ? (size_t)(length - at) : IO_BYTES;
		err = read_at(fd, at, io, some, why);
		if (err == 0)
			err = upload_file_write(upload, io, some, why);
		at += some;
	}
	return err;
}

static int write_map(struct upload *upload, const struct pack_import *import, uint8_t *io, struct why *why)
{
	uint64_t written = 0;
	size_t used = MAP_HEADER_BYTES;
	memcpy(io, pack_map_magic, sizeof(pack_map_magic));
	le_write_u64(io + sizeof(pack_map_magic), import->map_count);
	struct pack_map_entry entry;
	int got, err = 0;
	while (err == 0 && (got = import->next(import->context, &entry)) != 0) {
		if (got < 0)
			return why_set(why, got, "the map of a pack cannot be read");
		memcpy(io + used, entry.oid.bytes, OID_BYTES);
		memcpy(io + used + OID_BYTES, entry.file.bytes, HASH_BYTES);
		le_write_u64(io + used + OID_BYTES + HASH_BYTES, entry.length);
		used += MAP_ENTRY_BYTES;
		written++;
		if (used + MAP_ENTRY_BYTES <= IO_BYTES)
			continue;
		err = upload_file_write(upload, io, used, why);
		used = 0;
	}
	if (err == 0 && written != import->map_count)
		return why_set(why, ERR_CORRUPT, "the map of a pack has another length than announced");
	return err || used == 0 ? err : upload_file_write(upload, io, used, why);
}

static int write_section(struct upload *upload, const char *magic, int fd, uint8_t *io, struct why *why)
{
	uint8_t header[PACK_SECTION_HEADER_BYTES];
	uint64_t length = 0;
	if (fd < 0)
		return 0;
	int err = length_of(fd, &length, why);
	if (err)
		return err;
	memcpy(header, magic, 8);
	le_write_u64(header + 8, length);
	err = upload_file_write(upload, header, sizeof(header), why);
	return err ? err : write_file(upload, fd, length, io, why);
}

static int describe(const struct pack_import *import, struct pack *out, struct why *why)
{
	uint8_t header[GIT_PACK_HEADER_BYTES];
	uint32_t objects;
	*out = (struct pack){ .class = import->class };
	int err = length_of(import->pack_fd, &out->length, why);
	if (err == 0 && out->length < GIT_PACK_HEADER_BYTES + OID_BYTES)
		return why_set(why, ERR_CORRUPT, "a pack is too short");
	if (err == 0)
		err = read_at(import->pack_fd, 0, header, sizeof(header), why);
	if (err == 0 && git_pack_header_decode(span_of(header, sizeof(header)), &objects) != 0)
		return why_set(why, ERR_CORRUPT, "a pack has a malformed header");
	if (err == 0)
		err = read_at(import->pack_fd, out->length - OID_BYTES, out->sha1.bytes, OID_BYTES, why);
	out->objects = err ? 0 : objects;
	return err;
}

int pack_file_import(struct upload *upload, const struct pack_import *import, struct pack *out, struct why *why)
{
	struct upload_result result;
	if (import->map_count > PACK_MAP_ENTRIES_MAX)
		return why_set(why, ERR_TOO_BIG, "the pack has more than %d files", PACK_MAP_ENTRIES_MAX);
	int err = describe(import, out, why);
	if (err)
		return err;
	uint8_t *io = malloc(IO_BYTES);
	if (!io)
		return why_set(why, ERR_NO_MEMORY, "no memory for a pack");
	err = upload_file_begin(upload, out->length);
	if (err == 0) {
		err = write_file(upload, import->pack_fd, out->length, io, why);
		if (err == 0)
			err = write_map(upload, import, io, why);
		if (err == 0)
			err = write_section(upload, "CRNIDX01", import->idx_fd, io, why);
		if (err == 0)
			err = write_section(upload, "CRNREV01", import->rev_fd, io, why);
		if (err == 0)
			err = write_section(upload, "CRNBTM01", import->bitmap_fd, io, why);
		if (err)
			upload_file_abort(upload);
		else
			err = upload_file_end(upload, &result, why);
		out->file = result.file;
	}
	free(io);
	return err;
}
