#include "gateway/facts/tags.h"

#include <ctype.h>
#include <stdio.h>

enum { ARXIV_MAX = 20 };

/* Tags in order, and the same as keys of an object, so that doubles are found at once. */
struct tag_list {
	json_t *list, *seen;
};

static void add(struct tag_list *tags, const char *prefix, const char *text)
{
	char tag[512];
	if (!text || !*text || json_array_size(tags->list) >= FACTS_TAGS_MAX || snprintf(tag, sizeof(tag), "%s%s", prefix, text) >= (int)sizeof(tag))
		return;
	if (json_object_get(tags->seen, tag))
		return;
	json_object_set_new(tags->seen, tag, json_true());
	json_array_append_new(tags->list, json_string(tag));
}

/* A key's value is one word or a list of words. */
static void add_each(struct tag_list *tags, const json_t *data, const char *key, const char *prefix)
{
	json_t *value = json_object_get(data, key), *item;
	size_t i;
	add(tags, prefix, json_string_value(value));
	json_array_foreach(value, i, item)
		add(tags, prefix, json_string_value(item));
}

/* ------------------------------------------------------------------ what follows from files */

static void add_formats(struct tag_list *tags, const struct facts_inputs *inputs)
{
	const struct facts_files *files = inputs->files;
	if ((files->kinds & KIND_PYTORCH) != 0)
		add(tags, "", "pytorch");
	if (files->has[FILE_TF_MODEL] || (files->has[FILE_SAVED_MODEL] && !(files->kinds & KIND_KERAS)))
		add(tags, "", "tf");
	if (files->has[FILE_FLAX_MODEL])
		add(tags, "", "jax");
	if (files->has[FILE_RUST_MODEL])
		add(tags, "", "rust");
	if (files->kinds & KIND_COREML)
		add(tags, "", "coreml");
	if (files->kinds & KIND_ONNX)
		add(tags, "", "onnx");
	if (files->kinds & KIND_TFLITE)
		add(tags, "", "tflite");
	if (files->kinds & KIND_TENSORBOARD)
		add(tags, "", "tensorboard");
	if (files->kinds & KIND_SAFETENSORS)
		add(tags, "", "safetensors");
	if (files->kinds & KIND_GGUF)
		add(tags, "", "gguf");
	if (files->kinds & KIND_KERAS)
		add(tags, "", "keras");
	if (files->kinds & KIND_JOBLIB)
		add(tags, "", "joblib");
}

static void add_data_formats(struct tag_list *tags, const struct facts_inputs *inputs)
{
	static const struct {
		unsigned kind;
		const char *format, *modality;
		bool pandas;
	} formats[] = {
		{ KIND_PARQUET, "parquet", NULL, true }, { KIND_JSON, "json", "text", true }, { KIND_CSV, "csv", "text", true },
		{ KIND_ARROW, "arrow", NULL, false }, { KIND_TAR, "webdataset", NULL, false }, { KIND_IMAGE, "imagefolder", "image", false },
		{ KIND_AUDIO, "audiofolder", "audio", false }, { KIND_VIDEO, "videofolder", "video", false },
		{ KIND_PDF, "pdffolder", "document", false }, { KIND_TEXT, "text", "text", false },
	};
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (!(inputs->files->kinds & formats[i].kind))
			continue;
		add(tags, "format:", formats[i].format);
		add(tags, "modality:", formats[i].modality);
		add(tags, "library:", "datasets");
		add(tags, "library:", formats[i].pandas ? "pandas" : NULL);
		add(tags, "library:", "mlcroissant");
		add(tags, "library:", formats[i].pandas ? "polars" : NULL);
		return; /* one format loads a data set; the most specific wins */
	}
}

/* "arxiv:2106.01345" for each paper that the card links to. */
static void add_papers(struct tag_list *tags, struct span text)
{
	static const char *const places[] = { "arxiv.org/abs/", "arxiv.org/pdf/", "huggingface.co/papers/" };
	int found = 0;
	for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
		size_t length = strlen(places[p]);
		const uint8_t *at = text.data, *end = text.data + text.length;
		while (text.length && found < ARXIV_MAX && (at = memmem(at, (size_t)(end - at), places[p], length)) != NULL) {
			at += length;
			char id[16];
			size_t n = 0;
			while (n < 10 && at + n < end && (isdigit(at[n]) || (n == 4 && at[n] == '.'))) {
				id[n] = (char)at[n];
				n++;
			}
			id[n] = 0;
			if (n >= 9 && id[4] == '.') {
				add(tags, "arxiv:", id);
				found++;
			}
		}
	}
}

/* ------------------------------------------------------------------ base models */

