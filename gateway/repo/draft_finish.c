#include "gateway/repo/draft.h"

#include <assert.h>
#include <stdlib.h>

#include "gateway/auth/auth.h"
#include "gateway/repo/attributes.h"
#include "gateway/repo/listing.h"
#include "gateway/repo/object_hash.h"
#include "gateway/repo/pack_file.h"
#include "gateway/repo/path_lock.h"
#include "gateway/repo/quota.h"
#include "gateway/repo/rebuild.h"
#include "gateway/repo/turn.h"

enum {
	TURN_WAIT_MS = 30 * 1000,
	REBASES_MAX = 16,          /* when others (a git push) move the branch between our look and our command */
	PROPOSALS_MAX = 3,         /* of one command whose outcome stays unknown */
	PUT_OBJECTS = 1024,        /* per batch of the table */
	MESSAGE_BYTES_MAX = 1 << 20,
};

struct finish {
	struct commit_draft *draft;
	const char *actor;
	const struct commit_author *author;
	struct buffer message;     /* title, blank line, rest */
	struct oid base, base_tree;
	struct oid tree, commit;
	struct draft_objects objects;
	bool lost_race;            /* the branch moved between our look and our command */
	struct why *why;
};

/* ------------------------------------------------------------------ .gitattributes */

static int flush_upload(struct commit_draft *draft, struct why *why)
{
	int err = draft->upload_committed ? 0 : upload_commit(draft->upload, why);
	if (err)
		return err;
	draft->upload_committed = true;
	return draft_upload_renew(draft, why);
}

/* The .gitattributes that the commit would have. One that comes with the commit has to be durable to be read back. */
static int read_attributes(struct finish *finish, const struct draft_node *node, struct buffer *out)
{
	struct commit_draft *draft = finish->draft;
	if (node->change == DRAFT_GONE)
		return 0;
	if (node->change == DRAFT_SET) {
		if (node->file->is_pointer || node->file->length == 0)
			return 0;
		int err = flush_upload(draft, finish->why);
		return err ? err : store_file_read_all(draft->gateway->store, &node->file->file, out, finish->why);
	}
	struct tree_entry entry;
	int err = git_oid_is_zero(&finish->base) ? ERR_NOT_FOUND :
		repo_entry(draft->gateway, &draft->repo, &finish->base, span_text(".gitattributes"), REPO_MAY_WAIT, &entry);
	if (err == ERR_NOT_FOUND || (err == 0 && (entry.is_directory || entry.is_lfs || entry.length > ATTRIBUTES_FILE_BYTES_MAX)))
		return 0;
	return err ? err : repo_read_blob(draft->gateway, &draft->repo, &entry, out, finish->why);
}

struct rules {
	struct attributes *present; /* the file as it is */
	struct buffer added;
	char path[PATH_BYTES_MAX + 1];
};

/* A rule for every LFS file below a node that no rule covers. */
static int add_rules(struct rules *rules, const struct draft_node *node, size_t path_length)
{
	int err = 0;
	for (uint32_t i = 0; i < node->children_count && err == 0; i++) {
		const struct draft_node *child = node->children[i];
		size_t length = path_length + child->name.length;
		memcpy(rules->path + path_length, child->name.data, child->name.length); /* a checked path fits */
		struct span path = span_of(rules->path, length);
		if (child->change == DRAFT_SET && child->file->is_pointer && !attributes_match(rules->present, path))
			err = attributes_add_lfs(&rules->added, path);
		if (err == 0 && child->children_count) {
			rules->path[length] = '/';
			err = add_rules(rules, child, length + 1);
		}
	}
	return err;
}

