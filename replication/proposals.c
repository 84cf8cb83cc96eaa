#include "replication/proposals.h"

#include "replication/forward.h"
#include "replication/node.h"

#include <stdlib.h>
#include <time.h>

void proposals_init(struct proposals *proposals)
{
	*proposals = (struct proposals){ 0 };
	proposals->tail = &proposals->head;
	pthread_mutex_init(&proposals->lock, NULL);
	atomic_init(&proposals->unapplied_bytes, 0);
	atomic_init(&proposals->unreplicated_bytes, 0);
}

void proposals_fini(struct proposals *proposals)
{
	proposals_refuse(proposals, ERR_CLOSED, "this node is shutting down", true);
	pthread_mutex_destroy(&proposals->lock);
}

static struct proposal *make(struct proposals *queue, struct span command, bool releases)
{
	struct proposal *proposal = must_alloc(sizeof(*proposal) + command.length);
	atomic_init(&proposal->references, 2); /* the caller's and the queue's */
	proposal->queue = queue;
	proposal->releases = releases;
	pthread_mutex_init(&proposal->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&proposal->settled_wake, &attributes);
	pthread_condattr_destroy(&attributes);
	buffer_init(&proposal->result, PROPOSAL_RESULT_BYTES_MAX);
	proposal->length = command.length;
	memcpy(proposal->command, command.data, command.length);
	return proposal;
}

static int add(struct proposals *proposals, struct span command, bool releases, const struct proposal *remote, struct proposal **out, struct why *why)
{
	int err = 0;
	*out = NULL;
	pthread_mutex_lock(&proposals->lock);
	if (proposals->closed)
		err = why_set(why, ERR_CLOSED, "this node is shutting down");
	else if (proposals->waiting_count >= PROPOSALS_WAITING_MAX ||
		atomic_load(&proposals->unapplied_bytes) + command.length > PROPOSALS_UNAPPLIED_BYTES_MAX ||
		atomic_load(&proposals->unreplicated_bytes) + command.length > PROPOSALS_UNREPLICATED_BYTES_MAX)
		err = why_set(why, ERR_BUSY, "too many changes are under way, try again");
	if (err == 0) {
		struct proposal *proposal = make(proposals, command, releases);
		if (remote) {
			proposal->remote_context = remote->remote_context;
			proposal->remote_peer = remote->remote_peer;
			proposal->remote_number = remote->remote_number;
		}
		*proposals->tail = proposal;
		proposals->tail = &proposal->next;
		proposals->waiting_count++;
		atomic_fetch_add(&proposals->unapplied_bytes, command.length);
		atomic_fetch_add(&proposals->unreplicated_bytes, command.length);
		*out = proposal;
	}
	pthread_mutex_unlock(&proposals->lock);
	return err;
}

int proposals_add(struct proposals *proposals, struct span command, bool releases, struct proposal **out, struct why *why)
{
	return add(proposals, command, releases, NULL, out, why);
}

int proposals_add_remote(struct proposals *proposals, struct span command, bool releases, void *context, uint64_t peer, uint64_t number,
	struct proposal **out)
{
	const struct proposal remote = { .remote_context = context, .remote_peer = peer, .remote_number = number };
	return add(proposals, command, releases, &remote, out, NULL);
}

struct proposal *proposals_take(struct proposals *proposals)
{
	for (;;) {
		pthread_mutex_lock(&proposals->lock);
		struct proposal *proposal = proposals->head;
		if (proposal) {
			proposals->head = proposal->next;
			proposals->waiting_count--;
			if (!proposals->head)
				proposals->tail = &proposals->head;
		}
		pthread_mutex_unlock(&proposals->lock);
		if (!proposal)
			return NULL;
		proposal->next = NULL;
		atomic_fetch_sub(&proposal->queue->unreplicated_bytes, proposal->length);
		if (!atomic_load(&proposal->abandoned))
			return proposal;
		proposals_release(proposal);
	}
}

int proposal_wait(struct proposal *proposal, int64_t deadline_ms)
{
	struct timespec deadline = { .tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000 };
	int timed_out = 0;
	pthread_mutex_lock(&proposal->lock);
	while (!proposal->settled && timed_out == 0)
		timed_out = pthread_cond_timedwait(&proposal->settled_wake, &proposal->lock, &deadline);
	bool settled = proposal->settled;
	if (!settled)
		atomic_store(&proposal->abandoned, true);
	pthread_mutex_unlock(&proposal->lock);
	return settled ? 0 : ERR_UNKNOWN_OUTCOME;
}

