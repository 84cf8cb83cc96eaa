#include "gateway/hub/discussion_object.h"

#include <stdio.h>
#include <stdlib.h>

enum { COMMITS_OF_PUSH_MAX = 50 };

static const char hidden_text[] = "This comment has been hidden";

const char *discussion_status_name(enum discussion_status status)
{
	static const char *const names[] = { [DISCUSSION_OPEN] = "open", [DISCUSSION_CLOSED] = "closed", [DISCUSSION_MERGED] = "merged",
		[DISCUSSION_DRAFT] = "draft" };
	return status >= DISCUSSION_OPEN && status <= DISCUSSION_DRAFT ? names[status] : "open";
}

const char *discussion_url(struct http_request *request, const struct repo *repo, uint64_t number)
{
	return http_printf(request, "%s/discussions/%llu", repo_url(request, repo), (unsigned long long)number);
}

void write_author(struct json_writer *json, const char *key, const char *name)
{
	json_object_begin(json, key);
	json_text(json, "name", name);
	json_text(json, "type", "user");
	json_object_end(json);
}

void write_discussion_members(struct json_writer *json, const struct repo *repo, const struct discussion *discussion)
{
	char id[ENTITY_ID_TEXT_BYTES], full[REPO_ID_BYTES_MAX];
	hex_encode(id, discussion->id.bytes, ENTITY_ID_BYTES);
	snprintf(full, sizeof(full), "%s/%s", repo->owner, repo->name);
	json_text(json, "_id", id);
	json_u64(json, "num", discussion->number);
	json_text(json, "title", discussion->title);
	write_author(json, "author", discussion->author);
	json_date(json, "createdAt", discussion->created_ms);
	json_text(json, "status", discussion_status_name(discussion->status));
	json_bool(json, "isPullRequest", discussion->is_pull_request);
	json_bool(json, "pinned", discussion->pinned);
	json_u64(json, "numComments", discussion->comments_count);
	json_object_begin(json, "repo");
	json_text(json, "name", full);
	json_text(json, "type", type_singular(repo->type));
	json_object_end(json);
}

/* ------------------------------------------------------------------ events */

/* Text as HTML: escaped, lines broken. What it says in Markdown is for whoever shows it. */
static void write_html(struct json_writer *json, struct span text)
{
	struct buffer html;
	buffer_init(&html, 8 * COMMENT_BYTES_MAX);
	buffer_append_text(&html, "<p>");
	for (size_t i = 0; i < text.length; i++) {
		uint8_t c = text.data[i];
		if (c == '&')
			buffer_append_text(&html, "&amp;");
		else if (c == '<')
			buffer_append_text(&html, "&lt;");
		else if (c == '>')
			buffer_append_text(&html, "&gt;");
		else if (c == '"')
			buffer_append_text(&html, "&quot;");
		else if (c == '\n')
			buffer_append_text(&html, "<br>\n");
		else
			buffer_append_byte(&html, c);
	}
	buffer_append_text(&html, "</p>");
	json_span(json, "html", buffer_span(&html));
	buffer_fini(&html);
}

static void write_version(struct json_writer *json, const char *key, const char *author, int64_t when_ms, struct span text)
{
	json_object_begin(json, key);
	json_span(json, "raw", text);
	write_html(json, text);
	json_date(json, "updatedAt", when_ms);
	write_author(json, "author", author);
	json_object_end(json);
}

static int write_earlier(void *context, const char *author, int64_t when_ms, struct span text)
{
	write_version(context, NULL, author, when_ms, text);
	return 0;
}

static int write_comment(struct gateway *gateway, const struct repo *repo, uint64_t number, struct json_writer *json, const struct discussion_event *event,
	struct span text)
{
	json_bool(json, "edited", event->edits_count > 0);
	json_bool(json, "hidden", event->hidden);
	if (event->hidden)
		json_text(json, "hiddenBy", event->edited_by);
	write_version(json, "latest", event->edited_by[0] && !event->hidden ? event->edited_by : event->author, event->updated_ms,
		event->hidden ? span_text(hidden_text) : text);
	json_u64(json, "numEdits", event->edits_count);
	json_array_begin(json, "history");
	int err = event->edits_count ? discussion_history(gateway->ns, &repo->id, number, event->number, write_earlier, json) : 0;
	json_array_end(json);
	json_array_begin(json, "reactions");
	json_array_end(json);
	return err;
}

