#include "gateway/xet/reconstruction.h"

#include <stdlib.h>

#include "gateway/answer.h"
#include "gateway/elsewhere.h"
#include "gateway/process.h"
#include "gateway/xet/batch_body.h"
#include "gateway/xet/caller.h"
#include "gateway/xet/data_url.h"
#include "gateway/xet/fetch_list.h"
#include "gateway/xet/reconstruction_room.h"
#include "gateway/xet/xorbs.h"
#include "schemas/json_writer.h"

enum {
	/* At most, in an answer: of a term, of a run of chunks beside the base of its URL. */
	TERM_JSON_BYTES = 192,
	FETCH_JSON_BYTES = GRANT_TEXT_BYTES_MAX + 384,
};

struct query {
	struct xet_caller *caller;
	int version;
	uint64_t start, end; /* of the one file; end exclusive */
	size_t files_count;
	struct hash files[BATCH_FILES_MAX];
};

/* Length of a file that the token's repository holds. The empty file needs no claim. */
static int file_length_here(const struct xet_caller *caller, const struct hash *file, uint64_t *out)
{
	struct file_info info;
	*out = 0;
	if (hash_is_zero(file))
		return 0;
	int err = store_claim_check(caller->gateway->store, &caller->repo.id, file);
	if (err == 0)
		err = store_file_info(caller->gateway->store, file, &info);
	if (err == 0)
		*out = info.length;
	return err;
}

/* [blocks] The same, and asks the other nodes. */
static int file_length(const struct xet_caller *caller, const struct hash *file, uint64_t *out)
{
	struct file_info info;
	*out = 0;
	if (hash_is_zero(file))
		return 0;
	int err = store_find_file(caller->gateway->store, &caller->repo.id, file, &info);
	if (err == 0)
		*out = info.length;
	return err;
}

static bool may_be_elsewhere(const struct xet_caller *caller, int err)
{
	return err == ERR_NOT_FOUND && caller->gateway->replica;
}

/* ------------------------------------------------------------------ JSON */

static void write_pair(struct json_writer *json, const char *key, uint64_t start, uint64_t end)
{
	json_object_begin(json, key);
	json_u64(json, "start", start);
	json_u64(json, "end", end);
	json_object_end(json);
}

static void write_terms(struct json_writer *json, const char *key, const struct plan *plan)
{
	char text[HASH_TEXT_BYTES];
	json_array_begin(json, key);
	for (uint32_t i = 0; i < plan->terms_count; i++) {
		const struct plan_term *term = &plan->terms[i];
		hash_to_text(text, &term->xorb);
		json_object_begin(json, NULL);
		json_text(json, "hash", text);
		json_u64(json, "unpacked_length", term->raw_length);
		write_pair(json, "range", term->chunk_start, term->chunk_end);
		json_object_end(json);
	}
	json_array_end(json);
}

struct url_maker {
	struct xet_caller *caller;
	const char *base_url;
	int64_t now_ms;
	struct buffer url;
};

static void write_url(struct json_writer *json, struct url_maker *maker, const struct fetch *fetches, size_t count)
{
	struct byte_range ranges[DATA_URL_RANGES_MAX];
	for (size_t i = 0; i < count; i++)
		ranges[i] = (struct byte_range){ fetches[i].body_start, fetches[i].body_end };
	buffer_clear(&maker->url);
	data_url_append(&maker->url, maker->base_url, maker->caller, maker->now_ms, &fetches[0].xorb, ranges, count);
	if (maker->url.failed)
		json->out->failed = true;
	json_span(json, "url", buffer_span(&maker->url));
}

/* One entry per run, each with its own URL. */
static void write_fetches_v1(struct json_writer *json, struct url_maker *maker, const struct fetch *fetches, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		json_object_begin(json, NULL);
		write_pair(json, "range", fetches[i].chunk_start, fetches[i].chunk_end);
		write_url(json, maker, &fetches[i], 1);
		write_pair(json, "url_range", fetches[i].body_start, fetches[i].body_end - 1);
		json_object_end(json);
	}
}

