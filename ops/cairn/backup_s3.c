/* backup_s3.c - a backup in a bucket of an S3 service: one object per file, path-style addresses, signed (AWS Signature Version 4, by libcurl) with the
 * SHA-256 of what is sent, so that the service refuses what arrives otherwise. Objects of at most 5 GiB: a volume has 1 GiB unless told otherwise.
 *
 * A call that fails on the way, or is answered 429 or 5xx, is made again up to CALLS_MAX times. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ops/cairn/backup_target.h"
#include "schemas/buffer.h"
#include "schemas/hash.h"
#include "store/sha256.h"

enum { CALLS_MAX = 7, PAUSE_MS_MIN = 250, CONNECT_S_MAX = 20, STALLED_S_MAX = 60, ERROR_BYTES_MAX = 4096, BUCKET_BYTES_MIN = 3, BUCKET_BYTES_MAX = 63, PIECE_BYTES = 1 << 20 };
#define OBJECT_BYTES_MAX ((uint64_t)5 << 30)

struct backup_s3 {
	struct backup_target base;
	CURL *curl;
	char *bucket_url;    /* with the prefix, without a slash at the end */
	char *key;           /* "ID:SECRET" */
	char *session;       /* header, or NULL */
	char provider[64];   /* for libcurl: "aws:amz:REGION:s3" */
};

/* One call: what is sent comes from a file or from memory, what is answered goes to a file or to memory. */
struct call {
	const char *method, *name;
	int in, out;                /* -1: none */
	const char *text;           /* sent, if there is no `in` */
	uint64_t length, sent, told; /* told: to `step`, however often it had to be sent */
	struct buffer answer;       /* what has no `out`, and errors */
	copy_step step;
	void *context;
	bool stopped;
	CURL *curl;
};

/* ---- what is sent and what comes ---- */

static bool take_step(struct call *call, uint64_t at)
{
	uint64_t more = at > call->told ? at - call->told : 0;
	call->told += more;
	if (call->step && more && !call->step(call->context, more))
		call->stopped = true;
	return !call->stopped;
}

static size_t send_bytes(char *out, size_t size, size_t count, void *context)
{
	struct call *call = context;
	size_t room = size * count;
	ssize_t some = (ssize_t)(room < call->length - call->sent ? room : call->length - call->sent);
	if (call->in < 0)
		memcpy(out, call->text + call->sent, (size_t)some);
	else if (some > 0 && (some = pread(call->in, out, (size_t)some, (off_t)call->sent)) <= 0)
		return CURL_READFUNC_ABORT;
	call->sent += (uint64_t)some;
	return take_step(call, call->sent) ? (size_t)some : CURL_READFUNC_ABORT;
}

