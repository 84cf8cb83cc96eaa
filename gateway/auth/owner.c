#include "gateway/auth/owner.h"

static void from_user(struct owner *out, const struct user *user)
{
	*out = (struct owner){ .id = user->id, .created_ms = user->created_ms };
	memcpy(out->name, user->name, sizeof(out->name));
	memcpy(out->fullname, user->fullname[0] ? user->fullname : user->name, sizeof(out->fullname));
}

static void from_org(struct owner *out, const struct org *org)
{
	*out = (struct owner){ .is_org = true, .id = org->id, .private_by_default = org->private_by_default, .created_ms = org->created_ms };
	memcpy(out->name, org->name, sizeof(out->name));
	memcpy(out->fullname, org->fullname[0] ? org->fullname : org->name, sizeof(out->fullname));
}

int owner_find(struct namespace *ns, const char *name, struct owner *out)
{
	struct user user;
	struct org org;
	int err = user_find(ns, name, &user);
	if (err == 0)
		from_user(out, &user);
	if (err != ERR_NOT_FOUND)
		return err;
	err = org_find(ns, name, &org);
	if (err == 0)
		from_org(out, &org);
	return err;
}

struct search {
	const struct entity_id *id;
	struct owner *out;
};

static int is_it(void *context, const struct org *org, const struct member *member)
{
	(void)member;
	struct search *search = context;
	if (memcmp(org->id.bytes, search->id->bytes, ENTITY_ID_BYTES) != 0)
		return 0;
	from_org(search->out, org);
	return 1;
}

int owner_by_id(struct namespace *ns, const char *user_name, const struct entity_id *id, struct owner *out)
{
	struct user user;
	int err = user_find(ns, user_name, &user);
	if (err == 0 && memcmp(user.id.bytes, id->bytes, ENTITY_ID_BYTES) == 0) {
		from_user(out, &user);
		return 0;
	}
	struct search search = { .id = id, .out = out };
	int found = member_orgs(ns, user_name, is_it, &search);
	return found == 1 ? 0 : found < 0 ? found : ERR_NOT_FOUND;
}
