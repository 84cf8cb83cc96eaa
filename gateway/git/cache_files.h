/* cache_files.h - the few things that the cache of repositories does to a file system. Private to gateway/git. */
#ifndef CAIRN_GATEWAY_GIT_CACHE_FILES_H
#define CAIRN_GATEWAY_GIT_CACHE_FILES_H

#include "schemas/buffer.h"
#include "schemas/error.h"

/* ERR_NO_SPACE or ERR_IO from errno, with what could not be done in `why`. */
int files_error(struct why *why, const char *what, const char *path);
/* 0 or -1 with errno; a directory that exists is fine. */
int files_make_directory(const char *path);
/* Removes a file or a directory with all that is in it; what is not there is no error. 0 or ERR_IO. Never follows links. */
int files_remove(const char *path);
/* Whole content by rename: readers see the old or the new, never a part. `path` and `temporary` are on one file system. */
int files_replace(const char *path, const char *temporary, struct span content, struct why *why);
/* Appends the content to `out`, up to its limit. 0, ERR_NOT_FOUND, ERR_TOO_BIG, ERR_IO. */
int files_read(const char *path, struct buffer *out);
int files_write_all(int fd, const void *data, size_t length, struct why *why);
/* Bytes of all files below `path`. */
uint64_t files_bytes(const char *path);
/* Free bytes for this process on the file system of `path`, and its size; 0 when it does not tell. */
void files_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes);

#endif
