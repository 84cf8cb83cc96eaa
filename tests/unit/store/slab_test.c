/* Slots are apart, aligned, all usable, and given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/slab.h"

enum { SLOTS = 20 };

static void slots_do_not_meet(void **state)
{
	(void)state;
	const size_t sizes[] = { 64 << 10, 320 << 10, 1 << 20, 2 << 20 };
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct slab_pool pool = { .slot_bytes = sizes[s] };
		uint8_t *slots[SLOTS];
		for (int i = 0; i < SLOTS; i++) {
			slots[i] = slab_take(&pool);
			assert_non_null(slots[i]);
			assert_int_equal((uintptr_t)slots[i] % 4096, 0);
			memset(slots[i], i + 1, sizes[s]);
		}
		for (int i = 0; i < SLOTS; i++)
			assert_true(slots[i][0] == i + 1 && slots[i][sizes[s] - 1] == i + 1);
		for (int i = 0; i < SLOTS; i += 2)
			slab_give(&pool, slots[i]);
		for (int i = 0; i < SLOTS; i += 2) {
			slots[i] = slab_take(&pool);
			memset(slots[i], i + 1, sizes[s]);
		}
		for (int i = SLOTS - 1; i >= 0; i--) {
			assert_true(slots[i][0] == i + 1 && slots[i][sizes[s] - 1] == i + 1);
			slab_give(&pool, slots[i]);
		}
		assert_null(pool.slabs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(slots_do_not_meet) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
