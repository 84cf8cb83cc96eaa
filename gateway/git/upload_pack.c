/* upload_pack.c - clones and fetches.
 *
 * DESIGN. What does not depend on what the client has is a stored answer; the rest is streamed from the process as the client takes it, which holds
 * a place at the gate until it is done. Nothing is said before git has said something, so that failures still get a status. */
#include "gateway/git/upload_pack.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/answer.h"
#include "gateway/git/fetch_request.h"
#include "gateway/git/git.h"
#include "gateway/git/process.h"
#include "gateway/git/receive_pack.h"
#include "gateway/git/service.h"
#include "gateway/git/stored_answer.h"

enum {
	REQUEST_BYTES_MAX = 32 << 20,          /* inflated */
	DIRECT_WALL_MS = 6 * 3600 * 1000,      /* at the client's pace */
	TRIES_MAX = 2,
	FIRST_BYTES = 4096,
};

static const char advertisement_type[] = "application/x-git-upload-pack-advertisement";
static const char request_type[] = "application/x-git-upload-pack-request";
static const char result_type[] = "application/x-git-upload-pack-result";
/* Ahead of the advertisement of protocols 0 and 1. */
static const char service_prefix[] = "001e# service=git-upload-pack\n0000";

struct serving {
	struct http_request *request;
	struct git_target *target;
	struct request_body *body;      /* NULL: info/refs */
	struct fetch_request fetch;
	struct git_lease lease;
	struct gate_pass pass;
	const char *environment[2];
	const char *arguments[6];
	struct why why;
};

static const char *prefix_of(const struct serving *serving)
{
	return !serving->body && serving->target->protocol < 2 ? service_prefix : "";
}

static void reply(struct serving *serving, uint64_t length, struct http_source source)
{
	http_add_header(serving->request, "Cache-Control", "no-cache, max-age=0, must-revalidate");
	http_reply_source(serving->request, 200, serving->body ? result_type : advertisement_type, length, source);
}

/* git failed without a word to the client: one it can show. Its own words name files of this server. */
static void reply_failed(struct serving *serving)
{
	struct buffer body;
	buffer_init(&body, 4096);
	buffer_append_text(&body, prefix_of(serving));
	pkt_printf(&body, "ERR the repository cannot be read at the moment, try again");
	http_add_header(serving->request, "Cache-Control", "no-cache");
	http_reply_buffer(serving->request, 200, serving->body ? result_type : advertisement_type, &body);
	buffer_fini(&body);
}

/* ------------------------------------------------------------------ stored answers */

struct reader {
	struct stored_answer *answer;
	const char *prefix;
	uint64_t offset;
};

static int64_t reader_read(void *context, void *out, size_t length, bool may_block)
{
	struct reader *reader = context;
	size_t ahead = strlen(reader->prefix);
	if (ahead) {
		size_t taken = ahead < length ? ahead : length;
		memcpy(out, reader->prefix, taken);
		reader->prefix += taken;
		return (int64_t)taken;
	}
	int64_t got = stored_answer_read(reader->answer, reader->offset, out, length, may_block);
	if (got > 0)
		reader->offset += (uint64_t)got;
	return got;
}

/* Only asked for when the length is known, so the file is whole. */
static int reader_extent(void *context, size_t length, int *fd, uint64_t *offset, size_t *extent_length)
{
	struct reader *reader = context;
	uint64_t end = stored_answer_length(reader->answer);
	if (*reader->prefix || end == UINT64_MAX || reader->offset >= end)
		return ERR_AGAIN;
	*fd = stored_answer_fd(reader->answer);
	*offset = reader->offset;
	*extent_length = end - reader->offset < length ? (size_t)(end - reader->offset) : length;
	reader->offset += *extent_length;
	return 0;
}

static void reader_close(void *context)
{
	struct reader *reader = context;
	stored_answer_leave(reader->answer);
	free(reader);
}

