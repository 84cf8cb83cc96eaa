/* downloads.h - how often repositories and their files were fetched.
 *
 * DESIGN. Group 1, beside what else a repository holds. Whoever serves bytes counts in memory (gateway/hub/downloads.h) and proposes many counts as one
 * command. Each repository's count also names the log index of its last change, under which it is filed: who follows the stream of changes finds
 * one change per command there, and here which repositories it was about, each once however often it changed. */
#ifndef CAIRN_REPLICATION_DOWNLOADS_H
#define CAIRN_REPLICATION_DOWNLOADS_H

#include "replication/day_counts.h"
#include "replication/namespace.h"

enum { DOWNLOADS_PER_COMMAND_MAX = 8192, DOWNLOAD_PATH_BYTES_MAX = 4096 };

struct download_count {
	struct entity_id repo;
	struct span path; /* "" : of the repository as a whole */
	uint64_t count;
};
/* [blocks] Adds all; repositories that are gone meanwhile are passed over. `id` NULL: made here. ERR_TOO_BIG: more than a command holds. */
int downloads_add(struct namespace *ns, const struct download_count *counts, size_t count, const struct command_id *id, struct why *why);

/* Zeros when there was none. */
int downloads_of_repo(struct namespace *ns, const struct namespace_snapshot *snapshot, const struct entity_id *repo, struct day_counts *out);
int downloads_of_file(struct namespace *ns, const struct entity_id *repo, struct span path, uint64_t *out);

/* Repositories whose counts changed behind log index `after`, in order, with the index of their last change. With `after_repo` (may be NULL) also those of
 * that index behind that repository: where a listing was stopped. */
int downloads_changed(struct namespace *ns, uint64_t after, const struct entity_id *after_repo,
	int (*each)(void *context, const struct entity_id *repo, uint64_t index), void *context);

#endif
