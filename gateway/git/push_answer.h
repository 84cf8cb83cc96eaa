/* push_answer.h - the answer to a push while it is being made: written by the thread that works, pulled by the server as the socket drains.
 *
 * When nothing was written for PUSH_SILENCE_MS the reader gets a packet all the same (how far the work has come, or nothing at all), so that proxies and
 * clients see a live connection. With a side band everything but the report goes out at once; without one there is the report alone, at the end, and in a
 * silence the server only gets to see whether the client is still there.
 *
 * Two owners: the worker and the server, each on any thread; the last one frees. */
#ifndef CAIRN_GATEWAY_GIT_PUSH_ANSWER_H
#define CAIRN_GATEWAY_GIT_PUSH_ANSWER_H

#include "gateway/http/http.h"
#include "schemas/pkt_line.h"

enum {
	PUSH_SILENCE_MS = 4000,
	PUSH_ANSWER_BYTES_MAX = 4 << 20, /* not read yet: all refs and all messages fit */
};

struct push_answer;

/* `describe` (may be NULL) writes how far the work is, or returns false; `abandon` (may be NULL): nobody reads the answer any more. Both are called by the
 * server's threads until push_answer_end. NULL: no memory. */
struct push_answer *push_answer_make(bool side_band, bool (*describe)(void *context, char *out, size_t size), void (*abandon)(void *context), void *context);
/* The server's share, for http_reply_source. */
struct http_source push_answer_source(struct push_answer *answer);

/* Text for the client's terminal: whole lines. */
void push_answer_say(struct push_answer *answer, struct span text);
void push_answer_sayf(struct push_answer *answer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The report, once; and the end of the answer. The worker's share is given back. */
void push_answer_end(struct push_answer *answer, struct span report);

#endif
