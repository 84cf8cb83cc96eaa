/* settings.c - PUT settings: what is in the body is changed, all at once or not at all; the answer says how everything is then.
 *
 * The number of copies is a record of its own (repo_copies.h). It is set first: when it is refused nothing is changed, and what comes after it was checked before. */
#include "gateway/hub/repos.h"

#include <limits.h>
#include <stdio.h>

#include "gateway/hub/body_call.h"
#include "gateway/hub/repo_object.h"
#include "gateway/hub/visibility.h"
#include "replication/repo_copies.h"
#include "schemas/json_writer.h"

enum { SETTINGS_BODY_BYTES_MAX = 64 << 10 };

/* "auto", "manual" or false. */
static int read_gate(const json_t *body, struct repo_settings *settings, struct why *why)
{
	const json_t *value = json_object_get(body, "gated");
	const char *text = json_string_value(value);
	if (!value || json_is_null(value))
		return 0;
	settings->set_gated = true;
	if (json_is_false(value))
		settings->gated = REPO_GATE_NONE;
	else if (text && strcmp(text, "auto") == 0)
		settings->gated = REPO_GATE_AUTO;
	else if (text && strcmp(text, "manual") == 0)
		settings->gated = REPO_GATE_MANUAL;
	else
		return why_set(why, ERR_INVALID, "\"gated\" must be \"auto\", \"manual\" or false");
	return 0;
}

static int read_bool(const json_t *body, const char *key, bool *set, bool *out, struct why *why)
{
	const json_t *value = json_object_get(body, key);
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_boolean(value))
		return why_set(why, ERR_INVALID, "\"%s\" must be true or false", key);
	*set = true;
	*out = json_is_true(value);
	return 0;
}

/* One of the words, kept as it is; "" is taken for the default. */
static int read_word(const json_t *body, const char *key, const char *const *words, const char **out, struct why *why)
{
	const json_t *value = json_object_get(body, key);
	const char *text = json_string_value(value);
	*out = NULL;
	if (!value || json_is_null(value))
		return 0;
	for (size_t i = 0; text && words[i]; i++)
		if (strcmp(text, words[i]) == 0)
			*out = words[i];
	return *out ? 0 : why_set(why, ERR_INVALID, "\"%s\" has no such value", key);
}

static int read_email(const json_t *body, struct repo_settings *settings, struct why *why)
{
	const json_t *value = json_object_get(body, "gatedNotificationsEmail");
	const char *text = json_is_null(value) ? "" : json_string_value(value);
	if (!value)
		return 0;
	if (!text || strlen(text) > EMAIL_BYTES_MAX || (*text && !strchr(text, '@')))
		return why_set(why, ERR_INVALID, "\"gatedNotificationsEmail\" must be an address");
	settings->set_gate_email = true;
	snprintf(settings->gate_email, sizeof(settings->gate_email), "%s", text);
	return 0;
}

/* A number; UINT_MAX: it stays. */
static int read_copies(const json_t *body, unsigned *out, struct why *why)
{
	const json_t *value = json_object_get(body, "copies");
	json_int_t copies = json_integer_value(value);
	*out = UINT_MAX;
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_integer(value) || copies < 0 || copies > REPLICATION_FACTOR_MAX)
		return why_set(why, ERR_INVALID, "\"copies\" must be 1 to %d, or 0: as many as the cluster makes", REPLICATION_FACTOR_MAX);
	*out = (unsigned)copies;
	return 0;
}

static int read_settings(const json_t *body, struct repo_settings *settings, struct why *why)
{
	static const char *const sortings[] = { "recently-created", "trending", "reactions", NULL }, *const modes[] = { "bulk", "real-time", NULL };
	const char *sorting = NULL, *mode = NULL;
	int err = visibility_read(body, &settings->set_private, &settings->private, why);
	if (err == 0)
		err = read_gate(body, settings, why);
	if (err == 0)
		err = read_bool(body, "discussionsDisabled", &settings->set_discussions_disabled, &settings->discussions_disabled, why);
	if (err == 0)
		err = read_bool(body, "lfsLocks", &settings->set_lfs_locks, &settings->lfs_locks, why);
	if (err == 0)
		err = read_bool(body, "orgMembersGated", &settings->set_org_members_gated, &settings->org_members_gated, why);
	if (err == 0)
		err = read_word(body, "discussionsSorting", sortings, &sorting, why);
	if (err == 0)
		err = read_word(body, "gatedNotificationsMode", modes, &mode, why);
	if (err == 0)
		err = read_email(body, settings, why);
	if (sorting) {
		settings->set_discussions_sorting = true;
		snprintf(settings->discussions_sorting, sizeof(settings->discussions_sorting), "%s", sorting);
	}
	settings->set_gate_mails_daily = mode != NULL;
	settings->gate_mails_daily = mode && strcmp(mode, "bulk") == 0;
	return err;
}

static void reply_settings(struct http_request *request, const struct repo *repo, unsigned copies)
{
	struct buffer answer;
	buffer_init(&answer, ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &answer);
	json_object_begin(&json, NULL);
	json_bool(&json, "private", repo->private);
	json_text(&json, "visibility", repo->private ? "private" : "public");
	write_gate(&json, repo->gated);
	json_bool(&json, "discussionsDisabled", repo->discussions_disabled);
	json_bool(&json, "lfsLocks", repo->lfs_locks);
	json_text(&json, "discussionsSorting", repo->discussions_sorting[0] ? repo->discussions_sorting : "recently-created");
	json_bool(&json, "orgMembersGated", repo->org_members_gated);
	json_text(&json, "gatedNotificationsEmail", repo->gate_email[0] ? repo->gate_email : NULL);
	json_text(&json, "gatedNotificationsMode", repo->gate_mails_daily ? "bulk" : "real-time");
	json_u64(&json, "copies", copies);
	json_object_end(&json);
	answer_json(request, 200, &answer);
}

static void settings_from(struct http_request *request, struct call *call, const json_t *body)
{
	struct repo_settings settings = { 0 };
	struct why why = { 0 };
	unsigned copies = UINT_MAX;
	int err = json_is_null(json_object_get(body, "resourceGroupId")) || !json_object_get(body, "resourceGroupId") ? 0 :
		why_set(&why, ERR_UNSUPPORTED, "Resource groups: not implemented by this server");
	if (err == 0)
		err = read_settings(body, &settings, &why);
	if (err == 0)
		err = read_copies(body, &copies, &why);
	if (err == 0 && copies != UINT_MAX)
		err = repo_copies_set(call->gateway->ns, call->actor.name, &call->repo.id, copies, &why);
	if (err == 0)
		err = repo_update(call->gateway->ns, call->actor.name, &call->repo.id, &settings, &why);
	if (err == 0)
		err = repo_get(call->gateway->ns, NULL, &call->repo.id, &call->repo);
	if (err == 0)
		err = repo_copies_get(call->gateway->ns, &call->repo.id, &copies);
	if (err)
		answer_err(request, err, &why);
	else
		reply_settings(request, &call->repo, copies);
}

void repos_settings(struct http_request *request, const struct route_match *match)
{
	struct call *call = call_open_repo(request, match, 0, ACTION_ADMIN);
	if (call)
		body_call(request, call, SETTINGS_BODY_BYTES_MAX, settings_from);
}