/* One entry per as many runs as a URL may carry. */
static void write_fetches_v2(struct json_writer *json, struct url_maker *maker, const struct fetch *fetches, size_t count)
{
	for (size_t at = 0; at < count;) {
		size_t taken = count - at < DATA_URL_RANGES_MAX ? count - at : DATA_URL_RANGES_MAX;
		json_object_begin(json, NULL);
		write_url(json, maker, &fetches[at], taken);
		json_array_begin(json, "ranges");
		for (size_t i = at; i < at + taken; i++) {
			json_object_begin(json, NULL);
			write_pair(json, "chunks", fetches[i].chunk_start, fetches[i].chunk_end);
			write_pair(json, "bytes", fetches[i].body_start, fetches[i].body_end - 1);
			json_object_end(json);
		}
		json_array_end(json);
		json_object_end(json);
		at += taken;
	}
}

/* [blocks] Where to fetch each xorb of a merged list, in its order: NULL for those that are fetched here. The caller frees it. */
static const char **nodes_of(struct http_request *request, const struct fetch_list *list)
{
	struct hash *xorbs = malloc((list->count + 1) * sizeof(*xorbs));
	size_t count = 0;
	for (size_t at = 0; xorbs && at < list->count; at = fetch_list_xorb_end(list, at))
		xorbs[count++] = list->items[at].xorb;
	const char **urls = xorbs ? elsewhere_xorbs(request, xorbs, count) : NULL;
	free(xorbs);
	return urls;
}

static void write_fetches(struct http_request *request, struct json_writer *json, const struct query *query, const struct fetch_list *list)
{
	struct url_maker maker = { .caller = query->caller, .now_ms = unix_ms() };
	const char **nodes = nodes_of(request, list);
	size_t number = 0; /* of the xorb */
	buffer_init(&maker.url, DATA_URL_BYTES_MAX + GRANT_TEXT_BYTES_MAX);
	json_object_begin(json, query->version == 2 ? "xorbs" : "fetch_info");
	for (size_t at = 0; at < list->count && !json->out->failed; number++) {
		size_t end = fetch_list_xorb_end(list, at);
		char text[HASH_TEXT_BYTES];
		hash_to_text(text, &list->items[at].xorb);
		maker.base_url = nodes && nodes[number] ? nodes[number] : http_base_url(request);
		json_array_begin(json, text);
		if (query->version == 2)
			write_fetches_v2(json, &maker, &list->items[at], end - at);
		else
			write_fetches_v1(json, &maker, &list->items[at], end - at);
		json_array_end(json);
		at = end;
	}
	json_object_end(json);
	buffer_fini(&maker.url);
	free(nodes);
}

/* ------------------------------------------------------------------ room for it */

/* Enough for a plan, for the list of what to fetch and for the answer. */
static int take_room(struct http_request *request, uint64_t terms_count, struct reconstruction_room *room, struct why *why)
{
	if (terms_count > PLAN_TERMS_MAX)
		return why_set(why, ERR_TOO_BIG, "The answer would have more than %d terms: ask for a smaller range", PLAN_TERMS_MAX);
	uint64_t answer_bytes = terms_count * (TERM_JSON_BYTES + FETCH_JSON_BYTES + strlen(http_base_url(request)));
	if (answer_bytes > RECONSTRUCTION_BYTES_MAX)
		answer_bytes = RECONSTRUCTION_BYTES_MAX;
	return reconstruction_room_take(room, request, terms_count * (sizeof(struct plan_term) + sizeof(struct fetch)) + answer_bytes, why);
}

/* A large answer on its way, in the room that it was made in. */
struct large_answer {
	struct reconstruction_room room;
	struct buffer body;
	size_t sent;
};

static int64_t large_read(void *context, void *out, size_t length, bool may_block)
{
	(void)may_block;
	struct large_answer *answer = context;
	size_t left = answer->body.length - answer->sent, taken = left < length ? left : length;
	memcpy(out, answer->body.data + answer->sent, taken);
	answer->sent += taken;
	return (int64_t)taken;
}

static void large_close(void *context)
{
	struct large_answer *answer = context;
	buffer_fini(&answer->body);
	reconstruction_room_give_back(&answer->room);
	free(answer);
}

static void answer_failure(struct http_request *request, int err, const struct why *why)
{
	answer_err(request, err, err == ERR_TOO_BIG || err == ERR_BUSY ? why : NULL);
}

static void reply(struct http_request *request, struct large_answer *answer)
{
	if (answer->body.failed) {
		large_close(answer);
		answer_failure(request, ERR_TOO_BIG, &(struct why){ "The answer is too large to be made: ask for a smaller range" });
		return;
	}
	reconstruction_room_shrink(&answer->room, answer->body.length);
	if (answer->room.bytes) {
		struct http_source source = { .read = large_read, .close = large_close, .context = answer };
		http_reply_source(request, 200, "application/json; charset=utf-8", answer->body.length, source);
		return;
	}
	answer_json(request, 200, &answer->body);
	large_close(answer);
}