void proposal_settle(struct proposal *proposal, int err, uint64_t index, struct span result, const char *sentence)
{
	pthread_mutex_lock(&proposal->lock);
	bool first = !proposal->settled;
	if (first) {
		proposal->settled = true;
		proposal->err = err;
		proposal->index = index;
		buffer_append(&proposal->result, result.data, result.length);
		if (sentence)
			why_set(&proposal->why, err, "%s", sentence);
		atomic_fetch_sub(&proposal->queue->unapplied_bytes, proposal->length);
	}
	pthread_mutex_unlock(&proposal->lock);
	if (first)
		pthread_cond_signal(&proposal->settled_wake); /* not under the lock: who wakes would wait for it at once */
	if (first && proposal->remote_peer)
		forward_settled(proposal);
}

void proposal_release(struct proposal *proposal)
{
	if (atomic_fetch_sub_explicit(&proposal->references, 1, memory_order_acq_rel) != 1)
		return;
	buffer_fini(&proposal->result);
	pthread_mutex_destroy(&proposal->lock);
	pthread_cond_destroy(&proposal->settled_wake);
	free(proposal);
}

void proposals_release(struct proposal *list)
{
	while (list) {
		struct proposal *next = list->next;
		proposal_settle(list, ERR_UNKNOWN_OUTCOME, 0, (struct span){ 0 }, "the outcome is not known, retry with the same id");
		proposal_release(list);
		list = next;
	}
}

static void refuse_list(struct proposal *list, int err, const char *sentence)
{
	while (list) {
		struct proposal *next = list->next;
		atomic_fetch_sub(&list->queue->unreplicated_bytes, list->length);
		proposal_settle(list, err, 0, (struct span){ 0 }, sentence);
		proposal_release(list);
		list = next;
	}
}

void proposals_return(struct proposal *list)
{
	if (!list)
		return;
	struct proposals *queue = list->queue; /* of the whole list, as an entry belongs to one group */
	struct proposal *last = list;
	size_t count = 1;
	for (; last->next; last = last->next)
		count++;
	pthread_mutex_lock(&queue->lock);
	bool closed = queue->closed;
	if (!closed) {
		last->next = queue->head;
		if (!queue->head)
			queue->tail = &last->next;
		queue->head = list;
		queue->waiting_count += count;
	}
	pthread_mutex_unlock(&queue->lock);
	if (closed)
		refuse_list(list, ERR_UNKNOWN_OUTCOME, "this node is shutting down");
}

struct proposal *proposals_gather(struct proposals *proposals, int64_t leader_ms, bool releases_only, struct buffer *payload)
{
	struct proposal *taken = NULL, **taken_tail = &taken, *refused = NULL;
	uint32_t count = 0;
	size_t bytes = 0;
	pthread_mutex_lock(&proposals->lock);
	while (proposals->head && count < COMMANDS_PER_ENTRY_MAX) {
		struct proposal *proposal = proposals->head;
		bool refuse = atomic_load(&proposal->abandoned) || (releases_only && !proposal->releases);
		if (!refuse && count > 0 && bytes + proposal->length > PROPOSAL_ENTRY_BYTES_MAX)
			break;
		proposals->head = proposal->next;
		proposals->waiting_count--;
		if (refuse) {
			proposal->next = refused;
			refused = proposal;
			continue;
		}
		proposal->next = NULL;
		*taken_tail = proposal;
		taken_tail = &proposal->next;
		count++;
		bytes += proposal->length;
	}
	if (!proposals->head)
		proposals->tail = &proposals->head;
	pthread_mutex_unlock(&proposals->lock);

	refuse_list(refused, ERR_NO_SPACE, "the disk is nearly full: only deletions are accepted until more than 272 MiB are free");
	if (!taken)
		return NULL;
	command_entry_begin(payload, leader_ms, count);
	for (const struct proposal *proposal = taken; proposal; proposal = proposal->next)
		buffer_append(payload, proposal->command, proposal->length);
	if (payload->failed)
		node_stop("no memory for a log entry of %zu bytes", bytes);
	return taken;
}

void proposals_refuse(struct proposals *proposals, int err, const char *sentence, bool close)
{
	pthread_mutex_lock(&proposals->lock);
	struct proposal *list = proposals->head;
	proposals->head = NULL;
	proposals->tail = &proposals->head;
	proposals->waiting_count = 0;
	proposals->closed = proposals->closed || close;
	pthread_mutex_unlock(&proposals->lock);
	refuse_list(list, err, sentence);
}

size_t proposals_waiting(struct proposals *proposals)
{
	pthread_mutex_lock(&proposals->lock);
	size_t count = proposals->waiting_count;
	pthread_mutex_unlock(&proposals->lock);
	return count;
}
