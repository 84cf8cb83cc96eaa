/* replica_take.c - takes what another node sends over a stream: records, and bodies of the xorbs that they need. */
#include <stdio.h>
#include <stdlib.h>

#include "replication/peer_calls.h"
#include "replication/replica_parts.h"
#include "schemas/record.h"
#include "schemas/volume_record.h"

enum { WINDOW = 3 /* xorbs asked for ahead: the next one travels while this one is made durable */ };

void take_init(struct take *take, struct replica *replica, struct peer *peer, struct peer_stream *stream)
{
	*take = (struct take){ .replica = replica, .peer = peer, .stream = stream };
	buffer_init(&take->run, RECORDS_BYTES_MAX);
}

void take_fini(struct take *take)
{
	buffer_fini(&take->run);
}

/* ---- one transfer of a xorb at a time ---- */

static size_t transfer_of(const struct replica *replica, const struct hash *xorb)
{
	size_t at = 0;
	while (at < replica->transfers_count && !hash_equal(&replica->transfers[at], xorb))
		at++;
	return at;
}

bool transfer_begin(struct replica *replica, const struct hash *xorb, bool wait)
{
	struct timespec until = replica_in_ms(REPLICA_FETCH_WAIT_MS);
	pthread_mutex_lock(&replica->lock);
	bool waited = false;
	while (wait && !atomic_load(&replica->stop) && (transfer_of(replica, xorb) < replica->transfers_count || replica->transfers_count == TRANSFERS_MAX)) {
		waited = true;
		if (pthread_cond_timedwait(&replica->landed, &replica->lock, &until) != 0)
			break;
	}
	bool mine = !waited && transfer_of(replica, xorb) == replica->transfers_count && replica->transfers_count < TRANSFERS_MAX;
	if (mine)
		replica->transfers[replica->transfers_count++] = *xorb;
	pthread_mutex_unlock(&replica->lock);
	return mine;
}

void transfer_end(struct replica *replica, const struct hash *xorb)
{
	pthread_mutex_lock(&replica->lock);
	size_t at = transfer_of(replica, xorb);
	if (at < replica->transfers_count)
		replica->transfers[at] = replica->transfers[--replica->transfers_count];
	pthread_cond_broadcast(&replica->landed);
	pthread_mutex_unlock(&replica->lock);
}

/* ---- bodies ---- */

/* A node that is far behind leaves the others some of their bandwidth, if it was told to. */
static void hold_back(struct take *take, size_t bytes)
{
	struct replica *replica = take->replica;
	uint64_t rate = replica->config.bytes_per_s, now = replica_now_ms();
	if (!rate || !take->peer || take->far_behind_bytes < REPLICA_FAR_BEHIND_BYTES)
		return;
	if (!take->began_ms || now - take->began_ms > 10 * 1000) {
		take->began_ms = now;
		take->bytes = 0;
	}
	take->bytes += bytes;
	uint64_t due_ms = take->began_ms + take->bytes * 1000 / rate;
	struct timespec until = replica_in_ms(due_ms > now ? due_ms - now : 0);
	pthread_mutex_lock(&replica->lock);
	while (due_ms > now && !atomic_load(&replica->stop) && pthread_cond_timedwait(&replica->wake, &replica->lock, &until) == 0)
		;
	pthread_mutex_unlock(&replica->lock);
}

static int ask_xorb(struct take *take, const struct hash *xorb, struct why *why)
{
	struct buffer body;
	buffer_init(&body, 64);
	pack_array(&body, 1);
	pack_bytes(&body, span_of(xorb->bytes, HASH_BYTES));
	int err = peer_stream_send(take->stream, FRAME_XORB, 0, buffer_span(&body), why);
	buffer_fini(&body);
	return err;
}

int receive_length(struct peer_stream *stream, uint64_t *length, bool *broken, struct why *why)
{
	struct peer_frame frame;
	int err = peer_stream_receive(stream, &frame, why);
	if (err) {
		*broken = true;
		return err;
	}
	if (frame.type != FRAME_XORB_BODY) {
		*broken = frame.type != FRAME_ERROR;
		return error_of(&frame, why);
	}
	struct cursor cursor = cursor_of(frame.body);
	cursor_array(&cursor, 1);
	*length = cursor_u64(&cursor);
	*broken = !cursor_done(&cursor);
	return *broken ? why_set(why, ERR_CORRUPT, "a length was expected") : 0;
}

