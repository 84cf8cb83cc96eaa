#include "gateway/repo/indexed_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <git2/sys/odb_backend.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* An index, version 2: "\377tOc", u32 2, 256 cumulative counts by first byte, ids, CRCs, u32 offsets (top bit: number of a u64 one), u64 offsets, SHA-1 of the
 * pack, SHA-1 of the index. */
enum {
	IDX_HEADER_BYTES = 8,
	IDX_FANOUT_BYTES = 256 * 4,
	IDX_OIDS_OFFSET = IDX_HEADER_BYTES + IDX_FANOUT_BYTES,
	IDX_ENTRY_BYTES = OID_BYTES + 4 + 4,
	IDX_TRAILER_BYTES = 2 * OID_BYTES,
};

struct indexed_pack {
	const uint8_t *index;  /* mapped */
	size_t index_length;
	uint32_t count;
	uint32_t *order;       /* positions by offset */
	git_odb *odb;
	git_odb_object *object; /* what was read last */
};

static pthread_once_t begun = PTHREAD_ONCE_INIT;

static void begin(void)
{
	git_libgit2_init();
	/* Every object is read once or twice, in the order of its pack: the cache of bases per pack is enough. */
	git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)8 << 20);
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)256 << 20);
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0); /* only directories that this process made are opened */
	for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
		git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
}

void libgit2_begin(void)
{
	pthread_once(&begun, begin);
}

static int fail(struct why *why, const char *what)
{
	const git_error *error = git_error_last();
	return why_set(why, ERR_CORRUPT, "%s: %s", what, error && error->message ? error->message : "malformed");
}

/* ------------------------------------------------------------------ the index */

