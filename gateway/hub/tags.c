#include <jansson.h>

#include "gateway/hub/tags.h"

#include <stdio.h>

#include "gateway/facts/library.h"
#include "gateway/hub/call.h"
#include "gateway/search/search.h"
#include "schemas/json_writer.h"

enum { TAGS_PER_KIND_MAX = 2000, TAGS_SEEN_MAX = 500000, KIND_BYTES_MAX = 1 << 20, KINDS_MAX = 16 };

/* Prefixes of tags, and under which kind they are listed; what has none is told by its word. NULL: not listed, there is one for each repository. */
static const struct prefix {
	const char *prefix, *kind;
	unsigned on; /* 1 models, 2 data sets */
} prefixes[] = {
	{ "license:", "license", 3 }, { "region:", "region", 3 }, { "dataset:", "dataset", 1 }, { "base_model:", NULL, 1 }, { "arxiv:", NULL, 3 },
	{ "language:", NULL, 1 }, { "language:", "language", 2 }, { "task_categories:", "task_categories", 2 }, { "task_ids:", "task_ids", 2 },
	{ "size_categories:", "size_categories", 2 }, { "format:", "format", 2 }, { "modality:", "modality", 2 }, { "library:", "library", 2 },
	{ "annotations_creators:", "annotations_creators", 2 }, { "language_creators:", "language_creators", 2 },
	{ "multilinguality:", "multilinguality", 2 }, { "source_datasets:", "source_datasets", 2 }, { "benchmark:", "benchmark", 2 },
};

static const char *const libraries[] = { "pytorch", "tf", "jax", "rust", "coreml", "onnx", "tflite", "tensorboard", "safetensors", "gguf", "keras", "tf-keras",
	"joblib", "transformers", "diffusers", "sentence-transformers", "peft", "timm", "spacy", "fastai", "flair", "nemo", "open_clip", "setfit",
	"stable-baselines3", "ml-agents", "sample-factory", "adapter-transformers", "adapters", "allennlp", "asteroid", "espnet", "fairseq", "k2",
	"mlx", "paddlenlp", "PaddlePaddle", "pyannote-audio", "sklearn", "span-marker", "speechbrain", "stanza", "transformers.js", "unity-sentis",
	"bertopic", "fasttext", "openvino", "optimum_habana", "optimum_graphcore", "llamafile", "mlx-image", "whisperkit", "graphcore" };

struct kind {
	const char *name;
	struct buffer items;
	size_t count;
};

struct listing {
	enum repo_type type;
	const char *only; /* NULL: all kinds */
	struct kind kinds[KINDS_MAX];
	size_t kinds_count, seen;
};

/* ISO 639-1. */
static bool is_language(struct span tag)
{
	static const char codes[] = " aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky "
		"la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu ";
	char padded[5] = { ' ', 0, 0, ' ', 0 };
	if (tag.length != 2)
		return false;
	memcpy(padded + 1, tag.data, 2);
	return strstr(codes, padded) != NULL;
}

static const struct task *task_named(struct span tag)
{
	for (const struct task *task = tasks; task->id; task++)
		if (span_equal(tag, span_text(task->id)))
			return task;
	return NULL;
}

/* The kind of a tag, NULL: not listed. *label: what is shown of it. */
static const char *kind_of(enum repo_type type, struct span tag, struct span *label)
{
	*label = tag;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t length = strlen(prefixes[i].prefix);
		if ((prefixes[i].on & (type == REPO_MODEL ? 1 : 2)) && tag.length > length && memcmp(tag.data, prefixes[i].prefix, length) == 0) {
			*label = span_of(tag.data + length, tag.length - length);
			return prefixes[i].kind;
		}
	}
	if (type != REPO_MODEL)
		return "other";
	const struct task *task = task_named(tag);
	if (task) {
		*label = span_text(task->label);
		return "pipeline_tag";
	}
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
		if (span_equal(tag, span_text(libraries[i])))
			return "library";
	return is_language(tag) ? "language" : "other";
}

static struct kind *kind_named(struct listing *listing, const char *name)
{
	for (size_t i = 0; i < listing->kinds_count; i++)
		if (strcmp(listing->kinds[i].name, name) == 0)
			return &listing->kinds[i];
	if (listing->kinds_count == KINDS_MAX)
		return NULL;
	struct kind *kind = &listing->kinds[listing->kinds_count++];
	kind->name = name;
	buffer_init(&kind->items, KIND_BYTES_MAX);
	return kind;
}

static int add_tag(void *context, struct span tag, uint64_t count)
{
	struct listing *listing = context;
	struct span label;
	struct json_writer json;
	if (++listing->seen > TAGS_SEEN_MAX)
		return 1;
	const char *name = kind_of(listing->type, tag, &label);
	struct kind *kind = name && (!listing->only || strcmp(listing->only, name) == 0) ? kind_named(listing, name) : NULL;
	if (!kind || kind->count == TAGS_PER_KIND_MAX)
		return 0;
	if (kind->count++)
		buffer_append_byte(&kind->items, ',');
	json_writer_init(&json, &kind->items);
	json_object_begin(&json, NULL);
	json_span(&json, "id", tag);
	json_span(&json, "label", label);
	json_text(&json, "type", name);
	json_u64(&json, "count", count);
	const struct task *task = strcmp(name, "pipeline_tag") == 0 ? task_named(tag) : NULL;
	if (task)
		json_text(&json, "subType", task->modality);
	json_object_end(&json);
	return kind->items.failed ? ERR_TOO_BIG : 0;
}

static int tags_run(struct http_request *request, struct call *call, enum repo_wait wait)
{
	(void)wait;
	struct listing *listing = call->state;
	struct buffer body;
	struct json_writer json;
	int err = search_tags(call->gateway->search, listing->type, add_tag, listing);
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	for (size_t i = 0; i < listing->kinds_count; i++) {
		json_array_begin(&json, listing->kinds[i].name);
		if (listing->kinds[i].count)
			json_raw(&json, NULL, buffer_span(&listing->kinds[i].items));
		json_array_end(&json);
		buffer_fini(&listing->kinds[i].items);
	}
	json_object_end(&json);
	if (err < 0) {
		buffer_fini(&body);
		answer_err(request, err, NULL);
	} else {
		answer_json(request, 200, &body);
	}
	return 0;
}

static void tags_start(struct http_request *request, enum repo_type type)
{
	struct call *call = call_open(request);
	if (!call)
		return;
	if (!call->gateway->search) {
		answer_err(request, ERR_UNSUPPORTED, NULL);
		return;
	}
	struct listing *listing = http_alloc(request, sizeof(*listing));
	const char *only = http_query_value(request, "type", 0);
	listing->type = type;
	listing->only = only && *only ? only : NULL;
	call->state = listing;
	call_work(request, call, tags_run);
}

void model_tags(struct http_request *request, const struct route_match *match)
{
	(void)match;
	tags_start(request, REPO_MODEL);
}

void dataset_tags(struct http_request *request, const struct route_match *match)
{
	(void)match;
	tags_start(request, REPO_DATASET);
}

void tasks_list(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct buffer body;
	struct json_writer json;
	buffer_init(&body, ANSWER_BYTES_MAX);
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	for (const struct task *task = tasks; task->id; task++) {
		json_object_begin(&json, task->id);
		json_text(&json, "id", task->id);
		json_text(&json, "label", task->label);
		json_text(&json, "modality", task->modality);
		json_object_end(&json);
	}
	json_object_end(&json);
	answer_json(request, 200, &body);
}
