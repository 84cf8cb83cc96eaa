/* downloads.h - counts what is fetched, without slowing it down.
 *
 * What counts: a file that is found by path, whether its bytes are asked for (GET) or only its head (clients that fetch bytes by Xet, or have them already,
 * ask for no more), and what names no path: a right to read by Xet, a fetch or clone by git, which may be a bundle, and addresses of LFS objects; once per caller, file and DOWNLOAD_WINDOW_S seconds, so that the many ranges and retries of one download are one.
 * Of a repository as a whole, its files are one: who fetches a hundred files within the window has downloaded it once. A caller is a user, or an address
 * with the name of its program.
 *
 * DESIGN. On the way of a request there is a look into a table of recent downloads (atomics, no lock), and only for a new one a short lock. A thread carries the
 * counts to the state machine every few seconds, as one command. Tables are bounded: when recent downloads crowd each other out some count twice, and files
 * beyond what a flush holds count for their repository alone. A crash loses the counts of the last seconds, never more. */
#ifndef CAIRN_GATEWAY_DOWNLOADS_H
#define CAIRN_GATEWAY_DOWNLOADS_H

#include "gateway/auth/auth.h"

enum {
	DOWNLOAD_WINDOW_S = 300,
	DOWNLOAD_FLUSH_MS = 2000,
	DOWNLOAD_RECENT_MAX = 1 << 16,    /* slots: 512 KiB */
	DOWNLOAD_PENDING_MAX = 4096,      /* counts between flushes */
};

struct downloads;

int downloads_open(struct downloads **out, struct namespace *ns, struct why *why);
/* [blocks] Carries over what is counted, then ends. */
void downloads_close(struct downloads *downloads);

/* Any thread, never waits. `path` "" : the repository alone. `downloads` may be NULL. */
void downloads_count(struct downloads *downloads, struct http_request *request, const struct actor *actor, const struct repo *repo, struct span path);

#endif