static uint32_t u32_at(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t fanout(const struct indexed_pack *pack, unsigned byte)
{
	return u32_at(pack->index + IDX_HEADER_BYTES + 4 * byte);
}

static uint64_t offset_of(const struct indexed_pack *pack, uint32_t position)
{
	size_t offsets = IDX_OIDS_OFFSET + (size_t)pack->count * (OID_BYTES + 4), large = offsets + (size_t)pack->count * 4;
	uint32_t offset = u32_at(pack->index + offsets + (size_t)position * 4);
	if (!(offset & 0x80000000u))
		return offset;
	size_t at = large + (size_t)(offset & 0x7fffffffu) * 8;
	if (at + 8 > pack->index_length - IDX_TRAILER_BYTES)
		return UINT64_MAX;
	return (uint64_t)u32_at(pack->index + at) << 32 | u32_at(pack->index + at + 4);
}

static int check_index(struct indexed_pack *pack, struct why *why)
{
	static const uint8_t magic[IDX_HEADER_BYTES] = { 0xff, 't', 'O', 'c', 0, 0, 0, 2 };
	if (pack->index_length < IDX_OIDS_OFFSET + IDX_TRAILER_BYTES || memcmp(pack->index, magic, sizeof(magic)) != 0)
		return why_set(why, ERR_CORRUPT, "the index of a pack has a malformed header");
	for (unsigned i = 1; i < 256; i++)
		if (fanout(pack, i) < fanout(pack, i - 1))
			return why_set(why, ERR_CORRUPT, "the index of a pack counts backwards");
	pack->count = fanout(pack, 255);
	if (pack->count > PACK_ALL_OBJECTS_MAX)
		return why_set(why, ERR_TOO_BIG, "the pack has more than %d objects", PACK_ALL_OBJECTS_MAX);
	if ((pack->index_length - IDX_OIDS_OFFSET - IDX_TRAILER_BYTES) / IDX_ENTRY_BYTES < pack->count)
		return why_set(why, ERR_CORRUPT, "the index of a pack is too short");
	return 0;
}

static int map_index(struct indexed_pack *pack, const char *path, struct why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	if (fd < 0 || fstat(fd, &stat) != 0) {
		int err = why_set(why, ERR_IO, "the index of a pack cannot be opened: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return err;
	}
	void *mapped = stat.st_size > 0 ? mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	close(fd);
	if (mapped == MAP_FAILED)
		return why_set(why, ERR_IO, "the index of a pack cannot be mapped");
	pack->index = mapped;
	pack->index_length = (size_t)stat.st_size;
	return check_index(pack, why);
}

struct placed {
	uint64_t offset;
	uint32_t position;
};

static int compare_places(const void *a, const void *b)
{
	uint64_t left = ((const struct placed *)a)->offset, right = ((const struct placed *)b)->offset;
	return left < right ? -1 : left > right;
}

static int make_order(struct indexed_pack *pack)
{
	struct placed *placed = malloc(((size_t)pack->count + 1) * sizeof(*placed));
	pack->order = malloc(((size_t)pack->count + 1) * sizeof(*pack->order));
	if (!placed || !pack->order) {
		free(placed);
		return ERR_NO_MEMORY;
	}
	for (uint32_t i = 0; i < pack->count; i++)
		placed[i] = (struct placed){ offset_of(pack, i), i };
	qsort(placed, pack->count, sizeof(*placed), compare_places);
	for (uint32_t i = 0; i < pack->count; i++)
		pack->order[i] = placed[i].position;
	free(placed);
	return 0;
}

uint32_t indexed_pack_count(const struct indexed_pack *pack)
{
	return pack->count;
}

uint32_t indexed_pack_nth(const struct indexed_pack *pack, uint32_t i)
{
	return pack->order[i];
}

const struct oid *indexed_pack_oid(const struct indexed_pack *pack, uint32_t position)
{
	return (const struct oid *)(pack->index + IDX_OIDS_OFFSET + (size_t)position * OID_BYTES);
}

bool indexed_pack_find(const struct indexed_pack *pack, const struct oid *oid, uint32_t *position)
{
	uint32_t low = oid->bytes[0] ? fanout(pack, oid->bytes[0] - 1u) : 0, high = fanout(pack, oid->bytes[0]);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = memcmp(oid->bytes, indexed_pack_oid(pack, middle)->bytes, OID_BYTES);
		if (order == 0) {
			*position = middle;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/* ------------------------------------------------------------------ the objects */

static int open_odb(struct indexed_pack *pack, const char *index_path, struct why *why)
{
	git_odb_backend *backend = NULL;
	if (git_odb_new(&pack->odb) != 0 || git_odb_backend_one_pack(&backend, index_path) != 0)
		return fail(why, "a pack cannot be opened");
	if (git_odb_add_backend(pack->odb, backend, 1) == 0)
		return 0;
	backend->free(backend);
	return fail(why, "a pack cannot be opened");
}

int indexed_pack_open(struct indexed_pack **out, const char *path, struct why *why)
{
	*out = NULL;
	libgit2_begin();
	size_t length = strlen(path);
	struct indexed_pack *pack = calloc(1, sizeof(*pack));
	char *index_path = strdup(path);
	if (!pack || !index_path) {
		free(pack);
		free(index_path);
		return why_set(why, ERR_NO_MEMORY, "no memory for a pack");
	}
	memcpy(index_path + length - strlen(".pack"), ".idx", sizeof(".idx"));
	int err = map_index(pack, index_path, why);
	if (err == 0)
		err = make_order(pack);
	if (err == 0)
		err = open_odb(pack, index_path, why);
	free(index_path);
	if (err) {
		indexed_pack_close(pack);
		return err;
	}
	*out = pack;
	return 0;
}

void indexed_pack_close(struct indexed_pack *pack)
{
	if (!pack)
		return;
	git_odb_object_free(pack->object);
	git_odb_free(pack->odb);
	if (pack->index)
		munmap((void *)(uintptr_t)pack->index, pack->index_length);
	free(pack->order);
	free(pack);
}

static void git_oid_of(git_oid *out, const struct oid *oid)
{
	memcpy(out->id, oid->bytes, OID_BYTES);
}

int indexed_pack_header(struct indexed_pack *pack, uint32_t position, unsigned *type, uint64_t *length, struct why *why)
{
	git_oid oid;
	size_t size;
	git_object_t kind;
	git_oid_of(&oid, indexed_pack_oid(pack, position));
	if (git_odb_read_header(&size, &kind, pack->odb, &oid) != 0)
		return fail(why, "an object of a pack cannot be read");
	*type = (unsigned)kind;
	*length = size;
	return kind >= GIT_OBJECT_COMMIT && kind <= GIT_OBJECT_TAG ? 0 : why_set(why, ERR_CORRUPT, "an object of a pack has no known type");
}

int indexed_pack_read(struct indexed_pack *pack, uint32_t position, unsigned *type, struct span *payload, struct why *why)
{
	uint64_t length;
	int err = indexed_pack_header(pack, position, type, &length, why);
	if (err)
		return err;
	if (length > PACK_READ_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "an object of a pack is larger than %d bytes", PACK_READ_BYTES_MAX);
	git_oid oid;
	git_oid_of(&oid, indexed_pack_oid(pack, position));
	git_odb_object_free(pack->object);
	pack->object = NULL;
	if (git_odb_read(&pack->object, pack->odb, &oid) != 0)
		return fail(why, "an object of a pack cannot be read");
	*payload = span_of(git_odb_object_data(pack->object), git_odb_object_size(pack->object));
	return 0;
}