static void reply_stored(struct serving *serving, struct stored_answer *answer)
{
	struct reader *reader = malloc(sizeof(*reader));
	if (!reader) {
		stored_answer_leave(answer);
		answer_err(serving->request, ERR_NO_MEMORY, NULL);
		return;
	}
	*reader = (struct reader){ .answer = answer, .prefix = prefix_of(serving) };
	uint64_t length = stored_answer_length(answer);
	struct http_source source = { .read = reader_read, .extent = reader_extent, .close = reader_close, .context = reader };
	reply(serving, length == UINT64_MAX ? UINT64_MAX : strlen(reader->prefix) + length, source);
}

/* What info/refs says in protocol 2 are the abilities of git and of our configuration: the same for every repository. */
static bool is_general(const struct serving *serving)
{
	return !serving->body && serving->target->protocol == 2;
}

static int make_key(struct serving *serving, uint64_t version, struct answer_key *out)
{
	struct span bytes = { 0 };
	crypto_generichash_state state;
	uint8_t head[2] = { (uint8_t)(serving->body != NULL), (uint8_t)serving->target->protocol };
	int err = serving->body ? request_body_bytes(serving->body, &bytes, &serving->why) : 0;
	*out = (struct answer_key){ 0 };
	if (err)
		return err;
	if (!is_general(serving)) {
		out->repo = serving->target->repo.id;
		out->version = version;
	}
	const char *ref = serving->target->repo.head; /* may change without a new version */
	crypto_generichash_init(&state, NULL, 0, sizeof(out->digest));
	crypto_generichash_update(&state, head, sizeof(head));
	if (!is_general(serving))
		crypto_generichash_update(&state, (const uint8_t *)ref, strlen(ref) + 1);
	crypto_generichash_update(&state, bytes.data, bytes.length);
	crypto_generichash_final(&state, out->digest, sizeof(out->digest));
	return 0;
}

/* ------------------------------------------------------------------ answers for one client */

struct direct {
	struct gateway *gateway;
	struct git_process *process;
	struct git_lease lease;
	struct gate_pass pass;
	size_t first_begin, first_end;
	uint8_t first[FIRST_BYTES]; /* was read before the answer began */
};

static void direct_close(void *context)
{
	struct direct *direct = context;
	git_process_close(direct->process);
	git_cache_release(direct->gateway, &direct->lease);
	gate_leave(&direct->pass);
	free(direct);
}

static int64_t direct_read(void *context, void *out, size_t length, bool may_block)
{
	struct direct *direct = context;
	struct why why = { 0 };
	size_t held = direct->first_end - direct->first_begin;
	if (held) {
		size_t taken = held < length ? held : length;
		memcpy(out, direct->first + direct->first_begin, taken);
		direct->first_begin += taken;
		return (int64_t)taken;
	}
	int64_t got = git_process_read(direct->process, out, length, false, &why);
	if (got == ERR_AGAIN && may_block) {
		int err = git_process_wait(direct->process, STORED_WAIT_MS, &why);
		got = err ? err : git_process_read(direct->process, out, length, false, &why);
	}
	if (got != 0)
		return got;
	if (!may_block)
		return ERR_AGAIN; /* its exit is waited for on a worker */
	int err = git_process_end(direct->process, &why);
	if (err && git_process_status(direct->process) != 128)
		return ERR_IO;
	if (err)
		git_cache_blame(direct->gateway, &direct->lease, git_process_said(direct->process));
	return 0;
}

