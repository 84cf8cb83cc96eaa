/* routes.c - the Hub API: pushing, pulling, and looking at repositories.
 *
 * Calls of the Hub that are known and not served are in gateway/hub_unbuilt.c. Where the JavaScript client leaves the slashes of a
 * revision raw ("tree/refs/pr/1/dir"), the pattern ends in "**" and call_revision finds where the revision ends. */
#include "gateway/hub/access.h"
#include "gateway/hub/buckets.h"
#include "gateway/hub/collections.h"
#include "gateway/hub/commit.h"
#include "gateway/hub/discussions.h"
#include "gateway/hub/duplicate.h"
#include "gateway/hub/file_link.h"
#include "gateway/hub/follows.h"
#include "gateway/hub/info.h"
#include "gateway/hub/lfs.h"
#include "gateway/hub/lfs_files.h"
#include "gateway/hub/likes.h"
#include "gateway/hub/person.h"
#include "gateway/hub/notifications.h"
#include "gateway/hub/preupload.h"
#include "gateway/hub/subscriptions.h"
#include "gateway/hub/quicksearch.h"
#include "gateway/hub/refs.h"
#include "gateway/hub/repos.h"
#include "gateway/hub/resolve.h"
#include "gateway/hub/rewrite.h"
#include "gateway/hub/ssh_keys.h"
#include "gateway/hub/shard_headers.h"
#include "gateway/hub/storage.h"
#include "gateway/hub/tags.h"
#include "gateway/hub/telemetry.h"
#include "gateway/hub/token_call.h"
#include "gateway/hub/tree.h"
#include "gateway/hub/validate_yaml.h"
#include "gateway/hub/webhook_calls.h"
#include "gateway/hub/whoami.h"
#include "gateway/openapi.h"

enum { READ = HTTP_GET | HTTP_HEAD };

#define TYPE "/api/{models|datasets|spaces|kernels}"
#define REPO TYPE "/{}/{}"
#define MODEL_PAGE "/{}/{}"
#define OTHER_PAGE "/{datasets|spaces|kernels}/{}/{}"