static int store_attributes(struct finish *finish, struct draft_node *node, struct span text)
{
	struct commit_draft *draft = finish->draft;
	struct upload_result result;
	int err = draft_upload_renew(draft, finish->why);
	if (err == 0)
		err = upload_file_begin(draft->upload, text.length);
	if (err)
		return err;
	err = upload_want_git_oid(draft->upload, text.length);
	if (err == 0)
		err = upload_file_write(draft->upload, text.data, text.length, finish->why);
	if (err) {
		upload_file_abort(draft->upload);
		return err;
	}
	err = upload_file_end(draft->upload, &result, finish->why);
	struct draft_file *file = err ? NULL : arena_alloc(&draft->arena, sizeof(*file));
	if (!file)
		return err ? err : ERR_NO_MEMORY;
	*file = (struct draft_file){ .oid = result.git_oid, .length = result.length, .file = result.file };
	node->change = DRAFT_SET;
	node->file = file;
	return 0;
}

/* Rules for `text` to grow by. Files that do not fit any more are LFS without a rule: what they are, their pointer says. */
static int collect_rules(struct finish *finish, struct rules *rules, struct span text)
{
	if (text.length >= ATTRIBUTES_GROWN_BYTES_MAX)
		return 0;
	buffer_init(&rules->added, ATTRIBUTES_GROWN_BYTES_MAX - text.length);
	rules->present = attributes_open(text);
	int err = rules->present ? add_rules(rules, &finish->draft->root, 0) : ERR_NO_MEMORY;
	attributes_close(rules->present);
	return err == ERR_TOO_BIG ? 0 : err;
}

/* Appends rules to the overlay's .gitattributes. */
static int complete_attributes(struct finish *finish, struct draft_node *node)
{
	struct rules *rules = calloc(1, sizeof(*rules));
	struct buffer text;
	if (!rules)
		return ERR_NO_MEMORY;
	buffer_init(&text, ATTRIBUTES_FILE_BYTES_MAX + ATTRIBUTES_GROWN_BYTES_MAX);
	int err = read_attributes(finish, node, &text);
	if (err == 0)
		err = collect_rules(finish, rules, buffer_span(&text));
	if (err == 0 && rules->added.length) {
		if (text.length && text.data[text.length - 1] != '\n')
			buffer_append_byte(&text, '\n');
		err = buffer_append(&text, rules->added.data, rules->added.length);
		if (err == 0)
			err = store_attributes(finish, node, buffer_span(&text));
	}
	buffer_fini(&text);
	buffer_fini(&rules->added);
	free(rules);
	return err;
}

/* Merges the overlay, rules included; the overlay is afterwards as the client left it, for another base. */
static int merge(struct finish *finish, bool keep_objects)
{
	struct commit_draft *draft = finish->draft;
	if (draft->lfs_count == 0)
		return draft_merge(draft, &finish->base_tree, &finish->tree, keep_objects ? &finish->objects : NULL, finish->why);
	struct draft_node *node = draft_node_at(draft, span_text(".gitattributes"));
	if (!node)
		return ERR_NO_MEMORY;
	enum draft_change change = node->change;
	struct draft_file *file = node->file;
	int err = complete_attributes(finish, node);
	if (err == 0)
		err = draft_merge(draft, &finish->base_tree, &finish->tree, keep_objects ? &finish->objects : NULL, finish->why);
	node->change = change;
	node->file = file;
	return err;
}

/* ------------------------------------------------------------------ retries */

static bool same_text(const struct finish *finish, const struct git_commit *commit)
{
	return span_equal(commit->message, buffer_span(&finish->message)) && span_equal(commit->author.name, span_text(finish->author->name));
}

/* True when the branch's head is what these operations, this text and this author make of the head's own parent: the first attempt of a
 * client that did not hear of its success. */
static int is_retry(struct finish *finish, const struct oid *head, bool *retry)
{
	struct commit_draft *draft = finish->draft;
	struct commit *commit;
	struct git_commit parsed;
	*retry = false;
	if (git_oid_is_zero(head) || draft->operations_count == 0)
		return 0;
	int err = commit_load(draft->gateway, &draft->repo.id, head, REPO_MAY_WAIT, true, &commit);
	if (err)
		return err;
	struct finish again = { .draft = draft };
	bool candidate = git_commit_decode(&parsed, span_of(commit->payload, commit->length)) == 0 && parsed.parents_count <= 1 &&
		same_text(finish, &parsed) && (!draft->has_expected || (parsed.parents_count && git_oid_equal(&parsed.parents[0], &draft->expected)));
	if (candidate) {
		again.base = parsed.parents_count ? parsed.parents[0] : (struct oid){ { 0 } };
		err = draft_tree_of(draft, &again.base, &again.base_tree);
		if (err == 0)
			*retry = merge(&again, false) == 0 && git_oid_equal(&again.tree, &commit->tree);
	}
	cached_release(&commit->cached);
	return err;
}