static int receive_body(struct take *take, struct xorb_upload *upload, uint64_t length, bool *broken, struct why *why)
{
	int err = 0;
	*broken = true; /* unless it comes to its end */
	for (uint64_t received = 0; err == 0 && received < length;) {
		struct peer_frame frame;
		err = peer_stream_receive(take->stream, &frame, why);
		if (err)
			break;
		if (frame.type != FRAME_XORB_BYTES) {
			*broken = frame.type != FRAME_ERROR;
			return error_of(&frame, why);
		}
		received += frame.body.length;
		err = xorb_upload_write(upload, frame.body.data, frame.body.length, why);
		if (take->peer)
			replica_note_received(take->peer, frame.body.length);
		hold_back(take, frame.body.length);
	}
	*broken = err != 0;
	return err;
}

/* The answer to ask_xorb. It is verified like one that a client sends. */
static int receive_xorb(struct take *take, const struct hash *xorb, bool *broken, struct why *why)
{
	struct xorb_upload *upload = NULL;
	uint64_t length = 0;
	bool inserted = false;
	int err = receive_length(take->stream, &length, broken, why);
	if (err)
		return err;
	err = xorb_copy_open(&upload, take->replica->config.store, xorb, length, why);
	*broken = err != 0; /* what is on its way belongs to nobody */
	if (err == 0)
		err = receive_body(take, upload, length, broken, why);
	if (err == 0)
		err = xorb_upload_commit(upload, &inserted, why);
	xorb_upload_close(upload);
	if (err == 0) {
		pthread_mutex_lock(&take->replica->lock);
		take->replica->status.received_bytes += length;
		take->replica->status.received_xorbs++;
		if (take->peer) {
			take->peer->taken_bytes += length;
			take->peer->taken_xorbs++;
		}
		pthread_mutex_unlock(&take->replica->lock);
	}
	return err;
}

int take_xorb(struct take *take, const struct hash *xorb, bool *broken, struct why *why)
{
	int err = ask_xorb(take, xorb, why);
	*broken = err != 0;
	return err ? err : receive_xorb(take, xorb, broken, why);
}

/* The other node does not have it, or not whole: who needs it looks for it elsewhere. */
static bool is_passable(int err, bool broken)
{
	return !broken && (err == ERR_NOT_FOUND || err == ERR_CORRUPT);
}

struct wanted {
	struct hash xorb;
	bool asked;
};

/* Those that nobody fetches now, some ahead. *left: moved to the front, the others. */
static int take_ahead(struct take *take, struct wanted *wanted, size_t count, size_t *left, struct why *why)
{
	struct replica *replica = take->replica;
	size_t asked = 0, at = 0;
	int err = 0;
	*left = 0;
	for (; at < count && err == 0; at++) {
		for (; asked < count && asked < at + WINDOW && err == 0; asked++) {
			wanted[asked].asked = !store_has_xorb(replica->config.store, &wanted[asked].xorb) && transfer_begin(replica, &wanted[asked].xorb, false);
			if (wanted[asked].asked)
				err = ask_xorb(take, &wanted[asked].xorb, why);
		}
		if (err)
			break;
		if (!wanted[at].asked) {
			wanted[(*left)++].xorb = wanted[at].xorb;
			continue;
		}
		bool broken;
		err = receive_xorb(take, &wanted[at].xorb, &broken, why);
		transfer_end(replica, &wanted[at].xorb);
		wanted[at].asked = false;
		if (is_passable(err, broken))
			err = 0;
	}
	for (; at < asked; at++)
		if (wanted[at].asked)
			transfer_end(replica, &wanted[at].xorb);
	return err;
}

/* Without holding on to any other: nobody waits for one who waits. */
static int take_after_others(struct take *take, const struct hash *xorb, struct why *why)
{
	struct replica *replica = take->replica;
	bool broken = false;
	while (!store_has_xorb(replica->config.store, xorb) && !atomic_load(&replica->stop)) {
		if (!transfer_begin(replica, xorb, true))
			continue;
		int err = store_has_xorb(replica->config.store, xorb) ? 0 : take_xorb(take, xorb, &broken, why);
		transfer_end(replica, xorb);
		return is_passable(err, broken) ? 0 : err;
	}
	return 0;
}

