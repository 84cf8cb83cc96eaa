/* node.h - what ends a node: a broken promise of the log or the state machine is never stepped over.
 *
 * Going on after a failed write of the state, an unreadable entry or an unknown command would let this node diverge from its
 * peers. It says one sentence and stops; what is on disk is exactly what it was before. */
#ifndef CAIRN_REPLICATION_NODE_H
#define CAIRN_REPLICATION_NODE_H

#include <stddef.h>

enum { NODE_STOP_STATUS = 70 }; /* EX_SOFTWARE: a supervisor should not restart in a tight loop */

/* Prints "cairn: consensus: ..." on stderr and ends the process with NODE_STOP_STATUS, without running exit handlers. */
_Noreturn void node_stop(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Zeroed memory; stops the node when there is none. For the consensus threads, which cannot drop work half-way. */
void *must_alloc(size_t length) __attribute__((malloc));
void *must_realloc(void *old, size_t length);

#endif
