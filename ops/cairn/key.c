/* key.c - `cairn key add|list|remove`: SSH keys of users. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/table.h"
#include "schemas/ssh_public_key.h"

/* The whole of a file ("-": standard input) as text. 0: told. */
static size_t read_file(const char *path, char *out, size_t size)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	size_t length = file ? fread(out, 1, size, file) : 0;
	if (!file)
		fprintf(stderr, "cairn: %s: %m\n", path);
	else if (length == 0 || length == size)
		fprintf(stderr, "cairn: %s is %s\n", path, length ? "too large for a public key" : "empty");
	if (file && file != stdin)
		fclose(file);
	return length == size ? 0 : length;
}

static int add(const struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = { { "title", required_argument, NULL, 't' }, { NULL, 0, NULL, 0 } };
	const char *title = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return usage_error("key", "key add does not take that");
		title = optarg;
	}
	if (optind + 2 != argc)
		return usage_error("key", "key add wants USER and FILE");
	char text[SSH_KEY_LINE_BYTES_MAX + 1];
	size_t length = read_file(argv[optind + 1], text, sizeof(text));
	if (length == 0)
		return EXIT_FAILED;
	struct ssh_public_key parsed; /* refused here first: a private key never leaves the machine */
	struct why why = { 0 };
	if (ssh_public_key_parse(&parsed, span_of(text, length), &why) != 0) {
		fprintf(stderr, "cairn: %s\n", why.text);
		return EXIT_FAILED;
	}
	json_t *body = json_pack("{s:s, s:s++, s:s}", "user", argv[optind], "key", parsed.type, " ", parsed.base64, "title",
		title ? title : parsed.comment);
	json_t *key = api_once(settings, "POST", body, "/api/admin/ssh-keys");
	if (!key)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(key);
	printf("added %s to %s\n", member_text(key, "fingerprint"), member_text(key, "user"));
	json_decref(key);
	return EXIT_OK;
}

static int list(const struct settings *settings, const char *user)
{
	json_t *keys = user ? api_once(settings, "GET", NULL, "/api/admin/ssh-keys?user=%s", user) : api_once(settings, "GET", NULL, "/api/admin/ssh-keys");
	if (!keys)
		return EXIT_FAILED;
	if (settings->json)
		return print_json(keys);
	struct table *table = table_open((const char *const[]){ "USER", "TITLE", "TYPE", "FINGERPRINT", "CREATED", NULL });
	size_t i;
	json_t *key;
	json_array_foreach(keys, i, key)
		table_row(table, (const char *const[]){ member_text(key, "user"), member_text(key, "title"), member_text(key, "type"),
			member_text(key, "fingerprint"), member_text(key, "created_at") });
	table_print(table);
	json_decref(keys);
	return EXIT_OK;
}

static int remove_key(const struct settings *settings, const char *fingerprint)
{
	return print_done(settings, api_once(settings, "DELETE", NULL, "/api/admin/ssh-keys/%s", fingerprint),
		"removed; nobody gets in with it any more");
}

int key_main(const struct settings *settings, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	if (strcmp(verb, "add") == 0)
		return add(settings, argc - 1, argv + 1);
	if (strcmp(verb, "list") == 0 && argc <= 3)
		return list(settings, argc == 3 ? argv[2] : NULL);
	if (strcmp(verb, "remove") == 0 && argc == 3)
		return remove_key(settings, argv[2]);
	return usage_error("key", "key wants add USER FILE, list [USER] or remove FINGERPRINT");
}
