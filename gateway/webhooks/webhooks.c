#include "gateway/webhooks/webhooks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/auth/auth.h"
#include "gateway/leading.h"
#include "gateway/process.h"
#include "gateway/webhooks/payload.h"
#include "gateway/webhooks/queue.h"
#include "gateway/webhooks/target.h"
#include "replication/changes.h"

enum {
	GROUPS = 2,
	POLL_MS_MAX = 200,               /* while deliveries run: how late a new change may be seen */
	IDLE_MS_MAX = 5000,
	ROUND_MS_MIN = 20,               /* between looks at the changes, however often they come */
	POSITION_LAG_MAX = 1024,         /* changes read again after a crash, at most; told_* of each webhook keeps them from being told again */
	ANSWER_BYTES_MAX = 64 << 10,     /* read of an answer, and thrown away */
};

static const char follower[] = "webhooks";

struct replay {
	struct entity_id hook;
	uint64_t number;
};

struct webhooks {
	struct gateway *gateway;
	pthread_t thread;
	CURLM *multi;
	bool private_allowed;
	atomic_bool stopping;
	bool leading;                    /* on a cluster, one node delivers */
	struct delivery_queue queue;
	uint64_t read[GROUPS], saved[GROUPS]; /* numbers of changes: read last, stored last as position */
	int64_t busy_until_ms;           /* the state could not be written: no new attempts before */

	pthread_mutex_t lock;            /* replays */
	struct replay replays[REPLAYS_PENDING_MAX];
	size_t replays_count;
};

/* ------------------------------------------------------------------ from changes to deliveries */

struct matching {
	struct webhooks *webhooks;
	struct hook_event event;
	struct entity_id *ids;
	size_t count, capacity;
};

static int add_id(void *context, const struct entity_id *id)
{
	struct matching *matching = context;
	for (size_t i = 0; i < matching->count; i++)
		if (memcmp(matching->ids[i].bytes, id->bytes, ENTITY_ID_BYTES) == 0)
			return 0;
	if (matching->count == matching->capacity) {
		size_t capacity = matching->capacity ? matching->capacity * 2 : 16;
		struct entity_id *ids = realloc(matching->ids, capacity * sizeof(*ids));
		if (!ids)
			return ERR_NO_MEMORY;
		matching->ids = ids;
		matching->capacity = capacity;
	}
	matching->ids[matching->count++] = *id;
	return 0;
}

static int collect_watching(struct matching *matching, enum repo_type type, const char *owner, const char *name)
{
	static const enum watched_kind kinds[] = { [REPO_MODEL] = WATCHED_MODEL, [REPO_DATASET] = WATCHED_DATASET, [REPO_SPACE] = WATCHED_SPACE,
		[REPO_KERNEL] = WATCHED_KERNEL };
	struct namespace *ns = matching->webhooks->gateway->ns;
	char full[REPO_ID_BYTES_MAX];
	snprintf(full, sizeof(full), "%s/%s", owner, name);
	int err = webhook_watching(ns, WATCHED_USER, owner, add_id, matching);
	if (err == 0)
		err = webhook_watching(ns, WATCHED_ORG, owner, add_id, matching);
	return err ? err : webhook_watching(ns, kinds[type], full, add_id, matching);
}

static bool may_be_told(struct gateway *gateway, const struct matching *matching, uint32_t group, const struct webhook *hook)
{
	const struct hook_event *event = &matching->event;
	uint64_t told = group == GROUP_CLUSTER ? hook->told_cluster : hook->told_repos;
	if (hook->disabled || !(hook->domains & event->domain) || event->change->when_ms < hook->since_ms || event->change->number <= told)
		return false;
	struct actor actor;
	struct resource resource = { .repo = &event->repo, .ns = gateway->ns };
	return auth_by_name(gateway->ns, hook->owner, TOKEN_READ, &actor) == 0 && may(&actor, ACTION_READ, &resource) == 0;
}

static int enqueue(struct matching *matching, uint32_t group, const struct entity_id *id, struct webhook *hook)
{
	struct webhooks *webhooks = matching->webhooks;
	int err = webhook_get(webhooks->gateway->ns, id, hook);
	if (err || !may_be_told(webhooks->gateway, matching, group, hook))
		return err == ERR_NOT_FOUND ? 0 : err;
	struct delivery *delivery = delivery_add(&webhooks->queue, hook);
	if (!delivery)
		return ERR_NO_MEMORY;
	delivery->group = group;
	delivery->change = matching->event.change->number;
	delivery->finished = hook_event_write(webhooks->gateway, &matching->event, hook, &delivery->payload) != 0;
	return 0;
}

