#include "replication/replica_wire.h"

#include "replication/peer_calls.h"
#include "replication/replica.h"
#include "schemas/little_endian.h"
#include "schemas/record.h"
#include "schemas/volume_record.h"

void pull_call_encode(struct buffer *out, const struct pull_call *call)
{
	pack_array(out, call->partial ? 4 : 3);
	pack_u64(out, call->from.volume);
	pack_u64(out, call->from.offset);
	pack_u64(out, call->wait_ms);
	if (call->partial)
		pack_bool(out, false);
}

int pull_call_decode(struct pull_call *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	uint32_t parts = cursor_array(&cursor, 4);
	uint64_t volume = cursor_u64(&cursor), offset = cursor_u64(&cursor), wait_ms = cursor_u64(&cursor);
	*out = (struct pull_call){ .from = { (uint32_t)volume, offset }, .wait_ms = wait_ms < REPLICA_PULL_MS ? (uint32_t)wait_ms : REPLICA_PULL_MS };
	out->partial = parts == 4 && !cursor_bool(&cursor);
	return parts >= 3 && cursor_done(&cursor) && volume <= UINT32_MAX ? 0 : ERR_CORRUPT;
}

void keep_call_encode(struct buffer *out, const struct keep_call *call, bool with_ages)
{
	pack_array(out, with_ages ? 3 : 2);
	pack_bool(out, call->fetch);
	pack_array(out, (uint32_t)call->count);
	for (size_t i = 0; i < call->count; i++)
		pack_bytes(out, span_of(call->xorbs[i].bytes, HASH_BYTES));
	if (!with_ages)
		return;
	pack_array(out, (uint32_t)call->count);
	for (size_t i = 0; i < call->count; i++)
		pack_u64(out, call->ages_ms[i]);
}

int keep_call_decode(struct keep_call *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	uint32_t values = cursor_array(&cursor, 3);
	out->fetch = cursor_bool(&cursor);
	out->aged = values == 3;
	out->count = cursor_array(&cursor, KEEP_XORBS_MAX);
	for (size_t i = 0; i < out->count && !cursor.failed; i++) {
		struct span digest = cursor_bytes(&cursor, HASH_BYTES);
		if (digest.length != HASH_BYTES)
			return ERR_CORRUPT;
		memcpy(out->xorbs[i].bytes, digest.data, HASH_BYTES);
	}
	if (out->aged && cursor_array(&cursor, KEEP_XORBS_MAX) != out->count)
		return ERR_CORRUPT;
	for (size_t i = 0; out->aged && i < out->count && !cursor.failed; i++)
		out->ages_ms[i] = cursor_u64(&cursor);
	return values >= 2 && cursor_done(&cursor) ? 0 : ERR_CORRUPT;
}

void kept_encode(struct buffer *out, const struct kept *kept)
{
	pack_array(out, 2);
	pack_u64(out, kept->epoch);
	pack_array(out, (uint32_t)kept->count);
	for (size_t i = 0; i < kept->count; i++)
		pack_u64(out, kept->lengths[i]);
}

int kept_decode(struct kept *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	bool two = cursor_array(&cursor, 2) == 2;
	out->epoch = cursor_u64(&cursor);
	out->count = cursor_array(&cursor, KEEP_XORBS_MAX);
	for (size_t i = 0; i < out->count && !cursor.failed; i++)
		out->lengths[i] = (uint32_t)cursor_u64(&cursor);
	return two && cursor_done(&cursor) ? 0 : ERR_CORRUPT;
}

/* ---- how it is with what is held ---- */

enum { CARE_VALUES_1 = 6, CARE_VALUES_2 = 8, CARE_VALUES_3 = 23, CARE_QUESTIONS_MAX = 16 };

void care_call_encode(struct buffer *out)
{
	pack_array(out, 1);
	pack_u64(out, CARE_VERSION);
}