static int rewind_bytes(void *context, curl_off_t offset, int origin)
{
	struct call *call = context;
	if (origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	call->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t take_bytes(char *data, size_t size, size_t count, void *context)
{
	struct call *call = context;
	size_t length = size * count;
	long status = 0;
	curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
	if (call->out < 0 || (status != 200 && status != 206))
		return buffer_append(&call->answer, data, length) == 0 ? length : 0;
	for (size_t at = 0; at < length;) {
		ssize_t some = write(call->out, data + at, length - at);
		if (some < 0) {
			fprintf(stderr, "cairn: cannot write: %s\n", strerror(errno));
			call->stopped = true;
			return 0;
		}
		at += (size_t)some;
	}
	call->sent += length;
	return call->sent <= call->length && take_step(call, call->sent) ? length : 0;
}

static int digest(struct call *call, struct sha256 *out)
{
	struct sha256_state state;
	uint8_t *piece = malloc(PIECE_BYTES);
	if (!piece) {
		fprintf(stderr, "cairn: no memory\n");
		return 1;
	}
	sha256_init(&state);
	if (call->in < 0 && call->text)
		sha256_update(&state, call->text, call->length);
	for (uint64_t at = 0; call->in >= 0 && at < call->length;) {
		ssize_t some = pread(call->in, piece, call->length - at < PIECE_BYTES ? (size_t)(call->length - at) : PIECE_BYTES, (off_t)at);
		if (some <= 0) {
			fprintf(stderr, "cairn: cannot read what becomes %s: %s\n", call->name, some < 0 ? strerror(errno) : "it is shorter than it should be");
			free(piece);
			return 1;
		}
		sha256_update(&state, piece, (size_t)some);
		at += (uint64_t)some;
	}
	free(piece);
	sha256_final(&state, out);
	return 0;
}

/* ---- calls ---- */

/* What stands between <name> and </name> of an error, for a person to read. */
static void element(char *out, size_t size, const struct call *call, const char *name)
{
	char open[32], text[ERROR_BYTES_MAX + 1];
	size_t length = call->answer.length < ERROR_BYTES_MAX ? call->answer.length : ERROR_BYTES_MAX;
	memcpy(text, call->answer.data, length);
	text[length] = 0;
	snprintf(open, sizeof(open), "<%s>", name);
	const char *at = strstr(text, open);
	size_t used = 0;
	for (at = at ? at + strlen(open) : ""; *at && *at != '<' && used + 1 < size; at++)
		out[used++] = (unsigned char)*at < 0x20 || *at == 0x7f ? ' ' : *at;
	out[used] = 0;
}

static void tell_refusal(const struct call *call, long status)
{
	char code[64] = "", message[512] = "";
	if (call->answer.length > 0) {
		element(code, sizeof(code), call, "Code");
		element(message, sizeof(message), call, "Message");
	}
	fprintf(stderr, "cairn: the service refused %s %s: HTTP %ld %s%s%s\n", call->method, call->name, status, code, *message ? ": " : "", message);
}

static struct curl_slist *headers_of(const struct backup_s3 *s3, const struct sha256 *sum)
{
	char text[2 * sizeof(sum->bytes) + 1], header[128];
	sodium_bin2hex(text, sizeof(text), sum->bytes, sizeof(sum->bytes));
	snprintf(header, sizeof(header), "x-amz-content-sha256: %s", text);
	struct curl_slist *headers = curl_slist_append(NULL, header);
	return s3->session ? curl_slist_append(headers, s3->session) : headers;
}

static void set_call(struct backup_s3 *s3, struct call *call, const char *url, struct curl_slist *headers)
{
	CURL *curl = s3->curl;
	curl_easy_reset(curl); /* the connection stays */
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, s3->provider);
	curl_easy_setopt(curl, CURLOPT_USERPWD, s3->key);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "cairn/" CAIRN_VERSION);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S_MAX);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALLED_S_MAX);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
	char range[32];
	if (call->out >= 0 && call->length > 0) { /* the object may have grown since: an interrupted backup replaces volumes before the manifest */
		snprintf(range, sizeof(range), "0-%llu", (unsigned long long)call->length - 1);
		curl_easy_setopt(curl, CURLOPT_RANGE, range);
	}
	if (strcmp(call->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (call->in < 0 && !call->text)
		return;
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->length);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, send_bytes);
	curl_easy_setopt(curl, CURLOPT_READDATA, call);
	curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, rewind_bytes);
	curl_easy_setopt(curl, CURLOPT_SEEKDATA, call);
}

static void pause_ms(long ms)
{
	struct timespec left = { ms / 1000, ms % 1000 * 1000000 };
	nanosleep(&left, NULL);
}

static bool deserves_another(CURLcode code, long status)
{
	return code != CURLE_OK || status == 429 || status >= 500;
}

/* The status of the answer, 0: none came (told). */
static long make_calls(struct backup_s3 *s3, struct call *call, const char *url, struct curl_slist *headers)
{
	CURLcode code = CURLE_OK;
	long status = 0;
	for (unsigned made = 0; made < CALLS_MAX && !call->stopped && (made == 0 || deserves_another(code, status)); made++) {
		if (made > 0)
			pause_ms((long)PAUSE_MS_MIN << (made - 1));
		call->sent = 0;
		call->answer.length = 0;
		if (call->out >= 0 && (ftruncate(call->out, 0) != 0 || lseek(call->out, 0, SEEK_SET) != 0))
			break;
		set_call(s3, call, url, headers);
		status = 0;
		code = curl_easy_perform(s3->curl);
		curl_easy_getinfo(s3->curl, CURLINFO_RESPONSE_CODE, &status);
	}
	if (code == CURLE_OK && !call->stopped)
		return status;
	if (!call->stopped)
		fprintf(stderr, "cairn: %s %s: %s\n", call->method, call->name, curl_easy_strerror(code));
	return 0;
}

/* Names and prefixes are plain: nothing is to be escaped. */
static char *url_of(struct backup_s3 *s3, const char *name)
{
	size_t size = strlen(s3->bucket_url) + strlen(name) + 2;
	char *url = malloc(size);
	if (url)
		snprintf(url, size, "%s/%s", s3->bucket_url, name);
	return url;
}

