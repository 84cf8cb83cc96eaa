#include "gateway/git/bundle_offer.h"

#include "gateway/auth/grant.h"
#include "gateway/process.h"
#include "schemas/pkt_line.h"

bool bundle_offer_find(const struct git_target *target, struct bundles *out)
{
	return !target->actor.one_repo_only && bundles_get(target->gateway->ns, NULL, &target->repo.id, out) == 0 && out->count > 0;
}

static const char *url_of(struct http_request *request, const struct git_target *target, const struct bundle *bundle)
{
	struct grant grant = { .kind = GRANT_GIT_BUNDLE, .repo = target->repo.id, .token = target->actor.token_id, .expires_ms = unix_ms() + BUNDLE_URL_MS,
		.object = bundle->file, .length = bundle->length };
	char text[GRANT_TEXT_BYTES_MAX];
	memcpy(grant.actor, target->actor.name, sizeof(grant.actor));
	grant_sign(target->gateway, &grant, text);
	return http_printf(request, "%s/api/git/bundles/%s", http_base_url(request), text);
}

void bundle_offer_packets(struct http_request *request, const struct git_target *target, const struct bundles *bundles, struct buffer *out)
{
	if (bundles->count) {
		pkt_printf(out, "bundle.version=1");
		pkt_printf(out, "bundle.mode=all");
		pkt_printf(out, "bundle.heuristic=creationToken");
	}
	for (size_t i = 0; i < bundles->count; i++) {
		const struct bundle *bundle = &bundles->items[i];
		pkt_printf(out, "bundle.b%zu.uri=%s", i + 1, url_of(request, target, bundle));
		pkt_printf(out, "bundle.b%zu.creationtoken=%llu", i + 1, (unsigned long long)bundle->token);
	}
	pkt_append_flush(out);
}

void bundle_offer_list(struct http_request *request, const struct git_target *target, const struct bundles *bundles, struct buffer *out)
{
	buffer_append_text(out, "[bundle]\n\tversion = 1\n\tmode = all\n\theuristic = creationToken\n");
	for (size_t i = 0; i < bundles->count; i++) {
		const struct bundle *bundle = &bundles->items[i];
		buffer_printf(out, "[bundle \"b%zu\"]\n\turi = %s\n\tcreationToken = %llu\n", i + 1, url_of(request, target, bundle), (unsigned long long)bundle->token);
	}
}
