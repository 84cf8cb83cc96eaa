/* people.h - users and their tokens. */
#ifndef CAIRN_GATEWAY_ADMIN_PEOPLE_H
#define CAIRN_GATEWAY_ADMIN_PEOPLE_H

#include "gateway/gateway.h"

void admin_users_list(struct http_request *request, const struct route_match *match);
void admin_users_create(struct http_request *request, const struct route_match *match);
void admin_tokens_list(struct http_request *request, const struct route_match *match);
void admin_tokens_create(struct http_request *request, const struct route_match *match);
void admin_tokens_delete(struct http_request *request, const struct route_match *match);

/* True for names that are the first segment of a path of ours, and so can be nobody's namespace. */
bool user_name_reserved(const char *name);

#endif