/* The status of the answer, told if it is none or one that nobody `expects` besides 200 and 204. */
static long make_call(struct backup_s3 *s3, struct call *call, long expects)
{
	struct sha256 sum;
	long status = 0;
	char *url = url_of(s3, call->name);
	call->curl = s3->curl;
	buffer_init(&call->answer, BACKUP_TEXT_BYTES_MAX);
	struct curl_slist *headers = url && digest(call, &sum) == 0 ? headers_of(s3, &sum) : NULL;
	if (headers)
		status = make_calls(s3, call, url, headers);
	if (status && status != 200 && status != 204 && status != expects)
		tell_refusal(call, status);
	curl_slist_free_all(headers);
	free(url);
	return status;
}

/* ---- the target ---- */

static int prepare(struct backup_target *target)
{
	(void)target;
	return 0;
}

static int put_file(struct backup_target *target, const char *name, const char *from, uint64_t length, copy_step step, void *context)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	off_t end = in < 0 ? -1 : lseek(in, 0, SEEK_END);
	if (end < 0)
		fprintf(stderr, "cairn: cannot read %s: %s\n", from, strerror(errno));
	if (length == UINT64_MAX && end >= 0)
		length = (uint64_t)end;
	if (end >= 0 && length > OBJECT_BYTES_MAX) {
		fprintf(stderr, "cairn: %s has more than 5 GiB, which is too much for one object\n", from);
		end = -1;
	}
	struct call call = { .method = "PUT", .name = name, .in = in, .out = -1, .length = length, .step = step, .context = context };
	long status = end < 0 ? 0 : make_call((struct backup_s3 *)target, &call, 200);
	buffer_fini(&call.answer);
	if (in >= 0)
		close(in);
	return status == 200 ? 0 : 1;
}

static int put_text(struct backup_target *target, const char *name, const char *text)
{
	struct call call = { .method = "PUT", .name = name, .in = -1, .out = -1, .text = text, .length = strlen(text) };
	long status = make_call((struct backup_s3 *)target, &call, 200);
	buffer_fini(&call.answer);
	return status == 200 ? 0 : 1;
}

/* What is answered is durable. */
static int settle(struct backup_target *target)
{
	(void)target;
	return 0;
}

struct getting {
	struct backup_s3 *s3;
	struct call call;
};

static int fill(void *context, int fd)
{
	struct getting *getting = context;
	getting->call.out = fd;
	long status = make_call(getting->s3, &getting->call, 206);
	buffer_fini(&getting->call.answer);
	bool came = status == 200 || status == 206;
	if (came && getting->call.sent == getting->call.length)
		return 0;
	if (came)
		fprintf(stderr, "cairn: %s has %llu bytes and should have %llu\n", getting->call.name, (unsigned long long)getting->call.sent,
			(unsigned long long)getting->call.length);
	return 1;
}

static int get_file(struct backup_target *target, const char *name, const char *to, uint64_t length, copy_step step, void *context)
{
	struct getting getting = { .s3 = (struct backup_s3 *)target,
		.call = { .method = "GET", .name = name, .in = -1, .length = length, .step = step, .context = context } };
	return make_file(to, fill, &getting);
}

static int get_text(struct backup_target *target, const char *name, char **out)
{
	struct call call = { .method = "GET", .name = name, .in = -1, .out = -1 };
	long status = make_call((struct backup_s3 *)target, &call, 404);
	*out = NULL;
	if (status == 404) {
		char code[64];
		element(code, sizeof(code), &call, "Code");
		if (strcmp(code, "NoSuchBucket") == 0) {
			tell_refusal(&call, status);
			status = 0;
		}
	} else if (status == 200 && (*out = malloc(call.answer.length + 1))) {
		memcpy(*out, call.answer.data, call.answer.length);
		(*out)[call.answer.length] = 0;
	}
	if (call.answer.data)
		sodium_memzero(call.answer.data, call.answer.length);
	buffer_fini(&call.answer);
	return status == 404 || *out ? 0 : 1;
}

static bool has(struct backup_target *target, const char *name, uint64_t length)
{
	struct backup_s3 *s3 = (struct backup_s3 *)target;
	struct call call = { .method = "HEAD", .name = name, .in = -1, .out = -1 };
	curl_off_t stored = -1;
	long status = make_call(s3, &call, 404);
	curl_easy_getinfo(s3->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &stored);
	buffer_fini(&call.answer);
	return status == 200 && stored >= 0 && (uint64_t)stored == length;
}

