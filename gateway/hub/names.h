/* names.h - how the Hub API spells repository types, ids and revisions in a path. Pure; no look-ups here.
 *
 * API paths say "models/owner/name", page paths say "owner/name" for models and "datasets/owner/name" for the rest. A revision is
 * one raw segment with its slashes as %2F, except that the JavaScript client leaves the slashes of "refs/pr/1" raw in some calls: then
 * the revision is the longest ref name that begins the rest of the path, and names_longer_revision enumerates the candidates. */
#ifndef CAIRN_GATEWAY_HUB_NAMES_H
#define CAIRN_GATEWAY_HUB_NAMES_H

#include "gateway/gateway.h"

enum { REVISION_SEGMENTS_MAX = 8 }; /* raw segments that a revision may span */

/* "models" | "datasets" | "spaces" | "kernels". 0 or ERR_NOT_FOUND. */
int type_from_plural(struct span plural, enum repo_type *out);
/* "model" and so on, as request bodies say it; NULL or "" is a model. 0 or ERR_INVALID. */
int type_from_singular(const char *singular, enum repo_type *out);
const char *type_plural(enum repo_type type);   /* "models" */
const char *type_singular(enum repo_type type); /* "model" */
const char *type_prefix(enum repo_type type);   /* "", "datasets/", ...: begins page and file paths */

struct repo_name {
	enum repo_type type;
	struct span owner, name; /* raw; `name` without a trailing ".git" */
	size_t next;             /* index of the first capture after the id */
};
/* Reads [type] owner name from the first captures, when `after` captures follow the id. 0 or ERR_NOT_FOUND. */
int repo_name_from(const struct route_match *match, size_t after, struct repo_name *out);

/* "owner/name", or "name" with `fallback_owner`, as bodies carry it. 0 or ERR_INVALID. */
int repo_name_split(const char *text, const char *fallback_owner, char owner[NAME_BYTES_MAX + 1], char name[NAME_BYTES_MAX + 1]);

/* Cuts `rest` after its k-th segment (k from 1): *head is what joins the revision, *tail what stays of the path. False when
 * there are fewer segments, or k is beyond what a revision may span. */
bool names_longer_revision(struct span rest, int k, struct span *head, struct span *tail);

#endif
