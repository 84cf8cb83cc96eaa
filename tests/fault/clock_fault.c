/* clock_fault.c - a library to be preloaded: the wall clock of a process jumps, as when somebody sets it. The monotonic clock does not.
 *
 * $CLOCK_FAULT names a control file that holds how many milliseconds the clock is ahead (or, negative, behind); it is read again every 20 ms. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

enum { LOOK_EVERY_MS = 20 };

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static _Atomic long looked_ms, ahead_ms;
static _Atomic int locked;

__attribute__((constructor)) static void begin(void)
{
	real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
}

static long look(void)
{
	struct timespec now;
	real_clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	long now_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (now_ms - looked_ms < LOOK_EVERY_MS || atomic_exchange(&locked, 1))
		return ahead_ms;
	looked_ms = now_ms;
	const char *name = getenv("CLOCK_FAULT");
	FILE *file = name ? fopen(name, "re") : NULL;
	long ms = 0;
	if (file) {
		if (fscanf(file, "%ld", &ms) != 1)
			ms = ahead_ms;
		fclose(file);
	}
	ahead_ms = ms;
	locked = 0;
	return ms;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
	if (!real_clock_gettime)
		begin();
	int rv = real_clock_gettime(clock, out);
	if (rv != 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
		return rv;
	long long ns = (long long)out->tv_sec * 1000000000 + out->tv_nsec + (long long)look() * 1000000;
	out->tv_sec = (time_t)(ns / 1000000000);
	out->tv_nsec = (long)(ns % 1000000000);
	return 0;
}

time_t time(time_t *out)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	out->tv_sec = now.tv_sec;
	out->tv_usec = now.tv_nsec / 1000;
	return 0;
}
