#include "gateway/facts/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <xxhash.h>

static const char *const names[FILES_NAMED] = {
	[FILE_README] = "README.md",
	[FILE_CONFIG] = "config.json",
	[FILE_TOKENIZER_CONFIG] = "tokenizer_config.json",
	[FILE_CHAT_TEMPLATE] = "chat_template.jinja",
	[FILE_MODEL_INDEX] = "model_index.json",
	[FILE_ADAPTER_CONFIG] = "adapter_config.json",
	[FILE_SENTENCE_MODULES] = "modules.json",
	[FILE_SENTENCE_CONFIG] = "config_sentence_transformers.json",
	[FILE_OPEN_CLIP_CONFIG] = "open_clip_config.json",
	[FILE_SPACY_META] = "meta.json",
	[FILE_SAFETENSORS_INDEX] = "model.safetensors.index.json",
	[FILE_TF_MODEL] = "tf_model.h5",
	[FILE_FLAX_MODEL] = "flax_model.msgpack",
	[FILE_RUST_MODEL] = "rust_model.ot",
	[FILE_SAVED_MODEL] = "saved_model.pb",
	[FILE_KERAS_METADATA] = "keras_metadata.pb",
	[FILE_PREPROCESSOR_CONFIG] = "preprocessor_config.json",
	[FILE_PROCESSOR_CONFIG] = "processor_config.json",
	[FILE_FASTAI_LEARNER] = "model.fastai",
	[FILE_SETFIT_CONFIG] = "config_setfit.json",
};

/* By what is behind the last dot. */
static const struct {
	const char *ending;
	unsigned kind;
} endings[] = {
	{ "safetensors", KIND_SAFETENSORS }, { "gguf", KIND_GGUF }, { "pt", KIND_PYTORCH }, { "pth", KIND_PYTORCH }, { "ckpt", KIND_PYTORCH },
	{ "onnx", KIND_ONNX }, { "keras", KIND_KERAS }, { "tflite", KIND_TFLITE }, { "mlpackage", KIND_COREML }, { "mlmodel", KIND_COREML },
	{ "joblib", KIND_JOBLIB }, { "nemo", KIND_NEMO }, { "parquet", KIND_PARQUET }, { "json", KIND_JSON }, { "jsonl", KIND_JSON }, { "csv", KIND_CSV },
	{ "tsv", KIND_CSV }, { "arrow", KIND_ARROW }, { "txt", KIND_TEXT }, { "tar", KIND_TAR }, { "png", KIND_IMAGE }, { "jpg", KIND_IMAGE },
	{ "jpeg", KIND_IMAGE }, { "webp", KIND_IMAGE }, { "wav", KIND_AUDIO }, { "mp3", KIND_AUDIO }, { "flac", KIND_AUDIO }, { "ogg", KIND_AUDIO },
	{ "mp4", KIND_VIDEO }, { "webm", KIND_VIDEO }, { "pdf", KIND_PDF },
};

const char *named_file_path(enum named_file file)
{
	return names[file];
}

static size_t behind_last_dot(struct span path)
{
	const uint8_t *dot = memrchr(path.data, '.', path.length);
	return dot ? (size_t)(dot - path.data) + 1 : path.length;
}

/* A directory of many files asks this of each of them. */
static unsigned kind_of(struct span path)
{
	size_t at = behind_last_dot(path);
	if (path.length - at == 2 && memcmp(path.data + at, "gz", 2) == 0) {
		path.length = at - 1;
		at = behind_last_dot(path);
	}
	size_t length = path.length - at;
	const char *ending = (const char *)path.data + at;
	if (length == 0)
		return memmem(path.data, path.length, "tfevents", 8) ? KIND_TENSORBOARD : 0;
	if (length == 3 && memcmp(ending, "bin", 3) == 0) /* of other .bin files nobody knows whose they are */
		return memmem(path.data, path.length, "pytorch_model", 13) ? KIND_PYTORCH : 0;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if ((ending[0] | 0x20) == endings[i].ending[0] && strlen(endings[i].ending) == length && strncasecmp(ending, endings[i].ending, length) == 0)
			return endings[i].kind;
	return memmem(path.data, path.length, "tfevents", 8) ? KIND_TENSORBOARD : 0;
}

