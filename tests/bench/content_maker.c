/* content_maker - prepares what the benchmark sends, so that the client has nothing to compute while it is being measured.
 *
 *   content_maker fill weights|text SEED LENGTH FILE     writes a file; prints its SHA-256
 *   content_maker digest weights|text SEED LENGTH COUNT  prints the SHA-256 of COUNT files that exist only as seeds, SEED and up
 *   content_maker xorbs PREFIX FILE...                   cuts each file as a Xet client does; chunks of earlier files are not made again.
 *       PREFIX.N.xorbs: the new xorbs of file N one after the other; PREFIX.N.shard: its registration; and on standard output
 *       a line "xorb N HASH OFFSET LENGTH RAW" for each xorb and "file N HASH SHA256 LENGTH" for each file
 *   content_maker tiny PREFIX SEED CHUNKS                as xorbs, for one file of random 64-byte chunks: many keys in few bytes */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schemas/shard.h"
#include "store/chunker.h"
#include "store/digest.h"
#include "store/sha256.h"
#include "store/xorb.h"
#include "tests/bench/content.h"

enum { TINY_CHUNK_BYTES = 64, XORB_FILL_BYTES = 60 << 20, TERMS_MAX = 1 << 20 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *allocate(size_t length)
{
	void *data = calloc(1, length);
	if (!data)
		die("calloc");
	return data;
}

/* ------------------------------------------------------------------ files of a seed */

static void write_all(FILE *file, const void *data, size_t length)
{
	if (fwrite(data, 1, length, file) != length)
		die("write");
}

static void print_sha256(struct sha256_state *state)
{
	struct sha256 digest;
	char text[HASH_TEXT_BYTES];
	sha256_final(state, &digest);
	hex_encode(text, digest.bytes, HASH_BYTES);
	printf("%s\n", text);
}

static void make(enum content_kind kind, uint64_t seed, uint64_t length, FILE *file)
{
	static uint8_t block[CONTENT_BLOCK_BYTES];
	struct sha256_state state;
	sha256_init(&state);
	for (uint64_t at = 0, index = 0; at < length; at += CONTENT_BLOCK_BYTES, index++) {
		size_t size = length - at < CONTENT_BLOCK_BYTES ? (size_t)(length - at) : CONTENT_BLOCK_BYTES;
		content_block(block, size, kind, seed, index);
		sha256_update(&state, block, size);
		if (file)
			write_all(file, block, size);
	}
	print_sha256(&state);
}

/* ------------------------------------------------------------------ xorbs */

/* Where a chunk is, by its hash; open addressing, never full. */
struct place {
	struct hash chunk;
	uint32_t xorb, index; /* xorb counts from 1 */
};

struct cutter {
	struct place *places;
	size_t places_mask;
	struct hash *xorbs;              /* hash of each closed xorb, from 1 */
	uint32_t xorbs_count;

	/* the open xorb */
	uint8_t *body;
	size_t body_length, raw_length;
	struct merkle_node nodes[XORB_CHUNKS_MAX];
	uint32_t chunks_count;

