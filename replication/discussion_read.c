/* discussion_read.c - discussions and their events, read from the state. Declared in discussion.h. */
#include "replication/discussion.h"

#include <stdio.h>
#include <stdlib.h>

#include "replication/discussion_state.h"

uint64_t pull_request_of_ref(const char *ref)
{
	static const char prefix[] = "refs/pr/";
	if (strncmp(ref, prefix, sizeof(prefix) - 1) != 0 || ref[sizeof(prefix) - 1] < '1' || ref[sizeof(prefix) - 1] > '9')
		return 0;
	uint64_t number = 0;
	for (const char *at = ref + sizeof(prefix) - 1; *at; at++) {
		if (*at < '0' || *at > '9' || number > DISCUSSIONS_PER_REPO_MAX)
			return 0;
		number = number * 10 + (uint64_t)(*at - '0');
	}
	return number;
}

void pull_request_ref(char out[REF_BYTES_MAX + 1], uint64_t number)
{
	memset(out, 0, REF_BYTES_MAX + 1);
	snprintf(out, REF_BYTES_MAX + 1, "refs/pr/%llu", (unsigned long long)number);
}

int discussion_event_decode(struct span bytes, struct discussion_event *out, struct span *text)
{
	struct cursor cursor = cursor_of(bytes);
	cursor_array(&cursor, 2);
	int err = record_decode_at(&cursor, out, sizeof(*out), &discussion_event_schema);
	*text = cursor_text(&cursor, COMMENT_BYTES_MAX);
	return err ? err : cursor_done(&cursor) ? 0 : ERR_CORRUPT;
}

int discussion_get(struct namespace *ns, const struct entity_id *repo, uint64_t number, struct discussion *out)
{
	struct key key;
	key_discussion(&key, repo, number);
	return namespace_get(ns, NULL, &key, &discussion_schema, out, sizeof(*out));
}

struct listing {
	int (*each)(void *context, const struct discussion *discussion);
	int (*each_event)(void *context, const struct discussion_event *event, struct span text);
	int (*each_version)(void *context, const char *author, int64_t when_ms, struct span text);
	void *context;
};

static int list_one(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	struct discussion discussion;
	int err = record_decode(&discussion, sizeof(discussion), &discussion_schema, value);
	return err ? err : listing->each(listing->context, &discussion);
}

int discussion_list(struct namespace *ns, const struct entity_id *repo, uint64_t before, int (*each)(void *context, const struct discussion *discussion),
	void *context)
{
	struct key prefix, start;
	key_discussion_prefix(&prefix, repo);
	if (before == 1)
		return 0;
	if (before)
		key_discussion(&start, repo, before - 1);
	struct listing listing = { .each = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, before ? &start : NULL, list_one, &listing);
}

static int list_event(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	struct discussion_event event;
	struct span text;
	int err = discussion_event_decode(value, &event, &text);
	return err ? err : listing->each_event(listing->context, &event, text);
}

int discussion_events(struct namespace *ns, const struct entity_id *repo, uint64_t number, uint64_t after,
	int (*each)(void *context, const struct discussion_event *event, struct span text), void *context)
{
	struct key prefix, start;
	key_event_prefix(&prefix, repo, number);
	key_event(&start, repo, number, after + 1);
	struct listing listing = { .each_event = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, &start, list_event, &listing);
}

static int list_version(void *context, struct span key, struct span value)
{
	(void)key;
	struct listing *listing = context;
	struct cursor cursor = cursor_of(value);
	char author[NAME_BYTES_MAX + 1] = { 0 };
	cursor_array(&cursor, 3);
	struct span name = cursor_text(&cursor, NAME_BYTES_MAX);
	int64_t when_ms = cursor_i64(&cursor);
	struct span text = cursor_text(&cursor, COMMENT_BYTES_MAX);
	if (!cursor_done(&cursor))
		return ERR_CORRUPT;
	if (name.length)
		memcpy(author, name.data, name.length);
	return listing->each_version(listing->context, author, when_ms, text);
}

int discussion_history(struct namespace *ns, const struct entity_id *repo, uint64_t number, uint64_t event,
	int (*each)(void *context, const char *author, int64_t when_ms, struct span text), void *context)
{
	struct key prefix;
	key_event_version_prefix(&prefix, repo, number, event);
	struct listing listing = { .each_version = each, .context = context };
	return namespace_scan(ns, NULL, &prefix, NULL, list_version, &listing);
}
