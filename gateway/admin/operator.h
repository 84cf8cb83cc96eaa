/* operator.h - what every admin call begins with: only an operator passes. */
#ifndef CAIRN_GATEWAY_ADMIN_OPERATOR_H
#define CAIRN_GATEWAY_ADMIN_OPERATOR_H

#include "gateway/auth/auth.h"
#include "schemas/json_writer.h"

/* NULL: answered already. Request memory. */
struct actor *operator_open(struct http_request *request);
/* 24 hex digits of a path. False: answered already. */
bool operator_id(struct http_request *request, struct span capture, struct entity_id *out);
/* "model", "dataset", ... 0 for no type (""), ERR_INVALID for one that does not exist. */
int operator_type(struct span text, enum repo_type *out);
const char *operator_type_name(enum repo_type type);
/* The repository whose type, owner and name are the first captures. False: answered already. */
bool operator_repo(struct http_request *request, const struct route_match *match, struct repo *out);
void json_entity_id(struct json_writer *json, const char *key, const struct entity_id *id);

#endif
