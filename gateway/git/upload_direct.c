/* upload_direct.c - an answer for one client alone: streamed from its process as the client takes it. */
#include <stdlib.h>

#include "gateway/git/process.h"
#include "gateway/git/stored_answer.h"
#include "gateway/git/upload_serving.h"

enum {
	DIRECT_WALL_MS = 6 * 3600 * 1000,      /* at the client's pace */
	FIRST_BYTES = 4096,
};

struct direct {
	struct gateway *gateway;
	struct git_process *process;
	struct git_lease lease;
	struct gate_pass pass;
	size_t first_begin, first_end;
	uint8_t first[FIRST_BYTES]; /* was read before the answer began */
};

static void direct_close(void *context)
{
	struct direct *direct = context;
	git_process_close(direct->process);
	git_cache_release(direct->gateway, &direct->lease);
	gate_leave(&direct->pass);
	free(direct);
}

static int64_t direct_read(void *context, void *out, size_t length, bool may_block)
{
	struct direct *direct = context;
	struct why why = { 0 };
	size_t held = direct->first_end - direct->first_begin;
	if (held) {
		size_t taken = held < length ? held : length;
		memcpy(out, direct->first + direct->first_begin, taken);
		direct->first_begin += taken;
		return (int64_t)taken;
	}
	int64_t got = git_process_read(direct->process, out, length, false, &why);
	if (got == ERR_AGAIN)
		gate_pass_waits(&direct->pass);
	if (got == ERR_AGAIN && may_block) {
		int err = git_process_wait(direct->process, STORED_WAIT_MS, &why);
		got = err ? err : git_process_read(direct->process, out, length, false, &why);
	}
	if (got > 0)
		gate_pass_got(&direct->pass, (size_t)got);
	if (got != 0)
		return got;
	if (!may_block)
		return ERR_AGAIN; /* its exit is waited for on a worker */
	int err = git_process_end(direct->process, &why);
	if (err && git_process_status(direct->process) != 128)
		return ERR_IO;
	if (err)
		git_cache_blame(direct->gateway, &direct->lease, git_process_said(direct->process));
	return 0;
}

int upload_serve_direct(struct serving *serving)
{
	struct gateway *gateway = serving->target->gateway;
	struct direct *direct = calloc(1, sizeof(*direct));
	struct git_command command = { .arguments = serving->arguments, .environment = serving->environment, .input = GIT_FD_NONE, .output = GIT_FD_PIPE,
		.wall_ms_max = DIRECT_WALL_MS };
	if (!direct)
		return ERR_NO_MEMORY;
	int err = request_body_fd(serving->body, &command.input, &serving->why);
	if (err == 0)
		err = git_process_start(&direct->process, &command, &serving->why);
	if (err) {
		free(direct);
		return err;
	}
	int64_t got = git_process_read(direct->process, direct->first, sizeof(direct->first), true, &serving->why);
	if (got <= 0) {
		err = got < 0 ? (int)got : git_process_end(direct->process, &serving->why);
		bool again = err && git_cache_blame(gateway, &serving->lease, git_process_said(direct->process));
		git_process_close(direct->process);
		free(direct);
		if (again)
			return ERR_AGAIN;
		if (err == 0)
			http_reply(serving->request, 200, upload_type(serving), span_of(NULL, 0)); /* a request that wants no answer */
		return err;
	}
	direct->gateway = gateway;
	direct->lease = serving->lease;
	direct->pass = serving->pass;
	direct->first_end = (size_t)got;
	gate_pass_got(&direct->pass, (size_t)got);
	serving->lease.repo = NULL;
	serving->pass.gate = NULL;
	upload_reply(serving, UINT64_MAX, (struct http_source){ .read = direct_read, .close = direct_close, .context = direct });
	return 0;
}