/* ------------------------------------------------------------------ locks of others */

static struct draft_node *child_of(struct commit_draft *draft, struct draft_node *node, struct span *rest)
{
	const uint8_t *slash = memchr(rest->data, '/', rest->length);
	size_t length = slash ? (size_t)(slash - rest->data) : rest->length;
	struct draft_node *child = draft_child(draft, node, span_of(rest->data, length), false);
	*rest = slash ? span_of(slash + 1, rest->length - length - 1) : span_of(NULL, 0);
	return child;
}

/* Does the draft, merged with its base, change or remove this path, or a folder above it? A file that is set to what it is does not change. */
static bool draft_touches(void *context, struct span path)
{
	struct commit_draft *draft = context;
	struct draft_node *node = &draft->root;
	bool emptied = node->emptied;
	for (struct span rest = path; rest.length && node;) {
		node = child_of(draft, node, &rest);
		bool is_same = node && node->change == DRAFT_SET && node->has_base_file && git_oid_equal(&node->file->oid, &node->base_file);
		if (node && node->change != DRAFT_KEEP && !is_same)
			return true;
		if (node && rest.length == 0)
			return emptied && !is_same;
		emptied = emptied || (node && node->emptied);
	}
	return emptied;
}

static int check_locks(struct finish *finish)
{
	struct commit_draft *draft = finish->draft;
	struct path_locks locks;
	int err = path_locks_open(&locks, draft->gateway, &draft->repo, finish->actor);
	if (err)
		return why_set(finish->why, err, "the locks of the repository cannot be read");
	return path_locks_find(&locks, draft_touches, draft, finish->why);
}

/* ------------------------------------------------------------------ building */

static int build_commit(struct finish *finish)
{
	struct git_identity identity = {
		.name = span_text(finish->author->name),
		.email = span_text(finish->author->email),
		.when_seconds = finish->author->when_ms / 1000,
	};
	struct git_commit commit = { .tree = finish->tree, .author = identity, .committer = identity, .message = buffer_span(&finish->message) };
	if (!git_oid_is_zero(&finish->base))
		commit.parents[commit.parents_count++] = finish->base;
	if (finish->draft->has_second_parent)
		commit.parents[commit.parents_count++] = finish->draft->second_parent;
	struct buffer payload;
	buffer_init(&payload, 2 * MESSAGE_BYTES_MAX);
	int err = git_commit_encode(&payload, &commit);
	if (err == 0)
		err = object_hash(&finish->commit, GIT_COMMIT, buffer_span(&payload));
	struct git_object object = { .type = GIT_COMMIT, .length = payload.length, .payload = buffer_span(&payload) };
	if (err == 0)
		err = draft_objects_add(&finish->objects, &finish->commit, &object);
	if (err)
		buffer_fini(&payload);
	return err;
}

static int put_range(struct finish *finish, size_t first, size_t end)
{
	const struct draft_objects *objects = &finish->objects;
	struct commit_draft *draft = finish->draft;
	int err = 0;
	for (size_t i = first; i < end && err == 0; i += PUT_OBJECTS) {
		size_t count = end - i < PUT_OBJECTS ? end - i : PUT_OBJECTS;
		err = store_git_put(draft->gateway->store, &draft->repo.id, objects->oids + i, objects->objects + i, count);
	}
	return err;
}

static size_t place_of_commit(const struct draft_objects *objects)
{
	size_t place = 0;
	while (place < objects->count && objects->objects[place].type != GIT_COMMIT)
		place++;
	assert(place < objects->count);
	return place;
}

/* All but the commit. */
static int put_files(struct finish *finish, size_t commit)
{
	int err = rebuild_before_put(finish->draft->gateway, &finish->draft->repo.id);
	if (err == 0)
		err = put_range(finish, 0, commit);
	return err ? err : put_range(finish, commit + 1, finish->objects.count);
}

