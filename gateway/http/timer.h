/* timer.h - one timer wheel per loop: deadlines of thousands of connections at the price of a list move each.
 *
 * DESIGN. A connection has one deadline, and it is moved far more often than it is met. So setting a later deadline only writes the number: the
 * entry stays in its old slot and is put into the right one when that slot comes up. Only an earlier deadline relinks. Deadlines are met up to
 * one tick late. Used by one thread. */
#ifndef CAIRN_GATEWAY_HTTP_TIMER_H
#define CAIRN_GATEWAY_HTTP_TIMER_H

#include <stdbool.h>
#include <stdint.h>

enum { TIMER_TICK_MS = 64, TIMER_SLOTS = 2048 /* 131 s a turn; what is further away is looked at once a turn */ };

#define TIMER_NEVER UINT64_MAX

struct timer_entry {
	struct timer_entry *next, *previous; /* NULL while in no slot */
	uint64_t deadline_ms;
	uint64_t tick; /* of the slot that it is in */
};

struct timer_wheel {
	struct timer_entry slots[TIMER_SLOTS]; /* list heads */
	uint64_t tick;                         /* everything up to and including it has been met */
	unsigned count;
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms);
/* Returns true when the wheel must now be advanced earlier than timer_wheel_next said before. */
bool timer_set(struct timer_wheel *wheel, struct timer_entry *entry, uint64_t deadline_ms);
void timer_clear(struct timer_wheel *wheel, struct timer_entry *entry);
/* Calls `expired` for every entry whose deadline has passed; it may set or clear any entry. */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms, void (*expired)(struct timer_entry *entry));
/* When to advance next, or TIMER_NEVER. */
uint64_t timer_wheel_next(const struct timer_wheel *wheel);

#endif
