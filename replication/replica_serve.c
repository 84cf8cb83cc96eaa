/* replica_serve.c - what another node asks of this one's bytes, on a thread of its own. */
#include <stdlib.h>

#include "replication/peer_calls.h"
#include "replication/replica_parts.h"
#include "schemas/record.h"
#include "store/coded.h"

enum { BATCH_FULL = 2, SHA256_FILES_MAX = 16 };

/* ---- records ---- */

struct batch {
	struct records_out out;
	uint64_t body_bytes;
	struct why *why;
};

static int tell(void *context, uint8_t kind, struct span payload)
{
	struct batch *batch = context;
	struct xorb_record xorb;
	uint8_t name[XORB_NAME_BYTES], touch[TOUCH_RECORD_BYTES];
	if (kind != VOLUME_XORB)
		return records_out_add(&batch->out, kind, payload, batch->why);
	if (xorb_record_decode(&xorb, payload) != 0 || coded_is_part(&xorb))
		return 0; /* who should have a part finds out by its coding */
	if (batch->body_bytes > 0 && batch->body_bytes + xorb.body_length > REPLICA_BATCH_BODY_BYTES)
		return BATCH_FULL; /* this one belongs to the next */
	batch->body_bytes += xorb.body_length;
	xorb_name_encode(name, &(struct xorb_name){ xorb.xorb, xorb.body_length });
	int err = records_out_add(&batch->out, VOLUME_XORB, span_of(name, sizeof(name)), batch->why);
	if (err || !xorb.sent)
		return err;
	/* Who has it already, perhaps as garbage, keeps it as if it had been sent there. */
	touch_record_encode(touch, &(struct touch_record){ xorb.xorb, xorb.stored_ms });
	return records_out_add(&batch->out, VOLUME_TOUCH, span_of(touch, sizeof(touch)), batch->why);
}

/* All before the place is durable there. */
static void note_acknowledged(struct replica *replica, uint64_t node_id, const struct pull_call *call, const struct record_place *published)
{
	const struct record_place *place = &call->from;
	uint64_t lacks_bytes = store_distance(replica->config.store, place, published);
	bool first = false;
	pthread_mutex_lock(&replica->lock);
	struct peer *peer = replica_peer(replica, node_id);
	if (peer) {
		peer->acked = true;
		peer->acked_place = *place;
		if (call->partial)
			peer->partial_until = *place;
		peer->lacks_bytes = lacks_bytes;
		first = lacks_bytes == 0 && !peer->caught_up;
		peer->caught_up = peer->caught_up || first;
		pthread_cond_broadcast(&replica->acked);
	}
	pthread_mutex_unlock(&replica->lock);
	if (first)
		store_note_level(replica->config.store, node_id);
}

static int serve_pull(struct replica *replica, struct peer_stream *stream, struct span body, struct why *why)
{
	struct store *store = replica->config.store;
	struct batch batch = { .why = why };
	struct pull_call call;
	struct records_end end = { 0 };
	struct record_place published;
	if (pull_call_decode(&call, body) != 0)
		return ERR_CORRUPT;
	store_position(store, &published);
	if (call.from.volume > published.volume || (call.from.volume == published.volume && call.from.offset > published.offset))
		call.from = (struct record_place){ 0 }; /* a place of another life of this store: everything again */
	note_acknowledged(replica, stream->peer, &call, &published);
	if (published.volume == call.from.volume && published.offset == call.from.offset && call.wait_ms)
		store_await_position(store, &published, call.wait_ms);
	records_out_init(&batch.out, stream);
	end.next = call.from;
	int err = store_read_records(store, &end.next, REPLICA_BATCH_RECORDS, REPLICA_BATCH_BYTES, tell, &batch, &end.at_end, why);
	if (err == BATCH_FULL)
		err = 0;
	store_position(store, &published);
	end.behind_bytes = store_distance(store, &end.next, &published);
	if (err == 0)
		err = records_out_end(&batch.out, &end, why);
	records_out_fini(&batch.out);
	return err;
}

static int serve_find(struct replica *replica, struct peer_stream *stream, struct span body, struct why *why)
{
	struct find_call call;
	struct sha256 sha256;
	struct hash files[SHA256_FILES_MAX];
	size_t count = 1;
	struct batch batch = { .why = why };
	if (find_call_decode(&call, body) != 0)
		return ERR_CORRUPT;
	memcpy(files[0].bytes, call.digest, HASH_BYTES);
	memcpy(sha256.bytes, call.digest, HASH_BYTES);
	if (call.what == FIND_CODED || call.what == FIND_RANGE_CODED)
		count = 0;
	if (call.what == FIND_SHA256)
		count = store_files_with_sha256(replica->config.store, &sha256, files, SHA256_FILES_MAX);
	records_out_init(&batch.out, stream);
	int err = call.what == FIND_CODED ? store_tell_codings(replica->config.store, &files[0], tell, &batch, why) :
		call.what == FIND_RANGE_CODED ? store_codings_of_range(replica->config.store, (uint16_t)(call.digest[0] << 8 | call.digest[1]), RANGE_CODED_MAX, tell, &batch) : 0;
	for (size_t i = 0; i < count && (err == 0 || err == ERR_NOT_FOUND); i++)
		err = (call.what == FIND_RECORD ? store_tell_record : store_tell_file)(replica->config.store, &files[i], tell, &batch, why);
	if (err && err != ERR_CLOSED && batch.out.count == 0)
		err = error_send(stream, err, why->text);
	else if (err == 0 || err == ERR_NOT_FOUND)
		err = records_out_end(&batch.out, &(struct records_end){ 0 }, why);
	records_out_fini(&batch.out);
	return err;
}

