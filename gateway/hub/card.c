#include "gateway/hub/card.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/facts/front_matter.h"

enum { TAGS_MAX = 1000 };

static struct {
	pthread_mutex_t lock;
	struct card *slots[CARD_CACHE_SLOTS];
	size_t bytes;
	size_t hand; /* next slot to give up when the table is too heavy */
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ------------------------------------------------------------------ tags */


static void add_tag(json_t *tags, const char *prefix, const char *text)
{
	if (json_array_size(tags) >= TAGS_MAX || !*text)
		return;
	json_t *tag = json_sprintf("%s%s", prefix, text);
	size_t i;
	json_t *known;
	json_array_foreach(tags, i, known) {
		if (json_equal(known, tag)) {
			json_decref(tag);
			return;
		}
	}
	if (tag)
		json_array_append_new(tags, tag);
}

/* A key's value is one word or a list of words. */
static void add_tags_of(json_t *tags, const json_t *data, const char *key, const char *prefix)
{
	json_t *value = json_object_get(data, key), *item;
	size_t i;
	if (json_is_string(value))
		add_tag(tags, prefix, json_string_value(value));
	json_array_foreach(value, i, item)
		if (json_is_string(item))
			add_tag(tags, prefix, json_string_value(item));
}

static json_t *tags_of(const json_t *data, enum repo_type type)
{
	static const char *const dataset_keys[] = { "task_categories", "task_ids", "annotations_creators",
		"language_creators", "multilinguality", "source_datasets", "size_categories" };
	json_t *tags = json_array();
	if (!tags)
		return NULL;
	if (type == REPO_MODEL)
		add_tags_of(tags, data, "library_name", "");
	if (type == REPO_DATASET) {
		for (size_t i = 0; i < sizeof(dataset_keys) / sizeof(dataset_keys[0]); i++) {
			char prefix[64];
			snprintf(prefix, sizeof(prefix), "%s:", dataset_keys[i]);
			add_tags_of(tags, data, dataset_keys[i], prefix);
		}
	}
	if (type == REPO_SPACE)
		add_tags_of(tags, data, "sdk", "");
	if (type == REPO_MODEL)
		add_tags_of(tags, data, "pipeline_tag", "");
	add_tags_of(tags, data, "tags", "");
	add_tags_of(tags, data, "language", type == REPO_DATASET ? "language:" : "");
	if (type == REPO_MODEL) {
		add_tags_of(tags, data, "datasets", "dataset:");
		add_tags_of(tags, data, "base_model", "base_model:");
		const char *relation = json_string_value(json_object_get(data, "base_model_relation"));
		char prefix[128];
		snprintf(prefix, sizeof(prefix), "base_model:%.60s:", relation ? relation : "finetune");
		add_tags_of(tags, data, "base_model", prefix);
	}
	add_tags_of(tags, data, "license", "license:");
	add_tag(tags, "", "region:us");
	return tags;
}

/* ------------------------------------------------------------------ one card */

static void card_free(struct card *card)
{
	if (!card)
		return;
	free(card->data);
	free(card->tags);
	free(card->pipeline_tag);
	free(card->library_name);
	free(card->sdk);
	free(card);
}

static char *text_of(const json_t *data, const char *key)
{
	const char *text = json_string_value(json_object_get(data, key));
	return text ? strdup(text) : NULL;
}

static size_t text_bytes(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

struct card *card_make(struct span readme, enum repo_type type)
{
	struct card *card = calloc(1, sizeof(*card));
	if (!card)
		return NULL;
	json_t *data = NULL;
	front_matter_parse(readme, &data, NULL); /* an unreadable one counts as none */
	json_t *tags = tags_of(data, type);
	card->type = type;
	card->references = 1;
	card->data = data ? json_dumps(data, JSON_COMPACT) : NULL;
	card->tags = tags ? json_dumps(tags, JSON_COMPACT) : NULL;
	card->pipeline_tag = text_of(data, "pipeline_tag");
	card->library_name = text_of(data, "library_name");
	card->sdk = text_of(data, "sdk");
	card->bytes = sizeof(*card) + text_bytes(card->data) + text_bytes(card->tags) + text_bytes(card->pipeline_tag) +
		text_bytes(card->library_name) + text_bytes(card->sdk);
	json_decref(data);
	json_decref(tags);
	if (!card->tags) {
		card_free(card);
		return NULL;
	}
	return card;
}

/* ------------------------------------------------------------------ the cache */

static size_t slot_of(const struct oid *blob, enum repo_type type)
{
	uint32_t word;
	memcpy(&word, blob->bytes, sizeof(word));
	return (word + (uint32_t)type * 0x9e3779b1u) % CARD_CACHE_SLOTS;
}

static void release_locked(struct card *card)
{
	if (--card->references == 0)
		card_free(card);
}

static void drop_slot_locked(size_t slot)
{
	if (!cache.slots[slot])
		return;
	cache.bytes -= cache.slots[slot]->bytes;
	release_locked(cache.slots[slot]);
	cache.slots[slot] = NULL;
}

static struct card *cache_find(const struct oid *blob, enum repo_type type)
{
	pthread_mutex_lock(&cache.lock);
	struct card *card = cache.slots[slot_of(blob, type)];
	if (card && card->type == type && memcmp(card->blob.bytes, blob->bytes, OID_BYTES) == 0)
		card->references++;
	else
		card = NULL;
	pthread_mutex_unlock(&cache.lock);
	return card;
}

static void cache_add(struct card *card)
{
	if (card->bytes > CARD_CACHE_BYTES_MAX / 8)
		return;
	pthread_mutex_lock(&cache.lock);
	size_t slot = slot_of(&card->blob, card->type);
	drop_slot_locked(slot);
	while (cache.bytes + card->bytes > CARD_CACHE_BYTES_MAX) {
		drop_slot_locked(cache.hand);
		cache.hand = (cache.hand + 1) % CARD_CACHE_SLOTS;
	}
	card->references++;
	cache.slots[slot] = card;
	cache.bytes += card->bytes;
	pthread_mutex_unlock(&cache.lock);
}

void card_release(struct card *card)
{
	if (!card)
		return;
	pthread_mutex_lock(&cache.lock);
	release_locked(card);
	pthread_mutex_unlock(&cache.lock);
}

static int card_read(struct gateway *gateway, const struct repo *repo, const struct tree_entry *readme, struct card **out)
{
	struct buffer text;
	buffer_init(&text, CARD_README_BYTES_MAX);
	struct why why = { 0 };
	int err = repo_read_blob(gateway, repo, readme, &text, &why);
	*out = err ? NULL : card_make(buffer_span(&text), repo->type);
	buffer_fini(&text);
	if (err)
		return err;
	if (!*out)
		return ERR_NO_MEMORY;
	(*out)->blob = readme->oid;
	cache_add(*out);
	return 0;
}

int card_get(struct gateway *gateway, const struct repo *repo, const struct oid *commit, enum repo_wait wait, struct card **out)
{
	struct tree_entry readme;
	int err = repo_entry(gateway, repo, commit, span_text("README.md"), wait, &readme);
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (err || readme.is_directory || readme.is_lfs || readme.length > CARD_README_BYTES_MAX)
		readme = (struct tree_entry){ 0 };
	*out = cache_find(&readme.oid, repo->type);
	if (*out)
		return 0;
	if (readme.length == 0) {
		*out = card_make(span_of(NULL, 0), repo->type);
		if (!*out)
			return ERR_NO_MEMORY;
		(*out)->blob = readme.oid;
		cache_add(*out);
		return 0;
	}
	return wait == REPO_NO_WAIT ? ERR_AGAIN : card_read(gateway, repo, &readme, out);
}
