/* ref_list.h - branches and tags of one side, as git prints them. */
#ifndef CAIRN_OPS_CAIRN_REF_LIST_H
#define CAIRN_OPS_CAIRN_REF_LIST_H

#include "ops/cairn/mirror_dir.h"

enum {
	REF_LIST_BYTES_MAX = 256 << 20,
	REF_OID_DIGITS = 40,
};

struct listed_ref {
	const char *name;             /* "refs/heads/main"; borrowed from the list */
	char oid[REF_OID_DIGITS + 1];
};

struct ref_list {
	struct buffer text;
	struct listed_ref *refs;      /* sorted by name */
	size_t count;
};

/* Those of the mirror, and those of a remote. 0 or EXIT_FAILED: told. */
int ref_list_local(struct ref_list *out, const struct mirror_dir *dir, const struct git_settings *settings);
int ref_list_remote(struct ref_list *out, const struct mirror_dir *dir, const struct git_settings *settings, const char *remote);
void ref_list_free(struct ref_list *list);
/* NULL: there is none of that name. */
const struct listed_ref *ref_list_find(const struct ref_list *list, const char *name);

#endif