	/* the open file */
	unsigned number;
	FILE *out;
	uint64_t out_offset;
	struct buffer blocks;            /* xorb section of its shard */
	struct merkle *merkle;
	struct shard_term *terms;        /* `xorb` is filled in at the end, from term_xorbs */
	uint32_t *term_xorbs;
	struct hash *chunk_hashes;       /* of the whole file, for verification hashes */
	size_t chunks_total;
	uint32_t terms_count;
};

static struct place *place_of(struct cutter *cutter, const struct hash *chunk)
{
	uint64_t first;
	memcpy(&first, chunk->bytes, sizeof(first));
	for (size_t i = (size_t)first & cutter->places_mask;; i = (i + 1) & cutter->places_mask)
		if (!cutter->places[i].xorb || hash_equal(&cutter->places[i].chunk, chunk))
			return &cutter->places[i];
}

static void close_xorb(struct cutter *cutter)
{
	if (!cutter->chunks_count)
		return;
	struct hash *hash = &cutter->xorbs[++cutter->xorbs_count];
	digest_root(hash, cutter->nodes, cutter->chunks_count);
	static struct shard_chunk chunks[XORB_CHUNKS_MAX];
	uint32_t offset = 0;
	for (uint32_t i = 0; i < cutter->chunks_count; i++) {
		chunks[i] = (struct shard_chunk){ .hash = cutter->nodes[i].hash, .raw_offset = offset, .raw_length = (uint32_t)cutter->nodes[i].length };
		offset += chunks[i].raw_length;
	}
	shard_write_xorb(&cutter->blocks, hash, chunks, cutter->chunks_count, (uint32_t)cutter->raw_length, (uint32_t)cutter->body_length);
	write_all(cutter->out, cutter->body, cutter->body_length);
	char text[HASH_TEXT_BYTES];
	hash_to_text(text, hash);
	printf("xorb %u %s %llu %zu %zu\n", cutter->number, text, (unsigned long long)cutter->out_offset, cutter->body_length, cutter->raw_length);
	cutter->out_offset += cutter->body_length;
	cutter->body_length = cutter->raw_length = 0;
	cutter->chunks_count = 0;
}

static void add_term(struct cutter *cutter, const struct place *place, size_t length)
{
	struct shard_term *last = cutter->terms_count ? &cutter->terms[cutter->terms_count - 1] : NULL;
	if (last && cutter->term_xorbs[cutter->terms_count - 1] == place->xorb && last->chunk_end == place->index) {
		last->chunk_end++;
		last->raw_length += (uint32_t)length;
		return;
	}
	if (cutter->terms_count == TERMS_MAX)
		abort();
	cutter->term_xorbs[cutter->terms_count] = place->xorb;
	cutter->terms[cutter->terms_count++] = (struct shard_term){ .chunk_start = place->index, .chunk_end = place->index + 1, .raw_length = (uint32_t)length };
}

static void add_chunk(struct cutter *cutter, const uint8_t *data, size_t length)
{
	struct hash hash;
	digest_chunk(&hash, data, length);
	merkle_add(cutter->merkle, &hash, length);
	cutter->chunk_hashes[cutter->chunks_total++] = hash;
	struct place *place = place_of(cutter, &hash);
	if (!place->xorb) {
		if (cutter->chunks_count == XORB_CHUNKS_MAX || cutter->body_length + XORB_CHUNK_HEADER_BYTES + length > XORB_FILL_BYTES)
			close_xorb(cutter);
		*place = (struct place){ .chunk = hash, .xorb = cutter->xorbs_count + 1, .index = cutter->chunks_count };
		cutter->nodes[cutter->chunks_count++] = (struct merkle_node){ .hash = hash, .length = length };
		cutter->body_length += xorb_chunk_encode(cutter->body + cutter->body_length, data, length);
		cutter->raw_length += length;
	}
	add_term(cutter, place, length);
}

static void begin_file(struct cutter *cutter, const char *prefix, unsigned number)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s.%u.xorbs", prefix, number);
	cutter->number = number;
	cutter->out = fopen(path, "wb");
	if (!cutter->out || merkle_open(&cutter->merkle) != 0)
		die(path);
	cutter->out_offset = 0;
	cutter->chunks_total = 0;
	cutter->terms_count = 0;
	buffer_init(&cutter->blocks, SHARD_BYTES_MAX);
}

static void write_shard(struct cutter *cutter, const char *prefix, const struct hash *file, const struct sha256 *sha256)
{
	char path[4096];
	struct buffer shard;
	struct hash *verification = allocate((cutter->terms_count + 1) * sizeof(*verification));
	size_t chunk = 0;
	for (uint32_t i = 0; i < cutter->terms_count; i++) {
		size_t count = cutter->terms[i].chunk_end - cutter->terms[i].chunk_start;
		cutter->terms[i].xorb = cutter->xorbs[cutter->term_xorbs[i]];
		digest_verification(&verification[i], cutter->chunk_hashes + chunk, count);
		chunk += count;
	}
	buffer_init(&shard, SHARD_BYTES_MAX);
	shard_write_header(&shard, false);
	shard_write_file(&shard, file, cutter->terms, verification, cutter->terms_count, sha256);
	shard_write_bookend(&shard);
	buffer_append(&shard, cutter->blocks.data, cutter->blocks.length);
	shard_write_bookend(&shard);
	snprintf(path, sizeof(path), "%s.%u.shard", prefix, cutter->number);
	FILE *out = fopen(path, "wb");
	if (!out || shard.failed)
		die(path);
	write_all(out, shard.data, shard.length);
	fclose(out);
	buffer_fini(&shard);
	free(verification);
}