/* ---- bodies ---- */

/* A frame holds whole chunks, so that who receives it checks them where they lie. */
static int send_body(struct peer_stream *stream, struct xorb_reader *reader, uint64_t length, struct why *why)
{
	struct buffer body;
	buffer_init(&body, 64);
	pack_array(&body, 1);
	pack_u64(&body, length);
	int err = peer_stream_send(stream, FRAME_XORB_BODY, 0, buffer_span(&body), why);
	for (uint64_t sent = 0; err == 0 && sent < length;) {
		struct span chunks;
		err = xorb_reader_run(reader, true, &chunks, why);
		if (err == 0)
			err = chunks.length ? peer_stream_send(stream, FRAME_XORB_BYTES, 0, chunks, why) : ERR_CORRUPT;
		sent += err == 0 ? chunks.length : 0;
	}
	buffer_fini(&body);
	return err;
}

static int hash_of_call(struct hash *out, struct span body)
{
	struct cursor cursor = cursor_of(body);
	cursor_array(&cursor, 1);
	struct span digest = cursor_bytes(&cursor, HASH_BYTES);
	if (!cursor_done(&cursor) || digest.length != HASH_BYTES)
		return ERR_CORRUPT;
	memcpy(out->bytes, digest.data, HASH_BYTES);
	return 0;
}

/* Sends body bytes [start, end) of a xorb that may be here, or says why not. */
static int serve_body(struct replica *replica, struct peer_stream *stream, int err, const struct hash *xorb, uint64_t start, uint64_t end, struct why *why)
{
	struct xorb_reader *reader = NULL;
	if (err == 0)
		err = xorb_reader_open_here(&reader, replica->config.store, xorb, start, end, why);
	if (err)
		return error_send(stream, err == ERR_NO_MEMORY ? ERR_BUSY : err, "this node has no good copy of the xorb");
	err = send_body(stream, reader, end - start, why);
	if (err && err != ERR_CLOSED) /* instead of the rest; whoever gets it knows that it is not whole */
		err = error_send(stream, err, "this node's copy of the xorb is damaged");
	xorb_reader_close(reader);
	return err;
}

/* A xorb that is missing or damaged here is refused, never fetched for somebody else: two nodes without it would ask each other for ever. */
static int serve_xorb(struct replica *replica, struct peer_stream *stream, struct span body, struct why *why)
{
	struct store *store = replica->config.store;
	struct xorb_info info = { 0 };
	struct hash xorb;
	if (hash_of_call(&xorb, body) != 0)
		return ERR_CORRUPT;
	int err = store_has_xorb(store, &xorb) ? store_xorb_info(store, &xorb, &info) : ERR_NOT_FOUND;
	return serve_body(replica, stream, err, &xorb, 0, info.body_length, why);
}

static int serve_table(struct replica *replica, struct peer_stream *stream, struct span body, struct why *why)
{
	struct store *store = replica->config.store;
	struct xorb_table *table = NULL;
	struct hash xorb;
	struct buffer answer;
	if (hash_of_call(&xorb, body) != 0)
		return ERR_CORRUPT;
	int err = store_has_xorb(store, &xorb) ? store_xorb_table(store, &xorb, &table, why) : ERR_NOT_FOUND;
	if (err)
		return error_send(stream, err == ERR_NO_MEMORY ? ERR_BUSY : err, "this node has no good copy of the xorb");
	buffer_init(&answer, XORB_CHUNKS_MAX * TABLE_CHUNK_BYTES);
	table_chunks_encode(&answer, table->chunks, table->count);
	xorb_table_release(table);
	err = answer.failed ? error_send(stream, ERR_BUSY, "no memory for a chunk table") : peer_stream_send(stream, FRAME_TABLE_CHUNKS, 0, buffer_span(&answer), why);
	buffer_fini(&answer);
	return err;
}

static int serve_chunks(struct replica *replica, struct peer_stream *stream, struct span body, struct why *why)
{
	struct store *store = replica->config.store;
	struct xorb_table *table = NULL;
	struct chunks_call call;
	uint64_t start = 0, end = 0;
	if (chunks_call_decode(&call, body) != 0)
		return ERR_CORRUPT;
	int err = store_has_xorb(store, &call.xorb) ? store_xorb_table(store, &call.xorb, &table, why) : ERR_NOT_FOUND;
	if (err == 0 && call.end > table->count) {
		err = ERR_RANGE;
	} else if (err == 0) {
		start = call.first ? table->chunks[call.first - 1].body_end : 0;
		end = table->chunks[call.end - 1].body_end;
	}
	xorb_table_release(table);
	return serve_body(replica, stream, err, &call.xorb, start, end, why);
}

