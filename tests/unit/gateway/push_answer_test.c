/* The answer to a push between two threads: order, silence, a reader that goes away, a client without a side band. */
#include "gateway/git/push_answer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT(literal) span_of(literal, sizeof(literal) - 1)

static int64_t read_some(const struct http_source *source, uint8_t *out, size_t length)
{
	return source->read(source->context, out, length, true);
}

static void messages_come_before_the_report(void **state)
{
	(void)state;
	uint8_t out[256];
	struct push_answer *answer = push_answer_make(true, NULL, NULL, NULL);
	struct http_source source = push_answer_source(answer);
	assert_int_equal(source.read(source.context, out, sizeof(out), false), ERR_AGAIN);
	push_answer_sayf(answer, "error: %d\n", 7);
	push_answer_end(answer, TEXT("000eunpack ok\n0000"));
	struct buffer got;
	buffer_init(&got, 1 << 12);
	int64_t length;
	while ((length = read_some(&source, out, 5)) > 0)
		buffer_append(&got, out, (size_t)length);
	assert_int_equal(length, 0);
	assert_true(span_equal(buffer_span(&got), TEXT("000e\2error: 7\n0017\1" "000eunpack ok\n00000000")));
	source.close(source.context);
	buffer_fini(&got);
}

static void without_a_side_band_there_is_the_report_alone(void **state)
{
	(void)state;
	uint8_t out[256];
	struct push_answer *answer = push_answer_make(false, NULL, NULL, NULL);
	struct http_source source = push_answer_source(answer);
	push_answer_say(answer, TEXT("nobody hears this\n"));
	push_answer_end(answer, TEXT("report"));
	assert_int_equal(read_some(&source, out, sizeof(out)), 6);
	assert_int_equal(read_some(&source, out, sizeof(out)), 0);
	source.close(source.context);
}

static void a_reader_that_goes_away_costs_no_memory(void **state)
{
	(void)state;
	struct push_answer *answer = push_answer_make(true, NULL, NULL, NULL);
	struct http_source source = push_answer_source(answer);
	source.close(source.context);
	for (int i = 0; i < 100000; i++)
		push_answer_say(answer, TEXT("a line that nobody will read any more, of which there are far more than may be kept\n"));
	push_answer_end(answer, TEXT("report"));
}

static void abandon(void *context)
{
	++*(int *)context;
}

static void the_worker_learns_that_its_reader_has_gone(void **state)
{
	(void)state;
	int calls = 0;
	struct push_answer *answer = push_answer_make(false, NULL, abandon, &calls);
	struct http_source source = push_answer_source(answer);
	source.close(source.context);
	assert_int_equal(calls, 1);
	push_answer_end(answer, TEXT("report"));
	answer = push_answer_make(false, NULL, abandon, &calls);
	source = push_answer_source(answer);
	push_answer_end(answer, TEXT("report")); /* the worker is gone itself */
	source.close(source.context);
	assert_int_equal(calls, 1);
}

static void a_silence_without_a_side_band_lets_the_server_look_at_its_client(void **state)
{
	(void)state;
	uint8_t out[256];
	struct push_answer *answer = push_answer_make(false, NULL, NULL, NULL);
	struct http_source source = push_answer_source(answer);
	assert_int_equal(read_some(&source, out, sizeof(out)), ERR_AGAIN);
	push_answer_end(answer, TEXT("report"));
	assert_int_equal(read_some(&source, out, sizeof(out)), 6);
	source.close(source.context);
}

static bool describe(void *context, char *out, size_t size)
{
	int *calls = context;
	snprintf(out, size, "step %d\n", ++*calls);
	return *calls == 1;
}

static void silence_is_broken(void **state)
{
	(void)state;
	uint8_t out[256];
	int calls = 0;
	struct push_answer *answer = push_answer_make(true, describe, NULL, &calls);
	struct http_source source = push_answer_source(answer);
	assert_int_equal(read_some(&source, out, sizeof(out)), 12);
	assert_memory_equal(out, "000c\2step 1\n", 12);
	assert_int_equal(read_some(&source, out, sizeof(out)), 5);
	assert_memory_equal(out, "0005\1", 5);
	push_answer_end(answer, span_of(NULL, 0));
	source.close(source.context);
}

static void *talk(void *context)
{
	for (int i = 0; i < 2000; i++)
		push_answer_sayf(context, "line %d\n", i);
	push_answer_end(context, TEXT("report"));
	return NULL;
}

static void two_threads_agree_on_every_byte(void **state)
{
	(void)state;
	pthread_t thread;
	struct push_answer *answer = push_answer_make(true, NULL, NULL, NULL);
	struct http_source source = push_answer_source(answer);
	struct buffer got;
	uint8_t out[1000];
	int64_t length;
	buffer_init(&got, 1 << 20);
	assert_int_equal(pthread_create(&thread, NULL, talk, answer), 0);
	while ((length = read_some(&source, out, sizeof(out))) > 0)
		buffer_append(&got, out, (size_t)length);
	source.close(source.context);
	pthread_join(thread, NULL);
	struct span rest = buffer_span(&got);
	struct pkt pkt;
	char line[32];
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(pkt_next(&rest, &pkt), 1);
		snprintf(line, sizeof(line), "\2line %d\n", i);
		assert_true(span_equal(pkt.payload, span_text(line)));
	}
	assert_int_equal(pkt_next(&rest, &pkt), 1);
	assert_true(span_equal(pkt.payload, TEXT("\1report")));
	buffer_fini(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_before_the_report),
		cmocka_unit_test(without_a_side_band_there_is_the_report_alone),
		cmocka_unit_test(a_reader_that_goes_away_costs_no_memory),
		cmocka_unit_test(the_worker_learns_that_its_reader_has_gone),
		cmocka_unit_test(a_silence_without_a_side_band_lets_the_server_look_at_its_client),
		cmocka_unit_test(silence_is_broken),
		cmocka_unit_test(two_threads_agree_on_every_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
