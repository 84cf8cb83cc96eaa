/* lease_watch.h - leases on cached repositories, and places at the gate, that are held by processes of their own: a clone over SSH runs its git beside the
 * server, not in it.
 *
 * Both are given to a process, and come back when that process ends, however it ends: one thread waits for all of them by their pidfds, so no request has to
 * stay open. Processes must be of this machine and of the server's PID namespace.
 *
 * A place is for work, and a client that takes little makes its git wait. So the thread looks now and then at what a process and its children did: one that neither computed
 * nor sent much since the last look gives its place back and goes on without; one that did next to nothing for LEASE_IDLE_LOOKS looks is ended.
 *
 * Threads: any. */
#ifndef CAIRN_GATEWAY_GIT_LEASE_WATCH_H
#define CAIRN_GATEWAY_GIT_LEASE_WATCH_H

#include <sys/types.h>

#include "gateway/git/cache.h"
#include "gateway/git/gate.h"

enum {
	LEASE_WATCH_MAX = 2 * GATE_PASSES_MAX, /* clones over SSH at a time, slow ones included */
	LEASE_LOOK_MS = 60 * 1000,
	LEASE_IDLE_LOOKS = 5,
	LEASE_BUSY_BYTES_PER_S = 16 << 10,     /* or a fiftieth of a core */
	LEASE_IDLE_BYTES_PER_S = 256,          /* less is a client that keeps a place warm */
};

struct lease_watch;

int lease_watch_open(struct lease_watch **out, struct gateway *gateway, struct why *why);
/* Gives all leases back: processes that still run may then find that their repository was evicted. */
void lease_watch_close(struct lease_watch *watch);

/* Lease and pass are now the process's; they are emptied. ERR_NOT_FOUND: there is no such process here; ERR_BUSY: LEASE_WATCH_MAX; both then stay the caller's. */
int lease_watch_add(struct lease_watch *watch, struct git_lease *lease, struct gate_pass *pass, pid_t pid, struct why *why);
/* For tests: another time between looks, from now on. */
void lease_watch_set_look(struct lease_watch *watch, int look_ms);
/* Leases that are out. */
size_t lease_watch_count(struct lease_watch *watch);

#endif
