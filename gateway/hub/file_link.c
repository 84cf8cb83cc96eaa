#include "gateway/hub/file_link.h"

#include <sodium.h>
#include <stdio.h>

#include "gateway/answer.h"
#include "gateway/auth/grant_holder.h"
#include "gateway/elsewhere.h"
#include "gateway/process.h"

enum { ETAG_TEXT_BYTES_MAX = 2 * HASH_BYTES }; /* hex, unquoted */

/* What a grant's object field holds. Lengths are bound too, or bytes could move from one to the other. */
static void bind(struct hash *out, const struct hash *file, struct span etag, struct span name)
{
	uint64_t lengths[2] = { etag.length, name.length };
	crypto_generichash_state state;
	crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
	crypto_generichash_update(&state, file->bytes, HASH_BYTES);
	crypto_generichash_update(&state, (const uint8_t *)lengths, sizeof(lengths));
	crypto_generichash_update(&state, etag.data, etag.length);
	crypto_generichash_update(&state, name.data, name.length);
	crypto_generichash_final(&state, out->bytes, HASH_BYTES);
}

static struct span last_segment(struct span path)
{
	size_t at = path.length;
	while (at > 0 && path.data[at - 1] != '/')
		at--;
	return span_of(path.data + at, path.length - at);
}

static struct span without_quotes(const char *etag)
{
	size_t length = strlen(etag);
	return length >= 2 ? span_of(etag + 1, length - 2) : span_of(etag, 0);
}

static const char *link_to(struct http_request *request, const struct call *call, const char *base_url, const struct content *content, struct span path)
{
	struct grant grant = { .kind = GRANT_FILE, .repo = call->repo.id, .expires_ms = unix_ms() + FILE_LINK_MS, .length = content->length };
	struct span etag = without_quotes(content->etag), name = last_segment(path);
	char hash[HASH_TEXT_BYTES], text[GRANT_TEXT_BYTES_MAX];
	grant.token = call->actor.token_id;
	memcpy(grant.actor, call->actor.name, sizeof(grant.actor));
	bind(&grant.object, &content->file, etag, name);
	grant_sign(call->gateway, &grant, text);
	hash_to_text(hash, &content->file);
	return http_printf(request, "%s/api/files/%s/%s?e=%.*s&g=%s", base_url, hash, http_encode(request, name), (int)etag.length, (const char *)etag.data, text);
}

bool file_link_reply(struct http_request *request, const struct call *call, const struct content *content, struct span path)
{
	const char *base = elsewhere_file(request, &content->file, content->length);
	if (!base)
		return false;
	http_add_header(request, "Cache-Control", "no-store");
	http_add_header(request, "Location", link_to(request, call, base, content, path));
	http_reply(request, 302, "text/plain; charset=utf-8", span_text("Another node has this file\n"));
	return true;
}

/* ------------------------------------------------------------------ serving */

struct linked {
	struct entity_id repo;
	struct content content;
};

static void linked_work(struct http_request *request, void *context)
{
	struct linked *linked = context;
	struct gateway *gateway = gateway_of(request);
	struct file_info info;
	int err = store_find_file(gateway->store, &linked->repo, &linked->content.file, &info);
	if (err) {
		answer_err(request, err, NULL);
		return;
	}
	linked->content.length = info.length;
	if (!reply_content_head(request, &linked->content))
		reply_content(request, gateway, &linked->content);
}

/* 0; ERR_DENIED: not signed for this file under this name, expired, or its holder lost the right to read. */
static int check(struct http_request *request, struct linked *linked, const char *etag, const char *name)
{
	struct gateway *gateway = gateway_of(request);
	const char *text = http_query_value(request, "g", 0);
	struct grant grant;
	if (!text || !etag || !name || strlen(etag) > ETAG_TEXT_BYTES_MAX || grant_verify(gateway, span_text(text), &grant) != 0 || grant.kind != GRANT_FILE)
		return ERR_DENIED;
	struct hash bound;
	bind(&bound, &linked->content.file, span_text(etag), span_text(name));
	if (sodium_memcmp(bound.bytes, grant.object.bytes, HASH_BYTES) != 0)
		return ERR_DENIED;
	struct actor actor;
	struct repo repo;
	http_set_actor_name(request, grant.actor);
	linked->repo = grant.repo;
	return grant_holder(gateway, &grant, ACTION_READ_FILES, &actor, &repo);
}

void file_link_get(struct http_request *request, const struct route_match *match)
{
	struct linked *linked = http_alloc(request, sizeof(*linked));
	const char *etag = http_query_value(request, "e", 0), *name = http_decode(request, match->captures[1], false);
	int err = hash_from_text(&linked->content.file, (const char *)match->captures[0].data, match->captures[0].length) == 0 ? 0 : ERR_DENIED;
	if (err == 0)
		err = check(request, linked, etag, name);
	if (err) {
		answer_err(request, ERR_DENIED, &(struct why){ "This address has expired or was not signed here" });
		return;
	}
	linked->content.etag = http_printf(request, "\"%s\"", etag);
	linked->content.type = content_type_of(span_text(name));
	add_content_headers(request, span_text(name));
	http_work(request, linked_work, linked);
}
