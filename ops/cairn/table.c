#include "ops/cairn/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct table {
	size_t columns;
	const char *titles[TABLE_COLUMNS_MAX];
	bool is_number[TABLE_COLUMNS_MAX];
	size_t width[TABLE_COLUMNS_MAX];
	size_t rows, capacity;
	char **cells; /* rows x columns */
};

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	for (; *text; text++)
		width += ((unsigned char)*text & 0xC0) != 0x80;
	return width;
}

struct table *table_open(const char *const *titles)
{
	struct table *table = calloc(1, sizeof(*table));
	if (!table)
		abort();
	for (; titles[table->columns]; table->columns++) {
		const char *title = titles[table->columns];
		table->is_number[table->columns] = title[0] == '>';
		table->titles[table->columns] = title + (title[0] == '>');
		table->width[table->columns] = width_of(table->titles[table->columns]);
	}
	return table;
}

void table_row(struct table *table, const char *const *cells)
{
	if (table->rows == table->capacity) {
		table->capacity = table->capacity ? table->capacity * 2 : 64;
		table->cells = realloc(table->cells, table->capacity * table->columns * sizeof(*table->cells));
		if (!table->cells)
			abort();
	}
	for (size_t i = 0; i < table->columns; i++) {
		char *cell = strdup(cells[i] ? cells[i] : "");
		if (!cell)
			abort();
		/* Names come from other people: nothing of theirs may speak to the terminal. */
		for (char *p = cell; *p; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				*p = '?';
		if (width_of(cell) > table->width[i])
			table->width[i] = width_of(cell);
		table->cells[table->rows * table->columns + i] = cell;
	}
	table->rows++;
}

static void print_cell(const struct table *table, size_t column, const char *text)
{
	int pad = (int)(table->width[column] - width_of(text));
	bool last = column + 1 == table->columns;
	if (table->is_number[column])
		printf("%*s%s%s", pad, "", text, last ? "\n" : "  ");
	else
		printf("%s%*s%s", text, last ? 0 : pad, "", last ? "\n" : "  ");
}

void table_print(struct table *table)
{
	for (size_t i = 0; i < table->columns; i++)
		print_cell(table, i, table->titles[i]);
	for (size_t i = 0; i < table->rows * table->columns; i++) {
		print_cell(table, i % table->columns, table->cells[i]);
		free(table->cells[i]);
	}
	free(table->cells);
	free(table);
}

int print_json(json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
	json_decref(value);
	return 0;
}

int print_done(const struct settings *settings, json_t *answer, const char *sentence)
{
	if (!answer)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(answer);
	json_decref(answer);
	puts(sentence);
	return EXIT_OK;
}

/* ------------------------------------------------------------------ texts */

static char *next_text(size_t *size)
{
	enum { TEXTS = 16, TEXT_BYTES = 48 };
	static char texts[TEXTS][TEXT_BYTES];
	static unsigned next;
	*size = TEXT_BYTES;
	return texts[next++ % TEXTS];
}

const char *text_of_bytes(uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	size_t size, unit = 0;
	char *text = next_text(&size);
	double value = (double)bytes;
	for (; value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		value /= 1024;
	snprintf(text, size, unit == 0 ? "%.0f %s" : value < 10 ? "%.2f %s" : value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

const char *text_of_count(uint64_t count)
{
	char digits[24];
	size_t size, at = 0;
	char *text = next_text(&size);
	int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			text[at++] = ',';
		text[at++] = digits[i];
	}
	text[at] = 0;
	return text;
}

const char *text_of_ms(int64_t ms)
{
	size_t size;
	char *text = next_text(&size);
	long long s = ms / 1000;
	if (s < 60)
		snprintf(text, size, "%lld s", s);
	else if (s < 3600)
		snprintf(text, size, "%lld min %lld s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, size, "%lld h %lld min", s / 3600, s % 3600 / 60);
	else
		snprintf(text, size, "%lld d %lld h", s / 86400, s % 86400 / 3600);
	return text;
}

uint64_t member_u64(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value > 0 ? (uint64_t)value : 0;
}

const char *member_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}
