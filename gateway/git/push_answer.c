#include "gateway/git/push_answer.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { OWNERS = 2, LINE_BYTES_MAX = 1024 };

struct push_answer {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool side_band, ended, abandoned; /* abandoned: the server does not read any more */
	unsigned owners;
	struct buffer out;
	size_t taken;                     /* of out */
	bool (*describe)(void *context, char *out, size_t size);
	void (*abandon)(void *context);
	void *context;
};

struct push_answer *push_answer_make(bool side_band, bool (*describe)(void *context, char *out, size_t size), void (*abandon)(void *context), void *context)
{
	struct push_answer *answer = calloc(1, sizeof(*answer));
	if (!answer)
		return NULL;
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&answer->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&answer->mutex, NULL);
	buffer_init(&answer->out, PUSH_ANSWER_BYTES_MAX);
	answer->side_band = side_band;
	answer->describe = describe;
	answer->abandon = abandon;
	answer->context = context;
	answer->owners = OWNERS;
	return answer;
}

/* Under the mutex, which it gives back. */
static void leave(struct push_answer *answer)
{
	bool last = --answer->owners == 0;
	pthread_mutex_unlock(&answer->mutex);
	if (!last)
		return;
	buffer_fini(&answer->out);
	pthread_cond_destroy(&answer->changed);
	pthread_mutex_destroy(&answer->mutex);
	free(answer);
}

/* ------------------------------------------------------------------ the worker's side */

static void append_message(struct push_answer *answer, struct span text)
{
	if (answer->side_band && !answer->abandoned && text.length)
		pkt_append_band(&answer->out, BAND_MESSAGE, text);
}

void push_answer_say(struct push_answer *answer, struct span text)
{
	pthread_mutex_lock(&answer->mutex);
	append_message(answer, text);
	pthread_cond_signal(&answer->changed);
	pthread_mutex_unlock(&answer->mutex);
}

void push_answer_sayf(struct push_answer *answer, const char *format, ...)
{
	char line[LINE_BYTES_MAX];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length > 0)
		push_answer_say(answer, span_of(line, (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1));
}

void push_answer_end(struct push_answer *answer, struct span report)
{
	pthread_mutex_lock(&answer->mutex);
	if (!answer->abandoned) {
		if (!answer->side_band)
			buffer_append(&answer->out, report.data, report.length);
		else if (report.length)
			pkt_append_band(&answer->out, BAND_DATA, report);
		if (answer->side_band)
			pkt_append_flush(&answer->out);
	}
	answer->ended = true;
	answer->describe = NULL;
	answer->abandon = NULL;
	pthread_cond_signal(&answer->changed);
	leave(answer);
}

/* ------------------------------------------------------------------ the server's side */

static size_t take(struct push_answer *answer, uint8_t *out, size_t length)
{
	size_t left = answer->out.length - answer->taken, taken = left < length ? left : length;
	memcpy(out, answer->out.data + answer->taken, taken);
	answer->taken += taken;
	if (answer->taken == answer->out.length) {
		buffer_clear(&answer->out);
		answer->taken = 0;
	}
	return taken;
}

/* True when something was written before the silence became too long. */
static bool wait_for_news(struct push_answer *answer)
{
	struct timespec deadline;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += PUSH_SILENCE_MS / 1000;
	int waited = 0;
	while (answer->out.length == 0 && !answer->ended && waited == 0)
		waited = pthread_cond_timedwait(&answer->changed, &answer->mutex, &deadline);
	return answer->out.length > 0 || answer->ended;
}

static void break_silence(struct push_answer *answer)
{
	char line[LINE_BYTES_MAX];
	if (answer->describe && answer->describe(answer->context, line, sizeof(line)))
		append_message(answer, span_text(line));
	else
		pkt_append_band(&answer->out, BAND_DATA, span_of(NULL, 0));
}

static int64_t source_read(void *context, void *out, size_t length, bool may_block)
{
	struct push_answer *answer = context;
	int64_t result = ERR_AGAIN;
	pthread_mutex_lock(&answer->mutex);
	if (may_block && !wait_for_news(answer) && answer->side_band)
		break_silence(answer);
	if (answer->out.failed)
		result = ERR_TOO_BIG;
	else if (answer->out.length)
		result = (int64_t)take(answer, out, length);
	else if (answer->ended)
		result = 0;
	pthread_mutex_unlock(&answer->mutex);
	return result;
}

static void source_close(void *context)
{
	struct push_answer *answer = context;
	pthread_mutex_lock(&answer->mutex);
	answer->abandoned = true;
	if (answer->abandon)
		answer->abandon(answer->context);
	leave(answer);
}

struct http_source push_answer_source(struct push_answer *answer)
{
	return (struct http_source){ .read = source_read, .close = source_close, .context = answer };
}
