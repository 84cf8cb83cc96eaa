#include "gateway/git/push.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/git/cache.h"
#include "gateway/git/process.h"
#include "gateway/git/pushes.h"
#include "gateway/git/service.h"

enum { PUSH_STACK_BYTES = 1 << 20 };

struct pushes {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct push *first;
	unsigned count, working;
	bool stopping;
};

/* ------------------------------------------------------------------ all of them */

int pushes_open(struct pushes **out)
{
	struct pushes *pushes = calloc(1, sizeof(*pushes));
	if (!pushes)
		return ERR_NO_MEMORY;
	pthread_mutex_init(&pushes->mutex, NULL);
	pthread_cond_init(&pushes->changed, NULL);
	*out = pushes;
	return 0;
}

/* With the mutex held. What is not durable yet is given up; the client hears nothing and pushes again. */
static void give_up(struct push *push)
{
	push->received.cancelled = true;
	if (push->process)
		git_process_kill(push->process);
	pthread_cond_broadcast(&push->pushes->changed);
}

void pushes_close(struct pushes *pushes)
{
	if (!pushes)
		return;
	pthread_mutex_lock(&pushes->mutex);
	pushes->stopping = true;
	for (struct push *push = pushes->first; push; push = push->next)
		give_up(push);
	while (pushes->count)
		pthread_cond_wait(&pushes->changed, &pushes->mutex);
	pthread_mutex_unlock(&pushes->mutex);
	pthread_cond_destroy(&pushes->changed);
	pthread_mutex_destroy(&pushes->mutex);
	free(pushes);
}

bool push_show_process(struct push *push, struct git_process *process)
{
	struct pushes *pushes = push->pushes;
	pthread_mutex_lock(&pushes->mutex);
	bool given_up = pushes->stopping || push->received.cancelled;
	push->process = given_up ? NULL : process;
	pthread_mutex_unlock(&pushes->mutex);
	return !given_up;
}

static int enter(struct pushes *pushes, struct push *push, struct why *why)
{
	pthread_mutex_lock(&pushes->mutex);
	unsigned same = 0;
	for (const struct push *other = pushes->first; other; other = other->next)
		same += memcmp(other->repo.id.bytes, push->repo.id.bytes, ENTITY_ID_BYTES) == 0;
	bool full = pushes->count >= PUSHES_MAX || same >= PUSHES_PER_REPO_MAX;
	if (!full) {
		push->next = pushes->first;
		pushes->first = push;
		pushes->count++;
	}
	pthread_mutex_unlock(&pushes->mutex);
	return full ? why_set(why, ERR_BUSY, "too many pushes are under way; try again in a moment") : 0;
}

static void leave(struct pushes *pushes, struct push *push)
{
	pthread_mutex_lock(&pushes->mutex);
	struct push **place = &pushes->first;
	while (*place != push)
		place = &(*place)->next;
	*place = push->next;
	pushes->count--;
	pthread_cond_broadcast(&pushes->changed);
	pthread_mutex_unlock(&pushes->mutex);
}

/* False: it was given up before its turn came. */
static bool begin_work(struct push *push)
{
	struct pushes *pushes = push->pushes;
	pthread_mutex_lock(&pushes->mutex);
	while (pushes->working >= PUSHES_WORKING_MAX && !push->received.cancelled)
		pthread_cond_wait(&pushes->changed, &pushes->mutex);
	bool begins = !push->received.cancelled;
	pushes->working += begins;
	pthread_mutex_unlock(&pushes->mutex);
	return begins;
}

static void end_work(struct pushes *pushes)
{
	pthread_mutex_lock(&pushes->mutex);
	pushes->working--;
	pthread_cond_broadcast(&pushes->changed);
	pthread_mutex_unlock(&pushes->mutex);
}

/* ------------------------------------------------------------------ one of them */

int push_open(struct push **out, struct gateway *gateway, const struct actor *actor, const struct repo *repo, struct why *why)
{
	struct push *push = calloc(1, sizeof(*push));
	*out = NULL;
	if (!push)
		return why_set(why, ERR_NO_MEMORY, "no memory for a push");
	push->pushes = gateway->git->pushes;
	push->gateway = gateway;
	push->actor = *actor;
	push->repo = *repo;
	push->fd = -1;
	int err = enter(push->pushes, push, why);
	if (err) {
		free(push);
		return err;
	}
	receive_commands_init(&push->commands);
	buffer_init(&push->messages, RECEIVED_MESSAGES_BYTES_MAX);
	snprintf(push->unpack, sizeof(push->unpack), "ok");
	*out = push;
	return 0;
}

void push_close(struct push *push)
{
	struct pushes *pushes = push->pushes;
	if (push->fd >= 0)
		close(push->fd);
	scratch_dir_remove(&push->dir);
	quota_release(&push->quota, push->pack_listed);
	receive_commands_fini(&push->commands);
	buffer_fini(&push->messages);
	free(push->refs);
	leave(pushes, push);
	free(push);
}

