#include "gateway/repo/received_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "gateway/repo/received_blobs.h"
#include "schemas/git_object.h"

enum {
	FOLDED_NAMES_MAX = 1 << 16, /* entries of a tree that are compared without case */
	NAME_SHOWN_BYTES = 200,
};

enum {
	TREE_IS_TOP = 1,    /* a commit of the pack has it as its top folder */
	TREE_BARS_TOP = 2,  /* has names that are allowed in any other folder, but not there */
};

struct scan {
	struct received_pack *received;
	struct why *why;
	uint8_t *trees;         /* per position: TREE_* */
	uint32_t missing, bad_names, too_large, folded; /* findings */
	uint64_t *names;        /* hashes of folded names of one tree */
	size_t names_capacity;
};

/* ------------------------------------------------------------------ links */

/* `from`: the object that names it. Absent objects are a finding: the client sent a pack that leans on what is not here. */
static void link_to(struct scan *scan, const char *from, const struct oid *oid, uint32_t *position, bool *is_here)
{
	struct received_pack *received = scan->received;
	*is_here = indexed_pack_find(received->pack, oid, position);
	if (*is_here || object_dir_has(received->known, oid))
		return;
	if (scan->missing++ >= RECEIVED_FINDINGS_MAX)
		return;
	char text[OID_TEXT_BYTES];
	hex_encode(text, oid->bytes, OID_BYTES);
	buffer_printf(received->messages, "error: a %s of the push needs the object %s, which was neither sent nor is it here\n", from, text);
}

static int scan_commit(struct scan *scan, struct span payload)
{
	struct git_commit *commit = malloc(sizeof(*commit));
	uint32_t position;
	bool is_here;
	if (!commit)
		return ERR_NO_MEMORY;
	int err = git_commit_decode(commit, payload);
	if (err)
		why_set(scan->why, ERR_INVALID, err == ERR_TOO_BIG ? "a commit has more than %d parents" : "a commit is malformed", GIT_PARENTS_MAX);
	for (size_t i = 0; i < commit->parents_count && err == 0; i++)
		link_to(scan, "commit", &commit->parents[i], &position, &is_here);
	if (err == 0) {
		link_to(scan, "commit", &commit->tree, &position, &is_here);
		scan->received->leans |= !is_here;
		if (is_here)
			scan->trees[position] |= TREE_IS_TOP;
	}
	free(commit);
	return err ? ERR_INVALID : 0;
}

static int scan_tag(struct scan *scan, struct span payload)
{
	struct oid target;
	enum git_type type;
	uint32_t position;
	bool is_here;
	if (git_tag_object_of(payload, &target, &type) != 0)
		return why_set(scan->why, ERR_INVALID, "a tag is malformed");
	link_to(scan, "tag", &target, &position, &is_here);
	return 0;
}

/* ------------------------------------------------------------------ trees */

static void refuse_name(struct scan *scan, uint32_t tree, const struct why *fault)
{
	if (scan->bad_names++ >= RECEIVED_FINDINGS_MAX)
		return;
	char folder[PATH_BYTES_MAX + 1];
	received_path(scan->received, tree, folder);
	buffer_printf(scan->received->messages, "error: %s%s%s\n", fault->text, folder[0] ? ", in " : "", folder);
}

static uint64_t folded_hash(struct span name)
{
	uint8_t folded[PATH_NAME_BYTES_MAX];
	size_t length = name.length < sizeof(folded) ? name.length : sizeof(folded);
	for (size_t i = 0; i < length; i++)
		folded[i] = name.data[i] >= 'A' && name.data[i] <= 'Z' ? name.data[i] | 0x20 : name.data[i];
	return XXH3_64bits(folded, length);
}

