#include "gateway/repo/received_blobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gateway/repo/damage.h"
#include "gateway/repo/object_batch.h"
#include "gateway/repo/object_dir.h"
#include "gateway/repo/rebuild.h"
#include "schemas/git_object.h"

enum {
	IN_MEMORY_BYTES_MAX = 4 << 20, /* of stored blobs; more are in a file beside the pack */
	UPLOAD_FILES_MAX = 16384,      /* made durable together */
};

/* ------------------------------------------------------------------ where blobs went */

static size_t blobs_bytes(const struct received_pack *received)
{
	return ((size_t)indexed_pack_count(received->pack) + 1) * sizeof(struct stored_blob);
}

/* A file whose room is taken at once: a full disk is an error here and not a signal later. */
static int map_file(struct received_pack *received, size_t bytes, struct why *why)
{
	char path[PATH_MAX];
	int err = scratch_dir_file(received->dir, "blobs", path, why);
	int fd = err ? -1 : open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return why_set(why, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "no room for a push below DIR/tmp: %s", strerror(errno));
	int status = posix_fallocate(fd, 0, (off_t)bytes);
	void *mapped = status ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped == MAP_FAILED)
		return why_set(why, status == ENOSPC ? ERR_NO_SPACE : ERR_IO, "no room for a push below DIR/tmp");
	received->blobs = mapped;
	return 0;
}

static int make_blobs(struct received_pack *received, struct why *why)
{
	size_t bytes = blobs_bytes(received);
	if (bytes > IN_MEMORY_BYTES_MAX)
		return map_file(received, bytes, why);
	received->blobs = calloc(1, bytes);
	return received->blobs ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for a push");
}

void received_blobs_unmap(struct received_pack *received)
{
	if (!received->blobs)
		return;
	if (blobs_bytes(received) > IN_MEMORY_BYTES_MAX)
		munmap(received->blobs, blobs_bytes(received));
	else
		free(received->blobs);
	received->blobs = NULL;
}

/* ------------------------------------------------------------------ pointers */

/* 1 and *out when the blob is a pointer, 0 when not. The payload stays valid until the next read. */
static int read_pointer(struct received_pack *received, uint32_t position, struct git_pointer *out, struct span *payload, struct why *why)
{
	unsigned type;
	uint64_t length;
	int err = indexed_pack_header(received->pack, position, &type, &length, why);
	if (err || length > GIT_POINTER_BYTES_MAX)
		return err;
	err = indexed_pack_read(received->pack, position, &type, payload, why);
	return err ? err : git_pointer_decode(out, *payload) == 0;
}

int received_claims_flush(struct received_pack *received, struct why *why)
{
	size_t count = received->claims_count;
	received->claims_count = 0;
	return count ? store_claim_many(received->gateway->store, &received->repo->id, received->claims, count, why) : 0;
}

int received_pointer_find(struct received_pack *received, const struct git_pointer *pointer, bool is_old, struct why *why)
{
	struct store *store = received->gateway->store;
	struct file_info info;
	char text[HASH_TEXT_BYTES];
	hex_encode(text, pointer->sha256.bytes, HASH_BYTES);
	int err = store_find_verified(store, &received->repo->id, &pointer->sha256, &received->caller, &info, why);
	if (err == ERR_NOT_FOUND)
		return why_set(why, err, "the LFS object %s was not uploaded to this repository", text);
	if (err == ERR_CORRUPT || (err == 0 && info.length != pointer->length))
		return why_set(why, ERR_CORRUPT, "the LFS object %s has another size or content than the pointer says", text);
	if (err == 0 && !is_old)
		err = damage_check(&info, &pointer->sha256, span_of(NULL, 0), why);
	received->damaged = received->damaged || err == ERR_CORRUPT;
	if (err || hash_is_zero(&info.file))
		return err;
	received->claims[received->claims_count++] = info.file;
	return received->claims_count == RECEIVED_CLAIMS_MAX ? received_claims_flush(received, why) : 0;
}

