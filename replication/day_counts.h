/* day_counts.h - how often something happened: in all, and on each of the last 30 days.
 *
 * Days are counted from 1970 in UTC. Pure: the day is the caller's, so that a state machine may keep these. */
#ifndef CAIRN_REPLICATION_DAY_COUNTS_H
#define CAIRN_REPLICATION_DAY_COUNTS_H

#include "schemas/record.h"

enum { COUNTED_DAYS = 30, DAY_COUNT_BYTES = 4 };
#define DAY_MS ((int64_t)24 * 3600 * 1000)

struct day_counts {
	uint64_t total;
	uint64_t day;                                   /* the newest one that is counted */
	uint8_t recent[COUNTED_DAYS * DAY_COUNT_BYTES]; /* u32 big-endian each: `day` first, then back */
};
extern const struct schema day_counts_schema;

static inline uint64_t day_of_ms(int64_t ms)
{
	return ms > 0 ? (uint64_t)(ms / DAY_MS) : 0;
}

/* Adds `count` on `day`; what lies before the days that are kept counts in the total alone. */
void day_counts_add(struct day_counts *counts, uint64_t day, uint64_t count);
/* Takes back one that was counted on `day`. */
void day_counts_remove(struct day_counts *counts, uint64_t day);
/* How often `age` days before `today`. */
uint64_t day_counts_at(const struct day_counts *counts, uint64_t today, unsigned age);
/* In the 30 days that end with `today`. */
uint64_t day_counts_recent(const struct day_counts *counts, uint64_t today);

#endif
