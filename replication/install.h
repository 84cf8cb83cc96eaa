/* install.h - a group's state, copied from one node to another while both serve.
 *
 * DESIGN. The source takes a RocksDB snapshot and sends all pairs of the group in key order, a few hundred KiB at a time; nothing is held in memory
 * and nothing else waits. The copy may be newer than what was asked for: a state may run ahead of its log, entries that come again are
 * skipped. The receiver writes table files of INSTALL_FILE_BYTES into DIR/install-GROUP, synced; then one synchronous write of the log store drops the
 * group's log, puts the snapshot record and notes the intent; then all files are ingested at once, which is atomic; then the intent goes. A
 * crash before the intent leaves the old state and log, one after it is finished at the next start. A copy that breaks off begins anew, from
 * whichever node has the state. */
#ifndef CAIRN_REPLICATION_INSTALL_H
#define CAIRN_REPLICATION_INSTALL_H

#include "replication/applier.h"
#include "replication/peer_stream.h"

#include <limits.h>

enum {
	INSTALL_FILE_BYTES = 64 << 20,
	INSTALL_MS_MAX = 30 * 60 * 1000, /* a source keeps its snapshot and its log for at most that long */
};

void install_dir(char out[PATH_MAX], const char *dir, uint32_t group);
/* Removes what is staged. */
void install_discard(const char *dir, uint32_t group);

/* [blocks] The source's side of one FRAME_STATE call, already received; *stop is looked at between frames. */
int install_serve(struct peer_stream *stream, rocksdb_t *db, uint32_t group, uint64_t index, const atomic_bool *stop, struct why *why);
/* [blocks] Asks for the state of `group` at `index` or later and stages it. */
int install_fetch(struct peer_stream *stream, const char *dir, uint32_t group, uint64_t index, const atomic_bool *stop, struct why *why);

#endif