/* How far it is, for a client that waits. */
static bool describe(void *context, char *out, size_t size)
{
	struct push *push = context;
	const char *phase = push->received.phase;
	uint64_t done = push->received.done, total = push->received.total;
	if (push->commands.is_quiet || !phase || total == 0)
		return false;
	snprintf(out, size, "%s: %llu of %llu\n", phase, (unsigned long long)done, (unsigned long long)total);
	return true;
}

/* The client is gone: others wait for their turn. */
static void abandon(void *context)
{
	struct push *push = context;
	pthread_mutex_lock(&push->pushes->mutex);
	give_up(push);
	pthread_mutex_unlock(&push->pushes->mutex);
}

static void say_messages(struct push *push)
{
	push_answer_say(push->answer, buffer_span(&push->messages));
	buffer_clear(&push->messages);
}

/* ------------------------------------------------------------------ the work */

/* With the repository's cached objects at hand. */
static void take_and_move(struct push *push, const struct git_lease *lease)
{
	struct why why = { 0 };
	char objects[PATH_MAX + 16];
	struct object_dir *known = NULL;
	snprintf(objects, sizeof(objects), "%s/objects", lease->dir);
	int err = object_dir_open(&known, objects, &why);
	if (err == 0) {
		push->received.known = known;
		err = push_take_pack(push, known, lease->dir, &why);
	}
	struct upload_entry naming;
	store_naming_begin(push->gateway->store, &naming);
	if (err == 0)
		err = push_check_known(push, lease->dir, &why);
	say_messages(push);
	if (err == 0 && push_decide_objects(push) && push->has_pack) {
		err = quota_reserve(push->gateway, &push->repo, &push->actor, push->pack_bytes + push->received.blob_bytes, &push->quota, &why);
		if (err == 0)
			err = received_pack_store(&push->received, &push->pack, &why);
		say_messages(push);
	}
	if (err == 0)
		push_move(push);
	else if (err != ERR_INVALID)
		push_refuse_all(push, why.text[0] ? why.text : "the server failed to take it");
	store_naming_end(push->gateway->store, &naming);
	received_pack_close(&push->received);
	object_dir_close(known);
}

static void work(struct push *push)
{
	struct why why = { 0 };
	struct git_lease lease = { 0 };
	if (!push_any_left(push) || !push_decide_early(push)) /* again: the refs may have moved while the pack came */
		return;
	if (!receive_commands_need_pack(&push->commands)) {
		push_move(push);
		return;
	}
	if (!begin_work(push))
		return;
	struct repo now; /* push->repo stays as it is: others look at its id */
	int err = repo_get(push->gateway->ns, NULL, &push->repo.id, &now);
	if (err == 0)
		err = git_cache_lease(push->gateway, &now, &lease, &why);
	if (err == 0) {
		take_and_move(push, &lease);
		git_cache_release(push->gateway, &lease);
	} else {
		push_refuse_all(push, err == ERR_NOT_FOUND ? "the repository was deleted" : why.text[0] ? why.text : "the server cannot read the repository");
	}
	end_work(push->pushes);
}

static void write_report(const struct push *push, struct buffer *out)
{
	if (!push->commands.has_report && !push->commands.has_report_v2)
		return;
	pkt_printf(out, "unpack %s\n", push->unpack);
	for (size_t i = 0; i < push->commands.count; i++) {
		const struct push_ref *ref = &push->refs[i];
		if (ref->done)
			pkt_printf(out, "ok %s\n", push->commands.commands[i].name);
		else
			pkt_printf(out, "ng %s %s\n", push->commands.commands[i].name, ref->reason[0] ? ref->reason : "failed");
	}
	pkt_append_flush(out);
}

static void *run(void *context)
{
	struct push *push = context;
	struct buffer report;
	buffer_init(&report, PUSH_ANSWER_BYTES_MAX / 2);
	work(push);
	write_report(push, &report);
	struct push_answer *answer = push->answer;
	push_answer_end(answer, buffer_span(&report));
	buffer_fini(&report);
	push_close(push);
	return NULL;
}

int push_prepare(struct push *push, struct why *why)
{
	push->refs = calloc(push->commands.count + 1, sizeof(*push->refs));
	return push->refs ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for a push");
}

static int start_thread(struct push *push)
{
	pthread_t thread;
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, PUSH_STACK_BYTES);
	int status = pthread_create(&thread, &attributes, run, push);
	pthread_attr_destroy(&attributes);
	return status ? ERR_BUSY : 0;
}

int push_start(struct push *push, struct http_source *source, struct why *why)
{
	push->answer = push_answer_make(push->commands.has_side_band, describe, abandon, push);
	if (!push->answer)
		return why_set(why, ERR_NO_MEMORY, "no memory for a push");
	*source = push_answer_source(push->answer);
	if (start_thread(push) == 0)
		return 0;
	push_answer_end(push->answer, span_of(NULL, 0));
	source->close(source->context);
	return why_set(why, ERR_BUSY, "no thread is left for a push");
}
