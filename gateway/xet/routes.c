/* routes.c - the CAS protocol under every spelling that clients since hf_xet 1.1.0 use.
 *
 * Calls without a route (/v1/xorb-grants, /v2/file-chunk-hashes) fall to the router's 404, on which clients use an older one. */
#include "gateway/xet/caller.h"
#include "gateway/xet/data_url.h"
#include "gateway/xet/dedup.h"
#include "gateway/xet/discard.h"
#include "gateway/xet/reconstruction.h"
#include "gateway/xet/shards.h"
#include "gateway/xet/xorbs.h"

enum { TELEMETRY_BYTES_MAX = 1 << 20 };

/* Nothing is kept: the server measures what it needs itself. */
static void telemetry(struct http_request *request, const struct route_match *match)
{
	(void)match;
	if (xet_caller_open(request, XET_READ))
		xet_discard_then(request, TELEMETRY_BYTES_MAX, 200, "{}");
}

/* Alternatives are captures too: a word that only some spellings have is spelled out, so that the hash has one place. */
#define PREFIX "{default|default-merkledb}"

const struct route xet_routes[] = {
	{ HTTP_GET | HTTP_HEAD | ROUTE_ANY_STATE, "/xet/data/{}", xet_data_get, "xet-data" },

	{ HTTP_POST, "/v1/xorbs/" PREFIX "/{}", xet_xorb_post, "xet-xorb-post" },
	{ HTTP_POST, "/xorbs/" PREFIX "/{}", xet_xorb_post, "xet-xorb-post" },
	{ HTTP_POST, "/xorb/" PREFIX "/{}", xet_xorb_post, "xet-xorb-post" },
	{ HTTP_HEAD, "/v1/xorbs/" PREFIX "/{}", xet_xorb_head, "xet-xorb-head" },
	{ HTTP_HEAD, "/xorbs/" PREFIX "/{}", xet_xorb_head, "xet-xorb-head" },
	{ HTTP_HEAD, "/xorb/" PREFIX "/{}", xet_xorb_head, "xet-xorb-head" },

	{ HTTP_POST, "/v1/shards", xet_shard_post, "xet-shard-post" },
	{ HTTP_POST, "/shards", xet_shard_post, "xet-shard-post" },
	{ HTTP_POST | HTTP_PUT, "/shard/{}/{}", xet_shard_post, "xet-shard-post" },
	{ HTTP_POST, "/v2/shards", xet_shard_post_v2, "xet-shard-post-v2" },

	{ HTTP_GET, "/v2/reconstructions/{}", xet_reconstruction_v2, "xet-reconstruction" },
	{ HTTP_GET, "/v1/reconstructions/{}", xet_reconstruction_v1, "xet-reconstruction" },
	{ HTTP_GET, "/reconstructions/{}", xet_reconstruction_v1, "xet-reconstruction" },
	{ HTTP_GET, "/reconstruction/{}", xet_reconstruction_v1, "xet-reconstruction" },
	{ HTTP_GET, "/v1/reconstructions", xet_reconstruction_batch, "xet-reconstruction-batch" },
	{ HTTP_GET, "/reconstructions", xet_reconstruction_batch, "xet-reconstruction-batch" },
	{ HTTP_POST, "/v1/reconstructions", xet_reconstruction_batch_post, "xet-reconstruction-batch" },

	{ HTTP_GET, "/v1/chunks/" PREFIX "/{}", xet_chunk_get, "xet-chunk" },
	{ HTTP_GET, "/chunks/" PREFIX "/{}", xet_chunk_get, "xet-chunk" },
	{ HTTP_GET, "/chunk/" PREFIX "/{}", xet_chunk_get, "xet-chunk" },
	{ HTTP_HEAD, "/v1/files/{}", xet_file_head, "xet-file-head" },
	{ HTTP_POST, "/v1/telemetry", telemetry, "xet-telemetry" },
	{ 0, NULL, NULL, NULL },
};
