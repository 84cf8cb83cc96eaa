#include "replication/namespace_keys.h"

#include "replication/cluster_node.h"

#include <xxhash.h>

void key_add_lower(struct key *key, struct span name)
{
	for (size_t i = 0; i < name.length; i++) {
		uint8_t c = name.data[i];
		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c + 'a' - 'A');
		key_add(key, &c, 1);
	}
}

static void add_end(struct key *key)
{
	key_add(key, "", 1);
}

void key_begin_repo(struct key *key, const struct entity_id *repo, char kind)
{
	key_begin(key, GROUP_REPOS, (uint16_t)(XXH3_64bits(repo->bytes, ENTITY_ID_BYTES) % SLOTS), kind);
	key_add(key, repo->bytes, ENTITY_ID_BYTES);
}

void key_user(struct key *key, struct span name)
{
	key_begin(key, GROUP_CLUSTER, 0, 'u');
	key_add_lower(key, name);
}

void key_token(struct key *key, const struct hash *digest)
{
	key_begin(key, GROUP_CLUSTER, 0, 'k');
	key_add(key, digest->bytes, HASH_BYTES);
}

void key_token_id(struct key *key, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'i');
	key_add(key, id->bytes, ENTITY_ID_BYTES);
}

void key_user_token(struct key *key, struct span user, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 't');
	key_add_lower(key, user);
	add_end(key);
	if (id)
		key_add(key, id->bytes, ENTITY_ID_BYTES);
}

void key_ssh_key(struct key *key, const struct hash *fingerprint)
{
	key_begin(key, GROUP_CLUSTER, 0, 'y');
	if (fingerprint)
		key_add(key, fingerprint->bytes, HASH_BYTES);
}

void key_user_ssh_key(struct key *key, struct span user, const struct hash *fingerprint)
{
	key_begin(key, GROUP_CLUSTER, 0, 'z');
	key_add_lower(key, user);
	add_end(key);
	if (fingerprint)
		key_add(key, fingerprint->bytes, HASH_BYTES);
}

void key_app(struct key *key, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'c');
	if (id)
		key_add(key, id->bytes, ENTITY_ID_BYTES);
}

void key_app_code(struct key *key, uint64_t expires_ms, const struct hash *digest)
{
	key_begin(key, GROUP_CLUSTER, 0, 'e');
	if (!digest)
		return;
	key_add_number(key, expires_ms, 8);
	key_add(key, digest->bytes, HASH_BYTES);
}

void key_outside_identity(struct key *key, const struct hash *digest)
{
	key_begin(key, GROUP_CLUSTER, 0, 'j');
	key_add(key, digest->bytes, HASH_BYTES);
}

void key_signing_key(struct key *key, struct span name)
{
	key_begin(key, GROUP_CLUSTER, 0, 'h');
	key_add(key, name.data, name.length);
}

void key_repo_name(struct key *key, enum repo_type type, struct span owner, struct span name)
{
	key_begin(key, GROUP_CLUSTER, 0, 'n');
	if (type == 0)
		return;
	key_add_number(key, (uint64_t)type, 1);
	if (owner.length == 0)
		return;
	key_add_lower(key, owner);
	add_end(key);
	key_add_lower(key, name);
}

void key_repo(struct key *key, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'r');
	key_add(key, id->bytes, ENTITY_ID_BYTES);
}

void key_repo_purge(struct key *key, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'd');
	if (id)
		key_add(key, id->bytes, ENTITY_ID_BYTES);
}

void key_cluster_node(struct key *key, uint64_t node_id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'C');
	if (node_id)
		key_add_number(key, node_id, 8);
}

void key_cluster_settings(struct key *key)
{
	key_begin(key, GROUP_CLUSTER, 0, 'F');
}

void key_repo_copies(struct key *key, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'D');
	if (id)
		key_add(key, id->bytes, ENTITY_ID_BYTES);
}

void key_join_token(struct key *key, const uint8_t *token_id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'J');
	if (token_id)
		key_add(key, token_id, JOIN_TOKEN_ID_BYTES);
}

void key_secret(struct key *key, struct span name)
{
	key_begin(key, GROUP_CLUSTER, 0, 's');
	key_add(key, name.data, name.length);
}

void key_changes_position(struct key *key, const char *follower)
{
	key_begin(key, GROUP_CLUSTER, 0, 'w');
	key_add(key, follower, strlen(follower));
}

void key_quota(struct key *key, struct span owner)
{
	key_begin(key, GROUP_CLUSTER, 0, 'q');
	key_add_lower(key, owner);
}

void key_org(struct key *key, struct span name)
{
	key_begin(key, GROUP_CLUSTER, 0, 'o');
	key_add_lower(key, name);
}

void key_member(struct key *key, struct span org, struct span user)
{
	key_begin(key, GROUP_CLUSTER, 0, 'm');
	key_add_lower(key, org);
	add_end(key);
	key_add_lower(key, user);
}

