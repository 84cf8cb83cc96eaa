/* What another node may send about bytes: calls, ends of answers, runs of records. Nothing is read outside of the bytes; what decodes encodes to the same. */
#include "replication/replica_wire.h"

#include <assert.h>
#include <stdlib.h>

static void check_calls(struct span bytes)
{
	struct pull_call pull, pull_again;
	struct find_call find, find_again;
	struct records_end end, end_again;
	struct buffer out;
	buffer_init(&out, 64 << 10);
	if (pull_call_decode(&pull, bytes) == 0) {
		pull_call_encode(&out, &pull);
		assert(pull_call_decode(&pull_again, buffer_span(&out)) == 0 && pull_again.from.offset == pull.from.offset && pull_again.wait_ms == pull.wait_ms);
	}
	buffer_clear(&out);
	static struct keep_call keep, keep_again;
	static struct kept kept, kept_again;
	if (keep_call_decode(&keep, bytes) == 0) {
		buffer_clear(&out);
		keep_call_encode(&out, &keep, keep.aged);
		assert(keep_call_decode(&keep_again, buffer_span(&out)) == 0 && keep_again.count == keep.count && keep_again.fetch == keep.fetch &&
			keep_again.aged == keep.aged && memcmp(keep.xorbs, keep_again.xorbs, keep.count * HASH_BYTES) == 0 &&
			(!keep.aged || memcmp(keep.ages_ms, keep_again.ages_ms, keep.count * sizeof(keep.ages_ms[0])) == 0));
	}
	if (kept_decode(&kept, bytes) == 0) {
		buffer_clear(&out);
		kept_encode(&out, &kept);
		assert(kept_decode(&kept_again, buffer_span(&out)) == 0 && kept_again.count == kept.count && kept_again.epoch == kept.epoch);
	}
	struct replica_care care, care_again;
	if (care_decode(&care, bytes) == 0 && care.tells_progress) {
		buffer_clear(&out);
		care_encode(&out, CARE_VERSION, &care);
		assert(care_decode(&care_again, buffer_span(&out)) == 0 && care_again.fetching.left_bytes == care.fetching.left_bytes && care_again.pass == care.pass);
	}
	buffer_clear(&out);
	if (find_call_decode(&find, bytes) == 0) {
		find_call_encode(&out, &find);
		assert(find_call_decode(&find_again, buffer_span(&out)) == 0 && memcmp(find.digest, find_again.digest, HASH_BYTES) == 0);
	}
	buffer_clear(&out);
	struct chunks_call chunks, chunks_again;
	static struct xorb_chunk table[XORB_CHUNKS_MAX];
	if (chunks_call_decode(&chunks, bytes) == 0) {
		chunks_call_encode(&out, &chunks);
		assert(chunks_call_decode(&chunks_again, buffer_span(&out)) == 0 && memcmp(&chunks, &chunks_again, sizeof(chunks)) == 0);
	}
	buffer_clear(&out);
	uint32_t count = bytes.length <= 64 << 10 ? table_chunks_decode(table, bytes) : 0;
	table_chunks_encode(&out, table, count);
	assert(count == 0 || (out.length == bytes.length && memcmp(out.data, bytes.data, bytes.length) == 0));
	buffer_clear(&out);
	if (records_end_decode(&end, bytes) == 0) {
		records_end_encode(&out, &end);
		assert(records_end_decode(&end_again, buffer_span(&out)) == 0 && end_again.records == end.records && end_again.at_end == end.at_end);
	}
	buffer_fini(&out);
}

static void check_comparing(struct span bytes)
{
	struct compare_call call, call_again;
	struct list_call list, list_again;
	static struct compared compared, compared_again;
	static struct listed listed, listed_again;
	struct buffer out;
	buffer_init(&out, 256 << 10);
	if (compare_call_decode(&call, bytes) == 0) {
		compare_call_encode(&out, &call);
		assert(compare_call_decode(&call_again, buffer_span(&out)) == 0 && call_again.first == call.first && call_again.seed == call.seed);
	}
	buffer_clear(&out);
	if (compared_decode(&compared, bytes) == 0) {
		compared_encode(&out, &compared);
		assert(compared_decode(&compared_again, buffer_span(&out)) == 0 && memcmp(&compared, &compared_again, sizeof(compared)) == 0);
	}
	buffer_clear(&out);
	if (list_call_decode(&list, bytes) == 0) {
		list_call_encode(&out, &list);
		assert(list_call_decode(&list_again, buffer_span(&out)) == 0 && list_again.kind == list.kind && list_again.range == list.range &&
			list_again.is_next == list.is_next && hash_equal(&list.after.file, &list_again.after.file) &&
			memcmp(&list.after.owner, &list_again.after.owner, ENTITY_ID_BYTES) == 0);
	}
	buffer_clear(&out);
	if (listed_decode(&listed, bytes) == 0) {
		listed_encode(&out, &listed);
		assert(!out.failed && listed_decode(&listed_again, buffer_span(&out)) == 0);
		assert(listed_again.kind == listed.kind && listed_again.more == listed.more && listed_again.count == listed.count);
		for (size_t i = 0; i < listed.count; i++)
			assert(listed.kind == 3 ? hash_equal(&listed.files[i].file, &listed_again.files[i].file) && listed.files[i].verified == listed_again.files[i].verified
				: listed.claims[i].claimed_ms == listed_again.claims[i].claimed_ms);
	}
	buffer_fini(&out);
}

static void check_run(struct span run)
{
	struct store_record record;
	const uint8_t *end = run.data + run.length;
	while (records_next(&run, &record) == 1) {
		struct xorb_name name;
		assert(record.payload.data + record.payload.length <= end);
		if (xorb_name_decode(&name, record.payload) == 0) {
			uint8_t again[XORB_NAME_BYTES];
			xorb_name_encode(again, &name);
			assert(memcmp(again, record.payload.data, sizeof(again)) == 0);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	if (length == 0)
		return 0;
	if (data[0] & 1) {
		check_calls(span_of(data + 1, length - 1));
		check_comparing(span_of(data + 1, length - 1));
	} else {
		check_run(span_of(data + 1, length - 1));
	}
	return 0;
}
