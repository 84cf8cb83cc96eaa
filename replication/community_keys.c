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

void key_discussion_prefix(struct key *key, const struct entity_id *repo)
{
	key_begin_repo(key, repo, 'D');
}

void key_discussion(struct key *key, const struct entity_id *repo, uint64_t number)
{
	key_discussion_prefix(key, repo);
	key_add_number(key, UINT64_MAX - number, 8);
}

void key_discussion_last(struct key *key, const struct entity_id *repo)
{
	key_begin_repo(key, repo, 'K');
}

void key_event_prefix(struct key *key, const struct entity_id *repo, uint64_t number)
{
	key_begin_repo(key, repo, 'E');
	if (number)
		key_add_number(key, number, 8);
}

void key_event(struct key *key, const struct entity_id *repo, uint64_t number, uint64_t event)
{
	key_event_prefix(key, repo, number);
	key_add_number(key, event, 8);
}

void key_event_version_prefix(struct key *key, const struct entity_id *repo, uint64_t number, uint64_t event)
{
	key_begin_repo(key, repo, 'H');
	if (number)
		key_add_number(key, number, 8);
	if (event)
		key_add_number(key, event, 8);
}

void key_event_version(struct key *key, const struct entity_id *repo, uint64_t number, uint64_t event, uint64_t edit)
{
	key_event_version_prefix(key, repo, number, event);
	key_add_number(key, edit, 8);
}