static void end_file(struct cutter *cutter, const char *prefix, struct sha256_state *state, uint64_t length)
{
	struct hash root, file;
	struct sha256 sha256;
	char file_text[HASH_TEXT_BYTES], sha256_text[HASH_TEXT_BYTES];
	close_xorb(cutter);
	merkle_root(cutter->merkle, &root);
	digest_file(&file, &root);
	sha256_final(state, &sha256);
	write_shard(cutter, prefix, &file, &sha256);
	hash_to_text(file_text, &file);
	hex_encode(sha256_text, sha256.bytes, HASH_BYTES);
	printf("file %u %s %s %llu\n", cutter->number, file_text, sha256_text, (unsigned long long)length);
	merkle_close(cutter->merkle);
	buffer_fini(&cutter->blocks);
	if (fclose(cutter->out) != 0)
		die("xorbs");
}

static struct cutter *cutter_open(size_t chunks_max)
{
	struct cutter *cutter = allocate(sizeof(*cutter));
	size_t places = 1024;
	while (places < 2 * chunks_max)
		places *= 2;
	cutter->places = allocate(places * sizeof(*cutter->places));
	cutter->places_mask = places - 1;
	cutter->xorbs = allocate((chunks_max + 2) * sizeof(*cutter->xorbs));
	cutter->body = allocate(XORB_FILL_BYTES + (1 << 20));
	cutter->terms = allocate(TERMS_MAX * sizeof(*cutter->terms));
	cutter->term_xorbs = allocate(TERMS_MAX * sizeof(*cutter->term_xorbs));
	cutter->chunk_hashes = allocate((chunks_max + 2) * sizeof(*cutter->chunk_hashes));
	return cutter;
}

static void cut_file(struct cutter *cutter, const char *prefix, unsigned number, const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) != 0)
		die(path);
	size_t length = (size_t)status.st_size;
	const uint8_t *data = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		die(path);
	struct chunker chunker;
	struct sha256_state state;
	chunker_init(&chunker);
	sha256_init(&state);
	sha256_update(&state, data, length);
	begin_file(cutter, prefix, number);
	for (size_t at = 0; at < length;) {
		bool cut;
		size_t size = chunker_next(&chunker, data + at, length - at, &cut);
		add_chunk(cutter, data + at, size);
		at += size;
	}
	end_file(cutter, prefix, &state, length);
	munmap((void *)data, length);
	close(fd);
}

static int xorbs(const char *prefix, char **paths, int count)
{
	size_t bytes = 0;
	for (int i = 0; i < count; i++) {
		struct stat status;
		if (stat(paths[i], &status) != 0)
			die(paths[i]);
		bytes += (size_t)status.st_size;
	}
	struct cutter *cutter = cutter_open(bytes / CHUNK_BYTES_MIN + (size_t)count + 1);
	for (int i = 0; i < count; i++)
		cut_file(cutter, prefix, (unsigned)i, paths[i]);
	return 0;
}

static int tiny(const char *prefix, uint64_t seed, size_t chunks)
{
	struct cutter *cutter = cutter_open(chunks);
	struct sha256_state state;
	sha256_init(&state);
	begin_file(cutter, prefix, 0);
	for (size_t i = 0; i < chunks; i++) {
		uint64_t words[TINY_CHUNK_BYTES / 8];
		for (size_t k = 0; k < TINY_CHUNK_BYTES / 8; k++)
			words[k] = content_random(&seed);
		sha256_update(&state, words, sizeof(words));
		add_chunk(cutter, (const uint8_t *)words, sizeof(words));
	}
	end_file(cutter, prefix, &state, chunks * TINY_CHUNK_BYTES);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: content_maker fill weights|text SEED LENGTH FILE\n       content_maker digest weights|text SEED LENGTH COUNT\n"
		"       content_maker xorbs PREFIX FILE...\n       content_maker tiny PREFIX SEED CHUNKS\n");
	return 2;
}

int main(int argc, char **argv)
{
	enum content_kind kind;
	if (argc >= 4 && strcmp(argv[1], "xorbs") == 0)
		return xorbs(argv[2], argv + 3, argc - 3);
	if (argc == 5 && strcmp(argv[1], "tiny") == 0)
		return tiny(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	if (argc != 6 || content_kind_parse(argv[2], &kind) != 0)
		return usage();
	uint64_t seed = strtoull(argv[3], NULL, 10), length = strtoull(argv[4], NULL, 10);
	if (length % 4)
		return usage();
	if (strcmp(argv[1], "digest") == 0) {
		for (uint64_t i = 0; i < strtoull(argv[5], NULL, 10); i++)
			make(kind, seed + i, length, NULL);
		return 0;
	}
	if (strcmp(argv[1], "fill") != 0)
		return usage();
	FILE *file = fopen(argv[5], "wb");
	if (!file)
		die(argv[5]);
	make(kind, seed, length, file);
	if (fclose(file) != 0)
		die(argv[5]);
	return 0;
}
