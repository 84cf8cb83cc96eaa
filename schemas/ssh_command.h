/* ssh_command.h - what a git client asks for over SSH: the text of SSH_ORIGINAL_COMMAND.
 *
 * It is a command line for a shell, and no shell ever sees it. Taken are
 *
 *   git-upload-pack PATH, git upload-pack PATH        clone, fetch
 *   git-receive-pack PATH, git receive-pack PATH      push
 *   git-lfs-authenticate PATH upload|download         where the LFS calls of the repository are, and a credential for them
 *
 * with one blank between the words, each bare or in single quotes, and PATH = [/][datasets/|spaces/|kernels/]OWNER/NAME[.git][/].
 * Bytes outside [A-Za-z0-9_.-/] have no place in a PATH. Everything else is refused with a sentence for the person at the other end.
 *
 * Pure; borrows the text. */
#ifndef CAIRN_SCHEMAS_SSH_COMMAND_H
#define CAIRN_SCHEMAS_SSH_COMMAND_H

#include "schemas/buffer.h"
#include "schemas/error.h"

enum { SSH_COMMAND_BYTES_MAX = 1024 };

enum ssh_service {
	SSH_GREETING = 0, /* no command: somebody tries whether their key works */
	SSH_UPLOAD_PACK,
	SSH_RECEIVE_PACK,
	SSH_LFS_DOWNLOAD,
	SSH_LFS_UPLOAD,
};

struct ssh_command {
	enum ssh_service service;
	const char *type;         /* "model", "dataset", "space", "kernel"; NULL for a greeting */
	struct span owner, name;  /* not empty; `name` without ".git" */
};

/* 0; ERR_INVALID: a path or operation that is none; ERR_UNSUPPORTED: another command. */
int ssh_command_parse(struct ssh_command *out, struct span text, struct why *why);

#endif