/* The first version asks with an empty list. */
unsigned care_call_decode(struct span body)
{
	struct cursor cursor = cursor_of(body);
	if (cursor_array(&cursor, CARE_QUESTIONS_MAX) == 0)
		return 1;
	uint64_t version = cursor_u64(&cursor);
	return version <= 2 ? 2 : version < CARE_VERSION ? (unsigned)version : CARE_VERSION;
}

static void pack_backlog(struct buffer *out, const struct backlog_status *status)
{
	pack_u64(out, status->done_bytes);
	pack_u64(out, status->left_bytes);
	pack_u64(out, status->bytes_per_s);
}

static void take_backlog(struct cursor *cursor, struct backlog_status *out)
{
	out->done_bytes = cursor_u64(cursor);
	out->left_bytes = cursor_u64(cursor);
	out->bytes_per_s = cursor_u64(cursor);
}

static void pack_progress(struct buffer *out, const struct replica_care *care)
{
	pack_u64(out, care->held_xorbs);
	pack_u64(out, care->part_bytes);
	pack_u64(out, care->counted_ms);
	pack_u64(out, care->repair);
	pack_u64(out, care->pass);
	pack_u64(out, care->pass_permille);
	pack_backlog(out, &care->catching_up);
	pack_backlog(out, &care->fetching);
	pack_backlog(out, &care->giving_up);
}

static void take_progress(struct cursor *cursor, struct replica_care *out)
{
	out->tells_progress = true;
	out->held_xorbs = cursor_u64(cursor);
	out->part_bytes = cursor_u64(cursor);
	out->counted_ms = cursor_u64(cursor);
	out->repair = cursor_u64(cursor);
	uint64_t pass = cursor_u64(cursor), permille = cursor_u64(cursor);
	out->pass = pass <= PASS_GIVE_UP ? (enum replica_pass)pass : PASS_NONE;
	out->pass_permille = permille < 1000 ? (unsigned)permille : 1000;
	take_backlog(cursor, &out->catching_up);
	take_backlog(cursor, &out->fetching);
	take_backlog(cursor, &out->giving_up);
}

void care_encode(struct buffer *out, unsigned version, const struct replica_care *care)
{
	pack_array(out, version >= 3 ? CARE_VALUES_3 : version == 2 ? CARE_VALUES_2 : CARE_VALUES_1);
	pack_u64(out, care->epoch);
	pack_u64(out, care->held_bytes);
	pack_u64(out, care->surplus_bytes);
	pack_u64(out, care->missing_xorbs);
	pack_u64(out, care->bytes_per_s);
	pack_bool(out, care->walking);
	if (version >= 2) {
		pack_u64(out, care->lost_xorbs);
		pack_bool(out, care->complete);
	}
	if (version >= 3)
		pack_progress(out, care);
}

int care_decode(struct replica_care *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	uint32_t count = cursor_array(&cursor, CARE_VALUES_3);
	*out = (struct replica_care){ .epoch = cursor_u64(&cursor), .counted_ms = UINT64_MAX };
	out->held_bytes = cursor_u64(&cursor);
	out->surplus_bytes = cursor_u64(&cursor);
	out->missing_xorbs = cursor_u64(&cursor);
	out->bytes_per_s = cursor_u64(&cursor);
	out->walking = cursor_bool(&cursor);
	out->complete = out->missing_xorbs == 0; /* as a node of the first version says it */
	if (count >= CARE_VALUES_2) {
		out->lost_xorbs = cursor_u64(&cursor);
		out->complete = cursor_bool(&cursor);
	}
	if (count == CARE_VALUES_3)
		take_progress(&cursor, out);
	return (count == CARE_VALUES_1 || count == CARE_VALUES_2 || count == CARE_VALUES_3) && cursor_done(&cursor) ? 0 : ERR_CORRUPT;
}