static int match_change(struct matching *matching, const struct change *change, uint32_t group, struct webhook *hook)
{
	const struct repo *repo = &matching->event.repo;
	int err = collect_watching(matching, repo->type, repo->owner, repo->name);
	if (err == 0 && change->old_name[0])
		err = collect_watching(matching, repo->type, change->old_owner, change->old_name);
	for (size_t i = 0; i < matching->count && err == 0; i++)
		err = enqueue(matching, group, &matching->ids[i], hook);
	return err;
}

struct reading {
	struct webhooks *webhooks;
	uint32_t group;
	bool any_hook;
	struct webhook *hook; /* scratch */
};

static int read_change(void *context, const struct change *change)
{
	struct reading *reading = context;
	struct webhooks *webhooks = reading->webhooks;
	if (webhooks->queue.count >= DELIVERIES_PENDING_MAX || webhooks->stopping)
		return 1;
	int err = 0;
	if (reading->any_hook) {
		struct matching matching = { .webhooks = webhooks };
		int found = hook_event_load(webhooks->gateway, change, &matching.event);
		err = found == 1 ? match_change(&matching, change, reading->group, reading->hook) : found;
		hook_event_fini(&matching.event);
		free(matching.ids);
	}
	if (err == 0)
		webhooks->read[reading->group] = change->number;
	return err;
}

static void read_changes(struct webhooks *webhooks, struct webhook *scratch)
{
	struct namespace *ns = webhooks->gateway->ns;
	for (uint32_t group = 0; group < GROUPS; group++) {
		struct reading reading = { .webhooks = webhooks, .group = group, .any_hook = webhook_any(ns), .hook = scratch };
		int err = changes_read(ns, group, webhooks->read[group], read_change, &reading);
		if (err != ERR_RANGE)
			continue; /* what failed is read again in the next round */
		uint64_t last = webhooks->read[group];
		changes_last(ns, group, &last);
		fprintf(stderr, "cairnd: webhooks fell behind: changes %llu to %llu of group %u are not told\n", (unsigned long long)webhooks->read[group] + 1,
			(unsigned long long)last, group);
		webhooks->read[group] = last;
	}
}

struct finding {
	struct webhooks *webhooks;
	struct webhook *hook;
	uint64_t number;
};

static int find_logged(void *context, const struct webhook_delivery *logged, struct span payload)
{
	struct finding *finding = context;
	if (logged->number != finding->number)
		return 0;
	struct delivery *delivery = delivery_add(&finding->webhooks->queue, finding->hook);
	if (delivery)
		delivery->finished = buffer_append(&delivery->payload, payload.data, payload.length) != 0;
	return 1;
}

static void take_replays(struct webhooks *webhooks, struct webhook *scratch)
{
	pthread_mutex_lock(&webhooks->lock);
	struct replay replays[REPLAYS_PENDING_MAX];
	size_t count = webhooks->replays_count;
	memcpy(replays, webhooks->replays, count * sizeof(*replays));
	webhooks->replays_count = 0;
	pthread_mutex_unlock(&webhooks->lock);
	for (size_t i = 0; i < count; i++) {
		struct finding finding = { .webhooks = webhooks, .hook = scratch, .number = replays[i].number };
		if (webhook_get(webhooks->gateway->ns, &replays[i].hook, scratch) == 0)
			webhook_log_list(webhooks->gateway->ns, &replays[i].hook, find_logged, &finding);
	}
}

/* ------------------------------------------------------------------ posting */

static curl_socket_t open_checked(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)purpose;
	struct delivery *delivery = context;
	if (!delivery->private_allowed && !target_is_public(&address->addr)) {
		delivery->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t discard(char *data, size_t size, size_t count, void *context)
{
	(void)data;
	size_t *seen = context;
	*seen += size * count;
	return *seen > ANSWER_BYTES_MAX ? 0 : size * count;
}

static struct curl_slist *make_headers(const struct delivery *delivery)
{
	char secret[WEBHOOK_SECRET_BYTES_MAX + 32];
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (delivery->secret[0] && snprintf(secret, sizeof(secret), "X-Webhook-Secret: %s", delivery->secret) > 0)
		headers = curl_slist_append(headers, secret);
	return curl_slist_append(headers, "Expect:");
}

static int start(struct webhooks *webhooks, struct delivery *delivery)
{
	CURL *easy = curl_easy_init();
	if (!easy)
		return ERR_NO_MEMORY;
	delivery->answer_bytes = 0;
	delivery->private_allowed = webhooks->private_allowed;
	delivery->refused = false;
	delivery->headers = make_headers(delivery);
	delivery->easy = easy;
	delivery->error[0] = 0;
	delivery->status = 0;
	curl_easy_setopt(easy, CURLOPT_URL, delivery->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, delivery->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "cairn/" CAIRN_VERSION);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)delivery->payload.data);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)delivery->payload.length);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)DELIVERY_CONNECT_MS_MAX);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)DELIVERY_MS_MAX);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_checked);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, delivery);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &delivery->answer_bytes);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, delivery->error);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, delivery);
	delivery->attempts++;
	delivery->running = true;
	webhooks->queue.running++;
	return curl_multi_add_handle(webhooks->multi, easy) == CURLM_OK ? 0 : ERR_NO_MEMORY;
}

