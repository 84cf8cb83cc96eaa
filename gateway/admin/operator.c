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

static const char *const type_names[] = { "", "model", "dataset", "space", "kernel" };

int operator_type(struct span text, enum repo_type *out)
{
	*out = (enum repo_type)0;
	for (unsigned type = REPO_MODEL; type <= REPO_KERNEL; type++)
		if (span_equal(span_text(type_names[type]), text))
			*out = (enum repo_type)type;
	return text.length == 0 || *out ? 0 : ERR_INVALID;
}

const char *operator_type_name(enum repo_type type)
{
	return type <= REPO_KERNEL ? type_names[type] : "";
}

bool operator_repo(struct http_request *request, const struct route_match *match, struct repo *out)
{
	enum repo_type type;
	int err = operator_type(match->captures[0], &type);
	if (err == 0)
		err = repo_find(gateway_of(request)->ns, NULL, type, match->captures[1], match->captures[2], out);
	if (err)
		answer_err(request, err, err == ERR_NOT_FOUND ? &(struct why){ "There is no such repository" } : NULL);
	return err == 0;
}

void json_entity_id(struct json_writer *json, const char *key, const struct entity_id *id)
{
	char text[ENTITY_ID_TEXT_BYTES];
	hex_encode(text, id->bytes, ENTITY_ID_BYTES);
	json_text(json, key, text);
}
