#include "gateway/process.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

int64_t unix_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t process_resident_bytes(void)
{
	unsigned long long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file)
		return 0;
	int found = fscanf(file, "%llu %llu", &size, &resident);
	fclose(file);
	return found == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}
