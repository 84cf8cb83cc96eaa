/* The index of repositories: sets of documents, terms, scores, and what a query finds. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/search/base.h"
#include "gateway/search/document.h"
#include "gateway/search/scoring.h"

/* ------------------------------------------------------------------ pure parts */

static void a_block_is_stored_as_a_list_while_it_is_short(void **state)
{
	(void)state;
	struct block block = { { 0 } }, read = { { 0 } };
	uint8_t bytes[BLOCK_BYTES];
	assert_int_equal(block_encode(&block, bytes), 0);
	for (uint32_t i = 0; i < BLOCK_DOCS; i++) {
		block_set(&block, (i * 997) % BLOCK_DOCS, true);
		size_t length = block_encode(&block, bytes);
		assert_int_equal(length, i + 1 <= BLOCK_LIST_MAX ? 2 * (i + 1) : BLOCK_BYTES);
		read = (struct block){ { 0 } };
		assert_true(block_decode(&read, span_of(bytes, length)));
		assert_memory_equal(&read, &block, sizeof(block));
	}
	block_set(&block, 17, false);
	assert_int_equal(block_count(&block), BLOCK_DOCS - 1);
	assert_false(block_decode(&read, span_of("abc", 3)));
	assert_false(block_decode(&read, span_of("\xff\xff", 2)));
}

static void sets_combine_and_are_walked_in_order(void **state)
{
	(void)state;
	struct doc_set a, b;
	assert_int_equal(doc_set_init(&a, 10000), 0);
	assert_int_equal(doc_set_init(&b, 10000), 0);
	for (uint32_t i = 0; i < 10000; i += 2)
		block_set(&a.blocks[i / BLOCK_DOCS], i, true);
	for (uint32_t i = 0; i < 10000; i += 3)
		block_set(&b.blocks[i / BLOCK_DOCS], i, true);
	doc_set_and(&a, &b);
	assert_int_equal(doc_set_count(&a), 1667);
	uint32_t seen = 0;
	for (uint32_t doc = doc_set_next(&a, 0); doc != UINT32_MAX; doc = doc_set_next(&a, doc + 1)) {
		assert_int_equal(doc % 6, 0);
		seen++;
	}
	assert_int_equal(seen, 1667);
	doc_set_and_not(&b, &a);
	assert_int_equal(doc_set_count(&b), 3334 - 1667);
	doc_set_or(&a, &b);
	assert_int_equal(doc_set_count(&a), 3334);
	doc_set_fini(&a);
	doc_set_fini(&b);
}

static bool has(const struct term_list *list, const char *term)
{
	return term_list_has(list, span_text(term));
}

static void text_becomes_words_and_their_beginnings(void **state)
{
	(void)state;
	struct term_list list;
	assert_int_equal(term_list_init(&list), 0);
	terms_of_id(&list, "Ada/Stone-BERT_2");
	assert_true(has(&list, "wstone") && has(&list, "wbert") && has(&list, "w2") && has(&list, "es") && has(&list, "esto"));
	assert_true(has(&list, "s/s") && has(&list, "se-b") && !has(&list, "sStO") && !has(&list, "wston"));
	size_t before = list.count;
	terms_of_id(&list, "ada/stone-bert_2");
	assert_int_equal(list.count, before);
	terms_of_text(&list, span_text("Größe größe groß"), 100);
	assert_true(has(&list, "wgr\xc3\xb6\xc3\x9f" "e"));
	struct span rest = buffer_span(&list.bytes), term;
	size_t count = 0;
	while (term_next(&rest, &term))
		count += term_list_has(&list, term);
	assert_int_equal(count, list.count);
	term_list_fini(&list);
}

static void a_list_of_terms_is_bounded(void **state)
{
	(void)state;
	struct term_list list;
	char word[32];
	assert_int_equal(term_list_init(&list), 0);
	for (int i = 0; i < 3 * TERMS_MAX; i++) {
		snprintf(word, sizeof(word), "word%d", i);
		terms_of_text(&list, span_text(word), 10);
	}
	assert_int_equal(list.count, TERMS_MAX);
	term_list_fini(&list);
}

