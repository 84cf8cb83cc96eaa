#include "gateway/git/push_body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>

#include "gateway/git/cache.h"

enum { INFLATE_BYTES = 64 << 10, GZIP_WINDOW_BITS = 15 + 16, ROOM_STEP_BYTES_MAX = 64 << 20 };

struct push_body {
	struct push *push;
	uint64_t announced;
	bool head_done, dropped;    /* dropped: nothing of the push can succeed */
	uint64_t checked_bytes;     /* of the pack: the disk had room for these */
	bool is_gzip, inflated;     /* inflated: the compressed stream is at its end */
	z_stream inflater;
};

static bool is_word(struct span text, const char *word)
{
	return text.length == strlen(word) && strncasecmp((const char *)text.data, word, text.length) == 0;
}

int push_body_open(struct push_body **out, struct push *push, struct span encoding, uint64_t announced, struct why *why)
{
	*out = NULL;
	bool is_gzip = is_word(encoding, "gzip") || is_word(encoding, "x-gzip");
	if (encoding.length && !is_gzip && !is_word(encoding, "identity"))
		return why_set(why, ERR_UNSUPPORTED, "the only Content-Encoding here is gzip");
	struct push_body *body = calloc(1, sizeof(*body));
	if (!body)
		return why_set(why, ERR_NO_MEMORY, "no memory for a push");
	body->push = push;
	body->announced = announced;
	body->is_gzip = is_gzip;
	if (is_gzip && inflateInit2(&body->inflater, GZIP_WINDOW_BITS) != Z_OK) {
		free(body);
		return why_set(why, ERR_NO_MEMORY, "no memory for a push");
	}
	*out = body;
	return 0;
}

void push_body_close(struct push_body *body)
{
	if (!body)
		return;
	if (body->is_gzip)
		inflateEnd(&body->inflater);
	free(body);
}

/* ------------------------------------------------------------------ the pack */

static int open_file(struct push *push, struct why *why)
{
	char path[PATH_MAX];
	int err = scratch_dir_make(&push->dir, push->gateway->data_dir, "push", why);
	if (err == 0)
		err = scratch_dir_file(&push->dir, PUSH_RECEIVED_NAME, path, why);
	if (err)
		return err;
	push->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (push->fd >= 0)
		return 0;
	return why_set(why, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "a push cannot be set aside below DIR/tmp: %s", strerror(errno));
}

/* Looked at now and then: the pack is on the disk up to three times (as it came, indexed, in the store) before it is one. */
static int check_room(struct push_body *body, size_t more, struct why *why)
{
	struct push *push = body->push;
	if (push->pack_bytes + more > PUSH_PACK_BYTES_MAX)
		return why_set(why, ERR_TOO_BIG, "one push may bring %llu GiB at most; push in parts", (unsigned long long)(PUSH_PACK_BYTES_MAX >> 30));
	if (push->pack_bytes + more <= body->checked_bytes)
		return 0;
	uint64_t expected = body->announced != UINT64_MAX && body->announced < ROOM_STEP_BYTES_MAX ? body->announced : ROOM_STEP_BYTES_MAX;
	if (!git_cache_has_room(push->gateway->git_cache, 3 * expected))
		return why_set(why, ERR_NO_SPACE, "the server is out of disk space");
	int err = quota_check(push->gateway, &push->repo, &push->actor, push->pack_bytes + more, why);
	body->checked_bytes = push->pack_bytes + more + expected;
	return err;
}

static int write_all(struct push *push, struct span bytes, struct why *why)
{
	while (bytes.length) {
		ssize_t written = write(push->fd, bytes.data, bytes.length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return why_set(why, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, "a push cannot be set aside below DIR/tmp: %s", strerror(errno));
		push->pack_bytes += (uint64_t)written;
		bytes = span_of(bytes.data + written, bytes.length - (size_t)written);
	}
	return 0;
}

static int set_aside(struct push_body *body, struct span bytes, struct why *why)
{
	struct push *push = body->push;
	if (bytes.length == 0 || body->dropped)
		return 0;
	int err = push->fd < 0 ? open_file(push, why) : 0;
	if (err == 0)
		err = check_room(body, bytes.length, why);
	if (err == 0)
		err = write_all(push, bytes, why);
	if (err == ERR_NO_SPACE || err == ERR_TOO_BIG) { /* a client shows the reason of a report to its user, and that of a status to nobody */
		push_refuse_all(push, why->text);
		body->dropped = true;
		return 0;
	}
	return err;
}

/* ------------------------------------------------------------------ the head */

static int take(struct push_body *body, struct span bytes, struct why *why)
{
	struct push *push = body->push;
	if (!body->head_done && bytes.length) {
		size_t used;
		int got = receive_commands_take(&push->commands, bytes, &used, why);
		if (got < 0)
			return got;
		bytes = span_of(bytes.data + used, bytes.length - used);
		body->head_done = got == 1;
		if (body->head_done) {
			int err = push_prepare(push, why);
			if (err)
				return err;
			body->dropped = !push_decide_early(push);
		}
	}
	return set_aside(body, bytes, why);
}

static int take_inflated(struct push_body *body, struct span bytes, struct why *why)
{
	uint8_t *out = malloc(INFLATE_BYTES);
	z_stream *z = &body->inflater;
	int err = out ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for a push");
	z->next_in = (Bytef *)(uintptr_t)bytes.data;
	z->avail_in = (uInt)bytes.length; /* at most 1 MiB at a time */
	for (bool more = true; more && err == 0;) {
		if (body->inflated) {
			err = z->avail_in ? why_set(why, ERR_CORRUPT, "there are bytes behind the compressed push") : 0;
			break;
		}
		z->next_out = out;
		z->avail_out = INFLATE_BYTES;
		int state = inflate(z, Z_NO_FLUSH);
		if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
			err = why_set(why, ERR_CORRUPT, "the compressed push does not inflate");
		body->inflated = state == Z_STREAM_END;
		if (err == 0)
			err = take(body, span_of(out, INFLATE_BYTES - z->avail_out), why);
		more = z->avail_out == 0 || (body->inflated && z->avail_in);
	}
	free(out);
	return err;
}

int push_body_write(struct push_body *body, const uint8_t *data, size_t length, struct why *why)
{
	return body->is_gzip ? take_inflated(body, span_of(data, length), why) : take(body, span_of(data, length), why);
}

int push_body_end(struct push_body *body, struct why *why)
{
	if (body->is_gzip && !body->inflated)
		return why_set(why, ERR_CORRUPT, "the compressed push ends early");
	return body->head_done ? 0 : why_set(why, ERR_CORRUPT, "the push ends in its list of refs");
}
