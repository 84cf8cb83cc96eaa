/* path.c - which paths a repository accepts: those that every git client accepts, on every file system. */
#include "gateway/repo/repo.h"

/* One UTF-8 sequence: its length and code point; 0 when invalid (overlong, surrogate, beyond U+10FFFF, cut off). */
static size_t utf8_next(struct span text, uint32_t *code)
{
	uint8_t first = text.data[0];
	if (first < 0x80) {
		*code = first;
		return 1;
	}
	size_t length = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 0;
	if (length == 0 || length > text.length)
		return 0;
	uint32_t value = first & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text.data[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (text.data[i] & 0x3f);
	}
	if ((length == 3 && value < 0x800) || (length == 4 && value < 0x10000) || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*code = value;
	return length;
}

/* How many bytes of ASCII the text begins with, in whole words. */
static size_t ascii_run(struct span text)
{
	size_t run = 0;
	for (uint64_t word; text.length - run >= sizeof(word); run += sizeof(word)) {
		memcpy(&word, text.data + run, sizeof(word));
		if (word & 0x8080808080808080u)
			break;
	}
	return run;
}

bool text_is_utf8(struct span text)
{
	uint32_t code;
	while (text.length) {
		size_t used = ascii_run(text);
		if (used == 0 && !(used = utf8_next(text, &code)))
			return false;
		text = span_of(text.data + used, text.length - used);
	}
	return true;
}

/* Code points that HFS+ ignores when it compares names. */
static bool is_ignored_by_hfs(uint32_t code)
{
	return (code >= 0x200c && code <= 0x200f) || (code >= 0x202a && code <= 0x202e) || (code >= 0x206a && code <= 0x206f) || code == 0xfeff;
}

static bool equals_any_case(const uint8_t *text, const char *lower, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]) != (uint8_t)lower[i])
			return false;
	return true;
}

/* NTFS takes ".git", "git~1" and either followed by blanks, dots or a stream name for the same. */
static bool is_dot_git_on_ntfs(struct span name)
{
	size_t used = name.length >= 4 && equals_any_case(name.data, ".git", 4) ? 4 : name.length >= 5 && equals_any_case(name.data, "git~1", 5) ? 5 : 0;
	if (used == 0)
		return false;
	while (used < name.length && (name.data[used] == ' ' || name.data[used] == '.'))
		used++;
	return used == name.length || name.data[used] == ':' || name.data[used] == '\\';
}

/* Valid UTF-8 already. */
static bool is_dot_git_on_hfs(struct span name)
{
	uint8_t kept[4];
	size_t count = 0;
	while (name.length) {
		uint32_t code;
		size_t used = utf8_next(name, &code);
		name = span_of(name.data + used, name.length - used);
		if (is_ignored_by_hfs(code))
			continue;
		if (code >= 0x80 || count == sizeof(kept))
			return false;
		kept[count++] = (uint8_t)code;
	}
	return count == sizeof(kept) && equals_any_case(kept, ".git", sizeof(kept));
}

static bool is_dot_git(struct span name)
{
	if (is_dot_git_on_hfs(name))
		return true;
	for (size_t i = 0; i < name.length; i++)
		if ((i == 0 || name.data[i - 1] == '\\') && is_dot_git_on_ntfs(span_of(name.data + i, name.length - i)))
			return true;
	return false;
}

static const char *fault_of_bytes(struct span path)
{
	while (path.length) {
		uint32_t code;
		size_t used = utf8_next(path, &code);
		if (used == 0)
			return "it is not valid UTF-8";
		if (code < 0x20 || code == 0x7f || (code >= 0x80 && code < 0xa0))
			return "it contains control characters";
		path = span_of(path.data + used, path.length - used);
	}
	return NULL;
}

static const char *fault_of_name(struct span name)
{
	if (name.length == 0)
		return "it has an empty component";
	if (name.length > PATH_NAME_BYTES_MAX)
		return "it has a component longer than 255 bytes";
	if (span_equal(name, span_text(".")) || span_equal(name, span_text("..")))
		return "\".\" and \"..\" are not allowed in it";
	if (is_dot_git(name))
		return "\".git\" and what file systems take for it are not allowed in it";
	return NULL;
}

static const char *fault_of(struct span path)
{
	if (path.length == 0)
		return "it is empty";
	if (path.length > PATH_BYTES_MAX)
		return "it is longer than 4096 bytes";
	if (path.data[0] == '/')
		return "it is absolute";
	if (path.data[path.length - 1] == '/')
		return "it ends in a slash";
	const char *fault = fault_of_bytes(path);
	int depth = 0;
	while (!fault && path.length) {
		const uint8_t *slash = memchr(path.data, '/', path.length);
		struct span name = span_of(path.data, slash ? (size_t)(slash - path.data) : path.length);
		fault = ++depth > PATH_DEPTH_MAX ? "it is deeper than 64 folders" : fault_of_name(name);
		size_t used = name.length + (slash != NULL);
		path = span_of(path.data + used, path.length - used);
	}
	return fault;
}

/* Where file systems take a backslash for a slash. Further behind, a backslash is a character of a name like others. */
static bool begins_with_up(struct span path)
{
	return path.length >= 3 && memcmp(path.data, "..\\", 3) == 0;
}

static int refuse(struct span path, const char *fault, struct why *why)
{
	enum { SHOWN_BYTES_MAX = 200 };
	char shown[SHOWN_BYTES_MAX + 1];
	size_t length = path.length < SHOWN_BYTES_MAX ? path.length : SHOWN_BYTES_MAX;
	for (size_t i = 0; i < length; i++)
		shown[i] = path.data[i] < 0x20 || path.data[i] >= 0x7f ? '?' : (char)path.data[i];
	shown[length] = 0;
	return why_set(why, ERR_INVALID, "\"%s\" is not a valid path: %s", shown, fault);
}

int path_check(struct span path, struct why *why)
{
	const char *fault = begins_with_up(path) ? "\"..\\\" is not allowed at its start" : fault_of(path);
	return fault ? refuse(path, fault, why) : 0;
}

int path_check_name(struct span name, struct why *why)
{
	const char *fault = fault_of(name);
	return fault ? refuse(name, fault, why) : 0;
}
