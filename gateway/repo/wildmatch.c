#include "gateway/repo/wildmatch.h"

#include <ctype.h>

static bool in_class(struct span name, uint8_t byte)
{
	static const struct {
		const char *name;
		int (*test)(int);
	} classes[] = {
		{ "alnum", isalnum }, { "alpha", isalpha }, { "blank", isblank }, { "cntrl", iscntrl }, { "digit", isdigit }, { "graph", isgraph },
		{ "lower", islower }, { "print", isprint }, { "punct", ispunct }, { "space", isspace }, { "upper", isupper }, { "xdigit", isxdigit },
	};
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (span_equal(name, span_text(classes[i].name)))
			return byte < 0x80 && classes[i].test(byte) != 0;
	return false;
}

/* A byte of a bracket expression, with its escape; false at the end. */
static bool bracket_byte(struct span pattern, size_t *i, uint8_t *out)
{
	if (*i < pattern.length && pattern.data[*i] == '\\')
		(*i)++;
	if (*i >= pattern.length)
		return false;
	*out = pattern.data[(*i)++];
	return true;
}

/* "[:name:]" at *i; moves behind it. */
static bool bracket_class(struct span pattern, size_t *i, uint8_t byte, bool *matched)
{
	if (pattern.length - *i < 4 || pattern.data[*i] != '[' || pattern.data[*i + 1] != ':')
		return false;
	for (size_t end = *i + 2; end + 1 < pattern.length; end++) {
		if (pattern.data[end] == ']')
			return false;
		if (pattern.data[end] != ':' || pattern.data[end + 1] != ']')
			continue;
		*matched |= in_class(span_of(pattern.data + *i + 2, end - *i - 2), byte);
		*i = end + 2;
		return true;
	}
	return false;
}

/* A bracket expression that begins at pattern.data[0] == '['. Bytes of pattern used, 0 when it is not closed (then nothing matches). */
static size_t match_bracket(struct span pattern, uint8_t byte, bool *matched)
{
	size_t i = 1;
	bool negated = i < pattern.length && (pattern.data[i] == '!' || pattern.data[i] == '^');
	i += negated;
	*matched = false;
	for (bool first = true; i < pattern.length && (first || pattern.data[i] != ']'); first = false) {
		uint8_t low, high;
		if (bracket_class(pattern, &i, byte, matched))
			continue;
		if (!bracket_byte(pattern, &i, &low))
			return 0;
		high = low;
		if (i + 1 < pattern.length && pattern.data[i] == '-' && pattern.data[i + 1] != ']') {
			i++;
			if (!bracket_byte(pattern, &i, &high))
				return 0;
		}
		*matched |= byte >= low && byte <= high;
	}
	if (i >= pattern.length)
		return 0;
	*matched = *matched != negated;
	return i + 1;
}

/* What matches one byte, at the front of `pattern`. Bytes of pattern used; 0: does not match. */
static size_t match_byte(struct span pattern, uint8_t byte)
{
	bool matched;
	size_t used;
	switch (pattern.data[0]) {
	case '?':
		return 1;
	case '[':
		used = match_bracket(pattern, byte, &matched);
		return matched ? used : 0;
	case '\\':
		if (pattern.length > 1)
			return pattern.data[1] == byte ? 2 : 0;
		return 0;
	default:
		return pattern.data[0] == byte;
	}
}

bool wildmatch_name(struct span pattern, struct span name)
{
	size_t p = 0, n = 0, star_p = SIZE_MAX, star_n = 0;
	while (n < name.length) {
		size_t used = 0;
		if (p < pattern.length && pattern.data[p] == '*') {
			star_p = ++p;
			star_n = n;
			continue;
		}
		if (p < pattern.length)
			used = match_byte(span_of(pattern.data + p, pattern.length - p), name.data[n]);
		if (used) {
			p += used;
			n++;
		} else if (star_p != SIZE_MAX) {
			p = star_p;
			n = ++star_n;
		} else {
			return false;
		}
	}
	while (p < pattern.length && pattern.data[p] == '*')
		p++;
	return p == pattern.length;
}

/* The component that begins at `at`; *next: where the one behind it begins (length + 1 when there is none). */
static struct span component(struct span text, size_t at, size_t *next)
{
	const uint8_t *slash = at < text.length ? memchr(text.data + at, '/', text.length - at) : NULL;
	size_t length = slash ? (size_t)(slash - text.data) - at : text.length - at;
	*next = at + length + 1;
	return span_of(text.data + at, length);
}

bool wildmatch_path(struct span pattern, struct span path)
{
	size_t p = 0, n = 0, star_p = SIZE_MAX, star_n = 0, next_p, next_n;
	while (n <= path.length) {
		struct span name = component(path, n, &next_n);
		bool matches = false;
		if (p <= pattern.length) {
			struct span part = component(pattern, p, &next_p);
			if (span_equal(part, span_text("**"))) {
				if (next_p > pattern.length) /* at the end: everything inside */
					return true;
				star_p = p = next_p;
				star_n = n;
				continue;
			}
			matches = wildmatch_name(part, name);
		}
		if (matches) {
			p = next_p;
			n = next_n;
		} else if (star_p != SIZE_MAX) {
			component(path, star_n, &next_n);
			p = star_p;
			n = star_n = next_n;
		} else {
			return false;
		}
	}
	return p == pattern.length + 1;
}