static void remove_name(struct backup_target *target, const char *name)
{
	struct call call = { .method = "DELETE", .name = name, .in = -1, .out = -1 };
	make_call((struct backup_s3 *)target, &call, 404);
	buffer_fini(&call.answer);
}

static void sweep(struct backup_target *target, const json_t *manifest)
{
	(void)target, (void)manifest;
}

static void wipe(char *text)
{
	if (text)
		sodium_memzero(text, strlen(text));
	free(text);
}

static void close_s3(struct backup_target *target)
{
	struct backup_s3 *s3 = (struct backup_s3 *)target;
	curl_easy_cleanup(s3->curl);
	free(s3->bucket_url);
	wipe(s3->key);
	wipe(s3->session);
	free(s3);
}

/* ---- opening ---- */

static const char *environment(const char *first, const char *second, const char *otherwise)
{
	const char *value = getenv(first);
	if (!value || !*value)
		value = second ? getenv(second) : NULL;
	return value && *value ? value : otherwise;
}

static char *join(const char *a, const char *b, const char *c)
{
	size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
	char *out = malloc(size);
	if (out)
		snprintf(out, size, "%s%s%s", a, b, c);
	return out;
}

/* Buckets are named as AWS names them, prefixes like files of a backup. */
static bool place_is_fine(const char *bucket, size_t bucket_length, const char *prefix)
{
	return bucket_length >= BUCKET_BYTES_MIN && bucket_length <= BUCKET_BYTES_MAX && strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") == bucket_length &&
		(!*prefix || backup_name_is_plain(prefix));
}

static int set_address(struct backup_s3 *s3, const char *url, const char *region)
{
	const char *bucket = url + strlen("s3://"), *endpoint = environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", NULL);
	char place[BUCKET_BYTES_MAX + NAME_MAX + 2] = "", own[128];
	size_t bucket_length = strcspn(bucket, "/"), length = strlen(bucket);
	if (length < sizeof(place))
		memcpy(place, bucket, length + 1);
	for (length = strlen(place); length > 0 && place[length - 1] == '/'; length--)
		place[length - 1] = 0;
	if (!place_is_fine(place, bucket_length, bucket_length < length ? place + bucket_length + 1 : "")) {
		fprintf(stderr, "cairn: %s is not s3://BUCKET/PREFIX, with a prefix of letters, digits, dots, dashes and single slashes\n", url);
		return 1;
	}
	snprintf(own, sizeof(own), "https://s3.%s.amazonaws.com", region);
	endpoint = endpoint ? endpoint : own;
	if (strncmp(endpoint, "https://", 8) != 0 && strncmp(endpoint, "http://", 7) != 0) {
		fprintf(stderr, "cairn: the endpoint %s is neither http:// nor https://\n", endpoint);
		return 1;
	}
	bool slash = endpoint[strlen(endpoint) - 1] == '/';
	s3->bucket_url = join(endpoint, slash ? "" : "/", place);
	return s3->bucket_url ? 0 : 1;
}

static int set_key(struct backup_s3 *s3, const char *region)
{
	const char *id = environment("AWS_ACCESS_KEY_ID", NULL, NULL), *secret = environment("AWS_SECRET_ACCESS_KEY", NULL, NULL);
	const char *session = environment("AWS_SESSION_TOKEN", NULL, NULL);
	if (!id || !secret) {
		fprintf(stderr, "cairn: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not in the environment\n");
		return 1;
	}
	if (strlen(region) > 32 || strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region)) {
		fprintf(stderr, "cairn: the region %s is none\n", region);
		return 1;
	}
	snprintf(s3->provider, sizeof(s3->provider), "aws:amz:%s:s3", region);
	s3->key = join(id, ":", secret);
	s3->session = session ? join("x-amz-security-token: ", session, "") : NULL;
	return s3->key && (!session || s3->session) ? 0 : 1;
}

int backup_s3_open(struct backup_target **out, const char *url)
{
	const char *region = environment("AWS_REGION", "AWS_DEFAULT_REGION", "us-east-1");
	struct backup_s3 *s3 = calloc(1, sizeof(*s3));
	if (!s3 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(s3->curl = curl_easy_init())) {
		fprintf(stderr, "cairn: cannot start libcurl\n");
		free(s3);
		return 1;
	}
	s3->base = (struct backup_target){ prepare, put_file, put_text, settle, get_file, get_text, has, remove_name, sweep, close_s3 };
	if (set_key(s3, region) != 0 || set_address(s3, url, region) != 0) {
		close_s3(&s3->base);
		return 1;
	}
	*out = &s3->base;
	return 0;
}
