#include "gateway/rate_limit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <xxhash.h>

#include "gateway/auth/auth.h"
#include "gateway/process.h"

enum { LOCKS = 64, ADDRESS_TEXT_BYTES_MAX = 64 };

struct counter {
	uint64_t key;     /* 0: free */
	uint32_t window;
	uint32_t count;
};

struct rate_limit {
	struct rate_config config;
	uint64_t seed;    /* so that nobody can aim at a bucket */
	pthread_mutex_t locks[LOCKS];
	struct counter buckets[RATE_BUCKETS][RATE_WAYS];
};

static const char *const class_names[RATE_CLASSES] = { "", "api", "resolve", "pages" };

int rate_limit_open(struct rate_limit **out, const struct rate_config *config)
{
	static const unsigned defaults[RATE_CLASSES] = { 0, RATE_API_DEFAULT, RATE_RESOLVE_DEFAULT, RATE_PAGES_DEFAULT };
	*out = NULL;
	if (config->off)
		return 0;
	struct rate_limit *limit = calloc(1, sizeof(*limit));
	if (!limit)
		return ERR_NO_MEMORY;
	limit->config = *config;
	for (int i = 0; i < RATE_CLASSES; i++)
		if (limit->config.quota[i] == 0)
			limit->config.quota[i] = defaults[i];
	randombytes_buf(&limit->seed, sizeof(limit->seed));
	for (int i = 0; i < LOCKS; i++)
		pthread_mutex_init(&limit->locks[i], NULL);
	*out = limit;
	return 0;
}

void rate_limit_close(struct rate_limit *limit)
{
	if (!limit)
		return;
	for (int i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&limit->locks[i]);
	free(limit);
}

/* ------------------------------------------------------------------ counting */

/* The caller's counter in its bucket, or the one that gives way. */
static struct counter *find_counter(struct counter bucket[RATE_WAYS], uint64_t key, uint32_t window)
{
	struct counter *least = &bucket[0];
	for (int i = 0; i < RATE_WAYS; i++) {
		struct counter *counter = &bucket[i];
		if (counter->key == key && counter->window == window)
			return counter;
		uint32_t value = counter->window == window ? counter->count : 0;
		if (value < (least->window == window ? least->count : 0))
			least = counter;
	}
	*least = (struct counter){ .key = key, .window = window };
	return least;
}

struct rate_verdict rate_limit_count(struct rate_limit *limit, enum rate_class class, bool known, struct span key, int64_t now_s)
{
	unsigned whole = limit->config.quota[class], quota = known ? whole : whole - whole / 2;
	uint64_t hash = XXH3_64bits_withSeed(key.data, key.length, limit->seed + (uint64_t)class * 2 + known);
	hash = hash ? hash : 1;
	size_t at = (size_t)(hash % RATE_BUCKETS);
	pthread_mutex_t *lock = &limit->locks[at % LOCKS];
	struct rate_verdict verdict = { .quota = quota, .reset_s = (unsigned)(RATE_WINDOW_S - now_s % RATE_WINDOW_S) };
	pthread_mutex_lock(lock);
	struct counter *counter = find_counter(limit->buckets[at], hash, (uint32_t)(now_s / RATE_WINDOW_S));
	verdict.admitted = counter->count < quota;
	counter->count += verdict.admitted;
	verdict.left = quota - counter->count;
	pthread_mutex_unlock(lock);
	return verdict;
}

/* ------------------------------------------------------------------ requests */

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

enum rate_class rate_class_of(const char *route)
{
	static const char *const unmetered[] = { "hub-telemetry", "hub-agent-harnesses", "hub-validate-yaml", "hub-whoami", "web-healthz", "web-readyz",
		"web-metrics", "admin-", "xet-", "lfs-upload", "lfs-part", "lfs-complete", "lfs-verify", "lfs-download", "hub-file-link" };
	for (size_t i = 0; i < sizeof(unmetered) / sizeof(unmetered[0]); i++)
		if (begins(route, unmetered[i]))
			return RATE_FREE;
	if (begins(route, "hub-resolve") || begins(route, "hub-raw"))
		return RATE_RESOLVE;
	return begins(route, "web-") ? RATE_PAGES : RATE_API;
}

static bool is_loopback(const char *address)
{
	return begins(address, "127.") || strcmp(address, "::1") == 0 || begins(address, "::ffff:127.");
}

/* What a trusted proxy on this machine adds behind what the client claims: the last address. */
static const char *client_address(const struct rate_limit *limit, struct http_request *request)
{
	const char *peer = http_peer_address(request);
	struct span forwarded = http_header(request, "X-Forwarded-For");
	if (!limit->config.trust_forwarded || !is_loopback(peer) || !forwarded.data || forwarded.length == 0)
		return peer;
	const uint8_t *comma = memrchr(forwarded.data, ',', forwarded.length);
	const uint8_t *start = comma ? comma + 1 : forwarded.data, *end = forwarded.data + forwarded.length;
	while (start < end && *start == ' ')
		start++;
	size_t length = (size_t)(end - start);
	return length > 0 && length < ADDRESS_TEXT_BYTES_MAX ? http_strndup(request, start, length) : peer;
}

/* The bytes that tell addresses apart: whoever has one address of an IPv6 /64 has all of them. */
static struct span address_key(const char *text, uint8_t out[16])
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		memcpy(out, &v4, sizeof(v4));
		return span_of(out, sizeof(v4));
	}
	if (inet_pton(AF_INET6, text, &v6) != 1)
		return span_text(text);
	memcpy(out, &v6, sizeof(v6));
	return IN6_IS_ADDR_V4MAPPED(&v6) ? span_of(out + 12, 4) : span_of(out, 8);
}

static void refuse(struct http_request *request, const struct rate_verdict *verdict, enum rate_class class, bool known)
{
	http_add_headerf(request, "Retry-After", "%u", verdict->reset_s);
	http_reply_error(request, 429, NULL, http_printf(request, "We had to rate limit you: more than %u requests of the kind \"%s\" within %d minutes%s. "
		"Try again in %u seconds", verdict->quota, class_names[class], RATE_WINDOW_S / 60, known ? "" : "; with a token you may make more", verdict->reset_s));
}

bool rate_limit_admit(struct rate_limit *limit, struct http_request *request, const char *route)
{
	enum rate_class class = limit ? rate_class_of(route) : RATE_FREE;
	if (class == RATE_FREE)
		return true;
	const char *address = client_address(limit, request);
	if (!limit->config.loopback_too && is_loopback(address))
		return true;
	struct actor actor;
	uint8_t bytes[16];
	bool known = auth_identify(request, &actor) == 0 && !actor.anonymous; /* wrong tokens count for their address */
	struct span key = known ? span_of(actor.token_id.bytes, ENTITY_ID_BYTES) : address_key(address, bytes);
	struct rate_verdict verdict = rate_limit_count(limit, class, known, key, unix_ms() / 1000);
	http_add_headerf(request, "RateLimit", "\"%s\";r=%u;t=%u", class_names[class], verdict.left, verdict.reset_s);
	http_add_headerf(request, "RateLimit-Policy", "\"fixed window\";\"%s\";q=%u;w=%d", class_names[class], verdict.quota, RATE_WINDOW_S);
	if (!verdict.admitted)
		refuse(request, &verdict, class, known);
	return verdict.admitted;
}