static int take_xorbs(struct take *take, struct wanted *wanted, size_t count, struct why *why)
{
	size_t left;
	int err = take_ahead(take, wanted, count, &left, why);
	for (size_t i = 0; i < left && err == 0; i++)
		err = take_after_others(take, &wanted[i].xorb, why);
	return err;
}

/* ---- what records need ---- */

struct need {
	struct take *take;
	struct why *why;
};

/* How a xorb was coded is told behind the files that need it: it is asked for here, or a node that is new would take whole copies of what it should have parts of. */
static int learn_coding(struct take *take, const struct hash *xorb, struct why *why)
{
	struct coded_record known[CODINGS_MAX];
	struct find_call call = { .what = FIND_CODED };
	struct take inner;
	if (!take->peer || take->placement.erasure_data == 0 || store_codings(take->replica->config.store, xorb, known) > 0)
		return 0;
	memcpy(call.digest, xorb->bytes, HASH_BYTES);
	take_init(&inner, take->replica, take->peer, take->stream);
	int err = take_found(&inner, &call, why);
	take_fini(&inner);
	return err == ERR_NOT_FOUND ? 0 : err;
}

/* Parts are left to the walk. */
static int take_needed_xorb(void *context, const struct hash *xorb)
{
	struct need *need = context;
	struct replica *replica = need->take->replica;
	bool holds = replica_holds(replica, &need->take->placement, xorb, replica->node_id);
	int err = holds ? learn_coding(need->take, xorb, need->why) : 0;
	if (err)
		return err;
	if (!holds || !replica_holds(replica, &need->take->placement, xorb, replica->node_id)) {
		need->take->partial = true;
		return 0;
	}
	err = take_after_others(need->take, xorb, need->why);
	if (err || store_has_xorb(replica->config.store, xorb))
		return err;
	err = replica_fetch_from(replica, 0, xorb, need->why);
	if (err != ERR_NOT_FOUND && err != ERR_CORRUPT)
		return err; /* another time */
	char text[HASH_TEXT_BYTES];
	hash_to_text(text, xorb);
	fprintf(stderr, "cairn: replica: no node has a good copy of xorb %s, which a file needs\n", text);
	return 0;
}

static int take_wanted_xorb(void *context, const struct hash *xorb)
{
	struct need *need = context;
	return store_has_xorb(need->take->replica->config.store, xorb) ? 0 : take_needed_xorb(context, xorb);
}

/* Whose claim it is may want more copies of the file than there were reasons for before. */
static int take_wanted(struct take *take, const struct claim_record *claim, struct why *why)
{
	struct need need = { take, why };
	if (!take->peer || replica_repo_wants(take->replica, &take->placement, &claim->owner) <= placement_least(&take->placement))
		return 0;
	int err = store_xorbs_of_file(take->replica->config.store, &claim->file, take_wanted_xorb, &need, why);
	return err == ERR_NOT_FOUND || err == ERR_CORRUPT ? 0 : err;
}

/* A claim on a file that is not here: it was collected as garbage while its claim was on its way, or it is in another node's records. */
static int take_claimed(struct take *take, struct span payload, struct why *why)
{
	struct claim_record claim;
	struct file_info info;
	struct find_call call = { .what = FIND_FILE };
	struct take inner;
	if (claim_record_decode(&claim, payload) != 0)
		return 0;
	if (store_file_info(take->replica->config.store, &claim.file, &info) != ERR_NOT_FOUND)
		return take_wanted(take, &claim, why);
	memcpy(call.digest, claim.file.bytes, HASH_BYTES);
	take_init(&inner, take->replica, take->peer, take->stream);
	int err = take_found(&inner, &call, why);
	take->partial = take->partial || inner.partial;
	take_fini(&inner);
	return err == ERR_NOT_FOUND ? 0 : err; /* gone there as well */
}

/* ---- a run of records ---- */

struct run {
	struct store_record *small;
	struct wanted *xorbs; /* that belong here */
	size_t small_count, xorbs_count;
};

/* Who follows takes what placement gives this node; who is asked for a reader, whatever the reader wants. */
static bool belongs_here(struct take *take, const struct hash *xorb)
{
	return !take->peer || replica_holds(take->replica, &take->placement, xorb, take->replica->node_id);
}

