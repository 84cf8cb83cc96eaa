/* avx.h - gives the processor's vector registers back after a library that used them whole.
 *
 * Code for AVX that ends without VZEROUPPER leaves the upper halves of registers in use. Each SSE instruction must then keep the half it does not write, and waits for
 * whoever wrote it: on Zen 5 SHA-256 with the gear scan made 1.2 GB/s in such a thread, 2.0 after one VZEROUPPER. Compilers and BLAKE3 end with it; libxxhash's
 * and ISA-L's functions do not. */
#ifndef CAIRN_SCHEMAS_AVX_H
#define CAIRN_SCHEMAS_AVX_H

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx"))) static inline void avx_zero_upper(void)
{
	_mm256_zeroupper();
}
#endif

/* After each call of such a library, on the same thread. Costs nothing worth counting. */
static inline void avx_leave(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx"))
		avx_zero_upper();
#endif
}

#endif
