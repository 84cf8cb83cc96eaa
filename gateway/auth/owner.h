/* owner.h - who a namespace belongs to, by its name in any case. */
#ifndef CAIRN_GATEWAY_AUTH_OWNER_H
#define CAIRN_GATEWAY_AUTH_OWNER_H

#include "replication/org.h"

struct owner {
	bool is_org;
	struct entity_id id;
	char name[NAME_BYTES_MAX + 1];     /* stored case */
	char fullname[NAME_BYTES_MAX + 1]; /* the name, when there is none */
	bool private_by_default;
	int64_t created_ms;
};
/* 0, ERR_NOT_FOUND. */
int owner_find(struct namespace *ns, const char *name, struct owner *out);
/* By id: the user, or one of the organisations that the user belongs to. */
int owner_by_id(struct namespace *ns, const char *user, const struct entity_id *id, struct owner *out);

#endif