static int list_add(struct facts_list *list, const struct tree_entry *entry)
{
	if (list->count == list->max || entry->path.length > FACTS_PATH_BYTES_MAX) {
		list->more = true;
		return 0;
	}
	if (list->count % 16 == 0) {
		struct facts_file *grown = realloc(list->files, (list->count + 16) * sizeof(*grown));
		if (!grown)
			return ERR_NO_MEMORY;
		list->files = grown;
	}
	struct facts_file *file = &list->files[list->count];
	file->path = strndup((const char *)entry->path.data, entry->path.length);
	if (!file->path)
		return ERR_NO_MEMORY;
	file->entry = *entry;
	file->entry.path = span_of(NULL, 0);
	list->count++;
	return 0;
}

enum { STOP_ENOUGH = 1 };

/* Folders that are looked into when the root has them. */
enum folder { FOLDER_DATA = 1 << 0, FOLDER_ONNX = 1 << 1, FOLDER_EVALS = 1 << 2 };

struct walk {
	struct facts_files *files;
	bool is_root, evals;
	const char *folder;
	unsigned folders; /* of the root */
	size_t visited;
};

/* Which of the named files this is, or FILES_NAMED. A root of a hundred thousand files asks this of each of them. */
static size_t named(struct span path)
{
	for (size_t i = 0; i < FILES_NAMED; i++)
		if (names[i][0] == (char)path.data[0] && strlen(names[i]) == path.length && memcmp(names[i], path.data, path.length) == 0)
			return i;
	return FILES_NAMED;
}

static unsigned folder_named(struct span path)
{
	return span_equal(path, span_text("data")) ? FOLDER_DATA : span_equal(path, span_text("onnx")) ? FOLDER_ONNX :
		span_equal(path, span_text(".eval_results")) ? FOLDER_EVALS : 0;
}

static void see_root(struct walk *walk, const struct tree_entry *entry)
{
	if (entry->is_directory) {
		walk->folders |= folder_named(entry->path);
		return;
	}
	size_t file = named(entry->path);
	if (file == FILES_NAMED)
		return;
	walk->files->has[file] = true;
	walk->files->named[file] = *entry;
	walk->files->named[file].path = span_of(NULL, 0);
}

static int visit(void *context, const struct tree_entry *entry)
{
	struct walk *walk = context;
	if (walk->is_root)
		see_root(walk, entry);
	if (++walk->visited > FACTS_ENTRIES_MAX)
		return walk->is_root ? 0 : STOP_ENOUGH;
	unsigned kind = kind_of(entry->path);
	if (entry->is_directory && kind != KIND_COREML)
		return 0;
	if (walk->evals) {
		size_t length = entry->path.length;
		bool yaml = length > 5 && (memcmp(entry->path.data + length - 5, ".yaml", 5) == 0 || memcmp(entry->path.data + length - 4, ".yml", 4) == 0);
		return yaml ? list_add(&walk->files->evals, entry) : 0;
	}
	walk->files->kinds |= kind;
	if (kind == KIND_SAFETENSORS)
		return list_add(&walk->files->safetensors, entry);
	return kind == KIND_GGUF ? list_add(&walk->files->gguf, entry) : 0;
}

/* An entry of which only name, kind and id are known. */
static int visit_name(void *context, struct span name, bool is_directory, const struct oid *oid)
{
	struct walk *walk = context;
	char path[FACTS_PATH_BYTES_MAX + 32];
	struct tree_entry entry = { .path = name, .is_directory = is_directory, .oid = *oid };
	if (!walk->is_root) {
		int length = snprintf(path, sizeof(path), "%s/%.*s", walk->folder, (int)name.length, (const char *)name.data);
		entry.path = span_of(path, length < (int)sizeof(path) ? (size_t)length : sizeof(path) - 1);
	}
	return visit(walk, &entry);
}

static int walk_folder(struct gateway *gateway, const struct repo *repo, const struct oid *commit, const char *folder, bool names_only, struct walk *walk)
{
	walk->folder = folder;
	int err = names_only ? repo_names(gateway, repo, commit, span_text(folder), visit_name, walk) : repo_walk(gateway, repo, commit, span_text(folder), false, span_text(""), REPO_MAY_WAIT, visit, walk);
	return err == STOP_ENOUGH ? 0 : err;
}

