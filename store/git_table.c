/* git_table.c - the git object table: a view of the repositories' packs, kept in the index beside the views of the volumes.
 *
 * Value: u8 type, u8 flags, u64 length, then for a blob the store file (32), for a pointer sha256 (32) and length (8), and for
 * what is not a blob of a store file the payload, as one LZ4 block where that is shorter: half of a folder are its names. */
#include <lz4.h>
#include <stdlib.h>

#include "schemas/little_endian.h"
#include "store/core.h"

enum { GIT_BLOB_TYPE = 3, KEY_BYTES = ENTITY_ID_BYTES + OID_BYTES, FIXED_BYTES = 10 + HASH_BYTES, POINTER_BYTES = FIXED_BYTES + 8,
	GIT_VALUE_BYTES_MAX = 160 << 20, PUT_BATCH = 256,
	FLAG_POINTER = 1, FLAG_LZ4 = 2, LZ4_WORTH_BYTES = 200 };

static void key_of(uint8_t out[KEY_BYTES], const struct entity_id *repo, const struct oid *oid)
{
	memcpy(out, repo->bytes, ENTITY_ID_BYTES);
	memcpy(out + ENTITY_ID_BYTES, oid->bytes, OID_BYTES);
}

static bool has_payload(const struct git_object *object)
{
	return object->type != GIT_BLOB_TYPE || object->is_lfs_pointer;
}

/* Appends the payload; true: compressed. */
static bool append_payload(struct buffer *out, struct span payload)
{
	uint8_t *room = payload.length >= LZ4_WORTH_BYTES && payload.length <= LZ4_MAX_INPUT_SIZE ? buffer_reserve(out, payload.length) : NULL;
	int length = room ? LZ4_compress_default((const char *)payload.data, (char *)room, (int)payload.length, (int)payload.length - 1) : 0;
	if (length > 0)
		out->length += (size_t)length;
	else
		buffer_append(out, payload.data, payload.length);
	return length > 0;
}

static int encode(struct buffer *out, const struct git_object *object)
{
	size_t start = out->length;
	uint8_t fixed[POINTER_BYTES] = { 0 };
	fixed[0] = object->type;
	fixed[1] = object->is_lfs_pointer ? FLAG_POINTER : 0;
	le_write_u64(fixed + 2, object->length);
	memcpy(fixed + 10, object->is_lfs_pointer ? object->sha256.bytes : object->file.bytes, HASH_BYTES);
	le_write_u64(fixed + FIXED_BYTES, object->lfs_length);
	buffer_append(out, fixed, object->is_lfs_pointer ? POINTER_BYTES : FIXED_BYTES);
	if (has_payload(object) && append_payload(out, object->payload)) {
		if (object->length != object->payload.length)
			return ERR_INVALID; /* its length is how it is taken out again */
		out->data[start + 1] |= FLAG_LZ4;
	}
	return out->failed ? ERR_TOO_BIG : 0;
}

static int take_payload(struct git_object *out, struct span stored, bool is_compressed)
{
	size_t length = is_compressed ? (size_t)out->length : stored.length;
	if (length > GIT_VALUE_BYTES_MAX)
		return ERR_CORRUPT;
	uint8_t *payload = malloc(length ? length : 1);
	if (!payload)
		return ERR_NO_MEMORY;
	if (!is_compressed)
		memcpy(payload, stored.data, length);
	else if (LZ4_decompress_safe((const char *)stored.data, (char *)payload, (int)stored.length, (int)length) != (int)length) {
		free(payload);
		return ERR_CORRUPT;
	}
	out->payload = span_of(payload, length);
	return 0;
}

static int decode(struct git_object *out, struct span value, bool with_payload)
{
	*out = (struct git_object){ 0 };
	if (value.length < FIXED_BYTES || ((value.data[1] & FLAG_POINTER) && value.length < POINTER_BYTES))
		return ERR_CORRUPT;
	out->type = value.data[0];
	out->is_lfs_pointer = value.data[1] & FLAG_POINTER;
	out->length = le_read_u64(value.data + 2);
	size_t used = FIXED_BYTES;
	if (out->is_lfs_pointer) {
		memcpy(out->sha256.bytes, value.data + 10, HASH_BYTES);
		out->lfs_length = le_read_u64(value.data + FIXED_BYTES);
		used = POINTER_BYTES;
	} else {
		memcpy(out->file.bytes, value.data + 10, HASH_BYTES);
	}
	if (!with_payload || !has_payload(out))
		return 0;
	return take_payload(out, span_of(value.data + used, value.length - used), value.data[1] & FLAG_LZ4);
}

static int get(struct store *store, const struct entity_id *repo, const struct oid *oid, struct git_object *out, bool with_payload)
{
	uint8_t key[KEY_BYTES];
	struct buffer value;
	key_of(key, repo, oid);
	buffer_init(&value, GIT_VALUE_BYTES_MAX);
	int err = index_get_raw(store->index, 'g', span_of(key, sizeof(key)), &value);
	if (err == 0)
		err = decode(out, buffer_span(&value), with_payload);
	buffer_fini(&value);
	return err;
}

int store_git_get(struct store *store, const struct entity_id *repo, const struct oid *oid, struct git_object *out)
{
	return get(store, repo, oid, out, true);
}

int store_git_get_many(struct store *store, const struct entity_id *repo, const struct oid *oids, size_t count, struct git_object *out,
	bool *found)
{
	for (size_t i = 0; i < count; i++) {
		int err = get(store, repo, &oids[i], &out[i], false);
		if (err && err != ERR_NOT_FOUND)
			return err;
		found[i] = err == 0;
	}
	return 0;
}

static int put_some(struct store *store, const struct entity_id *repo, const struct oid *oids, const struct git_object *objects, size_t count)
{
	struct index_raw entries[PUT_BATCH];
	uint8_t keys[PUT_BATCH][KEY_BYTES];
	size_t offsets[PUT_BATCH + 1] = { 0 };
	struct buffer values;
	buffer_init(&values, (size_t)4 * GIT_VALUE_BYTES_MAX);
	int err = 0;
	for (size_t i = 0; i < count && err == 0; i++) {
		err = encode(&values, &objects[i]);
		offsets[i + 1] = values.length;
		key_of(keys[i], repo, &oids[i]);
	}
	for (size_t i = 0; i < count && err == 0; i++)
		entries[i] = (struct index_raw){ 'g', span_of(keys[i], KEY_BYTES), span_of(values.data + offsets[i], offsets[i + 1] - offsets[i]) };
	if (err == 0 && count)
		err = index_put_raw(store->index, entries, count);
	buffer_fini(&values);
	return err;
}

int store_git_put(struct store *store, const struct entity_id *repo, const struct oid *oids, const struct git_object *objects, size_t count)
{
	int err = 0;
	for (size_t first = 0; first < count && err == 0; first += PUT_BATCH)
		err = put_some(store, repo, oids + first, objects + first, count - first < PUT_BATCH ? count - first : PUT_BATCH);
	return err;
}

int store_git_drop(struct store *store, const struct entity_id *repo)
{
	return index_drop_prefix(store->index, 'g', span_of(repo->bytes, ENTITY_ID_BYTES));
}
