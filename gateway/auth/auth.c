/* auth.c - from a request's credentials to an actor.
 *
 * DESIGN. A small direct-mapped cache leads from a token's digest to its record and its user. Each entry remembers the version of the
 * namespace it was read at and serves only as long as nothing at all was applied since: a revoked token is refused from the moment the
 * revocation is applied, and there is no list of things to invalidate. On a hub that commits all the time the cache misses and the look-up goes to the state
 * machine's block cache, which costs some microseconds. The text of a token is never kept. */
#include "gateway/auth/auth.h"
#include "gateway/auth/grant.h"
#include "gateway/process.h"

#include <pthread.h>
#include <sodium.h>
#include <strings.h>

enum {
	CACHE_ENTRIES = 256,             /* power of two; about 600 bytes each */
	BASIC_TEXT_BYTES_MAX = 768,      /* decoded user:password */
	CREDENTIAL_BYTES_MAX = GRANT_TEXT_BYTES_MAX,
};

struct cached {
	bool used;
	uint64_t version;
	struct hash digest;
	struct token token;
	struct user user;
};

static struct {
	pthread_mutex_t mutex;
	const struct namespace *ns; /* whose tokens these are: tests open several */
	struct cached entries[CACHE_ENTRIES];
} cache = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static struct cached *cache_slot(const struct hash *digest)
{
	return &cache.entries[hash_mod(digest, CACHE_ENTRIES)];
}

static bool cache_get(const struct namespace *ns, const struct hash *digest, uint64_t version, struct token *token, struct user *user)
{
	pthread_mutex_lock(&cache.mutex);
	const struct cached *slot = cache_slot(digest);
	bool hit = slot->used && cache.ns == ns && slot->version == version &&
		sodium_memcmp(slot->digest.bytes, digest->bytes, HASH_BYTES) == 0;
	if (hit) {
		*token = slot->token;
		*user = slot->user;
	}
	pthread_mutex_unlock(&cache.mutex);
	return hit;
}

static void cache_put(const struct namespace *ns, const struct hash *digest, uint64_t version, const struct token *token, const struct user *user)
{
	pthread_mutex_lock(&cache.mutex);
	if (cache.ns != ns) {
		memset(cache.entries, 0, sizeof(cache.entries));
		cache.ns = ns;
	}
	*cache_slot(digest) = (struct cached){ .used = true, .version = version, .digest = *digest, .token = *token, .user = *user };
	pthread_mutex_unlock(&cache.mutex);
}

/* ------------------------------------------------------------------ where a token may stand in a request */

static bool has_scheme(struct span value, const char *scheme)
{
	size_t length = strlen(scheme);
	return value.length > length && strncasecmp((const char *)value.data, scheme, length) == 0 && value.data[length] == ' ';
}

static struct span after_scheme(struct span value, size_t length)
{
	while (length < value.length && value.data[length] == ' ')
		length++;
	return span_of(value.data + length, value.length - length);
}

