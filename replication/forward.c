#include "replication/forward.h"

#include "replication/meta_loop.h"
#include "replication/node.h"
#include "replication/peer_calls.h"
#include "replication/peers.h"

#include <sodium.h>
#include <stdlib.h>

void forward_init(struct forward *forward)
{
	*forward = (struct forward){ 0 };
	forward->tail = &forward->list;
	randombytes_buf(&forward->numbers, sizeof(forward->numbers));
	randombytes_buf(&forward->read.round, sizeof(forward->read.round));
	forward->numbers >>= 1; /* they only grow */
	forward->read.round >>= 1;
}

static void forwarded_free(struct forwarded *item)
{
	proposal_release(item->proposal);
	buffer_fini(&item->result);
	free(item);
}

void forward_fini(struct forward *forward)
{
	while (forward->list) {
		struct forwarded *item = forward->list;
		forward->list = item->next;
		item->proposal->next = NULL;
		proposal_settle(item->proposal, ERR_UNKNOWN_OUTCOME, 0, (struct span){ 0 }, "this node is shutting down");
		forwarded_free(item);
	}
	forward->tail = &forward->list;
}

static void send_numbers(struct consensus *c, uint64_t peer, uint8_t type, uint32_t group, uint64_t number, int err, uint64_t index, bool short_form)
{
	struct buffer body;
	buffer_init(&body, 64);
	pack_array(&body, short_form ? 1 : 3);
	pack_u64(&body, number);
	if (!short_form) {
		pack_i64(&body, err);
		pack_u64(&body, index);
	}
	peers_send(c->peers, peer, type, group, buffer_span(&body));
	buffer_fini(&body);
}

/* ---- proposals of this node ---- */

static void send_proposal(struct consensus *c, struct group *group, struct forwarded *item, uint64_t leader)
{
	struct buffer body;
	buffer_init(&body, COMMAND_BYTES_MAX + 64);
	pack_array(&body, 2);
	pack_u64(&body, item->number);
	pack_bytes(&body, span_of(item->proposal->command, item->proposal->length));
	if (!body.failed)
		peers_send(c->peers, leader, FRAME_PROPOSE, group->number, buffer_span(&body));
	buffer_fini(&body);
	item->leader = leader;
	item->sent_ms = monotonic_ms(NULL);
}

void forward_pump(struct consensus *c, struct group *group, uint64_t leader)
{
	struct forward *forward = &group->forward;
	struct proposal *proposal;
	while (leader && forward->count < FORWARDED_MAX && (proposal = proposals_take(&group->proposals)) != NULL) {
		if (proposal->remote_peer) { /* one hop only */
			proposal_settle(proposal, ERR_CLOSED, 0, (struct span){ 0 }, "this node does not lead");
			proposal_release(proposal);
			continue;
		}
		struct forwarded *item = must_alloc(sizeof(*item));
		item->proposal = proposal;
		item->number = ++forward->numbers;
		buffer_init(&item->result, PROPOSAL_RESULT_BYTES_MAX);
		*forward->tail = item;
		forward->tail = &item->next;
		forward->count++;
		send_proposal(c, group, item, leader);
	}
}

void forward_take_back(struct group *group)
{
	struct forward *forward = &group->forward;
	struct proposal *list = NULL, **tail = &list;
	for (struct forwarded **link = &forward->list; *link;) {
		struct forwarded *item = *link;
		if (item->answered) {
			link = &item->next;
			continue;
		}
		*link = item->next;
		forward->count--;
		*tail = item->proposal;
		item->proposal->next = NULL;
		atomic_fetch_add(&group->proposals.unreplicated_bytes, item->proposal->length); /* it is this node's log that it goes to now */
		tail = &item->proposal->next;
		buffer_fini(&item->result);
		free(item);
	}
	forward->tail = &forward->list;
	while (*forward->tail)
		forward->tail = &(*forward->tail)->next;
	proposals_return(list);
}

static void serve_forwarded(struct consensus *c, struct group *group, uint64_t leader)
{
	struct forward *forward = &group->forward;
	uint64_t now = monotonic_ms(NULL), applied = applier_applied(c->applier, group->number);
	for (struct forwarded **link = &forward->list; *link;) {
		struct forwarded *item = *link;
		bool over = item->answered && applied >= item->index;
		if (over || atomic_load(&item->proposal->abandoned)) {
			*link = item->next;
			forward->count--;
			if (over)
				proposal_settle(item->proposal, item->err, item->index, buffer_span(&item->result), item->err ? item->why.text : NULL);
			forwarded_free(item);
			continue;
		}
		if (!item->answered && leader && leader != c->identity.node_id &&
			(item->leader != leader || now - item->sent_ms >= FORWARD_REPEAT_MS))
			send_proposal(c, group, item, leader);
		link = &item->next;
	}
	forward->tail = &forward->list;
	while (*forward->tail)
		forward->tail = &(*forward->tail)->next;
}

