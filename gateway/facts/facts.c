#include "gateway/facts/facts.h"

#include <stdlib.h>

#include "gateway/facts/front_matter.h"
#include "gateway/facts/library.h"
#include "gateway/facts/tags.h"
#include "gateway/facts/weights.h"
#include "schemas/record.h"

enum {
	TOKEN_VALUE_BYTES_MAX = 64 << 10, /* of what is copied from a tokenizer's configuration, each */
	EVAL_BYTES_MAX = 256 << 10,
	EVALS_MAX = 1000,
	DESCRIPTION_CHARACTERS_MAX = 200,
	ENCODED_VERSION = 1,
};

/* ------------------------------------------------------------------ reading */

/* A JSON file of the revision as an object; NULL: absent, too large, or something else. */
static json_t *read_json(struct gateway *gateway, const struct repo *repo, const struct facts_files *files, enum named_file file, bool *unread)
{
	struct buffer text;
	if (!files->has[file] || files->named[file].length > FACTS_CONFIG_BYTES_MAX)
		return NULL;
	buffer_init(&text, FACTS_CONFIG_BYTES_MAX);
	json_t *value = facts_read(gateway, repo, &files->named[file], &text, unread) == 0 ? json_loadb((const char *)text.data, text.length, 0, NULL) : NULL;
	buffer_fini(&text);
	if (json_is_object(value))
		return value;
	json_decref(value);
	return NULL;
}

static json_t *read_card(struct gateway *gateway, const struct repo *repo, const struct facts_files *files, struct buffer *readme, bool *unread)
{
	json_t *card = NULL;
	buffer_init(readme, FACTS_README_BYTES_MAX);
	if (files->has[FILE_README] && files->named[FILE_README].length <= FACTS_README_BYTES_MAX &&
		facts_read(gateway, repo, &files->named[FILE_README], readme, unread) == 0)
		front_matter_parse(buffer_span(readme), &card, NULL); /* an unreadable one counts as none */
	return card;
}

static json_t *read_evals(struct gateway *gateway, const struct repo *repo, const struct facts_files *files, bool *unread)
{
	json_t *all = json_array();
	for (size_t i = 0; i < files->evals.count; i++) {
		struct buffer text;
		json_t *list = NULL, *item;
		size_t k;
		buffer_init(&text, EVAL_BYTES_MAX);
		if (facts_read(gateway, repo, &files->evals.files[i].entry, &text, unread) == 0)
			yaml_to_json(buffer_span(&text), &list, NULL);
		buffer_fini(&text);
		json_array_foreach(list, k, item) {
			const json_t *dataset = json_object_get(item, "dataset");
			bool whole = json_is_string(json_object_get(dataset, "id")) && json_is_string(json_object_get(dataset, "task_id")) &&
				json_object_get(item, "value");
			if (whole && json_array_size(all) < EVALS_MAX)
				json_array_append_new(all, json_pack("{s:s, s:O}", "filename", files->evals.files[i].path, "data", item));
		}
		json_decref(list);
	}
	if (json_array_size(all) > 0)
		return all;
	json_decref(all);
	return NULL;
}

/* ------------------------------------------------------------------ configuration */

static void copy_key(json_t *to, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);
	if (value && !json_is_null(value))
		json_object_set(to, key, value);
}

/* A token is a word, or an object around it. */
static void copy_token(json_t *to, const json_t *tokenizer, const char *key)
{
	json_t *value = json_object_get(tokenizer, key), *content = json_object_get(value, "content");
	if (content)
		value = content;
	if (json_is_string(value) && json_string_length(value) <= TOKEN_VALUE_BYTES_MAX)
		json_object_set(to, key, value);
}