static void digest_list(XXH3_state_t *state, const struct facts_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		XXH3_128bits_update(state, list->files[i].path, strlen(list->files[i].path) + 1);
		XXH3_128bits_update(state, list->files[i].entry.oid.bytes, OID_BYTES);
	}
	XXH3_128bits_update(state, &list->more, sizeof(list->more));
}

static int digest(struct facts_files *files)
{
	XXH3_state_t *state = XXH3_createState();
	if (!state)
		return ERR_NO_MEMORY;
	XXH3_128bits_reset(state);
	for (size_t i = 0; i < FILES_NAMED; i++) {
		XXH3_128bits_update(state, &files->has[i], sizeof(files->has[i]));
		if (files->has[i])
			XXH3_128bits_update(state, files->named[i].oid.bytes, OID_BYTES);
	}
	uint8_t kinds[4] = { (uint8_t)files->kinds, (uint8_t)(files->kinds >> 8), (uint8_t)(files->kinds >> 16), (uint8_t)(files->kinds >> 24) };
	XXH3_128bits_update(state, kinds, sizeof(kinds));
	digest_list(state, &files->safetensors);
	digest_list(state, &files->gguf);
	digest_list(state, &files->evals);
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
	memcpy(files->digest, canonical.digest, sizeof(files->digest));
	XXH3_freeState(state);
	return 0;
}

int facts_files_find(struct gateway *gateway, const struct repo *repo, const struct oid *commit, bool names_only, struct facts_files *out)
{
	static const struct {
		enum folder folder;
		enum repo_type type;
		const char *path;
	} folders[] = { { FOLDER_DATA, REPO_DATASET, "data" }, { FOLDER_ONNX, REPO_MODEL, "onnx" }, { FOLDER_EVALS, REPO_MODEL, ".eval_results" } };
	*out = (struct facts_files){ .safetensors.max = FACTS_WEIGHTS_MAX, .gguf.max = FACTS_WEIGHTS_MAX, .evals.max = FACTS_EVALS_MAX };
	struct walk root = { .files = out, .is_root = true };
	int err = walk_folder(gateway, repo, commit, "", names_only, &root);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && err == 0; i++) {
		struct walk walk = { .files = out, .evals = folders[i].folder == FOLDER_EVALS };
		if ((root.folders & folders[i].folder) && repo->type == folders[i].type)
			err = walk_folder(gateway, repo, commit, folders[i].path, names_only, &walk);
	}
	return err ? err : digest(out);
}

static void list_fini(struct facts_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->files[i].path);
	free(list->files);
	*list = (struct facts_list){ 0 };
}

void facts_files_fini(struct facts_files *files)
{
	list_fini(&files->safetensors);
	list_fini(&files->gguf);
	list_fini(&files->evals);
}

int facts_read(struct gateway *gateway, const struct repo *repo, const struct tree_entry *entry, struct buffer *out, bool *unread)
{
	struct why why = { 0 };
	if (entry->length > out->limit)
		return ERR_TOO_BIG;
	if (entry->is_lfs && !entry->has_file) { /* a pointer to what was never uploaded? */
		*unread = *unread || entry->is_unsettled;
		return entry->is_unsettled ? ERR_BUSY : ERR_NOT_FOUND;
	}
	int err = entry->is_lfs ? store_file_read_all(gateway->store, &entry->file, out, &why) : repo_read_blob(gateway, repo, entry, out, &why);
	*unread = *unread || err;
	return err;
}

int facts_read_at(struct gateway *gateway, const struct tree_entry *entry, uint64_t offset, void *out, size_t length)
{
	struct file_reader *reader;
	struct why why = { 0 };
	if (!entry->has_file)
		return ERR_NOT_FOUND;
	int err = file_reader_open(&reader, gateway->store, &entry->file, offset, offset + length, &why);
	if (err)
		return err;
	for (size_t at = 0; at < length && err == 0;) {
		int64_t got = file_reader_read(reader, (uint8_t *)out + at, length - at, true, &why);
		err = got < 0 ? (int)got : got == 0 ? ERR_CORRUPT : 0;
		at += got > 0 ? (size_t)got : 0;
	}
	file_reader_close(reader);
	return err;
}
