/* grant.h - short-lived signed permissions: Xet tokens, LFS upload URLs, data URLs.
 *
 * A grant is a small msgpack map signed with the hub's Ed25519 key, base64url without padding (safe in a URL and a header). Whoever
 * holds it may do exactly what it says until it expires; no look-up is needed, but the repository must still exist and, for anything
 * that lasts, the caller re-checks it. The key is a node-wide secret in the state machine. */
#ifndef CAIRN_GATEWAY_AUTH_GRANT_H
#define CAIRN_GATEWAY_AUTH_GRANT_H

#include "gateway/gateway.h"

enum grant_kind {
	GRANT_XET_READ = 1,
	GRANT_XET_WRITE = 2,    /* includes read */
	GRANT_LFS_UPLOAD = 3,   /* one object: sha256 and length */
	GRANT_LFS_DOWNLOAD = 4,
	GRANT_XORB_DATA = 5,    /* byte ranges of one xorb */
	GRANT_LFS_PART = 6,     /* one part of a multipart upload */
	GRANT_GIT_READ = 7,     /* clone, fetch, LFS downloads of one repository; `object` is the SSH key that it came by */
	GRANT_GIT_WRITE = 8,    /* and push, LFS uploads */
	GRANT_GIT_BUNDLE = 9,   /* one bundle: store file and length */
	GRANT_FILE = 10,        /* one file on another node: store file, name and ETag */
};

enum { GRANT_TEXT_BYTES_MAX = 560, GRANT_SKEW_MS = 60000 };

struct grant {
	enum grant_kind kind;
	struct entity_id repo;
	char actor[NAME_BYTES_MAX + 1];
	struct entity_id token; /* with which it was asked for: it dies with that one. Zero: with none */
	int64_t expires_ms;
	struct hash object;     /* xorb, store file or SHA-256 (as bytes), by kind; zero when unused */
	uint64_t length;        /* by kind */
	uint64_t number;        /* by kind: part number, chunk size */
};

/* Loads or makes the hub's key pair (namespace secret "grant"). */
int grant_keys_load(struct gateway *gateway, struct why *why);
void grant_sign(const struct gateway *gateway, const struct grant *grant, char out[GRANT_TEXT_BYTES_MAX]);
/* 0, ERR_UNAUTHENTICATED: not signed by this hub, malformed, of another kind, or past its expiry plus the skew. */
int grant_verify(const struct gateway *gateway, struct span text, struct grant *out);

#endif