/* 0: answered; ERR_AGAIN: the cache was at fault; else not answered. */
static int serve_direct(struct serving *serving)
{
	struct gateway *gateway = serving->target->gateway;
	struct direct *direct = calloc(1, sizeof(*direct));
	struct git_command command = { .arguments = serving->arguments, .environment = serving->environment, .input = GIT_FD_NONE, .output = GIT_FD_PIPE,
		.wall_ms_max = DIRECT_WALL_MS };
	if (!direct)
		return ERR_NO_MEMORY;
	int err = request_body_fd(serving->body, &command.input, &serving->why);
	if (err == 0)
		err = git_process_start(&direct->process, &command, &serving->why);
	if (err) {
		free(direct);
		return err;
	}
	int64_t got = git_process_read(direct->process, direct->first, sizeof(direct->first), true, &serving->why);
	if (got <= 0) {
		err = got < 0 ? (int)got : git_process_end(direct->process, &serving->why);
		bool again = err && git_cache_blame(gateway, &serving->lease, git_process_said(direct->process));
		git_process_close(direct->process);
		free(direct);
		if (again)
			return ERR_AGAIN;
		if (err == 0)
			http_reply(serving->request, 200, result_type, span_of(NULL, 0)); /* a request that wants no answer */
		return err;
	}
	direct->gateway = gateway;
	direct->lease = serving->lease;
	direct->pass = serving->pass;
	direct->first_end = (size_t)got;
	serving->lease.repo = NULL;
	serving->pass.gate = NULL;
	reply(serving, UINT64_MAX, (struct http_source){ .read = direct_read, .close = direct_close, .context = direct });
	return 0;
}

/* ------------------------------------------------------------------ which of them */

static int take_lease(struct serving *serving)
{
	struct git_target *target = serving->target;
	if (git_cache_lease_now(target->gateway, &target->repo, &serving->lease) == 0)
		return 0;
	int err = gate_enter(target->gateway->git->gate, &target->repo.id, target->who, &serving->pass, &serving->why);
	return err ? err : git_cache_lease(target->gateway, &target->repo, &serving->lease, &serving->why);
}

static int take_pass(struct serving *serving)
{
	struct git_target *target = serving->target;
	return serving->pass.gate ? 0 : gate_enter(target->gateway->git->gate, &target->repo.id, target->who, &serving->pass, &serving->why);
}

static void set_command(struct serving *serving)
{
	static const char *const protocols[] = { NULL, "GIT_PROTOCOL=version=1", "GIT_PROTOCOL=version=2" };
	size_t count = 0;
	serving->arguments[count++] = "upload-pack";
	serving->arguments[count++] = "--stateless-rpc";
	serving->arguments[count++] = "--strict";
	if (!serving->body)
		serving->arguments[count++] = "--http-backend-info-refs";
	serving->arguments[count++] = serving->lease.dir;
	serving->arguments[count] = NULL;
	serving->environment[0] = protocols[serving->target->protocol];
	serving->environment[1] = NULL;
}

static int start_stored(struct serving *serving, const struct answer_key *key, struct stored_answer **out)
{
	struct answer_job job = { .key = *key, .lease = &serving->lease, .pass = &serving->pass, .arguments = serving->arguments,
		.environment = serving->environment, .input = GIT_FD_NONE };
	int err = serving->body ? request_body_fd(serving->body, &job.input, &serving->why) : 0;
	return err ? err : stored_answer_start(serving->target->gateway->git->answers, &job, out, &serving->why);
}

/* The same codes as serve_direct. */
static int serve_stored(struct serving *serving)
{
	struct stored_answers *answers = serving->target->gateway->git->answers;
	struct answer_key key;
	bool again = false;
	int err = make_key(serving, serving->lease.version, &key);
	if (err)
		return err;
	struct stored_answer *answer = stored_answer_join(answers, &key);
	if (!answer) {
		err = take_pass(serving);
		if (err == 0) {
			set_command(serving);
			err = start_stored(serving, &key, &answer);
		}
		if (err)
			return err;
	}
	/* Whoever reads along needs neither. */
	git_cache_release(serving->target->gateway, &serving->lease);
	gate_leave(&serving->pass);
	err = stored_answer_wait(answer, &again, &serving->why);
	if (err) {
		stored_answer_leave(answer);
		return again ? ERR_AGAIN : err;
	}
	reply_stored(serving, answer);
	return 0;
}

static int serve_once(struct serving *serving)
{
	int err = take_lease(serving);
	if (err)
		return err;
	bool is_pack = serving->body && serving->fetch.command == FETCH_PACK;
	if (!serving->fetch.has_haves && (!is_pack || stored_answers_take(serving->target->gateway->git->answers, serving->lease.bytes)))
		return serve_stored(serving);
	err = take_pass(serving);
	if (err)
		return err;
	set_command(serving);
	return serve_direct(serving);
}

