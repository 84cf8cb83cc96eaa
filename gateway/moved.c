#include "gateway/moved.h"

/* What the raw segment says; NULL: nonsense. */
static const char *decoded(struct http_request *request, struct span raw)
{
	return http_decode(request, raw, false);
}

static bool is_inside(struct span part, struct span whole)
{
	return part.data >= whole.data && part.data + part.length <= whole.data + whole.length;
}

/* A header value must not hold what a sloppy parser let through. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

bool answer_if_moved(struct http_request *request, const struct actor *actor, enum repo_type type, struct span owner, struct span name)
{
	struct gateway *gateway = gateway_of(request);
	struct span path = http_path(request), query = http_query(request);
	const char *owner_text = decoded(request, owner), *name_text = decoded(request, name);
	struct repo repo;
	if (!owner_text || !name_text || !is_inside(owner, path) || !is_inside(name, path) ||
		repo_find_moved(gateway->ns, type, span_text(owner_text), span_text(name_text), &repo) != 0)
		return false;
	struct resource resource = { .repo = &repo, .ns = gateway->ns };
	if (may(actor, ACTION_READ, &resource) != 0)
		return false;
	size_t before = (size_t)(owner.data - path.data);
	const uint8_t *behind = name.data + name.length;
	char *location = http_printf(request, "%.*s%s/%s%.*s%s%.*s", (int)before, (const char *)path.data, repo.owner, repo.name,
		(int)(path.data + path.length - behind), (const char *)behind, query.length ? "?" : "", (int)query.length, (const char *)query.data);
	if (!is_plain(location))
		return false;
	http_add_header(request, "Location", location);
	http_add_header(request, "Cache-Control", "no-store");
	http_reply(request, 307, "text/plain; charset=utf-8", span_text(http_printf(request, "Temporary Redirect. Redirecting to %s\n", location)));
	return true;
}
