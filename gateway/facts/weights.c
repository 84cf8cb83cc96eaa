#include "gateway/facts/weights.h"

#include <stdio.h>
#include <stdlib.h>

#include "schemas/gguf.h"
#include "schemas/safetensors.h"

enum {
	INDEX_BYTES_MAX = 8 << 20,
	CACHED_BYTES_MAX = 128 << 10,
	HEADER_BYTES_MAX = 4 << 20,       /* of one safetensors file: parsed JSON takes several times its text in memory */
	HEADERS_BYTES_MAX = 128 << 20,    /* read for one revision */
};

/* Reading for one revision. */
struct reading {
	struct gateway *gateway;
	const struct facts_cache *cache;
	uint64_t bytes_left;
	bool cut_short; /* not the file's fault: nothing to remember of it */
	bool *unread;
};

/* Bytes of a file, within what one revision may cost. */
static int read_bytes(struct reading *reading, const struct tree_entry *entry, uint64_t offset, void *out, size_t length)
{
	bool afford = length <= reading->bytes_left;
	int err = afford ? facts_read_at(reading->gateway, entry, offset, out, length) : ERR_TOO_BIG;
	reading->bytes_left -= err ? 0 : length;
	*reading->unread = *reading->unread || (afford && err);
	reading->cut_short = reading->cut_short || err;
	return err;
}

/* ------------------------------------------------------------------ one file, by its hash */

typedef json_t *(*read_header)(struct reading *reading, const struct tree_entry *entry);

struct format {
	const char *name; /* the key of what is remembered: a file may be read as either */
	read_header read;
};

/* What the cache remembers of a file: {format: header}, null when there is none that can be read. NULL: nothing. New reference. */
static json_t *remembered(const struct facts_cache *cache, const struct hash *file)
{
	struct buffer text;
	buffer_init(&text, CACHED_BYTES_MAX);
	json_t *all = cache && cache->get(cache->context, file, &text) == 0 ? json_loadb((const char *)text.data, text.length, 0, NULL) : NULL;
	buffer_fini(&text);
	return all;
}

static void remember(const struct facts_cache *cache, const struct hash *file, json_t *all)
{
	char *text = cache ? json_dumps(all, JSON_COMPACT) : NULL;
	if (text && strlen(text) <= CACHED_BYTES_MAX)
		cache->put(cache->context, file, span_text(text));
	free(text);
}

/* The header of a file, as it is remembered or read now; NULL: none. New reference. */
static json_t *header_of(struct reading *reading, const struct tree_entry *entry, const struct format *format)
{
	if (!entry->has_file)
		return NULL;
	json_t *all = remembered(reading->cache, &entry->file), *header = json_incref(json_object_get(all, format->name));
	if (!header) {
		header = format->read(reading, entry);
		all = all ? all : json_object();
		json_object_set(all, format->name, header ? header : json_null());
		if (!reading->cut_short)
			remember(reading->cache, &entry->file, all);
	}
	json_decref(all);
	return json_is_null(header) ? NULL : header;
}

/* ------------------------------------------------------------------ safetensors */

/* {dtype: n} */
static json_t *read_safetensors(struct reading *reading, const struct tree_entry *entry)
{
	uint8_t prefix[SAFETENSORS_PREFIX_BYTES];
	uint64_t length;
	struct why why = { 0 };
	if (entry->length < sizeof(prefix) || read_bytes(reading, entry, 0, prefix, sizeof(prefix)) != 0 ||
		safetensors_header_length(&length, span_of(prefix, sizeof(prefix)), entry->length, &why) != 0 || length > HEADER_BYTES_MAX)
		return NULL;
	uint8_t *header = malloc((size_t)length + 1);
	struct safetensors_summary *summary = calloc(1, sizeof(*summary));
	json_t *dtypes = NULL;
	if (header && summary && (length == 0 || read_bytes(reading, entry, sizeof(prefix), header, (size_t)length) == 0) &&
		safetensors_summarize(summary, span_of(header, (size_t)length), entry->length - sizeof(prefix) - length, &why) == 0) {
		dtypes = json_object();
		for (size_t i = 0; i < summary->dtypes_count; i++)
			json_object_set_new(dtypes, summary->dtypes[i].name, json_integer((json_int_t)summary->dtypes[i].parameters));
	}
	free(summary);
	free(header);
	return dtypes;
}

