#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/hub/list_items.h"
#include "schemas/json_writer.h"

static const struct list_item item = { .generation = 1, .number = 7, .show = 3, .day = 20000, .doc_version = 5, .records_version = 8 };

/* What is written for it: "[]" when it is not known. */
static const char *written(struct list_items *items, const struct list_item *asked, const char *owner)
{
	static char text[LIST_ITEM_BYTES_MAX + 8];
	struct buffer out;
	struct json_writer json;
	buffer_init(&out, sizeof(text) - 1);
	json_writer_init(&json, &out);
	json_array_begin(&json, NULL);
	list_items_write(items, asked, owner, &json);
	json_array_end(&json);
	memcpy(text, out.data, out.length);
	text[out.length] = 0;
	buffer_fini(&out);
	return text;
}

static void a_kept_text_is_written_again(void **state)
{
	(void)state;
	struct list_items *items = list_items_make();
	assert_string_equal(written(items, &item, NULL), "[]");
	list_items_keep(items, &item, "Ada", span_text("{\"id\":\"Ada/stones\"}"));
	assert_string_equal(written(items, &item, NULL), "[{\"id\":\"Ada/stones\"}]");
	assert_string_equal(written(items, &item, "ada"), "[{\"id\":\"Ada/stones\"}]");
	assert_string_equal(written(items, &item, "bob"), "[]"); /* it has moved to another owner */
	list_items_free(items);
}

static void a_text_of_another_version_is_not_known(void **state)
{
	(void)state;
	struct list_items *items = list_items_make();
	list_items_keep(items, &item, "ada", span_text("{}"));
	struct list_item others[] = { item, item, item, item, item, item };
	others[0].generation++;
	others[1].number += LIST_ITEMS_MAX;
	others[2].show++;
	others[3].day++;
	others[4].doc_version++;
	others[5].records_version += 2;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_string_equal(written(items, &others[i], NULL), "[]");
	assert_string_equal(written(items, &item, NULL), "[{}]");
	list_items_free(items);
}

static void what_was_made_during_a_change_or_is_too_long_is_not_kept(void **state)
{
	(void)state;
	static char text[LIST_ITEM_BYTES_MAX + 1];
	struct list_items *items = list_items_make();
	struct list_item changing = item;
	changing.records_version = 9;
	list_items_keep(items, &changing, "ada", span_text("{}"));
	assert_string_equal(written(items, &changing, NULL), "[]");
	memset(text, ' ', sizeof(text));
	list_items_keep(items, &item, "ada", span_of(text, sizeof(text)));
	assert_string_equal(written(items, &item, NULL), "[]");
	list_items_free(items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kept_text_is_written_again),
		cmocka_unit_test(a_text_of_another_version_is_not_known),
		cmocka_unit_test(what_was_made_during_a_change_or_is_too_long_is_not_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
