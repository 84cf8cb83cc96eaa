/* push_known.c - what becomes reachable with a push without being in its pack.
 *
 * The pack and the commands name known commits. Those that a ref reaches were looked at when they came and what they need is kept since; most are tips of refs. For
 * the rest git is asked which commits no ref reaches yet, and these are walked like new ones (gateway/repo/received_walk.h).
 *
 * The refs are those of now, not of the cached repository: what a ref reached then may have been dropped since. And one that is deleted while a garbage
 * collection is under way may keep nothing any more when that asks: meanwhile all that the known commits reach is claimed anew first (repo_renew_all). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/git/cache_files.h"
#include "gateway/git/process.h"
#include "gateway/git/push.h"
#include "gateway/repo/oid_set.h"
#include "gateway/repo/received_walk.h"
#include "schemas/git_object.h"

enum {
	EDGES_MAX = 1 << 20,
	TAGS_DEEP_MAX = 16,          /* tags of tags */
	LIST_WALL_MS = 10 * 60 * 1000,
	LINE_BYTES = 2 * OID_BYTES + 1,
	TIPS_MAX = 1 << 20,
};

struct known {
	struct push *push;
	struct received_walk *walk;
	struct oid_set seen;        /* edges */
	struct buffer edges;        /* struct oid: known commits that become reachable */
	struct oid_set tips;        /* of refs */
	struct buffer list;         /* what git is asked: "^OID\n" of each tip, "OID\n" of each edge that is none */
	struct why *why;
};

static int add_line(struct known *known, const char *mark, const struct oid *oid)
{
	char line[LINE_BYTES + 1];
	hex_encode(line, oid->bytes, OID_BYTES);
	line[LINE_BYTES - 1] = '\n';
	buffer_append_text(&known->list, mark);
	int err = buffer_append(&known->list, line, LINE_BYTES);
	return err ? why_set(known->why, err, "the push rests on too many commits; push in parts") : 0;
}

static int add_tip(void *context, const struct ref *ref)
{
	struct known *known = context;
	int added = oid_set_add(&known->tips, &ref->oid);
	if (added == ERR_TOO_BIG)
		return 0;
	return added > 0 ? add_line(known, "^", &ref->oid) : added;
}

/* A known object that becomes reachable. */
static int add_edge(void *context, const struct oid *oid)
{
	struct known *known = context;
	struct object_dir *objects = known->push->received.known;
	struct oid at = *oid;
	unsigned type = GIT_TAG;
	int added, err = 0;
	for (int deep = 0; err == 0 && type == GIT_TAG; deep++) {
		struct span payload;
		enum git_type target;
		uint64_t length;
		err = object_dir_header(objects, &at, &type, &length);
		if (err == 0 && type == GIT_TAG)
			err = deep == TAGS_DEEP_MAX ? ERR_TOO_BIG : object_dir_read(objects, &at, &type, &payload);
		if (err == 0 && type == GIT_TAG)
			err = git_tag_object_of(payload, &at, &target);
	}
	if (err)
		return why_set(known->why, err, "an object that the push names cannot be read");
	if (type != GIT_COMMIT)
		return received_walk_known(known->walk, &at, known->why);
	added = oid_set_add(&known->seen, &at); /* looked at once */
	if (added > 0)
		added = buffer_append(&known->edges, &at, sizeof(at));
	return added < 0 ? why_set(known->why, added, "the push rests on too many commits; push in parts") : 0;
}

static int add_commands(struct known *known)
{
	struct push *push = known->push;
	int err = 0;
	for (size_t i = 0; i < push->commands.count && err == 0; i++) {
		const struct oid *oid = &push->commands.commands[i].new_oid;
		uint32_t position;
		bool is_known = !git_oid_is_zero(oid) && !push->refs[i].reason[0] && !push->refs[i].done && object_dir_has(push->received.known, oid);
		if (is_known && !(push->received.pack && indexed_pack_find(push->received.pack, oid, &position)))
			err = add_edge(known, oid);
	}
	return err;
}

/* ------------------------------------------------------------------ what no ref reaches */

