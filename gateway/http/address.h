/* address.h - how many connections each client address has.
 *
 * DESIGN. A fixed table of chains under one mutex, touched when a connection opens and closes only. An IPv6 client is its /64: whoever has one
 * address there has all of them. */
#ifndef CAIRN_GATEWAY_HTTP_ADDRESS_H
#define CAIRN_GATEWAY_HTTP_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct address {
	uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d; zero in the lower half of IPv6 */
};

struct address_table;

void address_of(struct address *out, const struct sockaddr *peer);
/* NULL when out of memory. */
struct address_table *address_table_make(void);
void address_table_free(struct address_table *table);
/* Counts one more connection; false when there are `count_max` already or memory is out. */
bool address_enter(struct address_table *table, const struct address *address, unsigned count_max);
void address_leave(struct address_table *table, const struct address *address);

#endif