static void take_proposed(struct consensus *c, struct group *group, uint64_t peer, struct span body)
{
	struct cursor cursor = cursor_of(body);
	cursor_array(&cursor, 5);
	uint64_t number = cursor_u64(&cursor);
	int64_t err = cursor_i64(&cursor);
	uint64_t index = cursor_u64(&cursor);
	struct span result = cursor_bytes(&cursor, PROPOSAL_RESULT_BYTES_MAX), sentence = cursor_text(&cursor, WHY_BYTES_MAX - 1);
	if (!cursor_done(&cursor) || err > 0 || err < -64)
		return;
	(void)c;
	for (struct forwarded *item = group->forward.list; item; item = item->next) {
		if (item->number != number || item->answered)
			continue;
		if (err == ERR_CLOSED || err == ERR_UNKNOWN_OUTCOME) { /* not the leader any more: again, soon, to whoever is */
			if (item->leader == peer)
				item->sent_ms = monotonic_ms(NULL) - FORWARD_REPEAT_MS + FORWARD_RETRY_MS;
			return;
		}
		item->answered = true;
		item->err = (int)err;
		item->index = index;
		buffer_append(&item->result, result.data, result.length);
		why_set(&item->why, 0, "%.*s", (int)sentence.length, sentence.data ? (const char *)sentence.data : "");
		return;
	}
}

/* ---- proposals of others ---- */

static void take_propose(struct consensus *c, struct group *group, uint64_t peer, struct span body)
{
	struct cursor cursor = cursor_of(body);
	struct command command;
	cursor_array(&cursor, 2);
	uint64_t number = cursor_u64(&cursor);
	struct span bytes = cursor_bytes(&cursor, COMMAND_BYTES_MAX);
	if (!cursor_done(&cursor) || command_decode(&command, bytes) != 0)
		return;
	struct driver_status status;
	struct proposal *proposal = NULL;
	driver_status(group->driver, &status);
	int err = status.role == ROLE_LEADER ? proposals_add_remote(&group->proposals, bytes, command_releases(command.type), c, peer, number, &proposal) :
		ERR_CLOSED;
	if (err == 0) {
		proposal_release(proposal); /* the queue's reference carries it; its outcome holds one of its own */
		return;
	}
	struct buffer answer;
	buffer_init(&answer, 1024);
	pack_array(&answer, 5);
	pack_u64(&answer, number);
	pack_i64(&answer, err);
	pack_u64(&answer, 0);
	pack_bytes(&answer, (struct span){ 0 });
	pack_text(&answer, span_text(err == ERR_BUSY ? "too many changes are under way, try again" : ""));
	peers_send(c->peers, peer, FRAME_PROPOSED, group->number, buffer_span(&answer));
	buffer_fini(&answer);
}

void forward_settled(struct proposal *proposal)
{
	struct consensus *c = proposal->remote_context;
	if (c->loop_closed)
		return; /* the node is stopping: the other one asks somebody else */
	atomic_fetch_add_explicit(&proposal->references, 1, memory_order_relaxed);
	pthread_mutex_lock(&c->lock);
	proposal->answer_next = c->answers;
	c->answers = proposal;
	pthread_mutex_unlock(&c->lock);
	uv_async_send(&c->wake);
}

static void answer_others(struct consensus *c)
{
	pthread_mutex_lock(&c->lock);
	struct proposal *list = c->answers;
	c->answers = NULL;
	pthread_mutex_unlock(&c->lock);
	while (list) {
		struct proposal *next = list->answer_next;
		struct buffer answer;
		buffer_init(&answer, PROPOSAL_RESULT_BYTES_MAX + 2 * WHY_BYTES_MAX);
		pack_array(&answer, 5);
		pack_u64(&answer, list->remote_number);
		pack_i64(&answer, list->err);
		pack_u64(&answer, list->index);
		pack_bytes(&answer, buffer_span(&list->result));
		pack_text(&answer, span_text(list->err ? list->why.text : ""));
		uint32_t group = (uint32_t)((const struct group *)((const char *)list->queue - offsetof(struct group, proposals)))->number;
		if (c->peers)
			peers_send(c->peers, list->remote_peer, FRAME_PROPOSED, group, buffer_span(&answer));
		buffer_fini(&answer);
		proposal_release(list);
		list = next;
	}
}

/* ---- reads ---- */

static void send_question(struct consensus *c, struct group *group, uint64_t leader)
{
	struct forward *forward = &group->forward;
	forward->read.leader = leader;
	forward->read.sent_ms = monotonic_ms(NULL);
	if (leader && leader != c->identity.node_id)
		send_numbers(c, leader, FRAME_READ, group->number, forward->read.round, 0, 0, true);
}

