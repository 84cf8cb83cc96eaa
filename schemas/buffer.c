#include "schemas/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "schemas/error.h"

enum { BUFFER_BYTES_FIRST = 256 };

void buffer_init(struct buffer *buffer, size_t limit)
{
	*buffer = (struct buffer){ .limit = limit };
}

void buffer_fini(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){ 0 };
}

void buffer_clear(struct buffer *buffer)
{
	buffer->length = 0;
	buffer->failed = false;
}

static int grow(struct buffer *buffer, size_t length)
{
	if (length > buffer->limit || buffer->length > buffer->limit - length) {
		buffer->failed = true;
		return ERR_TOO_BIG;
	}
	size_t need = buffer->length + length;
	if (need <= buffer->capacity)
		return 0;
	size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_BYTES_FIRST;
	while (capacity < need)
		capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
	uint8_t *data = realloc(buffer->data, capacity);
	if (!data) {
		buffer->failed = true;
		return ERR_NO_MEMORY;
	}
	buffer->data = data;
	buffer->capacity = capacity;
	return 0;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t length)
{
	return grow(buffer, length) == 0 ? buffer->data + buffer->length : NULL;
}

int buffer_append(struct buffer *buffer, const void *data, size_t length)
{
	if (length == 0)
		return 0;
	int err = grow(buffer, length);
	if (err)
		return err;
	memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
	return 0;
}

int buffer_append_text(struct buffer *buffer, const char *text)
{
	return buffer_append(buffer, text, strlen(text));
}

int buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
	return buffer_append(buffer, &byte, 1);
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	va_list again;
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	int err = length < 0 ? ERR_INVALID : grow(buffer, (size_t)length + 1);
	if (err == 0) {
		vsnprintf((char *)buffer->data + buffer->length, (size_t)length + 1, format, again);
		buffer->length += (size_t)length;
	}
	va_end(again);
	return err;
}