/* Releases what an attempt held. */
static void stop(struct webhooks *webhooks, struct delivery *delivery)
{
	curl_multi_remove_handle(webhooks->multi, delivery->easy);
	curl_easy_cleanup(delivery->easy);
	curl_slist_free_all(delivery->headers);
	delivery->easy = NULL;
	delivery->headers = NULL;
	delivery->running = false;
	webhooks->queue.running--;
}

/* The outcome goes to the state before the delivery leaves the queue. A state that cannot be written is tried again, with the delivery. */
static void conclude(struct webhooks *webhooks, struct delivery *delivery, bool delivered, struct webhook *scratch)
{
	struct webhook_delivery logged = { .when_ms = unix_ms(), .status = (uint32_t)delivery->status, .attempts = delivery->attempts, .delivered = delivered,
		.replayed = delivery->change == 0, .group = delivery->group, .change = delivery->change };
	snprintf(logged.error, sizeof(logged.error), "%.*s", WEBHOOK_ERROR_BYTES_MAX, delivery->error);
	int err = webhook_log(webhooks->gateway->ns, &delivery->hook, &logged, buffer_span(&delivery->payload), NULL);
	if (err && err != ERR_NOT_FOUND) {
		webhooks->busy_until_ms = unix_ms() + DELIVERY_PAUSE_MS;
		delivery->due_ms = webhooks->busy_until_ms;
		return;
	}
	delivery->finished = true;
	if (webhook_get(webhooks->gateway->ns, &delivery->hook, scratch) != 0 || scratch->disabled)
		delivery_drop(&webhooks->queue, &delivery->hook);
	else
		delivery_limit(&webhooks->queue, scratch);
}

static void finish_attempt(struct webhooks *webhooks, CURL *easy, CURLcode code, struct webhook *scratch)
{
	struct delivery *delivery;
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &delivery);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &delivery->status);
	bool delivered = delivery->status >= 200 && delivery->status < 300; /* whatever came of its body */
	if (!delivered && delivery->status)
		snprintf(delivery->error, sizeof(delivery->error), "the answer was %ld", delivery->status);
	else if (!delivered && delivery->refused)
		snprintf(delivery->error, sizeof(delivery->error), "the address is not on the public internet");
	else if (!delivered && !delivery->error[0])
		snprintf(delivery->error, sizeof(delivery->error), "%s", curl_easy_strerror(code));
	if (delivered)
		delivery->error[0] = 0;
	stop(webhooks, delivery);
	if (!delivered && !delivery->refused && delivery->attempts < delivery->attempts_max) {
		int64_t pause_ms = DELIVERY_PAUSE_MS;
		for (uint32_t i = 1; i < delivery->attempts; i++)
			pause_ms *= 5;
		delivery->due_ms = unix_ms() + pause_ms;
		return;
	}
	conclude(webhooks, delivery, delivered, scratch);
}

/* Starts what is due, takes what is done. How long to wait for more. */
static int64_t turn(struct webhooks *webhooks, struct webhook *scratch)
{
	int64_t wait_ms = IDLE_MS_MAX, now_ms = unix_ms();
	struct delivery *delivery;
	while (webhooks->queue.running < DELIVERIES_RUNNING_MAX && now_ms >= webhooks->busy_until_ms &&
		(delivery = delivery_next(&webhooks->queue, now_ms, &wait_ms)) != NULL) {
		if (start(webhooks, delivery) == 0)
			continue;
		if (delivery->running)
			stop(webhooks, delivery);
		delivery->due_ms = now_ms + DELIVERY_PAUSE_MS;
	}
	int running, left;
	curl_multi_perform(webhooks->multi, &running);
	CURLMsg *message;
	while ((message = curl_multi_info_read(webhooks->multi, &left)) != NULL)
		if (message->msg == CURLMSG_DONE)
			finish_attempt(webhooks, message->easy_handle, message->data.result, scratch);
	delivery_sweep(&webhooks->queue);
	return wait_ms;
}

/* ------------------------------------------------------------------ the thread */

