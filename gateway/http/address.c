#include "gateway/http/address.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CHAINS = 4096 };

struct counter {
	struct counter *next;
	struct address address;
	unsigned count;
};

struct address_table {
	pthread_mutex_t mutex;
	struct counter *chains[CHAINS];
};

void address_of(struct address *out, const struct sockaddr *peer)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	memset(out, 0, sizeof(*out));
	if (peer->sa_family == AF_INET) {
		memcpy(out->bytes, mapped, sizeof(mapped));
		memcpy(out->bytes + sizeof(mapped), &((const struct sockaddr_in *)peer)->sin_addr, 4);
	} else if (peer->sa_family == AF_INET6) {
		const uint8_t *bytes = ((const struct sockaddr_in6 *)peer)->sin6_addr.s6_addr;
		memcpy(out->bytes, bytes, memcmp(bytes, mapped, sizeof(mapped)) == 0 ? 16 : 8);
	}
}

struct address_table *address_table_make(void)
{
	struct address_table *table = calloc(1, sizeof(*table));
	if (table)
		pthread_mutex_init(&table->mutex, NULL);
	return table;
}

void address_table_free(struct address_table *table)
{
	if (!table)
		return;
	for (int i = 0; i < CHAINS; i++)
		assert(!table->chains[i]);
	pthread_mutex_destroy(&table->mutex);
	free(table);
}

/* The link that points at the address's counter, or at the NULL where it would be. */
static struct counter **find(struct address_table *table, const struct address *address)
{
	uint32_t sum = 2166136261u;
	for (size_t i = 0; i < sizeof(address->bytes); i++)
		sum = (sum ^ address->bytes[i]) * 16777619u;
	struct counter **link = &table->chains[sum % CHAINS];
	while (*link && memcmp(&(*link)->address, address, sizeof(*address)) != 0)
		link = &(*link)->next;
	return link;
}

bool address_enter(struct address_table *table, const struct address *address, unsigned count_max)
{
	pthread_mutex_lock(&table->mutex);
	struct counter **link = find(table, address);
	if (!*link && (*link = calloc(1, sizeof(**link))))
		(*link)->address = *address;
	bool fits = *link && (*link)->count < count_max;
	if (fits)
		(*link)->count++;
	pthread_mutex_unlock(&table->mutex);
	return fits;
}

void address_leave(struct address_table *table, const struct address *address)
{
	pthread_mutex_lock(&table->mutex);
	struct counter **link = find(table, address);
	assert(*link && (*link)->count > 0);
	struct counter *counter = *link;
	if (--counter->count == 0) {
		*link = counter->next;
		free(counter);
	}
	pthread_mutex_unlock(&table->mutex);
}
