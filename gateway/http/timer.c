#include "gateway/http/timer.h"

#include <stddef.h>

static uint64_t tick_of(uint64_t ms)
{
	return ms / TIMER_TICK_MS + 1; /* a deadline within a tick is met when the tick is over */
}

static void link_entry(struct timer_wheel *wheel, struct timer_entry *entry)
{
	uint64_t tick = tick_of(entry->deadline_ms);
	if (tick <= wheel->tick)
		tick = wheel->tick + 1;
	if (tick > wheel->tick + TIMER_SLOTS - 1)
		tick = wheel->tick + TIMER_SLOTS - 1;
	struct timer_entry *head = &wheel->slots[tick % TIMER_SLOTS];
	entry->tick = tick;
	entry->next = head;
	entry->previous = head->previous;
	head->previous->next = entry;
	head->previous = entry;
	wheel->count++;
}

static void unlink_entry(struct timer_wheel *wheel, struct timer_entry *entry)
{
	entry->previous->next = entry->next;
	entry->next->previous = entry->previous;
	entry->next = entry->previous = NULL;
	wheel->count--;
}

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms)
{
	for (int i = 0; i < TIMER_SLOTS; i++)
		wheel->slots[i].next = wheel->slots[i].previous = &wheel->slots[i];
	wheel->tick = now_ms / TIMER_TICK_MS;
	wheel->count = 0;
}

bool timer_set(struct timer_wheel *wheel, struct timer_entry *entry, uint64_t deadline_ms)
{
	entry->deadline_ms = deadline_ms;
	if (deadline_ms == TIMER_NEVER)
		return false;
	uint64_t tick = tick_of(deadline_ms);
	if (entry->next && entry->tick <= tick)
		return false;
	if (entry->next)
		unlink_entry(wheel, entry);
	link_entry(wheel, entry);
	return true;
}

void timer_clear(struct timer_wheel *wheel, struct timer_entry *entry)
{
	if (entry->next)
		unlink_entry(wheel, entry);
	entry->deadline_ms = TIMER_NEVER;
}

/* What the slot holds is moved to a list of its own first, because `expired` may put entries anywhere. */
static void advance_slot(struct timer_wheel *wheel, uint64_t now_ms, void (*expired)(struct timer_entry *entry))
{
	struct timer_entry *head = &wheel->slots[wheel->tick % TIMER_SLOTS];
	if (head->next == head)
		return;
	struct timer_entry due = *head;
	due.next->previous = due.previous->next = &due;
	head->next = head->previous = head;
	while (due.next != &due) {
		struct timer_entry *entry = due.next;
		unlink_entry(wheel, entry);
		if (entry->deadline_ms == TIMER_NEVER)
			continue;
		if (entry->deadline_ms > now_ms)
			link_entry(wheel, entry);
		else
			expired(entry);
	}
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms, void (*expired)(struct timer_entry *entry))
{
	uint64_t now = now_ms / TIMER_TICK_MS;
	if (now > wheel->tick + TIMER_SLOTS)
		wheel->tick = now - TIMER_SLOTS; /* slept for more than a turn: every slot once is enough */
	while (wheel->tick < now) {
		wheel->tick++;
		advance_slot(wheel, now_ms, expired);
	}
}

uint64_t timer_wheel_next(const struct timer_wheel *wheel)
{
	if (wheel->count == 0)
		return TIMER_NEVER;
	for (uint64_t tick = wheel->tick + 1; tick <= wheel->tick + TIMER_SLOTS; tick++) {
		const struct timer_entry *head = &wheel->slots[tick % TIMER_SLOTS];
		if (head->next != head)
			return tick * TIMER_TICK_MS;
	}
	return TIMER_NEVER;
}
