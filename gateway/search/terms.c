#include "gateway/search/terms.h"

#include <stdlib.h>

#include <xxhash.h>

#include "schemas/error.h"

enum { SEEN_SIZE = 16384, LIST_BYTES_MAX = 1 << 20 };

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool is_word_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80;
}

int term_list_init(struct term_list *list)
{
	*list = (struct term_list){ .seen_size = SEEN_SIZE };
	buffer_init(&list->bytes, LIST_BYTES_MAX);
	list->seen = calloc(SEEN_SIZE, sizeof(*list->seen));
	return list->seen ? 0 : ERR_NO_MEMORY;
}

void term_list_fini(struct term_list *list)
{
	buffer_fini(&list->bytes);
	free(list->seen);
	list->seen = NULL;
}

/* Where this hash is, or where it would go. */
static uint64_t *seen_slot(const struct term_list *list, struct span term)
{
	uint64_t hash = XXH3_64bits(term.data, term.length) | 1;
	size_t at = (size_t)(hash >> 1) % list->seen_size;
	while (list->seen[at] && list->seen[at] != hash)
		at = (at + 1) % list->seen_size;
	return &list->seen[at];
}

bool term_list_has(const struct term_list *list, struct span term)
{
	return *seen_slot(list, term) != 0;
}

void term_add(struct term_list *list, enum term_kind kind, struct span text)
{
	uint8_t term[TERM_BYTES_MAX];
	size_t length = 1;
	term[0] = (uint8_t)kind;
	for (size_t i = 0; i < text.length && length < TERM_BYTES_MAX; i++)
		if (text.data[i])
			term[length++] = kind == TERM_PARAMETERS ? text.data[i] : lower(text.data[i]);
	uint64_t *slot = seen_slot(list, span_of(term, length));
	if (*slot || list->count >= TERMS_MAX)
		return;
	*slot = XXH3_64bits(term, length) | 1;
	list->count++;
	buffer_append_byte(&list->bytes, (uint8_t)length);
	buffer_append(&list->bytes, term, length);
}

bool term_next(struct span *rest, struct span *term)
{
	if (rest->length < 2 || rest->data[0] == 0 || rest->data[0] > rest->length - 1)
		return false;
	*term = span_of(rest->data + 1, rest->data[0]);
	*rest = span_of(rest->data + 1 + term->length, rest->length - 1 - term->length);
	return true;
}

bool word_next(struct span *rest, char word[WORD_BYTES_MAX + 1])
{
	size_t at = 0, length = 0;
	while (at < rest->length && !is_word_byte(rest->data[at]))
		at++;
	for (; at < rest->length && is_word_byte(rest->data[at]); at++)
		if (length < WORD_BYTES_MAX)
			word[length++] = (char)lower(rest->data[at]);
	word[length] = 0;
	*rest = span_of(rest->data + at, rest->length - at);
	return length > 0;
}

void terms_of_text(struct term_list *list, struct span text, size_t max)
{
	char word[WORD_BYTES_MAX + 1];
	for (size_t added = 0; added < max && word_next(&text, word);) {
		size_t length = strlen(word), before = list->count;
		term_add(list, TERM_WORD, span_of(word, length));
		added += list->count > before;
		for (size_t edge = 1; edge <= WORD_EDGE_MAX && edge <= length; edge++)
			term_add(list, TERM_EDGE, span_of(word, edge));
	}
}

void terms_of_id(struct term_list *list, const char *id)
{
	size_t length = strlen(id);
	terms_of_text(list, span_of(id, length), SIZE_MAX);
	for (size_t part = 2; part <= 3; part++)
		for (size_t i = 0; i + part <= length; i++)
			term_add(list, TERM_PART, span_of(id + i, part));
}

unsigned parameter_bucket(uint64_t parameters)
{
	if (parameters == 0)
		return 0;
	unsigned octave = 63 - (unsigned)__builtin_clzll(parameters);
	unsigned quarter = octave >= 2 ? (unsigned)(parameters >> (octave - 2)) & 3 : (unsigned)(parameters << (2 - octave)) & 3;
	return 1 + octave * 4 + quarter > PARAMETER_BUCKETS_MAX - 1 ? PARAMETER_BUCKETS_MAX - 1 : 1 + octave * 4 + quarter;
}
