/* stages_bench - what each stage of the data path costs alone, as a ratio to SHA-256.
 *
 * Usage: stages_bench [MIB]. Prints S, the speed of OpenSSL's SHA-256 in 64 KiB updates on one core, then every stage as a
 * multiple of S: the median of RUNS runs and their spread, by the thread's CPU time. Ratios carry over between machines;
 * the bars are the least that a stage has to reach (none: the figure is for information). All stages of a run are measured
 * one after the other, so that a slow moment of a shared machine hits all of them. */
#include <blake3.h>
#include <openssl/evp.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "schemas/xxh3.h"
#include "store/chunker.h"
#include "store/digest.h"
#include "store/gear.h"
#include "store/sha256.h"
#include "store/xorb.h"
#include "tests/bench/content.h"

enum {
	RUNS = 7,
	PIECE_BYTES = 65536,
	READ_BYTES = 1 << 20,
	MIB_DEFAULT = 32,
	MIB_MAX = 1024,
};

/* The inputs, made once. */
struct inputs {
	size_t length;     /* bytes of each */
	uint8_t *weights, *text;
	uint8_t *coded_weights, *coded_text; /* the same as chunks, for decoding */
	size_t coded_weights_length, coded_text_length;
};

typedef void (*stage_run)(const struct inputs *in);
static volatile uint64_t sink; /* keeps results alive */

static double cpu_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ------------------------------------------------------------------ stages */

static void run_openssl(const struct inputs *in)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE];
	EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	for (size_t at = 0; at < in->length; at += PIECE_BYTES)
		EVP_DigestUpdate(context, in->weights + at, PIECE_BYTES);
	EVP_DigestFinal_ex(context, digest, NULL);
	sink += digest[0];
	EVP_MD_CTX_free(context);
}

static void run_sha256(const struct inputs *in)
{
	struct sha256_state state;
	sha256_init(&state);
	for (size_t at = 0; at < in->length; at += PIECE_BYTES)
		sha256_update(&state, in->weights + at, PIECE_BYTES);
	sink += state.words[0];
}

static void run_sha256_portable(const struct inputs *in)
{
	sha256_force_portable(true);
	run_sha256(in);
	sha256_force_portable(false);
}

static void run_sha256_two(const struct inputs *in)
{
	struct sha256_state a, b;
	size_t half = in->length / 2;
	sha256_init(&a);
	sha256_init(&b);
	for (size_t at = 0; at < half; at += PIECE_BYTES)
		sha256_update2(&a, in->weights + at, &b, in->weights + half + at, PIECE_BYTES);
	sink += a.words[0] + b.words[0];
}

/* What one would write first: every byte hashed, sizes tested at each. */
static void run_gear_naive(const struct inputs *in)
{
	uint64_t rolling = 0;
	size_t size = 0;
	for (size_t i = 0; i < in->length; i++) {
		rolling = (rolling << 1) + gear_table[in->weights[i]];
		size++;
		if (size < CHUNK_BYTES_MIN || (size < CHUNK_BYTES_MAX && rolling >= GEAR_CUT_BELOW))
			continue;
		sink++;
		rolling = 0;
		size = 0;
	}
}

static void run_chunker(const struct inputs *in)
{
	struct chunker chunker;
	chunker_init(&chunker);
	for (size_t at = 0; at < in->length;) {
		bool cut;
		at += chunker_next(&chunker, in->weights + at, in->length - at, &cut);
		sink += cut;
	}
}

static void run_fused(const struct inputs *in)
{
	struct chunker chunker;
	struct sha256_state state;
	uint32_t cuts[READ_BYTES / CHUNK_BYTES_MIN + 2];
	chunker_init(&chunker);
	sha256_init(&state);
	for (size_t at = 0; at < in->length; at += READ_BYTES)
		sink += chunker_scan_sha256(&chunker, &state, in->weights + at, READ_BYTES, cuts, sizeof(cuts) / sizeof(cuts[0]));
}

static void run_one_after_the_other(const struct inputs *in)
{
	struct chunker chunker;
	struct sha256_state state;
	chunker_init(&chunker);
	sha256_init(&state);
	for (size_t read = 0; read < in->length; read += READ_BYTES) {
		sha256_update(&state, in->weights + read, READ_BYTES);
		for (size_t at = 0; at < READ_BYTES;) {
			bool cut;
			at += chunker_next(&chunker, in->weights + read + at, READ_BYTES - at, &cut);
			sink += cut;
		}
	}
}

