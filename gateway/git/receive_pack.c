#include "gateway/git/receive_pack.h"

#include <stdio.h>

#include "gateway/answer.h"
#include "gateway/git/push_body.h"
#include "gateway/git/target.h"
#include "replication/discussion.h"
#include "schemas/git_object.h"

enum { ADVERTISEMENT_BYTES_MAX = 64 << 20 };

static const char advertisement_type[] = "application/x-git-receive-pack-advertisement";
static const char request_type[] = "application/x-git-receive-pack-request";
static const char result_type[] = "application/x-git-receive-pack-result";
static const char capabilities[] = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options object-format=sha1 "
	"agent=cairn/" CAIRN_VERSION;

static void forbid_caching(struct http_request *request)
{
	http_add_header(request, "Cache-Control", "no-cache, max-age=0, must-revalidate");
}

/* git shows a body of this type to its user, and no other. */
static void reply_text(struct http_request *request, int status, const char *text)
{
	forbid_caching(request);
	if (status == 503)
		http_add_headerf(request, "Retry-After", "%d", ANSWER_RETRY_AFTER_S);
	const char *line = http_printf(request, "%s\n", text);
	http_reply(request, status, "text/plain; charset=utf-8", span_text(line));
}

/* Whoever may write pushes anything; whoever may only propose, the pull requests that are theirs, which is decided per ref. NULL: answered already. */
static struct git_target *open_target(struct http_request *request, const struct route_match *match)
{
	struct git_target *target = git_target_open(request, match, ACTION_READ);
	if (!target)
		return NULL;
	struct resource resource = { .repo = &target->repo, .ns = target->gateway->ns };
	if (may(&target->actor, ACTION_WRITE, &resource) == 0 || may(&target->actor, ACTION_PROPOSE, &resource) == 0)
		return target;
	if (target->actor.anonymous)
		answer_login(request);
	else
		reply_text(request, 403, "You may not write to this repository with this token.");
	return NULL;
}

/* ------------------------------------------------------------------ info/refs */

struct advertisement {
	const struct git_target *target;
	struct buffer body;
	bool any;
};

static void append_ref(struct advertisement *advertisement, const char *oid, const char *name)
{
	if (advertisement->any)
		pkt_printf(&advertisement->body, "%s %s\n", oid, name);
	else
		pkt_printf(&advertisement->body, "%s %s%c%s\n", oid, name, 0, capabilities);
	advertisement->any = true;
}

/* Pull requests that were merged or closed take no more pushes, and there may be thousands. The others have to be named: a client sends what it
 * believes the ref to be, and takes one that is not named for absent. */
static bool is_done(const struct advertisement *advertisement, const char *name)
{
	struct discussion discussion;
	uint64_t number = pull_request_of_ref(name);
	return number && discussion_get(advertisement->target->gateway->ns, &advertisement->target->repo.id, number, &discussion) == 0 &&
		(discussion.status == DISCUSSION_MERGED || discussion.status == DISCUSSION_CLOSED);
}

static int each_ref(void *context, const struct ref *ref)
{
	struct advertisement *advertisement = context;
	char oid[OID_TEXT_BYTES];
	if (is_done(advertisement, ref->name))
		return 0;
	hex_encode(oid, ref->oid.bytes, OID_BYTES);
	append_ref(advertisement, oid, ref->name);
	return advertisement->body.failed ? ERR_TOO_BIG : 0;
}

static void advertise(struct http_request *request, void *context)
{
	const struct git_target *target = context;
	struct advertisement advertisement = { .target = target };
	char zero[OID_TEXT_BYTES] = { 0 };
	buffer_init(&advertisement.body, ADVERTISEMENT_BYTES_MAX);
	pkt_printf(&advertisement.body, "# service=git-receive-pack\n");
	pkt_append_flush(&advertisement.body);
	int err = ref_list(target->gateway->ns, NULL, &target->repo.id, "", each_ref, &advertisement);
	if (err == 0 && !advertisement.any) {
		memset(zero, '0', OID_TEXT_BYTES - 1);
		append_ref(&advertisement, zero, "capabilities^{}");
	}
	pkt_append_flush(&advertisement.body);
	if (err) {
		answer_err(request, err, NULL);
	} else {
		forbid_caching(request);
		http_reply_buffer(request, 200, advertisement_type, &advertisement.body);
	}
	buffer_fini(&advertisement.body);
}

void git_receive_advertise(struct http_request *request, const struct route_match *match)
{
	struct git_target *target = open_target(request, match);
	if (target)
		http_work(request, advertise, target);
}

/* ------------------------------------------------------------------ the push */

struct receiving {
	struct push *push;
	struct push_body *body;
	struct why why;
};

static int receive(struct http_request *request, const uint8_t *data, size_t length, void *context)
{
	(void)request;
	struct receiving *receiving = context;
	return push_body_write(receiving->body, data, length, &receiving->why);
}

static void refuse_body(struct http_request *request, int err, const struct why *why)
{
	int status = err == ERR_CORRUPT ? 400 : err == ERR_UNSUPPORTED ? 415 : answer_status(err);
	reply_text(request, status, why->text[0] ? why->text : err_name(err));
}

static void finish(struct http_request *request, int err, void *context)
{
	struct receiving *receiving = context;
	struct push *push = receiving->push;
	struct http_source source;
	if (err == 0)
		err = push_body_end(receiving->body, &receiving->why);
	push_body_close(receiving->body);
	bool is_probe = err == 0 && push->commands.count == 0; /* a client that finds out whether it may, before it sends much */
	if (err == 0 && !is_probe)
		err = push_start(push, &source, &receiving->why);
	if (err || is_probe)
		push_close(push);
	forbid_caching(request);
	if (err)
		refuse_body(request, err, &receiving->why);
	else if (is_probe)
		http_reply(request, 200, result_type, span_of(NULL, 0));
	else
		http_reply_source(request, 200, result_type, UINT64_MAX, source);
}

void git_receive_pack(struct http_request *request, const struct route_match *match)
{
	static const struct http_sink sink = { .write = receive, .end = finish };
	struct git_target *target = open_target(request, match);
	if (!target)
		return;
	struct span type = http_header(request, "Content-Type");
	if (!span_equal(type, span_text(request_type))) {
		reply_text(request, 415, "A push has the type application/x-git-receive-pack-request.");
		return;
	}
	struct receiving *receiving = http_alloc(request, sizeof(*receiving));
	/* How much a push brings only its body tells, and its report is what people see. A client that asks first is spared sending it when there is no room
	 * for anything. */
	int err = http_expects_continue(request) ? quota_check(target->gateway, &target->repo, &target->actor, 1, &receiving->why) : 0;
	if (err) {
		refuse_body(request, err, &receiving->why);
		return;
	}
	err = push_open(&receiving->push, target->gateway, &target->actor, &target->repo, &receiving->why);
	if (err == 0) {
		err = push_body_open(&receiving->body, receiving->push, http_header(request, "Content-Encoding"), http_body_length(request), &receiving->why);
		if (err)
			push_close(receiving->push);
	}
	if (err)
		refuse_body(request, err, &receiving->why);
	else
		http_sink(request, PUSH_PACK_BYTES_MAX + (1 << 20), &sink, receiving);
}
