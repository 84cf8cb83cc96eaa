#include "gateway/hub_unbuilt.h"

enum {
	GET = HTTP_GET | HTTP_HEAD,
	ANY = HTTP_GET | HTTP_HEAD | HTTP_POST | HTTP_PUT | HTTP_DELETE | HTTP_PATCH,
};

#define TYPES "/api/{models|datasets|spaces|kernels}/{}/{}"
#define PAGES "/{datasets|spaces|kernels}/{}/{}"

const struct route hub_unbuilt_routes[] = {
	{ GET | HTTP_POST, TYPES "/resource-group", NULL, "Resource groups" },
	{ GET, TYPES "/scan", NULL, "Scanning files" },
	{ GET | HTTP_POST, "/api/settings/mcp", NULL, "MCP settings" },
	{ GET, "/api/settings/billing/**", NULL, "Billing" },

	/* browsing and community */
	{ GET, "/api/users/{}/**", NULL, "This part of user pages" },
	{ ANY, "/api/organizations/{}/**", NULL, "This part of organisations" },
	{ GET, TYPES "/discussions/{}/storage", NULL, "Storage of pull requests" },
	{ HTTP_POST, "/api/collections/{}/{}/resource-group", NULL, "Resource groups" },
	{ GET, "/api/papers/**", NULL, "Papers" },
	{ GET, "/papers/**", NULL, "Papers" },
	{ GET, "/api/daily_papers", NULL, "Papers" },
	{ HTTP_POST, "/uploads", NULL, "Attachments of discussions" },
	{ HTTP_POST, "/oauth/register", NULL, "Registering apps without an operator" },

	/* datasets, Spaces, inference, buckets, jobs */
	{ GET, "/api/datasets/{}/{}/parquet/**", NULL, "Parquet conversion" },
	{ GET, "/api/datasets/{}/{}/leaderboard", NULL, "Leaderboards" },
	{ ANY, "/api/datasets/{}/{}/sql-console/**", NULL, "The SQL console" },
	{ ANY, "/api/spaces/{}/{}/secrets", NULL, "Space secrets" },
	{ ANY, "/api/spaces/{}/{}/variables", NULL, "Space variables" },
	{ GET, "/api/spaces/{}/{}/runtime", NULL, "Running Spaces" },
	{ HTTP_POST, "/api/spaces/{}/{}/{hardware|sleeptime|pause|restart|dev-mode}", NULL, "Running Spaces" },
	{ ANY, "/api/spaces/{}/{}/{volumes|storage}", NULL, "Space volumes" },
	{ GET, "/api/spaces/{}/{}/{logs|events|metrics|jwt}/**", NULL, "Running Spaces" },
	{ ANY, "/api/inference-endpoints/**", NULL, "Inference endpoints" },
	{ HTTP_POST, "/api/buckets/{}/{}/lfs-files/duplicate", NULL, "Copying out of buckets by LFS" },
	{ HTTP_POST, "/api/buckets/{}/{}/resource-group", NULL, "Resource groups" },
	{ ANY, "/api/jobs/**", NULL, "Jobs" },
	{ ANY, "/api/scheduled-jobs/**", NULL, "Jobs" },

	/* other protocols */
	{ GET, "/v2", NULL, "The container registry" },
	{ GET, "/v1/models", NULL, "Inference" },
	{ HTTP_POST, "/v1/{completions|embeddings|responses}", NULL, "Inference" },
	{ HTTP_POST, "/v1/chat/completions", NULL, "Inference" },
	{ 0, NULL, NULL, NULL },
};
