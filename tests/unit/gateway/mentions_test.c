/* Who is addressed in a text, and what only looks like it. */
#include "gateway/notifications/mentions.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static int add(void *context, const char *name)
{
	strcat(context, name);
	strcat(context, " ");
	return 0;
}

static void expect(const char *text, const char *names)
{
	char found[8192] = "";
	assert_int_equal(mentions_each(span_text(text), add, found), 0);
	assert_string_equal(found, names);
}

static void names_begin_after_what_is_no_part_of_a_name(void **state)
{
	(void)state;
	expect("@ada, (@bea) and @cid.", "ada bea cid ");
	expect("mail ada@example.org, @@ada, a/@ada, @", "");
	expect("@ada-b_c.d-. @-ada @a--b", "ada-b_c.d ");
	expect("\xc3\xa9@ada @\xc3\xa9", "ada ");
}

static void code_calls_nobody(void **state)
{
	(void)state;
	expect("`@ada` @bea ``x ` @ada`` @cid", "bea cid ");
	expect("```\n@ada\n``` @bea", "bea ");
	expect("an open ` and @ada", "ada ");
	expect("``` @ada ` @bea `", "ada ");
}

static void only_so_many_are_told(void **state)
{
	(void)state;
	char text[16 * 1024] = "", found[8192] = "";
	for (int i = 0; i < 200; i++)
		strcat(text, "@ada ");
	assert_int_equal(mentions_each(span_text(text), add, found), 0);
	assert_int_equal(strlen(found), MENTIONS_MAX * 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_begin_after_what_is_no_part_of_a_name),
		cmocka_unit_test(code_calls_nobody),
		cmocka_unit_test(only_so_many_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
