#include "replication/meta_loop.h"

#include "replication/cluster_loop.h"
#include "replication/command_ids.h"
#include "replication/node.h"

#include <sodium.h>
#include <stdlib.h>
#include <time.h>

enum {
	ROOM_CHECK_MS = 100,        /* how old the answer of statvfs may be */
	ROOM_BYTES_MIN = 16 << 20,  /* below it only what releases space is accepted: the engine's threshold */
	TELL_MS = 10,               /* how long others may not know that something is committed, if nobody waits for it there */
	CLOSE_WAIT_MS = 10 * 1000,  /* for entries under way when closing */
	HOUSEKEEPING_MS = 1000,
	CONFIRM_MS = 1000,          /* how old the last confirmed read point may be before another is asked for */
	STOOD_STILL_MS = 1000,      /* between two turns, where others are about: the process was stopped, or its machine is too busy to tell anything from silence */
};

/* ---- rio: the world, in production ---- */

uint64_t monotonic_ms(void *context)
{
	(void)context;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int64_t wall_ms(void *context)
{
	(void)context;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint32_t random_u32(void *context)
{
	(void)context;
	return randombytes_random();
}

static uint64_t room_bytes(void *context)
{
	struct consensus *c = context;
	uint64_t now = monotonic_ms(NULL);
	if (c->room_checked_ms == 0 || now - c->room_checked_ms >= ROOM_CHECK_MS) {
		uint64_t free_bytes = c->config.free_bytes(c->config.free_bytes_context, c->dir);
		c->room_bytes = free_bytes > c->config.reserve_bytes ? free_bytes - c->config.reserve_bytes : 0;
		c->room_checked_ms = now;
	}
	return c->room_bytes;
}

/* The stores may use half of the reserve: deletions need it. */
bool meta_loop_has_room(void *context)
{
	const struct consensus *c = context;
	return c->config.free_bytes(c->config.free_bytes_context, c->dir) >= c->config.reserve_bytes / 2;
}

static void hard_put(void *context, uint32_t group, uint64_t term, uint64_t voted_for)
{
	struct consensus *c = context;
	struct why why = { 0 };
	if (log_store_put_hard_state(c->store, group, term, voted_for, &why) != 0)
		node_stop("%s", why.text);
}

static void log_put(void *context, struct log_job *job)
{
	log_writer_put(((struct consensus *)context)->writer, job);
}

static void apply(void *context, uint32_t group, struct log_entry **entries, size_t count, uint64_t stored)
{
	applier_put(((struct consensus *)context)->applier, group, entries, count, stored);
}

static uint64_t apply_waiting(void *context, uint32_t group)
{
	return applier_waiting(((struct consensus *)context)->applier, group);
}

static size_t log_read(void *context, uint32_t group, uint64_t first, size_t count, size_t bytes_max, struct log_entry **out)
{
	return log_store_read(((struct consensus *)context)->store, group, first, count, bytes_max, out);
}

static void on_timer(uv_timer_t *timer);

static void set_timer(void *context, uint32_t group, uint64_t at_ms)
{
	struct consensus *c = context;
	if (!c->thread_started)
		return; /* the loop sets it when it begins */
	uint64_t now = monotonic_ms(NULL);
	uv_timer_start(&c->groups[group].timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

static void fill_rio(struct consensus *c)
{
	c->rio = (struct rio){ .context = c, .now_ms = monotonic_ms, .wall_ms = wall_ms, .random = random_u32, .room_bytes = room_bytes,
		.hard_put = hard_put, .log_put = log_put, .apply = apply, .apply_waiting = apply_waiting, .log_read = log_read, .send = cluster_send,
		.timer = set_timer, .install = cluster_install, .lost = cluster_lost };
}

/* ---- called from the writer and the applier ---- */

void meta_loop_stored(void *context, struct log_job *jobs)
{
	struct consensus *c = context;
	pthread_mutex_lock(&c->lock);
	*c->stored_tail = jobs;
	while (*c->stored_tail)
		c->stored_tail = &(*c->stored_tail)->next;
	pthread_mutex_unlock(&c->lock);
	uv_async_send(&c->wake);
}

void meta_loop_applied(void *context)
{
	struct consensus *c = context;
	uint64_t changed = applier_cluster_changed(c->applier);
	if (atomic_exchange(&c->applied_wanted, false) || changed != c->changed_seen)
		uv_async_send(&c->wake);
	c->changed_seen = changed;
}

/* ---- the meta loop ---- */

static void on_gathered(uv_timer_t *timer);

/* An entry waits for more proposals. */
static bool gathering(struct group *group)
{
	size_t waiting = proposals_waiting(&group->proposals);
	if (waiting == 0 || gather_enough(&group->gather, waiting) || group->consensus->stopping) {
		uv_timer_stop(&group->gather_timer);
		return false;
	}
	if (!uv_is_active((uv_handle_t *)&group->gather_timer))
		uv_timer_start(&group->gather_timer, on_gathered, gather_begin(&group->gather, waiting, monotonic_ms(NULL)), 0);
	return true;
}

static size_t length_of(const struct proposal *list)
{
	size_t count = 0;
	for (; list; list = list->next)
		count++;
	return count;
}

/* One entry. False: there is nothing to submit, or it must wait. */
static bool submit_entry(struct consensus *c, struct group *group)
{
	struct driver_status status;
	driver_status(group->driver, &status);
	if (status.role != ROLE_LEADER || status.in_flight >= PROPOSAL_ENTRIES_IN_FLIGHT_MAX || proposals_waiting(&group->proposals) == 0)
		return false;
	struct buffer payload;
	buffer_init(&payload, COMMAND_BYTES_MAX + PROPOSAL_ENTRY_BYTES_MAX + 64);
	bool short_of_room = room_bytes(c) < ROOM_BYTES_MIN;
	struct proposal *waiters = proposals_gather(&group->proposals, wall_ms(NULL), short_of_room, &payload);
	gather_note(&group->gather, length_of(waiters));
	for (const struct proposal *proposal = waiters; proposal; proposal = proposal->next)
		if (proposal->remote_peer)
			driver_await_commit(group->driver, proposal->remote_peer, status.last_index + 1);
	int err = waiters ? driver_submit(group->driver, ENTRY_COMMANDS, buffer_span(&payload), waiters, short_of_room) : 0;
	buffer_fini(&payload);
	if (err == ERR_CLOSED) { /* leadership is moving: the next leader gets them */
		proposals_return(waiters);
		return false;
	}
	for (struct proposal *proposal = err ? waiters : NULL; proposal; proposal = proposal->next) {
		atomic_fetch_sub(&proposal->queue->unreplicated_bytes, proposal->length);
		proposal_settle(proposal, err, 0, (struct span){ 0 }, "the change was not accepted, try again");
	}
	if (err)
		proposals_release(waiters);
	return true;
}

static void submit_proposals(struct consensus *c, struct group *group)
{
	while (!gathering(group) && submit_entry(c, group))
		;
}

static void on_gathered(uv_timer_t *timer)
{
	struct group *group = timer->data;
	struct driver_status status;
	driver_status(group->driver, &status);
	uint64_t more_ms = gather_look(&group->gather, proposals_waiting(&group->proposals), status.in_flight > 0, monotonic_ms(NULL));
	if (more_ms > 0)
		uv_timer_start(timer, on_gathered, more_ms, 0);
	else if (submit_entry(group->consensus, group))
		submit_proposals(group->consensus, group);
}

static void pump_proposals(struct consensus *c, struct group *group)
{
	struct driver_status status;
	driver_status(group->driver, &status);
	if (c->peers && status.role != ROLE_LEADER)
		forward_pump(c, group, status.leader);
	else if (c->peers && group->forward.list)
		forward_take_back(group);
	submit_proposals(c, group);
}

static void on_tell(uv_timer_t *timer)
{
	driver_tell_commit(((struct group *)timer->data)->driver, true);
}

/* The next entry tells it as well. */
static void tell_commit(struct group *group)
{
	if (driver_tell_commit(group->driver, group->consensus->stopping) && !uv_is_active((uv_handle_t *)&group->tell_timer))
		uv_timer_start(&group->tell_timer, on_tell, TELL_MS, 0);
}

static void settle_request(struct consensus *c, struct request *request, int err, const char *sentence)
{
	if (request->done) {
		request->err = err;
		request->done(request);
		return;
	}
	pthread_mutex_lock(&c->lock);
	request->err = err;
	if (sentence)
		why_set(&request->why, err, "%s", sentence);
	request->settled = true;
	pthread_cond_broadcast(&c->settled_wake);
	pthread_mutex_unlock(&c->lock);
}

/* The index that must be applied here before reading: of a round of this node's driver when it leads, else of the leader's answer. */
static void note_read_point(struct consensus *c, struct request *request)
{
	struct group *group = &c->groups[request->group];
	struct driver_status status;
	driver_status(group->driver, &status);
	bool leads = status.role == ROLE_LEADER;
	if (request->round && request->round_is_own != leads)
		request->round = 0; /* leadership has moved since */
	request->round_is_own = leads;
	if (!request->round)
		request->asked_ms = monotonic_ms(NULL);
	if (leads) {
		int err = request->round ? driver_read_index(group->driver, request->round, &request->index) : ERR_CLOSED;
		if (err == ERR_CLOSED && (request->round = 0, driver_read(group->driver, &request->round)) == 0)
			driver_read_index(group->driver, request->round, &request->index);
	} else if (c->peers) {
		if (!request->round)
			request->round = forward_read(c, group);
		if (group->forward.read.done >= request->round)
			request->index = group->forward.read.index;
	}
}

/* It begins with the first question that is not answered at once. */
static void begin_silence(struct silence *silence, const struct request *asked, uint64_t now)
{
	if (silence->since_ms)
		return;
	silence->since_ms = now;
	silence->request = (struct request){ .kind = REQUEST_READ, .group = asked->group, .round = asked->round, .round_is_own = asked->round_is_own };
}

static void look_at_silence(struct consensus *c, struct silence *silence, uint64_t now)
{
	if (!silence->since_ms)
		return;
	if (now - c->served_ms > STOOD_STILL_MS)
		silence->since_ms = now; /* who slept has not listened */
	note_read_point(c, &silence->request);
	if (silence->request.index)
		silence->since_ms = 0;
}

static void confirm_done(struct request *request)
{
	((struct group *)(void *)((char *)request - offsetof(struct group, confirm)))->confirming = false;
}

/* The question stays until it is answered: where answers take long, one that is given up and asked anew would never have any. */
static void confirm(struct consensus *c, struct group *group)
{
	if (group->confirming || c->stopping || monotonic_ms(NULL) - atomic_load(&group->confirmed_ms) < CONFIRM_MS)
		return;
	group->confirming = true;
	group->confirm = (struct request){ .next = c->waiting, .kind = REQUEST_READ, .group = group->number, .deadline_ms = UINT64_MAX, .done = confirm_done };
	c->waiting = &group->confirm;
}

/* True when settled. */
static bool serve_read(struct consensus *c, struct request *request, uint64_t now)
{
	if (c->removed) {
		settle_request(c, request, ERR_DENIED, "this node was removed from the cluster; wipe its data directory and join it anew");
		return true;
	}
	if (request->index == 0)
		note_read_point(c, request);
	struct silence *silence = &c->groups[request->group].silence;
	if (request->index == 0)
		begin_silence(silence, request, now);
	if (request->index && applier_applied(c->applier, request->group) >= request->index) {
		struct group *group = &c->groups[request->group];
		if (request->asked_ms > atomic_load(&group->confirmed_ms))
			atomic_store(&group->confirmed_ms, request->asked_ms);
		settle_request(c, request, 0, NULL);
		return true;
	}
	bool in_vain = request->index == 0 && request->silence_ms && now - silence->since_ms >= request->silence_ms;
	if (now >= request->deadline_ms || in_vain) {
		settle_request(c, request, ERR_BUSY, "no leader answered in time; try again");
		return true;
	}
	return false;
}

/* Leaderships are handed on until none is left here. True when settled. */
static bool serve_step_down(struct consensus *c, struct request *request, uint64_t now)
{
	bool leads = false;
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		struct driver_status status;
		driver_status(c->groups[i].driver, &status);
		if (status.role != ROLE_LEADER || status.voters <= 1)
			continue;
		leads = true;
		driver_transfer(c->groups[i].driver, 0);
	}
	if (leads && now < request->deadline_ms)
		return false;
	settle_request(c, request, leads ? ERR_BUSY : 0, NULL);
	return true;
}

static bool serve_request(struct consensus *c, struct request *request, uint64_t now)
{
	switch (request->kind) {
	case REQUEST_READ:
		return serve_read(c, request, now);
	case REQUEST_STEP_DOWN:
		return serve_step_down(c, request, now);
	case REQUEST_STATUS:
		cluster_fill_status(c, request->status);
		settle_request(c, request, 0, NULL);
		return true;
	case REQUEST_SNAPSHOT:
		break;
	}
	return false;
}

static void serve_requests(struct consensus *c)
{
	uint64_t now = monotonic_ms(NULL);
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		look_at_silence(c, &c->groups[i].silence, now);
	c->served_ms = now;
	for (int round = 0; round < 2; round++) {
		bool waits = false;
		for (struct request **link = &c->waiting; *link;) {
			struct request *request = *link, *next = request->next;
			*link = next; /* it may be gone once it is settled */
			if (serve_request(c, request, now))
				continue;
			*link = request;
			waits = true;
			link = &request->next;
		}
		if (!waits)
			return;
		/* What was applied before the flag was up is seen by a second look, what comes after raises the loop. */
		atomic_store(&c->applied_wanted, true);
	}
}

/* ---- flush marks ---- */

static void settle_snapshots(struct consensus *c, int err, const char *sentence)
{
	for (struct request **link = &c->waiting; *link;) {
		struct request *request = *link, *next = request->next;
		if (request->kind == REQUEST_SNAPSHOT && request->index == 1) {
			*link = next;
			settle_request(c, request, err, sentence);
		} else {
			link = &request->next;
		}
	}
}

static bool snapshot_under_way(const struct consensus *c)
{
	bool running = c->flush_running;
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		running = running || c->groups[i].snapshot_running;
	return running;
}

static void flush_work(uv_work_t *work)
{
	struct consensus *c = work->data;
	c->flush_err = applier_flush(c->applier, &c->flush_why);
}

static void flush_done(uv_work_t *work, int status)
{
	struct consensus *c = work->data;
	(void)status;
	c->flush_running = false;
	if (c->flush_err == ERR_IO)
		node_stop("%s", c->flush_why.text);
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		struct group *group = &c->groups[i];
		group->snapshot_at_ms = monotonic_ms(NULL) + c->config.snapshot_ms;
		struct log_job *job = c->flush_err ? NULL : driver_snapshot(group->driver, group->flushed);
		if (!job)
			continue;
		group->snapshot_running = true;
		log_writer_put(c->writer, job);
	}
	if (!snapshot_under_way(c))
		settle_snapshots(c, c->flush_err, c->flush_why.text);
}

static void snapshot_begin(struct consensus *c)
{
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		c->groups[i].flushed = applier_applied(c->applier, i);
	for (struct request *request = c->waiting; request; request = request->next)
		if (request->kind == REQUEST_SNAPSHOT)
			request->index = 1;
	c->flush.data = c;
	c->flush_running = true;
	if (uv_queue_work(&c->loop, &c->flush, flush_work, flush_done) != 0) {
		c->flush_running = false;
		settle_snapshots(c, ERR_NO_MEMORY, "cannot start a flush");
	}
}

static void maybe_snapshot(struct consensus *c)
{
	if (snapshot_under_way(c) || c->stopping)
		return;
	uint64_t now = monotonic_ms(NULL);
	bool due = false;
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		uint64_t bytes = driver_snapshot_bytes(c->groups[i].driver);
		due = due || bytes >= c->config.snapshot_bytes || (bytes > 0 && now >= c->groups[i].snapshot_at_ms);
	}
	for (const struct request *request = c->waiting; request; request = request->next)
		due = due || request->kind == REQUEST_SNAPSHOT;
	if (due)
		snapshot_begin(c);
}

/* ---- turning the loop ---- */

static void take_stored(struct consensus *c, struct log_job *jobs)
{
	while (jobs) {
		struct log_job *next = jobs->next;
		struct group *group = &c->groups[jobs->group];
		driver_stored(group->driver, jobs);
		if (jobs->install) {
			cluster_install_logged(c, jobs->group);
			log_job_free(jobs);
			jobs = next;
			continue;
		}
		if (jobs->has_snapshot) {
			group->snapshot_running = false;
			if (!snapshot_under_way(c))
				settle_snapshots(c, 0, NULL);
		}
		log_job_free(jobs);
		jobs = next;
	}
}

static void refresh_status(struct consensus *c)
{
	struct consensus_status status = { .node_id = c->identity.node_id, .leader = true, .removed = c->removed };
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		struct driver_status driver;
		driver_applied(c->groups[i].driver, applier_applied(c->applier, i));
		driver_status(c->groups[i].driver, &driver);
		status.term = driver.term > status.term ? driver.term : status.term;
		status.committed += driver.committed;
		status.last_index += driver.last_index;
		status.leader = status.leader && driver.ready;
		status.voters = driver.voters;
	}
	pthread_mutex_lock(&c->lock);
	c->status = status;
	pthread_mutex_unlock(&c->lock);
}

