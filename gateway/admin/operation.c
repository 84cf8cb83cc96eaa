/* operation.c - DESIGN. The admin object holds a ring of the last operations under one mutex, which nobody holds across the work: a running
 * operation writes its progress through atomics and takes the mutex once, to publish its end. One runs at a time, on a thread
 * of its own. An operation's slot is reused only when it has ended and been joined.
 *
 * Each node has operations of its own, so the id of one that began in a cluster names the node: "0123456789abcdef-1". Of a hub alone it is a number. */
#include "gateway/admin/operation.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/admin_body.h"
#include "gateway/admin/cluster.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "gateway/process.h"
#include "gateway/repo/repo.h"

enum operation_kind { OPERATION_GC, OPERATION_SCRUB, OPERATION_LFS_GC, OPERATION_REPO_STATS };
enum operation_state { OPERATION_NONE, OPERATION_RUNNING, OPERATION_DONE, OPERATION_FAILED, OPERATION_CANCELLED };

enum {
	RESULT_BYTES_MAX = 512 << 10,
	ID_TEXT_BYTES_MAX = 40,
	NODE_DIGITS = 16,
	CLUSTER_GRACE_MS_MIN = 60 * 60 * 1000, /* uploads under way on other nodes are in no list of this one */
};

struct operation {
	uint64_t id; /* from 1 */
	bool of_cluster; /* its id says of which node it is */
	enum operation_kind kind;
	enum operation_state state;
	struct admin *admin;
	pthread_t thread;
	bool joined;
	struct store_progress progress;
	int64_t started_ms, finished_ms;
	_Atomic int64_t asked_ms; /* when somebody asked last how it is */
	bool dry_run, any_grace; /* any_grace: also one that is too short for a cluster */
	int64_t grace_ms;
	struct entity_id repo;  /* OPERATION_LFS_GC, OPERATION_REPO_STATS */
	int findings_count;
	struct buffer findings; /* JSON values, comma-separated */
	struct buffer result;   /* JSON object, made at the end */
	struct why why;
};

struct admin {
	struct gateway *gateway;
	pthread_mutex_t mutex;
	uint64_t node_id, last_id;
	bool closing;
	struct operation operations[ADMIN_OPERATIONS_MAX]; /* slot id mod max */
};

int admin_open(struct admin **out, struct gateway *gateway, struct why *why)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	*out = admin;
	if (!admin)
		return why_set(why, ERR_NO_MEMORY, "no memory for the admin calls");
	struct cluster_node self;
	consensus_self(namespace_consensus(gateway->ns), &self);
	admin->gateway = gateway;
	admin->node_id = self.node_id;
	pthread_mutex_init(&admin->mutex, NULL);
	return 0;
}

static void operation_clear(struct operation *operation)
{
	if (operation->state == OPERATION_NONE)
		return;
	if (!operation->joined)
		pthread_join(operation->thread, NULL);
	buffer_fini(&operation->findings);
	buffer_fini(&operation->result);
	memset(operation, 0, sizeof(*operation));
}

void admin_close(struct admin *admin)
{
	if (!admin)
		return;
	pthread_mutex_lock(&admin->mutex);
	admin->closing = true;
	for (size_t i = 0; i < ADMIN_OPERATIONS_MAX; i++)
		admin->operations[i].progress.cancel = 1;
	pthread_mutex_unlock(&admin->mutex);
	for (size_t i = 0; i < ADMIN_OPERATIONS_MAX; i++)
		operation_clear(&admin->operations[i]);
	pthread_mutex_destroy(&admin->mutex);
	free(admin);
}

/* ------------------------------------------------------------------ the work */

static int all_roots(void *context, int (*emit)(void *gc, const struct entity_id *owner, const struct hash *file), void *gc, struct why *why)
{
	int err = repo_newest_names(context, why);
	return err ? err : repo_gc_roots(context, emit, gc, why);
}

int operation_needs(void *gateway, int (*emit)(void *asker, const struct entity_id *owner, const struct hash *file), void *asker, struct why *why)
{
	int err = repo_newest_names(gateway, why);
	return err ? err : repo_needs(gateway, emit, asker, why);
}

