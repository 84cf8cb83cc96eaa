/* git_run.h - stock git as a child of `cairn`, for imports and mirrors.
 *
 * It is the operator's own git: their credential helpers, SSH keys and proxies work. What it must know beside goes through its environment: settings as
 * GIT_CONFIG_KEY_n and _VALUE_n, secrets as variables that a credential helper reads. So no secret is ever an argument, which others can see, or in a
 * file. Children die with us. */
#ifndef CAIRN_OPS_CAIRN_GIT_RUN_H
#define CAIRN_OPS_CAIRN_GIT_RUN_H

#include <stdbool.h>

#include "schemas/buffer.h"

enum { GIT_RUN_SETTINGS_MAX = 32, GIT_RUN_TEXT_BYTES_MAX = 4096 };

/* What one git is told beside its arguments. Zero-initialise; texts are copied. */
struct git_settings {
	struct { char *key, *value; } config[GIT_RUN_SETTINGS_MAX];
	struct { char *name, *value; } variables[GIT_RUN_SETTINGS_MAX];
	size_t config_count, variables_count;
};
void git_settings_config(struct git_settings *settings, const char *key, const char *value);
void git_settings_variable(struct git_settings *settings, const char *name, const char *value);
/* Wipes the values. */
void git_settings_free(struct git_settings *settings);

/* [blocks] Runs "git ARGUMENTS" (NULL ends) on the repository `git_dir` (NULL: none). Its output goes to `out`, or to our standard error when that is NULL;
 * `input` (may be empty) to its standard input. The exit status, 128 + signal, or 127: could not be started, told. */
int git_run_arguments(const struct git_settings *settings, const char *git_dir, const char *const *arguments, struct span input, struct buffer *out);

/* The same with the words written out: git_run_words(settings, dir, out, "fetch", "origin", NULL). */
int git_run_words(const struct git_settings *settings, const char *git_dir, struct buffer *out, const char *word, ...) __attribute__((sentinel));

#endif
