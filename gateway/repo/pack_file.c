#include "gateway/repo/pack_file.h"

#include <libdeflate.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <zlib.h>

#include "gateway/repo/object_hash.h"
#include "gateway/repo/pack_part.h"
#include "schemas/little_endian.h"

enum {
	IO_BYTES = 64 << 10,
	DEFLATE_LEVEL = 1, /* trees are mostly hashes: more effort buys nothing */
};

/* ------------------------------------------------------------------ writing */

struct pack_writer {
	struct upload *upload;
	EVP_MD_CTX *sha1;
	struct libdeflate_compressor *deflater;
	struct buffer out;
	uint64_t length;
	struct why *why;
};

static int flush(struct pack_writer *writer, bool hashed)
{
	if (writer->out.failed)
		return why_set(writer->why, ERR_NO_MEMORY, "no memory for a pack");
	if (hashed && !EVP_DigestUpdate(writer->sha1, writer->out.data, writer->out.length))
		return ERR_NO_MEMORY;
	int err = writer->out.length ? upload_file_write(writer->upload, writer->out.data, writer->out.length, writer->why) : 0;
	writer->length += writer->out.length;
	buffer_clear(&writer->out);
	return err;
}

static int write_deflated(struct pack_writer *writer, struct span payload)
{
	size_t bound = libdeflate_zlib_compress_bound(writer->deflater, payload.length); /* hardly more than the payload */
	uint8_t *room = buffer_reserve(&writer->out, bound);
	if (!room)
		return why_set(writer->why, ERR_NO_MEMORY, "no memory for a pack");
	writer->out.length += libdeflate_zlib_compress(writer->deflater, payload.data, payload.length, room, bound);
	return writer->out.length >= IO_BYTES ? flush(writer, true) : 0;
}

static int write_packed(struct pack_writer *writer, const struct git_object *objects, size_t count, uint32_t packed)
{
	int err = git_pack_header_encode(&writer->out, packed);
	for (size_t i = 0; i < count && err == 0; i++) {
		if (!pack_holds(&objects[i]))
			continue;
		uint8_t header[GIT_ENTRY_HEADER_BYTES_MAX];
		size_t used = git_entry_header_encode(header, (enum git_type)objects[i].type, objects[i].payload.length);
		err = buffer_append(&writer->out, header, used);
		if (err == 0)
			err = write_deflated(writer, objects[i].payload);
	}
	if (err == 0)
		err = flush(writer, true);
	return err;
}

struct map_item {
	const struct oid *oid;
	const struct git_object *object;
};

static int compare_items(const void *a, const void *b)
{
	return memcmp(((const struct map_item *)a)->oid->bytes, ((const struct map_item *)b)->oid->bytes, OID_BYTES);
}

static int write_map(struct pack_writer *writer, const struct oid *oids, const struct git_object *objects, size_t count, size_t mapped)
{
	struct map_item *items = malloc((mapped + 1) * sizeof(*items));
	if (!items)
		return why_set(writer->why, ERR_NO_MEMORY, "no memory for the map of a pack");
	size_t used = 0;
	for (size_t i = 0; i < count; i++)
		if (!pack_holds(&objects[i]))
			items[used++] = (struct map_item){ &oids[i], &objects[i] };
	qsort(items, used, sizeof(*items), compare_items);
	uint8_t number[8];
	le_write_u64(number, mapped);
	buffer_append(&writer->out, pack_map_magic, sizeof(pack_map_magic));
	buffer_append(&writer->out, number, sizeof(number));
	int err = 0;
	for (size_t i = 0; i < used && err == 0; i++) {
		le_write_u64(number, items[i].object->length);
		buffer_append(&writer->out, items[i].oid->bytes, OID_BYTES);
		buffer_append(&writer->out, items[i].object->file.bytes, HASH_BYTES);
		buffer_append(&writer->out, number, sizeof(number));
		if (writer->out.length >= IO_BYTES)
			err = flush(writer, false);
	}
	free(items);
	return err ? err : flush(writer, false);
}

static int write_all(struct pack_writer *writer, const struct oid *oids, const struct git_object *objects, size_t count, struct pack *out)
{
	size_t packed = 0;
	for (size_t i = 0; i < count; i++)
		packed += pack_holds(&objects[i]);
	if (packed > PACK_OBJECTS_MAX || count - packed > PACK_MAP_ENTRIES_MAX)
		return why_set(writer->why, ERR_TOO_BIG, "the commit touches more than %d folders or %d files", PACK_OBJECTS_MAX, PACK_MAP_ENTRIES_MAX);
	int err = upload_file_begin(writer->upload, UINT64_MAX);
	if (err)
		return why_set(writer->why, err, "the pack of the commit cannot be written");
	struct upload_result result;
	err = write_packed(writer, objects, count, (uint32_t)packed);
	if (err == 0 && !EVP_DigestFinal_ex(writer->sha1, out->sha1.bytes, NULL))
		err = ERR_NO_MEMORY;
	if (err == 0) {
		buffer_append(&writer->out, out->sha1.bytes, OID_BYTES);
		err = flush(writer, false);
		out->length = writer->length;
		out->objects = packed;
		out->class = PACK_INSERT;
	}
	if (err == 0)
		err = write_map(writer, oids, objects, count, count - packed);
	if (err) {
		upload_file_abort(writer->upload);
		return err;
	}
	err = upload_file_end(writer->upload, &result, writer->why);
	out->file = result.file;
	return err;
}

