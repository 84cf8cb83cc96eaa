#include "gateway/hub/list_query.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <sodium.h>

#include "gateway/hub/names.h"
#include "gateway/search/terms.h"

enum { VALUES_MAX = 64 };

static const struct {
	const char *name;
	enum sort sort;
} sorts[] = {
	{ "lastModified", SORT_MODIFIED }, { "last_modified", SORT_MODIFIED }, { "modified", SORT_MODIFIED }, { "createdAt", SORT_CREATED },
	{ "created_at", SORT_CREATED }, { "created", SORT_CREATED }, { "downloads", SORT_DOWNLOADS }, { "likes", SORT_LIKES },
	{ "likes30d", SORT_LIKES_RECENT }, { "trendingScore", SORT_TREND }, { "trending_score", SORT_TREND }, { "trending", SORT_TREND },
	{ "num_parameters", SORT_PARAMETERS }, { "mainSize", SORT_MAIN_SIZE }, { "main_size", SORT_MAIN_SIZE }, { "id", SORT_ID }, { "alphabetical", SORT_ID },
};

static const char *lower_term(struct http_request *request, enum term_kind kind, struct span text)
{
	char *term = http_alloc(request, text.length + 2);
	term[0] = (char)kind;
	for (size_t i = 0; i < text.length; i++)
		term[1 + i] = (char)(text.data[i] >= 'A' && text.data[i] <= 'Z' ? text.data[i] + 32 : text.data[i]);
	return term;
}

/* The terms of one key, whose values may be joined by commas. */
static int read_terms(struct http_request *request, const char *key, enum term_kind kind, struct span *out, size_t *count, struct why *why)
{
	for (int k = 0; k < VALUES_MAX; k++) {
		const char *value = http_query_value(request, key, k);
		if (!value)
			return 0;
		for (const char *at = value; *at;) {
			const char *end = strchrnul(at, ',');
			if (*count == LIST_FILTERS_MAX)
				return why_set(why, ERR_INVALID, "At most %d filters may be combined", LIST_FILTERS_MAX);
			if (end > at && end - at < TERM_BYTES_MAX)
				out[(*count)++] = span_text(lower_term(request, kind, span_of(at, (size_t)(end - at))));
			at = *end ? end + 1 : end;
		}
	}
	return 0;
}

static int read_sort(struct http_request *request, struct search_query *query, struct why *why)
{
	const char *name = http_query_value(request, "sort", 0), *direction = http_query_value(request, "direction", 0);
	query->sort = SORT_TREND;
	bool found = !name || !*name;
	for (size_t i = 0; i < sizeof(sorts) / sizeof(sorts[0]) && !found; i++) {
		found = strcmp(name, sorts[i].name) == 0;
		if (found)
			query->sort = sorts[i].sort;
	}
	if (query->sort == SORT_MAIN_SIZE && query->type != REPO_DATASET)
		found = false;
	if (!found)
		return why_set(why, ERR_INVALID, "\"%.40s\" is nothing to sort by", name);
	bool down = query->sort != SORT_ID;
	if (direction && *direction)
		down = strcmp(direction, "-1") == 0 || strcasecmp(direction, "desc") == 0;
	query->ascending = query->sort == SORT_ID ? down : !down;
	return 0;
}

