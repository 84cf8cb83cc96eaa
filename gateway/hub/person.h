/* person.h - users and organisations as others see them: overviews, members, avatars. */
#ifndef CAIRN_GATEWAY_HUB_PERSON_H
#define CAIRN_GATEWAY_HUB_PERSON_H

#include "gateway/gateway.h"

void user_overview(struct http_request *request, const struct route_match *match);
void org_overview(struct http_request *request, const struct route_match *match);
void org_members(struct http_request *request, const struct route_match *match);
void org_member_role(struct http_request *request, const struct route_match *match); /* PUT: {role} */
void person_avatar(struct http_request *request, const struct route_match *match);   /* where it is */
void avatar_image(struct http_request *request, const struct route_match *match);    /* the picture */

/* Absolute, in request memory. */
const char *avatar_url(struct http_request *request, const char *name);

#endif