void key_user_orgs(struct key *key, struct span user)
{
	key_begin(key, GROUP_CLUSTER, 0, 'b');
	key_add_lower(key, user);
	add_end(key);
}

void key_user_org(struct key *key, struct span user, struct span org)
{
	key_user_orgs(key, user);
	key_add_lower(key, org);
}

void key_token_rights(struct key *key, const struct entity_id *id)
{
	key_begin(key, GROUP_CLUSTER, 0, 'g');
	key_add(key, id->bytes, ENTITY_ID_BYTES);
}

static void add_full_name(struct key *key, enum repo_type type, struct span owner, struct span name)
{
	key_add_number(key, (uint64_t)type, 1);
	key_add_lower(key, owner);
	add_end(key);
	key_add_lower(key, name);
}

void key_repo_alias(struct key *key, enum repo_type type, struct span owner, struct span name)
{
	key_begin(key, GROUP_CLUSTER, 0, 'a');
	add_full_name(key, type, owner, name);
}

void key_aliases_of(struct key *key, const struct entity_id *repo)
{
	key_begin(key, GROUP_CLUSTER, 0, 'x');
	key_add(key, repo->bytes, ENTITY_ID_BYTES);
}

void key_alias_of(struct key *key, const struct entity_id *repo, enum repo_type type, struct span owner, struct span name)
{
	key_aliases_of(key, repo);
	add_full_name(key, type, owner, name);
}

void key_repo_state(struct key *key, const struct entity_id *repo)
{
	key_begin_repo(key, repo, 'v');
}

void key_ref(struct key *key, const struct entity_id *repo, struct span name)
{
	key_begin_repo(key, repo, 'f');
	key_add(key, name.data, name.length);
}

void key_reflog_prefix(struct key *key, const struct entity_id *repo, struct span name)
{
	key_begin_repo(key, repo, 'l');
	if (name.length == 0)
		return;
	key_add(key, name.data, name.length);
	add_end(key);
}

void key_reflog(struct key *key, const struct entity_id *repo, struct span name, uint64_t version)
{
	key_reflog_prefix(key, repo, name);
	key_add_number(key, version, 8);
}

void key_pack_prefix(struct key *key, const struct entity_id *repo)
{
	key_begin_repo(key, repo, 'p');
}

void key_pack(struct key *key, const struct entity_id *repo, uint64_t version)
{
	key_pack_prefix(key, repo);
	key_add_number(key, version, 8);
}

void key_change_prefix(struct key *key, uint32_t group)
{
	key_begin(key, group, SLOT_CHANGES, 'g');
}

void key_change(struct key *key, uint32_t group, uint64_t number)
{
	key_change_prefix(key, group);
	key_add_number(key, number, 8);
}

void key_changes_last(struct key *key, uint32_t group)
{
	key_begin(key, group, SLOT_CHANGES, 'h');
}

void key_lock(struct key *key, const struct entity_id *repo, struct span id)
{
	key_begin_repo(key, repo, 'L');
	key_add(key, id.data, id.length);
}

void key_lock_path(struct key *key, const struct entity_id *repo, struct span digest)
{
	key_begin_repo(key, repo, 'P');
	key_add(key, digest.data, digest.length);
}

void key_lock_count(struct key *key, const struct entity_id *repo)
{
	key_begin_repo(key, repo, 'N');
}

void key_like(struct key *key, const struct entity_id *repo, struct span user)
{
	key_begin(key, GROUP_CLUSTER, 0, '1');
	key_add(key, repo->bytes, ENTITY_ID_BYTES);
	key_add_lower(key, user);
}

void key_user_like(struct key *key, struct span user, const struct like *like)
{
	key_begin(key, GROUP_CLUSTER, 0, '2');
	key_add_lower(key, user);
	add_end(key);
	if (!like)
		return;
	key_add_number(key, ~(uint64_t)like->created_ms, 8);
	key_add(key, like->repo.bytes, ENTITY_ID_BYTES);
}

void key_repo_likes(struct key *key, const struct entity_id *repo)
{
	key_begin(key, GROUP_CLUSTER, 0, '3');
	key_add(key, repo->bytes, ENTITY_ID_BYTES);
}

void key_repo_downloads(struct key *key, const struct entity_id *repo)
{
	key_begin_repo(key, repo, '1');
}

void key_file_downloads(struct key *key, const struct entity_id *repo, struct span path)
{
	key_begin_repo(key, repo, '2');
	if (path.length == 0)
		return;
	XXH128_canonical_t digest;
	XXH128_canonicalFromHash(&digest, XXH3_128bits(path.data, path.length));
	key_add(key, digest.digest, sizeof(digest.digest));
}

void key_downloads_changed(struct key *key, uint64_t index, const struct entity_id *repo)
{
	key_begin(key, GROUP_REPOS, SLOT_CHANGES, '1');
	if (!repo)
		return;
	key_add_number(key, index, 8);
	key_add(key, repo->bytes, ENTITY_ID_BYTES);
}
