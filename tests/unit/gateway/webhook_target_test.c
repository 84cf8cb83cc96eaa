/* Where webhooks may go. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "gateway/webhooks/target.h"

static bool is_public(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return target_is_public((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return target_is_public((struct sockaddr *)&v6);
}

static void addresses_of_the_internet_are_public(void **state)
{
	(void)state;
	const char *const addresses[] = { "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.1.1",
		"172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2a00::1",
		"::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1" };
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		if (!is_public(addresses[i]))
			fail_msg("%s", addresses[i]);
}

static void addresses_of_this_machine_and_its_networks_are_not(void **state)
{
	(void)state;
	const char *const addresses[] = { "0.0.0.0", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254",
		"172.16.0.0", "172.31.255.255", "192.0.0.1", "192.168.0.0", "198.18.0.0", "198.19.255.255", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1",
		"::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.1.1.1", "64:ff9b::10.1.1.1", "2002:7f00:1::1", "2002:a01:101::1", "fe80::1", "fc00::1", "fdff::1", "ff02::1",
		"fec0::1", "2001::1", "2001:db8::1", "100::1" };
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		if (is_public(addresses[i]))
			fail_msg("%s", addresses[i]);
}

static void other_families_are_not_public(void **state)
{
	(void)state;
	struct sockaddr address = { .sa_family = AF_UNIX };
	assert_false(target_is_public(&address));
}

static void an_address_needs_a_scheme_a_host_and_no_password(void **state)
{
	(void)state;
	struct why why;
	assert_int_equal(target_url_check("https://example.org/hook?x=1", false, &why), 0);
	assert_int_equal(target_url_check("http://example.org:8080", false, &why), 0);
	const char *const bad[] = { "", "example.org", "ftp://example.org/", "file:///etc/passwd", "gopher://example.org", "http://", "http://a b/", "http://a/\r\n",
		"http://user@example.org/", "http://user:pw@example.org/", "http://127.0.0.1/", "http://127.1/", "http://0x7f000001/", "http://[::1]/",
		"http://[::1%25lo]/", "http://localhost:80/", "http://a.localhost/" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (target_url_check(bad[i], false, &why) != ERR_INVALID)
			fail_msg("%s", bad[i]);
	assert_int_equal(target_url_check("http://127.0.0.1/", true, &why), 0);
	assert_int_equal(target_url_check("ftp://127.0.0.1/", true, &why), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_the_internet_are_public), cmocka_unit_test(addresses_of_this_machine_and_its_networks_are_not),
		cmocka_unit_test(other_families_are_not_public), cmocka_unit_test(an_address_needs_a_scheme_a_host_and_no_password),
	};
	return cmocka_run_group_tests_name("webhook target", tests, NULL, NULL);
}
