#include "gateway/hub/access.h"

#include <sodium.h>
#include <stdio.h>

#include "gateway/hub/access_call.h"
#include "schemas/json_writer.h"

enum {
	ACCESS_PAGE = 100,
	CURSOR_BYTES_MAX = 32 + NAME_BYTES_MAX,
	FORM_FIELDS_MAX = 64,
};

static const char *const statuses[] = { [ACCESS_PENDING] = "pending", [ACCESS_ACCEPTED] = "accepted", [ACCESS_REJECTED] = "rejected" };

int access_status_from(struct span text, enum access_status *out)
{
	for (int i = ACCESS_PENDING; i <= ACCESS_REJECTED; i++) {
		if (span_equal(text, span_text(statuses[i]))) {
			*out = (enum access_status)i;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}

/* ------------------------------------------------------------------ asking */

/* What the gate's form asked for, as a JSON object in `out`; fields that do not fit make it fail. */
static int form_to_json(struct http_request *request, struct span form, struct buffer *out)
{
	struct json_writer json;
	json_writer_init(&json, out);
	json_object_begin(&json, NULL);
	size_t count = 0;
	for (size_t at = 0; at < form.length;) {
		const uint8_t *end = memchr(form.data + at, '&', form.length - at);
		struct span pair = span_of(form.data + at, end ? (size_t)(end - form.data) - at : form.length - at);
		at += pair.length + 1;
		const uint8_t *equals = pair.length ? memchr(pair.data, '=', pair.length) : NULL;
		if (!equals)
			continue;
		size_t key_length = (size_t)(equals - pair.data);
		const char *key = http_decode(request, span_of(pair.data, key_length), true);
		const char *value = http_decode(request, span_of(equals + 1, pair.length - key_length - 1), true);
		if (!key || !*key || !value || ++count > FORM_FIELDS_MAX)
			return ERR_INVALID;
		json_text(&json, key, value);
	}
	json_object_end(&json);
	return out->failed ? ERR_TOO_BIG : 0;
}

static int json_to_json(struct span text, struct buffer *out, struct why *why)
{
	json_t *body = json_body_parse(text, why);
	if (!body)
		return ERR_INVALID;
	char *compact = json_dumps(body, JSON_COMPACT);
	int err = compact ? buffer_append_text(out, compact) : ERR_NO_MEMORY;
	free(compact);
	json_decref(body);
	return err;
}

static void ask_body(struct http_request *request, struct span text, void *context)
{
	struct call *call = context;
	struct why why = { 0 };
	struct buffer fields;
	buffer_init(&fields, ACCESS_FIELDS_BYTES_MAX);
	int err = 0;
	if (text.length)
		err = text.data[0] == '{' ? json_to_json(text, &fields, &why) : form_to_json(request, text, &fields);
	buffer_append_byte(&fields, 0);
	if (err || fields.failed) {
		buffer_fini(&fields);
		answer_err(request, err == ERR_NO_MEMORY ? err : ERR_INVALID, why.text[0] ? &why : &(struct why){ "The form is malformed or too long" });
		return;
	}
	err = access_ask(call->gateway->ns, call->actor.name, &call->repo.id, call->repo.gated == REPO_GATE_AUTO, (const char *)fields.data, &why);
	buffer_fini(&fields);
	if (err && err != ERR_EXISTS) { /* asking again changes nothing */
		answer_err(request, err, &why);
		return;
	}
	http_add_header(request, "Location", repo_url(request, &call->repo));
	http_reply(request, 303, NULL, span_of(NULL, 0));
}

bool access_refuse_ungated(struct http_request *request, const struct call *call)
{
	if (call->repo.gated != REPO_GATE_NONE)
		return false;
	http_reply_error(request, 400, NULL, http_printf(request, "The %s %s/%s is not gated", type_singular(call->repo.type), call->repo.owner, call->repo.name));
	return true;
}

/* Whoever may read may ask to read more; a fine-grained token does not speak for its user. */
static bool refuse_token(struct http_request *request, const struct call *call)
{
	if (call->actor.role != TOKEN_FINE_GRAINED)
		return false;
	answer_err(request, ERR_DENIED, NULL);
	return true;
}

void access_asked(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_READ);
	if (!call)
		return;
	if (call->actor.anonymous)
		answer_login(request);
	else if (!refuse_token(request, call) && !access_refuse_ungated(request, call))
		http_collect(request, ACCESS_BODY_BYTES_MAX, ask_body, call);
}

static int cancel_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct why why = { 0 };
	struct access_request asked;
	int err = access_get(call->gateway->ns, &call->repo.id, call->actor.name, &asked);
	if (err == 0 && asked.status != ACCESS_PENDING)
		err = why_set(&why, ERR_NOT_FOUND, "The request is no longer pending");
	if (err == 0)
		err = access_cancel(call->gateway->ns, call->actor.name, &call->repo.id, call->actor.name, &why);
	if (err)
		answer_err(request, err, &why);
	else
		reply_success(request);
	return 0;
}

