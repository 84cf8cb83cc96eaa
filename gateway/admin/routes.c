#include "gateway/admin/admin.h"
#include "gateway/admin/cluster.h"
#include "gateway/admin/apps.h"
#include "gateway/admin/audit_call.h"
#include "gateway/admin/backup.h"
#include "gateway/admin/branch_rules.h"
#include "gateway/admin/identities.h"
#include "gateway/admin/inspect.h"
#include "gateway/admin/operation.h"
#include "gateway/admin/org.h"
#include "gateway/admin/people.h"
#include "gateway/admin/quota.h"
#include "gateway/admin/repo_care.h"
#include "gateway/admin/search_index.h"
#include "gateway/admin/ssh_keys.h"

const struct route admin_routes[] = {
	{ HTTP_GET | ROUTE_ANY_AGE, "/api/admin/status", admin_status, "admin-status" },
	{ HTTP_GET | ROUTE_ANY_AGE, "/api/admin/cluster", admin_cluster, "admin-cluster" },
	{ HTTP_GET | ROUTE_ANY_AGE, "/api/admin/cluster/digest", admin_cluster_digest, "admin-cluster" },
	{ HTTP_POST, "/api/admin/cluster/token", admin_cluster_token, "admin-cluster" },
	{ HTTP_POST, "/api/admin/cluster/roles", admin_cluster_roles, "admin-cluster" },
	{ HTTP_POST, "/api/admin/cluster/drain", admin_cluster_drain, "admin-cluster" },
	{ HTTP_POST, "/api/admin/cluster/settings", admin_cluster_settings, "admin-cluster" },
	{ HTTP_POST, "/api/admin/cluster/upgrade", admin_cluster_upgrade, "admin-cluster" },
	{ HTTP_GET, "/api/admin/stats", admin_stats, "admin-stats" },
	{ HTTP_GET, "/api/admin/volumes", admin_volumes, "admin-volumes" },
	{ HTTP_GET, "/api/admin/users", admin_users_list, "admin-users" },
	{ HTTP_POST, "/api/admin/users", admin_users_create, "admin-users" },
	{ HTTP_GET, "/api/admin/tokens", admin_tokens_list, "admin-tokens" },
	{ HTTP_POST, "/api/admin/tokens", admin_tokens_create, "admin-tokens" },
	{ HTTP_DELETE, "/api/admin/tokens/{}", admin_tokens_delete, "admin-tokens" },
	{ HTTP_GET, "/api/admin/apps", admin_apps_list, "admin-apps" },
	{ HTTP_POST, "/api/admin/apps", admin_apps_create, "admin-apps" },
	{ HTTP_DELETE, "/api/admin/apps/{}", admin_apps_delete, "admin-apps" },
	{ HTTP_POST, "/api/admin/identities", admin_identities_link, "admin-identities" },
	{ HTTP_GET, "/api/admin/audit", admin_audit, "admin-audit" },
	{ HTTP_GET, "/api/admin/organizations", admin_orgs_list, "admin-orgs" },
	{ HTTP_POST, "/api/admin/organizations", admin_orgs_create, "admin-orgs" },
	{ HTTP_PATCH, "/api/admin/organizations/{}", admin_orgs_update, "admin-orgs" },
	{ HTTP_DELETE, "/api/admin/organizations/{}", admin_orgs_delete, "admin-orgs" },
	{ HTTP_GET, "/api/admin/organizations/{}/members", admin_members_list, "admin-members" },
	{ HTTP_PUT, "/api/admin/organizations/{}/members/{}", admin_members_set, "admin-members" },
	{ HTTP_DELETE, "/api/admin/organizations/{}/members/{}", admin_members_delete, "admin-members" },
	{ HTTP_GET, "/api/admin/ssh-keys", admin_ssh_keys_list, "admin-ssh-keys" },
	{ HTTP_POST, "/api/admin/ssh-keys", admin_ssh_keys_add, "admin-ssh-keys" },
	{ HTTP_GET, "/api/admin/ssh-keys/{}", admin_ssh_keys_get, "admin-ssh-keys" },
	{ HTTP_DELETE, "/api/admin/ssh-keys/{}", admin_ssh_keys_delete, "admin-ssh-keys" },
	{ HTTP_GET, "/api/admin/repos", admin_repos, "admin-repos" },
	{ HTTP_GET, "/api/admin/repos/{}/{}/{}/usage", admin_repo_usage, "admin-repo-usage" },
	{ HTTP_GET, "/api/admin/repos/{}/{}/{}/branch-rules", admin_branch_rules_list, "admin-branch-rules" },
	{ HTTP_PUT, "/api/admin/repos/{}/{}/{}/branch-rules", admin_branch_rules_set, "admin-branch-rules" },
	{ HTTP_DELETE, "/api/admin/repos/{}/{}/{}/branch-rules", admin_branch_rules_delete, "admin-branch-rules" },
	{ HTTP_POST, "/api/admin/repos/{}/{}/{}/settings", admin_repo_settings, "admin-repo-settings" },
	{ HTTP_POST, "/api/admin/repos/{}/{}/{}/lfs-gc", admin_lfs_gc, "admin-lfs-gc" },
	{ HTTP_POST, "/api/admin/repos/{}/{}/{}/stats", admin_repo_stats, "admin-repo-stats" },
	{ HTTP_GET, "/api/admin/repos/{}/{}/{}/downloads", admin_repo_downloads, "admin-repo-downloads" },
	{ HTTP_GET, "/api/admin/index", admin_index_status, "admin-index" },
	{ HTTP_POST, "/api/admin/index/rebuild", admin_index_rebuild, "admin-index" },
	{ HTTP_GET, "/api/admin/quotas/{}", admin_quota_get, "admin-quotas" },
	{ HTTP_POST, "/api/admin/quotas/{}", admin_quota_set, "admin-quotas" },
	{ HTTP_GET, "/api/admin/xorbs", admin_xorbs, "admin-xorb" },
	{ HTTP_GET, "/api/admin/xorbs/{}", admin_xorb, "admin-xorb" },
	{ HTTP_POST, "/api/admin/gc", admin_gc, "admin-gc" },
	{ HTTP_POST, "/api/admin/scrub", admin_scrub, "admin-scrub" },
	{ HTTP_GET, "/api/admin/operations", admin_operations, "admin-operations" },
	{ HTTP_GET, "/api/admin/operations/{}", admin_operation_get, "admin-operations" },
	{ HTTP_DELETE, "/api/admin/operations/{}", admin_operation_cancel, "admin-operations" },
	{ HTTP_POST, "/api/admin/backups", admin_backup_begin, "admin-backups" },
	{ HTTP_PUT, "/api/admin/backups/{}", admin_backup_renew, "admin-backups" },
	{ HTTP_DELETE, "/api/admin/backups/{}", admin_backup_end, "admin-backups" },
	{ 0, NULL, NULL, NULL },
};
