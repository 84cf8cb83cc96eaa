/* entry.h - one change as a line of the audit log. Private to gateway/audit. */
#ifndef CAIRN_GATEWAY_AUDIT_ENTRY_H
#define CAIRN_GATEWAY_AUDIT_ENTRY_H

#include "replication/changes.h"

/* False: of no interest to anybody who audits (counters, positions). */
bool audit_wants(const struct change *change);
/* Appends the line. */
void audit_write_change(struct buffer *out, uint32_t group, const struct change *change, struct namespace *ns);
void audit_write_gap(struct buffer *out, uint32_t group, uint64_t first, uint64_t last, int64_t now_ms);

#endif