static void stop_when_idle(struct consensus *c)
{
	bool idle = !snapshot_under_way(c);
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		struct driver_status status;
		driver_status(c->groups[i].driver, &status);
		idle = idle && status.in_flight == 0 && status.stored == status.last_index;
	}
	if (!idle && monotonic_ms(NULL) < c->stop_at_ms)
		return;
	while (c->waiting) {
		struct request *request = c->waiting;
		c->waiting = request->next;
		settle_request(c, request, ERR_CLOSED, "this node is shutting down");
	}
	cluster_loop_stop(c);
	uv_stop(&c->loop);
}

/* A leader whose barrier is not applied yet, a caller whose change another node has taken into the log, or entries that wait until the applier has room. */
static bool awaits_applier(struct consensus *c)
{
	bool awaits = false;
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		awaits = awaits || c->groups[i].forward.list || driver_holds_back(c->groups[i].driver) ||
			(driver_leads(c->groups[i].driver) && !driver_ready(c->groups[i].driver));
	return awaits;
}

static void turn(struct consensus *c)
{
	pthread_mutex_lock(&c->lock);
	struct log_job *stored = c->stored;
	c->stored = NULL;
	c->stored_tail = &c->stored;
	while (c->requests) {
		struct request *request = c->requests;
		c->requests = request->next;
		request->next = c->waiting;
		c->waiting = request;
	}
	bool closing = c->closing;
	pthread_mutex_unlock(&c->lock);

	take_stored(c, stored);
	if (closing && !c->stopping) {
		c->stopping = true;
		c->stop_at_ms = monotonic_ms(NULL) + CLOSE_WAIT_MS;
		for (uint32_t i = 0; i < GROUPS_MAX; i++)
			proposals_refuse(&c->groups[i].proposals, ERR_CLOSED, "this node is shutting down", true);
		for (uint32_t i = 0; i < GROUPS_MAX; i++)
			forward_fini(&c->groups[i].forward);
	}
	if (awaits_applier(c)) /* before it is looked at what is applied: what comes after raises the loop */
		atomic_store(&c->applied_wanted, true);
	refresh_status(c);
	cluster_turn(c);
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		pump_proposals(c, &c->groups[i]);
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		confirm(c, &c->groups[i]);
	serve_requests(c);
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		forward_turn(c, &c->groups[i]);
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		tell_commit(&c->groups[i]);
	maybe_snapshot(c);
	if (c->stopping)
		stop_when_idle(c);
}

