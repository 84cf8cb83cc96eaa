/* backup_volume.h - which volume it is that a backup holds.
 *
 * Ids count from 1 on every node, and lengths are often equal: neither tells volumes of two nodes apart. The salt in a volume's head does. A hub that was
 * restored writes on in a volume whose salt is also that of the hub it is a copy of, so the time of the last write belongs to the mark too: "SALT-TIME",
 * each in 16 hex digits. A file of a backup is called after id and mark, and what has another mark never takes its place.
 *
 * A volume is an object of the manifest: {id, bytes, final, mark}. Without a mark it is of a version that did not know any: it is restored, and copied
 * again. */
#ifndef CAIRN_OPS_CAIRN_BACKUP_VOLUME_H
#define CAIRN_OPS_CAIRN_BACKUP_VOLUME_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum { BACKUP_VOLUME_NAME_BYTES = 64 };

/* "volumes/00000001-MARK.vol", or "volumes/00000001.vol" of one without a mark. */
void backup_volume_name(char out[BACKUP_VOLUME_NAME_BYTES], const json_t *volume);
/* True when a manifest may say so: an id of 32 bits, and a mark that leads nowhere else. */
bool backup_volume_is_plain(const json_t *volume);
/* Where it is in a data directory. 0, or 1: told. */
int backup_volume_path(char out[PATH_MAX], const char *data_dir, const json_t *volume);
/* Gives it the mark of the file in the data directory, which must be read before the file is. 0, or 1: told. */
int backup_volume_mark(json_t *volume, const char *data_dir);
/* NULL: there is none of this id. */
const json_t *backup_volume_find(const json_t *manifest, uint64_t id);
/* True when the manifest names the very file. */
bool backup_volume_is_named(const json_t *manifest, const json_t *volume);
/* The same of the name of a file in volumes/. One that has no mark in its name is none of a backup's: true. */
bool backup_volume_file_is_named(const json_t *manifest, const char *file);

#endif