void received_pointer_say(struct received_pack *received, const struct why *finding, const char *path, uint32_t *missing)
{
	if (++*missing <= RECEIVED_FINDINGS_MAX)
		buffer_printf(received->messages, "error: %s: %s\n", path[0] ? path : "a pointer", finding->text);
}

int received_pointers_refuse(struct received_pack *received, uint32_t missing, struct why *why)
{
	if (missing > RECEIVED_FINDINGS_MAX)
		buffer_printf(received->messages, "error: and %u more\n", missing - RECEIVED_FINDINGS_MAX);
	buffer_append_text(received->messages, "error: upload them with\nerror:     git lfs push --all <remote>\nerror: and push again\n");
	return why_set(why, ERR_INVALID, received->damaged ? "LFS objects are missing or damaged" : "LFS objects are missing");
}

int received_pointers_check(struct received_pack *received, struct why *why)
{
	uint32_t count = indexed_pack_count(received->pack), missing = 0;
	int err = 0;
	received->phase = "Checking LFS objects";
	for (uint32_t i = 0; i < count && err == 0; i++) {
		uint32_t position = indexed_pack_nth(received->pack, i);
		struct git_pointer pointer;
		struct span payload;
		received->done = i;
		int is_pointer = received->types[position] == GIT_BLOB ? read_pointer(received, position, &pointer, &payload, why) : 0;
		if (is_pointer <= 0) {
			err = is_pointer;
			continue;
		}
		/* Who has not fetched lately sends what is here already once more. */
		bool is_old = received->known && object_dir_has(received->known, indexed_pack_oid(received->pack, position));
		err = received_pointer_find(received, &pointer, is_old, why);
		if (err != ERR_NOT_FOUND && err != ERR_CORRUPT)
			continue;
		char path[PATH_BYTES_MAX + 1];
		received_path(received, position, path);
		received_pointer_say(received, why, path, &missing);
		err = 0;
	}
	if (err == 0)
		err = received_claims_flush(received, why);
	return err || missing == 0 ? err : received_pointers_refuse(received, missing, why);
}

/* ------------------------------------------------------------------ storing */

static int store_blob(struct received_pack *received, uint32_t position, struct why *why)
{
	unsigned type;
	struct span payload;
	struct git_pointer pointer;
	struct upload_result result;
	int err = indexed_pack_read(received->pack, position, &type, &payload, why);
	if (err || git_pointer_decode(&pointer, payload) == 0)
		return err;
	struct stored_blob *blob = &received->blobs[position];
	if (payload.length) {
		err = upload_file_begin(received->upload, payload.length);
		if (err)
			return why_set(why, err, "no memory for a file");
		err = upload_file_write(received->upload, payload.data, payload.length, why);
		if (err) {
			upload_file_abort(received->upload);
			return err;
		}
		err = upload_file_end(received->upload, &result, why);
		if (err)
			return err;
		blob->file = result.file;
	}
	blob->length = payload.length;
	blob->is_stored = true;
	received->blobs_stored++;
	return payload.length && received->blobs_stored % UPLOAD_FILES_MAX == 0 ? upload_commit(received->upload, why) : 0;
}

static int store_blobs(struct received_pack *received, struct why *why)
{
	uint32_t count = indexed_pack_count(received->pack);
	int err = 0;
	received->phase = "Storing files";
	for (uint32_t i = 0; i < count && err == 0; i++) {
		uint32_t position = indexed_pack_nth(received->pack, i);
		received->done = i;
		if (received->cancelled)
			err = why_set(why, ERR_CLOSED, "the server is stopping");
		else if (received->types[position] == GIT_BLOB)
			err = store_blob(received, position, why);
	}
	return err;
}

struct map_walk {
	const struct received_pack *received;
	uint32_t position;
};

static int next_of_map(void *context, struct pack_map_entry *out)
{
	struct map_walk *walk = context;
	const struct received_pack *received = walk->received;
	uint32_t count = indexed_pack_count(received->pack);
	while (walk->position < count && !received->blobs[walk->position].is_stored)
		walk->position++;
	if (walk->position == count)
		return 0;
	const struct stored_blob *blob = &received->blobs[walk->position];
	*out = (struct pack_map_entry){ *indexed_pack_oid(received->pack, walk->position), blob->file, blob->length };
	walk->position++;
	return 1;
}