int pack_file_write(struct upload *upload, const struct oid *oids, const struct git_object *objects, size_t count, struct pack *out, struct why *why)
{
	struct pack_writer writer = { .upload = upload, .why = why, .sha1 = EVP_MD_CTX_new(), .deflater = libdeflate_alloc_compressor(DEFLATE_LEVEL) };
	*out = (struct pack){ 0 };
	buffer_init(&writer.out, 2 * GIT_OBJECT_BYTES_MAX);
	int err = ERR_NO_MEMORY;
	if (writer.deflater && writer.sha1 && EVP_DigestInit_ex(writer.sha1, EVP_sha1(), NULL))
		err = write_all(&writer, oids, objects, count, out);
	libdeflate_free_compressor(writer.deflater);
	EVP_MD_CTX_free(writer.sha1);
	buffer_fini(&writer.out);
	return err;
}

/* ------------------------------------------------------------------ reading */

struct pack_reader {
	struct file_reader *file;
	uint8_t data[IO_BYTES];
	size_t start, end;      /* what of `data` is not used yet */
	uint64_t left;          /* bytes of the part being read (pack or map) not in `data` yet */
	z_stream inflater;
	struct buffer payload;
	struct why *why;
};

/* At least `want` unread bytes (at most IO_BYTES) unless the part ends before. */
static int fill(struct pack_reader *reader, size_t want)
{
	if (reader->end - reader->start >= want)
		return 0;
	memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	while (reader->end < want && reader->left) {
		size_t room = sizeof(reader->data) - reader->end;
		int64_t got = file_reader_read(reader->file, reader->data + reader->end, room < reader->left ? room : (size_t)reader->left, true,
			reader->why);
		if (got <= 0)
			return got < 0 ? (int)got : why_set(reader->why, ERR_CORRUPT, "a pack ends early");
		reader->end += (size_t)got;
		reader->left -= (uint64_t)got;
	}
	return 0;
}

static struct span unread(const struct pack_reader *reader)
{
	return span_of(reader->data + reader->start, reader->end - reader->start);
}

static int read_inflated(struct pack_reader *reader, uint64_t length)
{
	if (length > GIT_OBJECT_BYTES_MAX)
		return why_set(reader->why, ERR_TOO_BIG, "an object of a pack is larger than %d bytes", GIT_OBJECT_BYTES_MAX);
	buffer_clear(&reader->payload);
	uint8_t *room = buffer_reserve(&reader->payload, (size_t)length + 1);
	if (!room)
		return ERR_NO_MEMORY;
	z_stream *z = &reader->inflater;
	inflateReset(z);
	z->next_out = room;
	z->avail_out = (uInt)length + 1; /* one more, so that a longer object is noticed */
	for (int state = Z_OK; state != Z_STREAM_END;) {
		int err = fill(reader, 1);
		if (err)
			return err;
		struct span in = unread(reader);
		z->next_in = (Bytef *)(uintptr_t)in.data;
		z->avail_in = (uInt)in.length;
		state = inflate(z, Z_NO_FLUSH);
		reader->start += in.length - z->avail_in;
		if (state != Z_STREAM_END && (state != Z_OK || z->avail_out == 0 || in.length == 0))
			return why_set(reader->why, ERR_CORRUPT, "an object of a pack does not inflate");
	}
	if (z->total_out != length)
		return why_set(reader->why, ERR_CORRUPT, "an object of a pack has another length than announced");
	reader->payload.length = (size_t)length;
	return 0;
}

static int read_object(struct pack_reader *reader, int (*each)(void *, const struct oid *, const struct git_object *), void *context)
{
	enum git_type type;
	uint64_t length;
	int err = fill(reader, GIT_ENTRY_HEADER_BYTES_MAX);
	if (err)
		return err;
	int used = git_entry_header_decode(unread(reader), &type, &length);
	if (used < 0)
		return why_set(reader->why, ERR_CORRUPT, "an object of a pack has a malformed header");
	if (type == GIT_OFS_DELTA || type == GIT_REF_DELTA)
		return why_set(reader->why, ERR_UNSUPPORTED, "the pack holds deltas");
	reader->start += (size_t)used;
	err = read_inflated(reader, length);
	if (err)
		return err;
	struct git_object object = { .type = (uint8_t)type, .length = length, .payload = buffer_span(&reader->payload) };
	struct git_pointer pointer;
	if (type == GIT_BLOB) {
		if (git_pointer_decode(&pointer, object.payload) != 0)
			return 0; /* an ordinary blob: the map says where its bytes are */
		object.is_lfs_pointer = true;
		object.sha256 = pointer.sha256;
		object.lfs_length = pointer.length;
	}
	struct oid oid;
	err = object_hash(&oid, type, object.payload);
	return err ? err : each(context, &oid, &object);
}