static int write_data(struct gateway *gateway, const struct repo *repo, uint64_t number, struct json_writer *json, const struct discussion_event *event,
	struct span text)
{
	char oid[OID_TEXT_BYTES];
	switch (event->kind) {
	case EVENT_COMMENT:
		return write_comment(gateway, repo, number, json, event, text);
	case EVENT_STATUS:
		json_text(json, "status", discussion_status_name(event->status));
		hex_encode(oid, event->new_oid.bytes, OID_BYTES);
		if (event->status == DISCUSSION_MERGED)
			json_text(json, "oid", oid);
		return 0;
	case EVENT_TITLE:
		json_text(json, "from", event->from);
		json_text(json, "to", event->to);
		return 0;
	case EVENT_PIN:
		json_bool(json, "pinned", event->pinned);
		return 0;
	case EVENT_COMMIT:
		return 0; /* write_commits */
	}
	return 0;
}

static void begin_event(struct json_writer *json, const char *key, const struct discussion_event *event, const uint8_t id[ENTITY_ID_BYTES])
{
	static const char *const types[] = { [EVENT_COMMENT] = "comment", [EVENT_STATUS] = "status-change", [EVENT_TITLE] = "title-change",
		[EVENT_COMMIT] = "commit", [EVENT_PIN] = "pinning-change" };
	char text[ENTITY_ID_TEXT_BYTES];
	hex_encode(text, id, ENTITY_ID_BYTES);
	json_object_begin(json, key);
	json_text(json, "id", text);
	json_text(json, "type", types[event->kind]);
	json_date(json, "createdAt", event->created_ms);
	write_author(json, "author", event->author);
	json_object_begin(json, "data");
}

static void end_event(struct json_writer *json)
{
	json_object_end(json);
	json_object_end(json);
}

struct pushed {
	struct oid oids[COMMITS_OF_PUSH_MAX];
	char *titles[COMMITS_OF_PUSH_MAX];
	size_t count;
	const struct oid *stop;
};

static int collect_commit(void *context, const struct commit_info *info)
{
	struct pushed *pushed = context;
	if (memcmp(info->oid.bytes, pushed->stop->bytes, OID_BYTES) == 0)
		return 1;
	pushed->oids[pushed->count] = info->oid;
	pushed->titles[pushed->count++] = strdup(info->title ? info->title : "");
	return 0;
}

/* One event per commit that a push brought, oldest first. */
static int write_commits(struct gateway *gateway, const struct repo *repo, struct json_writer *json, const struct discussion_event *event)
{
	struct pushed pushed = { .stop = &event->old_oid };
	struct why why;
	int err = repo_log(gateway, repo, &event->new_oid, 0, COMMITS_OF_PUSH_MAX, NULL, collect_commit, &pushed, &why);
	for (size_t i = pushed.count; i-- > 0;) {
		char oid[OID_TEXT_BYTES];
		hex_encode(oid, pushed.oids[i].bytes, OID_BYTES);
		begin_event(json, NULL, event, i == 0 ? event->id.bytes : pushed.oids[i].bytes);
		json_text(json, "subject", pushed.titles[i] ? pushed.titles[i] : "");
		json_text(json, "oid", oid);
		end_event(json);
		free(pushed.titles[i]);
	}
	return err < 0 && err != ERR_NOT_FOUND ? err : 0;
}

int write_discussion_event(struct gateway *gateway, const struct repo *repo, uint64_t number, struct json_writer *json, const char *key,
	const struct discussion_event *event, struct span text)
{
	if (event->kind == EVENT_COMMIT)
		return write_commits(gateway, repo, json, event);
	begin_event(json, key, event, event->id.bytes);
	int err = write_data(gateway, repo, number, json, event, text);
	end_event(json);
	return err;
}

/* ------------------------------------------------------------------ one event as an answer */

struct single {
	struct call *call;
	struct json_writer json;
	uint64_t number;
	const char *key;
	int err;
};

static int write_single(void *context, const struct discussion_event *event, struct span text)
{
	struct single *single = context;
	single->err = write_discussion_event(single->call->gateway, &single->call->repo, single->number, &single->json, single->key, event, text);
	return 1;
}

void reply_discussion_event(struct http_request *request, struct call *call, uint64_t number, uint64_t event, const char *key)
{
	struct single single = { .call = call, .number = number, .key = key };
	struct buffer body;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&single.json, &body);
	json_object_begin(&single.json, NULL);
	int found = discussion_events(call->gateway->ns, &call->repo.id, number, event - 1, write_single, &single);
	if (found == 1 && single.err == 0) {
		json_object_end(&single.json);
		answer_json(request, 200, &body);
		return;
	}
	buffer_fini(&body);
	answer_err(request, single.err ? single.err : found < 0 ? found : ERR_NOT_FOUND, NULL);
}
