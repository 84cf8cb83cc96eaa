#include "gateway/git/target.h"

#include <assert.h>

#include "gateway/answer.h"
#include "gateway/moved.h"

static const struct {
	const char *plural;
	enum repo_type type;
} types[] = {
	{ "models", REPO_MODEL }, { "datasets", REPO_DATASET }, { "spaces", REPO_SPACE }, { "kernels", REPO_KERNEL },
};

static int read_type(struct span plural, enum repo_type *out)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (span_equal(plural, span_text(types[i].plural))) {
			*out = types[i].type;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}

/* Names hold no character that needs an escape, but some clients escape what they need not. */
static struct span decoded(struct http_request *request, struct span raw)
{
	if (!memchr(raw.data, '%', raw.length))
		return raw;
	const char *text = http_decode(request, raw, false);
	return text ? span_text(text) : span_of(NULL, 0);
}

/* *moved: git was told where it is now. */
static int find_repo(struct http_request *request, const struct route_match *match, struct git_target *target, bool *moved)
{
	static const char suffix[] = ".git";
	enum { SUFFIX_BYTES = sizeof(suffix) - 1 };
	enum repo_type type = REPO_MODEL;
	size_t at = match->count - 2;
	assert(match->count == 2 || match->count == 3);
	int err = at ? read_type(match->captures[0], &type) : 0;
	if (err)
		return err;
	struct span owner = decoded(request, match->captures[at]), name = decoded(request, match->captures[at + 1]);
	if (name.length > SUFFIX_BYTES && memcmp(name.data + name.length - SUFFIX_BYTES, suffix, SUFFIX_BYTES) == 0)
		name.length -= SUFFIX_BYTES;
	err = repo_find(target->gateway->ns, NULL, type, owner, name, &target->repo);
	struct span raw = match->captures[at + 1];
	if (raw.length > SUFFIX_BYTES && memcmp(raw.data + raw.length - SUFFIX_BYTES, suffix, SUFFIX_BYTES) == 0)
		raw.length -= SUFFIX_BYTES;
	*moved = err == ERR_NOT_FOUND && answer_if_moved(request, &target->actor, type, match->captures[at], raw);
	return err;
}

struct git_target *git_target_open(struct http_request *request, const struct route_match *match, enum action action)
{
	struct git_target *target = http_alloc(request, sizeof(*target));
	target->gateway = gateway_of(request);
	target->protocol = git_protocol_of(http_header(request, "Git-Protocol"));
	if (auth_identify_for_repo(request, &target->actor) != 0) {
		/* Without it git would not let its credential helpers forget the token. */
		http_add_header(request, "WWW-Authenticate", "Basic realm=\"cairn\"");
		answer_bad_token(request);
		return NULL;
	}
	target->who = target->actor.anonymous ? http_peer_address(request) : target->actor.name;
	bool moved = false;
	int err = find_repo(request, match, target, &moved);
	if (moved)
		return NULL;
	if (err == 0)
		err = may(&target->actor, action, &(struct resource){ .repo = &target->repo, .ns = target->gateway->ns });
	if (err == ERR_GATED && target->actor.anonymous) { /* they may have asked for it: let them say who they are */
		answer_login(request);
		return NULL;
	}
	if (err == ERR_UNAUTHENTICATED && action != ACTION_READ && may(&target->actor, ACTION_READ, &(struct resource){ .repo = &target->repo, .ns = target->gateway->ns }) == 0) {
		answer_login(request);
		return NULL;
	}
	if (err == ERR_NOT_FOUND || err == ERR_UNAUTHENTICATED || err == ERR_INVALID) {
		answer_repo_missing(request, target->actor.anonymous);
		return NULL;
	}
	if (err) {
		answer_err(request, err, NULL);
		return NULL;
	}
	return target;
}

unsigned git_protocol_of(struct span header)
{
	static const char key[] = "version=";
	unsigned newest = 0;
	if (!header.data || header.length > GIT_PROTOCOL_HEADER_BYTES_MAX)
		return 0;
	for (size_t at = 0; at < header.length;) {
		const uint8_t *end = memchr(header.data + at, ':', header.length - at);
		size_t length = end ? (size_t)(end - header.data) - at : header.length - at;
		const uint8_t *item = header.data + at;
		at += length + 1;
		if (length != sizeof(key) || memcmp(item, key, sizeof(key) - 1) != 0)
			continue;
		unsigned version = (unsigned)(item[sizeof(key) - 1] - '0');
		if (version <= 2 && version > newest)
			newest = version;
	}
	return newest;
}
