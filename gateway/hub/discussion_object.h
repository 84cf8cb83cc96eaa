/* discussion_object.h - discussions and their events as JSON. */
#ifndef CAIRN_GATEWAY_HUB_DISCUSSION_OBJECT_H
#define CAIRN_GATEWAY_HUB_DISCUSSION_OBJECT_H

#include "gateway/hub/call.h"
#include "replication/discussion.h"
#include "schemas/json_writer.h"

const char *discussion_status_name(enum discussion_status status);
/* Members that lists and details share, into the open object. */
void write_discussion_members(struct json_writer *json, const struct repo *repo, const struct discussion *discussion);
/* {"name": ...} */
void write_author(struct json_writer *json, const char *key, const char *name);

/* [blocks] One event as an element or member; a push of several commits becomes several events, so in an array only (`key` NULL). */
int write_discussion_event(struct gateway *gateway, const struct repo *repo, uint64_t number, struct json_writer *json, const char *key,
	const struct discussion_event *event, struct span text);

/* [blocks] Answers {key: event} for the event that was just made or changed. */
void reply_discussion_event(struct http_request *request, struct call *call, uint64_t number, uint64_t event, const char *key);

/* The address of a discussion's page. */
const char *discussion_url(struct http_request *request, const struct repo *repo, uint64_t number);

#endif