static int read_packed(struct pack_reader *reader, int (*each)(void *, const struct oid *, const struct git_object *), void *context)
{
	int err = fill(reader, GIT_PACK_HEADER_BYTES);
	uint32_t count = 0;
	if (err == 0 && git_pack_header_decode(unread(reader), &count) != 0)
		err = why_set(reader->why, ERR_CORRUPT, "a pack has a malformed header");
	reader->start += GIT_PACK_HEADER_BYTES;
	for (uint32_t i = 0; i < count && err == 0; i++)
		err = read_object(reader, each, context);
	if (err == 0)
		err = fill(reader, OID_BYTES);
	if (err == 0 && (reader->left || unread(reader).length != OID_BYTES))
		err = why_set(reader->why, ERR_CORRUPT, "a pack has bytes behind its objects");
	reader->start = reader->end;
	return err;
}

static int read_map(struct pack_reader *reader, int (*each)(void *, const struct oid *, const struct git_object *), void *context)
{
	int err = fill(reader, MAP_HEADER_BYTES);
	if (err)
		return err;
	struct span header = unread(reader);
	if (header.length < MAP_HEADER_BYTES || memcmp(header.data, pack_map_magic, sizeof(pack_map_magic)) != 0)
		return why_set(reader->why, ERR_CORRUPT, "the map of a pack has a malformed header");
	uint64_t count = le_read_u64(header.data + sizeof(pack_map_magic));
	reader->start += MAP_HEADER_BYTES;
	if (count > PACK_MAP_ENTRIES_MAX || count * MAP_ENTRY_BYTES != reader->left + unread(reader).length)
		return why_set(reader->why, ERR_CORRUPT, "the map of a pack has another length than announced");
	for (uint64_t i = 0; i < count && err == 0; i++) {
		err = fill(reader, MAP_ENTRY_BYTES);
		if (err)
			return err;
		const uint8_t *entry = reader->data + reader->start;
		struct oid oid;
		struct git_object object = { .type = GIT_BLOB, .length = le_read_u64(entry + OID_BYTES + HASH_BYTES) };
		memcpy(oid.bytes, entry, OID_BYTES);
		memcpy(object.file.bytes, entry + OID_BYTES, HASH_BYTES);
		reader->start += MAP_ENTRY_BYTES;
		err = each(context, &oid, &object);
	}
	return err;
}

static int reader_open(struct pack_reader **out, struct store *store, const struct pack *pack, enum pack_part part, struct why *why)
{
	uint64_t start, end;
	int err = pack_file_part(store, pack, part, &start, &end, why);
	if (err)
		return err;
	struct pack_reader *reader = calloc(1, sizeof(*reader));
	if (!reader)
		return ERR_NO_MEMORY;
	reader->why = why;
	reader->left = end - start;
	buffer_init(&reader->payload, GIT_OBJECT_BYTES_MAX + 1);
	err = file_reader_open(&reader->file, store, &pack->file, start, end, why);
	if (err == 0 && inflateInit(&reader->inflater) == Z_OK) {
		*out = reader;
		return 0;
	}
	if (reader->file)
		file_reader_close(reader->file);
	free(reader);
	return err ? err : ERR_NO_MEMORY;
}

static void reader_close(struct pack_reader *reader)
{
	inflateEnd(&reader->inflater);
	file_reader_close(reader->file);
	buffer_fini(&reader->payload);
	free(reader);
}

int pack_map_read(struct store *store, const struct pack *pack, pack_each each, void *context, struct why *why)
{
	struct pack_reader *reader;
	int err = reader_open(&reader, store, pack, PACK_PART_MAP, why);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	err = read_map(reader, each, context);
	reader_close(reader);
	return err;
}

int pack_file_read(struct gateway *gateway, const struct pack *pack, pack_each each, void *context, struct why *why)
{
	int err;
	if (pack->class == PACK_INSERT) {
		struct pack_reader *reader;
		err = reader_open(&reader, gateway->store, pack, PACK_PART_PACK, why);
		if (err)
			return err;
		err = read_packed(reader, each, context);
		reader_close(reader);
	} else {
		err = pack_unpacked_read(gateway, pack, each, context, why);
	}
	return err ? err : pack_map_read(gateway->store, pack, each, context, why);
}