static void on_wake(uv_async_t *wake)
{
	((struct consensus *)wake->data)->turn_due = true;
}

/* Once for all that a round of events has brought. */
static void on_turn(uv_check_t *check)
{
	struct consensus *c = check->data;
	if (!c->turn_due)
		return;
	c->turn_due = false;
	turn(c);
}

static void on_timer(uv_timer_t *timer)
{
	struct group *group = timer->data;
	driver_timeout(group->driver);
	pump_proposals(group->consensus, group);
}

/* Buckets of command ids that left the window are dropped by a command, never by a local clock. */
static void drop_old_ids(struct group *group)
{
	struct consensus *c = group->consensus;
	struct driver_status status;
	driver_status(group->driver, &status);
	int64_t window_start_ms = applier_leader_ms(c->applier, group->number) - COMMAND_ID_WINDOW_MS;
	if (!status.ready || window_start_ms <= 0)
		return;
	uint64_t hour = (uint64_t)window_start_ms / COMMAND_ID_HOUR_MS;
	if (hour <= applier_ids_dropped_hour(c->applier, group->number) || hour <= group->ids_hour_proposed)
		return;
	group->ids_hour_proposed = hour;
	struct buffer body, bytes;
	buffer_init(&body, 16);
	buffer_init(&bytes, 256);
	pack_u64(&body, hour);
	struct command command = { .type = COMMAND_DROP_IDS, .version = 1, .body = buffer_span(&body) };
	command_id_make(&command.id);
	struct proposal *proposal;
	if (command_encode(&bytes, &command) == 0 && proposals_add(&group->proposals, buffer_span(&bytes), true, &proposal, NULL) == 0)
		proposal_release(proposal); /* nobody waits for it */
	buffer_fini(&body);
	buffer_fini(&bytes);
}

