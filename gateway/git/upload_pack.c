/* upload_pack.c - clones and fetches.
 *
 * DESIGN. What does not depend on what the client has is a stored answer; the rest is streamed from the process as the client takes it, which holds
 * a place at the gate until it is done or its client turns out to be slow. Nothing is said before git has said something, so that failures still get
 * a status. Where bundles are is a question that git 2.39 does not know: we answer it. */
#include "gateway/git/upload_pack.h"

#include "gateway/answer.h"
#include "gateway/downloads.h"
#include "gateway/git/bundle_offer.h"
#include "gateway/git/bundler.h"
#include "gateway/git/git.h"
#include "gateway/git/receive_pack.h"
#include "gateway/git/service.h"
#include "gateway/git/stored_answer.h"
#include "gateway/git/upload_serving.h"

enum {
	REQUEST_BYTES_MAX = 32 << 20,          /* inflated */
	TRIES_MAX = 2,
};

static const char advertisement_type[] = "application/x-git-upload-pack-advertisement";
static const char request_type[] = "application/x-git-upload-pack-request";
static const char result_type[] = "application/x-git-upload-pack-result";
/* Ahead of the advertisement of protocols 0 and 1. */
static const char service_prefix[] = "001e# service=git-upload-pack\n0000";

const char *upload_prefix(const struct serving *serving)
{
	return !serving->body && serving->target->protocol < 2 ? service_prefix : "";
}

const char *upload_type(const struct serving *serving)
{
	return serving->body ? result_type : advertisement_type;
}

void upload_reply(struct serving *serving, uint64_t length, struct http_source source)
{
	http_add_header(serving->request, "Cache-Control", "no-cache, max-age=0, must-revalidate");
	http_reply_source(serving->request, 200, upload_type(serving), length, source);
}

/* git failed without a word to the client: one it can show. Its own words name files of this server. */
static void reply_failed(struct serving *serving)
{
	struct buffer body;
	buffer_init(&body, 4096);
	buffer_append_text(&body, upload_prefix(serving));
	pkt_printf(&body, "ERR the repository cannot be read at the moment, try again");
	http_add_header(serving->request, "Cache-Control", "no-cache");
	http_reply_buffer(serving->request, 200, upload_type(serving), &body);
	buffer_fini(&body);
}

/* ------------------------------------------------------------------ where bundles are */

static void reply_bundles(struct serving *serving)
{
	struct bundles bundles;
	struct buffer body;
	if (!bundle_offer_find(serving->target, &bundles))
		bundles.count = 0;
	buffer_init(&body, BUNDLE_OFFER_BYTES_MAX);
	bundle_offer_packets(serving->request, serving->target, &bundles, &body);
	http_add_header(serving->request, "Cache-Control", "no-store");
	http_reply_buffer(serving->request, 200, result_type, &body);
	buffer_fini(&body);
}

/* ------------------------------------------------------------------ who answers */

static int take_lease(struct serving *serving)
{
	struct git_target *target = serving->target;
	if (git_cache_lease_now(target->gateway, &target->repo, &serving->lease) == 0)
		return 0;
	int err = gate_enter(target->gateway->git->gate, &target->repo.id, target->who, &serving->pass, &serving->why);
	return err ? err : git_cache_lease(target->gateway, &target->repo, &serving->lease, &serving->why);
}

int upload_take_pass(struct serving *serving)
{
	struct git_target *target = serving->target;
	return serving->pass.gate ? 0 : gate_enter(target->gateway->git->gate, &target->repo.id, target->who, &serving->pass, &serving->why);
}

void upload_set_command(struct serving *serving)
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

static int serve_once(struct serving *serving)
{
	int err = take_lease(serving);
	if (err)
		return err;
	bool is_pack = serving->body && serving->fetch.command == FETCH_PACK;
	struct git_target *target = serving->target;
	if (is_pack)
		downloads_count(target->gateway->downloads, serving->request, &target->actor, &target->repo, span_of(NULL, 0));
	if (is_pack && !serving->fetch.has_haves && !serving->fetch.is_partial)
		bundler_cloned(serving->target->gateway->git->bundler, &serving->target->repo.id, serving->lease.bytes);
	if (!serving->fetch.has_haves && (!is_pack || stored_answers_take(serving->target->gateway->git->answers, serving->lease.bytes)))
		return upload_serve_stored(serving);
	err = upload_take_pass(serving);
	if (err)
		return err;
	upload_set_command(serving);
	return upload_serve_direct(serving);
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
	} else if (err == 0 && body && serving.fetch.command == FETCH_BUNDLE_URI) {
		reply_bundles(&serving);
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
	static const struct http_sink sink = { .write = incoming_write, .end = incoming_end };
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
