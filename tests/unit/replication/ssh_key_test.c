/* SSH keys in the state machine: one owner each, listed by owner, gone at once. */
#include "replication/namespace.h"
#include "tests/unit/replication/fixture.h"

static char *dir;
static struct namespace *ns;

static int set_up(void **state)
{
	(void)state;
	struct why why = { 0 };
	struct user ada = { .name = "Ada" }, bob = { .name = "bob" };
	dir = directory_make();
	return namespace_open(&ns, dir, &why) || user_create(ns, "", &ada, &why) || user_create(ns, "", &bob, &why);
}

static int tear_down(void **state)
{
	(void)state;
	namespace_close(ns);
	directory_remove(dir);
	free(dir);
	return 0;
}

static struct ssh_key key_of(const char *user, uint8_t number)
{
	struct ssh_key key = { .title = "laptop", .type = "ssh-ed25519", .base64 = "AAAA" };
	snprintf(key.user, sizeof(key.user), "%s", user);
	key.fingerprint.bytes[0] = number;
	key.fingerprint.bytes[31] = 0xff;
	return key;
}

static int add(const char *user, uint8_t number)
{
	struct ssh_key key = key_of(user, number);
	return ssh_key_create(ns, "admin", &key, NULL);
}

static int count_one(void *context, const struct ssh_key *key)
{
	assert_string_equal(key->type, "ssh-ed25519");
	++*(int *)context;
	return 0;
}

static int count(const char *user)
{
	int keys = 0;
	assert_int_equal(ssh_key_list(ns, user, count_one, &keys), 0);
	return keys;
}

static void a_key_is_found_by_its_fingerprint_after_a_restart_too(void **state)
{
	(void)state;
	struct ssh_key wanted = key_of("Ada", 1), found;
	struct why why = { 0 };
	assert_int_equal(ssh_key_find(ns, &wanted.fingerprint, &found), ERR_NOT_FOUND);
	assert_int_equal(add("Ada", 1), 0);
	namespace_close(ns);
	assert_int_equal(namespace_open(&ns, dir, &why), 0);
	assert_int_equal(ssh_key_find(ns, &wanted.fingerprint, &found), 0);
	assert_string_equal(found.user, "Ada");
	assert_string_equal(found.title, "laptop");
	assert_string_equal(found.base64, "AAAA");
	assert_true(found.created_ms > 0);
}

static void a_key_belongs_to_one_user(void **state)
{
	(void)state;
	assert_int_equal(add("Ada", 1), 0);
	assert_int_equal(add("Ada", 1), ERR_EXISTS);
	assert_int_equal(add("bob", 1), ERR_EXISTS);
	assert_int_equal(add("nobody", 2), ERR_NOT_FOUND);
	assert_int_equal(add("", 2), ERR_INVALID);
	assert_int_equal(count("Ada"), 1);
	assert_int_equal(count("bob"), 0);
}

static void keys_are_listed_of_one_user_in_any_case_and_of_all(void **state)
{
	(void)state;
	assert_int_equal(add("Ada", 1), 0);
	assert_int_equal(add("Ada", 2), 0);
	assert_int_equal(add("bob", 3), 0);
	assert_int_equal(count("ADA"), 2);
	assert_int_equal(count("bob"), 1);
	assert_int_equal(count("b"), 0);
	assert_int_equal(count("not a name"), 0);
	assert_int_equal(count(NULL), 3);
}

static void a_deleted_key_is_gone_and_may_be_added_again(void **state)
{
	(void)state;
	struct ssh_key key = key_of("Ada", 1), found;
	assert_int_equal(ssh_key_delete(ns, "admin", &key.fingerprint, NULL, NULL), ERR_NOT_FOUND);
	assert_int_equal(add("Ada", 1), 0);
	assert_int_equal(ssh_key_delete(ns, "bob", &key.fingerprint, "bob", NULL), ERR_NOT_FOUND);
	assert_int_equal(ssh_key_delete(ns, "Ada", &key.fingerprint, "ada", NULL), 0);
	assert_int_equal(ssh_key_find(ns, &key.fingerprint, &found), ERR_NOT_FOUND);
	assert_int_equal(count("Ada"), 0);
	assert_int_equal(add("bob", 1), 0);
	assert_int_equal(ssh_key_delete(ns, "admin", &key.fingerprint, NULL, NULL), 0);
	assert_int_equal(count(NULL), 0);
}

static void a_user_has_a_bounded_number_of_keys(void **state)
{
	(void)state;
	for (int i = 0; i < SSH_KEYS_PER_USER_MAX; i++)
		assert_int_equal(add("Ada", (uint8_t)i), 0);
	assert_int_equal(add("Ada", SSH_KEYS_PER_USER_MAX), ERR_INVALID);
	assert_int_equal(add("bob", SSH_KEYS_PER_USER_MAX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_key_is_found_by_its_fingerprint_after_a_restart_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_key_belongs_to_one_user, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keys_are_listed_of_one_user_in_any_case_and_of_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_deleted_key_is_gone_and_may_be_added_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_user_has_a_bounded_number_of_keys, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
