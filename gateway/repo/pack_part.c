#include "gateway/repo/pack_part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/repo/indexed_pack.h"
#include "gateway/repo/scratch_dir.h"
#include "schemas/git_object.h"
#include "schemas/little_endian.h"

enum { COPY_BYTES = 256 << 10, IDX_OIDS_OFFSET = 8 + 4 * 256 };

const char pack_map_magic[8] = "CRNMAP01";

static const char magics[][8] = {
	[PACK_PART_IDX] = "CRNIDX01",
	[PACK_PART_REV] = "CRNREV01",
	[PACK_PART_BITMAP] = "CRNBTM01",
};

/* ------------------------------------------------------------------ finding parts */

static int read_exactly(struct store *store, const struct pack *pack, uint64_t offset, uint8_t *out, size_t length, struct why *why)
{
	struct file_reader *reader;
	int err = file_reader_open(&reader, store, &pack->file, offset, offset + length, why);
	if (err)
		return err;
	for (size_t have = 0; have < length && err == 0;) {
		int64_t got = file_reader_read(reader, out + have, length - have, true, why);
		if (got <= 0)
			err = got < 0 ? (int)got : why_set(why, ERR_CORRUPT, "the store file of a pack ends early");
		else
			have += (size_t)got;
	}
	file_reader_close(reader);
	return err;
}

/* Where the map ends. A file without a map ends with its pack. */
static int map_end(struct store *store, const struct pack *pack, uint64_t file_length, uint64_t *end, struct why *why)
{
	uint8_t header[MAP_HEADER_BYTES];
	*end = pack->length;
	if (pack->length == file_length)
		return 0;
	if (file_length - pack->length < MAP_HEADER_BYTES)
		return why_set(why, ERR_CORRUPT, "the map of a pack is cut short");
	int err = read_exactly(store, pack, pack->length, header, sizeof(header), why);
	if (err)
		return err;
	uint64_t count = le_read_u64(header + sizeof(pack_map_magic));
	if (memcmp(header, pack_map_magic, sizeof(pack_map_magic)) != 0 || count > PACK_MAP_ENTRIES_MAX ||
		count * MAP_ENTRY_BYTES > file_length - pack->length - MAP_HEADER_BYTES)
		return why_set(why, ERR_CORRUPT, "the map of a pack has a malformed header or another length than announced");
	*end = pack->length + MAP_HEADER_BYTES + count * MAP_ENTRY_BYTES;
	return 0;
}

static int find_section(struct store *store, const struct pack *pack, enum pack_part part, uint64_t at, uint64_t file_length, uint64_t *start,
	uint64_t *end, struct why *why)
{
	for (int i = 0; i < PACK_SECTIONS_MAX && at < file_length; i++) {
		uint8_t header[PACK_SECTION_HEADER_BYTES];
		if (file_length - at < sizeof(header))
			return why_set(why, ERR_CORRUPT, "a section of a pack is cut short");
		int err = read_exactly(store, pack, at, header, sizeof(header), why);
		if (err)
			return err;
		uint64_t length = le_read_u64(header + 8);
		at += sizeof(header);
		if (length > file_length - at)
			return why_set(why, ERR_CORRUPT, "a section of a pack is cut short");
		if (memcmp(header, magics[part], sizeof(magics[part])) == 0) {
			*start = at;
			*end = at + length;
			return 0;
		}
		at += length;
	}
	return ERR_NOT_FOUND;
}

int pack_file_part(struct store *store, const struct pack *pack, enum pack_part part, uint64_t *start, uint64_t *end, struct why *why)
{
	struct file_info info;
	int err = store_find_file(store, NULL, &pack->file, &info);
	if (err == ERR_NOT_FOUND) /* on a node that has just come, no other may have been reached yet */
		return why_set(why, store_has_others(store) ? ERR_BUSY : ERR_CORRUPT, "the store file of a pack is missing");
	if (err)
		return why_set(why, err, "the store file of a pack cannot be looked up");
	if (pack->length > info.length)
		return why_set(why, ERR_CORRUPT, "a pack is longer than its store file");
	*start = 0;
	*end = pack->length;
	if (part == PACK_PART_PACK)
		return 0;
	*start = pack->length;
	err = map_end(store, pack, info.length, end, why);
	if (err)
		return err;
	if (part == PACK_PART_MAP) {
		if (pack->class == PACK_INSERT && *end != info.length)
			return why_set(why, ERR_CORRUPT, "the map of a pack has another length than announced");
		return *start == *end ? ERR_NOT_FOUND : 0;
	}
	return find_section(store, pack, part, *end, info.length, start, end, why);
}

/* ------------------------------------------------------------------ copying them out */

static int write_all(int fd, const uint8_t *data, size_t length, struct why *why)
{
	while (length) {
		ssize_t done = write(fd, data, length);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return why_set(why, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "a pack cannot be written below DIR/tmp: %s", strerror(errno));
		data += done;
		length -= (size_t)done;
	}
	return 0;
}

