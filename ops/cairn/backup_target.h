/* backup_target.h - where `cairn backup` puts a hub's files and `cairn restore` takes them from: a directory, or a bucket of an S3 service.
 *
 * Names are relative ("volumes/00000001.vol"), of letters, digits, dots, dashes and slashes: made by this program, or checked (backup_name_is_plain). One thread.
 * Every call returns 0, or 1 after a sentence on stderr. */
#ifndef CAIRN_OPS_CAIRN_BACKUP_TARGET_H
#define CAIRN_OPS_CAIRN_BACKUP_TARGET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ops/cairn/copy.h"

struct backup_target {
	/* Ready to take a backup: makes a directory; refuses one that holds something else, or that another backup goes into. */
	int (*prepare)(struct backup_target *target);
	/* [blocks] The file is there whole and durable, or as it was before. `length` UINT64_MAX: all of `from`. */
	int (*put_file)(struct backup_target *target, const char *name, const char *from, uint64_t length, copy_step step, void *context);
	int (*put_text)(struct backup_target *target, const char *name, const char *text);
	/* Names that were put before are durable too. */
	int (*settle)(struct backup_target *target);
	/* [blocks] To a file of mode 0600 that appears when it is whole and synced. */
	int (*get_file)(struct backup_target *target, const char *name, const char *to, uint64_t length, copy_step step, void *context);
	/* *out is malloc'ed, NULL: there is none. At most BACKUP_TEXT_BYTES_MAX. */
	int (*get_text)(struct backup_target *target, const char *name, char **out);
	/* True when it is there, of that length. */
	bool (*has)(struct backup_target *target, const char *name, uint64_t length);
	/* What cannot be removed stays: nothing names it. */
	void (*remove)(struct backup_target *target, const char *name);
	/* Removes volumes that the manifest (NULL: there is none) does not name: what backups left that were cut short. In a bucket it stays. */
	void (*sweep)(struct backup_target *target, const json_t *manifest);
	void (*close)(struct backup_target *target);
};

enum { BACKUP_TEXT_BYTES_MAX = 64 << 20 };

/* "s3://BUCKET/PREFIX", or a directory. */
int backup_target_open(struct backup_target **out, const char *where);
int backup_dir_open(struct backup_target **out, const char *dir);
/* Endpoint, region and keys come from the environment, under the names that the AWS tools use: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION,
 * AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. */
int backup_s3_open(struct backup_target **out, const char *url);

/* True for a name that leads nowhere else. */
bool backup_name_is_plain(const char *name);

#endif
