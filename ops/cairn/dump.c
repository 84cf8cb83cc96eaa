/* dump.c - `cairn dump`: what is inside a xorb, a shard or a volume, for whoever debugs a client or a disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/table.h"
#include "schemas/shard.h"

/* ------------------------------------------------------------------ xorb */

static int dump_xorb(const struct settings *settings, const char *hash)
{
	json_t *xorb = api_once(settings, "GET", NULL, "/api/admin/xorbs/%s", hash);
	if (!xorb)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(xorb);
	printf("xorb %s: %s chunks, %s raw, %s stored\n", member_text(xorb, "xorb"),
		text_of_count(json_array_size(json_object_get(xorb, "chunks"))), text_of_bytes(member_u64(xorb, "raw_length")),
		text_of_bytes(member_u64(xorb, "body_length")));
	struct table *table = table_open((const char *const[]){ ">CHUNK", "HASH", ">RAW", ">STORED", ">AT", NULL });
	uint64_t raw = 0, body = 0;
	size_t i;
	json_t *chunk;
	json_array_foreach(json_object_get(xorb, "chunks"), i, chunk) {
		uint64_t raw_end = member_u64(chunk, "raw_end"), body_end = member_u64(chunk, "body_end");
		table_row(table, (const char *const[]){ text_of_count(i), member_text(chunk, "hash"), text_of_count(raw_end - raw),
			text_of_count(body_end - body), text_of_count(body) });
		raw = raw_end;
		body = body_end;
	}
	table_print(table);
	json_decref(xorb);
	return EXIT_OK;
}

/* ------------------------------------------------------------------ shard */

static json_t *hash_text(const struct hash *hash)
{
	char text[HASH_TEXT_BYTES];
	hash_to_text(text, hash);
	return json_string(text);
}

static json_t *file_of(const struct shard_file *file)
{
	json_t *terms = json_array();
	for (uint32_t i = 0; i < file->terms_count; i++) {
		struct shard_term term;
		shard_term_at(&term, file, i);
		json_array_append_new(terms, json_pack("{s:o, s:I, s:I, s:I}", "xorb", hash_text(&term.xorb), "raw_length",
			(json_int_t)term.raw_length, "chunk_start", (json_int_t)term.chunk_start, "chunk_end", (json_int_t)term.chunk_end));
	}
	json_t *out = json_pack("{s:o, s:b, s:o}", "file", hash_text(&file->hash), "verification", file->has_verification, "terms", terms);
	if (file->has_sha256) {
		char text[2 * HASH_BYTES + 1];
		hex_encode(text, file->sha256.bytes, HASH_BYTES);
		json_object_set_new(out, "sha256", json_string(text));
	}
	return out;
}

static json_t *xorb_of(const struct shard_xorb *xorb)
{
	json_t *chunks = json_array();
	for (uint32_t i = 0; i < xorb->chunks_count; i++) {
		struct shard_chunk chunk;
		shard_chunk_at(&chunk, xorb, i);
		json_array_append_new(chunks, json_pack("{s:o, s:I, s:I}", "hash", hash_text(&chunk.hash), "raw_offset",
			(json_int_t)chunk.raw_offset, "raw_length", (json_int_t)chunk.raw_length));
	}
	return json_pack("{s:o, s:I, s:o}", "xorb", hash_text(&xorb->hash), "raw_length", (json_int_t)xorb->raw_length, "chunks", chunks);
}

/* {files, xorbs} or NULL with the reason. */
static json_t *shard_of(struct span bytes, struct why *why)
{
	struct shard_reader reader;
	struct shard_file file;
	struct shard_xorb xorb;
	if (shard_open(&reader, bytes, why) != 0)
		return NULL;
	json_t *files = json_array(), *xorbs = json_array();
	int more;
	while ((more = shard_next_file(&reader, &file, why)) == 1)
		json_array_append_new(files, file_of(&file));
	while (more == 0 && (more = shard_next_xorb(&reader, &xorb, why)) == 1) {
		json_array_append_new(xorbs, xorb_of(&xorb));
		more = 0;
	}
	json_t *shard = json_pack("{s:o, s:o}", "files", files, "xorbs", xorbs);
	if (more == 0)
		return shard;
	json_decref(shard);
	return NULL;
}

static void print_shard(const json_t *shard)
{
	size_t i, j;
	json_t *object, *part;
	json_array_foreach(json_object_get(shard, "files"), i, object) {
		printf("file %s", member_text(object, "file"));
		printf(json_object_get(object, "sha256") ? "  sha256 %s\n" : "%s\n", member_text(object, "sha256"));
		json_array_foreach(json_object_get(object, "terms"), j, part)
			printf("  chunks %llu..%llu of %s, %llu bytes\n", (unsigned long long)member_u64(part, "chunk_start"),
				(unsigned long long)member_u64(part, "chunk_end"), member_text(part, "xorb"),
				(unsigned long long)member_u64(part, "raw_length"));
	}
	json_array_foreach(json_object_get(shard, "xorbs"), i, object) {
		printf("xorb %s  %llu bytes\n", member_text(object, "xorb"), (unsigned long long)member_u64(object, "raw_length"));
		json_array_foreach(json_object_get(object, "chunks"), j, part)
			printf("  %6zu  %s  %llu bytes at %llu\n", j, member_text(part, "hash"),
				(unsigned long long)member_u64(part, "raw_length"), (unsigned long long)member_u64(part, "raw_offset"));
	}
}

static int dump_shard(const struct settings *settings, const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *data = MAP_FAILED;
	if (fd < 0) {
		fprintf(stderr, "cairn: cannot read %s: %s\n", path, strerror(errno));
		return EXIT_FAILED;
	}
	if (fstat(fd, &status) == 0 && status.st_size > 0 && status.st_size <= SHARD_BYTES_MAX)
		data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (data == MAP_FAILED) {
		fprintf(stderr, "cairn: cannot read %s as a shard: it must be a file of 1 byte to %d MiB\n", path, SHARD_BYTES_MAX >> 20);
		return EXIT_FAILED;
	}
	struct why why = { 0 };
	json_t *shard = shard_of(span_of(data, (size_t)status.st_size), &why);
	munmap(data, (size_t)status.st_size);
	if (!shard) {
		fprintf(stderr, "cairn: %s: %s\n", path, why.text);
		return EXIT_FAILED;
	}
	if (settings->json)
		return print_json(shard);
	print_shard(shard);
	json_decref(shard);
	return EXIT_OK;
}

int dump_main(const struct settings *settings, int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "xorb") == 0)
		return dump_xorb(settings, argv[2]);
	if (argc == 3 && strcmp(argv[1], "shard") == 0)
		return dump_shard(settings, argv[2]);
	if (argc == 3 && strcmp(argv[1], "volume") == 0)
		return dump_volume(settings, argv[2]);
	return usage_error("dump", "dump wants xorb HASH, shard FILE or volume FILE");
}
