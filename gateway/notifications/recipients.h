/* recipients.h - whom an event concerns.
 *
 * Of a discussion: who takes part or wants to hear of it, who is addressed in the text, and who watches the repository: whoever said so of the repository or of its
 * namespace, and unasked the namespace's owner and the members of an organisation. What is said of a repository counts for more than what is said of its
 * namespace; who muted a discussion hears of it only when addressed. Of access to a gated repository: those who decide. Nobody is told what they did themselves, may not
 * read, or switched off. */
#ifndef CAIRN_GATEWAY_NOTIFICATIONS_RECIPIENTS_H
#define CAIRN_GATEWAY_NOTIFICATIONS_RECIPIENTS_H

#include "gateway/gateway.h"
#include "replication/notification.h"

enum { RECIPIENTS_MAX = 2000 }; /* of one event: participants first, then watchers; those beyond are not told */

/* Kinds of messages that a user can switch off and that are sent at all: bits of notification_settings. */
enum { MESSAGES_PARTICIPATING = 1 << 0, MESSAGES_WATCHED = 1 << 1, MESSAGES_ACCESS = 1 << 2, MESSAGES_OTHER = 3 /* first bit of those that are never sent */ };

struct recipients {
	struct recipient *list; /* names in lower case, each once */
	size_t count, capacity;
};

/* [blocks] 0, ERR_NO_MEMORY, or what reading the state said. Fini in every case. */
int recipients_of_discussion(struct gateway *gateway, const struct repo *repo, uint64_t number, struct span text, const char *actor, struct recipients *out);
int recipients_of_access(struct gateway *gateway, const struct repo *repo, const char *actor, struct recipients *out);
/* One user who is to be told of what became of a request, if they want it. */
int recipients_of_decision(struct gateway *gateway, const char *user, struct recipients *out);
void recipients_fini(struct recipients *recipients);

#endif