static void parameters_fall_into_quarters_of_octaves(void **state)
{
	(void)state;
	assert_int_equal(parameter_bucket(0), 0);
	for (uint64_t n = 1; n < UINT64_C(1) << 60; n += n / 7 + 1)
		assert_true(parameter_bucket(n) <= parameter_bucket(n + n / 7 + 1));
	assert_int_not_equal(parameter_bucket(7000000000), parameter_bucket(13000000000));
	assert_true(parameter_bucket(UINT64_MAX) < PARAMETER_BUCKETS_MAX);
}

static void scores_halve_in_a_week_and_keep_their_order(void **state)
{
	(void)state;
	struct day_counts likes = { 0 }, none = { 0 }, downloads = { 0 };
	day_counts_add(&likes, 20000, 10);
	uint64_t today = trend_of(&likes, &none, 20000);
	assert_int_equal(trending_score(today, 20000), 80);
	assert_int_equal(trending_score(today, 20007), 40);
	uint64_t later = trend_of(&likes, &none, 20007);
	assert_true(later > today - 16 && later < today + 16); /* the same, however late it is computed */
	day_counts_add(&downloads, 20000, 6400);
	assert_int_equal(trending_score(trend_of(&none, &downloads, 20000), 20000), 80);
	assert_int_equal(trend_of(&none, &none, 20000), 0);
	assert_int_equal(trending_score(0, 20000), 0);
	assert_int_equal(trend_of(&likes, &none, 20030), 0);
}

/* ------------------------------------------------------------------ the index */

static char dir[] = "/tmp/cairn-search-XXXXXX";
static struct search search;
static struct search_writer *writer;

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info, (void)kind, (void)ftw;
	return remove(path);
}

static int set_up(void **state)
{
	(void)state;
	struct why why = { 0 };
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	memset(&search, 0, sizeof(search));
	pthread_mutex_init(&search.mutex, NULL);
	search.whole = true;
	if (!mkdtemp(dir) || search_base_open(&search.base, dir, 1, &why) != 0)
		return 1;
	return search_writer_open(&writer, &search.base->db);
}

