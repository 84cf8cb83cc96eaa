/* gateway.h - what every view gets its hands on, and the one table that leads a request to a handler.
 *
 * A view is a folder (hub, xet, web; git, s3, ... beside them) with one route table. Views never include each other; what two of
 * them need lives in gateway/auth (who may do what, signed grants), gateway/repo (a repository's git objects) or below. */
#ifndef CAIRN_GATEWAY_GATEWAY_H
#define CAIRN_GATEWAY_GATEWAY_H

#include "gateway/http/http.h"
#include "replication/namespace.h"
#include "store/store.h"

struct gateway {
	struct store *store;
	struct namespace *ns;
	struct replica *replica;       /* replication/replica.h; NULL: this node listens for no other */
	struct repo_cache *trees;      /* gateway/repo/repo.h */
	struct git_cache *git_cache;   /* gateway/git/cache.h */
	struct git_service *git;       /* gateway/git/service.h */
	struct lease_watch *lease_watch; /* gateway/git/lease_watch.h */
	struct downloads *downloads;   /* gateway/downloads.h; may be NULL */
	struct search *search;         /* gateway/search/search.h; may be NULL */
	struct list_items *list_items; /* gateway/hub/list_items.h; NULL: none are kept */
	struct device_logins *device_logins; /* gateway/auth/device_login.h */
	struct openid_provider *openid_provider; /* gateway/auth/openid_provider.h; NULL: people sign in with tokens alone */
	struct openid_keys *openid_keys; /* gateway/oauth/keys.h */
	struct webhooks *webhooks;     /* gateway/webhooks/webhooks.h; may be NULL */
	struct notifications *notifications; /* gateway/notifications/notifications.h; may be NULL */
	struct audit *audit;           /* gateway/audit/audit.h; may be NULL */
	struct rate_limit *rate_limit; /* gateway/rate_limit.h; NULL: none */
	struct admin *admin;           /* gateway/admin: long operations under way; may be NULL */
	struct backup_desk *backups;   /* gateway/admin */
	struct compactor *compactor;   /* gateway/git; may be NULL */
	uint8_t grant_public_key[32];  /* Ed25519, gateway/auth/grant.h */
	uint8_t grant_secret_key[64];
	const char *data_dir;
	int64_t started_ms;
	_Atomic bool draining;         /* the server is about to stop: /readyz says no */
};

/* The gateway of a request (the server's user_data). */
static inline struct gateway *gateway_of(const struct http_request *request)
{
	return http_user_data(request);
}

enum {
	ROUTE_CAPTURES_MAX = 8,
	ROUTE_ANY_STATE = 1 << 16, /* begins with what this node knows, without asking the cluster whether that is the newest */
	ROUTE_ANY_AGE = 1 << 17,   /* asks it as others do, and answers without a leader too, however old that is */
};

/* What a pattern captured, raw (percent-escapes untouched: decode each with http_decode). */
struct route_match {
	struct span captures[ROUTE_CAPTURES_MAX];
	size_t count;
	struct span rest; /* what "**" matched, without the leading slash; length 0 when nothing is left */
};

typedef void (*route_handler)(struct http_request *request, const struct route_match *match);

/* Patterns: "/api/{}/{}/{}/tree/{}/ **" (without the blank). "{}" is exactly one non-empty raw segment ("%2F" inside stays inside);
 * "**" at the end is the rest, possibly empty, and then also matches without its slash. Alternatives in a segment: "{models|datasets}",
 * captured like "{}". The first route that fits wins: put exact ones first. HEAD is routed as GET where HTTP_HEAD is set too. */
struct route {
	unsigned methods;      /* HTTP_* bits, and ROUTE_* */
	const char *pattern;
	route_handler handler; /* on a control loop; same duties as an http_handler. `match` lives as long as the request */
	const char *name;      /* constant, for logs and metrics */
};

/* Ends with .pattern NULL. */
extern const struct route hub_routes[];   /* gateway/hub */
extern const struct route xet_routes[];   /* gateway/xet */
extern const struct route git_routes[];   /* gateway/git */
extern const struct route oauth_routes[]; /* gateway/oauth */
extern const struct route web_routes[];   /* gateway/web: /, /healthz, /readyz, /metrics */
extern const struct route admin_routes[]; /* gateway/admin: what `cairn` calls */

/* What a view adds to /metrics: Prometheus text, metric.h. Any thread; must not block. */
typedef void (*view_metrics)(struct gateway *gateway, struct buffer *out);
void git_metrics(struct gateway *gateway, struct buffer *out); /* gateway/git */
/* All of them. */
void gateway_write_metrics(struct gateway *gateway, struct buffer *out);

/* Every route there is, in the order in which they are tried; a known call that is not built has no handler, and its name is a sentence's beginning. */
void gateway_each_route(void (*each)(void *context, const struct route *route), void *context);

/* The server's handler: looks the route up, answers 404 (JSON, "not found") or 501 for known but unbuilt Hub calls. */
void gateway_handle(struct http_request *request);

#endif
