/* ssh_keys.c - `cairn ssh-keys FINGERPRINT`: what sshd's AuthorizedKeysCommand wants to know of a key that a client offers.
 *
 * A known key gets one line that forces `cairn ssh-shell`; an unknown one gets nothing. The forced command runs later, from a shell of the same user in
 * their home, so everything in it is absolute, and a path that a shell would not take as it is is refused here. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops/cairn/api.h"
#include "ops/cairn/commands.h"
#include "ops/cairn/table.h"
#include "schemas/ssh_public_key.h"

static bool is_plain(const char *text)
{
	return *text && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@+=,%-[]") == strlen(text) && *text != '-';
}

static int print_line(const struct settings *settings, const char *fingerprint, const char *key)
{
	char self[PATH_MAX], token_file[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length <= 0 || !realpath(settings->token_file, token_file)) {
		fprintf(stderr, "cairn: %s: %m\n", length <= 0 ? "/proc/self/exe" : settings->token_file);
		return EXIT_FAILED;
	}
	self[length] = 0;
	const char *ca_file = settings->ca_file;
	if (!is_plain(self) || !is_plain(token_file) || !is_plain(settings->url) || (ca_file && !is_plain(ca_file))) {
		fprintf(stderr, "cairn: the paths of this program, of the token file and of --ca-file, and the address, may hold only letters, digits and _./:@+=,%%-\n");
		return EXIT_FAILED;
	}
	printf("command=\"%s --url %s --token-file %s%s%s ssh-shell --key %s\",restrict %s\n", self, settings->url, token_file,
		ca_file ? " --ca-file " : "", ca_file ? ca_file : "", fingerprint, key);
	return EXIT_OK;
}

/* sshd's %f is the fingerprint; %t and %k are type and base64, for those who prefer them. */
static int fingerprint_of(struct hash *out, int argc, char **argv)
{
	struct ssh_public_key key;
	char line[SSH_KEY_LINE_BYTES_MAX];
	if (argc == 2)
		return ssh_fingerprint_from_text(out, span_text(argv[1]));
	int length = argc == 3 ? snprintf(line, sizeof(line), "%s %s", argv[1], argv[2]) : -1;
	int err = length > 0 && length < (int)sizeof(line) ? ssh_public_key_parse(&key, span_text(line), NULL) : ERR_INVALID;
	if (err == 0)
		*out = key.fingerprint;
	return err;
}

int ssh_keys_main(const struct settings *settings, int argc, char **argv)
{
	struct hash fingerprint;
	if (argc != 2 && argc != 3)
		return usage_error("ssh-keys", "ssh-keys wants FINGERPRINT, or TYPE and KEY");
	if (fingerprint_of(&fingerprint, argc, argv) != 0)
		return EXIT_OK; /* a key of a kind that nobody can have here */
	char text[SSH_KEY_FINGERPRINT_BYTES], path[256];
	ssh_fingerprint_to_text(text, &fingerprint);
	struct api *api = api_open(settings);
	if (!api)
		return EXIT_FAILED;
	char *escaped = api_escape(api, text);
	snprintf(path, sizeof(path), "/api/admin/ssh-keys/%s", escaped);
	api_free(escaped);
	bool is_missing;
	json_t *key = api_find(api, path, &is_missing);
	api_close(api);
	if (!key)
		return is_missing ? EXIT_OK : EXIT_FAILED;
	int status = print_line(settings, text, member_text(key, "key"));
	json_decref(key);
	return status;
}
