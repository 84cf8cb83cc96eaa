/* Any bytes as a shard: every record that is handed out lies inside them, and what is accepted survives being copied. */
#include "schemas/shard.h"

#include <assert.h>
#include <stdlib.h>

static void copy_file(struct buffer *out, const struct shard_file *file)
{
	struct shard_term *terms = malloc((file->terms_count + 1) * sizeof(*terms));
	struct hash *verification = malloc((file->terms_count + 1) * sizeof(*verification));
	for (uint32_t i = 0; i < file->terms_count; i++) {
		shard_term_at(&terms[i], file, i);
		if (file->has_verification)
			shard_verification_at(&verification[i], file, i);
	}
	shard_write_file(out, &file->hash, terms, file->has_verification ? verification : NULL, file->terms_count,
		file->has_sha256 ? &file->sha256 : NULL);
	free(terms);
	free(verification);
}

static void copy_xorb(struct buffer *out, const struct shard_xorb *xorb)
{
	struct shard_chunk *chunks = malloc((xorb->chunks_count + 1) * sizeof(*chunks));
	for (uint32_t i = 0; i < xorb->chunks_count; i++)
		shard_chunk_at(&chunks[i], xorb, i);
	shard_write_xorb(out, &xorb->hash, chunks, xorb->chunks_count, xorb->raw_length, 0);
	free(chunks);
}

/* Copies what the reader sees; blocks counted in *files and *xorbs. */
static int copy_shard(struct buffer *out, struct span bytes, uint32_t *files, uint32_t *xorbs)
{
	struct shard_reader reader;
	struct shard_file file;
	struct shard_xorb xorb;
	int err = shard_open(&reader, bytes, NULL), got;
	*files = *xorbs = 0;
	if (err)
		return err;
	shard_write_header(out, false);
	while ((got = shard_next_file(&reader, &file, NULL)) == 1) {
		copy_file(out, &file);
		(*files)++;
	}
	assert(got == 0); /* shard_open has seen it all */
	shard_write_bookend(out);
	while ((got = shard_next_xorb(&reader, &xorb, NULL)) == 1) {
		copy_xorb(out, &xorb);
		(*xorbs)++;
	}
	assert(got == 0);
	shard_write_bookend(out);
	assert(!out->failed);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer first, second;
	uint32_t files, xorbs, files_again, xorbs_again;
	buffer_init(&first, SHARD_BYTES_MAX);
	buffer_init(&second, SHARD_BYTES_MAX);
	if (copy_shard(&first, span_of(data, size), &files, &xorbs) == 0) {
		assert(copy_shard(&second, buffer_span(&first), &files_again, &xorbs_again) == 0);
		assert(files == files_again && xorbs == xorbs_again);
		assert(span_equal(buffer_span(&first), buffer_span(&second)));
	}
	buffer_fini(&first);
	buffer_fini(&second);
	return 0;
}
