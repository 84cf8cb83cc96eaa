/* sync_probe.h - how long this disk takes to make a small write durable. Every promise of the server rests on that call, and a disk
 * that answers too fast may not keep it. */
#ifndef CAIRN_OPS_CAIRND_SYNC_PROBE_H
#define CAIRN_OPS_CAIRND_SYNC_PROBE_H

#include <stdint.h>

#include "schemas/error.h"

enum {
	SYNC_PROBE_ROUNDS = 64,
	SYNC_PROBE_MS_MAX = 1000, /* fewer rounds on a slow disk */
	SYNC_FAST_US = 50,        /* below: a cache that may lie */
	SYNC_SLOW_US = 10000,     /* above: every commit will be slow */
};

struct sync_probe {
	uint64_t p50_us, p99_us;
};

int sync_probe(struct sync_probe *out, const char *dir, struct why *why);

#endif
