#include "gateway/route_index.h"

#include <assert.h>
#include <stdlib.h>

enum {
	PATH_SEGMENTS_MAX = 64, /* more of a path are only ever what "**" takes */
	BUCKETS = 1024,         /* power of two */
	NO_ENTRY = -1,
};

enum segment_kind { SEGMENT_WORD, SEGMENT_ANY, SEGMENT_ONE_OF };

struct segment {
	enum segment_kind kind;
	size_t words_count;
	struct span words[ROUTE_ALTERNATIVES_MAX];
};

struct compiled {
	const struct route *route;
	size_t segments_count;
	bool rest; /* ends in "**" */
	struct segment segments[ROUTE_SEGMENTS_MAX];
};

/* One place where a route is filed. */
struct entry {
	size_t compiled;
	uint32_t hash;
	int next;
};

struct route_index {
	size_t routes_count, entries_count;
	struct compiled routes[ROUTES_MAX];
	struct entry entries[ROUTES_MAX * ROUTE_ALTERNATIVES_MAX];
	int heads[BUCKETS], tails[BUCKETS];
};

/* FNV-1a: the words are short and ours. */
static uint32_t hash_word(uint32_t hash, struct span word)
{
	for (size_t i = 0; i < word.length; i++)
		hash = (hash ^ word.data[i]) * 16777619u;
	return (hash ^ '/') * 16777619u;
}

static const uint32_t hash_of_nothing = 2166136261u;

static void file_under(struct route_index *index, size_t compiled, uint32_t hash)
{
	assert(index->entries_count < sizeof(index->entries) / sizeof(index->entries[0]));
	int at = (int)index->entries_count++;
	index->entries[at] = (struct entry){ .compiled = compiled, .hash = hash, .next = NO_ENTRY };
	int *tail = &index->tails[hash % BUCKETS];
	if (*tail == NO_ENTRY)
		index->heads[hash % BUCKETS] = at;
	else
		index->entries[*tail].next = at;
	*tail = at;
}

static void compile_segment(struct segment *out, struct span text)
{
	out->words_count = 1;
	out->words[0] = text;
	if (text.data[0] != '{') {
		out->kind = SEGMENT_WORD;
		return;
	}
	assert(text.data[text.length - 1] == '}');
	if (text.length == 2) {
		out->kind = SEGMENT_ANY;
		return;
	}
	out->kind = SEGMENT_ONE_OF;
	out->words_count = 0;
	const uint8_t *at = text.data + 1, *end = text.data + text.length - 1;
	while (at < end) {
		const uint8_t *bar = memchr(at, '|', (size_t)(end - at));
		bar = bar ? bar : end;
		assert(out->words_count < ROUTE_ALTERNATIVES_MAX);
		out->words[out->words_count++] = span_of(at, (size_t)(bar - at));
		at = bar + 1;
	}
}

static void compile(struct compiled *out, const struct route *route)
{
	out->route = route;
	assert(route->pattern[0] == '/');
	const char *at = route->pattern + 1;
	while (*at) {
		const char *end = strchrnul(at, '/');
		assert(!out->rest && end > at);
		if (strcmp(at, "**") == 0) {
			out->rest = true;
		} else {
			assert(out->segments_count < ROUTE_SEGMENTS_MAX);
			compile_segment(&out->segments[out->segments_count++], span_of(at, (size_t)(end - at)));
		}
		at = *end ? end + 1 : end;
	}
}

static bool is_word(const struct compiled *compiled, size_t k)
{
	return k < compiled->segments_count && compiled->segments[k].kind != SEGMENT_ANY;
}

static void file_route(struct route_index *index, size_t at)
{
	const struct compiled *compiled = &index->routes[at];
	if (!is_word(compiled, 0)) {
		file_under(index, at, hash_of_nothing);
		return;
	}
	for (size_t i = 0; i < compiled->segments[0].words_count; i++) {
		uint32_t hash = hash_word(hash_of_nothing, compiled->segments[0].words[i]);
		if (!is_word(compiled, 1))
			file_under(index, at, hash);
		else
			for (size_t j = 0; j < compiled->segments[1].words_count; j++)
				file_under(index, at, hash_word(hash, compiled->segments[1].words[j]));
	}
}

