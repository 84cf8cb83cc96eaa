#include "replication/community_keys.h"

void key_access(struct key *key, const struct entity_id *repo, struct span user)
{
	key_begin_repo(key, repo, 'A');
	key_add_lower(key, user);
}

void key_access_status_prefix(struct key *key, const struct entity_id *repo, unsigned status)
{
	key_begin_repo(key, repo, 'B');
	if (status)
		key_add_number(key, status, 1);
}

void key_access_by_status(struct key *key, const struct entity_id *repo, unsigned status, int64_t when_ms, struct span user)
{
	key_access_status_prefix(key, repo, status);
	key_add_number(key, UINT64_MAX - (uint64_t)when_ms, 8);
	key_add_lower(key, user);
}