const struct route hub_routes[] = {
	/* files by path: the hottest */
	{ READ, OTHER_PAGE "/resolve/{}/**", resolve_file, "hub-resolve" },
	{ READ, MODEL_PAGE "/resolve/{}/**", resolve_file, "hub-resolve" },
	{ READ, OTHER_PAGE "/raw/{}/**", resolve_raw, "hub-raw" },
	{ READ, MODEL_PAGE "/raw/{}/**", resolve_raw, "hub-raw" },
	{ READ, "/api/resolve-cache/{models|datasets|spaces|kernels}/{}/{}/{}/**", resolve_cached, "hub-resolve-cache" },
	{ READ, "/api/files/{}/{}", file_link_get, "hub-file-link" },
	{ READ, "/{}/resolve/{}/**", info_one_segment, "hub-one-segment" },

	/* who, and whether */
	{ READ, "/api/whoami-v2", whoami, "hub-whoami" },
	{ HTTP_GET, "/api/agent-harnesses", agent_harnesses, "hub-agent-harnesses" },
	{ READ, "/api/telemetry/**", telemetry_head, "hub-telemetry" },
	{ HTTP_POST, "/api/validate-yaml", validate_yaml, "hub-validate-yaml" },
	{ READ, "/api/settings/ssh-keys", ssh_keys_list, "hub-ssh-keys" },
	{ HTTP_POST, "/api/settings/ssh-keys", ssh_keys_add, "hub-ssh-keys" },
	{ HTTP_DELETE, "/api/settings/ssh-keys/{}", ssh_keys_delete, "hub-ssh-keys" },

	/* people */
	{ READ, "/api/users/{}/overview", user_overview, "hub-user" },
	{ READ, "/api/users/{}/likes", user_likes, "hub-user-likes" },
	{ READ, "/api/users/{}/followers", followers_list, "hub-followers" },
	{ READ, "/api/users/{}/following", following_list_get, "hub-followers" },
	{ HTTP_POST | HTTP_DELETE, "/api/users/{}/follow", follow_change, "hub-follow" },
	{ HTTP_POST | HTTP_DELETE, "/api/organizations/{}/follow", follow_change, "hub-follow" },
	{ READ, "/api/organizations/{}/followers", followers_list, "hub-followers" },
	{ READ, "/api/users/{}/avatar", person_avatar, "hub-avatar" },
	{ READ, "/api/organizations/{}/overview", org_overview, "hub-org" },
	{ READ, "/api/organizations/{}/members", org_members, "hub-org-members" },
	{ HTTP_PUT, "/api/organizations/{}/members/{}/role", org_member_role, "hub-org-members" },
	{ READ, "/api/organizations/{}/avatar", person_avatar, "hub-avatar" },
	{ READ, "/api/avatars/{}", person_avatar, "hub-avatar" },
	{ READ, "/avatars/{}", avatar_image, "hub-avatar" },

	{ READ, "/api/settings/repositories", storage_of_user, "hub-storage" },
	{ READ, "/api/organizations/{}/settings/repositories", storage_of_org, "hub-storage" },

	/* repositories */
	{ HTTP_POST, "/api/repos/create", repos_create, "hub-repo-create" },
	{ HTTP_DELETE, "/api/repos/delete", repos_delete, "hub-repo-delete" },
	{ HTTP_POST, "/api/repos/move", repos_move, "hub-repo-move" },
	{ HTTP_POST, REPO "/duplicate", repos_duplicate, "hub-repo-duplicate" },
	{ HTTP_PUT, REPO "/settings", repos_settings, "hub-repo-settings" },
	{ READ, TYPE, info_list, "hub-list" },
	{ READ, "/api/spaces/semantic-search", NULL, "Semantic search" }, /* not built, and no name of a Space */
	{ READ, "/api/spaces/templates", NULL, "Space templates" },
	{ READ, "/api/spaces/hardware", NULL, "Space hardware" },
	{ READ, "/api/spaces/zero-gpu/quota", NULL, "Quotas of shared hardware" },
	{ READ, "/api/models-tags-by-type", model_tags, "hub-tags" },
	{ READ, "/api/datasets-tags-by-type", dataset_tags, "hub-tags" },
	{ READ | HTTP_POST, "/api/quicksearch", quicksearch, "hub-quicksearch" },
	{ READ, "/api/trending", trending_list, "hub-trending" },
	{ READ, "/api/tasks", tasks_list, "hub-tasks" },
	{ READ, "/.well-known/openapi.json", openapi_get, "hub-openapi" },
	{ HTTP_POST, REPO "/like", repo_like_post, "hub-like" },
	{ HTTP_DELETE, REPO "/like", repo_like_delete, "hub-like" },
	{ READ, REPO "/likers", repo_likers, "hub-likers" },
	{ READ, REPO, info_head, "hub-info" },
	{ READ, REPO "/revision/{}", info_revision, "hub-info" },
	{ READ, REPO "/auth-check", auth_check_read, "hub-auth-check" },
	{ READ, REPO "/auth-check/write", auth_check_write, "hub-auth-check" },
	{ READ, TYPE "/{}", info_one_segment, "hub-one-segment" },
	{ READ, TYPE "/{}/revision/{}", info_one_segment, "hub-one-segment" },

	/* trees and history */
	{ READ, REPO "/tree/{}/**", tree_list, "hub-tree" },
	{ READ, REPO "/treesize/{}/**", tree_size, "hub-tree-size" },
	{ HTTP_POST, REPO "/paths-info/{}/**", paths_info, "hub-paths-info" },
	{ READ, REPO "/commits/{}/**", commits_list, "hub-commits" },
	{ READ, REPO "/compare/**", compare, "hub-compare" },
	{ READ, "/api/{models}/{}/{}/safetensors-metadata/**", shard_headers, "hub-safetensors" },
	{ HTTP_POST, REPO "/super-squash/{}", super_squash, "hub-super-squash" },
	{ READ, REPO "/refs", refs_list, "hub-refs" },
	{ HTTP_POST, REPO "/branch/**", branch_create, "hub-branch-create" },
	{ HTTP_DELETE, REPO "/branch/**", branch_delete, "hub-branch-delete" },
	{ HTTP_POST, REPO "/tag/**", tag_create, "hub-tag-create" },
	{ HTTP_DELETE, REPO "/tag/**", tag_delete, "hub-tag-delete" },

	/* pushing */
	{ HTTP_POST, REPO "/preupload/{}", preupload, "hub-preupload" },
	{ HTTP_POST, REPO "/commit/{}", commit_post, "hub-commit" },
	{ HTTP_POST, REPO "/lfs-files/duplicate", lfs_files_duplicate, "hub-lfs-duplicate" },
	{ READ, REPO "/lfs-files", lfs_files_list, "hub-lfs-files" },
	{ HTTP_POST, REPO "/lfs-files/batch", lfs_files_batch, "hub-lfs-files" },
	{ HTTP_DELETE, REPO "/lfs-files/{}", lfs_files_delete, "hub-lfs-files" },
	{ READ, REPO "/xet-read-token/{}", xet_read_token, "hub-xet-token" },
	{ READ, REPO "/xet-write-token/{}", xet_write_token, "hub-xet-token" },

	/* discussions and pull requests */
	{ HTTP_GET, REPO "/discussions", discussions_list, "hub-discussions" },
	{ HTTP_POST, REPO "/discussions", discussions_create, "hub-discussions" },
	{ HTTP_GET, REPO "/discussions/{}", discussion_show, "hub-discussions" },
	{ HTTP_DELETE, REPO "/discussions/{}", discussion_remove, "hub-discussions" },
	{ HTTP_POST, REPO "/discussions/{}/comment", discussion_comment_post, "hub-discussions" },
	{ HTTP_POST, REPO "/discussions/{}/comment/{}/edit", discussion_comment_edit, "hub-discussions" },
	{ HTTP_POST, REPO "/discussions/{}/comment/{}/hide", discussion_comment_hide, "hub-discussions" },
	{ HTTP_POST, REPO "/discussions/{}/title", discussion_title_post, "hub-discussions" },
	{ HTTP_POST, REPO "/discussions/{}/status", discussion_status_post, "hub-discussions" },
	{ HTTP_POST, REPO "/discussions/{}/pin", discussion_pin_post, "hub-discussions" },
	{ HTTP_POST, REPO "/discussions/{}/merge", discussion_merge_post, "hub-discussions" },
	{ HTTP_DELETE, REPO "/discussions/{}/ref", discussion_ref_delete, "hub-discussions" },

	{ HTTP_GET | HTTP_POST | HTTP_DELETE, REPO "/discussions/{}/subscription", discussion_subscription, "hub-notifications" },

	/* collections */
	{ HTTP_GET, "/api/collections", collections_list, "hub-collections" },
	{ HTTP_POST, "/api/collections", collections_create, "hub-collections" },
	{ HTTP_GET, "/api/collections/{}", collection_show, "hub-collections" },
	{ HTTP_GET, "/api/collections/{}/{}", collection_show, "hub-collections" },
	{ HTTP_PATCH, "/api/collections/{}/{}", collection_patch, "hub-collections" },
	{ HTTP_DELETE, "/api/collections/{}/{}", collection_remove_one, "hub-collections" },
	{ HTTP_POST, "/api/collections/{}/{}/items", collection_item_post, "hub-collections" },
	{ HTTP_POST, "/api/collections/{}/{}/items/batch", collection_items_batch, "hub-collections" },
	{ HTTP_PATCH, "/api/collections/{}/{}/items/{}", collection_item_patch, "hub-collections" },
	{ HTTP_DELETE, "/api/collections/{}/{}/items/{}", collection_item_delete, "hub-collections" },

	/* buckets */
	{ HTTP_GET, "/api/buckets/{}", buckets_list, "hub-buckets" },
	{ HTTP_GET, "/api/buckets/{}/{}", bucket_info, "hub-buckets" },
	{ HTTP_POST, "/api/buckets/{}/{}", bucket_create, "hub-buckets" },
	{ HTTP_DELETE, "/api/buckets/{}/{}", bucket_remove, "hub-buckets" },
	{ HTTP_PUT, "/api/buckets/{}/{}/settings", bucket_settings, "hub-buckets" },
	{ HTTP_GET, "/api/buckets/{}/{}/tree/**", bucket_tree, "hub-bucket-tree" },
	{ HTTP_POST, "/api/buckets/{}/{}/paths-info", bucket_paths_info, "hub-bucket-paths" },
	{ HTTP_POST, "/api/buckets/{}/{}/batch", bucket_batch, "hub-bucket-batch" },
	{ READ, "/api/buckets/{}/{}/{xet-read-token|xet-write-token}", bucket_xet_token, "hub-xet-token" },
	{ READ, "/buckets/{}/{}/resolve/**", bucket_resolve, "hub-bucket-resolve" },

	/* webhooks */
	{ HTTP_GET, "/api/settings/webhooks", webhooks_list_get, "hub-webhooks" },
	{ HTTP_POST, "/api/settings/webhooks", webhooks_create_post, "hub-webhooks" },
	{ HTTP_GET, "/api/settings/webhooks/{}", webhook_get_one, "hub-webhooks" },
	{ HTTP_POST, "/api/settings/webhooks/{}", webhook_update_post, "hub-webhooks" },
	{ HTTP_DELETE, "/api/settings/webhooks/{}", webhook_delete_one, "hub-webhooks" },
	{ HTTP_POST, "/api/settings/webhooks/{}/{enable|disable}", webhook_switch_post, "hub-webhooks" },
	{ HTTP_POST, "/api/settings/webhooks/{}/replay/{}", webhook_replay_post, "hub-webhooks" },

	/* notifications */
	{ HTTP_GET, "/api/notifications", notifications_get, "hub-notifications" },
	{ HTTP_DELETE, "/api/notifications", notifications_delete, "hub-notifications" },
	{ HTTP_POST, "/api/notifications/mark-as-read", notifications_mark, "hub-notifications" },
	{ HTTP_GET | HTTP_PATCH, "/api/settings/notifications", notification_settings, "hub-notifications" },
	{ HTTP_GET | HTTP_PATCH, "/api/settings/watch", watch_settings, "hub-notifications" },

	/* gated repositories */
	{ HTTP_POST, OTHER_PAGE "/ask-access", access_asked, "hub-access" },
	{ HTTP_POST, MODEL_PAGE "/ask-access", access_asked, "hub-access" },
	{ HTTP_GET, OTHER_PAGE "/user-access-report", access_reported, "hub-access" },
	{ HTTP_GET, MODEL_PAGE "/user-access-report", access_reported, "hub-access" },
	{ HTTP_POST, REPO "/user-access-request/handle", access_handled, "hub-access" },
	{ HTTP_POST, REPO "/user-access-request/grant", access_granted, "hub-access" },
	{ HTTP_POST, REPO "/user-access-request/batch", access_handled_many, "hub-access" },
	{ HTTP_POST, REPO "/user-access-request/cancel", access_cancelled, "hub-access" },
	{ HTTP_GET, REPO "/user-access-request/{}", access_listed, "hub-access" },

	/* LFS: the batch call, and the addresses that its answers carry */
	{ HTTP_POST, OTHER_PAGE "/info/lfs/objects/batch", lfs_batch, "lfs-batch" },
	{ HTTP_POST, MODEL_PAGE "/info/lfs/objects/batch", lfs_batch, "lfs-batch" },
	{ HTTP_GET, OTHER_PAGE "/info/lfs/locks", lfs_locks_list, "lfs-locks" },
	{ HTTP_GET, MODEL_PAGE "/info/lfs/locks", lfs_locks_list, "lfs-locks" },
	{ HTTP_POST, OTHER_PAGE "/info/lfs/locks", lfs_locks_create, "lfs-locks" },
	{ HTTP_POST, MODEL_PAGE "/info/lfs/locks", lfs_locks_create, "lfs-locks" },
	{ HTTP_POST, OTHER_PAGE "/info/lfs/locks/verify", lfs_locks_verify, "lfs-locks" },
	{ HTTP_POST, MODEL_PAGE "/info/lfs/locks/verify", lfs_locks_verify, "lfs-locks" },
	{ HTTP_POST, OTHER_PAGE "/info/lfs/locks/{}/unlock", lfs_locks_delete, "lfs-locks" },
	{ HTTP_POST, MODEL_PAGE "/info/lfs/locks/{}/unlock", lfs_locks_delete, "lfs-locks" },
	{ HTTP_PUT, "/api/lfs/upload/{}", lfs_upload, "lfs-upload" },
	{ HTTP_PUT, "/api/lfs/part/{}", lfs_part, "lfs-part" },
	{ HTTP_POST, "/api/lfs/complete/{}", lfs_complete, "lfs-complete" },
	{ HTTP_POST, "/api/lfs/verify/{}", lfs_verify, "lfs-verify" },
	{ READ, "/api/lfs/download/{}", lfs_download, "lfs-download" },
	{ 0, NULL, NULL, NULL },
};