void access_cancelled(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_READ);
	if (!call)
		return;
	if (call->actor.anonymous)
		answer_login(request);
	else if (!refuse_token(request, call))
		call_work(request, call, cancel_run);
}

/* ------------------------------------------------------------------ listing */

struct access_page {
	struct call *call;
	struct json_writer json;
	struct buffer body;
	enum access_status status;
	size_t count;
	bool more;
	int64_t last_ms; /* of the last one written */
	char last[NAME_BYTES_MAX + 1];
};

static void write_request(struct call *call, struct json_writer *json, const struct access_request *asked)
{
	struct user user = { 0 };
	bool exists = user_find(call->gateway->ns, asked->user, &user) == 0;
	char request_id[2 * NAME_BYTES_MAX];
	sodium_bin2base64(request_id, sizeof(request_id), (const uint8_t *)asked->user, strlen(asked->user), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	json_object_begin(json, NULL);
	json_text(json, "requestId", request_id);
	json_object_begin(json, "user");
	if (exists) {
		char id[ENTITY_ID_TEXT_BYTES];
		hex_encode(id, user.id.bytes, ENTITY_ID_BYTES);
		json_text(json, "_id", id);
	}
	json_text(json, "user", asked->user);
	json_text(json, "fullname", user.fullname[0] ? user.fullname : asked->user);
	if (user.email[0])
		json_text(json, "email", user.email);
	json_text(json, "type", "user");
	json_object_end(json);
	json_text(json, "status", statuses[asked->status]);
	json_date(json, "timestamp", asked->asked_ms);
	if (asked->fields[0])
		json_raw(json, "fields", span_text(asked->fields));
	if (asked->decided_by[0])
		json_text(json, "decidedBy", asked->decided_by);
	if (asked->decided_ms)
		json_date(json, "decidedAt", asked->decided_ms);
	if (asked->reason[0])
		json_text(json, "rejectionReason", asked->reason);
	json_object_end(json);
}

static int list_one(void *context, const struct access_request *asked)
{
	struct access_page *page = context;
	if (page->count == ACCESS_PAGE) {
		page->more = true;
		return 1;
	}
	page->count++;
	page->last_ms = asked->asked_ms;
	snprintf(page->last, sizeof(page->last), "%s", asked->user);
	write_request(page->call, &page->json, asked);
	return 0;
}

/* "milliseconds user" of the last request of a page. */
static int read_cursor(struct http_request *request, int64_t *when_ms, char *user, size_t capacity)
{
	const char *cursor = http_query_value(request, "cursor", 0);
	char text[CURSOR_BYTES_MAX + 1];
	size_t length;
	if (!cursor)
		return ERR_NOT_FOUND;
	if (sodium_base642bin((uint8_t *)text, CURSOR_BYTES_MAX, cursor, strlen(cursor), NULL, &length, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return ERR_INVALID;
	text[length] = 0;
	char *rest;
	*when_ms = strtoll(text, &rest, 10);
	if (*rest != ' ' || !name_valid(span_text(rest + 1)))
		return ERR_INVALID;
	snprintf(user, capacity, "%s", rest + 1);
	return 0;
}

static int list_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct access_page *page = call->state;
	int64_t after_ms = 0;
	char after[NAME_BYTES_MAX + 1];
	int err = read_cursor(request, &after_ms, after, sizeof(after));
	bool goes_on = err == 0;
	if (err == ERR_INVALID) {
		answer_err(request, err, &(struct why){ "Invalid cursor" });
		return 0;
	}
	buffer_init(&page->body, ANSWER_BYTES_MAX);
	json_writer_init(&page->json, &page->body);
	json_array_begin(&page->json, NULL);
	err = access_list(call->gateway->ns, &call->repo.id, page->status, after_ms, goes_on ? after : NULL, list_one, page);
	if (err < 0) {
		buffer_fini(&page->body);
		answer_err(request, err, NULL);
		return 0;
	}
	json_array_end(&page->json);
	if (page->more) {
		char text[CURSOR_BYTES_MAX], cursor[2 * CURSOR_BYTES_MAX];
		int length = snprintf(text, sizeof(text), "%lld %s", (long long)page->last_ms, page->last);
		sodium_bin2base64(cursor, sizeof(cursor), (const uint8_t *)text, (size_t)length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		add_next_link(request, "cursor", cursor);
	}
	answer_json(request, 200, &page->body);
	return 0;
}

void access_listed(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 1, ACTION_SEE_REQUESTS);
	if (!call || access_refuse_ungated(request, call))
		return;
	struct access_page *page = http_alloc(request, sizeof(*page));
	page->call = call;
	if (access_status_from(call->captures[0], &page->status) != 0) {
		http_reply_error(request, 404, NULL, "The status is pending, accepted or rejected");
		return;
	}
	call->state = page;
	call_work(request, call, list_run);
}

/* ------------------------------------------------------------------ the report */

/* One CSV field. What a spreadsheet would take for a formula is quoted away. */
static void write_csv(struct buffer *out, const char *text, char end)
{
	buffer_append_byte(out, '"');
	if (*text && strchr("=+-@\t\r", *text))
		buffer_append_byte(out, '\'');
	for (; *text; text++) {
		if (*text == '"')
			buffer_append_byte(out, '"');
		buffer_append_byte(out, (uint8_t)*text);
	}
	buffer_append_byte(out, '"');
	buffer_append_byte(out, (uint8_t)end);
}

static int report_one(void *context, const struct access_request *asked)
{
	struct access_page *page = context;
	struct user user = { 0 };
	user_find(page->call->gateway->ns, asked->user, &user);
	struct buffer when;
	struct json_writer json;
	buffer_init(&when, 64);
	json_writer_init(&json, &when);
	json_date(&json, NULL, asked->asked_ms);
	write_csv(&page->body, asked->user, ',');
	write_csv(&page->body, user.fullname, ',');
	write_csv(&page->body, user.email, ',');
	write_csv(&page->body, statuses[asked->status], ',');
	buffer_append(&page->body, when.data, when.length);
	buffer_append_byte(&page->body, ',');
	write_csv(&page->body, asked->decided_by, ',');
	write_csv(&page->body, asked->fields, '\n');
	buffer_fini(&when);
	return page->body.failed ? ERR_TOO_BIG : 0;
}

static int report_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct access_page page = { .call = call };
	buffer_init(&page.body, ANSWER_BYTES_MAX);
	buffer_append_text(&page.body, "user,fullname,email,status,time,decided_by,fields\n");
	int err = 0;
	for (int status = ACCESS_PENDING; status <= ACCESS_REJECTED && err == 0; status++)
		err = access_list(call->gateway->ns, &call->repo.id, (enum access_status)status, 0, NULL, report_one, &page);
	if (err == 0) {
		http_add_header(request, "Content-Disposition", "attachment; filename=\"user-access-report.csv\"");
		http_reply_buffer(request, 200, "text/csv; charset=utf-8", &page.body);
	} else {
		answer_err(request, err, NULL);
	}
	buffer_fini(&page.body);
	return 0;
}

void access_reported(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_SEE_REQUESTS);
	if (call && !access_refuse_ungated(request, call))
		call_work(request, call, report_run);
}