static int tear_down(void **state)
{
	(void)state;
	search_writer_close(writer);
	search_base_release(search.base);
	pthread_mutex_destroy(&search.mutex);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static struct entity_id id_of(uint32_t number)
{
	struct entity_id id = { { 0 } };
	put_big_endian(id.bytes, number, 4);
	id.bytes[11] = 1;
	return id;
}

/* Everything of a model is told by its number. */
static void put_model(uint32_t number, const char *owner, const char *name, const char *tags, const char *text, bool private, uint64_t parameters)
{
	struct doc doc = { .repo = id_of(number), .type = REPO_MODEL, .private = private, .gated = number % 10 == 9 };
	struct doc_values values = { .by = { [SORT_MODIFIED] = 1000 + number, [SORT_CREATED] = 5000 - number % 5000, [SORT_LIKES] = number % 100,
		[SORT_DOWNLOADS] = number * 7919 % 10007, [SORT_PARAMETERS] = parameters } };
	struct facts facts = { 0 };
	struct term_list terms;
	struct indexed before;
	char number_text[32];
	strcpy(doc.owner, owner);
	strcpy(doc.name, name);
	facts.json[FACT_TAGS] = strdup(tags);
	if (strstr(tags, "\"de\""))
		facts.json[FACT_CARD_DATA] = strdup("{\"language\":[\"de\"]}");
	facts.json[FACT_PIPELINE_TAG] = strdup(number % 2 ? "\"text-generation\"" : "\"fill-mask\"");
	snprintf(number_text, sizeof(number_text), "%llu", (unsigned long long)parameters);
	if (parameters)
		facts.json[FACT_PARAMETERS] = strdup(number_text);
	buffer_init(&facts.text, 1 << 20);
	buffer_append_text(&facts.text, text);
	assert_int_equal(term_list_init(&terms), 0);
	assert_int_equal(document_terms(&terms, &doc, &facts), 0);
	assert_int_equal(search_writer_find(writer, &doc.repo, &before), 0);
	assert_int_equal(search_writer_put(writer, &before, &doc, &values, &facts, &terms), 0);
	if (search_writer_is_full(writer))
		assert_int_equal(search_writer_end(writer), 0);
	term_list_fini(&terms);
	facts_fini(&facts);
}

static struct search_query query_of(enum sort sort, uint64_t limit)
{
	return (struct search_query){ .type = REPO_MODEL, .gated = -1, .sort = sort, .limit = limit };
}

/* Names of the hits, with blanks between. */
static const char *found(const struct search_query *query)
{
	static char names[4096];
	struct search_result result;
	struct why why = { 0 };
	size_t length = 0;
	assert_int_equal(search_run(&search, query, &result, &why), 0);
	names[0] = 0;
	for (size_t i = 0; i < result.count; i++)
		length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s", i ? " " : "", result.hits[i].doc.name);
	search_result_fini(&result);
	return names;
}

static void small_hub(void)
{
	put_model(1, "ada", "stone-bert", "[\"pytorch\",\"en\",\"license:mit\"]", "A model of basalt and granite.", false, 110000000);
	put_model(2, "ada", "River-GPT", "[\"pytorch\",\"license:apache-2.0\"]", "Rivers talk.", false, 7000000000);
	put_model(3, "bob", "stone-secret", "[\"license:mit\"]", "basalt, hidden", true, 7100000000);
	put_model(4, "bob", "distilbert", "[\"tf\",\"de\"]", "", false, 0);
	assert_int_equal(search_writer_end(writer), 0);
}

static void what_is_private_is_found_by_who_may_see_it(void **state)
{
	(void)state;
	small_hub();
	struct search_query query = query_of(SORT_MODIFIED, 10);
	assert_string_equal(found(&query), "distilbert River-GPT stone-bert");
	query.owners[query.owners_count++] = "BOB";
	assert_string_equal(found(&query), "distilbert stone-secret River-GPT stone-bert");
	query.owners[0] = "ada";
	assert_string_equal(found(&query), "distilbert River-GPT stone-bert");
	query.sees_all = true;
	query.ascending = true;
	assert_string_equal(found(&query), "stone-bert River-GPT stone-secret distilbert");
}

static void set_likes(uint32_t number, uint64_t likes)
{
	struct indexed before;
	struct entity_id id = id_of(number);
	assert_int_equal(search_writer_find(writer, &id, &before), 0);
	struct doc_values values = before.values;
	values.by[SORT_LIKES] = likes;
	assert_int_equal(search_writer_record(writer, &before, &before.doc, &values), 0);
	assert_int_equal(search_writer_end(writer), 0);
}

static void numbers_that_are_kept_follow_changes(void **state)
{
	(void)state;
	small_hub();
	struct search_query query = query_of(SORT_LIKES, 1);
	query.terms[query.terms_count++] = span_text("tpytorch");
	assert_string_equal(found(&query), "River-GPT");
	set_likes(1, 50);
	assert_string_equal(found(&query), "stone-bert");
	set_likes(2, 60);
	assert_string_equal(found(&query), "River-GPT");
	struct doc_values values;
	for (int i = 0; i < 2; i++)
		assert_int_equal(kept_values_get(&search.base->values, &search.base->db, 1, &values), 0);
	assert_int_equal(values.by[SORT_LIKES], 60);
	set_likes(2, 70);
	assert_int_equal(kept_values_get(&search.base->values, &search.base->db, 1, &values), 0);
	assert_int_equal(values.by[SORT_LIKES], 70);
	assert_int_equal(kept_values_get(&search.base->values, &search.base->db, 99, &values), ERR_NOT_FOUND);
}

static void sets_that_are_kept_are_forgotten_with_their_version(void **state)
{
	(void)state;
	struct key prefix, other;
	struct doc_set set, out;
	struct search_db *db = &search.base->db;
	search_key_term(&prefix, REPO_MODEL, span_text("tpytorch"));
	search_key_term(&other, REPO_DATASET, span_text("tpytorch"));
	unsigned version = atomic_load(&db->term_versions[search_term_slot(&prefix)]);
	assert_int_equal(doc_set_init(&set, 20000), 0);
	assert_int_equal(doc_set_init(&out, 20000), 0);
	block_set(&set.blocks[3], 3 * BLOCK_DOCS + 1, true);
	term_sets_keep(&search.base->sets, &prefix, version, &set);
	assert_false(term_sets_add(&search.base->sets, &other, version, &out));
	assert_true(term_sets_add(&search.base->sets, &prefix, version, &out));
	assert_int_equal(doc_set_next(&out, 0), 3 * BLOCK_DOCS + 1);
	small_hub(); /* has the tag */
	unsigned later = atomic_load(&db->term_versions[search_term_slot(&prefix)]);
	assert_int_not_equal(later, version);
	assert_false(term_sets_add(&search.base->sets, &prefix, later, &out));
	doc_set_fini(&set);
	assert_int_equal(doc_set_init(&set, 30000), 0);
	assert_false(term_sets_add(&search.base->sets, &prefix, version, &set)); /* of fewer documents */
	doc_set_fini(&set);
	doc_set_fini(&out);
}

static void conditions_hold_together(void **state)
{
	(void)state;
	small_hub();
	struct search_query query = query_of(SORT_ID, 10);
	query.terms[query.terms_count++] = span_text("tlicense:mit");
	assert_string_equal(found(&query), "stone-bert");
	query.terms[query.terms_count++] = span_text("tpytorch");
	assert_string_equal(found(&query), "stone-bert");
	query.terms[query.terms_count++] = span_text("tde");
	assert_string_equal(found(&query), "");
	query = query_of(SORT_ID, 10);
	query.author = "Ada";
	assert_string_equal(found(&query), "River-GPT stone-bert");
	query.ascending = true;
	assert_string_equal(found(&query), "stone-bert River-GPT");
	query = query_of(SORT_ID, 10);
	query.any_of[0] = span_text("tde");
	query.any_of[1] = span_text("tlicense:apache-2.0");
	query.any_of_count = 2;
	assert_string_equal(found(&query), "River-GPT distilbert");
	query = query_of(SORT_ID, 10);
	query.terms[query.terms_count++] = span_text("tlanguage:de");
	assert_string_equal(found(&query), "distilbert");
}

static void text_is_found_in_ids_tags_and_cards(void **state)
{
	(void)state;
	small_hub();
	struct search_query query = query_of(SORT_ID, 10);
	query.searches_count = 1;
	const char *const cases[][2] = { { "bert", "stone-bert distilbert" }, { "BASALT", "stone-bert" }, { "bas gran", "stone-bert" }, { "bas river", "" },
		{ "one-be", "stone-bert" }, { "one-bx", "" }, { "ada/", "River-GPT stone-bert" }, { "pyt", "River-GPT stone-bert" }, { "gp", "River-GPT" },
		{ "g", "River-GPT stone-bert" }, { "nothing", "" }, { "stone bert", "stone-bert" }, { "license:mit", "stone-bert" }, { "license:m", "" }, { "  ", "River-GPT stone-bert distilbert" }, { "istilber", "distilbert" }, { "da/stone-be", "stone-bert" }, { "zz", "" } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		query.searches[0] = cases[i][0];
		assert_string_equal(found(&query), cases[i][1]);
	}
	query.searches[0] = "stone";
	query.searches[1] = "granite";
	query.searches_count = 2;
	assert_string_equal(found(&query), "stone-bert");
}

static void parameters_are_found_within_a_range(void **state)
{
	(void)state;
	small_hub();
	struct search_query query = query_of(SORT_PARAMETERS, 10);
	query.sees_all = true;
	query.parameters_min = 7000000000;
	query.parameters_max = 7099999999;
	assert_string_equal(found(&query), "River-GPT");
	query.parameters_max = 8000000000;
	assert_string_equal(found(&query), "stone-secret River-GPT");
	query.parameters_min = 1;
	assert_string_equal(found(&query), "stone-secret River-GPT stone-bert");
	query.parameters_min = query.parameters_max = 110000000;
	assert_string_equal(found(&query), "stone-bert");
}

static void a_change_leaves_nothing_of_what_was(void **state)
{
	(void)state;
	small_hub();
	put_model(1, "ada", "renamed", "[\"tf\"]", "Marble.", true, 5);
	assert_int_equal(search_writer_end(writer), 0);
	struct search_query query = query_of(SORT_MODIFIED, 10);
	assert_string_equal(found(&query), "distilbert River-GPT");
	query.sees_all = true;
	assert_string_equal(found(&query), "distilbert stone-secret River-GPT renamed");
	query.terms[query.terms_count++] = span_text("tlicense:mit");
	assert_string_equal(found(&query), "stone-secret");
	query = query_of(SORT_ID, 10);
	query.sees_all = true;
	query.searches[query.searches_count++] = "basalt";
	assert_string_equal(found(&query), "stone-secret");
	struct indexed indexed;
	struct entity_id id = id_of(1);
	assert_int_equal(search_writer_find(writer, &id, &indexed), 0);
	assert_true(indexed.exists);
	assert_int_equal(search_writer_remove(writer, &indexed), 0);
	assert_int_equal(search_writer_end(writer), 0);
	query = query_of(SORT_MODIFIED, 10);
	query.sees_all = true;
	assert_string_equal(found(&query), "distilbert stone-secret River-GPT");
	query.sort = SORT_ID;
	assert_string_equal(found(&query), "River-GPT distilbert stone-secret");
}

struct tags {
	char text[512];
	size_t length;
};

static int see_tag(void *context, struct span tag, uint64_t count)
{
	struct tags *tags = context;
	tags->length += (size_t)snprintf(tags->text + tags->length, sizeof(tags->text) - tags->length, "%.*s=%d ", (int)tag.length, (const char *)tag.data, (int)count);
	return 0;
}

static void tags_of_public_repositories_are_counted(void **state)
{
	(void)state;
	small_hub();
	struct tags tags = { .length = 0 };
	assert_int_equal(search_tags(&search, REPO_MODEL, see_tag, &tags), 0);
	assert_string_equal(tags.text, "de=1 en=1 language:de=1 license:apache-2.0=1 license:mit=1 pytorch=2 tf=1 ");
	put_model(1, "ada", "stone-bert", "[\"pytorch\",\"en\",\"license:mit\"]", "", true, 0);
	assert_int_equal(search_writer_end(writer), 0);
	tags.length = 0;
	assert_int_equal(search_tags(&search, REPO_MODEL, see_tag, &tags), 0);
	assert_string_equal(tags.text, "de=1 language:de=1 license:apache-2.0=1 pytorch=1 tf=1 ");
	put_model(1, "ada", "stone-bert", "[\"pytorch\"]", "", false, 0);
	assert_int_equal(search_writer_end(writer), 0);
	tags.length = 0;
	assert_int_equal(search_tags(&search, REPO_MODEL, see_tag, &tags), 0);
	assert_string_equal(tags.text, "de=1 language:de=1 license:apache-2.0=1 pytorch=2 tf=1 ");
}

/* ------------------------------------------------------------------ pages of many */

enum { MANY = 10000 };

static void many(void)
{
	static const char *const words[] = { "alpha", "beta", "gamma", "delta", "omega" };
	char owner[32], name[64], tags[256], text[128];
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(owner, sizeof(owner), "owner-%u", i % 97);
		snprintf(name, sizeof(name), "model-%s-%05u", words[i % 5], i);
		snprintf(tags, sizeof(tags), "[\"%s\",\"license:%s\",\"rare-%u\"]", i % 2 ? "pytorch" : "tf", i % 3 ? "mit" : "apache-2.0", i / 10);
		snprintf(text, sizeof(text), "Card %u of %s.", i, words[i / 7 % 5]);
		put_model(i, owner, name, tags, text, i % 50 == 49, i % 4 ? 1000000ull * i : 0);
	}
	assert_int_equal(search_writer_end(writer), 0);
}

