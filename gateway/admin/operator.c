#include "gateway/admin/operator.h"

#include "gateway/answer.h"

struct actor *operator_open(struct http_request *request)
{
	struct actor *actor = http_alloc(request, sizeof(*actor));
	if (auth_identify(request, actor) != 0) {
		answer_bad_token(request);
		return NULL;
	}
	struct resource hub = { 0 };
	int err = may(actor, ACTION_OPERATE, &hub);
	if (err == 0)
		return actor;
	if (err == ERR_UNAUTHENTICATED)
		answer_login(request);
	else
		answer_err(request, err, &(struct why){ "This needs the write token of an administrator" });
	return NULL;
}

bool operator_id(struct http_request *request, struct span capture, struct entity_id *out)
{
	if (hex_decode(out->bytes, ENTITY_ID_BYTES, (const char *)capture.data, capture.length) == 0)
		return true;
	answer_err(request, ERR_INVALID, &(struct why){ "An id is 24 hexadecimal digits" });
	return false;
}

void json_entity_id(struct json_writer *json, const char *key, const struct entity_id *id)
{
	char text[ENTITY_ID_TEXT_BYTES];
	hex_encode(text, id->bytes, ENTITY_ID_BYTES);
	json_text(json, key, text);
}
