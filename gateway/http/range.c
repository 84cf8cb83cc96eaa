/* range.c - ranges and entity tags. */
#include "gateway/http/request.h"

#include <strings.h>

/* Digits at *text, moved past; saturates, so that an absurd position is merely outside the object. False when there are none. */
static bool take_number(struct span *text, uint64_t *out)
{
	size_t i = 0;
	uint64_t value = 0;
	for (; i < text->length && text->data[i] >= '0' && text->data[i] <= '9'; i++) {
		uint64_t digit = (uint64_t)(text->data[i] - '0');
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	*text = span_of(text->data + i, text->length - i);
	*out = value;
	return i > 0;
}

static int outside(struct http_request *request, uint64_t length)
{
	http_add_headerf(request, "Content-Range", "bytes */%llu", (unsigned long long)length);
	return ERR_RANGE;
}

/* What is no range at all is ignored, as the protocol wants: the whole object is the answer. */
int http_range(struct http_request *request, uint64_t length, uint64_t *start, uint64_t *end, bool *partial)
{
	*start = 0;
	*end = length;
	*partial = false;
	struct span text = http_header(request, "Range");
	if (text.length < 6 || strncasecmp((const char *)text.data, "bytes=", 6) != 0)
		return 0;
	text = span_of(text.data + 6, text.length - 6);
	if (memchr(text.data, ',', text.length))
		return ERR_UNSUPPORTED;
	uint64_t first = 0, last = UINT64_MAX;
	bool has_first = take_number(&text, &first);
	if (text.length == 0 || text.data[0] != '-')
		return 0;
	text = span_of(text.data + 1, text.length - 1);
	bool has_last = take_number(&text, &last);
	if (text.length > 0 || (!has_first && !has_last) || (has_first && has_last && last < first))
		return 0;
	if (!has_last)
		last = UINT64_MAX;
	if (has_first ? first >= length : last == 0 || length == 0)
		return outside(request, length);
	if (has_first) {
		*start = first;
		*end = last >= length ? length : last + 1;
	} else {
		*start = last >= length ? 0 : length - last;
	}
	*partial = true;
	return 0;
}

static struct span without_weakness(struct span tag)
{
	return tag.length >= 2 && tag.data[0] == 'W' && tag.data[1] == '/' ? span_of(tag.data + 2, tag.length - 2) : tag;
}

bool http_not_modified(struct http_request *request, const char *etag)
{
	struct span list = http_header(request, "If-None-Match");
	struct span wanted = without_weakness(span_text(etag));
	if (span_equal(list, span_text("*")))
		return true;
	while (list.length > 0) {
		size_t i = 0;
		while (i < list.length && (list.data[i] == ' ' || list.data[i] == '\t' || list.data[i] == ','))
			i++;
		size_t begin = i;
		bool quoted = false;
		for (; i < list.length && (quoted || list.data[i] != ','); i++)
			quoted ^= list.data[i] == '"';
		size_t end = i;
		while (end > begin && (list.data[end - 1] == ' ' || list.data[end - 1] == '\t'))
			end--;
		if (end > begin && span_equal(without_weakness(span_of(list.data + begin, end - begin)), wanted))
			return true;
		list = span_of(list.data + i, list.length - i);
	}
	return false;
}