/* ---- what is held here ---- */

static int serve_keep(struct replica *replica, struct peer_stream *stream, struct span body, struct why *why)
{
	struct store *store = replica->config.store;
	struct keep_call *call = malloc(sizeof(*call));
	struct kept *kept = malloc(sizeof(*kept));
	struct buffer answer;
	buffer_init(&answer, REPLICA_PART_BYTES);
	int err = call && kept ? keep_call_decode(call, body) : ERR_NO_MEMORY;
	/* First: the ages are those at the time of the question. */
	bool stay = err == 0 && (!call->aged || store_make_as_young(store, call->xorbs, call->ages_ms, call->count, NULL) == 0);
	for (size_t i = 0; stay && call->fetch && i < call->count && !atomic_load(&replica->stop); i++)
		if (!store_has_xorb(store, &call->xorbs[i]))
			replica_fetch_from(replica, stream->peer, &call->xorbs[i], NULL);
	if (err == 0) {
		/* With giving up held off: what is said here is true by the epoch that is said. */
		pthread_rwlock_rdlock(&replica->placing);
		kept->epoch = replica->placement.epoch;
		kept->count = call->count;
		for (size_t i = 0; i < call->count; i++) {
			struct xorb_info info = { 0 };
			bool has = stay && store_has_xorb(store, &call->xorbs[i]) && store_xorb_info(store, &call->xorbs[i], &info) == 0;
			kept->lengths[i] = has ? (uint32_t)info.body_length : 0;
		}
		pthread_rwlock_unlock(&replica->placing);
		kept_encode(&answer, kept);
		err = peer_stream_send(stream, FRAME_KEPT, 0, buffer_span(&answer), why);
	}
	buffer_fini(&answer);
	free(call);
	free(kept);
	return err;
}

static int serve_care(struct replica *replica, struct peer_stream *stream, struct span body, struct why *why)
{
	struct replica_care care;
	struct buffer answer;
	replica_care(replica, &care);
	buffer_init(&answer, REPLICA_PART_BYTES);
	care_encode(&answer, care_call_decode(body), &care);
	int err = peer_stream_send(stream, FRAME_CARED, 0, buffer_span(&answer), why);
	buffer_fini(&answer);
	return err;
}

/* A node that was removed keeps its stream; it gets nothing more over it. A new one comes again in a moment. */
static bool is_member(struct replica *replica, uint64_t node_id)
{
	pthread_mutex_lock(&replica->lock);
	const struct peer *peer = replica_peer(replica, node_id);
	bool member = peer && peer->member;
	pthread_mutex_unlock(&replica->lock);
	return member;
}

void replica_serve(void *context, struct peer_stream *stream, const struct peer_frame *first)
{
	struct replica *replica = context;
	struct peer_frame frame = *first;
	struct why why = { 0 };
	bool follows = false;
	stream->wait_ms = REPLICA_STREAM_WAIT_MS;
	for (int err = 0; err == 0 && !atomic_load(&replica->stop) && is_member(replica, stream->peer);) {
		if (frame.type == FRAME_PULL && !follows) {
			follows = true;
			pthread_mutex_lock(&replica->lock);
			struct peer *peer = replica_peer(replica, stream->peer);
			if (peer)
				peer->streams++;
			pthread_mutex_unlock(&replica->lock);
		}
		switch (frame.type) {
		case FRAME_PULL: err = serve_pull(replica, stream, frame.body, &why); break;
		case FRAME_FIND: err = serve_find(replica, stream, frame.body, &why); break;
		case FRAME_XORB: err = serve_xorb(replica, stream, frame.body, &why); break;
		case FRAME_TABLE: err = serve_table(replica, stream, frame.body, &why); break;
		case FRAME_CHUNKS: err = serve_chunks(replica, stream, frame.body, &why); break;
		case FRAME_KEEP: err = serve_keep(replica, stream, frame.body, &why); break;
		case FRAME_COMPARE: err = replica_serve_compare(replica, stream, frame.body, &why); break;
		case FRAME_LIST: err = replica_serve_list(replica, stream, frame.body, &why); break;
		case FRAME_CARE: err = serve_care(replica, stream, frame.body, &why); break;
		default: err = ERR_UNSUPPORTED;
		}
		if (err == 0)
			err = peer_stream_receive(stream, &frame, &why);
	}
	if (!follows)
		return;
	pthread_mutex_lock(&replica->lock);
	struct peer *peer = replica_peer(replica, stream->peer);
	if (peer)
		peer->streams--;
	pthread_mutex_unlock(&replica->lock);
}