struct route_index *route_index_make(const struct route *const *tables, size_t count)
{
	struct route_index *index = calloc(1, sizeof(*index));
	if (!index)
		return NULL;
	for (size_t i = 0; i < BUCKETS; i++)
		index->heads[i] = index->tails[i] = NO_ENTRY;
	for (size_t i = 0; i < count; i++)
		for (const struct route *route = tables[i]; route->pattern; route++) {
			assert(index->routes_count < ROUTES_MAX);
			compile(&index->routes[index->routes_count], route);
			file_route(index, index->routes_count++);
		}
	return index;
}

void route_index_free(struct route_index *index)
{
	free(index);
}

struct path_segments {
	size_t count;
	bool more; /* than PATH_SEGMENTS_MAX */
	struct span at[PATH_SEGMENTS_MAX];
};

static void cut(struct path_segments *out, struct span path)
{
	const uint8_t *at = path.data + 1, *end = path.data + path.length;
	out->count = 0;
	out->more = false;
	while (at < end) {
		if (out->count == PATH_SEGMENTS_MAX) {
			out->more = true;
			return;
		}
		const uint8_t *slash = memchr(at, '/', (size_t)(end - at));
		out->at[out->count++] = span_of(at, (size_t)((slash ? slash : end) - at));
		at = slash ? slash + 1 : end;
	}
}

static bool segment_fits(const struct segment *segment, struct span text)
{
	if (segment->kind == SEGMENT_ANY)
		return text.length > 0;
	for (size_t i = 0; i < segment->words_count; i++)
		if (span_equal(segment->words[i], text))
			return true;
	return false;
}

static bool fits(const struct compiled *compiled, const struct path_segments *path, struct span whole, struct route_match *match)
{
	size_t count = compiled->segments_count;
	if (path->count < count || (!compiled->rest && (path->count > count || path->more)))
		return false;
	/* "/a/" is not "/a": a pattern without rest takes the whole path. */
	if (!compiled->rest && count > 0 && whole.data[whole.length - 1] == '/')
		return false;
	match->count = 0;
	for (size_t i = 0; i < count; i++) {
		if (!segment_fits(&compiled->segments[i], path->at[i]))
			return false;
		if (compiled->segments[i].kind != SEGMENT_WORD) {
			assert(match->count < ROUTE_CAPTURES_MAX);
			match->captures[match->count++] = path->at[i];
		}
	}
	match->rest = span_of(whole.data + whole.length, 0);
	if (compiled->rest && path->count > count)
		match->rest = span_of(path->at[count].data, (size_t)(whole.data + whole.length - path->at[count].data));
	return true;
}

static const struct route *find_in(const struct route_index *index, uint32_t hash, enum http_method method,
	const struct path_segments *path, struct span whole, struct route_match *match)
{
	for (int at = index->heads[hash % BUCKETS]; at != NO_ENTRY; at = index->entries[at].next) {
		const struct entry *entry = &index->entries[at];
		const struct compiled *compiled = &index->routes[entry->compiled];
		if (entry->hash == hash && (compiled->route->methods & (unsigned)method) && fits(compiled, path, whole, match))
			return compiled->route;
	}
	return NULL;
}

const struct route *route_find(const struct route_index *index, enum http_method method, struct span path, struct route_match *match)
{
	if (path.length == 0 || path.data[0] != '/')
		return NULL;
	struct path_segments segments;
	cut(&segments, path);
	const struct route *route = NULL;
	uint32_t first = segments.count > 0 ? hash_word(hash_of_nothing, segments.at[0]) : hash_of_nothing;
	if (segments.count > 1)
		route = find_in(index, hash_word(first, segments.at[1]), method, &segments, path, match);
	if (!route && segments.count > 0)
		route = find_in(index, first, method, &segments, path, match);
	return route ? route : find_in(index, hash_of_nothing, method, &segments, path, match);
}
