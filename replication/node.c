#include "replication/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGE_BYTES = 4096 }; /* below, clearing costs less than calloc's passing by the thread's own free blocks (glibc up to 2.40) */

_Noreturn void node_stop(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("cairn: consensus: ", stderr);
	vfprintf(stderr, format, args);
	fputs("; this node stops\n", stderr);
	fflush(stderr);
	va_end(args);
	_exit(NODE_STOP_STATUS);
}

void *must_realloc(void *old, size_t length)
{
	void *memory = realloc(old, length);
	if (!memory)
		node_stop("no memory for %zu bytes", length);
	return memory;
}

void *must_alloc(size_t length)
{
	if (length < LARGE_BYTES)
		return memset(must_realloc(NULL, length), 0, length); /* of malloc and memset the compiler would make calloc */
	void *memory = calloc(1, length);
	if (!memory)
		node_stop("no memory for %zu bytes", length);
	return memory;
}
