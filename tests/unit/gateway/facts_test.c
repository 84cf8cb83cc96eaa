/* What follows from a card and from the names of files: library, task, tags; and facts as they are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/facts/library.h"
#include "gateway/facts/tags.h"

struct made {
	struct facts_files files;
	struct facts_inputs inputs;
	json_t *card, *config, *adapter, *model_index;
};

static struct made made;

static int tear_down(void **state)
{
	(void)state;
	json_decref(made.card);
	json_decref(made.config);
	json_decref(made.adapter);
	json_decref(made.model_index);
	memset(&made, 0, sizeof(made));
	return 0;
}

static struct facts_inputs *inputs_of(enum repo_type type, const char *card, const char *config)
{
	made.card = card ? json_loads(card, 0, NULL) : NULL;
	made.config = config ? json_loads(config, 0, NULL) : NULL;
	assert_true((!card || made.card) && (!config || made.config));
	made.inputs = (struct facts_inputs){ .type = type, .files = &made.files, .card = made.card, .config = made.config };
	return &made.inputs;
}

static void tags_are(const struct facts_inputs *inputs, const char *library, const char *pipeline_tag, const char *expected)
{
	json_t *tags = facts_tags(inputs, library, pipeline_tag);
	char *text = json_dumps(tags, JSON_COMPACT);
	assert_string_equal(text, expected);
	free(text);
	json_decref(tags);
}

static void a_transformers_model_is_known_by_its_configuration(void **state)
{
	(void)state;
	static const struct {
		const char *config, *pipeline_tag, *auto_model;
	} cases[] = {
		{ "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"]}", "text-generation", "AutoModelForCausalLM" },
		{ "{\"model_type\":\"bert\",\"architectures\":[\"BertForMaskedLM\"]}", "fill-mask", "AutoModelForMaskedLM" },
		{ "{\"model_type\":\"bert\",\"architectures\":[\"BertForSequenceClassification\"]}", "text-classification", "AutoModelForSequenceClassification" },
		{ "{\"model_type\":\"t5\",\"architectures\":[\"T5ForConditionalGeneration\"]}", "text2text-generation", "AutoModelForSeq2SeqLM" },
		{ "{\"model_type\":\"whisper\",\"architectures\":[\"WhisperForConditionalGeneration\"]}", "automatic-speech-recognition", "AutoModelForSpeechSeq2Seq" },
		{ "{\"model_type\":\"llava\",\"vision_config\":{},\"architectures\":[\"LlavaForConditionalGeneration\"]}", "image-text-to-text", "AutoModelForImageTextToText" },
		{ "{\"model_type\":\"vit\",\"architectures\":[\"ViTForImageClassification\"]}", "image-classification", "AutoModelForImageClassification" },
		{ "{\"model_type\":\"bert\",\"architectures\":[\"BertModel\"]}", "feature-extraction", "AutoModel" },
		{ "{\"model_type\":\"odd\",\"architectures\":[\"Unheard\"]}", NULL, NULL },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct facts_inputs *inputs = inputs_of(REPO_MODEL, NULL, cases[i].config);
		const char *library = facts_library(inputs), *pipeline_tag = facts_pipeline_tag(inputs, library);
		json_t *info = facts_transformers_info(inputs, library);
		assert_string_equal(library, "transformers");
		assert_true(cases[i].pipeline_tag ? pipeline_tag && strcmp(pipeline_tag, cases[i].pipeline_tag) == 0 : !pipeline_tag);
		assert_int_equal(info != NULL, cases[i].auto_model != NULL);
		if (info)
			assert_string_equal(json_string_value(json_object_get(info, "auto_model")), cases[i].auto_model);
		json_decref(info);
		tear_down(NULL);
	}
}

static void the_card_has_the_last_word(void **state)
{
	(void)state;
	struct facts_inputs *inputs = inputs_of(REPO_MODEL, "{\"library_name\":\"mlx\",\"pipeline_tag\":\"translation\"}",
		"{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"]}");
	assert_string_equal(facts_library(inputs), "mlx");
	assert_string_equal(facts_pipeline_tag(inputs, "mlx"), "translation");
	assert_null(facts_transformers_info(inputs, "mlx"));
}

static void other_libraries_are_known_by_their_files(void **state)
{
	(void)state;
	struct facts_inputs *inputs = inputs_of(REPO_MODEL, NULL, "{\"model_type\":\"bert\"}");
	made.files.has[FILE_SENTENCE_MODULES] = true;
	assert_string_equal(facts_library(inputs), "sentence-transformers");
	assert_string_equal(facts_pipeline_tag(inputs, "sentence-transformers"), "sentence-similarity");
	tear_down(NULL);
	inputs = inputs_of(REPO_MODEL, NULL, NULL);
	made.files.has[FILE_MODEL_INDEX] = true;
	inputs->model_index = made.model_index = json_loads("{\"_class_name\":\"StableDiffusionPipeline\"}", 0, NULL);
	assert_string_equal(facts_library(inputs), "diffusers");
	assert_string_equal(facts_pipeline_tag(inputs, "diffusers"), "text-to-image");
	tear_down(NULL);
	inputs = inputs_of(REPO_MODEL, NULL, NULL);
	made.files.has[FILE_ADAPTER_CONFIG] = true;
	inputs->adapter = made.adapter = json_loads("{\"peft_type\":\"LORA\",\"base_model_name_or_path\":\"meta/llama\"}", 0, NULL);
	assert_string_equal(facts_library(inputs), "peft");
	tags_are(inputs, "peft", NULL, "[\"peft\",\"base_model:meta/llama\",\"base_model:adapter:meta/llama\",\"region:us\"]");
	tear_down(NULL);
	assert_null(facts_library(inputs_of(REPO_MODEL, NULL, NULL)));
}

static void a_models_tags_come_in_the_order_of_the_hub(void **state)
{
	(void)state;
	struct facts_inputs *inputs = inputs_of(REPO_MODEL, "{\"language\":[\"en\",\"de\"],\"license\":\"mit\",\"tags\":[\"exbert\",\"en\"],"
		"\"datasets\":[\"wiki\"],\"base_model\":[\"a/b\",\"c/d\"],\"model-index\":[]}", "{\"model_type\":\"bert\",\"auto_map\":{}}");
	made.files.kinds = KIND_SAFETENSORS | KIND_PYTORCH | KIND_GGUF;
	inputs->readme = span_text("See https://arxiv.org/abs/1810.04805 and https://huggingface.co/papers/2106.01345v2, not arxiv.org/abs/x.");
	tags_are(inputs, "transformers", "fill-mask", "[\"transformers\",\"pytorch\",\"safetensors\",\"gguf\",\"bert\",\"fill-mask\",\"exbert\",\"en\",\"custom_code\","
		"\"model-index\",\"de\",\"dataset:wiki\",\"arxiv:1810.04805\",\"arxiv:2106.01345\",\"base_model:a/b\",\"base_model:c/d\",\"base_model:merge:a/b\","
		"\"base_model:merge:c/d\",\"license:mit\",\"region:us\"]");
	json_t *base = facts_base_models(inputs);
	char *text = json_dumps(base, JSON_COMPACT);
	assert_string_equal(text, "{\"relation\":\"merge\",\"models\":[{\"id\":\"a/b\"},{\"id\":\"c/d\"}]}");
	free(text);
	json_decref(base);
}

static void data_sets_and_spaces_have_tags_of_their_own(void **state)
{
	(void)state;
	struct facts_inputs *inputs = inputs_of(REPO_DATASET, "{\"task_categories\":[\"text-generation\"],\"language\":\"en\",\"license\":\"mit\","
		"\"size_categories\":\"1K<n<10K\",\"tags\":[\"own\"]}", NULL);
	made.files.kinds = KIND_CSV;
	tags_are(inputs, NULL, NULL, "[\"task_categories:text-generation\",\"language:en\",\"license:mit\",\"size_categories:1K<n<10K\",\"format:csv\",\"modality:text\","
		"\"library:datasets\",\"library:pandas\",\"library:mlcroissant\",\"library:polars\",\"own\",\"region:us\"]");
	tear_down(NULL);
	inputs = inputs_of(REPO_SPACE, "{\"sdk\":\"gradio\",\"tags\":[\"x\"]}", NULL);
	inputs->sdk = "docker";
	tags_are(inputs, NULL, NULL, "[\"gradio\",\"x\",\"region:us\"]");
}

static void odd_cards_do_no_harm(void **state)
{
	(void)state;
	struct facts_inputs *inputs = inputs_of(REPO_MODEL, "{\"language\":{\"a\":1},\"license\":[1,null,\"mit\"],\"tags\":\"one\",\"base_model\":[[\"x\"],7],"
		"\"datasets\":null,\"library_name\":5,\"pipeline_tag\":\"\"}", "{\"architectures\":\"no list\",\"model_type\":3}");
	assert_null(facts_library(inputs));
	assert_null(facts_pipeline_tag(inputs, NULL));
	assert_null(facts_base_models(inputs));
	tags_are(inputs, NULL, NULL, "[\"one\",\"license:mit\",\"region:us\"]");
}

static void facts_are_kept_in_two_parts(void **state)
{
	(void)state;
	struct facts facts = { .digest = { 7 } }, read = { 0 };
	struct buffer small, large;
	facts.json[FACT_TAGS] = strdup("[\"a\"]");
	facts.json[FACT_PARAMETERS] = strdup("12");
	facts.json[FACT_CARD_DATA] = strdup("{}");
	buffer_init(&small, 1000);
	buffer_init(&large, 1000);
	facts_encode(&small, &facts, true);
	facts_encode(&large, &facts, false);
	struct span tags = facts_peek(buffer_span(&small), FACT_TAGS);
	assert_true(span_equal(tags, span_text("[\"a\"]")));
	assert_int_equal(facts_peek(buffer_span(&small), FACT_CARD_DATA).length, 0);
	assert_int_equal(facts_decode(&read, buffer_span(&small)), 0);
	assert_int_equal(facts_decode(&read, buffer_span(&large)), 0);
	assert_string_equal(read.json[FACT_CARD_DATA], "{}");
	assert_string_equal(read.json[FACT_PARAMETERS], "12");
	assert_memory_equal(read.digest, facts.digest, 16);
	facts_fini(&read);
	for (size_t cut = 0; cut < small.length; cut++) {
		assert_int_not_equal(facts_decode(&read, span_of(small.data, cut)), 0);
		facts_fini(&read);
	}
	facts_fini(&facts);
	buffer_fini(&small);
	buffer_fini(&large);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_transformers_model_is_known_by_its_configuration),
		TEST(the_card_has_the_last_word),
		TEST(other_libraries_are_known_by_their_files),
		TEST(a_models_tags_come_in_the_order_of_the_hub),
		TEST(data_sets_and_spaces_have_tags_of_their_own),
		TEST(odd_cards_do_no_harm),
		TEST(facts_are_kept_in_two_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
