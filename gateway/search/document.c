#include <jansson.h>

#include "gateway/search/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/search/scoring.h"
#include "replication/downloads.h"
#include "replication/likes.h"

/* ------------------------------------------------------------------ terms */

static void add_text(struct term_list *out, enum term_kind kind, const json_t *value)
{
	if (json_is_string(value))
		term_add(out, kind, span_of(json_string_value(value), json_string_length(value)));
}

static void add_texts(struct term_list *out, enum term_kind kind, const json_t *list)
{
	json_t *item;
	size_t i;
	json_array_foreach(list, i, item)
		add_text(out, kind, item);
}

static json_t *fact_json(const struct facts *facts, enum fact fact)
{
	return facts->json[fact] ? json_loads(facts->json[fact], JSON_DECODE_ANY, NULL) : NULL;
}

static void add_tags(struct term_list *out, const json_t *tags)
{
	json_t *item;
	size_t i;
	json_array_foreach(tags, i, item) {
		const char *tag = json_string_value(item);
		if (!tag)
			continue;
		add_text(out, TERM_TAG, item);
		if (strncmp(tag, "region:", 7) != 0)
			terms_of_text(out, span_text(tag), SIZE_MAX);
	}
}

static void add_language(struct term_list *out, const json_t *language)
{
	char alias[64];
	if (json_is_string(language) && snprintf(alias, sizeof(alias), "language:%s", json_string_value(language)) < (int)sizeof(alias))
		term_add(out, TERM_TAG, span_text(alias));
}

/* Languages are bare tags of models; older clients ask with "language:" before them. */
static void add_languages(struct term_list *out, const json_t *card)
{
	json_t *languages = json_object_get(card, "language"), *item;
	size_t i;
	add_language(out, languages);
	json_array_foreach(languages, i, item)
		add_language(out, item);
}

/* A Space names models or data sets: each of them, and that it does. */
static void add_links(struct term_list *out, enum term_kind kind, const json_t *list)
{
	if (json_array_size(list) > 0)
		term_add(out, kind, span_of(NULL, 0));
	add_texts(out, kind, list);
}

int document_terms(struct term_list *out, const struct doc *doc, const struct facts *facts)
{
	char id[REPO_ID_BYTES_MAX];
	json_t *tags = fact_json(facts, FACT_TAGS), *pipeline_tag = fact_json(facts, FACT_PIPELINE_TAG), *apps = fact_json(facts, FACT_APPS);
	json_t *card = doc->type == REPO_MODEL ? fact_json(facts, FACT_CARD_DATA) : NULL, *models = fact_json(facts, FACT_MODELS), *datasets = fact_json(facts, FACT_DATASETS), *parameters = fact_json(facts, FACT_PARAMETERS);
	snprintf(id, sizeof(id), "%s/%s", doc->owner, doc->name);
	term_add(out, TERM_ALL, span_of(NULL, 0));
	if (doc->private)
		term_add(out, TERM_PRIVATE, span_of(NULL, 0));
	if (doc->gated)
		term_add(out, TERM_GATED, span_of(NULL, 0));
	term_add(out, TERM_AUTHOR, span_text(doc->owner));
	terms_of_id(out, id);
	add_text(out, TERM_PIPELINE, pipeline_tag);
	add_tags(out, tags);
	add_languages(out, card);
	add_texts(out, TERM_APP, apps);
	add_links(out, TERM_MODEL, models);
	add_links(out, TERM_DATASET, datasets);
	uint8_t bucket = (uint8_t)(parameter_bucket((uint64_t)json_integer_value(parameters)) + 1);
	if (doc->type == REPO_MODEL)
		term_add(out, TERM_PARAMETERS, span_of(&bucket, 1));
	terms_of_text(out, buffer_span(&facts->text), CARD_WORDS_MAX);
	json_decref(tags);
	json_decref(pipeline_tag);
	json_decref(apps);
	json_decref(card);
	json_decref(models);
	json_decref(datasets);
	json_decref(parameters);
	return out->bytes.failed ? ERR_TOO_BIG : 0;
}

/* ------------------------------------------------------------------ one repository */

static int read_values(struct gateway *gateway, const struct repo *repo, int64_t now_ms, struct doc_values *out)
{
	struct day_counts likes, downloads;
	uint64_t today = day_of_ms(now_ms);
	int err = likes_of_repo(gateway->ns, NULL, &repo->id, &likes);
	if (err == 0)
		err = downloads_of_repo(gateway->ns, NULL, &repo->id, &downloads);
	if (err)
		return err;
	int64_t modified_ms = repo->modified_ms ? repo->modified_ms : repo->created_ms;
	out->by[SORT_MODIFIED] = modified_ms > 0 ? (uint64_t)modified_ms : 0;
	out->by[SORT_CREATED] = repo->created_ms > 0 ? (uint64_t)repo->created_ms : 0;
	out->by[SORT_DOWNLOADS] = day_counts_recent(&downloads, today);
	out->by[SORT_LIKES] = likes.total;
	out->by[SORT_LIKES_RECENT] = day_counts_recent(&likes, today);
	out->by[SORT_TREND] = trend_of(&likes, &downloads, today);
	out->downloads_all = downloads.total;
	return 0;
}

static struct doc doc_of(const struct repo *repo)
{
	struct doc doc = { .repo = repo->id, .type = repo->type, .private = repo->private, .gated = repo->gated };
	memcpy(doc.owner, repo->owner, sizeof(doc.owner));
	memcpy(doc.name, repo->name, sizeof(doc.name));
	return doc;
}