static json_t *config_of(const struct facts_inputs *inputs)
{
	static const char *const keys[] = { "architectures", "model_type", "auto_map", "quantization_config", "task_specific_params", "is_encoder_decoder" };
	static const char *const tokens[] = { "bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token" };
	json_t *config = json_object();
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		copy_key(config, inputs->config, keys[i]);
	if (inputs->tokenizer) {
		json_t *tokenizer = json_object();
		for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
			copy_token(tokenizer, inputs->tokenizer, tokens[i]);
		copy_key(tokenizer, inputs->tokenizer, "chat_template");
		copy_key(tokenizer, inputs->tokenizer, "use_default_system_prompt");
		json_object_set_new(config, "tokenizer_config", tokenizer);
	}
	if (json_object_get(inputs->model_index, "_class_name"))
		json_object_set_new(config, "diffusers", json_pack("{s:O}", "_class_name", json_object_get(inputs->model_index, "_class_name")));
	if (inputs->adapter) {
		json_t *peft = json_object();
		copy_key(peft, inputs->adapter, "base_model_name_or_path");
		copy_key(peft, inputs->adapter, "task_type");
		json_object_set_new(config, "peft", peft);
	}
	if (json_object_size(config) > 0)
		return config;
	json_decref(config);
	return NULL;
}

static void add_chat_template(struct gateway *gateway, const struct repo *repo, const struct facts_files *files, json_t *config, bool *unread)
{
	struct buffer text;
	if (!config || !files->has[FILE_CHAT_TEMPLATE])
		return;
	buffer_init(&text, TOKEN_VALUE_BYTES_MAX);
	json_t *template = facts_read(gateway, repo, &files->named[FILE_CHAT_TEMPLATE], &text, unread) == 0 ?
		json_stringn((const char *)text.data, text.length) : NULL;
	if (template)
		json_object_set_new(config, "chat_template_jinja", template);
	buffer_fini(&text);
}

/* ------------------------------------------------------------------ setting facts */

/* Takes the reference; NULL and what cannot be written leave the fact absent. */
static void set(struct facts *out, enum fact fact, json_t *value)
{
	if (value && !json_is_null(value))
		out->json[fact] = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(value);
}

static void set_copy(struct facts *out, enum fact fact, const json_t *object, const char *key)
{
	set(out, fact, json_incref(json_object_get(object, key)));
}

static void set_text(struct facts *out, enum fact fact, const char *text)
{
	set(out, fact, text ? json_string(text) : NULL);
}

/* One word or a list of words, as a list. */
static json_t *list_of(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key), *list, *item;
	size_t i;
	if (!json_is_string(value) && json_array_size(value) == 0)
		return NULL;
	list = json_array();
	if (json_is_string(value))
		json_array_append(list, value);
	json_array_foreach(value, i, item)
		if (json_is_string(item))
			json_array_append(list, item);
	return list;
}

/* The first lines of prose behind the front matter, one blank between words: what a list shows of a data set. */
static json_t *description_of(struct span text)
{
	char out[DESCRIPTION_CHARACTERS_MAX * 4 + 8];
	size_t length = 0, characters = 0;
	bool blank = false;
	for (size_t i = 0; i < text.length && characters < DESCRIPTION_CHARACTERS_MAX; i++) {
		uint8_t c = text.data[i];
		if (c <= ' ') {
			blank = length > 0;
			continue;
		}
		if (blank) {
			out[length++] = ' ';
			characters++;
		}
		blank = false;
		characters += (c & 0xc0) != 0x80;
		out[length++] = (char)c;
		while (i + 1 < text.length && (text.data[i + 1] & 0xc0) == 0x80 && length < sizeof(out) - 5)
			out[length++] = (char)text.data[++i];
	}
	return length ? json_stringn(out, length) : NULL;
}

