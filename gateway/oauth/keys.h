/* keys.h - the keys that identity tokens are signed with, and the signing (RFC 7515, 7517, 7518, 8037).
 *
 * DESIGN. Two keys of the whole hub: RSA of 2048 bits for RS256, which every client understands and which is the default, and Ed25519 for apps that are registered
 * for it. They are made by whichever node needs them first and kept in the state machine. A key's id is its thumbprint (RFC 7638). Loaded on first use, by workers:
 * making the RSA key takes a tenth of a second and a hub without apps never has one. */
#ifndef CAIRN_GATEWAY_OAUTH_KEYS_H
#define CAIRN_GATEWAY_OAUTH_KEYS_H

#include "gateway/gateway.h"
#include "schemas/json_writer.h"

struct openid_keys;
int openid_keys_open(struct openid_keys **out);
void openid_keys_close(struct openid_keys *keys);

/* [blocks] {"keys": [...]}. 0 or ERR_* with a sentence. */
int openid_keys_write(struct gateway *gateway, struct json_writer *json, struct why *why);
/* [blocks] Appends the compact form of `claims` (JSON text), signed. */
int openid_sign(struct gateway *gateway, bool eddsa, struct span claims, struct buffer *out, struct why *why);
/* The at_hash of an access token for that algorithm (OpenID Connect Core 3.1.3.6). */
enum { AT_HASH_BYTES_MAX = 48 };
void openid_at_hash(bool eddsa, const char *access_token, char out[AT_HASH_BYTES_MAX]);
/* base64url without padding. */
void openid_base64(struct buffer *out, struct span bytes);

#endif
