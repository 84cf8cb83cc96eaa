/* Volumes below the store: making them durable ends, whoever goes on writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/volume.h"

enum { VOLUMES = 4, BLOCK = 64 << 10 };

static struct volumes *volumes;
static atomic_bool stop;

static void write_block(void)
{
	static const uint8_t block[BLOCK];
	struct volume *volume;
	uint64_t offset;
	assert_int_equal(volumes_allocate(volumes, BLOCK, VOLUME_STORES, &volume, &offset, NULL), 0);
	assert_int_equal(volume_write(volumes, volume, block, BLOCK, offset, false, NULL), 0);
	volume_written(volume);
}

/* Dirties the newest volume again as soon as it is synced. */
static void *write_on(void *context)
{
	static const uint8_t block[BLOCK];
	struct volume *volume = context;
	while (!atomic_load(&stop))
		volume_write(volumes, volume, block, BLOCK, VOLUME_BLOCK_BYTES, false, NULL);
	return NULL;
}

static void a_sync_ends_while_others_write(void **state)
{
	(void)state;
	char dir[] = "/tmp/cairn-volume-test-XXXXXX", command[128];
	pthread_t writers[2];
	assert_non_null(mkdtemp(dir));
	struct volumes_config config = { .dir = dir, .volume_bytes_max = 1 << 20 };
	assert_int_equal(volumes_open(&volumes, &config, NULL, NULL, NULL), 0);
	for (int i = 0; i < VOLUMES; i++) {
		volumes_roll(volumes);
		write_block();
	}
	uint32_t ids[VOLUMES];
	assert_int_equal(volumes_list(volumes, ids, VOLUMES), VOLUMES);
	struct volume *newest = volumes_get(volumes, ids[VOLUMES - 1]);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, write_on, newest), 0);
	for (int i = 0; i < 20; i++) {
		uint64_t before = volumes_syncs(volumes);
		assert_int_equal(volumes_sync(volumes, NULL), 0);
		assert_in_range(volumes_syncs(volumes) - before, 0, VOLUMES);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
	assert_int_equal(volumes_sync(volumes, NULL), 0);
	for (int i = 0; i < VOLUMES; i++) {
		struct volume *volume = volumes_get(volumes, ids[i]);
		assert_false(volume->dirty);
		volume_release(volume);
	}
	volume_release(newest);
	volumes_close(volumes);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sync_ends_while_others_write),
	};
	return cmocka_run_group_tests_name("volume", tests, NULL, NULL);
}