static void run_blake3_library(const struct inputs *in)
{
	static const uint8_t key[BLAKE3_KEY_LEN] = { 1 };
	for (size_t at = 0; at < in->length; at += PIECE_BYTES) {
		blake3_hasher hasher;
		uint8_t digest[BLAKE3_OUT_LEN];
		blake3_hasher_init_keyed(&hasher, key);
		blake3_hasher_update(&hasher, in->weights + at, PIECE_BYTES);
		blake3_hasher_finalize(&hasher, digest, sizeof(digest));
		sink += digest[0];
	}
}

static void run_digest_chunk(const struct inputs *in)
{
	for (size_t at = 0; at < in->length; at += PIECE_BYTES) {
		struct hash hash;
		digest_chunk(&hash, in->weights + at, PIECE_BYTES);
		sink += hash.bytes[0];
	}
}

static void run_xxh3(const struct inputs *in)
{
	for (size_t at = 0; at < in->length; at += PIECE_BYTES)
		sink += xxh3_64(in->weights + at, PIECE_BYTES, at);
}

static void encode_all(const uint8_t *data, size_t length)
{
	static uint8_t out[XORB_CHUNK_HEADER_BYTES + PIECE_BYTES];
	for (size_t at = 0; at < length; at += PIECE_BYTES)
		sink += xorb_chunk_encode_as(out, sizeof(out), XORB_LZ4, data + at, PIECE_BYTES);
}

static void decode_all(const uint8_t *coded, size_t length)
{
	static uint8_t raw[CHUNK_BYTES_MAX];
	for (size_t at = 0; at < length;) {
		struct xorb_chunk_header header;
		if (xorb_chunk_header_parse(&header, coded + at, NULL) ||
			xorb_chunk_decode(raw, &header, coded + at + XORB_CHUNK_HEADER_BYTES, NULL))
			abort();
		at += XORB_CHUNK_HEADER_BYTES + header.payload_length;
		sink += raw[0];
	}
}

static void verify_all(const uint8_t *coded, size_t length)
{
	struct xorb_verifier *verifier;
	const struct xorb_chunk *chunks;
	struct hash hash;
	uint32_t count;
	if (xorb_verifier_open(&verifier))
		abort();
	for (size_t at = 0; at < length; at += READ_BYTES) {
		size_t body;
		if (xorb_verifier_write(verifier, coded + at, length - at < READ_BYTES ? length - at : READ_BYTES, &body, NULL))
			abort();
	}
	if (xorb_verifier_end(verifier, NULL, &hash, &chunks, &count, NULL))
		abort();
	sink += count;
	xorb_verifier_close(verifier);
}

static void run_lz4_weights(const struct inputs *in)
{
	encode_all(in->weights, in->length);
}

static void run_lz4_text(const struct inputs *in)
{
	encode_all(in->text, in->length);
}

static void run_decode_weights(const struct inputs *in)
{
	decode_all(in->coded_weights, in->coded_weights_length);
}

static void run_decode_text(const struct inputs *in)
{
	decode_all(in->coded_text, in->coded_text_length);
}

static void run_verify_weights(const struct inputs *in)
{
	verify_all(in->coded_weights, in->coded_weights_length);
}

static void run_verify_text(const struct inputs *in)
{
	verify_all(in->coded_text, in->coded_text_length);
}

/* ------------------------------------------------------------------ measuring */

enum stage_id { S_OPENSSL, S_NAIVE = 4, S_CHUNKER, S_BLAKE3 = 8, S_DIGEST };

