/* copy.h - files and directories copied so that they survive a power cut. For `cairn backup` and `cairn restore`. */
#ifndef CAIRN_OPS_CAIRN_COPY_H
#define CAIRN_OPS_CAIRN_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called between pieces with the bytes copied since the last call. False: stop. */
typedef bool (*copy_step)(void *context, uint64_t bytes);

/* [blocks] Copies `length` bytes (UINT64_MAX: all) to a file of mode 0600 that appears under its name when it is whole and synced. 0, or 1: told on
 * stderr. `step` may be NULL. */
int copy_file(const char *from, const char *to, uint64_t length, copy_step step, void *context);
/* [blocks] The same, of what `fill` writes to a descriptor. It returns 0, or 1: told. */
int make_file(const char *to, int (*fill)(void *context, int fd), void *context);
/* Calls `each` with path and name ("a/b", from `dir` on) of every file in a directory and in those in it, but those called LOCK; what it returns, if not 0. */
int each_file(const char *dir, int (*each)(void *context, const char *path, const char *name), void *context);
/* [blocks] Every file of a directory and of the directories in it, to a directory that must not exist. */
int copy_directory(const char *from, const char *to, copy_step step, void *context);
/* [blocks] Writes `text` the same way. */
int write_file(const char *path, const char *text);
/* Makes the names in a directory durable, or in all directories below it too. */
int sync_directory(const char *path);
int sync_tree(const char *path);
/* 0700; one that exists is fine. */
int make_directory(const char *path);
/* Those below the first `root_length` bytes of a path that its file is in; the path is as it was. */
int make_parents(char *path, size_t root_length);
/* Removes a directory with the files in it and in the directories in it. */
void remove_directory(const char *path);
/* True when it is not there or holds nothing. */
bool directory_is_empty(const char *path);

#endif