static void lengthen_grace(struct operation *operation)
{
	struct gateway *gateway = operation->admin->gateway;
	if (gateway->replica && !consensus_alone(namespace_consensus(gateway->ns)) && !operation->any_grace && operation->grace_ms < CLUSTER_GRACE_MS_MIN)
		operation->grace_ms = CLUSTER_GRACE_MS_MIN;
}

static int run_gc(struct operation *operation, struct json_writer *json)
{
	struct gateway *gateway = operation->admin->gateway;
	struct store_gc_report report = { 0 };
	lengthen_grace(operation);
	int err = store_gc(gateway->store, all_roots, gateway, operation->grace_ms, operation->dry_run, &operation->progress, &report,
		&operation->why);
	json_object_begin(json, NULL);
	json_bool(json, "dry_run", operation->dry_run);
	json_i64(json, "grace_ms", operation->grace_ms);
	json_u64(json, "files_live", report.files_live);
	json_u64(json, "files_dropped", report.files_dropped);
	json_u64(json, "claims_dropped", report.claims_dropped);
	json_u64(json, "xorbs_live", report.xorbs_live);
	json_u64(json, "xorbs_dropped", report.xorbs_dropped);
	json_u64(json, "bytes_freed", report.bytes_freed);
	json_u64(json, "volumes_compacted", report.volumes_compacted);
	json_u64(json, "bytes_compacted", report.bytes_compacted);
	json_object_end(json);
	return err;
}

static void scrub_finding(void *context, const char *what)
{
	struct operation *operation = context;
	if (operation->findings_count++ >= ADMIN_FINDINGS_MAX)
		return;
	struct json_writer json;
	json_writer_init(&json, &operation->findings);
	if (operation->findings.length)
		buffer_append_byte(&operation->findings, ',');
	json_text(&json, NULL, what);
}

static int run_scrub(struct operation *operation, struct json_writer *json)
{
	struct store_scrub_report report = { 0 };
	int err = store_scrub(operation->admin->gateway->store, &operation->progress, scrub_finding, operation, &report, &operation->why);
	json_object_begin(json, NULL);
	json_u64(json, "records", report.records);
	json_u64(json, "bytes", report.bytes);
	json_u64(json, "corrupt", report.corrupt);
	json_u64(json, "repaired", report.repaired);
	json_array_begin(json, "findings");
	if (operation->findings.length && !operation->findings.failed)
		json_raw(json, NULL, buffer_span(&operation->findings));
	json_array_end(json);
	json_object_end(json);
	return err;
}

static int unneeded_object(void *context, const struct file_info *file, int64_t claimed_ms)
{
	struct operation *operation = context;
	if (operation->findings_count++ >= ADMIN_OBJECTS_MAX)
		return 0;
	char oid[HASH_TEXT_BYTES];
	struct json_writer json;
	json_writer_init(&json, &operation->findings);
	if (operation->findings.length)
		buffer_append_byte(&operation->findings, ',');
	hex_encode(oid, file->sha256.bytes, HASH_BYTES);
	json_object_begin(&json, NULL);
	json_text(&json, "oid", file->has_sha256 ? oid : NULL);
	json_u64(&json, "size", file->length);
	json_i64(&json, "age_ms", operation->started_ms - claimed_ms);
	json_object_end(&json);
	return 0;
}

static int run_lfs_gc(struct operation *operation, struct json_writer *json)
{
	struct gateway *gateway = operation->admin->gateway;
	struct store_owner_gc_report report = { 0 };
	struct repo_roots roots = { .gateway = gateway, .repo = operation->repo };
	lengthen_grace(operation);
	int err = store_gc_owner(gateway->store, &operation->repo, repo_gc_roots_of, &roots, operation->grace_ms, operation->dry_run, unneeded_object, operation,
		&operation->progress, &report, &operation->why);
	json_object_begin(json, NULL);
	json_bool(json, "dry_run", operation->dry_run);
	json_u64(json, "objects_kept", report.claims_kept);
	json_u64(json, "objects_dropped", report.claims_dropped);
	json_u64(json, "bytes_dropped", report.bytes_dropped);
	json_array_begin(json, "objects");
	if (operation->findings.length && !operation->findings.failed)
		json_raw(json, NULL, buffer_span(&operation->findings));
	json_array_end(json);
	json_object_end(json);
	return err;
}

