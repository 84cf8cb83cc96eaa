/* admin.h - the operator's JSON API, which the `cairn` command calls. All of it needs ACTION_OPERATE: an admin's write token;
 * what changes one organisation or lists its members is open to its own admins too.
 *
 * Errors are {"error": text} like everywhere. Dates are ISO 8601, ids 24 hex digits.
 *
 * | call | body or query | answer |
 * | GET  /api/admin/status | | {version, uptime_ms, node{id, term, leader, voters, applied, committed, last_index, log_syncs, commands}, store{as stats}, resident_bytes} |
 * | GET  /api/admin/stats | | {chunks, xorbs, files, volumes, stored_bytes, disk_bytes, raw_bytes, logical_bytes, syncs, acknowledged} |
 * | GET  /api/admin/volumes | | {volumes, disk_bytes, stored_bytes, dead_bytes} |
 * | GET  /api/admin/users | | [{id, name, fullname, email, admin, created_at}] |
 * | POST /api/admin/users | {name, fullname?, email?, admin?} | the user; 409 when the name is taken |
 * | GET  /api/admin/tokens | ?user= | [{id, user, name, role, created_at, expires_at?, rights?}] |
 * | POST /api/admin/tokens | {user, name?, role: "read"|"write"|"fineGrained", rights?, expires_in_s?}; rights as in gateway/auth/token_json.h | {id, user, name, role, token}: the only time the text is shown |
 * | DELETE /api/admin/tokens/{id} | | {} |
 * | GET  /api/admin/audit | ?actor= &event= &repo=owner/name &since_ms= &limit= (at most 1000) | the newest entries of this node's log, oldest first |
 * | GET  /api/admin/organizations | | [{id, name, fullname, email, private_by_default, members, admins, created_at}] |
 * | POST /api/admin/organizations | {name, admin, fullname?, email?, private_by_default?}; `admin` is its first member | the organisation; 409 when the name is taken |
 * | PATCH /api/admin/organizations/{name} | {fullname?, email?, private_by_default?} | the organisation |
 * | DELETE /api/admin/organizations/{name} | | {}; 412 while it has repositories |
 * | GET  /api/admin/organizations/{name}/members | | [{user, role, since}] |
 * | PUT, DELETE /api/admin/organizations/{name}/members/{user} | {role}: read, contributor, write or admin | {}; 412 for the last admin |
 * | GET  /api/admin/ssh-keys | ?user= | [{id, user, title, type, fingerprint, key, created_at}] |
 * | POST /api/admin/ssh-keys | {user, key, title?} | the key; 409 when somebody has it already |
 * | GET, DELETE /api/admin/ssh-keys/{fingerprint} | | the key; {} |
 * | GET  /api/admin/repos | ?type=model|dataset|space|kernel &owner= &usage=true &limit= (at most 1000) &after=type/owner/name |
 * |      | | [{id, type, owner, name, private, created_at, modified_at, version, files?, bytes?}] |
 * | GET  /api/admin/repos/{type}/{owner}/{name}/usage | | {id, files, bytes, copies (0: as many as the cluster makes)} |
 * | GET  /api/admin/repos/{type}/{owner}/{name}/branch-rules | | [{pattern, allow_force, allow_delete, admins_only}]: also for the repository's administrators |
 * | PUT  /api/admin/repos/{type}/{owner}/{name}/branch-rules | {pattern, allow_force?, allow_delete?, admins_only?} | the rules |
 * | DELETE /api/admin/repos/{type}/{owner}/{name}/branch-rules | ?pattern= | the rules that are left |
 * | POST /api/admin/repos/{type}/{owner}/{name}/settings | {lfs_locks} | {id, lfs_locks} |
 * | POST /api/admin/repos/{type}/{owner}/{name}/lfs-gc | {dry_run?: false, grace_ms?: 21 days} | {operation: id} |
 * | POST /api/admin/repos/{type}/{owner}/{name}/stats | {} | {operation: id}; it is cancelled when nobody has asked after it for ADMIN_UNASKED_MS |
 * | GET  /api/admin/quotas/{owner} | | {owner, bytes (null: no limit), used} |
 * | POST /api/admin/quotas/{owner} | {bytes} or {none: true} | the same |
 * | GET  /api/admin/repos/{type}/{owner}/{name}/downloads | ?path= | {all_time, last_30_days, days: [today, yesterday, ...], file?: of that path, all time} |
 * | GET  /api/admin/index | | {documents, behind, rebuilding, generation, indexed, facts_made}: what lists and search answer from |
 * | POST /api/admin/index/rebuild | | {}: makes it anew beside the old one; 409 while that is under way |
 * | GET  /api/admin/xorbs/{hash} | | {xorb, body_length, raw_length, chunks: [{index, hash, body_end, raw_end}]} |
 * | POST /api/admin/repos/{type}/{owner}/{name}/bundle | | {bundles, bytes, made_bytes}: makes the bundle for clones that it lacks |
 * | POST /api/admin/gc | {dry_run?: false, grace_ms?: 21 days} | {operation: id} |
 * | POST /api/admin/scrub | {} | {operation: id} |
 * | GET  /api/admin/operations | | [operation] |
 * | GET  /api/admin/operations/{id} | | {operation, kind, state: running|done|failed|cancelled, done_bytes, total_bytes, started_at, finished_at?, error?, result?} |
 * | DELETE /api/admin/operations/{id} | | asks it to stop; {} |
 * | POST /api/admin/backups | {} | {backup, version, names: a directory, volumes: [{id, bytes, final}]}; nothing is collected until it ends (backup.h) |
 * | PUT, DELETE /api/admin/backups/{id} | | it goes on; it has ended; {} |
 *
 * gc result: {dry_run, files_live, files_dropped, claims_dropped, xorbs_live, xorbs_dropped, bytes_freed, volumes_compacted, bytes_compacted}.
 * lfs-gc result: {dry_run, objects_kept, objects_dropped, bytes_dropped, objects: [{oid, size, age_ms}]} (the first ADMIN_OBJECTS_MAX).
 * repo-stats result: {files, logical_bytes, shared_files, shared_files_bytes, unread_files, xorbs, unique_bytes, stored_bytes, shared_bytes, freed_bytes,
 * coded_bytes, parts_bytes, estimated_bytes}, as struct store_owner_stats has them.
 * scrub result: {records, bytes, corrupt, findings: [text]} (the first ADMIN_FINDINGS_MAX).
 *
 * Long operations run one at a time on a thread of their own; a second one is refused with 409. The last few are remembered until the
 * process ends. */
#ifndef CAIRN_GATEWAY_ADMIN_ADMIN_H
#define CAIRN_GATEWAY_ADMIN_ADMIN_H

#include "gateway/gateway.h"

enum {
	ADMIN_OPERATIONS_MAX = 16,  /* remembered */
	ADMIN_FINDINGS_MAX = 100,   /* of one scrub */
	ADMIN_OBJECTS_MAX = 1000,   /* that one lfs-gc names */
	ADMIN_BODY_BYTES_MAX = 64 << 10,
	ADMIN_ANSWER_BYTES_MAX = 16 << 20,
	ADMIN_REPOS_MAX = 1000,     /* of one listing */
	ADMIN_UNASKED_MS = 60 * 1000,
};
#define ADMIN_GC_GRACE_MS ((int64_t)21 * 24 * 3600 * 1000) /* clients reuse what they uploaded for that long */

struct admin;
struct backup_desk;

int admin_open(struct admin **out, struct gateway *gateway, struct why *why);
/* Asks what runs to stop and waits for it. */
void admin_close(struct admin *admin);
/* backup.h */
int backup_desk_open(struct backup_desk **out, struct gateway *gateway, struct why *why);
void backup_desk_close(struct backup_desk *desk);

#endif
