/* likes.h - liking repositories, and who likes what. */
#ifndef CAIRN_GATEWAY_HUB_LIKES_H
#define CAIRN_GATEWAY_HUB_LIKES_H

#include "gateway/gateway.h"

void repo_like_post(struct http_request *request, const struct route_match *match);
void repo_like_delete(struct http_request *request, const struct route_match *match);
void repo_likers(struct http_request *request, const struct route_match *match);
void user_likes(struct http_request *request, const struct route_match *match);

/* Likes of a user, at most `max`. */
uint64_t count_likes(struct namespace *ns, const char *user, uint64_t max);

#endif