void find_call_encode(struct buffer *out, const struct find_call *call)
{
	pack_array(out, 2);
	pack_u64(out, call->what);
	pack_bytes(out, span_of(call->digest, HASH_BYTES));
}

int find_call_decode(struct find_call *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	bool two = cursor_array(&cursor, 2) == 2;
	uint64_t what = cursor_u64(&cursor);
	struct span digest = cursor_bytes(&cursor, HASH_BYTES);
	*out = (struct find_call){ .what = (unsigned)what };
	if (!two || !cursor_done(&cursor) || what > FIND_RANGE_CODED || digest.length != HASH_BYTES)
		return ERR_CORRUPT;
	memcpy(out->digest, digest.data, HASH_BYTES);
	return 0;
}

/* ---- comparing ---- */

enum { COMPARE_VERSION = 1 };

void compare_call_encode(struct buffer *out, const struct compare_call *call)
{
	pack_array(out, 3);
	pack_u64(out, COMPARE_VERSION);
	pack_u64(out, call->first);
	pack_u64(out, call->seed);
}

int compare_call_decode(struct compare_call *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	bool three = cursor_array(&cursor, 3) == 3;
	uint64_t version = cursor_u64(&cursor), first = cursor_u64(&cursor);
	*out = (struct compare_call){ .first = (uint8_t)first, .seed = cursor_u64(&cursor) };
	return three && version == COMPARE_VERSION && first <= UINT8_MAX && cursor_done(&cursor) ? 0 : ERR_CORRUPT;
}

void compared_encode(struct buffer *out, const struct compared *compared)
{
	pack_array(out, 2);
	pack_u64(out, COMPARE_VERSION);
	pack_bytes(out, span_of(compared->ranges, sizeof(compared->ranges)));
}

int compared_decode(struct compared *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	bool two = cursor_array(&cursor, 2) == 2;
	uint64_t version = cursor_u64(&cursor);
	struct span ranges = cursor_bytes(&cursor, sizeof(out->ranges));
	if (!two || version != COMPARE_VERSION || !cursor_done(&cursor) || ranges.length != sizeof(out->ranges))
		return ERR_CORRUPT;
	memcpy(out->ranges, ranges.data, sizeof(out->ranges));
	return 0;
}

/* `length` bytes, or none: then nothing is copied. */
static bool take_bytes(struct cursor *cursor, void *out, size_t length, bool *has)
{
	struct span bytes = cursor_bytes(cursor, length);
	*has = bytes.length > 0;
	if (bytes.length == length)
		memcpy(out, bytes.data, length);
	return bytes.length == 0 || bytes.length == length;
}

void list_call_encode(struct buffer *out, const struct list_call *call)
{
	bool has_owner = call->is_next && call->kind == VOLUME_CLAIM;
	pack_array(out, 5);
	pack_u64(out, COMPARE_VERSION);
	pack_u64(out, call->kind);
	pack_u64(out, call->range);
	pack_bytes(out, span_of(call->after.file.bytes, call->is_next ? HASH_BYTES : 0));
	pack_bytes(out, span_of(call->after.owner.bytes, has_owner ? ENTITY_ID_BYTES : 0));
}

int list_call_decode(struct list_call *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	bool five = cursor_array(&cursor, 5) == 5, has_owner;
	uint64_t version = cursor_u64(&cursor), kind = cursor_u64(&cursor), range = cursor_u64(&cursor);
	*out = (struct list_call){ .kind = (uint8_t)kind, .range = (uint16_t)range };
	bool whole = take_bytes(&cursor, out->after.file.bytes, HASH_BYTES, &out->is_next) && take_bytes(&cursor, out->after.owner.bytes, ENTITY_ID_BYTES, &has_owner);
	if (!five || !whole || version != COMPARE_VERSION || range > UINT16_MAX || !cursor_done(&cursor))
		return ERR_CORRUPT;
	bool fits = out->is_next == has_owner || kind == VOLUME_FILE;
	return (kind == VOLUME_FILE && !has_owner) || (kind == VOLUME_CLAIM && fits) ? 0 : ERR_CORRUPT;
}

