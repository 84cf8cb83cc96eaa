/* ssh_key_json.h - SSH keys in bodies and answers, as the settings of a user and the operator's API both have them.
 *
 *   {id, user, title, type, fingerprint: "SHA256:...", key: "TYPE BASE64", created_at} */
#ifndef CAIRN_GATEWAY_AUTH_SSH_KEY_JSON_H
#define CAIRN_GATEWAY_AUTH_SSH_KEY_JSON_H

#include "gateway/gateway.h"

struct json_writer;

enum { SSH_KEY_BODY_BYTES_MAX = 64 << 10 };

void ssh_key_write(struct json_writer *json, const struct ssh_key *key);
/* From what somebody pasted; `title` "" or NULL: the comment of the key. 0 or ERR_INVALID with a sentence. */
int ssh_key_read(struct ssh_key *out, const char *user, const char *text, const char *title, struct why *why);
/* [blocks] Adds it and answers the request with it, or with the reason. */
void ssh_key_add_reply(struct http_request *request, const char *actor, const struct ssh_key *key);
/* [blocks] The keys of a user (NULL: of everybody). */
void ssh_key_list_reply(struct http_request *request, const char *user);
/* [blocks] `user` NULL: whosever it is. */
void ssh_key_delete_reply(struct http_request *request, const char *actor, const struct hash *fingerprint, const char *user);
/* A fingerprint in a path, percent-escaped or not. False: answered already. */
bool ssh_key_fingerprint(struct http_request *request, struct span capture, struct hash *out);

#endif