static int write_list(struct known *known, int *fd)
{
	char path[PATH_MAX];
	int err = scratch_dir_file(&known->push->dir, "known", path, known->why);
	if (err)
		return err;
	*fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*fd < 0)
		return files_error(known->why, "write", path);
	err = files_write_all(*fd, known->list.data, known->list.length, known->why);
	return err == 0 && lseek(*fd, 0, SEEK_SET) != 0 ? files_error(known->why, "read", path) : err;
}

/* Lines of 40 digits; a commit each. */
static int walk_listed(struct known *known, struct git_process *process)
{
	char data[LINE_BYTES * 256];
	size_t length = 0;
	int64_t got;
	while ((got = git_process_read(process, data + length, sizeof(data) - length, true, known->why)) > 0) {
		size_t at = 0;
		length += (size_t)got;
		for (; length - at >= LINE_BYTES; at += LINE_BYTES) {
			struct oid oid;
			int err = hex_decode(oid.bytes, OID_BYTES, data + at, LINE_BYTES - 1) == 0 ? received_walk_known(known->walk, &oid, known->why) : ERR_CORRUPT;
			if (err)
				return err;
		}
		memmove(data, data + at, length - at);
		length -= at;
	}
	return (int)got;
}

static int walk_unreached(struct known *known, const char *repo_dir)
{
	struct push *push = known->push;
	static const char *const arguments[] = { "rev-list", "--ignore-missing", "--stdin", NULL };
	struct git_command command = { .arguments = arguments, .directory = repo_dir, .output = GIT_FD_PIPE, .wall_ms_max = LIST_WALL_MS };
	struct git_process *process;
	int fd = -1;
	int err = write_list(known, &fd);
	command.input = fd;
	if (err == 0)
		err = git_process_start(&process, &command, known->why);
	if (err == 0) {
		if (!push_show_process(push, process))
			err = why_set(known->why, ERR_CLOSED, "the push was given up");
		else
			err = walk_listed(known, process);
		if (err == 0)
			err = git_process_end(process, known->why);
		push_show_process(push, NULL);
		git_process_close(process);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* Asks git about those that are no tips. */
static int check_edges(struct known *known, const struct oid *edges, size_t count, const char *repo_dir)
{
	struct push *push = known->push;
	size_t listed = 0;
	int err = repo_renew_all(push->gateway, &push->repo.id, edges, count, known->why);
	if (err == 0)
		err = ref_list(push->gateway->ns, NULL, &push->repo.id, "", add_tip, known);
	for (size_t i = 0; i < count && err == 0; i++) {
		int added = oid_set_add(&known->tips, &edges[i]);
		listed += added != 0;
		err = added == 0 ? 0 : added > 0 || added == ERR_TOO_BIG ? add_line(known, "", &edges[i]) : added;
	}
	return err || listed == 0 ? err : walk_unreached(known, repo_dir);
}

static int check(struct known *known, const char *repo_dir)
{
	struct push *push = known->push;
	int err = received_walk_pack(known->walk, known->why);
	if (err == 0)
		err = received_edges(&push->received, add_edge, known, known->why);
	if (err == 0)
		err = add_commands(known);
	if (err == 0)
		err = check_edges(known, (const struct oid *)known->edges.data, known->edges.length / sizeof(struct oid), repo_dir);
	return err ? err : received_walk_verdict(known->walk, known->why);
}

int push_check_known(struct push *push, const char *repo_dir, struct why *why)
{
	struct known known = { .push = push, .why = why };
	oid_set_init(&known.seen, EDGES_MAX);
	oid_set_init(&known.tips, TIPS_MAX);
	buffer_init(&known.edges, EDGES_MAX * sizeof(struct oid));
	buffer_init(&known.list, (size_t)(EDGES_MAX + TIPS_MAX) * (LINE_BYTES + 1));
	int err = received_walk_open(&known.walk, &push->received);
	if (err == 0)
		err = check(&known, repo_dir);
	received_walk_close(known.walk);
	oid_set_fini(&known.seen);
	oid_set_fini(&known.tips);
	buffer_fini(&known.edges);
	buffer_fini(&known.list);
	if (err == ERR_INVALID)
		push_refuse_all(push, why->text);
	return err;
}
