/* files.h - which files of a revision tell what it is: names in the root directory, and in the few folders that conventions know.
 *
 * DESIGN. The root is walked once: a directory that is too large for the cache is parsed anew whenever it is asked, so it is asked once. Every entry is compared with the
 * names; what files are by their endings is told from the first FACTS_ENTRIES_MAX. Folders are looked into only when the root has them. Paths are copied into the object. */
#ifndef CAIRN_GATEWAY_FACTS_FILES_H
#define CAIRN_GATEWAY_FACTS_FILES_H

#include "gateway/repo/repo.h"

enum {
	FACTS_ENTRIES_MAX = 2000, /* looked at in one directory */
	FACTS_WEIGHTS_MAX = 512,  /* safetensors and GGUF files that are remembered, each */
	FACTS_EVALS_MAX = 32,     /* files of evaluation results */
	FACTS_PATH_BYTES_MAX = 512, /* longer ones are not what these files are called */
};

enum named_file {
	FILE_README, FILE_CONFIG, FILE_TOKENIZER_CONFIG, FILE_CHAT_TEMPLATE, FILE_MODEL_INDEX, FILE_ADAPTER_CONFIG, FILE_SENTENCE_MODULES,
	FILE_SENTENCE_CONFIG, FILE_OPEN_CLIP_CONFIG, FILE_SPACY_META, FILE_SAFETENSORS_INDEX, FILE_TF_MODEL, FILE_FLAX_MODEL, FILE_RUST_MODEL,
	FILE_SAVED_MODEL, FILE_KERAS_METADATA, FILE_PREPROCESSOR_CONFIG, FILE_PROCESSOR_CONFIG, FILE_FASTAI_LEARNER, FILE_SETFIT_CONFIG, FILES_NAMED
};

/* What files of the root (of a data set also of "data/") are, by their endings. */
enum file_kind {
	KIND_SAFETENSORS = 1 << 0, KIND_GGUF = 1 << 1, KIND_PYTORCH = 1 << 2, KIND_ONNX = 1 << 3, KIND_KERAS = 1 << 4, KIND_TFLITE = 1 << 5,
	KIND_COREML = 1 << 6, KIND_JOBLIB = 1 << 7, KIND_TENSORBOARD = 1 << 8, KIND_NEMO = 1 << 9,
	KIND_PARQUET = 1 << 16, KIND_JSON = 1 << 17, KIND_CSV = 1 << 18, KIND_ARROW = 1 << 19, KIND_TEXT = 1 << 20, KIND_TAR = 1 << 21,
	KIND_IMAGE = 1 << 22, KIND_AUDIO = 1 << 23, KIND_VIDEO = 1 << 24, KIND_PDF = 1 << 25,
};

struct facts_file {
	char *path;
	struct tree_entry entry; /* path unset */
};
struct facts_list {
	struct facts_file *files;
	size_t count, max;
	bool more; /* there are more than max */
};

struct facts_files {
	bool has[FILES_NAMED];
	struct tree_entry named[FILES_NAMED];
	unsigned kinds;
	struct facts_list safetensors, gguf, evals;
	uint8_t digest[16]; /* of all of the above, by path and id: the same digest, the same facts */
};

/* [blocks] `names_only`: enough for the digest, which is the same; lengths and places of the files are then not known. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO,
 * ERR_NO_MEMORY; facts_files_fini in every case. */
int facts_files_find(struct gateway *gateway, const struct repo *repo, const struct oid *commit, bool names_only, struct facts_files *out);
void facts_files_fini(struct facts_files *files);
const char *named_file_path(enum named_file file);

/* [blocks] The whole content, of LFS files too; ERR_TOO_BIG beyond `out`'s limit; ERR_NOT_FOUND: it was never uploaded. Any other failure sets *unread: it
 * may be gone another time. */
int facts_read(struct gateway *gateway, const struct repo *repo, const struct tree_entry *entry, struct buffer *out, bool *unread);
/* [blocks] Exactly these bytes of the content. */
int facts_read_at(struct gateway *gateway, const struct tree_entry *entry, uint64_t offset, void *out, size_t length);

#endif
