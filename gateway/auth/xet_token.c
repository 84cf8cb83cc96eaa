#include "gateway/auth/xet_token.h"


#include "gateway/answer.h"
#include "gateway/process.h"
#include "schemas/json_writer.h"

enum { TOKEN_ANSWER_BYTES_MAX = 64 << 10 };

int xet_token_issue(struct http_request *request, const struct repo *repo, const struct actor *actor, bool write, struct xet_token *out)
{
	int64_t expires_s = (unix_ms() + XET_TOKEN_MS) / 1000;
	struct grant grant = {
		.kind = write ? GRANT_XET_WRITE : GRANT_XET_READ, .repo = repo->id, .expires_ms = expires_s * 1000
	};
	grant.token = actor->token_id;
	memcpy(grant.actor, actor->name, sizeof(grant.actor));
	char text[GRANT_TEXT_BYTES_MAX];
	grant_sign(gateway_of(request), &grant, text);
	out->cas_url = http_strndup(request, http_base_url(request), strlen(http_base_url(request)));
	out->access_token = http_strndup(request, text, strlen(text));
	out->expires_s = expires_s;
	return 0;
}

void xet_token_reply(struct http_request *request, const struct xet_token *token)
{
	http_add_header(request, "X-Xet-Cas-Url", token->cas_url);
	http_add_header(request, "X-Xet-Access-Token", token->access_token);
	http_add_headerf(request, "X-Xet-Token-Expiration", "%lld", (long long)token->expires_s);
	struct buffer body;
	buffer_init(&body, TOKEN_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "casUrl", token->cas_url);
	json_text(&json, "accessToken", token->access_token);
	json_i64(&json, "exp", token->expires_s);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

const char *xet_token_url(struct http_request *request, const struct repo *repo, const char *type_plural, bool write, const char *revision)
{
	return http_printf(request, "%s/api/%s/%s/%s/xet-%s-token/%s", http_base_url(request), type_plural, repo->owner, repo->name,
		write ? "write" : "read", revision);
}

const char *xet_reconstruction_url(struct http_request *request, const struct hash *file)
{
	char text[HASH_TEXT_BYTES];
	hash_to_text(text, file);
	return http_printf(request, "%s/v1/reconstructions/%s", http_base_url(request), text);
}
