/* push_pack.c - the pack of a push, made whole and looked through. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/git/process.h"
#include "gateway/git/push.h"
#include "gateway/store_caller.h"
#include "schemas/git_object.h"

enum {
	EMPTY_PACK_BYTES = GIT_PACK_HEADER_BYTES + OID_BYTES,
	INDEX_CPU_S_MAX = 3600,
	INDEX_WALL_MS_MAX = 2 * 3600 * 1000,
	SAID_BYTES_MAX = 900, /* of a line */
	SAID_LINES_MAX = 20,
};
#define INDEX_MEMORY_BYTES_MAX ((uint64_t)2 << 30)

static const char pack_name[] = "push.pack";

/* git's own words for the client's terminal, every line of them marked; lines that name files of this machine are kept back. */
static void say(struct push *push, const char *said)
{
	for (int lines = 0; *said && lines < SAID_LINES_MAX; lines++) {
		size_t length = strcspn(said, "\n");
		if (!memmem(said, length, push->gateway->data_dir, strlen(push->gateway->data_dir)))
			push_answer_sayf(push->answer, "index-pack: %.*s\n", (int)(length < SAID_BYTES_MAX ? length : SAID_BYTES_MAX), said);
		said += length + (said[length] == '\n');
	}
}

static int index_pack(struct push *push, const char *repo_dir, struct why *why)
{
	char path[PATH_MAX], size[64], git_dir[PATH_MAX + 16], objects[PATH_MAX + 32], alternates[PATH_MAX + 64];
	int err = scratch_dir_file(&push->dir, pack_name, path, why);
	if (err)
		return err;
	snprintf(size, sizeof(size), "--max-input-size=%llu", (unsigned long long)PUSH_PACK_BYTES_MAX);
	snprintf(git_dir, sizeof(git_dir), "GIT_DIR=%s", repo_dir);
	snprintf(objects, sizeof(objects), "GIT_OBJECT_DIRECTORY=%s", push->dir.path);
	snprintf(alternates, sizeof(alternates), "GIT_ALTERNATE_OBJECT_DIRECTORIES=%s/objects", repo_dir);
	/* Blobs beyond the limit of regular files are hashed in passing; everything else has to fit into the memory that the process may have. What it writes is
	 * made durable by the store. */
	const char *const arguments[] = { "-c", "core.fsync=none", "-c", "core.bigFileThreshold=16m", "-c", "core.packedGitWindowSize=32m", "-c", "core.packedGitLimit=512m", "index-pack",
		"--stdin", "--fix-thin", "--strict", "--rev-index", "--threads=2", size, path, NULL };
	const char *const environment[] = { git_dir, objects, alternates, NULL };
	struct git_command command = { .arguments = arguments, .environment = environment, .directory = push->dir.path, .input = push->fd, .output = GIT_FD_NONE,
		.wall_ms_max = INDEX_WALL_MS_MAX, .cpu_s_max = INDEX_CPU_S_MAX, .memory_bytes_max = INDEX_MEMORY_BYTES_MAX,
		.file_bytes_max = 2 * PUSH_PACK_BYTES_MAX };
	struct git_process *process;
	if (lseek(push->fd, 0, SEEK_SET) < 0)
		return why_set(why, ERR_IO, "the pack cannot be read back: %s", strerror(errno));
	err = git_process_start(&process, &command, why);
	if (err)
		return err;
	if (!push_show_process(push, process)) {
		git_process_close(process);
		return why_set(why, ERR_CLOSED, "the push was given up");
	}
	err = git_process_end(process, why);
	if (!push_show_process(push, NULL))
		err = why_set(why, ERR_CLOSED, "the push was given up");
	if (err == ERR_IO) {
		say(push, git_process_said(process));
		err = ERR_CORRUPT; /* what was sent is no sound pack */
	}
	git_process_close(process);
	return err;
}

/* A push of refs to what is here already comes with a pack of no objects. */
static int is_empty(struct push *push, bool *empty, struct why *why)
{
	uint8_t header[GIT_PACK_HEADER_BYTES];
	uint32_t count;
	*empty = false;
	if (push->fd < 0 || pread(push->fd, header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
		git_pack_header_decode(span_of(header, sizeof(header)), &count) != 0)
		return why_set(why, ERR_CORRUPT, "no pack came with the push");
	*empty = count == 0 && push->pack_bytes == EMPTY_PACK_BYTES;
	return 0;
}

/* As it came: git has a copy of its own. */
static void release_received(struct push *push)
{
	char path[PATH_MAX];
	close(push->fd);
	push->fd = -1;
	if (scratch_dir_file(&push->dir, PUSH_RECEIVED_NAME, path, NULL) == 0)
		unlink(path);
}

static void fail_unpack(struct push *push, const char *reason)
{
	snprintf(push->unpack, sizeof(push->unpack), "%.*s", PUSH_REASON_BYTES_MAX, reason);
	push_refuse_all(push, "unpacker error");
}

static bool is_awaited(void *context)
{
	struct push *push = context;
	return !push->received.cancelled;
}

int push_take_pack(struct push *push, struct object_dir *known, const char *repo_dir, struct why *why)
{
	bool empty;
	push->received.gateway = push->gateway;
	push->received.repo = &push->repo;
	push->received.dir = &push->dir;
	push->received.pack_name = pack_name;
	push->received.known = known;
	push->received.messages = &push->messages;
	push->received.caller = (struct store_caller){ .waits = is_awaited, .context = push, .who = store_caller_who(push->actor.name) };
	int err = is_empty(push, &empty, why);
	if (err == 0 && empty)
		return 0;
	if (err == 0)
		err = index_pack(push, repo_dir, why);
	if (err == ERR_CORRUPT) {
		fail_unpack(push, push->fd < 0 ? why->text : "index-pack failed");
		return ERR_INVALID;
	}
	if (err)
		return err;
	release_received(push);
	push->has_pack = true;
	err = received_pack_check(&push->received, why);
	if (err == ERR_INVALID)
		push_refuse_all(push, why->text);
	return err;
}
