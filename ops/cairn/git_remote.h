/* git_remote.h - the other end of an import or mirror: an address or a folder, and the credentials that were written into it. */
#ifndef CAIRN_OPS_CAIRN_GIT_REMOTE_H
#define CAIRN_OPS_CAIRN_GIT_REMOTE_H

#include "ops/cairn/git_run.h"
#include "ops/cairn/settings.h"

struct git_remote {
	char url[GIT_RUN_TEXT_BYTES_MAX];      /* without user and password; fit to be shown */
	char host_url[GIT_RUN_TEXT_BYTES_MAX]; /* "https://host:port", when there are credentials */
	char user[256], password[1024];
};

/* Reads http(s), ssh, git and file addresses, "host:path" and folders. `text` is wiped where it held credentials, so that lists of processes do not show
 * them any longer. 0 or EXIT_USAGE: told. */
int git_remote_read(struct git_remote *out, const char *noun, char *text);
/* The hub's own repository. 0 or EXIT_FAILED: told. */
int git_remote_hub(struct git_remote *out, const struct settings *settings, const char *type_plural, const char *id);
void git_remote_wipe(struct git_remote *remote);

/* Tells git that `name` is this remote, and how to log in there. */
void git_remote_settings(struct git_settings *out, const char *name, const struct git_remote *remote);
/* The same for the hub, with the operator's token. 0 or EXIT_FAILED: told. */
int git_remote_hub_settings(struct git_settings *out, const char *name, const struct git_remote *remote, const struct settings *settings);

#endif
