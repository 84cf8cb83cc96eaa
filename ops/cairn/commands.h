/* commands.h - the nouns. Each takes argv[0] = its own name and returns an exit status; what it prints for a person goes to stdout,
 * complaints go to stderr, and --json makes stdout one JSON value. */
#ifndef CAIRN_OPS_CAIRN_COMMANDS_H
#define CAIRN_OPS_CAIRN_COMMANDS_H

#include "ops/cairn/settings.h"

int cluster_main(const struct settings *settings, int argc, char **argv);
/* Verbs of cluster: recover.c, repair.c */
int cluster_recover(const struct settings *settings, int argc, char **argv);
int cluster_repair(const struct settings *settings, int argc, char **argv);
int status_main(const struct settings *settings, int argc, char **argv);
int stats_main(const struct settings *settings, int argc, char **argv);
int user_main(const struct settings *settings, int argc, char **argv);
int audit_main(const struct settings *settings, int argc, char **argv);
int org_main(const struct settings *settings, int argc, char **argv);
int token_main(const struct settings *settings, int argc, char **argv);
int app_main(const struct settings *settings, int argc, char **argv);
int key_main(const struct settings *settings, int argc, char **argv);
int ssh_keys_main(const struct settings *settings, int argc, char **argv);
int ssh_shell_main(const struct settings *settings, int argc, char **argv);
int repo_main(const struct settings *settings, int argc, char **argv);
/* Verbs of repo: protect.c */
int protect_main(const struct settings *settings, int argc, char **argv);
int unprotect_main(const struct settings *settings, int argc, char **argv);
int quota_main(const struct settings *settings, int argc, char **argv);
int gc_main(const struct settings *settings, int argc, char **argv);
int scrub_main(const struct settings *settings, int argc, char **argv);
int index_main(const struct settings *settings, int argc, char **argv);
int operation_main(const struct settings *settings, int argc, char **argv);
int dump_main(const struct settings *settings, int argc, char **argv);
int dump_volume(const struct settings *settings, const char *path);
int backup_main(const struct settings *settings, int argc, char **argv);
int restore_main(const struct settings *settings, int argc, char **argv);
int fsck_main(const struct settings *settings, int argc, char **argv);

#endif
