/* ref_push.h - moves the branches and tags of a repository of the hub to where those of a mirror are.
 *
 * Only what differs is pushed, some hundred at a time, the main branch first. What the hub has and the mirror never had (a commit made here since) is not
 * overwritten unless asked: a ref moves only from a commit that the mirror knows, and only if it is still there (--force-with-lease). The one commit that a
 * repository of the hub usually begins with does not count. */
#ifndef CAIRN_OPS_CAIRN_REF_PUSH_H
#define CAIRN_OPS_CAIRN_REF_PUSH_H

#include "ops/cairn/ref_list.h"

struct ref_push {
	const struct mirror_dir *dir;
	const struct git_settings *settings;    /* know the hub as "hub" */
	const struct ref_list *local, *remote;
	const char *default_branch;             /* of the source, "refs/heads/master"; "" when it has none */
	bool prune, force;
	bool is_new;                            /* the hub's repository has nothing but its first commit */
	size_t moved, refused;                  /* out */
};

/* [blocks] 0; EXIT_FAILED: told, but for what the refused ones need. */
int ref_push_run(struct ref_push *push);

#endif