static void ask(struct consensus *c, struct group *group, uint64_t leader)
{
	struct forward *forward = &group->forward;
	forward->read.round++;
	forward->read.asking = true;
	forward->read.wanted = false;
	send_question(c, group, leader);
}

uint64_t forward_read(struct consensus *c, struct group *group)
{
	struct forward *forward = &group->forward;
	struct driver_status status;
	if (forward->read.asking) {
		forward->read.wanted = true;
		return forward->read.round + 1;
	}
	driver_status(group->driver, &status);
	ask(c, group, status.leader);
	return forward->read.round;
}

static void take_read_point(struct consensus *c, struct group *group, struct span body)
{
	struct cursor cursor = cursor_of(body);
	struct forward *forward = &group->forward;
	cursor_array(&cursor, 3);
	uint64_t number = cursor_u64(&cursor);
	int64_t err = cursor_i64(&cursor);
	uint64_t index = cursor_u64(&cursor);
	if (!cursor_done(&cursor) || !forward->read.asking || number != forward->read.round)
		return;
	if (err) { /* it does not lead: the turn asks again */
		forward->read.sent_ms = monotonic_ms(NULL) - READ_REPEAT_MS + FORWARD_RETRY_MS;
		return;
	}
	forward->read.asking = false;
	forward->read.done = number;
	forward->read.index = index;
	struct driver_status status;
	driver_status(group->driver, &status);
	if (forward->read.wanted)
		ask(c, group, status.leader);
}

static void take_read(struct group *group, uint64_t peer, struct span body)
{
	struct cursor cursor = cursor_of(body);
	cursor_array(&cursor, 1);
	uint64_t number = cursor_u64(&cursor);
	if (!cursor_done(&cursor))
		return;
	struct forward *forward = &group->forward;
	size_t slot = CLUSTER_NODES_MAX;
	for (size_t i = 0; i < CLUSTER_NODES_MAX; i++)
		if (!forward->asked[i].used || forward->asked[i].peer == peer) {
			slot = i;
			if (forward->asked[i].used)
				break;
		}
	if (slot == CLUSTER_NODES_MAX || (forward->asked[slot].used && forward->asked[slot].number == number))
		return; /* asked again: the round that it waits for goes on */
	forward->asked[slot].used = true; /* a newer question of a node replaces its older one */
	forward->asked[slot].asked = false;
	forward->asked[slot].peer = peer;
	forward->asked[slot].number = number;
}

static void serve_reads_of_others(struct consensus *c, struct group *group)
{
	for (size_t i = 0; i < CLUSTER_NODES_MAX; i++) {
		uint64_t index = 0, round;
		if (!group->forward.asked[i].used)
			continue;
		int err = 0;
		if (!group->forward.asked[i].asked) {
			err = driver_read(group->driver, &round);
			group->forward.asked[i].round = round;
			group->forward.asked[i].asked = err == 0;
		}
		if (err == 0)
			err = driver_read_index(group->driver, group->forward.asked[i].round, &index);
		struct driver_status status;
		driver_status(group->driver, &status);
		if (err == ERR_AGAIN || (err == ERR_CLOSED && status.role == ROLE_LEADER && !status.ready)) {
			group->forward.asked[i].asked = group->forward.asked[i].asked && err == ERR_AGAIN;
			continue; /* the barrier of a new leader is not applied yet */
		}
		group->forward.asked[i].used = false;
		driver_await_commit(group->driver, group->forward.asked[i].peer, index);
		send_numbers(c, group->forward.asked[i].peer, FRAME_READ_POINT, group->number, group->forward.asked[i].number, err, index, false);
	}
}

/* ---- turning ---- */

void forward_turn(struct consensus *c, struct group *group)
{
	struct forward *forward = &group->forward;
	struct driver_status status;
	driver_status(group->driver, &status);
	answer_others(c);
	if (!c->peers)
		return;
	serve_reads_of_others(c, group);
	if (forward->read.asking && (forward->read.leader != status.leader || monotonic_ms(NULL) - forward->read.sent_ms >= READ_REPEAT_MS))
		send_question(c, group, status.leader);
	if (forward->list)
		serve_forwarded(c, group, status.leader);
}

void forward_frame(struct consensus *c, struct group *group, uint64_t peer, const struct peer_frame *frame)
{
	switch (frame->type) {
	case FRAME_PROPOSE:
		take_propose(c, group, peer, frame->body);
		break;
	case FRAME_PROPOSED:
		take_proposed(c, group, peer, frame->body);
		break;
	case FRAME_READ:
		take_read(group, peer, frame->body);
		break;
	case FRAME_READ_POINT:
		take_read_point(c, group, frame->body);
		break;
	}
}
