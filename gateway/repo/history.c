/* history.c - what a commit says, first-parent history, and which commit last changed a path. */
#include <stdlib.h>

#include "gateway/repo/object.h"

enum {
	LOG_COMMITS_MAX = 1000 * 1000,    /* counted for a total */
	LAST_COMMITS_WALK_MAX = 5 * 1000, /* commits looked at for `expand` */
};

/* ------------------------------------------------------------------ one commit */

static void copy_bounded(char *out, size_t out_bytes, struct span text)
{
	size_t length = text.length < out_bytes - 1 ? text.length : out_bytes - 1;
	if (length)
		memcpy(out, text.data, length);
	out[length] = 0;
}

static char *duplicate(struct span text)
{
	char *copy = malloc(text.length + 1);
	if (copy)
		copy_bounded(copy, text.length + 1, text);
	return copy;
}

static struct span trimmed(struct span text)
{
	while (text.length && (text.data[0] == '\n' || text.data[0] == ' ' || text.data[0] == '\r')) {
		text.data++;
		text.length--;
	}
	while (text.length && (text.data[text.length - 1] == '\n' || text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\r'))
		text.length--;
	return text;
}

static int info_fill(struct commit_info *out, const struct commit *commit)
{
	struct git_commit parsed;
	*out = (struct commit_info){ .oid = commit->oid, .tree = commit->tree };
	int err = git_commit_decode(&parsed, span_of(commit->payload, commit->length));
	if (err)
		return err;
	size_t parents_max = sizeof(out->parents) / sizeof(out->parents[0]);
	out->parents_count = parsed.parents_count < parents_max ? parsed.parents_count : parents_max;
	memcpy(out->parents, parsed.parents, out->parents_count * sizeof(out->parents[0]));
	out->author_ms = parsed.author.when_seconds * 1000;
	out->committer_ms = parsed.committer.when_seconds * 1000;
	copy_bounded(out->author, sizeof(out->author), parsed.author.name);
	copy_bounded(out->author_email, sizeof(out->author_email), parsed.author.email);
	struct span message = trimmed(parsed.message);
	const uint8_t *end = message.length ? memchr(message.data, '\n', message.length) : NULL;
	struct span title = span_of(message.data, end ? (size_t)(end - message.data) : message.length);
	out->title = duplicate(trimmed(title));
	out->message = duplicate(trimmed(span_of(message.data + title.length, message.length - title.length)));
	if (out->title && out->message)
		return 0;
	commit_info_fini(out);
	return ERR_NO_MEMORY;
}

int repo_commit_info(struct gateway *gateway, const struct repo *repo, const struct oid *oid, enum repo_wait wait, struct commit_info *out)
{
	struct commit *commit;
	int err = commit_load(gateway, &repo->id, oid, wait, true, &commit);
	if (err)
		return err == ERR_CORRUPT ? ERR_NOT_FOUND : err; /* nothing vouches for the caller's commit id */
	err = info_fill(out, commit);
	cached_release(&commit->cached);
	return err;
}

void commit_info_fini(struct commit_info *info)
{
	free(info->title);
	free(info->message);
	info->title = info->message = NULL;
}

/* ------------------------------------------------------------------ history */

/* The first parent's id, zero for a root. */
static int first_parent(const struct commit *commit, struct oid *out)
{
	struct git_commit parsed;
	int err = git_commit_decode(&parsed, span_of(commit->payload, commit->length));
	if (err)
		return err;
	*out = parsed.parents_count ? parsed.parents[0] : (struct oid){ { 0 } };
	return 0;
}

int repo_log(struct gateway *gateway, const struct repo *repo, const struct oid *start, uint64_t skip, uint64_t limit, uint64_t *total,
	int (*each)(void *context, const struct commit_info *info), void *context, struct why *why)
{
	struct oid oid = *start;
	uint64_t seen = 0;
	bool stopped = false;
	int err = 0, answer = 0;
	while (err == 0 && !git_oid_is_zero(&oid) && seen < LOG_COMMITS_MAX && (total || (!stopped && (seen < skip || seen - skip < limit)))) {
		struct commit *commit;
		struct commit_info info;
		err = commit_load(gateway, &repo->id, &oid, REPO_MAY_WAIT, true, &commit);
		if (err)
			return why_set(why, seen == 0 && err == ERR_CORRUPT ? ERR_NOT_FOUND : err, "a commit of the history is missing");
		if (!stopped && seen >= skip && seen - skip < limit) {
			err = info_fill(&info, commit);
			if (err == 0) {
				answer = each(context, &info);
				stopped = answer != 0;
				commit_info_fini(&info);
			}
		}
		if (err == 0)
			err = first_parent(commit, &oid);
		cached_release(&commit->cached);
		seen++;
	}
	if (total)
		*total = seen;
	return err ? why_set(why, err, "a commit of the history is malformed") : answer;
}

/* ------------------------------------------------------------------ the last change of each path */

/* Paths of one folder: as long as the folder's tree stays the same, none of them changed. */
struct folder_watch {
	struct span folder;
	struct oid tree;            /* in the newer commit; zero: no such folder */
	size_t first, count, open;  /* into the watches; how many have no answer yet */
};
struct watch {
	struct span name, folder;
	size_t place;               /* of the path in the caller's arrays */
	struct oid oid;             /* in the newer commit; zero: absent */
	bool found;
};
struct last_changes {
	struct gateway *gateway;
	const struct entity_id *repo;
	struct watch *watches;
	struct folder_watch *folders;
	size_t count, folders_count, open;
	struct commit_info *out;
};

static int compare_watches(const void *a, const void *b)
{
	const struct watch *left = a, *right = b;
	int order = git_name_compare(left->folder, false, right->folder, false);
	return order ? order : git_name_compare(left->name, false, right->name, false);
}

/* The id of the folder's tree below a root tree; zero when there is none. */
static int find_tree(const struct last_changes *changes, const struct oid *root, struct span folder, struct oid *out)
{
	*out = *root;
	while (folder.length) {
		const uint8_t *slash = memchr(folder.data, '/', folder.length);
		struct span name = span_of(folder.data, slash ? (size_t)(slash - folder.data) : folder.length);
		folder = span_of(folder.data + name.length + (slash != NULL), folder.length - name.length - (slash != NULL));
		struct git_object object;
		int err = object_get(changes->gateway, changes->repo, out, GIT_TREE, &object);
		if (err)
			return err;
		struct span rest = object.payload;
		struct git_tree_entry entry;
		bool found = false;
		while (!found && git_tree_next(&rest, &entry) > 0)
			found = git_mode_is_directory(entry.mode) && span_equal(entry.name, name);
		*out = found ? entry.oid : (struct oid){ { 0 } };
		free((void *)object.payload.data);
		if (!found)
			return 0;
	}
	return 0;
}

static struct watch *find_watch(const struct last_changes *changes, const struct folder_watch *folder, struct span name)
{
	size_t low = folder->first, high = folder->first + folder->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (git_name_compare(changes->watches[middle].name, false, name, false) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < folder->first + folder->count && span_equal(changes->watches[low].name, name) ? &changes->watches[low] : NULL;
}

/* Ids of the watched names in this version of their folder, side by side with the watches of the folder. */
static int read_folder(const struct last_changes *changes, const struct folder_watch *folder, const struct oid *tree, struct oid *oids)
{
	memset(oids, 0, folder->count * sizeof(*oids));
	if (git_oid_is_zero(tree))
		return 0;
	struct git_object object;
	int err = object_get(changes->gateway, changes->repo, tree, GIT_TREE, &object);
	if (err)
		return err;
	struct span rest = object.payload;
	struct git_tree_entry entry;
	while (git_tree_next(&rest, &entry) > 0) {
		/* The same path may have been asked for twice: equal names stand together. */
		struct watch *watch = find_watch(changes, folder, entry.name);
		for (; watch && watch < changes->watches + folder->first + folder->count && span_equal(watch->name, entry.name); watch++)
			oids[(size_t)(watch - changes->watches) - folder->first] = entry.oid;
	}
	free((void *)object.payload.data);
	return 0;
}

/* Compares a folder with its state one commit earlier; what differs was changed by `newer` (NULL: only note the state). */
static int compare_folder(struct last_changes *changes, struct folder_watch *folder, const struct commit *newer, const struct oid *older_root)
{
	struct oid tree = { { 0 } };
	int err = older_root ? find_tree(changes, older_root, folder->folder, &tree) : 0;
	if (err || (newer && git_oid_equal(&tree, &folder->tree)))
		return err;
	struct oid *oids = malloc(folder->count * sizeof(*oids));
	if (!oids)
		return ERR_NO_MEMORY;
	err = read_folder(changes, folder, &tree, oids);
	for (size_t i = 0; i < folder->count && err == 0; i++) {
		struct watch *watch = &changes->watches[folder->first + i];
		bool differs = !git_oid_equal(&watch->oid, &oids[i]);
		if (newer && differs && !watch->found) {
			err = info_fill(&changes->out[watch->place], newer);
			watch->found = true;
			folder->open--;
			changes->open--;
		}
		watch->oid = oids[i];
		if (!newer && git_oid_is_zero(&watch->oid)) { /* not there: no commit to look for */
			watch->found = true;
			folder->open--;
			changes->open--;
		}
	}
	folder->tree = tree;
	free(oids);
	return err;
}

static int compare_all(struct last_changes *changes, const struct commit *newer, const struct oid *older_root)
{
	int err = 0;
	for (size_t i = 0; i < changes->folders_count && err == 0; i++)
		if (changes->folders[i].open)
			err = compare_folder(changes, &changes->folders[i], newer, older_root);
	return err;
}

static int walk_back(struct last_changes *changes, const struct oid *start)
{
	struct commit *commit, *parent;
	int err = commit_load(changes->gateway, changes->repo, start, REPO_MAY_WAIT, true, &commit);
	if (err)
		return err;
	err = compare_all(changes, NULL, &commit->tree);
	for (int i = 0; i < LAST_COMMITS_WALK_MAX && changes->open && err == 0; i++) {
		struct oid oid;
		parent = NULL;
		err = first_parent(commit, &oid);
		if (err == 0 && !git_oid_is_zero(&oid))
			err = commit_load(changes->gateway, changes->repo, &oid, REPO_MAY_WAIT, true, &parent);
		if (err == 0)
			err = compare_all(changes, commit, parent ? &parent->tree : NULL);
		if (err || !parent) {
			cached_release(parent ? &parent->cached : NULL);
			break;
		}
		cached_release(&commit->cached);
		commit = parent;
	}
	cached_release(&commit->cached);
	return err;
}

static void group_by_folder(struct last_changes *changes, const struct span *paths)
{
	for (size_t i = 0; i < changes->count; i++) {
		size_t folder = paths[i].length;
		while (folder && paths[i].data[folder - 1] != '/')
			folder--;
		changes->watches[i] = (struct watch){
			.name = span_of(paths[i].data + folder, paths[i].length - folder),
			.folder = span_of(paths[i].data, folder ? folder - 1 : 0),
			.place = i,
		};
	}
	qsort(changes->watches, changes->count, sizeof(changes->watches[0]), compare_watches);
	for (size_t i = 0; i < changes->count; i++) {
		struct folder_watch *last = changes->folders_count ? &changes->folders[changes->folders_count - 1] : NULL;
		if (!last || !span_equal(last->folder, changes->watches[i].folder)) {
			last = &changes->folders[changes->folders_count++];
			*last = (struct folder_watch){ .folder = changes->watches[i].folder, .first = i };
		}
		last->count++;
		last->open++;
	}
}

int repo_last_commits(struct gateway *gateway, const struct repo *repo, const struct oid *commit, const struct span *paths, size_t count, struct commit_info *out)
{
	memset(out, 0, count * sizeof(*out));
	if (count == 0)
		return 0;
	struct last_changes changes = {
		.gateway = gateway,
		.repo = &repo->id,
		.watches = calloc(count, sizeof(*changes.watches)),
		.folders = calloc(count, sizeof(*changes.folders)),
		.count = count,
		.open = count,
		.out = out,
	};
	int err = ERR_NO_MEMORY;
	if (changes.watches && changes.folders) {
		group_by_folder(&changes, paths);
		err = walk_back(&changes, commit);
	}
	for (size_t i = 0; err && i < count; i++)
		commit_info_fini(&out[i]);
	free(changes.watches);
	free(changes.folders);
	return err;
}
