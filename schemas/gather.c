#include "schemas/gather.h"

enum {
	GAP_MS = 2,       /* without another caller, and no group under way: it is complete */
	GAP_LONG_MS = 4,  /* while fewer than half of the callers are there */
	WAIT_MS_MAX = 10, /* from the first of a group */
	LOOK_EVERY = 128, /* groups one waits for more callers than are known */
};

static bool are_most(const struct gather *gather, size_t count)
{
	return (double)count >= gather->callers * 7 / 8;
}

static bool are_few(const struct gather *gather, size_t count)
{
	return (double)count < gather->callers / 2;
}

static uint64_t gap_ms(const struct gather *gather, size_t waiting)
{
	return are_few(gather, waiting) ? GAP_LONG_MS : GAP_MS;
}

bool gather_enough(const struct gather *gather, size_t waiting)
{
	return are_most(gather, waiting) && (gather->callers < 2 || gather->groups < LOOK_EVERY);
}

uint64_t gather_begin(struct gather *gather, size_t waiting, uint64_t now_ms)
{
	gather->seen = waiting;
	gather->until_ms = now_ms + WAIT_MS_MAX;
	return gap_ms(gather, waiting);
}

uint64_t gather_look(struct gather *gather, size_t waiting, bool under_way, uint64_t now_ms)
{
	bool goes_on = (waiting > gather->seen || under_way) && now_ms < gather->until_ms;
	gather->seen = waiting;
	return goes_on ? gap_ms(gather, waiting) : 0;
}

/* Who does not come may only be slow: callers are forgotten slowly, unless most are missing. */
void gather_note(struct gather *gather, size_t count)
{
	if (!are_most(gather, count))
		gather->callers -= gather->callers / (are_few(gather, count) ? 8 : 64);
	if ((double)count > gather->callers)
		gather->callers = (double)count;
	gather->groups = gather->groups < LOOK_EVERY ? gather->groups + 1 : 0;
}
