/* upload_stored.c - answers of upload-pack that everybody who asks the same may have: read from where git wrote them once. */
#include <sodium.h>
#include <stdlib.h>

#include "gateway/answer.h"
#include "gateway/git/bundle_offer.h"
#include "gateway/git/process.h"
#include "gateway/git/service.h"
#include "gateway/git/stored_answer.h"
#include "gateway/git/upload_serving.h"

enum { ABILITIES_BYTES_MAX = 64 << 10 };

struct reader {
	struct stored_answer *answer;
	const char *prefix;
	uint64_t offset;
};

static int64_t reader_read(void *context, void *out, size_t length, bool may_block)
{
	struct reader *reader = context;
	size_t ahead = strlen(reader->prefix);
	if (ahead) {
		size_t taken = ahead < length ? ahead : length;
		memcpy(out, reader->prefix, taken);
		reader->prefix += taken;
		return (int64_t)taken;
	}
	int64_t got = stored_answer_read(reader->answer, reader->offset, out, length, may_block);
	if (got > 0)
		reader->offset += (uint64_t)got;
	return got;
}

/* Only asked for when the length is known, so the file is whole. */
static int reader_extent(void *context, size_t length, int *fd, uint64_t *offset, size_t *extent_length)
{
	struct reader *reader = context;
	uint64_t end = stored_answer_length(reader->answer);
	if (*reader->prefix || end == UINT64_MAX || reader->offset >= end)
		return ERR_AGAIN;
	*fd = stored_answer_fd(reader->answer);
	*offset = reader->offset;
	*extent_length = end - reader->offset < length ? (size_t)(end - reader->offset) : length;
	reader->offset += *extent_length;
	return 0;
}

static void reader_close(void *context)
{
	struct reader *reader = context;
	stored_answer_leave(reader->answer);
	free(reader);
}

static void reply_stored(struct serving *serving, struct stored_answer *answer)
{
	struct reader *reader = malloc(sizeof(*reader));
	if (!reader) {
		stored_answer_leave(answer);
		answer_err(serving->request, ERR_NO_MEMORY, NULL);
		return;
	}
	*reader = (struct reader){ .answer = answer, .prefix = upload_prefix(serving) };
	uint64_t length = stored_answer_length(answer);
	struct http_source source = { .read = reader_read, .extent = reader_extent, .close = reader_close, .context = reader };
	upload_reply(serving, length == UINT64_MAX ? UINT64_MAX : strlen(reader->prefix) + length, source);
}

/* ------------------------------------------------------------------ which answer */

/* What info/refs says in protocol 2 are the abilities of git and of our configuration: the same for every repository. */
static bool is_general(const struct serving *serving)
{
	return !serving->body && serving->target->protocol == 2;
}

static int make_key(struct serving *serving, uint64_t version, struct answer_key *out)
{
	struct span bytes = { 0 };
	crypto_generichash_state state;
	uint8_t head[2] = { (uint8_t)(serving->body != NULL), (uint8_t)serving->target->protocol };
	int err = serving->body ? request_body_bytes(serving->body, &bytes, &serving->why) : 0;
	*out = (struct answer_key){ 0 };
	if (err)
		return err;
	if (!is_general(serving)) {
		out->repo = serving->target->repo.id;
		out->version = version;
	}
	const char *ref = serving->target->repo.head; /* may change without a new version */
	crypto_generichash_init(&state, NULL, 0, sizeof(out->digest));
	crypto_generichash_update(&state, head, sizeof(head));
	if (!is_general(serving))
		crypto_generichash_update(&state, (const uint8_t *)ref, strlen(ref) + 1);
	crypto_generichash_update(&state, bytes.data, bytes.length);
	crypto_generichash_final(&state, out->digest, sizeof(out->digest));
	return 0;
}

/* ------------------------------------------------------------------ the abilities of git, and one of ours */

/* What protocol 2 says first, with the line by which a client knows that it may ask for bundles. */
static int reply_offering(struct serving *serving, struct stored_answer *answer)
{
	static const char flush[] = "0000";
	enum { FLUSH_BYTES = sizeof(flush) - 1 };
	uint8_t data[4096];
	struct buffer body;
	int64_t got;
	buffer_init(&body, ABILITIES_BYTES_MAX);
	while ((got = stored_answer_read(answer, body.length, data, sizeof(data), true)) > 0 || got == ERR_AGAIN)
		if (got > 0 && buffer_append(&body, data, (size_t)got) != 0)
			break;
	stored_answer_leave(answer);
	bool is_whole = got == 0 && body.length >= FLUSH_BYTES && memcmp(body.data + body.length - FLUSH_BYTES, flush, FLUSH_BYTES) == 0;
	if (is_whole) {
		body.length -= FLUSH_BYTES;
		pkt_printf(&body, "bundle-uri\n");
		pkt_append_flush(&body);
		http_add_header(serving->request, "Cache-Control", "no-cache, max-age=0, must-revalidate");
		http_reply_buffer(serving->request, 200, upload_type(serving), &body);
	}
	buffer_fini(&body);
	return is_whole ? 0 : why_set(&serving->why, ERR_IO, "git does not say what it can do");
}

/* ------------------------------------------------------------------ serving */

static int start_stored(struct serving *serving, const struct answer_key *key, struct stored_answer **out)
{
	struct answer_job job = { .key = *key, .lease = &serving->lease, .pass = &serving->pass, .arguments = serving->arguments,
		.environment = serving->environment, .input = GIT_FD_NONE };
	int err = serving->body ? request_body_fd(serving->body, &job.input, &serving->why) : 0;
	return err ? err : stored_answer_start(serving->target->gateway->git->answers, &job, out, &serving->why);
}

int upload_serve_stored(struct serving *serving)
{
	struct stored_answers *answers = serving->target->gateway->git->answers;
	struct answer_key key;
	bool again = false;
	int err = make_key(serving, serving->lease.version, &key);
	if (err)
		return err;
	struct stored_answer *answer = stored_answer_join(answers, &key);
	if (!answer) {
		err = upload_take_pass(serving);
		if (err == 0) {
			upload_set_command(serving);
			err = start_stored(serving, &key, &answer);
		}
		if (err)
			return err;
	}
	/* Whoever reads along needs neither. */
	git_cache_release(serving->target->gateway, &serving->lease);
	gate_leave(&serving->pass);
	err = stored_answer_wait(answer, &again, &serving->why);
	if (err) {
		stored_answer_leave(answer);
		return again ? ERR_AGAIN : err;
	}
	struct bundles bundles;
	if (is_general(serving) && bundle_offer_find(serving->target, &bundles))
		return reply_offering(serving, answer);
	reply_stored(serving, answer);
	return 0;
}
