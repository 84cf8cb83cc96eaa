/* ssh_shell.h - what the parts of `cairn ssh-shell` share. */
#ifndef CAIRN_OPS_CAIRN_SSH_SHELL_H
#define CAIRN_OPS_CAIRN_SSH_SHELL_H

/* Serves one push: the client is at standard input and output. `url` is the repository's address as this machine reaches it ("http://127.0.0.1:8080/ada/stones.git"),
 * `authorization` the value of the header. The exit status. */
int ssh_push(const char *url, const char *authorization, const char *ca_file);

#endif
