#include "gateway/elsewhere.h"

#include <stdlib.h>

#include "replication/replica.h"

static bool can_ask(const struct http_request *request)
{
	struct replica *replica = gateway_of(request)->replica;
	return replica && replica_has_urls(replica);
}

/* NULL: the node is gone, or it is reached as this one is: nobody is sent in a circle. */
static const char *url_of(struct http_request *request, uint64_t node_id)
{
	char url[NODE_ADDRESS_BYTES_MAX];
	if (!node_id || !replica_node_url(gateway_of(request)->replica, node_id, url) || strcmp(url, http_base_url(request)) == 0)
		return NULL;
	return http_strndup(request, url, strlen(url));
}

struct file_xorbs {
	struct store *store;
	size_t count;
	bool lacks_some;
	struct hash xorbs[ELSEWHERE_XORBS_MAX];
};

static int add_xorb(void *context, const struct hash *xorb)
{
	struct file_xorbs *file = context;
	for (size_t i = 0; i < file->count; i++)
		if (hash_equal(&file->xorbs[i], xorb))
			return 0;
	if (file->count == ELSEWHERE_XORBS_MAX)
		return ERR_TOO_BIG;
	file->xorbs[file->count++] = *xorb;
	file->lacks_some = file->lacks_some || !store_has_xorb(file->store, xorb);
	return 0;
}

const char *elsewhere_file(struct http_request *request, const struct hash *file, uint64_t length)
{
	struct file_xorbs found = { .store = gateway_of(request)->store };
	if (length < ELSEWHERE_BYTES_MIN || !can_ask(request) || store_xorbs_of_file(found.store, file, add_xorb, &found, NULL) != 0 || !found.lacks_some)
		return NULL;
	return url_of(request, replica_holder_of_all(gateway_of(request)->replica, found.xorbs, found.count));
}

const char **elsewhere_xorbs(struct http_request *request, const struct hash *xorbs, size_t count)
{
	if (count == 0 || !can_ask(request))
		return NULL;
	uint64_t *holders = malloc(count * sizeof(*holders));
	const char **urls = calloc(count, sizeof(*urls));
	if (holders && urls)
		replica_holders(gateway_of(request)->replica, xorbs, count, holders);
	for (size_t i = 0; holders && urls && i < count; i++) {
		size_t same = 0; /* one text for each node */
		while (same < i && holders[same] != holders[i])
			same++;
		urls[i] = same < i ? urls[same] : url_of(request, holders[i]);
	}
	free(holders);
	return urls;
}
