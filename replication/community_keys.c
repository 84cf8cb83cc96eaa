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

void key_webhook(struct key *key, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'W');
	if (id)
		key_add(key, id->bytes, ENTITY_ID_BYTES);
}

/* A name, its end, and an id unless it is NULL. */
static void add_name_and_id(struct key *key, const char *name, const struct entity_id *id)
{
	key_add_lower(key, span_text(name));
	key_add(key, "", 1);
	if (id)
		key_add(key, id->bytes, ENTITY_ID_BYTES);
}

void key_webhook_owner(struct key *key, const char *owner, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'X');
	add_name_and_id(key, owner, id);
}

void key_webhook_watching(struct key *key, unsigned kind, const char *name, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'Y');
	key_add_number(key, kind, 1);
	add_name_and_id(key, name, id);
}

void key_webhook_log_prefix(struct key *key, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'Z');
	key_add(key, id->bytes, ENTITY_ID_BYTES);
}

void key_webhook_log(struct key *key, const struct entity_id *id, uint64_t number)
{
	key_webhook_log_prefix(key, id);
	key_add_number(key, UINT64_MAX - number, 8);
}

void key_collection(struct key *key, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'Q');
	if (id)
		key_add(key, id->bytes, ENTITY_ID_BYTES);
}

void key_collection_owner(struct key *key, const char *owner, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'O');
	add_name_and_id(key, owner, id);
}

void key_collection_title(struct key *key, const char *owner, const char *title)
{
	key_begin(key, GROUP_CLUSTER, 0, 'T');
	add_name_and_id(key, owner, NULL);
	key_add(key, title, strlen(title));
}

void key_collection_item(struct key *key, const struct entity_id *id, const struct entity_id *item)
{
	key_begin(key, GROUP_CLUSTER, 0, 'I');
	key_add(key, id->bytes, ENTITY_ID_BYTES);
	if (item)
		key_add(key, item->bytes, ENTITY_ID_BYTES);
}

void key_collection_holding(struct key *key, unsigned kind, const struct entity_id *target, const char *name, const struct entity_id *id)
{
	static const struct entity_id zero;
	bool named = memcmp(target->bytes, zero.bytes, ENTITY_ID_BYTES) == 0;
	key_begin(key, GROUP_CLUSTER, 0, 'V');
	key_add_number(key, kind, 1);
	key_add_number(key, named ? 0 : 1, 1);
	if (named) {
		add_name_and_id(key, name, id);
		return;
	}
	key_add(key, target->bytes, ENTITY_ID_BYTES);
	if (id)
		key_add(key, id->bytes, ENTITY_ID_BYTES);
}

static void add_pair(struct key *key, const char *first, const char *second)
{
	add_name_and_id(key, first, NULL);
	if (second)
		key_add_lower(key, span_text(second));
}

void key_follower(struct key *key, const char *followed, const char *follower)
{
	key_begin(key, GROUP_CLUSTER, 0, 'F');
	add_pair(key, followed, follower);
}

void key_following(struct key *key, const char *follower, const char *followed)
{
	key_begin(key, GROUP_CLUSTER, 0, 'G');
	add_pair(key, follower, followed);
}

void key_follow_counts(struct key *key, const char *name)
{
	key_begin(key, GROUP_CLUSTER, 0, 'M');
	key_add_lower(key, span_text(name));
}

void key_notification(struct key *key, const char *user, uint64_t place)
{
	key_begin(key, GROUP_CLUSTER, 0, 'N');
	add_name_and_id(key, user, NULL);
	if (place)
		key_add_number(key, place, 8);
}

void key_notification_about(struct key *key, const char *user, const struct entity_id *repo, uint64_t number)
{
	key_begin(key, GROUP_CLUSTER, 0, 'B');
	add_name_and_id(key, user, repo);
	key_add_number(key, number, 8);
}

void key_inbox(struct key *key, const char *user)
{
	key_begin(key, GROUP_CLUSTER, 0, 'P');
	key_add_lower(key, span_text(user));
}

void key_watch(struct key *key, const char *user, unsigned kind, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'R');
	add_name_and_id(key, user, NULL);
	if (!id)
		return;
	key_add_number(key, kind, 1);
	key_add(key, id->bytes, ENTITY_ID_BYTES);
}

void key_watcher(struct key *key, const struct entity_id *id, const char *user)
{
	key_begin(key, GROUP_CLUSTER, 0, 'L');
	key_add(key, id->bytes, ENTITY_ID_BYTES);
	key_add_lower(key, span_text(user));
}

void key_subscription(struct key *key, const struct entity_id *repo, uint64_t number, const char *user)
{
	key_begin(key, GROUP_CLUSTER, 0, 'S');
	key_add(key, repo->bytes, ENTITY_ID_BYTES);
	if (number)
		key_add_number(key, number, 8);
	if (user)
		key_add_lower(key, span_text(user));
}

void key_bucket_totals(struct key *key, const struct entity_id *bucket)
{
	key_begin_repo(key, bucket, 'S');
}

void key_bucket_file(struct key *key, const struct entity_id *bucket, const char *path)
{
	key_begin_repo(key, bucket, 'U');
	key_add(key, path, strlen(path));
}