/* NULL: answered already. */
static struct large_answer *open_answer(struct http_request *request, uint64_t terms_count)
{
	struct why why = { 0 };
	struct large_answer *answer = calloc(1, sizeof(*answer));
	int err = answer ? take_room(request, terms_count, &answer->room, &why) : ERR_NO_MEMORY;
	if (err) {
		free(answer);
		answer_failure(request, err, &why);
		return NULL;
	}
	buffer_init(&answer->body, RECONSTRUCTION_BYTES_MAX);
	return answer;
}

/* ------------------------------------------------------------------ one file */

static int plan_file(const struct query *query, struct plan *plan, struct fetch_list *list, struct why *why)
{
	int err = hash_is_zero(&query->files[0]) ? 0 : store_plan(query->caller->gateway->store, &query->files[0], query->start, query->end, plan, why);
	return err ? err : fetch_list_add(list, plan);
}

static void write_plan(struct http_request *request, const struct query *query, const struct plan *plan, struct fetch_list *list, struct buffer *body)
{
	struct json_writer json;
	fetch_list_merge(list);
	json_writer_init(&json, body);
	json_object_begin(&json, NULL);
	json_u64(&json, "offset_into_first_range", plan->offset_into_first);
	write_terms(&json, "terms", plan);
	write_fetches(request, &json, query, list);
	json_object_end(&json);
}

static void single_work(struct http_request *request, void *context)
{
	const struct query *query = context;
	struct plan plan = { 0 };
	struct fetch_list list = { 0 };
	struct why why = { 0 };
	uint64_t terms_count = 0;
	int err = hash_is_zero(&query->files[0]) ? 0 :
		store_plan_terms(query->caller->gateway->store, &query->files[0], query->start, query->end, &terms_count, &why);
	if (err) {
		answer_failure(request, err, &why);
		return;
	}
	struct large_answer *answer = open_answer(request, terms_count);
	if (!answer)
		return;
	err = plan_file(query, &plan, &list, &why);
	if (err == 0)
		write_plan(request, query, &plan, &list, &answer->body);
	fetch_list_fini(&list);
	plan_fini(&plan);
	if (err == 0) {
		reply(request, answer);
		return;
	}
	large_close(answer);
	answer_failure(request, err, &why);
}

/* The range that is asked for, of a file that is looked up. False: answered already. */
static bool take_range(struct http_request *request, struct query *query, int err, uint64_t length)
{
	struct span header = http_header(request, "Range");
	struct byte_range range = { 0, length };
	size_t count;
	/* An empty file answers "from 0" with no terms. */
	bool whole = !header.data || (length == 0 && header.length >= 8 && memcmp(header.data, "bytes=0-", 8) == 0);
	if (err == 0 && !whole)
		err = byte_ranges_of_header(header, length, &range, 1, &count);
	if (err == ERR_RANGE) {
		http_add_headerf(request, "Content-Range", "bytes */%llu", (unsigned long long)length);
		answer_err(request, err, &(struct why){ "The range begins at or behind the end of the file" });
	} else if (err) {
		answer_err(request, err, NULL);
	}
	query->start = range.start;
	query->end = range.end;
	return err == 0;
}

static void far_work(struct http_request *request, void *context)
{
	struct query *query = context;
	uint64_t length;
	int err = file_length(query->caller, &query->files[0], &length);
	if (take_range(request, query, err, length))
		single_work(request, query);
}

static void single(struct http_request *request, const struct route_match *match, int version)
{
	struct xet_caller *caller = xet_caller_open(request, XET_READ);
	struct query *query = http_alloc(request, sizeof(*query));
	if (!caller || !xet_hash_capture(request, match->captures[0], &query->files[0]))
		return;
	query->caller = caller;
	query->version = version;
	query->files_count = 1;
	uint64_t length;
	int err = file_length_here(caller, &query->files[0], &length);
	if (may_be_elsewhere(caller, err))
		http_work(request, far_work, query);
	else if (take_range(request, query, err, length))
		http_work(request, single_work, query);
}

void xet_reconstruction_v1(struct http_request *request, const struct route_match *match)
{
	single(request, match, 1);
}

void xet_reconstruction_v2(struct http_request *request, const struct route_match *match)
{
	single(request, match, 2);
}