static void save_position(struct webhooks *webhooks, bool now)
{
	uint64_t done[GROUPS];
	bool lags = false, moved = false;
	for (uint32_t group = 0; group < GROUPS; group++) {
		uint64_t oldest = delivery_oldest(&webhooks->queue, group);
		done[group] = oldest ? oldest - 1 : webhooks->read[group];
		lags |= done[group] >= webhooks->saved[group] + POSITION_LAG_MAX;
		moved |= done[group] > webhooks->saved[group];
	}
	if (!moved || !(now || lags))
		return;
	struct changes_position position = { .cluster = done[GROUP_CLUSTER], .repos = done[GROUP_REPOS] };
	if (changes_position_put(webhooks->gateway->ns, follower, &position, NULL) == 0)
		memcpy(webhooks->saved, done, sizeof(done));
}

/* Goes on where the last leader was, or lets go of what waits. */
static void change_part(struct webhooks *webhooks, bool leading)
{
	struct changes_position position;
	delivery_drop(&webhooks->queue, NULL);
	if (leading && changes_position_get(webhooks->gateway->ns, follower, &position) == 0) {
		webhooks->read[GROUP_CLUSTER] = webhooks->saved[GROUP_CLUSTER] = position.cluster;
		webhooks->read[GROUP_REPOS] = webhooks->saved[GROUP_REPOS] = position.repos;
	}
	webhooks->leading = leading;
}

static void *run(void *context)
{
	struct webhooks *webhooks = context;
	struct webhook *scratch = calloc(1, sizeof(*scratch));
	struct leading watch;
	int err = leading_init(&watch);
	while (scratch && err == 0 && !webhooks->stopping) {
		uint64_t version = namespace_version(webhooks->gateway->ns);
		bool leading = leading_now(&watch, webhooks->gateway->ns);
		if (leading != webhooks->leading)
			change_part(webhooks, leading);
		if (leading) {
			read_changes(webhooks, scratch);
			take_replays(webhooks, scratch);
		}
		int64_t wait_ms = turn(webhooks, scratch);
		if (leading)
			save_position(webhooks, false);
		if (webhooks->queue.running)
			curl_multi_poll(webhooks->multi, NULL, 0, (int)(wait_ms < POLL_MS_MAX ? wait_ms : POLL_MS_MAX), NULL);
		else
			changes_wait(webhooks->gateway->ns, version, wait_ms);
		if (!webhooks->stopping)
			usleep(ROUND_MS_MIN * 1000);
	}
	for (struct delivery *delivery = webhooks->queue.first; delivery; delivery = delivery->next)
		if (delivery->running)
			stop(webhooks, delivery);
	if (webhooks->leading)
		save_position(webhooks, true);
	leading_fini(&watch);
	free(scratch);
	return NULL;
}

int webhooks_open(struct webhooks **out, struct gateway *gateway, struct why *why)
{
	*out = NULL;
	struct webhooks *webhooks = calloc(1, sizeof(*webhooks));
	if (!webhooks || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(webhooks);
		return why_set(why, ERR_NO_MEMORY, "no memory for webhooks");
	}
	webhooks->gateway = gateway;
	webhooks->private_allowed = target_private_allowed();
	webhooks->multi = curl_multi_init();
	curl_multi_setopt(webhooks->multi, CURLMOPT_MAXCONNECTS, (long)DELIVERIES_RUNNING_MAX);
	pthread_mutex_init(&webhooks->lock, NULL);
	delivery_queue_init(&webhooks->queue);
	if (pthread_create(&webhooks->thread, NULL, run, webhooks) != 0) {
		curl_multi_cleanup(webhooks->multi);
		free(webhooks);
		return why_set(why, ERR_NO_MEMORY, "webhooks cannot be started");
	}
	*out = webhooks;
	return 0;
}

void webhooks_close(struct webhooks *webhooks)
{
	if (!webhooks)
		return;
	webhooks->stopping = true;
	changes_wake(webhooks->gateway->ns);
	curl_multi_wakeup(webhooks->multi);
	pthread_join(webhooks->thread, NULL);
	delivery_queue_fini(&webhooks->queue);
	curl_multi_cleanup(webhooks->multi);
	pthread_mutex_destroy(&webhooks->lock);
	free(webhooks);
}

static int match_number(void *context, const struct webhook_delivery *logged, struct span payload)
{
	(void)payload;
	return logged->number == *(uint64_t *)context;
}

int webhooks_replay(struct webhooks *webhooks, const struct entity_id *hook, uint64_t number, struct why *why)
{
	if (webhook_log_list(webhooks->gateway->ns, hook, match_number, &number) != 1)
		return why_set(why, ERR_NOT_FOUND, "There is no such delivery in the log");
	pthread_mutex_lock(&webhooks->lock);
	int err = webhooks->replays_count == REPLAYS_PENDING_MAX ? why_set(why, ERR_BUSY, "Too many replays wait") : 0;
	if (err == 0)
		webhooks->replays[webhooks->replays_count++] = (struct replay){ .hook = *hook, .number = number };
	pthread_mutex_unlock(&webhooks->lock);
	changes_wake(webhooks->gateway->ns);
	return err;
}
