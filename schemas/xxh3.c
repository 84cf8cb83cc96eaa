#include "schemas/xxh3.h"

#include "schemas/avx.h"

#include <string.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h> /* gives the names below to functions that choose at run time */
#else
#include <xxhash.h>
#endif

uint64_t xxh3_64(const void *data, size_t length, uint64_t seed)
{
	uint64_t digest = XXH3_64bits_withSeed(data, length, seed);
	avx_leave();
	return digest;
}

void xxh3_128(uint8_t out[16], const void *data, size_t length)
{
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, length));
	avx_leave();
	memcpy(out, canonical.digest, sizeof(canonical.digest));
}
