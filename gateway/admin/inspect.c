#include "gateway/admin/inspect.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/operator.h"
#include "gateway/answer.h"
#include "gateway/process.h"

/* ------------------------------------------------------------------ node and store */

static void write_stats(struct json_writer *json, const char *key, struct store *store)
{
	struct store_stats stats;
	store_stats(store, &stats);
	json_object_begin(json, key);
	json_u64(json, "chunks", stats.chunks);
	json_u64(json, "xorbs", stats.xorbs);
	json_u64(json, "files", stats.files);
	json_u64(json, "volumes", stats.volumes);
	json_u64(json, "stored_bytes", stats.stored_bytes);
	json_u64(json, "disk_bytes", stats.disk_bytes);
	json_u64(json, "raw_bytes", stats.raw_bytes);
	json_u64(json, "logical_bytes", stats.logical_bytes);
	json_u64(json, "syncs", stats.syncs);
	json_u64(json, "acknowledged", stats.acknowledged);
	json_object_end(json);
}

static void write_node(struct json_writer *json, struct consensus *consensus)
{
	struct consensus_status status;
	consensus_status(consensus, &status);
	char id[24];
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)status.node_id);
	json_object_begin(json, "node");
	json_text(json, "id", id);
	json_u64(json, "term", status.term);
	json_bool(json, "leader", status.leader);
	json_u64(json, "voters", status.voters);
	json_u64(json, "applied", status.applied);
	json_u64(json, "committed", status.committed);
	json_u64(json, "last_index", status.last_index);
	json_u64(json, "log_syncs", status.log_syncs);
	json_u64(json, "commands", status.commands);
	json_object_end(json);
}

static void status_work(struct http_request *request, void *context)
{
	(void)context;
	struct gateway *gateway = gateway_of(request);
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "version", CAIRN_VERSION);
	json_i64(&json, "uptime_ms", unix_ms() - gateway->started_ms);
	json_u64(&json, "resident_bytes", process_resident_bytes());
	write_node(&json, namespace_consensus(gateway->ns));
	write_stats(&json, "store", gateway->store);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

void admin_status(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (operator_open(request))
		http_work(request, status_work, NULL);
}

static void stats_work(struct http_request *request, void *context)
{
	(void)context;
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	write_stats(&json, NULL, gateway_of(request)->store);
	answer_json(request, 200, &body);
}

void admin_stats(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (operator_open(request))
		http_work(request, stats_work, NULL);
}

static void volumes_work(struct http_request *request, void *context)
{
	(void)context;
	struct store_stats stats;
	store_stats(gateway_of(request)->store, &stats);
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_u64(&json, "volumes", stats.volumes);
	json_u64(&json, "disk_bytes", stats.disk_bytes);
	json_u64(&json, "stored_bytes", stats.stored_bytes);
	/* Headers, file records and whatever compaction may win back. */
	json_u64(&json, "dead_bytes", stats.disk_bytes > stats.stored_bytes ? stats.disk_bytes - stats.stored_bytes : 0);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

void admin_volumes(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (operator_open(request))
		http_work(request, volumes_work, NULL);
}

/* ------------------------------------------------------------------ repositories */

struct listing {
	struct store *store;
	struct json_writer json;
	bool with_usage;
	long left;
	enum repo_type type;
	const char *owner, *after;
};

static int each_repo(void *context, const struct repo *repo)
{
	struct listing *listing = context;
	struct json_writer *json = &listing->json;
	if (listing->left-- == 0)
		return 1;
	json_object_begin(json, NULL);
	json_entity_id(json, "id", &repo->id);
	json_text(json, "type", operator_type_name(repo->type));
	json_text(json, "owner", repo->owner);
	json_text(json, "name", repo->name);
	json_bool(json, "private", repo->private);
	json_date(json, "created_at", repo->created_ms);
	json_date(json, "modified_at", repo->modified_ms);
	json_u64(json, "version", repo->version);
	uint64_t files, bytes;
	if (listing->with_usage && store_owner_usage(listing->store, &repo->id, &files, &bytes) == 0) {
		json_u64(json, "files", files);
		json_u64(json, "bytes", bytes);
	}
	json_object_end(json);
	return 0;
}

static void repos_work(struct http_request *request, void *context)
{
	struct listing *listing = context;
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&listing->json, &body);
	json_array_begin(&listing->json, NULL);
	int err = repo_list(gateway_of(request)->ns, listing->type, listing->owner, listing->after, each_repo, listing);
	json_array_end(&listing->json);
	if (err < 0) {
		buffer_fini(&body);
		answer_err(request, err, NULL);
	} else {
		answer_json(request, 200, &body);
	}
}

