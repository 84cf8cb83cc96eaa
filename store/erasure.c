#include "store/erasure.h"

#include "schemas/avx.h"

#include <isa-l/erasure_code.h>
#include <stdbool.h>
#include <string.h>

static bool are_valid(unsigned k, unsigned m, const uint8_t *units, unsigned count, bool differ)
{
	bool seen[CODED_PARTS_MAX] = { false };
	for (unsigned i = 0; i < count; i++) {
		if (units[i] >= k + m || (differ && seen[units[i]]))
			return false;
		seen[units[i]] = true;
	}
	return true;
}

int erasure_map_init(struct erasure_map *out, unsigned k, unsigned m, const uint8_t *from, const uint8_t *wanted, unsigned rows)
{
	uint8_t code[CODED_PARTS_MAX * CODED_DATA_MAX], square[CODED_DATA_MAX * CODED_DATA_MAX], inverse[CODED_DATA_MAX * CODED_DATA_MAX];
	uint8_t map[CODED_PARTS_MAX * CODED_DATA_MAX];
	if (k < CODED_DATA_MIN || k > CODED_DATA_MAX || m < 1 || m > CODED_PARITY_MAX || rows < 1 || rows > CODED_PARTS_MAX || !are_valid(k, m, from, k, true) ||
		!are_valid(k, m, wanted, rows, false))
		return ERR_INVALID;
	gf_gen_cauchy1_matrix(code, (int)(k + m), (int)k);
	for (unsigned i = 0; i < k; i++)
		memcpy(square + i * k, code + from[i] * k, k);
	if (gf_invert_matrix(square, inverse, (int)k) != 0)
		return ERR_INVALID;
	for (unsigned row = 0; row < rows; row++)
		for (unsigned j = 0; j < k; j++) {
			uint8_t sum = 0;
			for (unsigned i = 0; i < k; i++)
				sum ^= gf_mul(code[wanted[row] * k + i], inverse[i * k + j]);
			map[row * k + j] = sum;
		}
	*out = (struct erasure_map){ .k = k, .rows = rows };
	ec_init_tables((int)k, (int)rows, map, out->tables);
	return 0;
}

void erasure_map_apply(const struct erasure_map *map, size_t length, uint8_t *const *sources, uint8_t *const *out)
{
	ec_encode_data((int)length, (int)map->k, (int)map->rows, (unsigned char *)map->tables, (unsigned char **)sources, (unsigned char **)out);
	avx_leave();
}
