#include "replication/day_counts.h"

#include "replication/keys.h"

static const struct field day_counts_fields[] = {
	FIELD(struct day_counts, total, FIELD_U64, true),
	FIELD(struct day_counts, day, FIELD_U64, true),
	FIELD(struct day_counts, recent, FIELD_BYTES, true),
};
const struct schema day_counts_schema = SCHEMA(1, day_counts_fields);

static uint64_t get(const struct day_counts *counts, uint64_t age)
{
	return get_big_endian(counts->recent + age * DAY_COUNT_BYTES, DAY_COUNT_BYTES);
}

static void set(struct day_counts *counts, uint64_t age, uint64_t value)
{
	put_big_endian(counts->recent + age * DAY_COUNT_BYTES, value < UINT32_MAX ? value : UINT32_MAX, DAY_COUNT_BYTES);
}

/* Makes `day` the newest one. */
static void move_on(struct day_counts *counts, uint64_t day)
{
	uint64_t gone = day - counts->day;
	if (gone >= COUNTED_DAYS) {
		memset(counts->recent, 0, sizeof(counts->recent));
	} else {
		memmove(counts->recent + gone * DAY_COUNT_BYTES, counts->recent, (COUNTED_DAYS - gone) * DAY_COUNT_BYTES);
		memset(counts->recent, 0, gone * DAY_COUNT_BYTES);
	}
	counts->day = day;
}

void day_counts_add(struct day_counts *counts, uint64_t day, uint64_t count)
{
	counts->total += count;
	if (day > counts->day)
		move_on(counts, day);
	if (counts->day - day < COUNTED_DAYS)
		set(counts, counts->day - day, get(counts, counts->day - day) + count);
}

void day_counts_remove(struct day_counts *counts, uint64_t day)
{
	if (counts->total > 0)
		counts->total--;
	if (day > counts->day || counts->day - day >= COUNTED_DAYS)
		return;
	uint64_t value = get(counts, counts->day - day);
	if (value > 0)
		set(counts, counts->day - day, value - 1);
}

uint64_t day_counts_at(const struct day_counts *counts, uint64_t today, unsigned age)
{
	if (today < age || today - age > counts->day || counts->day - (today - age) >= COUNTED_DAYS)
		return 0;
	return get(counts, counts->day - (today - age));
}

uint64_t day_counts_recent(const struct day_counts *counts, uint64_t today)
{
	uint64_t sum = 0;
	for (unsigned age = 0; age < COUNTED_DAYS; age++)
		sum += day_counts_at(counts, today, age);
	return sum;
}