static void on_housekeeping(uv_timer_t *timer)
{
	struct consensus *c = timer->data;
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		drop_old_ids(&c->groups[i]);
	turn(c);
}

static void *run(void *context)
{
	struct consensus *c = context;
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		uv_timer_start(&c->groups[i].timer, on_timer, 0, 0);
	uv_timer_start(&c->housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
	uv_async_send(&c->wake);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	return NULL;
}

void meta_loop_open(struct consensus *c)
{
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->settled_wake, NULL);
	c->stored_tail = &c->stored;
	fill_rio(c);
	uv_loop_init(&c->loop);
	uv_async_init(&c->loop, &c->wake, on_wake);
	c->wake.data = c;
	uv_check_init(&c->loop, &c->turn);
	c->turn.data = c;
	uv_check_start(&c->turn, on_turn);
	uv_timer_init(&c->loop, &c->housekeeping);
	c->housekeeping.data = c;
	for (uint32_t i = 0; i < GROUPS_MAX; i++) {
		struct group *group = &c->groups[i];
		group->consensus = c;
		group->number = i;
		group->snapshot_at_ms = monotonic_ms(NULL) + c->config.snapshot_ms;
		uv_timer_init(&c->loop, &group->timer);
		group->timer.data = group;
		uv_timer_init(&c->loop, &group->gather_timer);
		group->gather_timer.data = group;
		uv_timer_init(&c->loop, &group->tell_timer);
		group->tell_timer.data = group;
		proposals_init(&group->proposals);
		forward_init(&group->forward);
		atomic_init(&group->pin, 0);
		atomic_init(&group->confirmed_ms, 0);
	}
	atomic_init(&c->alone, true);
}

