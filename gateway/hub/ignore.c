#include "gateway/hub/ignore.h"

struct text {
	const uint8_t *at, *end;
};

/* [abc], [a-z], [!a]: true when `c` is in the class; *pattern moves past it. An unclosed bracket is an ordinary character. */
static bool class_matches(struct text *pattern, uint8_t c)
{
	const uint8_t *p = pattern->at + 1;
	bool negated = p < pattern->end && (*p == '!' || *p == '^'), matched = false;
	if (negated)
		p++;
	const uint8_t *first = p;
	for (; p < pattern->end && (*p != ']' || p == first); p++) {
		uint8_t low = *p, high = low;
		if (p + 2 < pattern->end && p[1] == '-' && p[2] != ']') {
			high = p[2];
			p += 2;
		}
		matched = matched || (c >= low && c <= high);
	}
	if (p >= pattern->end) {
		pattern->at++;
		return c == '[';
	}
	pattern->at = p + 1;
	return matched != negated && c != '/';
}

/* Matches the whole of `path`. `steps` bounds the backtracking that stars cause. */
static bool glob(struct text pattern, struct text path, int *steps)
{
	while (pattern.at < pattern.end) {
		if (--*steps < 0)
			return false;
		if (*pattern.at == '*') {
			bool deep = pattern.at + 1 < pattern.end && pattern.at[1] == '*';
			pattern.at += deep ? 2 : 1;
			if (deep && pattern.at < pattern.end && *pattern.at == '/') {
				struct text without = { pattern.at + 1, pattern.end };
				if (glob(without, path, steps)) /* "**" + "/" also stands for nothing */
					return true;
			}
			for (;; path.at++) {
				if (glob(pattern, path, steps))
					return true;
				if (path.at == path.end || (!deep && *path.at == '/') || *steps < 0)
					return false;
			}
		}
		if (path.at == path.end)
			return false;
		uint8_t c = *path.at++;
		if (*pattern.at == '?') {
			if (c == '/')
				return false;
			pattern.at++;
		} else if (*pattern.at == '[') {
			if (!class_matches(&pattern, c))
				return false;
		} else {
			if (*pattern.at == '\\' && pattern.at + 1 < pattern.end)
				pattern.at++;
			if (*pattern.at++ != c)
				return false;
		}
	}
	return path.at == path.end;
}

struct rule {
	struct text pattern;
	bool negated, folders_only, anchored;
};

static bool rule_read(struct text line, struct rule *rule)
{
	while (line.end > line.at && (line.end[-1] == '\r' || line.end[-1] == ' ' || line.end[-1] == '\t'))
		line.end--;
	if (line.at == line.end || *line.at == '#')
		return false;
	*rule = (struct rule){ 0 };
	if (*line.at == '!') {
		rule->negated = true;
		line.at++;
	}
	if (line.end > line.at && line.end[-1] == '/') {
		rule->folders_only = true;
		line.end--;
	}
	rule->anchored = line.end > line.at && memchr(line.at, '/', (size_t)(line.end - line.at)) != NULL;
	if (line.end > line.at && *line.at == '/')
		line.at++;
	rule->pattern = line;
	return line.end > line.at;
}

static bool rule_matches(const struct rule *rule, struct text path, bool is_folder, int *steps)
{
	if (rule->folders_only && !is_folder)
		return false;
	if (!rule->anchored)
		for (const uint8_t *p = path.at; p < path.end; p++)
			if (*p == '/')
				path.at = p + 1;
	return glob(rule->pattern, path, steps);
}

/* The verdict of the last matching rule on exactly this path. */
static bool is_ignored(struct span rules, struct text path, bool is_folder, int *steps)
{
	bool ignored = false;
	for (size_t at = 0; at < rules.length && *steps > 0;) {
		const uint8_t *end = memchr(rules.data + at, '\n', rules.length - at);
		size_t length = end ? (size_t)(end - rules.data) - at : rules.length - at;
		struct rule rule;
		if (rule_read((struct text){ rules.data + at, rules.data + at + length }, &rule) &&
			rule_matches(&rule, path, is_folder, steps))
			ignored = !rule.negated;
		at += length + 1;
	}
	return ignored;
}

bool ignore_matches(struct span rules, struct span path)
{
	int steps = IGNORE_STEPS_MAX;
	for (size_t i = 0; i < path.length; i++)
		if (path.data[i] == '/' && is_ignored(rules, (struct text){ path.data, path.data + i }, true, &steps))
			return true;
	return is_ignored(rules, (struct text){ path.data, path.data + path.length }, false, &steps);
}