/* Numbers that nobody waits for are not worth the work. */
static bool is_wanted(void *context)
{
	struct operation *operation = context;
	if (unix_ms() - operation->asked_ms > ADMIN_UNASKED_MS)
		operation->progress.cancel = 1;
	return !operation->progress.cancel;
}

static int run_repo_stats(struct operation *operation, struct json_writer *json)
{
	struct store_owner_stats_watch watch = { is_wanted, operation, &operation->progress };
	struct store_owner_stats stats;
	int err = store_owner_stats(operation->admin->gateway->store, &operation->repo, &watch, &stats, &operation->why);
	if (err)
		return err;
	json_object_begin(json, NULL);
	json_u64(json, "files", stats.files);
	json_u64(json, "logical_bytes", stats.logical_bytes);
	json_u64(json, "shared_files", stats.shared_files);
	json_u64(json, "shared_files_bytes", stats.shared_files_bytes);
	json_u64(json, "unread_files", stats.unread_files);
	json_u64(json, "xorbs", stats.xorbs);
	json_u64(json, "unique_bytes", stats.unique_bytes);
	json_u64(json, "stored_bytes", stats.stored_bytes);
	json_u64(json, "shared_bytes", stats.shared_bytes);
	json_u64(json, "freed_bytes", stats.freed_bytes);
	json_u64(json, "coded_bytes", stats.coded_bytes);
	json_u64(json, "parts_bytes", stats.parts_bytes);
	json_u64(json, "estimated_bytes", stats.estimated_bytes);
	json_object_end(json);
	return 0;
}

static int run(struct operation *operation, struct json_writer *json)
{
	switch (operation->kind) {
	case OPERATION_GC:
		return run_gc(operation, json);
	case OPERATION_SCRUB:
		return run_scrub(operation, json);
	case OPERATION_LFS_GC:
		return run_lfs_gc(operation, json);
	case OPERATION_REPO_STATS:
		return run_repo_stats(operation, json);
	}
	return ERR_UNSUPPORTED;
}

static void *operation_main(void *context)
{
	struct operation *operation = context;
	struct admin *admin = operation->admin;
	struct buffer result;
	buffer_init(&result, RESULT_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &result);
	int err = run(operation, &json);
	pthread_mutex_lock(&admin->mutex);
	operation->result = result;
	operation->finished_ms = unix_ms();
	operation->state = err == 0 ? OPERATION_DONE : operation->progress.cancel ? OPERATION_CANCELLED : OPERATION_FAILED;
	pthread_mutex_unlock(&admin->mutex);
	return NULL;
}

/* ------------------------------------------------------------------ starting */

static bool any_running(const struct admin *admin)
{
	for (size_t i = 0; i < ADMIN_OPERATIONS_MAX; i++)
		if (admin->operations[i].state == OPERATION_RUNNING)
			return true;
	return false;
}

static void write_id(char out[ID_TEXT_BYTES_MAX], const struct operation *operation)
{
	unsigned long long node = operation->admin->node_id, id = operation->id;
	if (operation->of_cluster)
		snprintf(out, ID_TEXT_BYTES_MAX, "%0*llx-%llu", NODE_DIGITS, node, id);
	else
		snprintf(out, ID_TEXT_BYTES_MAX, "%llu", id);
}

/* 0 and the id; ERR_EXISTS: another one runs. */
static int operation_start(struct admin *admin, enum operation_kind kind, const struct entity_id *repo, bool dry_run, bool any_grace,
	int64_t grace_ms, char id[ID_TEXT_BYTES_MAX])
{
	pthread_mutex_lock(&admin->mutex);
	int err = admin->closing ? ERR_CLOSED : any_running(admin) ? ERR_EXISTS : 0;
	if (err == 0) {
		struct operation *operation = &admin->operations[(admin->last_id + 1) % ADMIN_OPERATIONS_MAX];
		operation_clear(operation); /* ended, so the join does not wait */
		operation->id = ++admin->last_id;
		operation->of_cluster = !consensus_alone(namespace_consensus(admin->gateway->ns));
		operation->kind = kind;
		operation->admin = admin;
		write_id(id, operation);
		operation->dry_run = dry_run;
		operation->any_grace = any_grace;
		operation->grace_ms = grace_ms;
		if (repo)
			operation->repo = *repo;
		operation->asked_ms = unix_ms();
		operation->started_ms = operation->asked_ms;
		buffer_init(&operation->findings, RESULT_BYTES_MAX / 2);
		buffer_init(&operation->result, RESULT_BYTES_MAX);
		operation->state = OPERATION_RUNNING;
		if (pthread_create(&operation->thread, NULL, operation_main, operation) != 0) {
			operation->state = OPERATION_FAILED;
			operation->joined = true;
			err = ERR_NO_MEMORY;
		}
	}
	pthread_mutex_unlock(&admin->mutex);
	return err;
}

