/* What a client asks for over SSH: git's commands and git-lfs's, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "schemas/ssh_command.h"

static void taken(const char *text, enum ssh_service service, const char *type, const char *owner, const char *name)
{
	struct ssh_command command;
	struct why why = { 0 };
	if (ssh_command_parse(&command, span_text(text), &why) != 0)
		fail_msg("\"%s\": %s", text, why.text);
	assert_int_equal(service, command.service);
	assert_string_equal(type, command.type);
	assert_true(span_equal(command.owner, span_text(owner)));
	assert_true(span_equal(command.name, span_text(name)));
}

static void refused(const char *text, int err)
{
	struct ssh_command command;
	struct why why = { 0 };
	int got = ssh_command_parse(&command, span_text(text), &why);
	if (got != err)
		fail_msg("\"%s\": %s", text, err_name(got));
	assert_true(why.text[0] != 0);
}

static void the_commands_of_git_name_a_repository(void **state)
{
	(void)state;
	taken("git-upload-pack '/ada/stones.git'", SSH_UPLOAD_PACK, "model", "ada", "stones");
	taken("git-upload-pack 'ada/stones'", SSH_UPLOAD_PACK, "model", "ada", "stones");
	taken("git-upload-pack /ada/stones.git/", SSH_UPLOAD_PACK, "model", "ada", "stones");
	taken("git upload-pack '/ada/stones'", SSH_UPLOAD_PACK, "model", "ada", "stones");
	taken("git-receive-pack '/datasets/ada/stones.git'", SSH_RECEIVE_PACK, "dataset", "ada", "stones");
	taken("git-receive-pack 'spaces/Ada_1/a-b.c'", SSH_RECEIVE_PACK, "space", "Ada_1", "a-b.c");
	taken("git-receive-pack 'kernels/ada/k'", SSH_RECEIVE_PACK, "kernel", "ada", "k");
}

static void git_lfs_names_an_operation_too(void **state)
{
	(void)state;
	taken("git-lfs-authenticate ada/stones.git upload", SSH_LFS_UPLOAD, "model", "ada", "stones");
	taken("git-lfs-authenticate '/datasets/ada/stones.git' download", SSH_LFS_DOWNLOAD, "dataset", "ada", "stones");
	taken("git-lfs-authenticate 'ada/stones' 'download'", SSH_LFS_DOWNLOAD, "model", "ada", "stones");
}

static void no_command_is_a_greeting(void **state)
{
	(void)state;
	struct ssh_command command;
	assert_int_equal(0, ssh_command_parse(&command, span_of(NULL, 0), NULL));
	assert_int_equal(SSH_GREETING, command.service);
	assert_null(command.type);
}

static void other_commands_are_refused(void **state)
{
	(void)state;
	static const char *const others[] = { "ls", "bash", "sh -c id", "git", "git ", "git-", "git-shell", "git-upload-archive 'ada/stones.git'",
		"git-lfs-transfer ada/stones.git upload", "scp -t /tmp", "rsync --server", " git-upload-pack 'ada/stones'", "GIT-UPLOAD-PACK 'ada/stones'",
		"git  upload-pack 'ada/stones'", "/usr/bin/git-upload-pack 'ada/stones'", "internal-sftp", "git\tupload-pack 'ada/stones'" };
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		refused(others[i], ERR_UNSUPPORTED);
}

static void paths_that_are_none_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "git-upload-pack", "git-upload-pack ", "git-upload-pack ''", "git-upload-pack '", "git-upload-pack 'ada/stones",
		"git-upload-pack ada/stones'", "git-upload-pack 'ada/stones' ", "git-upload-pack 'ada/stones' x", "git-upload-pack 'ada/stones'x",
		"git-upload-pack '/'", "git-upload-pack '//'", "git-upload-pack 'ada'", "git-upload-pack '/ada/'", "git-upload-pack 'ada//stones'",
		"git-upload-pack 'a/b/c'", "git-upload-pack 'datasets/a/b/c'", "git-upload-pack '//ada/stones'", "git-upload-pack 'ada/$(id)'",
		"git-upload-pack 'ada/a;id'", "git-upload-pack 'ada/it'\\''s'", "git-upload-pack \"ada/stones\"", "git-upload-pack '~/ada/stones'",
		"git-upload-pack --strict 'ada/stones'", "git-upload-pack  'ada/stones'", "git-upload-pack 'ada/a\nb'", "git-receive-pack 'ada/b' 'c/d'",
		"git-upload-pack 'datasets/stones'",
		"git-lfs-authenticate", "git-lfs-authenticate ada/stones", "git-lfs-authenticate ada/stones delete",
		"git-lfs-authenticate ada/stones upload 0123", "git-lfs-authenticate ada upload" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(bad[i], ERR_INVALID);
	struct ssh_command command;
	assert_int_equal(ERR_INVALID, ssh_command_parse(&command, span_of("git-upload-pack 'ada/a\0b'", 25), NULL));
	char longest[SSH_COMMAND_BYTES_MAX + 2];
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(ERR_INVALID, ssh_command_parse(&command, span_of(longest, sizeof(longest)), NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_commands_of_git_name_a_repository),
		cmocka_unit_test(git_lfs_names_an_operation_too),
		cmocka_unit_test(no_command_is_a_greeting),
		cmocka_unit_test(other_commands_are_refused),
		cmocka_unit_test(paths_that_are_none_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