/* All pages of a query: their number of hits, each once, in order. */
static uint64_t walk(struct search_query query)
{
	struct search_result result = { 0 };
	static uint8_t seen[MANY];
	char cursor[SEARCH_CURSOR_BYTES_MAX];
	uint64_t count = 0, last = UINT64_MAX;
	memset(seen, 0, sizeof(seen));
	for (bool more = true; more;) {
		struct why why = { 0 };
		assert_int_equal(search_run(&search, &query, &result, &why), 0);
		for (size_t i = 0; i < result.count; i++) {
			uint32_t number = (uint32_t)get_big_endian(result.hits[i].doc.repo.bytes, 4);
			assert_int_equal(seen[number]++, 0);
			if (query.sort < SORTS_COUNT) {
				assert_true(result.hits[i].values.by[query.sort] <= last);
				last = result.hits[i].values.by[query.sort];
			}
		}
		count += result.count;
		more = result.more;
		memcpy(cursor, result.cursor, sizeof(cursor));
		query.cursor = cursor;
		search_result_fini(&result);
	}
	return count;
}

static void pages_hold_every_hit_once(void **state)
{
	(void)state;
	many();
	struct search_query query = query_of(SORT_DOWNLOADS, 100);
	assert_int_equal(walk(query), MANY - MANY / 50);
	query.sort = SORT_LIKES; /* many are equal */
	query.limit = 33;
	assert_int_equal(walk(query), MANY - MANY / 50);
	query.sort = SORT_ID;
	query.limit = 500;
	assert_int_equal(walk(query), MANY - MANY / 50);
	query = query_of(SORT_MODIFIED, 7);
	query.terms[query.terms_count++] = span_text("trare-77"); /* few: sorted rather than looked for */
	query.sees_all = true;
	assert_int_equal(walk(query), 10);
	query = query_of(SORT_LIKES, 10);
	query.author = "owner-3";
	query.sees_all = true;
	assert_int_equal(walk(query), (MANY - 3 + 96) / 97);
	query = query_of(SORT_DOWNLOADS, 50);
	query.sees_all = true;
	query.searches[query.searches_count++] = "odel-gamma";
	assert_int_equal(walk(query), MANY / 5);
	query = query_of(SORT_PARAMETERS, 100);
	query.sees_all = true;
	query.parameters_min = 1000000001;
	query.parameters_max = 2000000000;
	assert_int_equal(walk(query), 750);
}