/* "x.pack" with another ending; -1: it cannot be opened. */
static int open_beside(const struct received_pack *received, const char *ending)
{
	char path[PATH_MAX];
	if (scratch_dir_file(received->dir, received->pack_name, path, NULL) != 0)
		return -1;
	size_t stem = strlen(path) - strlen(".pack");
	if (stem + strlen(ending) >= sizeof(path))
		return -1;
	strcpy(path + stem, ending);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int store_pack(struct received_pack *received, struct pack *out, struct why *why)
{
	struct map_walk walk = { .received = received };
	struct pack_import import = { .class = PACK_RECEIVE, .pack_fd = open_beside(received, ".pack"), .idx_fd = open_beside(received, ".idx"),
		.rev_fd = open_beside(received, ".rev"), .bitmap_fd = -1, .map_count = received->blobs_stored, .next = next_of_map, .context = &walk };
	received->phase = "Storing the pack";
	int err = import.pack_fd < 0 || import.idx_fd < 0 ? why_set(why, ERR_IO, "a pack cannot be opened: %s", strerror(errno)) :
		pack_file_import(received->upload, &import, out, why);
	const int fds[] = { import.pack_fd, import.idx_fd, import.rev_fd };
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return err ? err : upload_commit(received->upload, why);
}

/* ------------------------------------------------------------------ the table */

static int table_object(struct received_pack *received, uint32_t position, struct git_object *out, struct why *why)
{
	const struct stored_blob *blob = &received->blobs[position];
	struct git_pointer pointer;
	unsigned type = received->types[position];
	*out = (struct git_object){ .type = (uint8_t)type };
	if (blob->is_stored) {
		out->file = blob->file;
		out->length = blob->length;
		return 0;
	}
	int err = indexed_pack_read(received->pack, position, &type, &out->payload, why);
	if (err)
		return err;
	out->length = out->payload.length;
	if (type != GIT_BLOB || git_pointer_decode(&pointer, out->payload) != 0)
		return 0;
	out->is_lfs_pointer = true;
	out->sha256 = pointer.sha256;
	out->lfs_length = pointer.length;
	return 0;
}

static bool leads_on(unsigned type)
{
	return type == GIT_COMMIT || type == GIT_TAG;
}

/* Either what a ref may lead to, or all the rest. */
static int put_objects(struct received_pack *received, bool leading, struct why *why)
{
	uint32_t count = indexed_pack_count(received->pack);
	struct object_batch *batch = calloc(1, sizeof(*batch));
	if (!batch)
		return ERR_NO_MEMORY;
	batch->gateway = received->gateway;
	batch->repo = &received->repo->id;
	int err = leading ? 0 : rebuild_before_put(received->gateway, batch->repo);
	received->phase = "Indexing objects";
	for (uint32_t i = 0; i < count && err == 0; i++) {
		uint32_t position = indexed_pack_nth(received->pack, i);
		struct git_object object;
		received->done = i;
		if (leads_on(received->types[position]) != leading)
			continue;
		err = table_object(received, position, &object, why);
		if (err == 0)
			err = object_batch_add(batch, indexed_pack_oid(received->pack, position), &object);
	}
	int flushed = object_batch_flush(batch);
	free(batch);
	return err ? err : flushed ? why_set(why, flushed, "the objects of the push cannot be indexed") : 0;
}

int received_pack_store(struct received_pack *received, struct pack *out, struct why *why)
{
	int err = make_blobs(received, why);
	if (err == 0)
		err = store_blobs(received, why);
	if (err == 0)
		err = store_pack(received, out, why);
	return err ? err : put_objects(received, false, why);
}

void received_pack_list_begin(struct received_pack *received)
{
	listing_begin(received->gateway->trees, &received->listing, &received->repo->id);
}

void received_pack_list_end(struct received_pack *received, bool is_listed)
{
	if (is_listed)
		(void)put_objects(received, true, NULL); /* named by now: what the table lacks comes back on the first miss */
	listing_end(received->gateway->trees, &received->listing);
}