/* "6B", "0.5M", "1200". False: not a number. */
static bool read_amount(const char *text, size_t length, uint64_t *out)
{
	char copy[32];
	char *end;
	if (length == 0 || length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = 0;
	double value = strtod(copy, &end);
	double unit = *end == 'K' || *end == 'k' ? 1e3 : *end == 'M' || *end == 'm' ? 1e6 : *end == 'B' || *end == 'b' ? 1e9 :
		*end == 'T' || *end == 't' ? 1e12 : 1;
	if (*end && unit > 1)
		end++;
	if (*end || end == copy || !isfinite(value) || value < 0 || value * unit > 1e18)
		return false;
	*out = (uint64_t)(value * unit + 0.5);
	return true;
}

/* "min:6B,max:128B", either alone too. */
static int read_parameters(struct http_request *request, struct search_query *query, struct why *why)
{
	const char *value = http_query_value(request, "num_parameters", 0);
	if (!value || !*value)
		return 0;
	uint64_t min = 1, max = UINT64_C(1) << 62;
	for (const char *at = value; *at;) {
		const char *end = strchrnul(at, ',');
		bool is_min = strncmp(at, "min:", 4) == 0, is_max = strncmp(at, "max:", 4) == 0;
		if ((!is_min && !is_max) || !read_amount(at + 4, (size_t)(end - at - 4), is_min ? &min : &max))
			return why_set(why, ERR_INVALID, "\"num_parameters\" must be like \"min:6B,max:128B\"");
		at = *end ? end + 1 : end;
	}
	query->parameters_min = min ? min : 1;
	query->parameters_max = max ? max : 1;
	return 0;
}

static int read_searches(struct http_request *request, struct search_query *query, struct why *why)
{
	for (int k = 0;; k++) {
		const char *value = http_query_value(request, "search", k);
		if (!value)
			return 0;
		if (!*value)
			continue;
		if (query->searches_count == QUERY_SEARCHES_MAX || strlen(value) > REPO_ID_BYTES_MAX)
			return why_set(why, ERR_INVALID, "At most %d texts of %d bytes may be searched for", QUERY_SEARCHES_MAX, REPO_ID_BYTES_MAX);
		query->searches[query->searches_count++] = value;
	}
}

static int read_cursor(struct http_request *request, struct search_query *query, struct why *why)
{
	const char *cursor = http_query_value(request, "cursor", 0);
	if (!cursor || !*cursor)
		return 0;
	char *text = http_alloc(request, SEARCH_CURSOR_BYTES_MAX);
	size_t length = 0;
	if (sodium_base642bin((uint8_t *)text, SEARCH_CURSOR_BYTES_MAX - 1, cursor, strlen(cursor), NULL, &length, NULL,
		    sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 || memchr(text, 0, length))
		return why_set(why, ERR_INVALID, "Invalid cursor");
	query->cursor = text;
	return 0;
}

/* Models that a provider of inference serves: there are none here. "inference=warm" and any provider ask for them. */
static bool asks_for_inference(struct http_request *request)
{
	const char *inference = http_query_value(request, "inference", 0), *provider = http_query_value(request, "inference_provider", 0);
	return (inference && *inference) || (provider && *provider);
}

static int read_spaces(struct http_request *request, struct search_query *query, struct why *why)
{
	int err = read_terms(request, "models", TERM_MODEL, query->terms, &query->terms_count, why);
	if (err == 0)
		err = read_terms(request, "datasets", TERM_DATASET, query->terms, &query->terms_count, why);
	if (err == 0 && http_query_bool(request, "linked", false)) {
		query->any_of[query->any_of_count++] = span_text(lower_term(request, TERM_MODEL, span_of(NULL, 0)));
		query->any_of[query->any_of_count++] = span_text(lower_term(request, TERM_DATASET, span_of(NULL, 0)));
	}
	return err;
}

static int read_show(struct http_request *request, enum repo_type type, struct list_query *out, struct why *why)
{
	out->show = properties_of_list(type, http_query_bool(request, "full", false));
	if (http_query_bool(request, "cardData", false))
		out->show |= property_bit(PROPERTY_CARD_DATA);
	if (http_query_bool(request, "config", false) || http_query_bool(request, "fetch_config", false))
		out->show |= property_bit(PROPERTY_CONFIG);
	return expand_from_query(request, type, &out->show, why);
}

int list_query_read(struct http_request *request, enum repo_type type, struct list_query *out, struct why *why)
{
	struct search_query *query = &out->query;
	query->type = type;
	query->gated = -1;
	query->author = http_query_value(request, "author", 0);
	if (query->author && !*query->author)
		query->author = NULL;
	const char *gated = http_query_value(request, "gated", 0), *limit = http_query_value(request, "limit", 0);
	if (gated && *gated)
		query->gated = http_query_bool(request, "gated", false);
	unsigned long long number = limit ? strtoull(limit, NULL, 10) : LIST_LIMIT_MAX;
	query->limit = number == 0 || number > LIST_LIMIT_MAX ? LIST_LIMIT_MAX : number;
	int err = read_terms(request, "filter", TERM_TAG, query->terms, &query->terms_count, why);
	if (err == 0)
		err = read_terms(request, "tags", TERM_TAG, query->terms, &query->terms_count, why);
	if (err == 0 && type == REPO_MODEL)
		err = read_terms(request, "pipeline_tag", TERM_PIPELINE, query->terms, &query->terms_count, why);
	if (err == 0 && type == REPO_MODEL)
		err = read_terms(request, "library", TERM_TAG, query->terms, &query->terms_count, why);
	if (err == 0 && type == REPO_MODEL)
		err = read_terms(request, "apps", TERM_APP, query->any_of, &query->any_of_count, why);
	if (err == 0 && type == REPO_MODEL)
		err = read_parameters(request, query, why);
	if (err == 0 && type == REPO_SPACE)
		err = read_spaces(request, query, why);
	if (err == 0)
		err = read_searches(request, query, why);
	if (err == 0)
		err = read_sort(request, query, why);
	if (err == 0)
		err = read_cursor(request, query, why);
	out->nothing = type == REPO_MODEL && asks_for_inference(request);
	return err ? err : read_show(request, type, out, why);
}