static bool is_administrator(const struct finish *finish)
{
	struct actor actor;
	struct resource resource = { .repo = &finish->draft->repo };
	return auth_by_name(finish->draft->gateway->ns, finish->actor, TOKEN_WRITE, &actor) == 0 && may(&actor, ACTION_ADMIN, &resource) == 0;
}

static int propose(struct finish *finish, const struct ref_update *update, const struct pack *pack)
{
	struct commit_draft *draft = finish->draft;
	struct command_id id;
	command_id_make(&id);
	int err = ERR_UNKNOWN_OUTCOME;
	for (int i = 0; i < PROPOSALS_MAX && err == ERR_UNKNOWN_OUTCOME; i++)
		err = refs_update(draft->gateway->ns, finish->actor, &draft->repo.id, update, 1, pack, &id, finish->why);
	return err;
}

static int move_ref(struct finish *finish, const struct pack *pack)
{
	struct commit_draft *draft = finish->draft;
	if (draft->publish)
		return draft->publish(draft->publish_context, &finish->base, &finish->commit, pack, finish->why);
	struct ref_update update = { .old_oid = finish->base, .new_oid = finish->commit, .fast_forward = true };
	memcpy(update.name, draft->ref, sizeof(update.name));
	int err = propose(finish, &update, pack);
	/* Who is an administrator is looked up only where it matters: on a branch that others may not change. */
	update.privileged = err == ERR_DENIED && is_administrator(finish);
	return update.privileged ? propose(finish, &update, pack) : err;
}

/* Those who may write are not asked: a commit that deletes brings trees as well. */
static int reserve(const struct finish *finish, struct quota_reservation *out)
{
	const struct draft_objects *objects = &finish->objects;
	const struct commit_draft *draft = finish->draft;
	uint64_t bytes = 0;
	if (!draft->by || !quota_is_proposal(draft->gateway, &draft->repo, draft->by))
		return 0;
	for (size_t i = 0; i < objects->count; i++)
		bytes += pack_holds(&objects->objects[i]) ? objects->objects[i].length : 0;
	return quota_reserve(draft->gateway, &draft->repo, draft->by, bytes, out, finish->why);
}

static int store_pack(struct finish *finish, struct pack *pack)
{
	struct upload *upload = finish->draft->upload;
	const struct draft_objects *objects = &finish->objects;
	struct quota_reservation reservation = { 0 };
	int err = reserve(finish, &reservation);
	if (err == 0)
		err = pack_file_write(upload, objects->oids, objects->objects, objects->count, pack, finish->why);
	if (err == 0)
		err = upload_commit(upload, finish->why);
	quota_release(&reservation, err == 0);
	return err;
}

/* The name, and with it the commit into the table (listing.h). */
static int list(struct finish *finish, const struct pack *pack, size_t commit)
{
	struct commit_draft *draft = finish->draft;
	struct repo_cache *cache = draft->gateway->trees;
	struct turn listing;
	listing_begin(cache, &listing, &draft->repo.id);
	int err = move_ref(finish, pack);
	if (err == 0)
		(void)put_range(finish, commit, commit + 1); /* named by now: what the table lacks comes back on the first miss */
	listing_end(cache, &listing);
	return err;
}

/* Bytes first, then the folders and files that readers will ask the table for, then the name. */
static int publish(struct finish *finish)
{
	struct commit_draft *draft = finish->draft;
	struct pack pack;
	int err = draft_upload_renew(draft, finish->why);
	if (err)
		return err;
	draft_objects_unique(&finish->objects);
	err = store_pack(finish, &pack);
	if (err)
		return err;
	draft->upload_committed = true;
	size_t commit = place_of_commit(&finish->objects);
	err = put_files(finish, commit);
	if (err)
		return why_set(finish->why, err, "the objects of the commit cannot be indexed");
	err = list(finish, &pack, commit);
	finish->lost_race = err == ERR_CONFLICT && !draft->publish;
	return err;
}

