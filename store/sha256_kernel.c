/* sha256_kernel.c - the SHA-NI block functions.
 *
 * DESIGN. sha256rnds2 does two rounds and has a latency of four cycles, so a single message is bound by that chain:
 * 32 steps, 128 cycles a block, with most of the machine idle. Everything here is written as one list of sixteen
 * four-round steps (STEPS), each of which can carry something else along: nothing, the same step of a second message,
 * or the gear hash of four bytes of the same block. The other work is independent of the chain and runs in its gaps.
 *
 * The four message registers are named by their turn: at step t, m0 holds words 4t..4t+3 and the others the three
 * quads that follow; the schedule for quad t+4 replaces m0. */
#include "store/sha256_kernel.h"

#include <stdatomic.h>

#include "store/gear.h"
#include "store/sha256.h"

static atomic_bool portable_forced;

void sha256_force_portable(bool portable)
{
	atomic_store_explicit(&portable_forced, portable, memory_order_relaxed);
}

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define KERNEL __attribute__((target("sha,sse4.1,ssse3")))
#define INLINE static inline __attribute__((always_inline, target("sha,sse4.1,ssse3")))

static bool cpu_has_sha(void)
{
	unsigned a, b, c, d;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1) || !(c & bit_SSSE3))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

bool sha256_kernel_usable(void)
{
	static atomic_int known; /* 0 not asked yet, 1 no, 2 yes; asking twice does no harm */
	int has = atomic_load_explicit(&known, memory_order_relaxed);
	if (has == 0) {
		has = cpu_has_sha() ? 2 : 1;
		atomic_store_explicit(&known, has, memory_order_relaxed);
	}
	return has == 2 && !atomic_load_explicit(&portable_forced, memory_order_relaxed);
}

static const uint32_t round_constants[64] __attribute__((aligned(64))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* The state as the instructions want it: words a b e f and c d g h. */
struct stream {
	__m128i abef, cdgh;
	__m128i m[4]; /* the four message quads in use */
};

INLINE void stream_load(struct stream *s, const uint32_t words[8])
{
	__m128i low = _mm_loadu_si128((const __m128i *)(const void *)words);        /* d c b a */
	__m128i high = _mm_loadu_si128((const __m128i *)(const void *)(words + 4)); /* h g f e */
	__m128i cdab = _mm_shuffle_epi32(low, 0xb1);
	__m128i efgh = _mm_shuffle_epi32(high, 0x1b);
	s->abef = _mm_alignr_epi8(cdab, efgh, 8);
	s->cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

INLINE void stream_store(const struct stream *s, uint32_t words[8])
{
	__m128i feba = _mm_shuffle_epi32(s->abef, 0x1b);
	__m128i dchg = _mm_shuffle_epi32(s->cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)words, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(words + 4), _mm_alignr_epi8(dchg, feba, 8));
}

INLINE void load_quad(struct stream *s, int quad, const uint8_t *block)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
	s->m[quad] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(block + 16 * quad)), swap);
}

/* Rounds 4t..4t+3, and the message quad for step t+4 in the place of the one just used. */
INLINE void step(struct stream *s, int t, const uint8_t *block)
{
	if (t < 4)
		load_quad(s, t, block);
	__m128i quad = s->m[t & 3];
	__m128i sum = _mm_add_epi32(quad, _mm_load_si128((const __m128i *)(const void *)(round_constants + 4 * t)));
	s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, sum);
	s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(sum, 0x0e));
	/* Quad t+1 = msg2(msg1(quad t-3, quad t-2) + alignr(quad t, quad t-1), quad t), made just before its use. */
	if (t >= 3 && t < 15) {
		__m128i *next = &s->m[(t + 1) & 3];
		__m128i part = _mm_sha256msg1_epu32(*next, s->m[(t + 2) & 3]);
		part = _mm_add_epi32(part, _mm_alignr_epi8(quad, s->m[(t + 3) & 3], 4));
		*next = _mm_sha256msg2_epu32(part, quad);
	}
}