static const struct format safetensors_format = { "safetensors", read_safetensors };

static bool add_dtypes(json_t *sum, const json_t *dtypes, json_int_t *total)
{
	const char *name;
	json_t *value;
	if (!dtypes)
		return false;
	json_object_foreach((json_t *)dtypes, name, value) {
		json_int_t count = json_integer_value(value), before = json_integer_value(json_object_get(sum, name));
		if (__builtin_add_overflow(*total, count, total))
			return false;
		json_object_set_new(sum, name, json_integer(before + count));
	}
	return true;
}

/* The whole object, which takes `sum`; or NULL. */
static json_t *finish(json_t *sum, bool complete, json_int_t total)
{
	if (complete && json_object_size(sum) > 0)
		return json_pack("{s:o, s:I}", "parameters", sum, "total", total);
	json_decref(sum);
	return NULL;
}

/* Every shard that "weight_map" names; the index lies in the root, and so do its shards. */
static json_t *sharded(struct reading *reading, const struct repo *repo, const struct oid *commit, const struct facts_files *files)
{
	struct gateway *gateway = reading->gateway;
	struct buffer text;
	buffer_init(&text, INDEX_BYTES_MAX);
	json_t *index = facts_read(gateway, repo, &files->named[FILE_SAFETENSORS_INDEX], &text, reading->unread) == 0 ?
		json_loadb((const char *)text.data, text.length, 0, NULL) : NULL;
	buffer_fini(&text);
	json_t *map = json_object_get(index, "weight_map"), *shard, *sum = json_object(), *seen = json_object();
	const char *tensor;
	json_int_t total = 0;
	bool complete = json_is_object(map);
	json_object_foreach(map, tensor, shard) {
		const char *path = json_string_value(shard);
		struct tree_entry entry;
		if (!complete || !path || json_object_get(seen, path))
			continue;
		json_object_set_new(seen, path, json_true());
		complete = json_object_size(seen) <= FACTS_WEIGHTS_MAX && path_check(span_text(path), NULL) == 0 &&
			repo_entry(gateway, repo, commit, span_text(path), REPO_MAY_WAIT, &entry) == 0 && !entry.is_directory;
		json_t *dtypes = complete ? header_of(reading, &entry, &safetensors_format) : NULL;
		complete = complete && add_dtypes(sum, dtypes, &total);
		json_decref(dtypes);
	}
	json_decref(seen);
	json_decref(index);
	return finish(sum, complete, total);
}

/* The one file that stands for the model, or NULL. */
static const struct tree_entry *main_file(const struct facts_files *files)
{
	static const char *const names[] = { "model.safetensors", "consolidated.safetensors", "adapter_model.safetensors", "diffusion_pytorch_model.safetensors" };
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		if (n == 1 && files->has[FILE_SAFETENSORS_INDEX])
			return NULL;
		for (size_t i = 0; i < files->safetensors.count; i++)
			if (strcmp(files->safetensors.files[i].path, names[n]) == 0)
				return &files->safetensors.files[i].entry;
	}
	return files->safetensors.count == 1 && !files->safetensors.more ? &files->safetensors.files[0].entry : NULL;
}

json_t *facts_safetensors(struct gateway *gateway, const struct repo *repo, const struct oid *commit, const struct facts_files *files,
	const struct facts_cache *cache, bool *unread)
{
	const struct tree_entry *entry = main_file(files);
	struct reading reading = { .gateway = gateway, .cache = cache, .bytes_left = HEADERS_BYTES_MAX, .unread = unread };
	if (!entry)
		return files->has[FILE_SAFETENSORS_INDEX] ? sharded(&reading, repo, commit, files) : NULL;
	json_int_t total = 0;
	json_t *sum = json_object(), *dtypes = header_of(&reading, entry, &safetensors_format);
	bool complete = add_dtypes(sum, dtypes, &total);
	json_decref(dtypes);
	return finish(sum, complete, total);
}