/* The password of "user:password"; some clients put the token in the user's place and leave the password empty. */
static struct span basic_token(struct http_request *request, struct span base64)
{
	uint8_t *text = http_alloc(request, BASIC_TEXT_BYTES_MAX);
	size_t length = 0;
	if (sodium_base642bin(text, BASIC_TEXT_BYTES_MAX, (const char *)base64.data, base64.length, "=", &length, NULL,
		    sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0)
		return span_of(text, 0);
	const uint8_t *colon = memchr(text, ':', length);
	if (!colon)
		return span_of(text, length);
	struct span password = span_of(colon + 1, length - (size_t)(colon + 1 - text));
	return password.length ? password : span_of(text, (size_t)(colon - text));
}

struct span auth_cookie(struct span cookies, const char *name)
{
	size_t length = strlen(name);
	for (size_t at = 0; at < cookies.length;) {
		const uint8_t *end = memchr(cookies.data + at, ';', cookies.length - at);
		size_t stop = end ? (size_t)(end - cookies.data) : cookies.length;
		while (at < stop && cookies.data[at] == ' ')
			at++;
		if (stop - at > length + 1 && memcmp(cookies.data + at, name, length) == 0 && cookies.data[at + length] == '=')
			return span_of(cookies.data + at + length + 1, stop - at - length - 1);
		at = stop + 1;
	}
	return span_of(NULL, 0);
}

/* The authority of "https://host:port/..." or "https://host:port". */
static struct span authority_of(struct span url)
{
	const uint8_t *colon = memmem(url.data, url.length, "://", 3);
	if (!colon)
		return span_of(NULL, 0);
	const uint8_t *start = colon + 3, *end = memchr(start, '/', url.length - (size_t)(start - url.data));
	return span_of(start, (size_t)((end ? end : url.data + url.length) - start));
}

/* A browser adds the cookie to what any page makes it send. It also says which page that was: only ours may change things. Whoever is not a browser says
 * nothing and sends no cookie by accident. */
bool auth_is_forged(struct http_request *request)
{
	if (http_method(request) & (HTTP_GET | HTTP_HEAD | HTTP_OPTIONS))
		return false;
	struct span site = http_header(request, "Sec-Fetch-Site"), origin = http_header(request, "Origin");
	if (site.data && !span_equal(site, span_text("same-origin")) && !span_equal(site, span_text("none")))
		return true;
	return origin.data && !span_equal(authority_of(origin), authority_of(span_text(http_base_url(request))));
}

/* True when the request carries credentials; *out may then still be nonsense. */
static bool credential_of(struct http_request *request, struct span *out)
{
	struct span value = http_header(request, "Authorization");
	if (value.data && value.length) {
		if (has_scheme(value, "Bearer"))
			*out = after_scheme(value, 6);
		else if (has_scheme(value, "Basic"))
			*out = basic_token(request, after_scheme(value, 5));
		else
			*out = span_of(value.data, 0);
		return true;
	}
	struct span cookies = http_header(request, "Cookie");
	*out = cookies.data ? auth_cookie(cookies, "token") : cookies;
	if (out->length == 0)
		return false;
	if (auth_is_forged(request))
		*out = span_of(out->data, 0);
	return true;
}

/* ------------------------------------------------------------------ the actor */

static int look_up(struct namespace *ns, struct span text, struct token *token, struct user *user)
{
	struct hash digest;
	crypto_generichash(digest.bytes, HASH_BYTES, text.data, text.length, NULL, 0);
	/* Read before the look-up: what is applied in between makes the entry too old, never too new. */
	uint64_t version = namespace_version(ns);
	if (cache_get(ns, &digest, version, token, user))
		return 0;
	int err = token_find(ns, text, token);
	if (err)
		return err;
	if (sodium_memcmp(token->digest.bytes, digest.bytes, HASH_BYTES) != 0)
		return ERR_NOT_FOUND;
	err = user_find(ns, token->user, user);
	if (err == 0)
		cache_put(ns, &digest, version, token, user);
	return err;
}

static bool token_lives(const struct token *token)
{
	return token->role != TOKEN_REFRESH && (token->expires_ms == 0 || token->expires_ms > unix_ms());
}

static int identify_by_token(struct http_request *request, struct span text, struct actor *out)
{
	struct user user;
	int err = look_up(gateway_of(request)->ns, text, &out->token, &user);
	if (err || !token_lives(&out->token)) {
		memset(out, 0, sizeof(*out));
		return ERR_UNAUTHENTICATED;
	}
	memset(&out->token.digest, 0, sizeof(out->token.digest));
	memcpy(out->name, user.name, sizeof(out->name));
	out->user_id = user.id;
	out->token_id = out->token.id;
	out->role = out->token.role;
	out->admin = user.admin;
	out->ns = gateway_of(request)->ns;
	http_set_actor_name(request, out->name);
	return 0;
}

/* A grant that came by an SSH key is worth as much as the key is now. */
static int identify_by_grant(struct http_request *request, struct span text, struct actor *out)
{
	const struct gateway *gateway = gateway_of(request);
	struct grant grant;
	struct ssh_key ssh_key;
	int err = grant_verify(gateway, text, &grant);
	if (err || (grant.kind != GRANT_GIT_READ && grant.kind != GRANT_GIT_WRITE) || !grant.actor[0])
		return ERR_UNAUTHENTICATED;
	err = ssh_key_find(gateway->ns, &grant.object, &ssh_key);
	if (err || strcmp(ssh_key.user, grant.actor) != 0)
		return ERR_UNAUTHENTICATED;
	err = auth_by_name(gateway->ns, grant.actor, grant.kind == GRANT_GIT_WRITE ? TOKEN_WRITE : TOKEN_READ, out);
	if (err)
		return ERR_UNAUTHENTICATED;
	out->one_repo_only = true;
	out->only_repo = grant.repo;
	out->ssh_key = grant.object;
	http_set_actor_name(request, out->name);
	return 0;
}

static int identify(struct http_request *request, bool takes_grants, struct actor *out)
{
	memset(out, 0, sizeof(*out));
	struct span text;
	if (!credential_of(request, &text)) {
		out->anonymous = true;
		return 0;
	}
	if (text.length == 0 || text.length > CREDENTIAL_BYTES_MAX)
		return ERR_UNAUTHENTICATED;
	if (text.length <= TOKEN_TEXT_BYTES_MAX) /* every grant is longer */
		return identify_by_token(request, text, out);
	return takes_grants ? identify_by_grant(request, text, out) : ERR_UNAUTHENTICATED;
}

int auth_identify(struct http_request *request, struct actor *out)
{
	return identify(request, false, out);
}

int auth_identify_text(struct http_request *request, struct span text, struct actor *out)
{
	memset(out, 0, sizeof(*out));
	return text.length > 0 && text.length <= TOKEN_TEXT_BYTES_MAX ? identify_by_token(request, text, out) : ERR_UNAUTHENTICATED;
}

int auth_identify_for_repo(struct http_request *request, struct actor *out)
{
	return identify(request, true, out);
}

int auth_by_name(struct namespace *ns, const char *name, enum token_role role, struct actor *out)
{
	memset(out, 0, sizeof(*out));
	if (!name[0]) {
		out->anonymous = true;
		return 0;
	}
	struct user user;
	int err = user_find(ns, name, &user);
	if (err)
		return err == ERR_NOT_FOUND ? ERR_UNAUTHENTICATED : err;
	memcpy(out->name, user.name, sizeof(out->name));
	out->user_id = user.id;
	out->role = role;
	out->admin = user.admin;
	out->ns = ns;
	return 0;
}

int auth_by_token(struct namespace *ns, const char *name, const struct entity_id *token_id, enum token_role role, struct actor *out)
{
	static const struct entity_id none;
	int err = auth_by_name(ns, name, role, out);
	if (err || memcmp(token_id->bytes, none.bytes, ENTITY_ID_BYTES) == 0)
		return err;
	struct token token;
	err = token_get(ns, token_id, &token);
	if (err == 0 && (!token_lives(&token) || strcmp(token.user, out->name) != 0))
		err = ERR_NOT_FOUND;
	if (err) {
		memset(out, 0, sizeof(*out));
		return err == ERR_NOT_FOUND ? ERR_UNAUTHENTICATED : err;
	}
	memset(&token.digest, 0, sizeof(token.digest));
	out->token = token;
	out->token_id = *token_id;
	if (token.role != TOKEN_WRITE) /* it never asked for more than it had */
		out->role = token.role;
	return 0;
}

int auth_renew(struct namespace *ns, struct actor *actor)
{
	struct actor now;
	struct ssh_key ssh_key;
	if (!hash_is_zero(&actor->ssh_key) && (ssh_key_find(ns, &actor->ssh_key, &ssh_key) != 0 || strcmp(ssh_key.user, actor->name) != 0))
		return ERR_UNAUTHENTICATED;
	int err = auth_by_token(ns, actor->name, &actor->token_id, actor->role, &now);
	if (err)
		return err;
	now.one_repo_only = actor->one_repo_only;
	now.only_repo = actor->only_repo;
	now.ssh_key = actor->ssh_key;
	*actor = now;
	return 0;
}