static const struct stage {
	const char *name;
	stage_run run;
	double least; /* x S; 0: no bar */
} stages[] = {
	[S_OPENSSL] = { "SHA-256, OpenSSL EVP (= S)", run_openssl, 0 },
	{ "SHA-256, one stream", run_sha256, 0.95 },
	{ "SHA-256, portable path", run_sha256_portable, 0 },
	{ "SHA-256, two streams together", run_sha256_two, 1.8 },
	[S_NAIVE] = { "gear, plain loop", run_gear_naive, 0 },
	[S_CHUNKER] = { "gear, chunker", run_chunker, 0 },
	{ "SHA-256 and chunker in turn", run_one_after_the_other, 0 },
	{ "SHA-256 and chunker fused", run_fused, 0.91 },
	[S_BLAKE3] = { "BLAKE3 keyed 64 KiB, library", run_blake3_library, 0 },
	[S_DIGEST] = { "BLAKE3 keyed 64 KiB, digest_chunk", run_digest_chunk, 0 },
	{ "XXH3-64", run_xxh3, 0 },
	{ "LZ4 attempt, weights", run_lz4_weights, 0 },
	{ "LZ4 attempt, text", run_lz4_text, 0 },
	{ "decode, weights", run_decode_weights, 0 },
	{ "decode, text", run_decode_text, 0 },
	{ "xorb verified, weights", run_verify_weights, 1.0 },
	{ "xorb verified, text", run_verify_text, 0 },
};
enum { STAGES = sizeof(stages) / sizeof(stages[0]) };

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static size_t code(uint8_t *out, const uint8_t *data, size_t length)
{
	size_t written = 0;
	for (size_t at = 0; at < length; at += PIECE_BYTES)
		written += xorb_chunk_encode(out + written, data + at, PIECE_BYTES);
	return written;
}

static void *allocate(size_t length)
{
	void *data = malloc(length);
	if (!data)
		abort();
	memset(data, 0, length);
	return data;
}

static void inputs_make(struct inputs *in, size_t length)
{
	size_t coded_max = length + length / PIECE_BYTES * XORB_CHUNK_HEADER_BYTES;
	in->length = length;
	in->weights = allocate(length);
	in->text = allocate(length);
	in->coded_weights = allocate(coded_max);
	in->coded_text = allocate(coded_max);
	content_weights(in->weights, length, 1);
	content_text(in->text, length, 2);
	in->coded_weights_length = code(in->coded_weights, in->weights, length);
	in->coded_text_length = code(in->coded_text, in->text, length);
}

static void inputs_free(struct inputs *in)
{
	free(in->weights);
	free(in->text);
	free(in->coded_weights);
	free(in->coded_text);
}

int main(int argc, char **argv)
{
	long mib = argc > 1 ? strtol(argv[1], NULL, 10) : MIB_DEFAULT;
	if (mib < 2 || mib > MIB_MAX || mib % 2) {
		fprintf(stderr, "usage: stages_bench [MIB], an even number of MiB from 2 to %d\n", MIB_MAX);
		return 2;
	}
	struct inputs in;
	static double speed[STAGES][RUNS], ratio[STAGES][RUNS];
	inputs_make(&in, (size_t)mib << 20);
	for (int run = 0; run < RUNS; run++) {
		for (int i = 0; i < STAGES; i++) {
			double start = cpu_seconds();
			stages[i].run(&in);
			speed[i][run] = (double)in.length / (cpu_seconds() - start) / 1e9;
			ratio[i][run] = speed[i][run] / speed[S_OPENSSL][run];
		}
	}
	printf("%ld MiB, %d runs, text coded to %.0f %%, weights to %.0f %%\n", mib, RUNS,
		100.0 * (double)in.coded_text_length / (double)in.length, 100.0 * (double)in.coded_weights_length / (double)in.length);
	for (int i = 0; i < STAGES; i++) {
		qsort(speed[i], RUNS, sizeof(double), compare_doubles);
		qsort(ratio[i], RUNS, sizeof(double), compare_doubles);
		double median = ratio[i][RUNS / 2];
		printf("%-36s %6.2f GB/s  %5.2f S  (%.2f..%.2f)", stages[i].name, speed[i][RUNS / 2], median, ratio[i][0], ratio[i][RUNS - 1]);
		if (stages[i].least > 0)
			printf("  bar %.2f: %s", stages[i].least, median >= stages[i].least ? "met" : "MISSED");
		printf("\n");
	}
	double chunker = ratio[S_CHUNKER][RUNS / 2] / ratio[S_NAIVE][RUNS / 2];
	double digest = ratio[S_DIGEST][RUNS / 2] / ratio[S_BLAKE3][RUNS / 2];
	printf("chunker / plain loop %.2f  bar 3.00: %s\n", chunker, chunker >= 3 ? "met" : "MISSED");
	printf("digest_chunk / library %.3f  bar 0.950: %s\n", digest, digest >= 0.95 ? "met" : "MISSED");
	inputs_free(&in);
	return sink == 1; /* never */
}
