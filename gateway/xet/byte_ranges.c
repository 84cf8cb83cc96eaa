#include "gateway/xet/byte_ranges.h"

#include <strings.h>

/* Digits at *at; false when there are none or they overflow. */
static bool number_at(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
	const uint8_t *start = *at;
	uint64_t value = 0;
	for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) || __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value))
			return false;
	*out = value;
	return *at > start;
}

static uint64_t end_of(uint64_t last, uint64_t length)
{
	return last >= length ? length : last + 1;
}

/* One of "a-b", "a-", "-n" at *at. */
static int range_at(const uint8_t **at, const uint8_t *end, uint64_t length, struct byte_range *out)
{
	uint64_t first, last;
	if (*at < end && **at == '-') {
		(*at)++;
		if (!number_at(at, end, &last))
			return ERR_INVALID;
		*out = (struct byte_range){ last >= length ? 0 : length - last, length };
		return last == 0 || length == 0 ? ERR_RANGE : 0;
	}
	if (!number_at(at, end, &first) || *at == end || **at != '-')
		return ERR_INVALID;
	(*at)++;
	last = UINT64_MAX;
	if (*at < end && **at != ',' && (!number_at(at, end, &last) || last < first))
		return ERR_INVALID;
	*out = (struct byte_range){ first, end_of(last, length) };
	return first >= length ? ERR_RANGE : 0;
}

int byte_ranges_of_header(struct span header, uint64_t length, struct byte_range *out, size_t count_max, size_t *count)
{
	static const char unit[] = "bytes=";
	*count = 0;
	if (header.length < sizeof(unit) - 1 || strncasecmp((const char *)header.data, unit, sizeof(unit) - 1) != 0)
		return ERR_INVALID;
	const uint8_t *at = header.data + sizeof(unit) - 1, *end = header.data + header.length;
	for (;;) {
		while (at < end && *at == ' ')
			at++;
		if (*count == count_max)
			return ERR_INVALID;
		int err = range_at(&at, end, length, &out[*count]);
		if (err)
			return err;
		(*count)++;
		while (at < end && *at == ' ')
			at++;
		if (at == end)
			return 0;
		if (*at++ != ',')
			return ERR_INVALID;
	}
}

int byte_ranges_of_text(struct span text, struct byte_range *out, size_t count_max, size_t *count)
{
	const uint8_t *at = text.data, *end = text.data + text.length;
	*count = 0;
	for (;;) {
		uint64_t first, last;
		if (*count == count_max || !number_at(&at, end, &first) || at == end || *at++ != '-' || !number_at(&at, end, &last) ||
			last < first || last == UINT64_MAX)
			return ERR_INVALID;
		out[(*count)++] = (struct byte_range){ first, last + 1 };
		if (at == end)
			return 0;
		if (*at++ != ',')
			return ERR_INVALID;
	}
}

bool byte_range_within(struct byte_range inner, const struct byte_range *outer, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (inner.start >= outer[i].start && inner.end <= outer[i].end)
			return true;
	return false;
}
