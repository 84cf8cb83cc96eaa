#include "gateway/notifications/recipients.h"

#include <stdlib.h>
#include <strings.h>

#include "gateway/auth/auth.h"
#include "gateway/notifications/mentions.h"
#include "replication/org.h"

/* What is found out before it is weighed, beside enum notified. */
enum { UNASKED = 1 << 8, OWNER_YES = 1 << 9, OWNER_NO = 1 << 10, REPO_YES = 1 << 11, REPO_NO = 1 << 12, MUTED = 1 << 13 };

struct gathering {
	struct recipients *out;
	uint32_t yes, no; /* flags that a watcher's word means */
};

static int add(struct recipients *recipients, const char *name, uint32_t flags)
{
	if (recipients->count == RECIPIENTS_MAX)
		return 1;
	if (recipients->count == recipients->capacity) {
		size_t capacity = recipients->capacity ? recipients->capacity * 2 : 32;
		struct recipient *list = realloc(recipients->list, capacity * sizeof(*list));
		if (!list)
			return ERR_NO_MEMORY;
		recipients->list = list;
		recipients->capacity = capacity;
	}
	struct recipient *recipient = &recipients->list[recipients->count++];
	*recipient = (struct recipient){ .reasons = flags };
	for (size_t i = 0; name[i] && i < NAME_BYTES_MAX; i++)
		recipient->user[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 'a' - 'A') : name[i];
	return 0;
}

/* ------------------------------------------------------------------ gathering */

static int add_mentioned(void *context, const char *name)
{
	return add(((struct gathering *)context)->out, name, NOTIFIED_MENTIONED);
}

static int add_subscriber(void *context, const char *user, enum subscription state)
{
	return add(((struct gathering *)context)->out, user, state == SUBSCRIPTION_MUTED ? MUTED : NOTIFIED_PARTICIPATING);
}

static int add_watcher(void *context, const char *user, enum watch_state state)
{
	struct gathering *gathering = context;
	return add(gathering->out, user, state == WATCH_YES ? gathering->yes : gathering->no);
}

static int add_member(void *context, const struct member *member)
{
	return add(((struct gathering *)context)->out, member->user, UNASKED);
}

/* Who watches the namespace, asked or unasked. */
static int gather_owner(struct gateway *gateway, const struct repo *repo, struct gathering *gathering)
{
	struct user user;
	struct org org;
	gathering->yes = OWNER_YES;
	gathering->no = OWNER_NO;
	if (user_find(gateway->ns, repo->owner, &user) == 0) {
		int err = add(gathering->out, user.name, UNASKED);
		return err ? err : watcher_list(gateway->ns, &user.id, add_watcher, gathering);
	}
	int err = org_find(gateway->ns, repo->owner, &org);
	if (err == 0)
		err = watcher_list(gateway->ns, &org.id, add_watcher, gathering);
	if (err == 0)
		err = member_list(gateway->ns, org.name, NULL, add_member, gathering);
	return err == ERR_NOT_FOUND ? 0 : err;
}

static int gather(struct gateway *gateway, const struct repo *repo, uint64_t number, struct span text, struct gathering *gathering)
{
	int err = mentions_each(text, add_mentioned, gathering);
	if (err == 0)
		err = subscription_list(gateway->ns, &repo->id, number, add_subscriber, gathering);
	gathering->yes = REPO_YES;
	gathering->no = REPO_NO;
	if (err == 0)
		err = watcher_list(gateway->ns, &repo->id, add_watcher, gathering);
	if (err == 0)
		err = gather_owner(gateway, repo, gathering);
	return err > 0 ? 0 : err; /* full */
}

/* ------------------------------------------------------------------ weighing */

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct recipient *)a)->user, ((const struct recipient *)b)->user);
}