static int add_xorb(struct take *take, struct run *run, const struct hash *xorb)
{
	if (!belongs_here(take, xorb))
		take->partial = true;
	else if (run->xorbs_count == RECORDS_MAX)
		return ERR_CORRUPT;
	else
		run->xorbs[run->xorbs_count++] = (struct wanted){ .xorb = *xorb };
	return 0;
}

/* A client sent it again to a node that has it, and leans on as many copies as of a new one. Not when that was long ago: nodes collect garbage at different
 * times. */
static int add_touched(struct take *take, struct run *run, struct span payload)
{
	struct touch_record record;
	struct hash whole;
	if (touch_record_decode(&record, payload) != 0 || store_now_ms() - record.touched_ms > STORE_YOUNG_MS ||
		(run->xorbs_count > 0 && hash_equal(&run->xorbs[run->xorbs_count - 1].xorb, &record.xorb)) ||
		store_xorb_of_part(take->replica->config.store, &record.xorb, &whole) == 0 || store_is_part(take->replica->config.store, &record.xorb))
		return 0;
	return add_xorb(take, run, &record.xorb);
}

static int split(struct take *take, struct run *run)
{
	struct span rest = buffer_span(&take->run);
	struct store_record record;
	struct xorb_name name;
	int more;
	while ((more = records_next(&rest, &record)) == 1) {
		int err = 0;
		if (run->small_count == RECORDS_MAX || record.kind == VOLUME_FRAGMENT || record.kind == VOLUME_DROP)
			return ERR_CORRUPT;
		if (record.kind == VOLUME_XORB)
			err = xorb_name_decode(&name, record.payload) != 0 ? ERR_CORRUPT : add_xorb(take, run, &name.xorb);
		else
			run->small[run->small_count++] = record;
		if (record.kind == VOLUME_TOUCH)
			err = add_touched(take, run, record.payload);
		if (err)
			return err;
	}
	return more;
}

static int take_split(struct take *take, struct run *run, struct why *why)
{
	struct store *store = take->replica->config.store;
	struct need need = { take, why };
	int err = take->peer ? take_xorbs(take, run->xorbs, run->xorbs_count, why) : 0;
	if (err == 0)
		err = store_take_records(store, run->small, run->small_count, why);
	/* What was garbage here may have been collected before it was touched. */
	for (size_t i = 0; i < run->xorbs_count && take->peer && err == 0; i++)
		err = take_after_others(take, &run->xorbs[i].xorb, why);
	for (size_t i = 0; i < run->small_count && err == 0; i++) {
		if (run->small[i].kind == VOLUME_FILE && take->peer)
			err = store_missing_xorbs(store, run->small[i].payload, take_needed_xorb, &need);
		else if (run->small[i].kind == VOLUME_CLAIM)
			err = take_claimed(take, run->small[i].payload, why);
	}
	return err;
}

int take_run(struct take *take, struct why *why)
{
	struct run run = { 0 };
	take->partial = false;
	if (take->run.length == 0)
		return 0;
	replica_placement(take->replica, &take->placement);
	run.small = malloc(RECORDS_MAX * sizeof(*run.small));
	run.xorbs = malloc(RECORDS_MAX * sizeof(*run.xorbs));
	int err = run.small && run.xorbs ? split(take, &run) : ERR_NO_MEMORY;
	if (err)
		why_set(why, err, err == ERR_CORRUPT ? "records of another node do not parse" : "no memory for records");
	else
		err = take_split(take, &run, why);
	if (err == 0 && take->peer) {
		pthread_mutex_lock(&take->replica->lock);
		take->peer->taken_records += run.small_count;
		pthread_mutex_unlock(&take->replica->lock);
	}
	free(run.small);
	free(run.xorbs);
	return err;
}

int take_found(struct take *take, const struct find_call *call, struct why *why)
{
	struct records_end end;
	struct buffer body;
	buffer_init(&body, 64);
	find_call_encode(&body, call);
	int err = peer_stream_send(take->stream, FRAME_FIND, 0, buffer_span(&body), why);
	buffer_fini(&body);
	if (err == 0)
		err = records_receive(take->stream, &take->run, &end, why);
	if (err == 0 && end.records == 0)
		err = ERR_NOT_FOUND;
	return err ? err : take_run(take, why);
}
