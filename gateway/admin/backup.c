#include "gateway/admin/backup.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/admin_body.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "gateway/repo/repo.h"
#include "gateway/repo/scratch_dir.h"
#include "replication/replica.h"

enum { ID_BYTES = 12, XORBS_AT_ONCE = 64 };

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

/* What one other member has said since the names were taken. */
struct told {
	uint64_t node_id, first_ms;
	bool all, ever;
};

/* An answer that came since may have been on its way before; the one after it was asked for since. */
static void hear(struct told *told, struct replica *replica, uint64_t since_ms)
{
	struct replica_peer_status status;
	replica_peer_status(replica, told->node_id, &status);
	if (told->first_ms == 0 && status.told_ms > since_ms)
		told->first_ms = status.told_ms;
	told->ever = status.told_ms != 0;
	told->all = told->first_ms && status.told_ms > told->first_ms;
}

static size_t members(struct gateway *gateway, struct told told[CLUSTER_NODES_MAX])
{
	size_t count = 0;
	struct cluster_node self;
	struct cluster_view *view = calloc(1, sizeof(*view));
	if (!view)
		return SIZE_MAX;
	consensus_self(namespace_consensus(gateway->ns), &self);
	consensus_view(namespace_consensus(gateway->ns), view);
	for (size_t i = 0; i < view->count; i++)
		if (view->nodes[i].role != NODE_REMOVED && view->nodes[i].node_id != self.node_id)
			told[count++] = (struct told){ .node_id = view->nodes[i].node_id };
	free(view);
	return count;
}

static uint64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* [blocks] Until everything that the names of a moment ago need is here: backup.h. */
static int await_bytes(struct gateway *gateway, struct why *why)
{
	struct told told[CLUSTER_NODES_MAX];
	struct replica_status copies;
	uint64_t since_ms = monotonic_ms();
	size_t count = gateway->replica ? members(gateway, told) : 0;
	if (count == SIZE_MAX)
		return why_set(why, ERR_NO_MEMORY, "no memory");
	if (count == 0)
		return 0;
	replica_status(gateway->replica, &copies);
	for (;;) {
		size_t missing = 0, unknown = 0;
		for (size_t i = 0; i < count; i++) {
			hear(&told[i], gateway->replica, since_ms);
			missing += !told[i].all;
			unknown += !told[i].ever;
		}
		/* Who is away may be waited for in vain: what it got since it was last heard is on others too. */
		if (missing == 0 || (unknown == 0 && missing < copies.copies_needed && missing < copies.copies_least && monotonic_ms() - since_ms > BACKUP_BYTES_MS_MAX / 4))
			return 0;
		if (monotonic_ms() - since_ms > BACKUP_BYTES_MS_MAX)
			return why_set(why, ERR_BUSY, "this node cannot tell whether it has the bytes of %zu others: try again, ask one that has all (cairn cluster status), or remove "
				"those that are gone for good", missing);
		nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000000 }, NULL);
	}
}

/* [blocks] What files need and is not here, or damaged, comes from other nodes, and stays while the backup holds the store. Placement tells only what a
 * node should have: it may still be filling up. A node that does not answer may have what nobody else has. */
static int fetch_bytes(struct gateway *gateway, uint64_t *lost, struct why *why)
{
	struct hash xorbs[XORBS_AT_ONCE], after, file;
	uint64_t missing = 0;
	if (!gateway->replica || consensus_alone(namespace_consensus(gateway->ns)))
		return 0;
	size_t count = store_needed_xorbs(gateway->store, NULL, xorbs, XORBS_AT_ONCE);
	for (; count > 0; count = store_needed_xorbs(gateway->store, &after, xorbs, XORBS_AT_ONCE)) {
		for (size_t i = 0; i < count; i++) {
			int err = store_bring_xorb(gateway->store, &xorbs[i]);
			if (err == ERR_NOT_FOUND) /* every other node was asked */
				*lost += store_note_lost(gateway->store, &xorbs[i], &file, 1);
			else
				missing += err != 0;
		}
		after = xorbs[count - 1];
	}
	return missing ? why_set(why, ERR_BUSY, "%llu xorbs that files need are on none of the nodes that answer, or there is no room for them here: "
		"a backup would lack them; start the nodes that are down, and try again", (unsigned long long)missing) : 0;
}

/* [blocks] A backup that lacks what was lost must not take the place of one that has it, unless whoever asks for it knows. */
static int check_damage(struct gateway *gateway, bool accepted, struct why *why)
{
	struct store_damage damage;
	uint64_t nameless = 0, lost = 0;
	int err = repo_lost_files(gateway, &nameless, why);
	if (err == 0)
		err = fetch_bytes(gateway, &lost, why);
	if (err)
		return err;
	store_damage(gateway->store, &damage);
	damage.files += nameless;
	damage.xorbs = damage.xorbs > lost ? damage.xorbs : lost;
	if (accepted || damage.files + damage.xorbs == 0)
		return 0;
	return why_set(why, ERR_CORRUPT, "the records of %llu files and %llu xorbs that files need are damaged or gone here: a backup would lack them, so none was "
		"made, and what the target has stays; bring them back (cairn scrub names what is damaged), or say --accept-damage, best with a new target",
		(unsigned long long)damage.files, (unsigned long long)damage.xorbs);
}

static int read_point(struct consensus *consensus, struct why *why)
{
	int err = consensus_read_barrier(consensus, GROUP_CLUSTER, BACKUP_READ_MS_MAX, why);
	return err ? err : consensus_read_barrier(consensus, GROUP_REPOS, BACKUP_READ_MS_MAX, why);
}

/* [blocks] Names, then the list of volumes. On error nothing is held. */
static int lend(struct gateway *gateway, struct scratch_dir *names, struct held_volumes **volumes, bool accept_damage, struct why *why)
{
	char path[PATH_MAX + 16];
	int err = store_hold(gateway->store, why);
	if (err)
		return err;
	err = read_point(namespace_consensus(gateway->ns), why);
	if (err) {
		store_hold_end(gateway->store);
		return err;
	}
	err = scratch_dir_make(names, gateway->data_dir, "backup", why);
	if (err == 0) {
		snprintf(path, sizeof(path), "%s/names", names->path);
		err = consensus_checkpoint(namespace_consensus(gateway->ns), path, why);
		if (err == 0)
			err = await_bytes(gateway, why);
		if (err == 0)
			err = check_damage(gateway, accept_damage, why);
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

static void begin_body(struct http_request *request, struct span text, void *context)
{
	struct backup_desk *desk = context;
	struct why why = { 0 };
	struct admin_body *body = admin_body_parse(text);
	int err = body ? 0 : why_set(&why, ERR_INVALID, "The body must be a JSON object");
	bool accept_damage = body && admin_body_bool(body, "accept_damage", false, &err, &why);
	admin_body_free(body);
	struct scratch_dir names;
	struct held_volumes *volumes = NULL;
	uint8_t random[ID_BYTES];
	if (err == 0)
		err = lend(desk->gateway, &names, &volumes, accept_damage, &why);
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
		http_collect(request, ADMIN_BODY_BYTES_MAX, begin_body, gateway_of(request)->backups);
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