static void reply_file_length(struct http_request *request, int err, uint64_t length)
{
	if (err)
		answer_err(request, err, NULL);
	else
		xet_reply_length(request, length);
}

static void far_head_work(struct http_request *request, void *context)
{
	struct query *query = context;
	uint64_t length;
	int err = file_length(query->caller, &query->files[0], &length);
	reply_file_length(request, err, length);
}

void xet_file_head(struct http_request *request, const struct route_match *match)
{
	struct query *query = http_alloc(request, sizeof(*query));
	query->caller = xet_caller_open(request, XET_READ);
	if (!query->caller || !xet_hash_capture(request, match->captures[0], &query->files[0]))
		return;
	uint64_t length;
	int err = file_length_here(query->caller, &query->files[0], &length);
	if (may_be_elsewhere(query->caller, err))
		http_work(request, far_head_work, query);
	else
		reply_file_length(request, err, length);
}

/* ------------------------------------------------------------------ several files */

/* Writes the terms of every file and collects what they need. */
static int write_files(struct json_writer *json, const struct query *query, struct fetch_list *list)
{
	struct why why = { 0 };
	int err = 0;
	json_object_begin(json, "files");
	for (size_t i = 0; err == 0 && i < query->files_count; i++) {
		struct plan plan = { 0 };
		uint64_t length;
		char text[HASH_TEXT_BYTES];
		hash_to_text(text, &query->files[i]);
		err = file_length(query->caller, &query->files[i], &length);
		if (err == 0 && length > 0)
			err = store_plan(query->caller->gateway->store, &query->files[i], 0, length, &plan, &why);
		if (err == 0) {
			write_terms(json, text, &plan);
			err = json->out->failed ? ERR_TOO_BIG : fetch_list_add(list, &plan);
		}
		plan_fini(&plan);
	}
	json_object_end(json);
	return err;
}

/* Of all files together, as their records say. */
static int count_terms(const struct query *query, uint64_t *count)
{
	struct file_info info = { 0 };
	int err = 0;
	*count = 0;
	for (size_t i = 0; err == 0 && i < query->files_count; i++) {
		if (hash_is_zero(&query->files[i]))
			continue;
		err = store_find_file(query->caller->gateway->store, &query->caller->repo.id, &query->files[i], &info);
		*count += info.terms_count;
	}
	return err;
}

static void batch_work(struct http_request *request, void *context)
{
	const struct query *query = context;
	struct fetch_list list = { 0 };
	uint64_t terms_count;
	int err = count_terms(query, &terms_count);
	if (err) {
		answer_err(request, err, NULL);
		return;
	}
	struct large_answer *answer = open_answer(request, terms_count);
	if (!answer)
		return;
	struct json_writer json;
	json_writer_init(&json, &answer->body);
	json_object_begin(&json, NULL);
	err = write_files(&json, query, &list);
	if (err == 0) {
		fetch_list_merge(&list);
		write_fetches(request, &json, query, &list);
		json_object_end(&json);
	}
	fetch_list_fini(&list);
	if (err == 0) {
		reply(request, answer);
		return;
	}
	large_close(answer);
	answer_err(request, err, NULL);
}

void xet_reconstruction_batch(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct query *query = http_alloc(request, sizeof(*query));
	query->caller = xet_caller_open(request, XET_READ);
	if (!query->caller)
		return;
	query->version = 1;
	const char *text;
	int err = 0;
	for (int k = 0; err == 0 && (text = http_query_value(request, "file_id", k)); k++)
		err = batch_add_file(text, BATCH_FILES_MAX, query->files, &query->files_count);
	if (err || query->files_count == 0)
		answer_err(request, ERR_INVALID, &(struct why){ "file_id must name 1 to 256 file hashes" });
	else
		http_work(request, batch_work, query);
}

static void batch_body(struct http_request *request, struct span text, void *context)
{
	struct query *query = context;
	if (batch_body_parse(text, BATCH_FILES_MAX, query->files, &query->files_count) != 0)
		answer_err(request, ERR_INVALID, &(struct why){ "The body is a list of 1 to 256 objects with \"hash\"" });
	else
		batch_work(request, query);
}

void xet_reconstruction_batch_post(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct query *query = http_alloc(request, sizeof(*query));
	query->caller = xet_caller_open(request, XET_READ);
	if (!query->caller)
		return;
	query->version = 1;
	http_collect(request, BATCH_BODY_BYTES_MAX, batch_body, query);
}