static const char *relation_of(const struct facts_inputs *inputs)
{
	const char *said = json_string_value(json_object_get(inputs->card, "base_model_relation"));
	if (said && *said)
		return said;
	const json_t *base = json_object_get(inputs->card, "base_model");
	if (json_is_array(base) && json_array_size(base) > 1)
		return "merge";
	if (inputs->files->has[FILE_ADAPTER_CONFIG])
		return "adapter";
	if ((inputs->files->kinds & KIND_GGUF) || json_object_get(inputs->config, "quantization_config"))
		return "quantized";
	return "finetune";
}

/* The card's base models, or what an adapter's configuration says it adapts. */
static const json_t *base_of(const struct facts_inputs *inputs)
{
	const json_t *base = json_object_get(inputs->card, "base_model");
	if (base && !json_is_null(base))
		return base;
	const json_t *adapted = json_object_get(inputs->adapter, "base_model_name_or_path");
	const char *name = json_string_value(adapted);
	const char *slash = name ? strchr(name, '/') : NULL;
	return slash && slash != name && name[0] != '.' && !strchr(slash + 1, '/') ? adapted : NULL; /* not a path on someone's disk */
}

static void add_base_models(struct tag_list *tags, const struct facts_inputs *inputs)
{
	const json_t *base = base_of(inputs);
	json_t *item;
	size_t i;
	char prefix[96];
	snprintf(prefix, sizeof(prefix), "base_model:%.60s:", relation_of(inputs));
	for (int round = 0; round < 2; round++) {
		const char *before = round == 0 ? "base_model:" : prefix;
		add(tags, before, json_string_value(base));
		json_array_foreach(base, i, item)
			add(tags, before, json_string_value(item));
	}
}

json_t *facts_base_models(const struct facts_inputs *inputs)
{
	const json_t *base = base_of(inputs);
	json_t *models = json_array(), *item;
	size_t i;
	if (json_is_string(base))
		json_array_append_new(models, json_pack("{s:s}", "id", json_string_value(base)));
	json_array_foreach(base, i, item)
		if (json_is_string(item))
			json_array_append_new(models, json_pack("{s:s}", "id", json_string_value(item)));
	if (json_array_size(models) == 0) {
		json_decref(models);
		return NULL;
	}
	return json_pack("{s:s, s:o}", "relation", relation_of(inputs), "models", models);
}

/* ------------------------------------------------------------------ by type */

static void add_model_tags(struct tag_list *tags, const struct facts_inputs *inputs, const char *library, const char *pipeline_tag)
{
	add(tags, "", library);
	add_formats(tags, inputs);
	add(tags, "", json_string_value(json_object_get(inputs->config, "model_type")));
	add(tags, "", pipeline_tag);
	add_each(tags, inputs->card, "tags", "");
	if (json_object_get(inputs->config, "auto_map"))
		add(tags, "", "custom_code");
	if (json_object_get(inputs->card, "model-index"))
		add(tags, "", "model-index");
	if (json_object_get(inputs->card, "co2_eq_emissions"))
		add(tags, "", "co2_eq_emissions");
	const json_t *quantization = json_object_get(inputs->config, "quantization_config");
	add(tags, "", json_string_value(json_object_get(quantization, "quant_method")));
	add_each(tags, inputs->card, "language", "");
	add_each(tags, inputs->card, "datasets", "dataset:");
	add_papers(tags, inputs->readme);
	add_base_models(tags, inputs);
}

static void add_dataset_tags(struct tag_list *tags, const struct facts_inputs *inputs)
{
	static const char *const keys[] = { "task_categories", "task_ids", "annotations_creators", "language_creators", "multilinguality",
		"source_datasets" };
	char prefix[64];
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(prefix, sizeof(prefix), "%s:", keys[i]);
		add_each(tags, inputs->card, keys[i], prefix);
	}
	add_each(tags, inputs->card, "language", "language:");
	add_each(tags, inputs->card, "license", "license:");
	add_each(tags, inputs->card, "size_categories", "size_categories:");
	add_data_formats(tags, inputs);
	add_papers(tags, inputs->readme);
	add_each(tags, inputs->card, "tags", "");
}

static void add_space_tags(struct tag_list *tags, const struct facts_inputs *inputs)
{
	const char *sdk = json_string_value(json_object_get(inputs->card, "sdk"));
	add(tags, "", sdk ? sdk : inputs->sdk);
	add_each(tags, inputs->card, "tags", "");
}

json_t *facts_tags(const struct facts_inputs *inputs, const char *library, const char *pipeline_tag)
{
	struct tag_list tags = { json_array(), json_object() };
	if (inputs->type == REPO_DATASET)
		add_dataset_tags(&tags, inputs);
	else if (inputs->type == REPO_SPACE)
		add_space_tags(&tags, inputs);
	else
		add_model_tags(&tags, inputs, library, pipeline_tag);
	add_each(&tags, inputs->card, "license", "license:");
	add(&tags, "region:", "us");
	json_decref(tags.seen);
	return tags.list;
}
