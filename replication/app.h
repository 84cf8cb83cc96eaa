/* app.h - apps that ask people for access in their name (OAuth 2), and the codes that they exchange for tokens.
 *
 * DESIGN. A token that an app was given knows the app and the scopes (struct token: `app`, `scopes`). It is worth something as long as the app exists: of an
 * app that is gone every token has run out, at once and without a list of them.
 *
 * A code is a record under its own end and its digest, so that the oldest come first and each new one takes some that ran out with it. Exchanging it is one command
 * that marks it as used and makes both tokens, so a code is worth one pair of tokens on whichever node it is shown; shown twice, it costs the pair (the
 * caller deletes it). A refresh token is exchanged in the same way and gone afterwards. Everything is in group 0. */
#ifndef CAIRN_REPLICATION_APP_H
#define CAIRN_REPLICATION_APP_H

#include "replication/namespace.h"

enum {
	APP_URIS_MAX = 10,
	APP_URI_BYTES_MAX = 512,
	APP_CHALLENGE_BYTES = 43,      /* base64url of SHA-256 */
	APP_NONCE_BYTES_MAX = 255,
	APP_CODE_TEXT_BYTES_MAX = 64,  /* with NUL */
	APP_CODES_SWEPT = 8,           /* that ran out, by each new one */
	SIGNING_KEY_BYTES_MAX = 4096,
};

struct app {
	struct entity_id id;           /* in hex it is the client id */
	char name[NAME_BYTES_MAX + 1]; /* shown to people; any text */
	char owner[NAME_BYTES_MAX + 1];
	bool has_secret;               /* a confidential client: it proves itself with its secret. Else PKCE is all it has */
	struct hash secret_digest;     /* BLAKE2b-256 of the secret's text */
	bool eddsa;                    /* identity tokens are signed with Ed25519 rather than RSA */
	uint64_t scopes;               /* what it may ask for; bits of gateway/auth/oauth_scope.h */
	int64_t created_ms;
	uint32_t uris_count;
	char uris[APP_URIS_MAX][APP_URI_BYTES_MAX + 1];
};
int app_create(struct namespace *ns, const char *actor, const struct app *app, struct entity_id *id, struct why *why); /* id and created_ms are made */
/* Its tokens and codes are worth nothing from then on. ERR_NOT_FOUND. */
int app_delete(struct namespace *ns, const char *actor, const struct entity_id *id, struct why *why);
int app_get(struct namespace *ns, const struct entity_id *id, struct app *out); /* 0, ERR_NOT_FOUND */
int app_list(struct namespace *ns, int (*each)(void *context, const struct app *app), void *context);

/* What somebody allowed an app. */
struct app_code {
	struct entity_id app;
	char user[NAME_BYTES_MAX + 1];
	char redirect_uri[APP_URI_BYTES_MAX + 1]; /* as it was asked for */
	char challenge[APP_CHALLENGE_BYTES + 1];  /* PKCE S256; "": none */
	char nonce[APP_NONCE_BYTES_MAX + 1];
	uint64_t scopes;
	int64_t expires_ms;
	bool used;                     /* then for these: */
	struct entity_id access, refresh;
	struct token_rights rights;
};
/* `text` is the code. */
int app_code_create(struct namespace *ns, const char *actor, const struct app_code *code, char text[APP_CODE_TEXT_BYTES_MAX], struct why *why);
int app_code_find(struct namespace *ns, const char *text, struct app_code *out); /* 0, ERR_NOT_FOUND; used or expired is the caller's to check */

/* A pair of tokens that an app is given. */
struct app_tokens {
	struct token access, refresh;  /* user, name, app, scopes, expires_ms; roles, ids and digests are made */
	struct token_rights rights;    /* of the access token; the refresh token keeps them for the next one */
	char access_text[TOKEN_TEXT_BYTES_MAX], refresh_text[TOKEN_TEXT_BYTES_MAX]; /* made */
};
/* Exchanges a code once. ERR_CONFLICT: it was used or has run out; ERR_NOT_FOUND: code, app or user is gone. */
int app_code_take(struct namespace *ns, const char *text, struct app_tokens *tokens, struct why *why);
/* Exchanges a refresh token once. ERR_NOT_FOUND: it is gone. */
int app_tokens_renew(struct namespace *ns, const struct entity_id *refresh, struct app_tokens *tokens, struct why *why);

/* ---- private keys that are larger than a secret: kept as they are, the first one of a name stays ---- */
int signing_key_put(struct namespace *ns, const char *name, struct span key, struct why *why);
int signing_key_get(struct namespace *ns, const char *name, uint8_t out[SIGNING_KEY_BYTES_MAX], size_t *length); /* 0, ERR_NOT_FOUND */

#endif