void listed_encode(struct buffer *out, const struct listed *listed)
{
	pack_array(out, 4);
	pack_u64(out, COMPARE_VERSION);
	pack_u64(out, listed->kind);
	pack_bool(out, listed->more);
	pack_array(out, (uint32_t)listed->count);
	for (size_t i = 0; i < listed->count; i++) {
		pack_array(out, 3);
		if (listed->kind == VOLUME_FILE) {
			const struct known_file *file = &listed->files[i];
			pack_bytes(out, span_of(file->file.bytes, HASH_BYTES));
			pack_u64(out, file->length);
			pack_bytes(out, span_of(file->sha256.bytes, file->verified ? HASH_BYTES : 0));
		} else {
			const struct known_claim *claim = &listed->claims[i];
			pack_bytes(out, span_of(claim->file.bytes, HASH_BYTES));
			pack_bytes(out, span_of(claim->owner.bytes, ENTITY_ID_BYTES));
			pack_i64(out, claim->claimed_ms);
		}
	}
}

static bool take_item(struct cursor *cursor, struct listed *out, size_t i)
{
	bool three = cursor_array(cursor, 3) == 3, has_hash, has_owner = true, whole;
	if (out->kind == VOLUME_FILE) {
		struct known_file *file = &out->files[i];
		*file = (struct known_file){ 0 };
		whole = take_bytes(cursor, file->file.bytes, HASH_BYTES, &has_hash);
		file->length = cursor_u64(cursor);
		whole = take_bytes(cursor, file->sha256.bytes, HASH_BYTES, &file->verified) && whole;
	} else {
		struct known_claim *claim = &out->claims[i];
		whole = take_bytes(cursor, claim->file.bytes, HASH_BYTES, &has_hash);
		whole = take_bytes(cursor, claim->owner.bytes, ENTITY_ID_BYTES, &has_owner) && whole;
		claim->claimed_ms = cursor_i64(cursor);
	}
	return three && whole && has_hash && has_owner && !cursor->failed;
}

int listed_decode(struct listed *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	bool four = cursor_array(&cursor, 4) == 4;
	uint64_t version = cursor_u64(&cursor), kind = cursor_u64(&cursor);
	out->kind = (uint8_t)kind;
	out->more = cursor_bool(&cursor);
	out->count = cursor_array(&cursor, LIST_ITEMS_MAX);
	if (!four || version != COMPARE_VERSION || (kind != VOLUME_FILE && kind != VOLUME_CLAIM))
		return ERR_CORRUPT;
	for (size_t i = 0; i < out->count; i++)
		if (!take_item(&cursor, out, i))
			return ERR_CORRUPT;
	return cursor_done(&cursor) ? 0 : ERR_CORRUPT;
}

void chunks_call_encode(struct buffer *out, const struct chunks_call *call)
{
	pack_array(out, 3);
	pack_bytes(out, span_of(call->xorb.bytes, HASH_BYTES));
	pack_u64(out, call->first);
	pack_u64(out, call->end);
}

int chunks_call_decode(struct chunks_call *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	bool three = cursor_array(&cursor, 3) == 3;
	struct span digest = cursor_bytes(&cursor, HASH_BYTES);
	uint64_t first = cursor_u64(&cursor), end = cursor_u64(&cursor);
	if (!three || !cursor_done(&cursor) || digest.length != HASH_BYTES || first >= end || end > XORB_CHUNKS_MAX)
		return ERR_CORRUPT;
	*out = (struct chunks_call){ .first = (uint32_t)first, .end = (uint32_t)end };
	memcpy(out->xorb.bytes, digest.data, HASH_BYTES);
	return 0;
}