static void reply_started(struct http_request *request, int err, const char *id)
{
	if (err)
		answer_err(request, err, err == ERR_EXISTS ? &(struct why){ "Another operation is running; wait for it or cancel it" } : NULL);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text(http_printf(request, "{\"operation\":\"%s\"}", id)));
}

/* `context`: NULL, or the one repository whose objects are meant. */
static void gc_body(struct http_request *request, struct span text, void *context)
{
	const struct repo *repo = context;
	struct why why = { 0 };
	struct admin_body *body = admin_body_parse(text);
	int err = body ? 0 : why_set(&why, ERR_INVALID, "The body must be a JSON object");
	bool dry_run = body && admin_body_bool(body, "dry_run", false, &err, &why);
	bool any_grace = body && admin_body_bool(body, "any_grace", false, &err, &why);
	int64_t grace_ms = body ? admin_body_i64(body, "grace_ms", ADMIN_GC_GRACE_MS, &err, &why) : 0;
	admin_body_free(body);
	if (err == 0 && grace_ms < 0)
		err = why_set(&why, ERR_INVALID, "\"grace_ms\" must not be negative");
	char id[ID_TEXT_BYTES_MAX] = "";
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	err = operation_start(gateway_of(request)->admin, repo ? OPERATION_LFS_GC : OPERATION_GC, repo ? &repo->id : NULL, dry_run, any_grace, grace_ms,
		id);
	reply_started(request, err, id);
}

static bool may_operate(struct http_request *request)
{
	if (!operator_open(request))
		return false;
	if (gateway_of(request)->admin)
		return true;
	answer_err(request, ERR_UNSUPPORTED, NULL);
	return false;
}

void admin_gc(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (may_operate(request))
		http_collect(request, ADMIN_BODY_BYTES_MAX, gc_body, NULL);
}

void admin_lfs_gc(struct http_request *request, const struct route_match *match)
{
	struct repo *repo = http_alloc(request, sizeof(*repo));
	if (may_operate(request) && operator_repo(request, match, repo))
		http_collect(request, ADMIN_BODY_BYTES_MAX, gc_body, repo);
}

static void repo_stats_body(struct http_request *request, struct span text, void *context)
{
	(void)text;
	const struct repo *repo = context;
	char id[ID_TEXT_BYTES_MAX] = "";
	int err = operation_start(gateway_of(request)->admin, OPERATION_REPO_STATS, &repo->id, false, false, 0, id);
	reply_started(request, err, id);
}

void admin_repo_stats(struct http_request *request, const struct route_match *match)
{
	struct repo *repo = http_alloc(request, sizeof(*repo));
	if (may_operate(request) && operator_repo(request, match, repo))
		http_collect(request, ADMIN_BODY_BYTES_MAX, repo_stats_body, repo);
}

static void scrub_body(struct http_request *request, struct span text, void *context)
{
	(void)text, (void)context;
	char id[ID_TEXT_BYTES_MAX] = "";
	int err = operation_start(gateway_of(request)->admin, OPERATION_SCRUB, NULL, false, false, 0, id);
	reply_started(request, err, id);
}

void admin_scrub(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (may_operate(request))
		http_collect(request, ADMIN_BODY_BYTES_MAX, scrub_body, NULL);
}

/* ------------------------------------------------------------------ watching */

