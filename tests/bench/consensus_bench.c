/* consensus_bench - N threads propose 200-byte commands, each waits for its own; every acknowledgement is synced.
 *
 * Usage: consensus_bench DIR [seconds per line]. Prints commands per second, commands per sync and latency for 1, 16 and 256 in flight.
 * The commands put one value under one of 10,000 keys, so apply does what a small namespace command does. */
#include "replication/consensus.h"
#include "replication/keys.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { VALUE_BYTES = 200, KEYS = 10000, THREADS_MAX = 256, SAMPLES_MAX = 1 << 16 };

static struct consensus *consensus;
static atomic_bool stop;
static atomic_uint_fast64_t commands;
static uint32_t samples_us[SAMPLES_MAX];
static atomic_uint samples_count;

static int apply(void *context, const struct apply_context *apply_, struct span bytes, struct buffer *result, struct why *why)
{
	(void)context;
	(void)why;
	struct key key;
	key_begin(&key, apply_->group, 0, 'b');
	key_add_number(&key, apply_->index % KEYS, 4);
	state_batch_put(apply_->batch, key_span(&key), bytes);
	pack_u64(result, apply_->index);
	return 0;
}

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void propose_one(void)
{
	uint8_t value[VALUE_BYTES] = { 0 };
	struct buffer body, bytes;
	buffer_init(&body, 4096);
	buffer_init(&bytes, 4096);
	pack_bytes(&body, span_of(value, sizeof(value)));
	struct command command = { .type = COMMAND_TYPE_NAMESPACE, .version = 1, .body = buffer_span(&body) };
	command_id_make(&command.id);
	command_encode(&bytes, &command);
	struct proposal_result result;
	struct why why = { 0 };
	int err = consensus_propose(consensus, GROUP_REPOS, &command.id, buffer_span(&bytes), 30000, &result, &why);
	if (err) {
		fprintf(stderr, "propose: %s: %s\n", err_name(err), why.text);
		exit(1);
	}
	buffer_fini(&result.result);
	buffer_fini(&body);
	buffer_fini(&bytes);
}

static void *worker(void *context)
{
	(void)context;
	while (!atomic_load(&stop)) {
		double start = now_s();
		propose_one();
		unsigned slot = atomic_fetch_add(&samples_count, 1);
		samples_us[slot % SAMPLES_MAX] = (uint32_t)((now_s() - start) * 1e6);
		atomic_fetch_add(&commands, 1);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	return (left > right) - (left < right);
}

static void measure(unsigned in_flight, double seconds)
{
	pthread_t threads[THREADS_MAX];
	struct consensus_status before, after;
	atomic_store(&stop, false);
	atomic_store(&commands, 0);
	atomic_store(&samples_count, 0);
	consensus_status(consensus, &before);
	double start = now_s();
	for (unsigned i = 0; i < in_flight; i++)
		pthread_create(&threads[i], NULL, worker, NULL);
	nanosleep(&(struct timespec){ .tv_sec = (time_t)seconds }, NULL);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < in_flight; i++)
		pthread_join(threads[i], NULL);
	double elapsed = now_s() - start;
	consensus_status(consensus, &after);
	uint64_t count = atomic_load(&commands), syncs = after.log_syncs - before.log_syncs;
	unsigned samples = atomic_load(&samples_count) < SAMPLES_MAX ? atomic_load(&samples_count) : SAMPLES_MAX;
	qsort(samples_us, samples, sizeof(samples_us[0]), compare);
	printf("%4u in flight: %9.0f commands/s, %7.1f commands/sync, p50 %6u us, p99 %6u us\n", in_flight, (double)count / elapsed,
		syncs ? (double)count / (double)syncs : 0.0, samples_us[samples / 2], samples_us[samples * 99 / 100]);
}

int main(int argc, char **argv)
{
	if (argc < 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: consensus_bench DIR [seconds]\n");
		return 2;
	}
	double seconds = argc > 2 ? atof(argv[2]) : 5;
	struct state_machine machine = { .apply = apply };
	struct consensus_config config = { .dir = argv[1], .machine = &machine };
	struct why why = { 0 };
	if (consensus_open(&consensus, &config, &why) != 0) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	measure(1, seconds);
	measure(16, seconds);
	measure(256, seconds);
	consensus_close(consensus);
	return 0;
}
