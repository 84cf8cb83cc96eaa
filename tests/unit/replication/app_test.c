/* Apps in the state machine: codes are good once, in time, for one app and user; an app that is gone takes its tokens with it. */
#include "replication/app.h"
#include "tests/unit/replication/fixture.h"

#include <time.h>

static char *dir;
static struct namespace *ns;
static struct entity_id app_id;

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int make_app(struct entity_id *id)
{
	struct app app = { .name = "An app", .owner = "ada", .scopes = 7, .uris_count = 2, .uris = { "https://app.example/a", "https://app.example/b" } };
	return app_create(ns, "admin", &app, id, NULL);
}

static int set_up(void **state)
{
	(void)state;
	struct why why = { 0 };
	struct user ada = { .name = "Ada" }, bob = { .name = "bob" };
	dir = directory_make();
	return namespace_open(&ns, dir, &why) || user_create(ns, "", &ada, &why) || user_create(ns, "", &bob, &why) || make_app(&app_id);
}

static int tear_down(void **state)
{
	(void)state;
	namespace_close(ns);
	directory_remove(dir);
	free(dir);
	return 0;
}

static int make_code(int64_t lives_ms, char text[APP_CODE_TEXT_BYTES_MAX])
{
	struct app_code code = { .app = app_id, .user = "Ada", .redirect_uri = "https://app.example/a", .nonce = "n", .scopes = 3, .expires_ms = now_ms() + lives_ms };
	code.rights.read_gated = true;
	return app_code_create(ns, "Ada", &code, text, NULL);
}

static struct app_tokens tokens_for(const char *user, const struct entity_id *app)
{
	struct app_tokens tokens = { 0 };
	struct token *both[] = { &tokens.access, &tokens.refresh };
	for (int i = 0; i < 2; i++) {
		snprintf(both[i]->user, sizeof(both[i]->user), "%s", user);
		both[i]->app = *app;
		both[i]->scopes = 3;
		both[i]->expires_ms = now_ms() + 60000;
	}
	tokens.rights.read_gated = true;
	return tokens;
}

static void reopen(void)
{
	struct why why = { 0 };
	namespace_close(ns);
	assert_int_equal(namespace_open(&ns, dir, &why), 0);
}

static int count_app(void *context, const struct app *app)
{
	assert_string_equal(app->owner, "Ada");
	++*(int *)context;
	return 0;
}

static void an_app_is_kept_as_it_was_registered(void **state)
{
	(void)state;
	struct app app;
	int count = 0;
	reopen();
	assert_int_equal(app_get(ns, &app_id, &app), 0);
	assert_string_equal(app.name, "An app");
	assert_string_equal(app.uris[1], "https://app.example/b");
	assert_int_equal(app.uris_count, 2);
	assert_int_equal(app_list(ns, count_app, &count), 0);
	assert_int_equal(count, 1);
	struct app nobodys = { .name = "x", .owner = "carol" };
	assert_int_equal(app_create(ns, "admin", &nobodys, &app.id, NULL), ERR_NOT_FOUND);
}

static void a_code_is_exchanged_once_also_after_a_restart(void **state)
{
	(void)state;
	char text[APP_CODE_TEXT_BYTES_MAX];
	struct app_code code;
	struct token token;
	assert_int_equal(make_code(60000, text), 0);
	reopen();
	assert_int_equal(app_code_find(ns, text, &code), 0);
	assert_true(!code.used && code.rights.read_gated && code.scopes == 3);
	struct app_tokens tokens = tokens_for("Ada", &app_id), again = tokens_for("Ada", &app_id);
	assert_int_equal(app_code_take(ns, text, &tokens, NULL), 0);
	assert_int_equal(app_code_take(ns, text, &again, NULL), ERR_CONFLICT);
	assert_int_equal(again.access_text[0], 0);
	assert_int_equal(token_find(ns, span_text(tokens.access_text), &token), 0);
	assert_true(token.role == TOKEN_FINE_GRAINED && token.rights.read_gated && token_is_of_app(&token) && token.scopes == 3);
	assert_int_equal(token_find(ns, span_text(tokens.refresh_text), &token), 0);
	assert_true(token.role == TOKEN_REFRESH && token.rights.read_gated);
	assert_int_equal(app_code_find(ns, text, &code), 0);
	assert_true(code.used && memcmp(&code.access, &tokens.access.id, ENTITY_ID_BYTES) == 0);
}

