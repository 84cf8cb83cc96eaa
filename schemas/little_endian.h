/* little_endian.h - integers in the byte order of all our formats, at any alignment. */
#ifndef CAIRN_SCHEMAS_LITTLE_ENDIAN_H
#define CAIRN_SCHEMAS_LITTLE_ENDIAN_H

#include <stdint.h>

static inline uint32_t le_read_u24(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
}

static inline uint32_t le_read_u32(const uint8_t *bytes)
{
	return le_read_u24(bytes) | (uint32_t)bytes[3] << 24;
}

static inline uint64_t le_read_u64(const uint8_t *bytes)
{
	return (uint64_t)le_read_u32(bytes) | (uint64_t)le_read_u32(bytes + 4) << 32;
}

static inline void le_write_u24(uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 3; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
}

static inline void le_write_u32(uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
}

static inline void le_write_u64(uint8_t *bytes, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
}

#endif