/* One entry for each name, with all that was found. */
static void merge(struct recipients *recipients)
{
	size_t kept = 0;
	if (recipients->count)
		qsort(recipients->list, recipients->count, sizeof(*recipients->list), compare);
	for (size_t i = 0; i < recipients->count; i++) {
		if (kept && strcmp(recipients->list[kept - 1].user, recipients->list[i].user) == 0)
			recipients->list[kept - 1].reasons |= recipients->list[i].reasons;
		else
			recipients->list[kept++] = recipients->list[i];
	}
	recipients->count = kept;
}

static uint32_t weigh(uint32_t found, uint64_t off)
{
	bool owner = (found & OWNER_YES) || ((found & UNASKED) && !(found & OWNER_NO));
	bool watches = (found & REPO_YES) || (owner && !(found & REPO_NO));
	uint32_t reasons = found & NOTIFIED_MENTIONED;
	if (!(found & MUTED)) {
		reasons |= off & MESSAGES_PARTICIPATING ? 0 : found & NOTIFIED_PARTICIPATING;
		reasons |= watches && !(off & MESSAGES_WATCHED) ? NOTIFIED_WATCHING : 0;
	}
	return reasons;
}

static bool may_be_told(struct gateway *gateway, const struct repo *repo, const char *name, enum action action)
{
	struct actor actor;
	struct resource resource = { .repo = repo, .ns = gateway->ns };
	return auth_by_name(gateway->ns, name, TOKEN_WRITE, &actor) == 0 && may(&actor, action, &resource) == 0;
}

int recipients_of_discussion(struct gateway *gateway, const struct repo *repo, uint64_t number, struct span text, const char *actor, struct recipients *out)
{
	*out = (struct recipients){ 0 };
	struct gathering gathering = { .out = out };
	int err = gather(gateway, repo, number, text, &gathering);
	if (err)
		return err;
	merge(out);
	size_t kept = 0;
	for (size_t i = 0; i < out->count; i++) {
		struct recipient recipient = out->list[i];
		uint64_t off;
		if (strcasecmp(recipient.user, actor) == 0)
			continue;
		err = notification_settings_get(gateway->ns, recipient.user, &off);
		if (err)
			return err;
		recipient.reasons = weigh(recipient.reasons, off);
		if (recipient.reasons && may_be_told(gateway, repo, recipient.user, ACTION_READ))
			out->list[kept++] = recipient;
	}
	out->count = kept;
	return 0;
}

static int add_admin(void *context, const struct member *member)
{
	return member->role == ORG_ROLE_ADMIN ? add(context, member->user, NOTIFIED_ACCESS) : 0;
}

int recipients_of_access(struct gateway *gateway, const struct repo *repo, const char *actor, struct recipients *out)
{
	*out = (struct recipients){ 0 };
	struct user user;
	int err = user_find(gateway->ns, repo->owner, &user) == 0 ? add(out, user.name, NOTIFIED_ACCESS) :
		member_list(gateway->ns, repo->owner, NULL, add_admin, out);
	if (err == 0 && repo->creator[0])
		err = add(out, repo->creator, NOTIFIED_ACCESS);
	if (err < 0)
		return err;
	merge(out);
	size_t kept = 0;
	for (size_t i = 0; i < out->count; i++) {
		uint64_t off;
		if (strcasecmp(out->list[i].user, actor) == 0 || !may_be_told(gateway, repo, out->list[i].user, ACTION_ADMIN))
			continue;
		err = notification_settings_get(gateway->ns, out->list[i].user, &off);
		if (err)
			return err;
		if (!(off & MESSAGES_ACCESS))
			out->list[kept++] = out->list[i];
	}
	out->count = kept;
	return 0;
}

int recipients_of_decision(struct gateway *gateway, const char *user, struct recipients *out)
{
	*out = (struct recipients){ 0 };
	uint64_t off;
	int err = notification_settings_get(gateway->ns, user, &off);
	return err || (off & MESSAGES_ACCESS) ? err : add(out, user, NOTIFIED_ACCESS);
}

void recipients_fini(struct recipients *recipients)
{
	free(recipients->list);
}