void table_chunks_encode(struct buffer *out, const struct xorb_chunk *chunks, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint8_t bytes[TABLE_CHUNK_BYTES];
		memcpy(bytes, chunks[i].hash.bytes, HASH_BYTES);
		le_write_u32(bytes + HASH_BYTES, chunks[i].body_end);
		le_write_u32(bytes + HASH_BYTES + 4, chunks[i].raw_end);
		buffer_append(out, bytes, sizeof(bytes));
	}
}

uint32_t table_chunks_decode(struct xorb_chunk *out, struct span body)
{
	size_t count = body.length / TABLE_CHUNK_BYTES;
	if (count > XORB_CHUNKS_MAX || count * TABLE_CHUNK_BYTES != body.length)
		return 0;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *bytes = body.data + i * TABLE_CHUNK_BYTES;
		out[i] = (struct xorb_chunk){ .body_end = le_read_u32(bytes + HASH_BYTES), .raw_end = le_read_u32(bytes + HASH_BYTES + 4) };
		memcpy(out[i].hash.bytes, bytes, HASH_BYTES);
	}
	return (uint32_t)count;
}

void records_end_encode(struct buffer *out, const struct records_end *end)
{
	pack_array(out, 5);
	pack_u64(out, end->records);
	pack_u64(out, end->next.volume);
	pack_u64(out, end->next.offset);
	pack_bool(out, end->at_end);
	pack_u64(out, end->behind_bytes);
}

int records_end_decode(struct records_end *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	bool five = cursor_array(&cursor, 5) == 5;
	uint64_t records = cursor_u64(&cursor), volume = cursor_u64(&cursor), offset = cursor_u64(&cursor);
	*out = (struct records_end){ .records = (uint32_t)records, .next = { (uint32_t)volume, offset }, .at_end = cursor_bool(&cursor) };
	out->behind_bytes = cursor_u64(&cursor);
	return five && cursor_done(&cursor) && records <= RECORDS_MAX && volume <= UINT32_MAX ? 0 : ERR_CORRUPT;
}

void xorb_name_encode(uint8_t out[XORB_NAME_BYTES], const struct xorb_name *name)
{
	memcpy(out, name->xorb.bytes, HASH_BYTES);
	le_write_u32(out + HASH_BYTES, name->body_length);
}

int xorb_name_decode(struct xorb_name *out, struct span payload)
{
	if (payload.length != XORB_NAME_BYTES)
		return ERR_CORRUPT;
	memcpy(out->xorb.bytes, payload.data, HASH_BYTES);
	out->body_length = le_read_u32(payload.data + HASH_BYTES);
	return 0;
}

int records_next(struct span *run, struct store_record *out)
{
	if (run->length == 0)
		return 0;
	if (run->length < RECORD_HEAD_BYTES || run->data[1] || run->data[2] || run->data[3])
		return ERR_CORRUPT;
	size_t length = le_read_u32(run->data + 4);
	if (length > VOLUME_PAYLOAD_BYTES_MAX || length > run->length - RECORD_HEAD_BYTES)
		return ERR_CORRUPT;
	*out = (struct store_record){ .kind = run->data[0], .payload = span_of(run->data + RECORD_HEAD_BYTES, length) };
	*run = span_of(run->data + RECORD_HEAD_BYTES + length, run->length - RECORD_HEAD_BYTES - length);
	return 1;
}

int records_add(struct buffer *run, uint8_t kind, struct span payload)
{
	uint8_t head[RECORD_HEAD_BYTES] = { kind };
	le_write_u32(head + 4, (uint32_t)payload.length);
	int err = buffer_append(run, head, sizeof(head));
	return err ? err : buffer_append(run, payload.data, payload.length);
}

/* ---- over a stream ---- */

void records_out_init(struct records_out *out, struct peer_stream *stream)
{
	*out = (struct records_out){ .stream = stream };
	buffer_init(&out->part, REPLICA_PART_BYTES);
}