static void set_model_facts(struct gateway *gateway, const struct repo *repo, const struct oid *commit, const struct facts_cache *cache,
	struct facts_inputs *inputs, struct facts *out)
{
	const struct facts_files *files = inputs->files;
	json_t *safetensors = facts_safetensors(gateway, repo, commit, files, cache, &out->incomplete);
	json_t *gguf = facts_gguf(gateway, files, cache, &out->incomplete);
	json_int_t total = json_integer_value(json_object_get(safetensors ? safetensors : gguf, "total"));
	inputs->parameters = total > 0 ? (uint64_t)total : 0;
	const char *library = facts_library(inputs);
	const char *pipeline_tag = facts_pipeline_tag(inputs, library);
	json_t *config = config_of(inputs), *tokens = json_object_get(config, "tokenizer_config");
	add_chat_template(gateway, repo, files, config, &out->incomplete);
	set_copy(out, FACT_MASK_TOKEN, tokens, "mask_token");
	set(out, FACT_TAGS, facts_tags(inputs, library, pipeline_tag));
	set_text(out, FACT_LIBRARY_NAME, library);
	set_text(out, FACT_PIPELINE_TAG, pipeline_tag);
	if (inputs->parameters)
		set(out, FACT_PARAMETERS, json_integer(total));
	set(out, FACT_SAFETENSORS, safetensors);
	set(out, FACT_GGUF, gguf);
	set(out, FACT_CONFIG, config);
	set(out, FACT_TRANSFORMERS_INFO, facts_transformers_info(inputs, library));
	set(out, FACT_BASE_MODELS, facts_base_models(inputs));
	set(out, FACT_APPS, facts_apps(inputs, library, pipeline_tag));
	set_copy(out, FACT_MODEL_INDEX, inputs->card, "model-index");
	set_copy(out, FACT_WIDGET_DATA, inputs->card, "widget");
	set(out, FACT_EVAL_RESULTS, read_evals(gateway, repo, files, &out->incomplete));
}

static void set_other_facts(const struct facts_inputs *inputs, struct facts *out)
{
	set(out, FACT_TAGS, facts_tags(inputs, NULL, NULL));
	if (inputs->type == REPO_SPACE) {
		const char *sdk = json_string_value(json_object_get(inputs->card, "sdk"));
		set_text(out, FACT_SDK, sdk ? sdk : inputs->sdk && *inputs->sdk ? inputs->sdk : NULL);
		set(out, FACT_MODELS, list_of(inputs->card, "models"));
		set(out, FACT_DATASETS, list_of(inputs->card, "datasets"));
		return;
	}
	json_t *said = json_object_get(inputs->card, "description");
	set(out, FACT_DESCRIPTION, json_is_string(said) ? json_incref(said) : description_of(buffer_span(&out->text)));
	set_copy(out, FACT_CITATION, inputs->card, "citation");
	set_copy(out, FACT_PAPERSWITHCODE_ID, inputs->card, "paperswithcode_id");
}

/* What of a README is prose. */
static struct span behind_front_matter(struct span readme)
{
	struct span block = front_matter_find(readme);
	if (block.length == 0)
		return readme;
	const uint8_t *at = block.data + block.length, *end = readme.data + readme.length;
	const uint8_t *line = memchr(at, '\n', (size_t)(end - at));
	return line ? span_of(line + 1, (size_t)(end - line - 1)) : span_of(end, 0);
}

int facts_make(struct gateway *gateway, const struct repo *repo, const struct oid *commit, const struct facts_cache *cache, struct facts *out)
{
	*out = (struct facts){ 0 };
	buffer_init(&out->text, FACTS_README_BYTES_MAX);
	struct facts_files *files = calloc(1, sizeof(*files));
	if (!files)
		return ERR_NO_MEMORY;
	int err = commit ? facts_files_find(gateway, repo, commit, false, files) : 0;
	if (err) {
		facts_files_fini(files);
		free(files);
		return err;
	}
	memcpy(out->digest, files->digest, sizeof(out->digest));
	struct buffer readme;
	json_t *card = read_card(gateway, repo, files, &readme, &out->incomplete), *config = NULL, *tokenizer = NULL, *adapter = NULL, *model_index = NULL;
	bool is_model = repo->type == REPO_MODEL || repo->type == REPO_KERNEL;
	if (is_model) {
		config = read_json(gateway, repo, files, FILE_CONFIG, &out->incomplete);
		tokenizer = read_json(gateway, repo, files, FILE_TOKENIZER_CONFIG, &out->incomplete);
		adapter = read_json(gateway, repo, files, FILE_ADAPTER_CONFIG, &out->incomplete);
		model_index = read_json(gateway, repo, files, FILE_MODEL_INDEX, &out->incomplete);
	}
	struct facts_inputs inputs = { .type = is_model ? REPO_MODEL : repo->type, .files = files, .card = card, .config = config, .tokenizer = tokenizer,
		.adapter = adapter, .model_index = model_index, .sdk = repo->sdk, .readme = buffer_span(&readme) };
	struct span prose = behind_front_matter(inputs.readme);
	buffer_append(&out->text, prose.data, prose.length);
	if (is_model)
		set_model_facts(gateway, repo, commit, cache, &inputs, out);
	else
		set_other_facts(&inputs, out);
	if (card)
		set(out, FACT_CARD_DATA, json_incref(card));
	json_decref(card);
	json_decref(config);
	json_decref(tokenizer);
	json_decref(adapter);
	json_decref(model_index);
	buffer_fini(&readme);
	facts_files_fini(files);
	free(files);
	return out->json[FACT_TAGS] ? 0 : ERR_NO_MEMORY;
}