static void a_bad_cursor_is_refused(void **state)
{
	(void)state;
	small_hub();
	static const char *const bad[] = { "x", "12", "12.", "12.3x", ".", "zz.1" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct search_query query = query_of(SORT_LIKES, 10);
		struct search_result result;
		struct why why = { 0 };
		query.cursor = bad[i];
		assert_int_equal(search_run(&search, &query, &result, &why), ERR_INVALID);
		search_result_fini(&result);
	}
}

static void an_index_that_is_not_whole_answers_nothing(void **state)
{
	(void)state;
	struct search_query query = query_of(SORT_MODIFIED, 10);
	struct search_result result;
	struct why why = { 0 };
	uint64_t count = 7;
	search.whole = false;
	assert_int_equal(search_run(&search, &query, &result, &why), ERR_BUSY);
	assert_true(why.text[0]);
	search_result_fini(&result);
	assert_int_equal(search_count(&search, &query, &count), ERR_BUSY);
	assert_int_equal(count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_is_stored_as_a_list_while_it_is_short),
		cmocka_unit_test(sets_combine_and_are_walked_in_order),
		cmocka_unit_test(text_becomes_words_and_their_beginnings),
		cmocka_unit_test(a_list_of_terms_is_bounded),
		cmocka_unit_test(parameters_fall_into_quarters_of_octaves),
		cmocka_unit_test(scores_halve_in_a_week_and_keep_their_order),
		TEST(what_is_private_is_found_by_who_may_see_it),
		TEST(an_index_that_is_not_whole_answers_nothing),
		TEST(conditions_hold_together),
		TEST(numbers_that_are_kept_follow_changes),
		TEST(sets_that_are_kept_are_forgotten_with_their_version),
		TEST(text_is_found_in_ids_tags_and_cards),
		TEST(parameters_are_found_within_a_range),
		TEST(a_change_leaves_nothing_of_what_was),
		TEST(tags_of_public_repositories_are_counted),
		TEST(pages_hold_every_hit_once),
		TEST(a_bad_cursor_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
