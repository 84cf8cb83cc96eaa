/* dump_volume.c - `cairn dump volume`: the records of a volume file, and where it is damaged. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/cairn/commands.h"
#include "store/chunker.h"
#include "store/index.h"
#include "store/volume.h"
#include "store/xorb.h"

struct volume_dump {
	bool json, first_written;
	uint64_t records, damaged;
	struct xorb_fragment fragments[XORB_FRAGMENTS_MAX]; /* of the xorb record that is being shown */
	uint8_t chunk[XORB_CHUNK_HEADER_BYTES + CHUNK_BYTES_MAX];
};

/* What a record is about: its first hash, where it has one. */
static void subject_of(char out[HASH_TEXT_BYTES], uint8_t kind, struct span payload)
{
	struct hash hash;
	size_t at = kind == VOLUME_DROP ? 8 : 0;
	out[0] = 0;
	if (kind == VOLUME_FRAGMENT || payload.length < at + HASH_BYTES)
		return;
	memcpy(hash.bytes, payload.data + at, HASH_BYTES);
	hash_to_text(out, &hash);
}

static void print_line(struct volume_dump *dump, const char *kind, uint64_t offset, uint64_t length, const char *subject)
{
	if (dump->json)
		printf("%s\n  {\"kind\": \"%s\", \"offset\": %llu, \"length\": %llu, \"about\": \"%s\"}", dump->first_written ? "," : "[", kind,
			(unsigned long long)offset, (unsigned long long)length, subject);
	else
		printf("%12llu  %-9s %10llu bytes  %s\n", (unsigned long long)offset, kind, (unsigned long long)length, subject);
	dump->first_written = true;
}

static void dump_damage(void *context, struct volume *volume, uint64_t offset, uint64_t length, const char *what)
{
	struct volume_dump *dump = context;
	(void)volume;
	dump->damaged++;
	print_line(dump, "damaged", offset, length, what);
}

/* ------------------------------------------------------------------ bodies of xorbs */

/* Bytes from `at` on in a body that lies in `count` fragments. False: some of them lie in another volume, or cannot be read. *place: where the first is. */
static bool read_body(struct volume *volume, const struct xorb_fragment *fragments, uint32_t count, uint32_t at, uint8_t *out, size_t length, uint64_t *place)
{
	*place = 0;
	for (uint32_t i = 0; i < count && length > 0; i++) {
		if (at >= fragments[i].length) {
			at -= fragments[i].length;
			continue;
		}
		size_t some = fragments[i].length - at < length ? fragments[i].length - at : length;
		if (fragments[i].volume != volume->id || volume_read(volume, out, some, fragments[i].offset + at, NULL) != 0)
			return false;
		if (*place == 0)
			*place = fragments[i].offset + at;
		out += some;
		length -= some;
		at = 0;
	}
	return length == 0;
}

/* Fragments have no checksum of their own: the record of a xorb has one for each chunk. */
static void check_body(struct volume_dump *dump, struct volume *volume, const struct volume_record *at, const struct xorb_record *record)
{
	char hash[HASH_TEXT_BYTES], what[HASH_TEXT_BYTES + 32];
	uint32_t start = 0;
	xorb_fragments_resolve(dump->fragments, record, &(struct record_place){ at->volume, at->offset });
	hash_to_text(hash, &record->xorb);
	for (uint32_t i = 0; i < record->chunks_count; i++) {
		struct xorb_record_chunk chunk;
		uint64_t place;
		xorb_record_chunk_at(&chunk, record->chunks, i);
		size_t length = chunk.body_end - start;
		if (length >= XORB_CHUNK_HEADER_BYTES && length <= sizeof(dump->chunk) &&
			read_body(volume, dump->fragments, record->fragments_count, start, dump->chunk, length, &place) &&
			xorb_chunk_check(dump->chunk, dump->chunk + XORB_CHUNK_HEADER_BYTES, length - XORB_CHUNK_HEADER_BYTES) != chunk.check) {
			snprintf(what, sizeof(what), "chunk %u of xorb %s", i, hash);
			dump_damage(dump, volume, place, length, what);
		}
		start = chunk.body_end;
	}
}

/* ------------------------------------------------------------------ the walk */

static int dump_record(void *context, struct volume *volume, const struct volume_record *record, struct span payload)
{
	static const char *const kinds[] = { "?", "fragment", "xorb", "file", "claim", "verified", "drop", "touch", "coded" };
	struct volume_dump *dump = context;
	char subject[HASH_TEXT_BYTES];
	struct xorb_record xorb;
	dump->records++;
	subject_of(subject, record->kind, payload);
	print_line(dump, record->kind <= VOLUME_CODED ? kinds[record->kind] : kinds[0], record->offset, record->payload_length, subject);
	if (record->kind == VOLUME_XORB && xorb_record_decode(&xorb, payload) == 0)
		check_body(dump, volume, record, &xorb);
	return 0;
}

int dump_volume(const struct settings *settings, const char *path)
{
	uint8_t block[VOLUME_BLOCK_BYTES];
	struct volume_head head;
	struct stat status;
	struct volume volume = { .direct_fd = -1, .fd = open(path, O_RDONLY | O_CLOEXEC) };
	struct volume_dump *dump = calloc(1, sizeof(*dump));
	struct volume_visit visit = { .record = dump_record, .damage = dump_damage, .context = dump };
	struct why why = { 0 };
	if (!dump)
		return EXIT_FAILED;
	dump->json = settings->json;
	int err = volume.fd < 0 || fstat(volume.fd, &status) != 0 || pread(volume.fd, block, sizeof(block), 0) != (ssize_t)sizeof(block) ? ERR_IO
		: volume_head_decode(&head, block);
	if (err == 0) {
		volume.id = head.id;
		volume.salt = head.salt;
		err = volume_walk(&volume, VOLUME_BLOCK_BYTES, (uint64_t)status.st_size, &visit, NULL, &why);
	}
	if (volume.fd >= 0)
		close(volume.fd);
	if (err) {
		fprintf(stderr, "cairn: %s is no volume that can be read%s%s\n", path, why.text[0] ? ": " : "", why.text);
		free(dump);
		return EXIT_FAILED;
	}
	if (settings->json)
		printf(dump->first_written ? "\n]\n" : "[]\n");
	else
		printf("volume %08x: %llu records, %llu damaged places\n", volume.id, (unsigned long long)dump->records, (unsigned long long)dump->damaged);
	int exit_status = dump->damaged ? EXIT_DAMAGE : EXIT_OK;
	free(dump);
	return exit_status;
}