void admin_repos(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (!operator_open(request))
		return;
	struct listing *listing = http_alloc(request, sizeof(*listing));
	const char *type = http_query_value(request, "type", 0);
	const char *limit = http_query_value(request, "limit", 0);
	listing->store = gateway_of(request)->store;
	listing->owner = http_query_value(request, "owner", 0);
	listing->after = http_query_value(request, "after", 0);
	listing->with_usage = http_query_bool(request, "usage", false);
	listing->left = limit ? atol(limit) : ADMIN_REPOS_MAX;
	if (listing->left < 1 || listing->left > ADMIN_REPOS_MAX || (type && operator_type(span_text(type), &listing->type) != 0))
		answer_err(request, ERR_INVALID, NULL);
	else
		http_work(request, repos_work, listing);
}

/* ------------------------------------------------------------------ xorbs */

enum { ADMIN_XORBS_MAX = 10000 };

static void xorbs_work(struct http_request *request, void *context)
{
	const struct hash *after = context;
	struct buffer body;
	struct json_writer json;
	struct held_xorb *held = malloc(ADMIN_XORBS_MAX * sizeof(*held));
	if (!held) {
		answer_err(request, ERR_NO_MEMORY, NULL);
		return;
	}
	size_t count = store_held_xorbs(gateway_of(request)->store, after, held, ADMIN_XORBS_MAX);
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_array_begin(&json, NULL);
	for (size_t i = 0; i < count; i++) {
		char text[HASH_TEXT_BYTES];
		hash_to_text(text, &held[i].xorb);
		json_object_begin(&json, NULL);
		json_text(&json, "xorb", text);
		json_u64(&json, "body_length", held[i].body_length);
		json_object_end(&json);
	}
	json_array_end(&json);
	free(held);
	answer_json(request, 200, &body);
}

void admin_xorbs(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (!operator_open(request))
		return;
	const char *text = http_query_value(request, "after", 0);
	struct hash *after = text ? http_alloc(request, sizeof(*after)) : NULL;
	if (after && hash_from_text(after, text, strlen(text)) != 0)
		answer_err(request, ERR_INVALID, &(struct why){ "A hash is 64 hexadecimal digits" });
	else
		http_work(request, xorbs_work, after);
}

/* ------------------------------------------------------------------ one xorb */

static void write_xorb(struct json_writer *json, const struct xorb_table *table, const struct xorb_info *info)
{
	char text[HASH_TEXT_BYTES];
	hash_to_text(text, &table->xorb);
	json_object_begin(json, NULL);
	json_text(json, "xorb", text);
	json_u64(json, "body_length", info->body_length);
	json_u64(json, "raw_length", info->raw_length);
	json_array_begin(json, "chunks");
	for (uint32_t i = 0; i < table->count; i++) {
		hash_to_text(text, &table->chunks[i].hash);
		json_object_begin(json, NULL);
		json_u64(json, "index", i);
		json_text(json, "hash", text);
		json_u64(json, "body_end", table->chunks[i].body_end);
		json_u64(json, "raw_end", table->chunks[i].raw_end);
		json_object_end(json);
	}
	json_array_end(json);
	json_object_end(json);
}

static void xorb_work(struct http_request *request, void *context)
{
	const struct hash *xorb = context;
	struct store *store = gateway_of(request)->store;
	struct xorb_info info;
	struct xorb_table *table = NULL;
	struct why why = { 0 };
	int err = store_xorb_info(store, xorb, &info);
	if (err == 0)
		err = store_xorb_table(store, xorb, &table, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer body;
	buffer_init(&body, ADMIN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	write_xorb(&json, table, &info);
	xorb_table_release(table);
	answer_json(request, 200, &body);
}

void admin_xorb(struct http_request *request, const struct route_match *match)
{
	if (!operator_open(request))
		return;
	struct hash *xorb = http_alloc(request, sizeof(*xorb));
	if (hash_from_text(xorb, (const char *)match->captures[0].data, match->captures[0].length) != 0)
		answer_err(request, ERR_INVALID, &(struct why){ "A hash is 64 hexadecimal digits" });
	else
		http_work(request, xorb_work, xorb);
}