void records_out_fini(struct records_out *out)
{
	buffer_fini(&out->part);
}

static int flush(struct records_out *out, struct why *why)
{
	int err = out->part.length ? peer_stream_send(out->stream, FRAME_RECORDS, 0, buffer_span(&out->part), why) : 0;
	buffer_clear(&out->part);
	return err;
}

static int add(struct records_out *out, const uint8_t *bytes, size_t length, struct why *why)
{
	while (length > 0) {
		size_t room = REPLICA_PART_BYTES - out->part.length, some = room < length ? room : length;
		if (buffer_append(&out->part, bytes, some) != 0)
			return why_set(why, ERR_NO_MEMORY, "no memory to send records");
		bytes += some;
		length -= some;
		int err = out->part.length == REPLICA_PART_BYTES ? flush(out, why) : 0;
		if (err)
			return err;
	}
	return 0;
}

int records_out_add(struct records_out *out, uint8_t kind, struct span payload, struct why *why)
{
	uint8_t head[RECORD_HEAD_BYTES] = { kind };
	le_write_u32(head + 4, (uint32_t)payload.length);
	int err = add(out, head, sizeof(head), why);
	out->count++;
	return err ? err : add(out, payload.data, payload.length, why);
}

int records_out_end(struct records_out *out, const struct records_end *end, struct why *why)
{
	struct buffer body;
	buffer_init(&body, 128);
	struct records_end told = *end;
	told.records = out->count;
	records_end_encode(&body, &told);
	int err = flush(out, why);
	if (err == 0)
		err = peer_stream_send(out->stream, FRAME_RECORDS_END, 0, buffer_span(&body), why);
	buffer_fini(&body);
	return err;
}

int records_receive(struct peer_stream *stream, struct buffer *run, struct records_end *end, struct why *why)
{
	buffer_clear(run);
	for (;;) {
		struct peer_frame frame;
		int err = peer_stream_receive(stream, &frame, why);
		if (err)
			return err;
		if (frame.type == FRAME_RECORDS_END)
			return records_end_decode(end, frame.body) == 0 ? 0 : why_set(why, ERR_CORRUPT, "the end of records does not parse");
		if (frame.type != FRAME_RECORDS)
			return error_of(&frame, why);
		if (buffer_append(run, frame.body.data, frame.body.length) != 0)
			return why_set(why, ERR_TOO_BIG, "the other node sends more records than one answer may hold");
	}
}

int call_exchange(struct peer_stream *stream, uint8_t type, const struct buffer *body, uint8_t answer_type, struct peer_frame *out, struct why *why)
{
	int err = body->failed ? ERR_NO_MEMORY : peer_stream_send(stream, type, 0, buffer_span(body), why);
	if (err == 0)
		err = peer_stream_receive(stream, out, why);
	return err ? err : out->type == answer_type ? 0 : error_of(out, why);
}

int error_send(struct peer_stream *stream, int err, const char *sentence)
{
	struct buffer body;
	buffer_init(&body, 1024);
	pack_array(&body, 2);
	pack_i64(&body, err);
	pack_text(&body, span_text(sentence));
	int sent = peer_stream_send(stream, FRAME_ERROR, 0, buffer_span(&body), NULL);
	buffer_fini(&body);
	return sent;
}

int error_of(const struct peer_frame *frame, struct why *why)
{
	struct cursor cursor = cursor_of(frame->body);
	cursor_array(&cursor, 2);
	int64_t err = cursor_i64(&cursor);
	struct span sentence = cursor_text(&cursor, WHY_BYTES_MAX - 1);
	if (frame->type != FRAME_ERROR || !cursor_done(&cursor) || err >= 0 || err < -64)
		return why_set(why, ERR_CORRUPT, "the other node answers something else than it was asked");
	return why_set(why, (int)err, "%.*s", (int)sentence.length, sentence.data ? (const char *)sentence.data : "");
}