int meta_loop_start(struct consensus *c, struct why *why)
{
	c->thread_started = true;
	if (pthread_create(&c->thread, NULL, run, c) == 0)
		return 0;
	c->thread_started = false;
	return why_set(why, ERR_NO_MEMORY, "cannot start the meta loop");
}

void meta_loop_stop(struct consensus *c)
{
	if (!c->thread_started)
		return;
	pthread_mutex_lock(&c->lock);
	c->closing = true;
	pthread_mutex_unlock(&c->lock);
	uv_async_send(&c->wake);
	pthread_join(c->thread, NULL);
}

static void close_handle(uv_handle_t *handle, void *context)
{
	(void)context;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void meta_loop_close(struct consensus *c)
{
	while (c->stored) {
		struct log_job *next = c->stored->next;
		log_job_free(c->stored);
		c->stored = next;
	}
	cluster_loop_stop(c);
	uv_walk(&c->loop, close_handle, NULL);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	uv_loop_close(&c->loop);
	cluster_loop_close(c);
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		forward_fini(&c->groups[i].forward);
	while (c->answers) {
		struct proposal *next = c->answers->answer_next;
		proposal_release(c->answers);
		c->answers = next;
	}
	c->loop_closed = true;
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->settled_wake);
}

void meta_loop_hand_in(struct consensus *c, struct request *first, struct request *last)
{
	pthread_mutex_lock(&c->lock);
	bool closing = c->closing;
	if (!closing) {
		last->next = c->requests;
		c->requests = first;
		uv_async_send(&c->wake);
	}
	pthread_mutex_unlock(&c->lock);
	for (struct request *request = first, *next; closing; request = next) {
		bool is_last = request == last;
		next = request->next;
		request->err = ERR_CLOSED;
		request->done(request);
		if (is_last)
			return;
	}
}

int meta_loop_ask(struct consensus *c, struct request *request, struct why *why)
{
	pthread_mutex_lock(&c->lock);
	if (c->closing) {
		pthread_mutex_unlock(&c->lock);
		return why_set(why, ERR_CLOSED, "this node is shutting down");
	}
	request->next = c->requests;
	c->requests = request;
	uv_async_send(&c->wake);
	while (!request->settled)
		pthread_cond_wait(&c->settled_wake, &c->lock);
	pthread_mutex_unlock(&c->lock);
	if (request->err && why)
		*why = request->why;
	return request->err;
}
