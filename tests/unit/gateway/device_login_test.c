/* Tests of gateway/auth/device_login: one decision, told once, in time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>

#include "gateway/auth/device_login.h"

static struct device_logins *logins;
static char device[DEVICE_CODE_BYTES], code[USER_CODE_BYTES], user[NAME_BYTES_MAX + 1];
static enum token_role role;

static int open_logins(void **state)
{
	(void)state;
	return sodium_init() < 0 || device_logins_open(&logins) != 0;
}

static int close_logins(void **state)
{
	(void)state;
	device_logins_close(logins);
	return 0;
}

static void a_yes_is_told_once(void **state)
{
	(void)state;
	assert_int_equal(device_login_begin(logins, "a", 1000, device, code), 0);
	assert_int_equal(strlen(device), DEVICE_CODE_BYTES - 1);
	assert_int_equal(code[4], '-');
	assert_int_equal(device_login_poll(logins, device, 10000, user, &role), DEVICE_PENDING);
	assert_int_equal(device_login_poll(logins, device, 10100, user, &role), DEVICE_SLOW_DOWN);
	assert_int_equal(device_login_waits(logins, code, 11000), 0);
	assert_int_equal(device_login_decide(logins, code, "ada", TOKEN_READ, true, 11000), 0);
	assert_int_equal(device_login_decide(logins, code, "bob", TOKEN_WRITE, true, 11000), ERR_NOT_FOUND);
	assert_int_equal(device_login_poll(logins, device, 11001, user, &role), DEVICE_APPROVED);
	assert_string_equal(user, "ada");
	assert_int_equal(role, TOKEN_READ);
	assert_int_equal(device_login_poll(logins, device, 20000, user, &role), DEVICE_EXPIRED);
}

static void codes_are_taken_as_people_type_them(void **state)
{
	(void)state;
	char typed[32];
	assert_int_equal(device_login_begin(logins, "a", 1000, device, code), 0);
	snprintf(typed, sizeof(typed), " %c%c %c%c%s", code[0] | 0x20, code[1], code[2], code[3], code + 5);
	assert_int_equal(device_login_waits(logins, typed, 2000), 0);
	static const char *const wrong[] = { "", "BCDF", "BCDF-GHJ", "BCDF-GHJKL", "BCDF-GHJ1", "BCDF-GHJK-BCDF-GHJK-BCDF", "........" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(device_login_waits(logins, wrong[i], 2000), ERR_NOT_FOUND);
	assert_int_equal(device_login_poll(logins, "short", 2000, user, &role), DEVICE_EXPIRED);
}

static void nothing_waits_longer_than_it_should(void **state)
{
	(void)state;
	assert_int_equal(device_login_begin(logins, "a", 0, device, code), 0);
	assert_int_equal(device_login_waits(logins, code, DEVICE_LOGIN_MS - 1), 0);
	assert_int_equal(device_login_decide(logins, code, "ada", TOKEN_WRITE, true, DEVICE_LOGIN_MS), ERR_NOT_FOUND);
	assert_int_equal(device_login_poll(logins, device, DEVICE_LOGIN_MS, user, &role), DEVICE_EXPIRED);
}

static void waiting_is_bounded_per_address_and_in_all(void **state)
{
	(void)state;
	char address[16];
	unsigned made = 0;
	for (int i = 0; i < DEVICE_LOGINS_PER_ADDRESS_MAX; i++)
		assert_int_equal(device_login_begin(logins, "a", 0, device, code), 0);
	assert_int_equal(device_login_begin(logins, "a", 0, device, code), ERR_BUSY);
	for (int i = 0; i < 2 * DEVICE_LOGINS_MAX; i++) {
		snprintf(address, sizeof(address), "b%d", i);
		made += device_login_begin(logins, address, 0, device, code) == 0;
	}
	assert_int_equal(made, DEVICE_LOGINS_MAX - DEVICE_LOGINS_PER_ADDRESS_MAX);
	assert_int_equal(device_login_begin(logins, "a", DEVICE_LOGIN_MS, device, code), 0); /* the old ones make room */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_logins, close_logins)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_yes_is_told_once), TEST(codes_are_taken_as_people_type_them), TEST(nothing_waits_longer_than_it_should),
		TEST(waiting_is_bounded_per_address_and_in_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
