/* notifications.h - puts what happens into the inboxes of those whom it concerns: follows the changes (replication/changes.h).
 *
 * DESIGN. One thread, on the leader. It reads changes from where it was, finds out whom each concerns (recipients.h) and proposes that they be told
 * (replication/notification.h): discussions that are opened, comments, pull requests that get commits, are closed, opened again or merged, requests for access and what becomes of them. Being
 * told twice is being told once, so its position is stored now and then. When it is new, or fell behind what is kept of the changes, it begins with what happens next. */
#ifndef CAIRN_GATEWAY_NOTIFICATIONS_NOTIFICATIONS_H
#define CAIRN_GATEWAY_NOTIFICATIONS_NOTIFICATIONS_H

#include "gateway/gateway.h"

struct notifications;

int notifications_open(struct notifications **out, struct gateway *gateway, struct why *why);
/* [blocks] NULL is fine. */
void notifications_close(struct notifications *notifications);

#endif
