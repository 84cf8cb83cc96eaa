#include "gateway/admin/backup.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "gateway/repo/scratch_dir.h"

enum { ID_BYTES = 12 };

struct backup_desk {
	struct gateway *gateway;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t watcher;
	bool lent, closing;
	char id[2 * ID_BYTES + 1];
	int64_t heard_s;          /* of the copier; monotonic */
	struct scratch_dir names; /* the copy of the names */
};

static int64_t monotonic_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Under the lock. */
static void take_back(struct backup_desk *desk)
{
	desk->lent = false;
	scratch_dir_remove(&desk->names);
	store_hold_end(desk->gateway->store);
}

/* Takes back what a copier that died has borrowed. */
static void *watch(void *context)
{
	struct backup_desk *desk = context;
	pthread_mutex_lock(&desk->lock);
	while (!desk->closing) {
		int64_t silent_s = monotonic_s() - desk->heard_s, max_s = BACKUP_SILENCE_MS_MAX / 1000;
		if (desk->lent && silent_s >= max_s) {
			fprintf(stderr, "cairn: a backup was not heard of for %d minutes: it is taken for dead\n", BACKUP_SILENCE_MS_MAX / 60000);
			take_back(desk);
		}
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += desk->lent ? max_s - (monotonic_s() - desk->heard_s) + 1 : 3600;
		pthread_cond_timedwait(&desk->changed, &desk->lock, &until);
	}
	if (desk->lent)
		take_back(desk);
	pthread_mutex_unlock(&desk->lock);
	return NULL;
}

int backup_desk_open(struct backup_desk **out, struct gateway *gateway, struct why *why)
{
	struct backup_desk *desk = calloc(1, sizeof(*desk));
	if (!desk)
		return why_set(why, ERR_NO_MEMORY, "no memory for backups");
	desk->gateway = gateway;
	pthread_mutex_init(&desk->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&desk->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&desk->watcher, NULL, watch, desk) != 0) {
		free(desk);
		return why_set(why, ERR_NO_MEMORY, "cannot start a thread for backups");
	}
	*out = desk;
	return 0;
}

void backup_desk_close(struct backup_desk *desk)
{
	if (!desk)
		return;
	pthread_mutex_lock(&desk->lock);
	desk->closing = true;
	pthread_cond_signal(&desk->changed);
	pthread_mutex_unlock(&desk->lock);
	pthread_join(desk->watcher, NULL);
	pthread_mutex_destroy(&desk->lock);
	pthread_cond_destroy(&desk->changed);
	free(desk);
}

/* ------------------------------------------------------------------ lending */

/* [blocks] Names, then the list of volumes. On error nothing is held. */
static int lend(struct gateway *gateway, struct scratch_dir *names, struct held_volumes **volumes, struct why *why)
{
	char path[PATH_MAX + 16];
	int err = store_hold(gateway->store, why);
	if (err)
		return err;
	err = scratch_dir_make(names, gateway->data_dir, "backup", why);
	if (err == 0) {
		snprintf(path, sizeof(path), "%s/names", names->path);
		err = consensus_checkpoint(namespace_consensus(gateway->ns), path, why);
		if (err == 0)
			err = store_held_volumes(gateway->store, volumes, why);
		if (err)
			scratch_dir_remove(names);
	}
	if (err)
		store_hold_end(gateway->store);
	return err;
}

static void reply_lent(struct http_request *request, const char *id, const char *names, const struct held_volumes *volumes)
{
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "backup", id);
	json_text(&json, "version", CAIRN_VERSION);
	json_text(&json, "names", names);
	json_array_begin(&json, "volumes");
	for (size_t i = 0; i < volumes->count; i++) {
		json_object_begin(&json, NULL);
		json_u64(&json, "id", volumes->items[i].id);
		json_u64(&json, "bytes", volumes->items[i].length);
		json_bool(&json, "final", volumes->items[i].final);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

static void begin_work(struct http_request *request, void *context)
{
	struct backup_desk *desk = context;
	struct why why = { 0 };
	struct scratch_dir names;
	struct held_volumes *volumes = NULL;
	uint8_t random[ID_BYTES];
	int err = lend(desk->gateway, &names, &volumes, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	randombytes_buf(random, sizeof(random));
	pthread_mutex_lock(&desk->lock);
	desk->lent = true;
	desk->names = names;
	desk->heard_s = monotonic_s();
	hex_encode(desk->id, random, sizeof(random));
	char *id = http_strndup(request, desk->id, sizeof(desk->id) - 1);
	pthread_cond_signal(&desk->changed);
	pthread_mutex_unlock(&desk->lock);
	reply_lent(request, id, http_printf(request, "%s/names", names.path), volumes);
	free(volumes);
}

void admin_backup_begin(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (operator_open(request))
		http_work(request, begin_work, gateway_of(request)->backups);
}

/* ------------------------------------------------------------------ hearing of the copier */

static void answer_known(struct http_request *request, bool known)
{
	if (known)
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{}"));
	else
		answer_err(request, ERR_NOT_FOUND, &(struct why){ "There is no such backup: it has ended, or was taken for dead" });
}

static bool is_lent(const struct backup_desk *desk, struct span id)
{
	return desk->lent && span_equal(id, span_text(desk->id));
}

void admin_backup_renew(struct http_request *request, const struct route_match *match)
{
	struct backup_desk *desk = gateway_of(request)->backups;
	if (!operator_open(request))
		return;
	pthread_mutex_lock(&desk->lock);
	bool known = is_lent(desk, match->captures[0]);
	if (known)
		desk->heard_s = monotonic_s();
	pthread_mutex_unlock(&desk->lock);
	answer_known(request, known);
}

static void end_work(struct http_request *request, void *context)
{
	const struct route_match *match = context;
	struct backup_desk *desk = gateway_of(request)->backups;
	pthread_mutex_lock(&desk->lock);
	bool known = is_lent(desk, match->captures[0]);
	if (known)
		take_back(desk);
	pthread_mutex_unlock(&desk->lock);
	answer_known(request, known);
}

void admin_backup_end(struct http_request *request, const struct route_match *match)
{
	if (operator_open(request))
		http_work(request, end_work, (void *)(uintptr_t)match);
}