#define STEPS(DO) \
	DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)

KERNEL void sha256_kernel_blocks(uint32_t words[8], const uint8_t *data, size_t blocks)
{
	struct stream s;
	stream_load(&s, words);
	for (; blocks; blocks--, data += 64) {
		__m128i abef = s.abef, cdgh = s.cdgh;
#define DO(t) step(&s, t, data);
		STEPS(DO)
#undef DO
		s.abef = _mm_add_epi32(s.abef, abef);
		s.cdgh = _mm_add_epi32(s.cdgh, cdgh);
	}
	stream_store(&s, words);
}

KERNEL void sha256_kernel_blocks2(uint32_t words_a[8], const uint8_t *data_a, uint32_t words_b[8],
	const uint8_t *data_b, size_t blocks)
{
	struct stream a, b;
	stream_load(&a, words_a);
	stream_load(&b, words_b);
	for (; blocks; blocks--, data_a += 64, data_b += 64) {
		__m128i abef_a = a.abef, cdgh_a = a.cdgh, abef_b = b.abef, cdgh_b = b.cdgh;
#define DO(t) step(&a, t, data_a); step(&b, t, data_b);
		STEPS(DO)
#undef DO
		a.abef = _mm_add_epi32(a.abef, abef_a);
		a.cdgh = _mm_add_epi32(a.cdgh, cdgh_a);
		b.abef = _mm_add_epi32(b.abef, abef_b);
		b.cdgh = _mm_add_epi32(b.cdgh, cdgh_b);
	}
	stream_store(&a, words_a);
	stream_store(&b, words_b);
}

/* Four bytes of the gear hash. Candidates are rare, so noting one is a branch that is never taken. */
INLINE uint64_t gear4(uint64_t h, const uint8_t *bytes, int first, uint64_t *mask)
{
#define ROLL(i)                                                   \
	h = (h << 1) + gear_table[bytes[first + (i)]];            \
	if (__builtin_expect(h < GEAR_CUT_BELOW, 0))              \
		*mask |= UINT64_C(1) << (first + (i));
	ROLL(0) ROLL(1) ROLL(2) ROLL(3)
#undef ROLL
	return h;
}

KERNEL void sha256_kernel_blocks_gear(uint32_t words[8], const uint8_t *data, size_t blocks, uint64_t *rolling,
	uint64_t *masks)
{
	struct stream s;
	uint64_t h = *rolling;
	stream_load(&s, words);
	for (; blocks; blocks--, data += 64, masks++) {
		__m128i abef = s.abef, cdgh = s.cdgh;
		uint64_t mask = 0;
#define DO(t) step(&s, t, data); h = gear4(h, data, 4 * (t), &mask);
		STEPS(DO)
#undef DO
		*masks = mask;
		s.abef = _mm_add_epi32(s.abef, abef);
		s.cdgh = _mm_add_epi32(s.cdgh, cdgh);
	}
	*rolling = h;
	stream_store(&s, words);
}

#else

#include <assert.h>

bool sha256_kernel_usable(void)
{
	(void)portable_forced;
	return false;
}

void sha256_kernel_blocks(uint32_t words[8], const uint8_t *data, size_t blocks)
{
	(void)words, (void)data, (void)blocks;
	assert(!"no kernel for this CPU");
}

void sha256_kernel_blocks2(uint32_t words_a[8], const uint8_t *data_a, uint32_t words_b[8], const uint8_t *data_b,
	size_t blocks)
{
	(void)words_a, (void)data_a, (void)words_b, (void)data_b, (void)blocks;
	assert(!"no kernel for this CPU");
}

void sha256_kernel_blocks_gear(uint32_t words[8], const uint8_t *data, size_t blocks, uint64_t *rolling,
	uint64_t *masks)
{
	(void)words, (void)data, (void)blocks, (void)rolling, (void)masks;
	assert(!"no kernel for this CPU");
}

#endif
