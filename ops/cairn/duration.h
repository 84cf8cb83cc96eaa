/* duration.h - "90", "90s", "30m", "12h", "21d", "2w" as milliseconds; a bare number is seconds. */
#ifndef CAIRN_OPS_CAIRN_DURATION_H
#define CAIRN_OPS_CAIRN_DURATION_H

#include <stdint.h>

/* 0 or -1: not a duration, or longer than a thousand years. */
int duration_read(int64_t *ms, const char *text);
/* The value of an option of that noun: 0 or EXIT_USAGE, told. */
int duration_read_option(int64_t *ms, const char *noun, const char *text);

#endif