/* One attempt on the head as it is now. */
static int attempt(struct finish *finish)
{
	struct commit_draft *draft = finish->draft;
	struct oid head;
	bool retry;
	int err = draft_head(draft, &head);
	if (err)
		return why_set(finish->why, err, "%s cannot be read", draft->ref);
	bool on_ref = draft->ref[0] != 0;
	if (git_oid_is_zero(&head) && !git_oid_is_zero(&draft->base))
		return why_set(finish->why, ERR_NOT_FOUND, "%s was deleted", draft->ref);
	bool moved = draft->has_expected && !git_oid_equal(&head, &draft->expected);
	finish->base = head;
	err = draft_tree_of(draft, &head, &finish->base_tree);
	if (err)
		return why_set(finish->why, err, "the head of %s cannot be read", draft->ref);
	if (!moved) {
		err = merge(finish, true);
		if (err == ERR_INVALID && !git_oid_equal(&head, &draft->base))
			err = ERR_CONFLICT; /* the client's paths were fine where it began */
		if (err)
			return err;
	}
	if (moved || (on_ref && git_oid_equal(&finish->tree, &finish->base_tree))) {
		err = is_retry(finish, &head, &retry);
		if (err)
			return why_set(finish->why, err, "the head of %s cannot be read", draft->ref);
		if (retry)
			finish->commit = head;
		if (retry || moved)
			return retry ? 0 : why_set(finish->why, ERR_CONFLICT, "%s is no longer where the commit was made for", draft->ref);
	}
	err = check_locks(finish);
	if (err)
		return err;
	err = build_commit(finish);
	return err ? why_set(finish->why, err, "the commit is too big") : publish(finish);
}

static int attempts(struct finish *finish)
{
	int err = 0;
	finish->lost_race = true;
	for (int i = 0; i <= REBASES_MAX && finish->lost_race; i++) {
		draft_objects_fini(&finish->objects);
		finish->lost_race = false;
		err = attempt(finish);
	}
	draft_objects_fini(&finish->objects);
	int renewed = err == ERR_CONFLICT ? draft_upload_renew(finish->draft, finish->why) : 0;
	return renewed ? renewed : err;
}

/* "title\n\nmessage\n": the title without line ends, neither with NULs. */
static int compose(struct buffer *out, struct span title, struct span message)
{
	while (message.length && (message.data[message.length - 1] == '\n' || message.data[message.length - 1] == '\r'))
		message.length--;
	for (size_t i = 0; i < title.length; i++)
		if (title.data[i])
			buffer_append_byte(out, title.data[i] == '\n' || title.data[i] == '\r' ? ' ' : title.data[i]);
	if (message.length)
		buffer_append_text(out, "\n\n");
	for (size_t i = 0; i < message.length; i++)
		if (message.data[i])
			buffer_append_byte(out, message.data[i]);
	buffer_append_byte(out, '\n');
	return out->failed ? ERR_TOO_BIG : 0;
}

int commit_draft_finish(struct commit_draft *draft, const char *actor, const struct commit_author *author, struct span title, struct span message,
	struct oid *commit, struct why *why)
{
	struct finish finish = { .draft = draft, .actor = actor, .author = author, .why = why };
	buffer_init(&finish.message, MESSAGE_BYTES_MAX);
	int err = compose(&finish.message, title, message);
	if (err) {
		buffer_fini(&finish.message);
		return why_set(why, err, "the message of the commit is longer than %d bytes", MESSAGE_BYTES_MAX);
	}
	struct turns *turns = repo_cache_turns(draft->gateway->trees);
	struct turn turn;
	bool on_ref = draft->ref[0] != 0;
	err = on_ref ? turn_begin(turns, &turn, &draft->repo.id, draft->ref, TURN_WAIT_MS) : 0;
	if (err == 0) {
		err = attempts(&finish);
		if (on_ref)
			turn_end(turns, &turn);
	} else {
		why_set(why, err, "too many commits are being made on %s", draft->ref);
	}
	if (err == 0)
		*commit = finish.commit;
	buffer_fini(&finish.message);
	return err;
}
