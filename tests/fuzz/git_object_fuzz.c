/* Every parser of git_object.h over the same bytes; what parses must survive writing and parsing again. */
#include "schemas/git_object.h"

#include <assert.h>
#include <stdlib.h>

static void fuzz_tree(struct span bytes)
{
	struct buffer out;
	struct git_tree_entry entry;
	struct span rest = bytes;
	buffer_init(&out, 1 << 20);
	int got;
	while ((got = git_tree_next(&rest, &entry)) > 0)
		git_tree_append(&out, &entry);
	if (got == 0 && out.length == bytes.length && out.length) {
		struct span again = buffer_span(&out);
		while ((got = git_tree_next(&again, &entry)) > 0)
			continue;
		assert(got == 0);
	}
	buffer_fini(&out);
}

static void fuzz_commit(struct span bytes)
{
	struct git_commit *commit = malloc(sizeof(*commit)), *again = malloc(sizeof(*again));
	struct buffer out;
	buffer_init(&out, 1 << 22);
	if (git_commit_decode(commit, bytes) == 0 && git_commit_encode(&out, commit) == 0) {
		assert(git_commit_decode(again, buffer_span(&out)) == 0);
		assert(again->parents_count == commit->parents_count && git_oid_equal(&again->tree, &commit->tree));
	}
	struct oid oid;
	enum git_type type;
	git_tag_object_of(bytes, &oid, &type);
	buffer_fini(&out);
	free(commit);
	free(again);
}

static void fuzz_pointer(struct span bytes)
{
	struct git_pointer pointer = { 0 }, again = { 0 };
	struct buffer out;
	buffer_init(&out, GIT_POINTER_BYTES_MAX);
	if (git_pointer_decode(&pointer, bytes) == 0) {
		assert(git_pointer_encode(&out, &pointer) == 0);
		assert(git_pointer_decode(&again, buffer_span(&out)) == 0);
		assert(memcmp(&pointer, &again, sizeof(pointer)) == 0);
	}
	buffer_fini(&out);
}

static void fuzz_pack(struct span bytes)
{
	uint32_t count;
	enum git_type type;
	uint64_t length, distance;
	git_pack_header_decode(bytes, &count);
	git_delta_base_decode(bytes, &distance);
	int used = git_entry_header_decode(bytes, &type, &length);
	if (used > 0) {
		uint8_t header[GIT_ENTRY_HEADER_BYTES_MAX];
		enum git_type type_again;
		uint64_t length_again;
		size_t written = git_entry_header_encode(header, type, length);
		assert(git_entry_header_decode(span_of(header, written), &type_again, &length_again) == (int)written);
		assert(type_again == type && length_again == length);
	}
	struct buffer out;
	buffer_init(&out, 1 << 20);
	if (bytes.length > 1) {
		size_t base_length = bytes.data[0] < bytes.length - 1 ? bytes.data[0] : bytes.length - 1;
		git_delta_apply(span_of(bytes.data + 1, base_length), span_of(bytes.data + 1 + base_length, bytes.length - 1 - base_length), &out);
	}
	buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of(data, size);
	fuzz_tree(bytes);
	fuzz_commit(bytes);
	fuzz_pointer(bytes);
	fuzz_pack(bytes);
	return 0;
}
