/* names.c - which names may exist: what the Hub's clients accept, and git's rules for refs. */
#include "replication/namespace.h"

static bool starts_with(struct span text, const char *head)
{
	size_t length = strlen(head);
	return text.length >= length && memcmp(text.data, head, length) == 0;
}

static bool ends_with(struct span text, const char *tail)
{
	size_t length = strlen(tail);
	return text.length >= length && memcmp(text.data + text.length - length, tail, length) == 0;
}

static bool contains(struct span text, const char *part)
{
	return text.length > 0 && memmem(text.data, text.length, part, strlen(part)) != NULL;
}

bool name_valid(struct span name)
{
	if (name.length < 1 || name.length > NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < name.length; i++) {
		uint8_t c = name.data[i];
		bool allowed = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
		if (!allowed)
			return false;
	}
	uint8_t first = name.data[0], last = name.data[name.length - 1];
	return first != '-' && first != '.' && last != '-' && last != '.' && !contains(name, "--") && !contains(name, "..") &&
		!ends_with(name, ".git");
}

/* One part between slashes. */
static bool ref_component_valid(struct span part)
{
	if (part.length == 0 || part.data[0] == '.' || ends_with(part, ".lock"))
		return false;
	for (size_t i = 0; i < part.length; i++) {
		uint8_t c = part.data[i];
		if (c <= ' ' || c == 0x7f || strchr("~^:?*[\\", c))
			return false;
	}
	return true;
}

bool ref_name_shadows(struct span ref)
{
	size_t prefix = starts_with(ref, "refs/heads/") ? strlen("refs/heads/") : starts_with(ref, "refs/tags/") ? strlen("refs/tags/") : 0;
	struct span name = span_of(ref.data + prefix, ref.length - prefix);
	return prefix && (span_equal(name, span_text("HEAD")) || starts_with(name, "refs/"));
}

bool ref_name_valid(struct span ref)
{
	if (ref.length > REF_BYTES_MAX || ref.length <= 5 || memcmp(ref.data, "refs/", 5) != 0)
		return false;
	if (contains(ref, "..") || contains(ref, "@{") || ref.data[ref.length - 1] == '.')
		return false;
	for (size_t start = 0; start <= ref.length;) {
		const uint8_t *slash = start < ref.length ? memchr(ref.data + start, '/', ref.length - start) : NULL;
		size_t end = slash ? (size_t)(slash - ref.data) : ref.length;
		if (!ref_component_valid(span_of(ref.data + start, end - start)))
			return false;
		start = end + 1;
	}
	return true;
}
