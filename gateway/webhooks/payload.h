/* payload.h - what a webhook is told of a change, in version 3 of the Hub's form. Private to gateway/webhooks. */
#ifndef CAIRN_GATEWAY_WEBHOOKS_PAYLOAD_H
#define CAIRN_GATEWAY_WEBHOOKS_PAYLOAD_H

#include "gateway/gateway.h"
#include "replication/changes.h"
#include "replication/discussion.h"
#include "replication/webhook.h"

/* A change and what it is about, as the state is now. */
struct hook_event {
	const struct change *change;
	enum webhook_domain domain;
	const char *action, *scope;
	struct repo repo;            /* of a deleted one: what the change tells */
	bool is_deleted;
	bool has_discussion, has_comment;
	struct discussion discussion;
	struct discussion_event comment;
	struct buffer text;          /* of the comment */
};

/* [blocks] 1: the change is told; 0: it is of no interest, or what it was about is gone; ERR_*. hook_event_fini in every case. */
int hook_event_load(struct gateway *gateway, const struct change *change, struct hook_event *out);
void hook_event_fini(struct hook_event *event);
/* [blocks] Appends the JSON. */
int hook_event_write(struct gateway *gateway, const struct hook_event *event, const struct webhook *hook, struct buffer *out);

#endif
