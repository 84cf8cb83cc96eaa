/* ssh_shell.c - `cairn ssh-shell`: the forced command of everybody who comes in over SSH.
 *
 * It runs as the hub's own user on the hub's machine, reads what the client wants from SSH_ORIGINAL_COMMAND, asks the hub who the key is and whether they
 * may, and serves exactly that: no shell, no other program, no file. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/git/process.h"
#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/ssh_shell.h"
#include "ops/cairn/table.h"
#include "schemas/ssh_command.h"

enum {
	EXIT_NO_SUCH_COMMAND = 127, /* as a shell says it: git-lfs then looks for another way */
	GIT_PROTOCOL_BYTES_MAX = 64,
	CLONE_MS_MAX = 24 * 3600 * 1000, /* over a slow line; the hub ends one whose client does next to nothing (gateway/git/lease_watch.h), git after 15 minutes */
};

/* The hub's answer, or NULL: told. */
static json_t *ask(const struct settings *settings, const struct ssh_command *command, const char *fingerprint)
{
	static const char *const services[] = { "greeting", "upload-pack", "receive-pack", "lfs-download", "lfs-upload" };
	json_t *body = json_pack("{s:s, s:s, s:I}", "key", fingerprint, "service", services[command->service], "pid", (json_int_t)getpid());
	if (command->type) {
		json_object_set_new(body, "type", json_string(command->type));
		json_object_set_new(body, "owner", json_stringn((const char *)command->owner.data, command->owner.length));
		json_object_set_new(body, "name", json_stringn((const char *)command->name.data, command->name.length));
	}
	json_t *session = api_once(settings, "POST", body, "/api/admin/ssh-session");
	return session;
}

static int greet(const json_t *session)
{
	printf("Hi %s, this is cairn. Your SSH key works; there is no shell here, only git clone, fetch and push.\n", member_text(session, "user"));
	return EXIT_OK;
}

/* What the client may say of its version of the protocol: "version=2" and its like. */
static bool is_protocol(const char *text)
{
	return strlen(text) <= GIT_PROTOCOL_BYTES_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789=:.-") == strlen(text);
}

static int serve_clone(const json_t *session)
{
	const char *protocol = getenv("GIT_PROTOCOL"), *directory = member_text(session, "directory");
	char variable[GIT_PROTOCOL_BYTES_MAX + 32];
	snprintf(variable, sizeof(variable), "GIT_PROTOCOL=%s", protocol && is_protocol(protocol) ? protocol : "");
	struct git_command command = {
		.arguments = (const char *const[]){ "upload-pack", "--strict", "--timeout=900", directory, NULL },
		.environment = (const char *const[]){ variable, NULL },
		.input = STDIN_FILENO,
		.output = STDOUT_FILENO,
		.wall_ms_max = CLONE_MS_MAX,
	};
	struct git_process *git;
	struct why why = { 0 };
	int err = git_process_start(&git, &command, &why);
	if (err == 0) {
		err = git_process_end(git, &why);
		git_process_close(git);
	}
	if (err)
		fprintf(stderr, "cairn: %s\n", why.text);
	return err ? EXIT_FAILED : EXIT_OK;
}

static int serve_push(const struct settings *settings, const json_t *session)
{
	char url[4096];
	int length = snprintf(url, sizeof(url), "%s%s", settings->url, member_text(session, "path"));
	signal(SIGPIPE, SIG_IGN);
	return length < (int)sizeof(url) ? ssh_push(url, member_text(session, "authorization"), settings->ca_file) : EXIT_FAILED;
}

static int show_lfs(const json_t *session)
{
	char href[4096];
	snprintf(href, sizeof(href), "%s/info/lfs", member_text(session, "url"));
	return print_json(json_pack("{s:s, s:{s:s}, s:I}", "href", href, "header", "Authorization", member_text(session, "authorization"), "expires_in",
		(json_int_t)member_u64(session, "expires_in")));
}

static int serve(const struct settings *settings, const struct ssh_command *command, const json_t *session)
{
	switch (command->service) {
	case SSH_GREETING: return greet(session);
	case SSH_UPLOAD_PACK: return serve_clone(session);
	case SSH_RECEIVE_PACK: return serve_push(settings, session);
	case SSH_LFS_DOWNLOAD:
	case SSH_LFS_UPLOAD: return show_lfs(session);
	}
	return EXIT_FAILED;
}

int ssh_shell_main(const struct settings *settings, int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "--key") != 0)
		return usage_error("ssh-shell", "ssh-shell wants --key FINGERPRINT");
	const char *text = getenv("SSH_ORIGINAL_COMMAND");
	struct ssh_command command;
	struct why why = { 0 };
	int err = ssh_command_parse(&command, span_text(text ? text : ""), &why);
	if (err) {
		fprintf(stderr, "cairn: %s\n", why.text);
		return err == ERR_UNSUPPORTED ? EXIT_NO_SUCH_COMMAND : EXIT_FAILED;
	}
	json_t *session = ask(settings, &command, argv[2]);
	if (!session)
		return EXIT_FAILED;
	int status = serve(settings, &command, session);
	json_decref(session);
	return status;
}
