/* buffer.h - a borrowed run of bytes (span) and a growing owned one (buffer).
 *
 * A buffer has a limit given at init; growing past it fails and marks the buffer, so that a writer may append
 * many times and check once at the end. Not thread-safe; one owner at a time. */
#ifndef CAIRN_SCHEMAS_BUFFER_H
#define CAIRN_SCHEMAS_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *data;
	size_t length; /* bytes */
};

static inline struct span span_of(const void *data, size_t length)
{
	return (struct span){ (const uint8_t *)data, length };
}

static inline struct span span_text(const char *text)
{
	return span_of(text, strlen(text));
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

struct buffer {
	uint8_t *data;    /* owned; NULL while empty */
	size_t length;    /* bytes used */
	size_t capacity;  /* bytes allocated */
	size_t limit;     /* most bytes it may ever hold */
	bool failed;      /* an append was refused (limit or memory); contents are then incomplete */
};

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_fini(struct buffer *buffer);
/* Keeps the allocation, forgets the bytes and the failure. */
void buffer_clear(struct buffer *buffer);

/* Append; each returns 0, ERR_TOO_BIG or ERR_NO_MEMORY, and sets `failed` on error. */
int buffer_append(struct buffer *buffer, const void *data, size_t length);
int buffer_append_text(struct buffer *buffer, const char *text);
int buffer_append_byte(struct buffer *buffer, uint8_t byte);
int buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for `length` more bytes; returns where to write them (then add to `length` yourself), or NULL. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t length);

static inline struct span buffer_span(const struct buffer *buffer)
{
	return span_of(buffer->data, buffer->length);
}

#endif
