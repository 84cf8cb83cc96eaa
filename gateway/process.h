/* process.h - the wall clock and the memory of this process. */
#ifndef CAIRN_GATEWAY_PROCESS_H
#define CAIRN_GATEWAY_PROCESS_H

#include <stdint.h>

int64_t unix_ms(void);
/* Resident bytes; 0 when the kernel does not tell. */
uint64_t process_resident_bytes(void);

#endif