int facts_digest(struct gateway *gateway, const struct repo *repo, const struct oid *commit, uint8_t digest[16])
{
	struct facts_files *files = calloc(1, sizeof(*files));
	if (!files)
		return ERR_NO_MEMORY;
	int err = facts_files_find(gateway, repo, commit, true, files);
	memcpy(digest, files->digest, 16);
	facts_files_fini(files);
	free(files);
	return err;
}

void facts_fini(struct facts *facts)
{
	for (size_t i = 0; i < FACTS_COUNT; i++)
		free(facts->json[i]);
	buffer_fini(&facts->text);
	*facts = (struct facts){ 0 };
}

/* ------------------------------------------------------------------ kept */

void facts_encode(struct buffer *out, const struct facts *facts, bool small)
{
	size_t first = small ? 0 : FACTS_SMALL_COUNT, end = small ? FACTS_SMALL_COUNT : FACTS_COUNT;
	uint32_t count = 0;
	for (size_t i = first; i < end; i++)
		count += facts->json[i] != NULL;
	pack_array(out, 3);
	pack_u64(out, ENCODED_VERSION);
	pack_bytes(out, span_of(facts->digest, sizeof(facts->digest)));
	pack_map(out, count);
	for (size_t i = first; i < end; i++) {
		if (!facts->json[i])
			continue;
		pack_u64(out, i);
		pack_text(out, span_text(facts->json[i]));
	}
}

static uint32_t begin(struct cursor *cursor, struct span bytes, struct span *digest)
{
	*cursor = cursor_of(bytes);
	cursor_array(cursor, 3);
	if (cursor_u64(cursor) != ENCODED_VERSION)
		cursor->failed = true;
	*digest = cursor_bytes(cursor, 16);
	return cursor_map(cursor, FACTS_COUNT);
}

int facts_decode(struct facts *facts, struct span bytes)
{
	struct cursor cursor;
	struct span digest;
	uint32_t count = begin(&cursor, bytes, &digest);
	if (cursor.failed || digest.length != sizeof(facts->digest))
		return ERR_CORRUPT;
	memcpy(facts->digest, digest.data, sizeof(facts->digest));
	for (uint32_t i = 0; i < count && !cursor.failed; i++) {
		uint64_t fact = cursor_u64(&cursor);
		struct span text = cursor_text(&cursor, FACTS_BYTES_MAX);
		if (cursor.failed || fact >= FACTS_COUNT || facts->json[fact])
			return ERR_CORRUPT;
		facts->json[fact] = strndup((const char *)text.data, text.length);
		if (!facts->json[fact])
			return ERR_NO_MEMORY;
	}
	return cursor_done(&cursor) ? 0 : ERR_CORRUPT;
}

void facts_peek_digest(struct span bytes, uint8_t digest[16])
{
	struct cursor cursor;
	struct span found;
	begin(&cursor, bytes, &found);
	memset(digest, 0, 16);
	if (!cursor.failed && found.length == 16)
		memcpy(digest, found.data, 16);
}

struct span facts_peek(struct span bytes, enum fact fact)
{
	struct cursor cursor;
	struct span digest;
	uint32_t count = begin(&cursor, bytes, &digest);
	for (uint32_t i = 0; i < count && !cursor.failed; i++) {
		uint64_t number = cursor_u64(&cursor);
		struct span text = cursor_text(&cursor, FACTS_BYTES_MAX);
		if (!cursor.failed && number == fact)
			return text;
	}
	return span_of(NULL, 0);
}