void upload_pack_serve(struct http_request *request, struct git_target *target, struct request_body *body)
{
	struct serving serving = { .request = request, .target = target, .body = body };
	struct span bytes;
	int err = body ? request_body_bytes(body, &bytes, &serving.why) : 0;
	if (err == 0 && body && fetch_request_parse(&serving.fetch, target->protocol, bytes) != 0)
		err = why_set(&serving.why, ERR_INVALID, "The request is not made of git's packets");
	if (err == 0 && body && serving.fetch.is_empty) {
		http_reply(request, 200, result_type, span_of(NULL, 0));
	} else {
		bool started = err == 0;
		for (int tries = 0; started && tries < TRIES_MAX; tries++) {
			err = serve_once(&serving);
			git_cache_release(target->gateway, &serving.lease);
			gate_leave(&serving.pass);
			if (err != ERR_AGAIN)
				break;
		}
		if (err == ERR_AGAIN || (err == ERR_IO && started))
			reply_failed(&serving);
		else if (err == ERR_NOT_FOUND)
			answer_repo_missing(request, target->actor.anonymous);
		else if (err)
			answer_err(request, err, &serving.why);
	}
	request_body_close(body);
}

/* ------------------------------------------------------------------ handlers */

struct incoming {
	struct git_target *target;
	struct request_body *body;
	struct why why;
};

static int incoming_write(struct http_request *request, const uint8_t *data, size_t length, void *context)
{
	struct incoming *incoming = context;
	(void)request;
	return request_body_write(incoming->body, data, length, &incoming->why);
}

static void incoming_end(struct http_request *request, int err, void *context)
{
	struct incoming *incoming = context;
	if (err == 0)
		err = request_body_end(incoming->body, &incoming->why);
	if (err == 0) {
		upload_pack_serve(request, incoming->target, incoming->body);
		return;
	}
	request_body_close(incoming->body);
	answer_err(request, err == ERR_CORRUPT ? ERR_INVALID : err, &incoming->why);
}

void git_upload_pack(struct http_request *request, const struct route_match *match)
{
	static const struct http_sink sink = { incoming_write, incoming_end };
	struct git_target *target = git_target_open(request, match, ACTION_READ_FILES);
	if (!target)
		return;
	if (!span_equal(http_header(request, "Content-Type"), span_text(request_type))) {
		http_reply_error(request, 415, NULL, "The Content-Type must be application/x-git-upload-pack-request");
		return;
	}
	struct incoming *incoming = http_alloc(request, sizeof(*incoming));
	incoming->target = target;
	int err = request_body_open(&incoming->body, target->gateway->data_dir, http_header(request, "Content-Encoding"), REQUEST_BYTES_MAX, &incoming->why);
	if (err == ERR_UNSUPPORTED)
		http_reply_error(request, 415, NULL, incoming->why.text);
	else if (err)
		answer_err(request, err, &incoming->why);
	else
		http_sink(request, REQUEST_BYTES_MAX, &sink, incoming);
}

static void serve_advertisement(struct http_request *request, void *context)
{
	upload_pack_serve(request, context, NULL);
}

static void refuse_dumb(struct http_request *request)
{
	http_reply_error(request, 403, NULL, "Only git's smart HTTP protocol is served here: use git 1.6.6 or newer");
}

void git_info_refs(struct http_request *request, const struct route_match *match)
{
	const char *service = http_query_value(request, "service", 0);
	if (!service) {
		refuse_dumb(request);
	} else if (strcmp(service, "git-upload-pack") == 0) {
		struct git_target *target = git_target_open(request, match, ACTION_READ_FILES);
		if (target)
			http_work(request, serve_advertisement, target);
	} else if (strcmp(service, "git-receive-pack") == 0) {
		git_receive_advertise(request, match);
	} else {
		http_reply_error(request, 403, NULL, "The service must be git-upload-pack or git-receive-pack");
	}
}

void git_dumb(struct http_request *request, const struct route_match *match)
{
	(void)match;
	refuse_dumb(request);
}