static void a_code_of_another_text_user_or_app_is_refused(void **state)
{
	(void)state;
	char text[APP_CODE_TEXT_BYTES_MAX], other[APP_CODE_TEXT_BYTES_MAX];
	struct app_code code;
	struct entity_id another;
	assert_int_equal(make_code(60000, text), 0);
	assert_int_equal(make_app(&another), 0);
	memcpy(other, text, sizeof(other));
	other[20] = other[20] == 'A' ? 'B' : 'A';
	assert_int_equal(app_code_find(ns, other, &code), ERR_NOT_FOUND);
	assert_int_equal(app_code_find(ns, "", &code), ERR_NOT_FOUND);
	assert_int_equal(app_code_find(ns, "no code at all", &code), ERR_NOT_FOUND);
	struct app_tokens bobs = tokens_for("bob", &app_id), others = tokens_for("Ada", &another), right = tokens_for("Ada", &app_id);
	assert_int_equal(app_code_take(ns, other, &right, NULL), ERR_NOT_FOUND);
	assert_int_equal(app_code_take(ns, text, &bobs, NULL), ERR_INVALID);
	assert_int_equal(app_code_take(ns, text, &others, NULL), ERR_INVALID);
	assert_int_equal(app_code_take(ns, text, &right, NULL), 0);
}

static void a_code_runs_out_and_goes_with_a_later_one(void **state)
{
	(void)state;
	char text[APP_CODE_TEXT_BYTES_MAX], later[APP_CODE_TEXT_BYTES_MAX];
	struct app_code code;
	assert_int_equal(make_code(-1000, text), 0);
	struct app_tokens tokens = tokens_for("Ada", &app_id);
	assert_int_equal(app_code_take(ns, text, &tokens, NULL), ERR_CONFLICT);
	assert_int_equal(make_code(60000, later), 0);
	assert_int_equal(app_code_find(ns, text, &code), ERR_NOT_FOUND);
	assert_int_equal(app_code_find(ns, later, &code), 0);
}

static void a_refresh_token_is_exchanged_once(void **state)
{
	(void)state;
	char text[APP_CODE_TEXT_BYTES_MAX];
	struct token token;
	assert_int_equal(make_code(60000, text), 0);
	struct app_tokens tokens = tokens_for("Ada", &app_id), next = tokens_for("Ada", &app_id), bobs = tokens_for("bob", &app_id);
	assert_int_equal(app_code_take(ns, text, &tokens, NULL), 0);
	assert_int_equal(app_tokens_renew(ns, &tokens.refresh.id, &bobs, NULL), ERR_NOT_FOUND);
	assert_int_equal(app_tokens_renew(ns, &tokens.access.id, &next, NULL), ERR_NOT_FOUND);
	assert_int_equal(app_tokens_renew(ns, &tokens.refresh.id, &next, NULL), 0);
	assert_int_equal(token_find(ns, span_text(tokens.refresh_text), &token), ERR_NOT_FOUND);
	assert_int_equal(token_find(ns, span_text(tokens.access_text), &token), 0);
	assert_int_equal(token_find(ns, span_text(next.refresh_text), &token), 0);
	struct app_tokens late = tokens_for("Ada", &app_id);
	assert_int_equal(app_tokens_renew(ns, &tokens.refresh.id, &late, NULL), ERR_NOT_FOUND);
}

static void tokens_of_a_deleted_app_have_run_out(void **state)
{
	(void)state;
	char text[APP_CODE_TEXT_BYTES_MAX], second[APP_CODE_TEXT_BYTES_MAX];
	struct token token;
	assert_int_equal(make_code(60000, text), 0);
	assert_int_equal(make_code(60000, second), 0);
	struct app_tokens tokens = tokens_for("Ada", &app_id), more = tokens_for("Ada", &app_id);
	assert_int_equal(app_code_take(ns, text, &tokens, NULL), 0);
	assert_int_equal(app_delete(ns, "admin", &app_id, NULL), 0);
	assert_int_equal(app_delete(ns, "admin", &app_id, NULL), ERR_NOT_FOUND);
	assert_int_equal(token_find(ns, span_text(tokens.access_text), &token), 0);
	assert_true(token.expires_ms == 1);
	assert_int_equal(app_code_take(ns, second, &more, NULL), ERR_NOT_FOUND);
	assert_int_equal(app_tokens_renew(ns, &tokens.refresh.id, &more, NULL), ERR_NOT_FOUND);
	assert_int_equal(make_code(60000, text), ERR_NOT_FOUND);
	assert_int_equal(token_delete(ns, "Ada", &tokens.access.id, NULL), 0);
}

static void the_first_signing_key_of_a_name_stays(void **state)
{
	(void)state;
	uint8_t key[SIGNING_KEY_BYTES_MAX];
	size_t length = 0;
	assert_int_equal(signing_key_get(ns, "a", key, &length), ERR_NOT_FOUND);
	assert_int_equal(signing_key_put(ns, "a", span_text("first"), NULL), 0);
	assert_int_equal(signing_key_put(ns, "a", span_text("second"), NULL), 0);
	reopen();
	assert_int_equal(signing_key_get(ns, "a", key, &length), 0);
	assert_true(span_equal(span_of(key, length), span_text("first")));
	assert_int_equal(signing_key_put(ns, "b", span_of(key, 0), NULL), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_app_is_kept_as_it_was_registered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_code_is_exchanged_once_also_after_a_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_code_of_another_text_user_or_app_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_code_runs_out_and_goes_with_a_later_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_refresh_token_is_exchanged_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tokens_of_a_deleted_app_have_run_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_first_signing_key_of_a_name_stays, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
