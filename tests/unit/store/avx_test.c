/* After libraries that use whole vector registers none of their upper halves is in use, as the processor itself tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "schemas/xxh3.h"
#include "store/erasure.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum { XSAVE_LEAF = 0xd, HAS_XGETBV_1 = 1 << 2, UPPER_HALVES = 1 << 2 | 1 << 6 /* of 256 and of 512 bits */ };

/* XINUSE: Intel's manual, volume 1, chapter 13.6. */
static bool upper_halves_in_use(void)
{
	unsigned low, high;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
	return low & UPPER_HALVES;
}

static bool can_tell(void)
{
	unsigned a, b, c, d;
	return __builtin_cpu_supports("avx") && __get_cpuid_count(XSAVE_LEAF, 1, &a, &b, &c, &d) && a & HAS_XGETBV_1;
}
#else
static bool upper_halves_in_use(void)
{
	return false;
}

static bool can_tell(void)
{
	return false;
}
#endif

static void after_xxh3(void **state)
{
	(void)state;
	uint8_t *data = calloc(1, 100000), digest[16];
	if (!can_tell())
		skip();
	xxh3_64(data, 100000, 1);
	assert_false(upper_halves_in_use());
	xxh3_128(digest, data, 100000);
	assert_false(upper_halves_in_use());
	free(data);
}

static void after_erasure_codes(void **state)
{
	(void)state;
	enum { K = 4, M = 2, UNIT = 65536 };
	uint8_t *units[K + M];
	const uint8_t numbers[K + M] = { 0, 1, 2, 3, 4, 5 };
	struct erasure_map map;
	for (int i = 0; i < K + M; i++)
		units[i] = calloc(1, UNIT);
	assert_int_equal(erasure_map_init(&map, K, M, numbers, numbers + K, M), 0);
	erasure_map_apply(&map, UNIT, units, units + K);
	for (int i = 0; i < K + M; i++)
		free(units[i]);
	if (can_tell())
		assert_false(upper_halves_in_use());
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(after_xxh3), cmocka_unit_test(after_erasure_codes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