int pack_file_copy(struct store *store, const struct pack *pack, enum pack_part part, int fd, struct why *why)
{
	uint64_t start, end;
	struct file_reader *reader;
	int err = pack_file_part(store, pack, part, &start, &end, why);
	if (err)
		return err;
	uint8_t *data = malloc(COPY_BYTES);
	if (!data)
		return ERR_NO_MEMORY;
	err = file_reader_open(&reader, store, &pack->file, start, end, why);
	if (err == 0) {
		while (start < end && err == 0) {
			int64_t got = file_reader_read(reader, data, COPY_BYTES, true, why);
			if (got <= 0)
				err = got < 0 ? (int)got : why_set(why, ERR_CORRUPT, "the store file of a pack ends early");
			else
				err = write_all(fd, data, (size_t)got, why);
			start += got > 0 ? (uint64_t)got : 0;
		}
		file_reader_close(reader);
	}
	free(data);
	return err;
}

/* ------------------------------------------------------------------ objects of packs that git made */

static int copy_to(struct store *store, const struct pack *pack, enum pack_part part, const char *path, struct why *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return why_set(why, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "a pack cannot be unpacked below DIR/tmp: %s", strerror(errno));
	int err = pack_file_copy(store, pack, part, fd, why);
	close(fd);
	return err == ERR_NOT_FOUND ? why_set(why, ERR_CORRUPT, "a pack has lost its index") : err;
}

static int each_unmapped(struct indexed_pack *indexed, pack_each each, void *context, struct why *why)
{
	int err = 0;
	for (uint32_t i = 0; i < indexed_pack_count(indexed) && err == 0; i++) {
		uint32_t position = indexed_pack_nth(indexed, i);
		unsigned type;
		uint64_t length;
		struct git_object object = { 0 };
		struct git_pointer pointer;
		err = indexed_pack_header(indexed, position, &type, &length, why);
		if (err || (type == GIT_BLOB && length > GIT_POINTER_BYTES_MAX))
			continue;
		err = indexed_pack_read(indexed, position, &type, &object.payload, why);
		if (err)
			continue;
		object.type = (uint8_t)type;
		object.length = length;
		if (type == GIT_BLOB) {
			if (git_pointer_decode(&pointer, object.payload) != 0)
				continue; /* the map has it */
			object.is_lfs_pointer = true;
			object.sha256 = pointer.sha256;
			object.lfs_length = pointer.length;
		}
		err = each(context, indexed_pack_oid(indexed, position), &object);
	}
	return err;
}

int pack_unpacked_read(struct gateway *gateway, const struct pack *pack, pack_each each, void *context, struct why *why)
{
	struct scratch_dir dir = { 0 };
	char pack_path[PATH_MAX], idx_path[PATH_MAX];
	struct indexed_pack *indexed = NULL;
	int err = scratch_dir_make(&dir, gateway->data_dir, "pack", why);
	if (err == 0)
		err = scratch_dir_file(&dir, "p.pack", pack_path, why);
	if (err == 0)
		err = scratch_dir_file(&dir, "p.idx", idx_path, why);
	if (err == 0)
		err = copy_to(gateway->store, pack, PACK_PART_PACK, pack_path, why);
	if (err == 0)
		err = copy_to(gateway->store, pack, PACK_PART_IDX, idx_path, why);
	if (err == 0)
		err = indexed_pack_open(&indexed, pack_path, why);
	if (err == 0)
		err = each_unmapped(indexed, each, context, why);
	indexed_pack_close(indexed);
	scratch_dir_remove(&dir);
	return err;
}

struct oids_of {
	int (*each)(void *context, const struct oid *oid);
	void *context;
};

static int pass_oid(void *context, const struct oid *oid, const struct git_object *object)
{
	(void)object;
	const struct oids_of *oids = context;
	return oids->each(oids->context, oid);
}

int pack_file_oids(struct gateway *gateway, const struct pack *pack, int (*each)(void *context, const struct oid *oid), void *context, struct why *why)
{
	if (pack->class == PACK_INSERT) {
		struct oids_of oids = { each, context };
		return pack_file_read(gateway, pack, pass_oid, &oids, why);
	}
	uint64_t start, end;
	uint8_t counts[4], oids[512 * OID_BYTES];
	int err = pack_file_part(gateway->store, pack, PACK_PART_IDX, &start, &end, why);
	if (err == ERR_NOT_FOUND || (err == 0 && end - start < IDX_OIDS_OFFSET))
		return why_set(why, ERR_CORRUPT, "a pack has lost its index");
	if (err == 0)
		err = read_exactly(gateway->store, pack, start + IDX_OIDS_OFFSET - 4, counts, sizeof(counts), why);
	if (err)
		return err;
	uint64_t left = (uint64_t)counts[0] << 24 | (uint64_t)counts[1] << 16 | (uint64_t)counts[2] << 8 | counts[3];
	if (left > (end - start - IDX_OIDS_OFFSET) / OID_BYTES)
		return why_set(why, ERR_CORRUPT, "the index of a pack is too short");
	for (uint64_t at = start + IDX_OIDS_OFFSET; left && err == 0;) {
		size_t count = left < 512 ? (size_t)left : 512;
		err = read_exactly(gateway->store, pack, at, oids, count * OID_BYTES, why);
		for (size_t i = 0; i < count && err == 0; i++)
			err = each(context, (const struct oid *)(oids + i * OID_BYTES));
		at += count * OID_BYTES;
		left -= count;
	}
	return err;
}