static int compare_hashes(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

static void note_folded(struct scan *scan, struct span name, size_t index)
{
	if (index == scan->names_capacity && index < FOLDED_NAMES_MAX) {
		size_t capacity = index ? index * 2 : 256;
		uint64_t *names = realloc(scan->names, capacity * sizeof(*names));
		if (!names)
			return;
		scan->names = names;
		scan->names_capacity = capacity;
	}
	if (index < scan->names_capacity)
		scan->names[index] = folded_hash(name);
}

/* Allowed, since git allows it, and said, since it bites on other machines. */
static void warn_of_case(struct scan *scan, uint32_t tree, size_t count)
{
	if (count > scan->names_capacity)
		count = scan->names_capacity;
	if (count > 1)
		qsort(scan->names, count, sizeof(*scan->names), compare_hashes);
	for (size_t i = 1; i < count; i++) {
		if (scan->names[i] != scan->names[i - 1])
			continue;
		if (scan->folded++ < RECEIVED_FINDINGS_MAX / 4) {
			char folder[PATH_BYTES_MAX + 1];
			received_path(scan->received, tree, folder);
			buffer_printf(scan->received->messages, "warning: names in %s differ only by case; checkouts on Windows and macOS cannot hold both\n",
				folder[0] ? folder : "the top folder");
		}
		return;
	}
}

static void note_edge(struct received_pack *received, uint32_t parent, uint32_t child)
{
	if (!received->has_all_edges)
		return;
	if (received->edges_count == received->edges_capacity) {
		size_t capacity = received->edges_capacity ? 2 * received->edges_capacity : 1024;
		struct tree_edge *edges = capacity > RECEIVED_EDGES_MAX ? NULL : realloc(received->edges, capacity * sizeof(*edges));
		received->has_all_edges = edges != NULL;
		if (!edges)
			return;
		received->edges = edges;
		received->edges_capacity = capacity;
	}
	received->edges[received->edges_count++] = (struct tree_edge){ parent, child };
}

static int scan_entry(struct scan *scan, uint32_t tree, const struct git_tree_entry *entry)
{
	struct received_pack *received = scan->received;
	uint32_t kind = entry->mode & GIT_MODE_KIND, position = 0;
	struct why fault = { 0 };
	bool is_here = false;
	if (path_check_name(entry->name, &fault) != 0)
		refuse_name(scan, tree, &fault);
	else if (path_check(entry->name, NULL) != 0)
		scan->trees[tree] |= TREE_BARS_TOP;
	if (kind == GIT_MODE_SUBMODULE)
		return 0;
	if (kind != GIT_MODE_DIRECTORY && kind != (GIT_MODE_FILE & GIT_MODE_KIND) && kind != GIT_MODE_SYMLINK)
		return why_set(scan->why, ERR_INVALID, "a folder has an entry of the unknown mode %o", (unsigned)entry->mode);
	link_to(scan, "folder", &entry->oid, &position, &is_here);
	received->leans |= !is_here;
	if (is_here && kind == GIT_MODE_DIRECTORY)
		note_edge(received, tree, position);
	if (is_here && !received->parents[position] && position != tree)
		received->parents[position] = tree + 1;
	return 0;
}

static int scan_tree(struct scan *scan, uint32_t position, struct span payload)
{
	struct git_tree_entry entry;
	size_t count = 0;
	int got, err = 0;
	/* What a finding reads moves the payload away: a tree with findings is read again from where it was. */
	size_t offset = 0;
	unsigned type;
	for (;;) {
		struct span rest = span_of(payload.data + offset, payload.length - offset);
		uint32_t findings = scan->bad_names;
		got = git_tree_next(&rest, &entry);
		if (got <= 0)
			break;
		size_t next = payload.length - rest.length;
		note_folded(scan, entry.name, count++);
		err = scan_entry(scan, position, &entry);
		if (err)
			return err;
		offset = next;
		if (scan->bad_names != findings)
			err = indexed_pack_read(scan->received->pack, position, &type, &payload, scan->why);
		if (err)
			return err;
	}
	if (got < 0)
		return why_set(scan->why, ERR_INVALID, "a folder is malformed");
	warn_of_case(scan, position, count);
	return 0;
}

/* Said of each top folder alone: a folder's place is known when all have been looked at. */
static int scan_top(struct scan *scan, uint32_t position)
{
	struct git_tree_entry entry;
	struct span payload;
	unsigned type;
	int err = indexed_pack_read(scan->received->pack, position, &type, &payload, scan->why);
	while (err == 0 && git_tree_next(&payload, &entry) > 0) {
		struct why fault = { 0 };
		if (path_check(entry.name, &fault) == 0)
			continue;
		if (scan->bad_names++ < RECEIVED_FINDINGS_MAX)
			buffer_printf(scan->received->messages, "error: %s\n", fault.text);
	}
	return err;
}

static int scan_tops(struct scan *scan)
{
	uint32_t count = indexed_pack_count(scan->received->pack);
	int err = 0;
	for (uint32_t i = 0; i < count && err == 0; i++)
		if (scan->trees[i] == (TREE_IS_TOP | TREE_BARS_TOP))
			err = scan_top(scan, i);
	return err;
}

/* ------------------------------------------------------------------ all objects */

static int scan_object(struct scan *scan, uint32_t position, uint32_t *large, uint32_t *large_count)
{
	struct received_pack *received = scan->received;
	unsigned type;
	uint64_t length;
	struct span payload;
	int err = indexed_pack_header(received->pack, position, &type, &length, scan->why);
	if (err)
		return err;
	received->types[position] = (uint8_t)type;
	if (type == GIT_BLOB) {
		received->blob_bytes += length;
		if (length > REGULAR_FILE_BYTES_MAX && scan->too_large++ < RECEIVED_FINDINGS_MAX)
			large[(*large_count)++] = position;
		return 0;
	}
	err = indexed_pack_read(received->pack, position, &type, &payload, scan->why);
	if (err)
		return err == ERR_TOO_BIG ? ERR_INVALID : err;
	return type == GIT_TREE ? scan_tree(scan, position, payload) : type == GIT_COMMIT ? scan_commit(scan, payload) : scan_tag(scan, payload);
}

static void refuse_large(struct scan *scan, const uint32_t *large, uint32_t count)
{
	struct received_pack *received = scan->received;
	struct buffer *messages = received->messages;
	for (uint32_t i = 0; i < count; i++) {
		char path[PATH_BYTES_MAX + 1], text[OID_TEXT_BYTES];
		unsigned type;
		uint64_t length = 0;
		received_path(received, large[i], path);
		hex_encode(text, indexed_pack_oid(received->pack, large[i])->bytes, OID_BYTES);
		indexed_pack_header(received->pack, large[i], &type, &length, NULL);
		buffer_printf(messages, "error: %s has %.1f MiB (blob %s)\n", path[0] ? path : "a file", (double)length / (1 << 20), text);
		if (i == 0 && path[0])
			buffer_printf(messages, "error: files larger than 10 MiB must be stored with Git LFS; for this one:\n"
				"error:     git lfs migrate import --include=\"%s\"\nerror: and push again\n", path);
	}
	if (scan->too_large > count)
		buffer_printf(messages, "error: and %u more\n", scan->too_large - count);
}

static int verdict(struct scan *scan)
{
	if (scan->missing)
		return why_set(scan->why, ERR_INVALID, "missing necessary objects");
	if (scan->bad_names) {
		buffer_append_text(scan->received->messages, "error: rename it in every commit that has it (git rebase -i, or git filter-repo) and push again\n");
		return why_set(scan->why, ERR_INVALID, "a path is not allowed");
	}
	if (scan->too_large)
		return why_set(scan->why, ERR_INVALID, "files larger than 10 MiB must be stored with Git LFS");
	return 0;
}

static int scan_all(struct received_pack *received, struct why *why)
{
	struct scan scan = { .received = received, .why = why };
	uint32_t large[RECEIVED_FINDINGS_MAX], large_count = 0, count = indexed_pack_count(received->pack);
	int err = 0;
	received->total = count;
	received->has_all_edges = true;
	received->phase = "Checking objects";
	scan.trees = calloc((size_t)count + 1, 1);
	if (!scan.trees)
		err = why_set(why, ERR_NO_MEMORY, "no memory for the objects of a push");
	for (uint32_t i = 0; i < count && err == 0; i++) {
		received->done = i;
		if (received->cancelled)
			err = why_set(why, ERR_CLOSED, "the server is stopping");
		else
			err = scan_object(&scan, indexed_pack_nth(received->pack, i), large, &large_count);
	}
	if (err == 0)
		err = scan_tops(&scan);
	free(scan.trees);
	free(scan.names);
	if (err)
		return err;
	refuse_large(&scan, large, large_count);
	return verdict(&scan);
}

static int open_pack(struct received_pack *received, struct why *why)
{
	char path[PATH_MAX];
	int err = scratch_dir_file(received->dir, received->pack_name, path, why);
	if (err == 0)
		err = indexed_pack_open(&received->pack, path, why);
	if (err)
		return err;
	size_t count = indexed_pack_count(received->pack);
	received->types = calloc(count + 1, sizeof(*received->types));
	received->parents = calloc(count + 1, sizeof(*received->parents));
	return received->types && received->parents ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for the objects of a push");
}

int received_pack_check(struct received_pack *received, struct why *why)
{
	int err = open_pack(received, why);
	if (err == 0)
		err = scan_all(received, why);
	/* From here on things are found in the store, or put there, that no name needs yet: an open upload keeps them. */
	if (err == 0)
		err = upload_open(&received->upload, received->gateway->store, &received->repo->id, why);
	return err ? err : received_pointers_check(received, why);
}

void received_pack_close(struct received_pack *received)
{
	if (received->upload)
		upload_close(received->upload);
	received_blobs_unmap(received);
	indexed_pack_close(received->pack);
	free(received->types);
	free(received->parents);
	free(received->edges);
	received->upload = NULL;
	received->pack = NULL;
	received->types = NULL;
	received->parents = NULL;
	received->edges = NULL;
}

/* ------------------------------------------------------------------ look-ups */

int received_pack_type(struct received_pack *received, const struct oid *oid, unsigned *type)
{
	uint32_t position;
	uint64_t length;
	if (received->pack && indexed_pack_find(received->pack, oid, &position)) {
		*type = received->types[position];
		return 0;
	}
	return received->known ? object_dir_header(received->known, oid, type, &length) : ERR_NOT_FOUND;
}

int received_pack_read(struct received_pack *received, const struct oid *oid, unsigned *type, struct span *payload)
{
	uint32_t position;
	if (received->pack && indexed_pack_find(received->pack, oid, &position))
		return indexed_pack_read(received->pack, position, type, payload, NULL);
	return received->known ? object_dir_read(received->known, oid, type, payload) : ERR_NOT_FOUND;
}