static bool same_but_for_commit(const struct doc *a, const struct doc *b)
{
	return a->private == b->private && a->gated == b->gated && a->has_commit == b->has_commit && strcmp(a->owner, b->owner) == 0 &&
		strcmp(a->name, b->name) == 0;
}

static uint64_t parameters_of(const struct facts *facts)
{
	return facts->json[FACT_PARAMETERS] ? strtoull(facts->json[FACT_PARAMETERS], NULL, 10) : 0;
}

/* From the size that is known of the commit before, whose trees are mostly the same. What cannot be read has no size. */
static int read_main_size(struct gateway *gateway, const struct repo *repo, const struct indexed *before, const struct doc *doc, uint64_t *out)
{
	uint64_t known = before->exists && before->doc.has_commit ? before->values.by[SORT_MAIN_SIZE] : 0;
	int err = ERR_NOT_FOUND;
	*out = 0;
	if (repo->type != REPO_DATASET || !doc->has_commit)
		return 0;
	if (known && memcmp(&before->doc.commit, &doc->commit, sizeof(doc->commit)) == 0) {
		*out = known;
		return 0;
	}
	if (known)
		err = repo_size(gateway, repo, &before->doc.commit, known, &doc->commit, out);
	if (err == ERR_NOT_FOUND || err == ERR_CORRUPT)
		err = repo_size(gateway, repo, NULL, 0, &doc->commit, out);
	return err == ERR_NOT_FOUND || err == ERR_CORRUPT || err == ERR_TOO_BIG ? 0 : err;
}

static int put_whole(struct gateway *gateway, struct search_writer *writer, const struct facts_cache *cache, const struct repo *repo,
	const struct indexed *before, const struct doc *doc, struct doc_values *values)
{
	struct facts facts;
	struct term_list terms;
	int made = facts_make(gateway, repo, doc->has_commit ? &doc->commit : NULL, cache, &facts);
	if (made == ERR_CORRUPT || made == ERR_NOT_FOUND) { /* its names and numbers are to be found all the same */
		facts_fini(&facts);
		if (facts_make(gateway, repo, NULL, NULL, &facts) != 0)
			made = ERR_NO_MEMORY;
	}
	int err = made == ERR_CORRUPT || made == ERR_NOT_FOUND ? 0 : made;
	values->by[SORT_PARAMETERS] = parameters_of(&facts);
	if (err == 0)
		err = term_list_init(&terms);
	if (err) {
		facts_fini(&facts);
		return err;
	}
	bool incomplete = facts.incomplete || made == ERR_NOT_FOUND;
	if (incomplete)
		memset(facts.digest, 0, sizeof(facts.digest)); /* of no files: the next look makes them again */
	err = document_terms(&terms, doc, &facts);
	if (err == 0)
		err = search_writer_put(writer, before, doc, values, &facts, &terms);
	term_list_fini(&terms);
	facts_fini(&facts);
	return err ? err : incomplete ? DOCUMENT_INCOMPLETE : made ? made : DOCUMENT_FACTS_MADE;
}

int document_update(struct gateway *gateway, struct search_writer *writer, const struct facts_cache *cache, const struct entity_id *id, int64_t now_ms)
{
	struct indexed before;
	struct repo repo;
	struct ref head;
	struct doc_values values = { 0 };
	int err = search_writer_find(writer, id, &before);
	if (err)
		return err;
	err = repo_get(gateway->ns, NULL, id, &repo);
	if (err == 0 && repo.type == REPO_BUCKET)
		err = ERR_NOT_FOUND; /* not among what lists show */
	if (err == ERR_NOT_FOUND)
		return before.exists ? (err = search_writer_remove(writer, &before)) ? err : DOCUMENT_INDEXED : DOCUMENT_SAME;
	if (err == 0)
		err = read_values(gateway, &repo, now_ms, &values);
	if (err)
		return err;
	struct doc doc = doc_of(&repo);
	err = ref_get(gateway->ns, NULL, id, repo.head, &head);
	doc.has_commit = err == 0;
	if (err == 0)
		doc.commit = head.oid;
	else if (err != ERR_NOT_FOUND)
		return err;
	err = read_main_size(gateway, &repo, &before, &doc, &values.by[SORT_MAIN_SIZE]);
	if (err)
		return err;
	if (!before.exists || !same_but_for_commit(&before.doc, &doc))
		return put_whole(gateway, writer, cache, &repo, &before, &doc, &values);
	values.by[SORT_PARAMETERS] = before.values.by[SORT_PARAMETERS];
	static const uint8_t nothing[sizeof(before.digest)];
	bool whole = !doc.has_commit || memcmp(before.digest, nothing, sizeof(nothing)) != 0;
	if (whole && memcmp(&before.doc.commit, &doc.commit, sizeof(doc.commit)) == 0) {
		if (memcmp(&before.values, &values, sizeof(values)) == 0)
			return DOCUMENT_SAME;
		return (err = search_writer_record(writer, &before, &doc, &values)) ? err : DOCUMENT_INDEXED;
	}
	uint8_t digest[16];
	err = facts_digest(gateway, &repo, &doc.commit, digest);
	if (err == 0 && memcmp(digest, before.digest, sizeof(digest)) == 0)
		return (err = search_writer_record(writer, &before, &doc, &values)) ? err : DOCUMENT_INDEXED;
	return put_whole(gateway, writer, cache, &repo, &before, &doc, &values);
}
