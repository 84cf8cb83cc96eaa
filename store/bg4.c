#include "store/bg4.h"

/* Where the four groups of `length` bytes begin. */
struct groups {
	size_t start[4];
};

static struct groups groups_of(size_t length)
{
	struct groups groups = { { 0 } };
	for (size_t k = 1; k < 4; k++)
		groups.start[k] = groups.start[k - 1] + (length + 4 - k) / 4; /* ceil((length - (k - 1)) / 4) */
	return groups;
}

void bg4_group(uint8_t *restrict out, const uint8_t *restrict in, size_t length)
{
	struct groups groups = groups_of(length);
	uint8_t *a = out, *b = out + groups.start[1], *c = out + groups.start[2], *d = out + groups.start[3];
	size_t whole = length / 4;
	for (size_t i = 0; i < whole; i++) {
		a[i] = in[4 * i];
		b[i] = in[4 * i + 1];
		c[i] = in[4 * i + 2];
		d[i] = in[4 * i + 3];
	}
	for (size_t i = 4 * whole; i < length; i++)
		out[groups.start[i % 4] + whole] = in[i];
}

void bg4_ungroup(uint8_t *restrict out, const uint8_t *restrict in, size_t length)
{
	struct groups groups = groups_of(length);
	const uint8_t *a = in, *b = in + groups.start[1], *c = in + groups.start[2], *d = in + groups.start[3];
	size_t whole = length / 4;
	for (size_t i = 0; i < whole; i++) {
		out[4 * i] = a[i];
		out[4 * i + 1] = b[i];
		out[4 * i + 2] = c[i];
		out[4 * i + 3] = d[i];
	}
	for (size_t i = 4 * whole; i < length; i++)
		out[i] = in[groups.start[i % 4] + whole];
}
