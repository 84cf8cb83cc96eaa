/* bundle_call.c - calls about bundles: the list, the bytes of one, and an operator's wish for one now. */
#include "gateway/answer.h"
#include "gateway/auth/grant_holder.h"
#include "gateway/content.h"
#include "gateway/downloads.h"
#include "gateway/git/bundle_make.h"
#include "gateway/git/bundle_offer.h"
#include "gateway/git/git.h"
#include "schemas/json_writer.h"

/* ------------------------------------------------------------------ the list */

void git_bundle_list(struct http_request *request, const struct route_match *match)
{
	struct git_target *target = git_target_open(request, match, ACTION_READ_FILES);
	struct bundles bundles;
	if (!target)
		return;
	if (!bundle_offer_find(target, &bundles)) {
		http_reply_error(request, 404, NULL, "This repository has no bundles");
		return;
	}
	struct buffer body;
	buffer_init(&body, BUNDLE_OFFER_BYTES_MAX);
	bundle_offer_list(request, target, &bundles, &body);
	http_add_header(request, "Cache-Control", "no-store");
	http_reply_buffer(request, 200, "text/plain; charset=utf-8", &body);
	buffer_fini(&body);
}

/* ------------------------------------------------------------------ one bundle */

/* It may have left the list since its URL was given out: it is served until it is collected. */
static bool is_stored(struct gateway *gateway, const struct grant *grant)
{
	struct bundles bundles;
	int err = bundles_get(gateway->ns, NULL, &grant->repo, &bundles);
	for (size_t i = 0; err == 0 && i < bundles.count; i++)
		if (memcmp(bundles.items[i].file.bytes, grant->object.bytes, HASH_BYTES) == 0)
			return true;
	return store_claim_check(gateway->store, &grant->repo, &grant->object) == 0;
}

static void download_work(struct http_request *request, void *context)
{
	const struct grant *grant = context;
	struct gateway *gateway = gateway_of(request);
	char text[HASH_TEXT_BYTES];
	if (!is_stored(gateway, grant)) {
		http_reply_error(request, 404, NULL, "This bundle is not stored any more");
		return;
	}
	hash_to_text(text, &grant->object);
	struct content content = {
		.file = grant->object, .length = grant->length, .etag = http_printf(request, "\"%s\"", text), .type = "application/x-git-bundle"
	};
	http_add_header(request, "Cache-Control", "private, immutable, max-age=3600");
	if (!reply_content_head(request, &content))
		reply_content(request, gateway, &content);
}

void git_bundle_download(struct http_request *request, const struct route_match *match)
{
	struct gateway *gateway = gateway_of(request);
	struct grant *grant = http_alloc(request, sizeof(*grant));
	struct actor holder;
	struct repo repo;
	if (grant_verify(gateway, match->captures[0], grant) != 0 || grant->kind != GRANT_GIT_BUNDLE) {
		http_reply_error(request, 403, NULL, "This URL is not valid, or no longer");
		return;
	}
	http_set_actor_name(request, grant->actor);
	int err = grant_holder(gateway, grant, ACTION_READ_FILES, &holder, &repo);
	if (err == 0) {
		downloads_count(gateway->downloads, request, &holder, &repo, span_of(NULL, 0));
		http_work(request, download_work, grant);
	} else if (repo_get(gateway->ns, NULL, &grant->repo, &repo) == ERR_NOT_FOUND) {
		http_reply_error(request, 404, "RepoNotFound", "Repository not found");
	} else {
		answer_err(request, err, &(struct why){ "Whom this URL was made for may no longer do this" });
	}
}

/* ------------------------------------------------------------------ an operator's wish */

static void make_work(struct http_request *request, void *context)
{
	struct bundle_report report;
	struct why why = { 0 };
	int err = repo_bundle(gateway_of(request), context, true, &gateway_of(request)->draining, &report, &why);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer body;
	buffer_init(&body, 256);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_u64(&json, "bundles", report.count);
	json_u64(&json, "bytes", report.bytes);
	json_u64(&json, "made_bytes", report.made);
	json_object_end(&json);
	answer_json(request, 200, &body);
}

void git_bundle_make(struct http_request *request, const struct route_match *match)
{
	git_operate(request, match, make_work);
}
