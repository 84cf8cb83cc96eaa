#include "gateway/hub/names.h"

#include <assert.h>
#include <stdio.h>

static const struct {
	const char *singular, *plural, *prefix;
} types[] = {
	[REPO_MODEL] = { "model", "models", "" },
	[REPO_DATASET] = { "dataset", "datasets", "datasets/" },
	[REPO_SPACE] = { "space", "spaces", "spaces/" },
	[REPO_KERNEL] = { "kernel", "kernels", "kernels/" },
	[REPO_BUCKET] = { "bucket", "buckets", "buckets/" },
};

#define TYPES_COUNT ((int)(sizeof(types) / sizeof(types[0])))

int type_from_plural(struct span plural, enum repo_type *out)
{
	for (int i = REPO_MODEL; i < TYPES_COUNT; i++) {
		if (span_equal(plural, span_text(types[i].plural))) {
			*out = (enum repo_type)i;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}

int type_from_singular(const char *singular, enum repo_type *out)
{
	if (!singular || !*singular) {
		*out = REPO_MODEL;
		return 0;
	}
	for (int i = REPO_MODEL; i < TYPES_COUNT; i++) {
		if (strcmp(singular, types[i].singular) == 0) {
			*out = (enum repo_type)i;
			return 0;
		}
	}
	return ERR_INVALID;
}

const char *type_plural(enum repo_type type)
{
	assert(type >= REPO_MODEL && (int)type < TYPES_COUNT);
	return types[type].plural;
}

const char *type_singular(enum repo_type type)
{
	assert(type >= REPO_MODEL && (int)type < TYPES_COUNT);
	return types[type].singular;
}

const char *type_prefix(enum repo_type type)
{
	assert(type >= REPO_MODEL && (int)type < TYPES_COUNT);
	return types[type].prefix;
}

int repo_name_from(const struct route_match *match, size_t after, struct repo_name *out)
{
	assert(match->count == after + 2 || match->count == after + 3);
	size_t at = 0;
	out->type = REPO_MODEL;
	if (match->count == after + 3) {
		int err = type_from_plural(match->captures[at++], &out->type);
		if (err)
			return err;
	}
	out->owner = match->captures[at++];
	out->name = match->captures[at++];
	out->next = at;
	if (out->name.length > 4 && memcmp(out->name.data + out->name.length - 4, ".git", 4) == 0)
		out->name.length -= 4;
	return 0;
}

static int copy_name(char out[NAME_BYTES_MAX + 1], const char *text, size_t length)
{
	if (!name_valid(span_of(text, length)))
		return ERR_INVALID;
	snprintf(out, NAME_BYTES_MAX + 1, "%.*s", (int)length, text);
	return 0;
}

int repo_name_split(const char *text, const char *fallback_owner, char owner[NAME_BYTES_MAX + 1], char name[NAME_BYTES_MAX + 1])
{
	const char *slash = strchr(text, '/');
	int err = slash ? copy_name(owner, text, (size_t)(slash - text)) : copy_name(owner, fallback_owner, strlen(fallback_owner));
	if (err)
		return err;
	const char *last = slash ? slash + 1 : text;
	return copy_name(name, last, strlen(last));
}

bool names_longer_revision(struct span rest, int k, struct span *head, struct span *tail)
{
	if (k < 1 || k >= REVISION_SEGMENTS_MAX || rest.length == 0)
		return false;
	size_t at = 0;
	for (int seen = 0; at < rest.length; at++)
		if (rest.data[at] == '/' && ++seen == k)
			break;
	if (at == rest.length) {
		/* The last cut takes everything: only if it ends the k-th segment exactly. */
		int segments = 1;
		for (size_t i = 0; i < rest.length; i++)
			segments += rest.data[i] == '/';
		if (segments != k)
			return false;
	}
	*head = span_of(rest.data, at);
	*tail = at < rest.length ? span_of(rest.data + at + 1, rest.length - at - 1) : span_of(NULL, 0);
	return true;
}
