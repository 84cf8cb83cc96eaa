#include "gateway/auth/ssh_key_json.h"

#include <stdio.h>

#include "gateway/answer.h"
#include "schemas/json_writer.h"

enum { KEYS_ANSWER_BYTES_MAX = 16 << 20 };

void ssh_key_write(struct json_writer *json, const struct ssh_key *key)
{
	char id[ENTITY_ID_TEXT_BYTES], fingerprint[SSH_KEY_FINGERPRINT_BYTES], line[SSH_KEY_TYPE_BYTES_MAX + SSH_KEY_BASE64_BYTES_MAX];
	hex_encode(id, key->id.bytes, ENTITY_ID_BYTES);
	ssh_fingerprint_to_text(fingerprint, &key->fingerprint);
	snprintf(line, sizeof(line), "%s %s", key->type, key->base64);
	json_object_begin(json, NULL);
	json_text(json, "id", id);
	json_text(json, "user", key->user);
	json_text(json, "title", key->title);
	json_text(json, "type", key->type);
	json_text(json, "fingerprint", fingerprint);
	json_text(json, "key", line);
	json_date(json, "created_at", key->created_ms);
	json_object_end(json);
}

int ssh_key_read(struct ssh_key *out, const char *user, const char *text, const char *title, struct why *why)
{
	struct ssh_public_key key;
	int err = ssh_public_key_parse(&key, span_text(text), why);
	if (err)
		return err;
	*out = (struct ssh_key){ .fingerprint = key.fingerprint };
	title = title && *title ? title : key.comment;
	if (strlen(user) >= sizeof(out->user) || strlen(title) >= sizeof(out->title))
		return why_set(why, ERR_INVALID, "\"title\" is longer than %zu bytes", sizeof(out->title) - 1);
	memcpy(out->user, user, strlen(user) + 1);
	memcpy(out->title, title, strlen(title) + 1);
	memcpy(out->type, key.type, sizeof(out->type));
	memcpy(out->base64, key.base64, sizeof(out->base64));
	return 0;
}

void ssh_key_add_reply(struct http_request *request, const char *actor, const struct ssh_key *key)
{
	struct namespace *ns = gateway_of(request)->ns;
	struct ssh_key made;
	struct why why = { 0 };
	int err = ssh_key_create(ns, actor, key, &why);
	if (err == 0)
		err = ssh_key_find(ns, &key->fingerprint, &made);
	if (err) {
		answer_err(request, err, &why);
		return;
	}
	struct buffer body;
	buffer_init(&body, KEYS_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	ssh_key_write(&json, &made);
	answer_json(request, 200, &body);
}

static int write_each(void *context, const struct ssh_key *key)
{
	ssh_key_write(context, key);
	return 0;
}

void ssh_key_list_reply(struct http_request *request, const char *user)
{
	struct buffer body;
	buffer_init(&body, KEYS_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_array_begin(&json, NULL);
	int err = ssh_key_list(gateway_of(request)->ns, user, write_each, &json);
	json_array_end(&json);
	if (err == 0) {
		answer_json(request, 200, &body);
		return;
	}
	buffer_fini(&body);
	answer_err(request, err, NULL);
}

void ssh_key_delete_reply(struct http_request *request, const char *actor, const struct hash *fingerprint, const char *user)
{
	struct why why = { 0 };
	int err = ssh_key_delete(gateway_of(request)->ns, actor, fingerprint, user, &why);
	if (err)
		answer_err(request, err, &why);
	else
		http_reply(request, 200, "application/json; charset=utf-8", span_text("{}"));
}

bool ssh_key_fingerprint(struct http_request *request, struct span capture, struct hash *out)
{
	const char *text = http_decode(request, capture, false);
	if (text && ssh_fingerprint_from_text(out, span_text(text)) == 0)
		return true;
	answer_err(request, ERR_INVALID, &(struct why){ "A fingerprint is \"SHA256:\" and 43 characters, as ssh-keygen -l shows it" });
	return false;
}
