/* Any bytes as what a volume holds: reading never leaves them, and what is accepted has every part that it announces. */
#include "schemas/little_endian.h"
#include "schemas/volume_record.h"

#include <assert.h>
#include <stdlib.h>

static uint64_t sink; /* what was read, so that reading is not optimised away */

static void fuzz_xorb(struct span payload)
{
	struct xorb_record record;
	if (xorb_record_decode(&record, payload) != 0)
		return;
	assert(record.chunks_count > 0 && record.fragments_count > 0 && record.fragments_count <= XORB_FRAGMENTS_MAX);
	for (uint32_t i = 0; i < record.fragments_count; i++) {
		struct xorb_fragment fragment;
		xorb_fragment_at(&fragment, record.fragments, i);
		sink += fragment.offset + fragment.length + fragment.volume;
	}
	struct xorb_record_chunk chunk = { .body_end = 0 };
	for (uint32_t i = 0; i < record.chunks_count; i++) {
		xorb_record_chunk_at(&chunk, record.chunks, i);
		sink += chunk.check + chunk.hash.bytes[0];
	}
	assert(chunk.body_end == record.body_length && chunk.raw_end == record.raw_length);
}

static void fuzz_file(struct span payload)
{
	struct file_record record;
	if (file_record_decode(&record, payload) != 0)
		return;
	uint32_t terms = 0;
	for (uint32_t k = 0; k < file_blocks_count(record.terms_count); k++) {
		struct file_block block;
		size_t offset = file_block_offset(k), length = file_block_length(record.terms_count, k);
		assert(offset <= payload.length && length <= payload.length - offset);
		terms += (uint32_t)((length - FILE_BLOCK_HEAD_BYTES) / FILE_RECORD_TERM_BYTES);
		if (file_block_decode(&block, span_of(payload.data + offset, length)) != 0)
			continue;
		for (uint32_t i = 0; i < block.count; i++) {
			struct file_term term;
			file_term_decode(&term, block.terms + (size_t)i * FILE_RECORD_TERM_BYTES);
			sink += term.raw_length + term.xorb.bytes[31];
		}
	}
	assert(terms == record.terms_count);
}

/* What is accepted is what encoding it again gives, except bytes that nothing is kept in. */
static void fuzz_small(struct span payload)
{
	struct claim_record claim;
	struct verified_record verified;
	struct drop_record drop;
	struct touch_record touch;
	uint8_t again[CLAIM_RECORD_BYTES];
	if (claim_record_decode(&claim, payload) == 0) {
		struct claim_record back;
		claim_record_encode(again, &claim);
		assert(claim_record_decode(&back, span_of(again, CLAIM_RECORD_BYTES)) == 0 && back.length == claim.length);
	}
	if (verified_record_decode(&verified, payload) == 0) {
		verified_record_encode(again, &verified);
		assert(memcmp(again, payload.data, VERIFIED_RECORD_BYTES) == 0);
	}
	if (drop_record_decode(&drop, payload) == 0)
		assert(drop.kind == VOLUME_XORB || drop.kind == VOLUME_FILE || drop.kind == VOLUME_CLAIM || drop.kind == VOLUME_CODED);
	if (touch_record_decode(&touch, payload) == 0) {
		touch_record_encode(again, &touch);
		assert(memcmp(again, payload.data, TOUCH_RECORD_BYTES) == 0);
	}
}

static void fuzz_coded(struct span payload)
{
	struct coded_record record;
	uint8_t again[CODED_RECORD_BYTES_MAX];
	if (coded_record_decode(&record, payload) != 0)
		return;
	assert(record.k + record.m <= CODED_PARTS_MAX && record.body_length > 0);
	assert(coded_record_encode(again, &record) == payload.length && memcmp(again, payload.data, payload.length) == 0);
}

static void fuzz_header(struct span bytes)
{
	struct volume_record record;
	uint8_t header[VOLUME_RECORD_HEADER_BYTES], *block;
	struct volume_head head;
	if (bytes.length < VOLUME_RECORD_HEADER_BYTES)
		return;
	memcpy(header, bytes.data, sizeof(header));
	if (volume_record_decode(&record, header, le_read_u32(header + 8), le_read_u64(header + 16), 0) == 0)
		assert(record.payload_length <= VOLUME_PAYLOAD_BYTES_MAX);
	block = calloc(1, VOLUME_BLOCK_BYTES);
	memcpy(block, bytes.data, bytes.length < VOLUME_BLOCK_BYTES ? bytes.length : VOLUME_BLOCK_BYTES);
	(void)volume_head_decode(&head, block);
	free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of(data, size);
	fuzz_xorb(bytes);
	fuzz_file(bytes);
	fuzz_small(bytes);
	fuzz_coded(bytes);
	fuzz_header(bytes);
	return 0;
}
