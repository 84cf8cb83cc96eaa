/* ssh_push.c - a push over SSH, handed on to the hub's HTTP call.
 *
 * DESIGN. Over SSH both sides talk on one open connection; over HTTP the refs are one request and the push another. So this program shows the client the
 * answer of the first, reads the client's commands, and streams them with the pack as the body of the second. What must be known is where the client's
 * part ends, since it then waits for the answer with the connection open: behind the commands when all of them delete, else
 * behind the last object of the pack (schemas/pack_end.h). The request begins with the first bytes of the pack, not before: a client may think for
 * minutes about what to send, and the hub does not wait that long for a body. Nothing is kept but the commands.
 *
 * All rules of the hub are applied there, and what it says comes back to the client's terminal as it is. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>
#include <jansson.h>

#include "gateway/git/receive_commands.h"
#include "ops/cairn/settings.h"
#include "ops/cairn/ssh_shell.h"
#include "schemas/pack_end.h"

enum {
	HEAD_BYTES_MAX = 8 << 20,      /* commands, options, and the lines of a shallow clone */
	READ_BYTES = 64 << 10,
	REFUSAL_BYTES_MAX = 16 << 10,
	CONNECT_S_MAX = 10,
};

enum stage { STAGE_HEAD, STAGE_PACK, STAGE_DONE };

struct push {
	CURL *curl;
	const char *ca_file;
	struct curl_slist *headers;
	struct receive_commands commands;
	struct pack_end *pack;
	enum stage stage;
	struct buffer held;       /* read from the client and not sent yet */
	size_t held_sent;
	struct buffer refusal;    /* the body of an answer that is an error */
	struct buffer prefix;     /* the first packets of the refs, until the service line is gone */
	uint64_t pack_bytes;
	bool prefix_is_gone, head_is_bad;
};

/* ------------------------------------------------------------------ towards the client */

