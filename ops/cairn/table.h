/* table.h - rows of text for a person: columns are as wide as their widest cell, numbers lean right. */
#ifndef CAIRN_OPS_CAIRN_TABLE_H
#define CAIRN_OPS_CAIRN_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "ops/cairn/settings.h"

enum { TABLE_COLUMNS_MAX = 8 };

struct table;

/* Titles end in NULL; one that begins with '>' is a column of numbers. */
struct table *table_open(const char *const *titles);
/* One value per column; copied. NULL is an empty cell. */
void table_row(struct table *table, const char *const *cells);
/* Prints to stdout and frees. */
void table_print(struct table *table);

/* Prints `value` as JSON and frees it; EXIT_OK. */
int print_json(json_t *value);
/* The answer to a change, freed: with --json itself, else the sentence. NULL: EXIT_FAILED, told already. */
int print_done(const struct settings *settings, json_t *answer, const char *sentence);

/* ---- texts of values; each returns one of a few static buffers, good until several further calls ---- */

const char *text_of_bytes(uint64_t bytes);          /* "1.5 GiB" */
const char *text_of_count(uint64_t count);          /* "1,234,567" */
const char *text_of_ms(int64_t ms);                 /* "3 d 4 h" */
uint64_t member_u64(const json_t *object, const char *key);
const char *member_text(const json_t *object, const char *key); /* "" when absent */

#endif