/* ------------------------------------------------------------------ GGUF */

struct gguf_file {
	struct reading *reading;
	const struct tree_entry *entry;
};

static int gguf_read(void *context, uint64_t offset, void *out, size_t length)
{
	struct gguf_file *file = context;
	return read_bytes(file->reading, file->entry, offset, out, length);
}

static void set_text(json_t *object, const char *key, const char *text)
{
	json_t *value = text && *text ? json_string(text) : NULL; /* NULL, too, for what is not UTF-8 */
	if (value)
		json_object_set_new(object, key, value);
}

static json_t *read_gguf(struct reading *reading, const struct tree_entry *entry)
{
	struct gguf_file file = { reading, entry };
	struct gguf_source source = { .read = gguf_read, .context = &file, .length = entry->length };
	struct gguf_summary summary;
	struct why why = { 0 };
	if (gguf_summarize(&summary, &source, &why) != 0)
		return NULL;
	json_t *object = json_object();
	json_object_set_new(object, "total", json_integer((json_int_t)(summary.parameters & INT64_MAX)));
	set_text(object, "architecture", summary.architecture);
	if (summary.context_length && summary.context_length <= INT64_MAX)
		json_object_set_new(object, "context_length", json_integer((json_int_t)summary.context_length));
	if (summary.quantize_imatrix)
		json_object_set_new(object, "quantize_imatrix", json_true());
	set_text(object, "chat_template", summary.chat_template);
	set_text(object, "bos_token", summary.bos_token);
	set_text(object, "eos_token", summary.eos_token);
	gguf_summary_fini(&summary);
	return object;
}

static const struct format gguf_format = { "gguf", read_gguf };

/* "x-00001-of-00005.gguf": how much of the name its parts share, and how many there are; 0: not in parts. */
static unsigned parts_of(const char *path, size_t *shared)
{
	unsigned part, parts;
	int end = 0;
	size_t length = strlen(path);
	const size_t tail = sizeof("-00001-of-00005.gguf") - 1;
	if (length <= tail || sscanf(path + length - tail, "-%5u-of-%5u.gguf%n", &part, &parts, &end) != 2 || end != (int)tail)
		return 0;
	*shared = length - tail;
	return parts;
}

static bool is_auxiliary(const char *path)
{
	return strncmp(path, "mmproj", 6) == 0 || strstr(path, "imatrix") != NULL;
}

json_t *facts_gguf(struct gateway *gateway, const struct facts_files *files, const struct facts_cache *cache, bool *unread)
{
	const struct facts_list *list = &files->gguf;
	struct reading reading = { .gateway = gateway, .cache = cache, .bytes_left = HEADERS_BYTES_MAX, .unread = unread };
	size_t first = 0, shared = 0;
	while (first < list->count && is_auxiliary(list->files[first].path))
		first++;
	if (first == list->count)
		return NULL;
	json_t *object = header_of(&reading, &list->files[first].entry, &gguf_format);
	unsigned parts = parts_of(list->files[first].path, &shared);
	json_int_t total = json_integer_value(json_object_get(object, "total"));
	for (size_t i = first + 1; object && parts && i < list->count; i++) {
		size_t other;
		if (parts_of(list->files[i].path, &other) != parts || other != shared || strncmp(list->files[i].path, list->files[first].path, shared) != 0)
			continue;
		json_t *part = header_of(&reading, &list->files[i].entry, &gguf_format);
		json_int_t count = json_integer_value(json_object_get(part, "total"));
		if (!part || __builtin_add_overflow(total, count, &total)) {
			json_decref(part);
			json_decref(object);
			return NULL;
		}
		json_decref(part);
	}
	if (object)
		json_object_set_new(object, "total", json_integer(total));
	return object;
}
