/* bundle_offer.h - tells clients where the bundles of a repository are: git's protocol 2 command "bundle-uri", and the same as a bundle list. Private to
 * gateway/git.
 *
 * Each URL carries a grant: it is good for an hour, for one bundle, and only as long as its holder may read the repository. What a grant was traded for
 * (SSH keys) is not traded on: such callers are offered nothing. */
#ifndef CAIRN_GATEWAY_GIT_BUNDLE_OFFER_H
#define CAIRN_GATEWAY_GIT_BUNDLE_OFFER_H

#include "gateway/git/target.h"
#include "replication/bundle.h"

enum { BUNDLE_URL_MS = 3600 * 1000, BUNDLE_OFFER_BYTES_MAX = 32 << 10 };

/* False: there is nothing to offer to this caller. */
bool bundle_offer_find(const struct git_target *target, struct bundles *out);
/* Appends the packets that answer "command=bundle-uri", the flush at their end included. */
void bundle_offer_packets(struct http_request *request, const struct git_target *target, const struct bundles *bundles, struct buffer *out);
/* The same in the form of a configuration file: what `git clone --bundle-uri` takes. */
void bundle_offer_list(struct http_request *request, const struct git_target *target, const struct bundles *bundles, struct buffer *out);

#endif