static bool write_all(const void *data, size_t length)
{
	const char *at = data;
	while (length) {
		ssize_t written = write(STDOUT_FILENO, at, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		at += written;
		length -= (size_t)written;
	}
	return true;
}

static bool is_refusal(const struct push *push)
{
	long status = 0;
	curl_easy_getinfo(push->curl, CURLINFO_RESPONSE_CODE, &status);
	return status != 200;
}

static size_t keep_refusal(struct push *push, const char *data, size_t length)
{
	if (push->refusal.length + length <= REFUSAL_BYTES_MAX)
		buffer_append(&push->refusal, data, length);
	return length;
}

/* HTTP begins the refs with "# service=git-receive-pack" and a flush; SSH has no such thing. */
static size_t on_refs(char *data, size_t size, size_t count, void *context)
{
	struct push *push = context;
	size_t length = size * count;
	if (is_refusal(push))
		return keep_refusal(push, data, length);
	if (push->prefix_is_gone)
		return write_all(data, length) ? length : 0;
	if (buffer_append(&push->prefix, data, length) != 0)
		return 0;
	struct span rest = buffer_span(&push->prefix);
	struct pkt first, second;
	int more = pkt_next(&rest, &first);
	if (more == 1)
		more = pkt_next(&rest, &second);
	if (more != 1)
		return more == 0 ? length : 0;
	static const char service[] = "# service=";
	bool is_service = first.kind == PKT_LINE && first.payload.length > sizeof(service) && second.kind == PKT_FLUSH &&
		memcmp(first.payload.data, service, sizeof(service) - 1) == 0;
	push->prefix_is_gone = is_service;
	return is_service && write_all(rest.data, rest.length) ? length : 0;
}

static size_t on_answer(char *data, size_t size, size_t count, void *context)
{
	struct push *push = context;
	size_t length = size * count;
	if (is_refusal(push))
		return keep_refusal(push, data, length);
	return write_all(data, length) ? length : 0;
}

/* ------------------------------------------------------------------ from the client */

/* Moves `stage` along what was read; bytes behind the end are none of the push. */
static size_t follow(struct push *push, struct span bytes)
{
	size_t at = 0, used = 0;
	if (push->stage == STAGE_HEAD) {
		int more = receive_commands_take(&push->commands, bytes, &used, NULL);
		at += used;
		if (more != 0)
			push->stage = more == 1 && receive_commands_need_pack(&push->commands) ? STAGE_PACK : STAGE_DONE;
		push->head_is_bad = more < 0; /* the hub says what is wrong with it */
	}
	if (push->stage == STAGE_PACK && at < bytes.length) {
		int more = pack_end_take(push->pack, span_of(bytes.data + at, bytes.length - at), &used);
		at += used;
		push->pack_bytes += used;
		if (more != 0)
			push->stage = STAGE_DONE;
	}
	return push->head_is_bad ? bytes.length : at;
}

/* Reads once. Bytes, 0 at the end of the client's part. */
static size_t read_client(struct push *push, void *out, size_t size)
{
	ssize_t length = -1;
	while (push->stage != STAGE_DONE && length < 0) {
		length = read(STDIN_FILENO, out, size);
		if (length < 0 && errno != EINTR)
			break;
	}
	return length > 0 ? follow(push, span_of(out, (size_t)length)) : 0;
}

static size_t on_body(char *out, size_t size, size_t count, void *context)
{
	struct push *push = context;
	size_t room = size * count, left = push->held.length - push->held_sent;
	if (left == 0)
		return read_client(push, out, room);
	size_t length = left < room ? left : room;
	memcpy(out, push->held.data + push->held_sent, length);
	push->held_sent += length;
	return length;
}

static bool gather(struct push *push)
{
	uint8_t *space = buffer_reserve(&push->held, READ_BYTES);
	size_t length = space ? read_client(push, space, READ_BYTES) : 0;
	push->held.length += length;
	return length > 0;
}

/* Until the head and, when there is one, the first bytes of the pack are there. False: nothing is to be pushed, or nobody is there to do it. */
static bool read_head(struct push *push)
{
	while (push->stage == STAGE_HEAD && gather(push))
		;
	if (push->held.failed)
		fprintf(stderr, "cairn: these are too many refs for one push\n");
	if (push->stage == STAGE_PACK && push->pack_bytes == 0)
		gather(push);
	return push->stage != STAGE_HEAD && (push->commands.count > 0 || push->head_is_bad);
}

/* ------------------------------------------------------------------ the two calls */

static bool prepare(struct push *push, const char *authorization, const char *more)
{
	char header[2048];
	curl_easy_reset(push->curl);
	curl_slist_free_all(push->headers);
	snprintf(header, sizeof(header), "Authorization: %s", authorization);
	push->headers = curl_slist_append(NULL, header);
	push->headers = curl_slist_append(push->headers, "Expect:");
	if (more)
		push->headers = curl_slist_append(push->headers, more);
	curl_easy_setopt(push->curl, CURLOPT_HTTPHEADER, push->headers);
	curl_easy_setopt(push->curl, CURLOPT_USERAGENT, "git/cairn-" CAIRN_VERSION);
	curl_easy_setopt(push->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (push->ca_file)
		curl_easy_setopt(push->curl, CURLOPT_CAINFO, push->ca_file);
	curl_easy_setopt(push->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S_MAX);
	curl_easy_setopt(push->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(push->curl, CURLOPT_WRITEDATA, push);
	return push->headers != NULL;
}

static int perform(struct push *push, const char *url)
{
	curl_easy_setopt(push->curl, CURLOPT_URL, url);
	CURLcode code = curl_easy_perform(push->curl);
	if (code == CURLE_OK && !is_refusal(push))
		return EXIT_OK;
	json_t *answer = json_loadb((const char *)push->refusal.data, push->refusal.length, 0, NULL);
	const char *error = json_string_value(json_object_get(answer, "error"));
	long status = 0;
	curl_easy_getinfo(push->curl, CURLINFO_RESPONSE_CODE, &status);
	if (error)
		fprintf(stderr, "cairn: %s\n", error);
	else if (code != CURLE_OK)
		fprintf(stderr, "cairn: the hub does not answer: %s\n", curl_easy_strerror(code));
	else
		fprintf(stderr, "cairn: the hub answered HTTP %ld\n", status);
	json_decref(answer);
	return EXIT_FAILED;
}

static int show_refs(struct push *push, const char *url, const char *authorization)
{
	char address[4096];
	if (!prepare(push, authorization, NULL) ||
		snprintf(address, sizeof(address), "%s/info/refs?service=git-receive-pack", url) >= (int)sizeof(address))
		return EXIT_FAILED;
	curl_easy_setopt(push->curl, CURLOPT_WRITEFUNCTION, on_refs);
	return perform(push, address);
}

static int send_push(struct push *push, const char *url, const char *authorization)
{
	char address[4096];
	if (!prepare(push, authorization, "Transfer-Encoding: chunked") ||
		snprintf(address, sizeof(address), "%s/git-receive-pack", url) >= (int)sizeof(address))
		return EXIT_FAILED;
	push->headers = curl_slist_append(push->headers, "Content-Type: application/x-git-receive-pack-request");
	push->headers = curl_slist_append(push->headers, "Accept: application/x-git-receive-pack-result");
	curl_easy_setopt(push->curl, CURLOPT_HTTPHEADER, push->headers);
	curl_easy_setopt(push->curl, CURLOPT_POST, 1L);
	curl_easy_setopt(push->curl, CURLOPT_READFUNCTION, on_body);
	curl_easy_setopt(push->curl, CURLOPT_READDATA, push);
	curl_easy_setopt(push->curl, CURLOPT_WRITEFUNCTION, on_answer);
	return perform(push, address);
}

int ssh_push(const char *url, const char *authorization, const char *ca_file)
{
	static struct push push;
	push.curl = curl_easy_init();
	push.ca_file = ca_file;
	push.pack = pack_end_open();
	if (!push.curl || !push.pack) {
		fprintf(stderr, "cairn: no memory\n");
		return EXIT_FAILED;
	}
	receive_commands_init(&push.commands);
	buffer_init(&push.held, HEAD_BYTES_MAX);
	buffer_init(&push.refusal, REFUSAL_BYTES_MAX);
	buffer_init(&push.prefix, HEAD_BYTES_MAX);
	int status = show_refs(&push, url, authorization);
	if (status == EXIT_OK && read_head(&push))
		status = send_push(&push, url, authorization);
	buffer_fini(&push.prefix);
	buffer_fini(&push.refusal);
	buffer_fini(&push.held);
	receive_commands_fini(&push.commands);
	curl_slist_free_all(push.headers);
	curl_easy_cleanup(push.curl);
	pack_end_close(push.pack);
	return status;
}