static void write_operation(struct json_writer *json, const struct operation *operation)
{
	static const char *const kinds[] = { "gc", "scrub", "lfs-gc", "repo-stats" };
	static const char *const states[] = { "none", "running", "done", "failed", "cancelled" };
	char id[ID_TEXT_BYTES_MAX];
	write_id(id, operation);
	json_object_begin(json, NULL);
	json_text(json, "operation", id);
	json_text(json, "kind", kinds[operation->kind]);
	json_text(json, "state", states[operation->state]);
	json_u64(json, "done_bytes", operation->progress.done_bytes);
	json_u64(json, "total_bytes", operation->progress.total_bytes);
	json_date(json, "started_at", operation->started_ms);
	if (operation->finished_ms)
		json_date(json, "finished_at", operation->finished_ms);
	if (operation->state == OPERATION_FAILED)
		json_text(json, "error", operation->why.text[0] ? operation->why.text : "the operation failed");
	if (operation->state != OPERATION_RUNNING && operation->result.length && !operation->result.failed)
		json_raw(json, "result", buffer_span(&operation->result));
	json_object_end(json);
}

void admin_operations(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (!may_operate(request))
		return;
	struct admin *admin = gateway_of(request)->admin;
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_array_begin(&json, NULL);
	pthread_mutex_lock(&admin->mutex);
	for (uint64_t i = 0; i < ADMIN_OPERATIONS_MAX && i < admin->last_id; i++)
		write_operation(&json, &admin->operations[(admin->last_id - i) % ADMIN_OPERATIONS_MAX]);
	pthread_mutex_unlock(&admin->mutex);
	json_array_end(&json);
	answer_json(request, 200, &body);
}

/* The slot of an id in a path; NULL when it is not remembered. Called with the mutex held. */
static struct operation *operation_of(struct admin *admin, struct span text)
{
	char asked[ID_TEXT_BYTES_MAX] = { 0 }, found[ID_TEXT_BYTES_MAX];
	if (text.length >= sizeof(asked))
		return NULL;
	memcpy(asked, text.data, text.length);
	const char *dash = strchr(asked, '-');
	uint64_t id = strtoull(dash ? dash + 1 : asked, NULL, 10);
	struct operation *operation = &admin->operations[id % ADMIN_OPERATIONS_MAX];
	if (id == 0 || operation->id != id)
		return NULL;
	write_id(found, operation);
	return strcmp(asked, found) == 0 ? operation : NULL;
}

/* The node that the id of an operation names; 0: none. */
static uint64_t node_of(struct span text)
{
	bool names_one = text.length > NODE_DIGITS && text.data[NODE_DIGITS] == '-';
	return names_one ? admin_node_id(span_of(text.data, NODE_DIGITS)) : 0;
}

static void answer_missing(struct http_request *request, struct span text)
{
	struct gateway *gateway = gateway_of(request);
	struct why why = { "There is no such operation" };
	uint64_t node_id = node_of(text);
	struct cluster_view *view = calloc(1, sizeof(*view));
	if (view)
		consensus_view(namespace_consensus(gateway->ns), view);
	const struct cluster_node *node = view && node_id ? cluster_view_find(view, node_id) : NULL;
	if (node && node_id != gateway->admin->node_id)
		why_set(&why, ERR_NOT_FOUND, "This is an operation of the node %s, which alone knows of it: ask that one", node->name);
	else if (!consensus_alone(namespace_consensus(gateway->ns)))
		why_set(&why, ERR_NOT_FOUND, "There is no such operation on this node");
	free(view);
	answer_err(request, ERR_NOT_FOUND, &why);
}

void admin_operation_get(struct http_request *request, const struct route_match *match)
{
	if (!may_operate(request))
		return;
	struct admin *admin = gateway_of(request)->admin;
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	pthread_mutex_lock(&admin->mutex);
	struct operation *operation = operation_of(admin, match->captures[0]);
	if (operation) {
		operation->asked_ms = unix_ms();
		write_operation(&json, operation);
	}
	pthread_mutex_unlock(&admin->mutex);
	if (operation) {
		answer_json(request, 200, &body);
	} else {
		buffer_fini(&body);
		answer_missing(request, match->captures[0]);
	}
}

void admin_operation_cancel(struct http_request *request, const struct route_match *match)
{
	if (!may_operate(request))
		return;
	struct admin *admin = gateway_of(request)->admin;
	pthread_mutex_lock(&admin->mutex);
	struct operation *operation = operation_of(admin, match->captures[0]);
	if (operation)
		operation->progress.cancel = 1;
	pthread_mutex_unlock(&admin->mutex);
	if (operation)
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{}"));
	else
		answer_missing(request, match->captures[0]);
}
