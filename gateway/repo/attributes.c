#include "gateway/repo/attributes.h"

#include <stdlib.h>

#include "gateway/repo/wildmatch.h"

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

/* The next run of non-blank bytes; length 0 at the end. */
static struct span take_word(struct span *line)
{
	while (line->length && is_blank(line->data[0]))
		*line = span_of(line->data + 1, line->length - 1);
	size_t length = 0;
	while (length < line->length && !is_blank(line->data[length]))
		length++;
	struct span word = span_of(line->data, length);
	*line = span_of(line->data + length, line->length - length);
	return word;
}

/* A pattern in double quotes with C escapes, as git writes paths with blanks. Bytes written to `out` (as long as the line), or SIZE_MAX. */
static size_t unquote(struct span *line, uint8_t *out)
{
	size_t used = 0;
	for (size_t i = 1; i < line->length; i++) {
		uint8_t byte = line->data[i];
		if (byte == '"') {
			*line = span_of(line->data + i + 1, line->length - i - 1);
			return used;
		}
		if (byte == '\\') {
			static const char names[] = "abfnrtv\\\"", values[] = "\a\b\f\n\r\t\v\\\"";
			if (++i == line->length)
				break;
			const char *name = line->data[i] ? strchr(names, line->data[i]) : NULL;
			if (name) {
				byte = (uint8_t)values[name - names];
			} else {
				unsigned value = 0;
				for (size_t k = 0; k < 3; k++, i++) {
					if (i >= line->length || line->data[i] < '0' || line->data[i] > '7')
						return SIZE_MAX;
					value = value * 8 + (unsigned)(line->data[i] - '0');
				}
				i--;
				byte = (uint8_t)value;
			}
		}
		out[used++] = byte;
	}
	return SIZE_MAX;
}

/* What the attributes of a line say about the filter: 1 lfs, 0 something else, -1 nothing. */
static int filter_of(struct span attributes)
{
	int says = -1;
	for (struct span word = take_word(&attributes); word.length; word = take_word(&attributes)) {
		if (span_equal(word, span_text("filter=lfs")))
			says = 1;
		else if (span_equal(word, span_text("filter")) || span_equal(word, span_text("-filter")) || span_equal(word, span_text("!filter")) ||
			(word.length > 7 && memcmp(word.data, "filter=", 7) == 0))
			says = 0;
	}
	return says;
}

/* One line that says something about the filter. */
struct rule {
	struct span pattern;
	bool whole_path;  /* has a slash: matched against the path, not the last component */
	bool plain_end;   /* its last byte stands for itself: tells most rules apart at once */
	bool lfs;
};

/* False when the line says nothing. `unquoted` has room for the line; the rule may borrow it. */
static bool rule_parse(struct rule *rule, struct span line, uint8_t *unquoted)
{
	while (line.length && is_blank(line.data[0]))
		line = span_of(line.data + 1, line.length - 1);
	if (line.length == 0 || line.length > ATTRIBUTES_LINE_BYTES_MAX || line.data[0] == '#')
		return false;
	struct span pattern;
	if (line.data[0] == '"') {
		size_t length = unquote(&line, unquoted);
		if (length == SIZE_MAX)
			return false;
		pattern = span_of(unquoted, length);
	} else {
		pattern = take_word(&line);
		if (pattern.length > 6 && memcmp(pattern.data, "[attr]", 6) == 0)
			return false;
	}
	int says = filter_of(line);
	if (says < 0 || pattern.length == 0 || pattern.data[0] == '!' || pattern.data[pattern.length - 1] == '/')
		return false;
	rule->lfs = says == 1;
	rule->whole_path = memchr(pattern.data, '/', pattern.length) != NULL;
	if (pattern.data[0] == '/')
		pattern = span_of(pattern.data + 1, pattern.length - 1);
	uint8_t last = pattern.data[pattern.length - 1];
	rule->plain_end = last != '*' && last != '?' && last != ']' && last != '\\';
	rule->pattern = pattern;
	return true;
}

static bool rule_matches(const struct rule *rule, struct span path, struct span name)
{
	if (rule->plain_end && (name.length == 0 || name.data[name.length - 1] != rule->pattern.data[rule->pattern.length - 1]))
		return false;
	return rule->whole_path ? wildmatch_path(rule->pattern, path) : wildmatch_name(rule->pattern, name);
}

static struct span last_component(struct span path)
{
	size_t folder = path.length;
	while (folder && path.data[folder - 1] != '/')
		folder--;
	return span_of(path.data + folder, path.length - folder);
}

/* The last line, taken off `text`. */
static struct span take_last_line(struct span *text)
{
	size_t end = text->length - (text->data[text->length - 1] == '\n');
	const uint8_t *newline = end ? memrchr(text->data, '\n', end) : NULL;
	size_t start = newline ? (size_t)(newline - text->data) + 1 : 0;
	struct span line = span_of(text->data + start, end - start);
	text->length = start;
	return line;
}

bool attributes_lfs(struct span attributes, struct span path)
{
	uint8_t unquoted[ATTRIBUTES_LINE_BYTES_MAX];
	struct span name = last_component(path);
	struct rule rule;
	while (attributes.length) /* from the end: the first rule that matches wins */
		if (rule_parse(&rule, take_last_line(&attributes), unquoted) && rule_matches(&rule, path, name))
			return rule.lfs;
	return false;
}

struct attributes {
	uint8_t *unquoted;    /* patterns that were in quotes */
	size_t count;
	struct rule rules[];  /* the last line first */
};

struct attributes *attributes_open(struct span text)
{
	size_t lines = 1;
	for (size_t i = 0; i < text.length; i++)
		lines += text.data[i] == '\n';
	struct attributes *attributes = malloc(sizeof(*attributes) + lines * sizeof(attributes->rules[0]));
	uint8_t *unquoted = malloc(text.length + 1);
	if (!attributes || !unquoted) {
		free(attributes);
		free(unquoted);
		return NULL;
	}
	attributes->unquoted = unquoted;
	attributes->count = 0;
	while (text.length) {
		struct span line = take_last_line(&text);
		attributes->count += rule_parse(&attributes->rules[attributes->count], line, unquoted);
		unquoted += line.length;
	}
	return attributes;
}

void attributes_close(struct attributes *attributes)
{
	if (!attributes)
		return;
	free(attributes->unquoted);
	free(attributes);
}

bool attributes_match(const struct attributes *attributes, struct span path)
{
	struct span name = last_component(path);
	for (size_t i = 0; i < attributes->count; i++)
		if (rule_matches(&attributes->rules[i], path, name))
			return attributes->rules[i].lfs;
	return false;
}

/* ------------------------------------------------------------------ writing rules */

/* The path as a pattern that matches itself alone. */
static void append_pattern(struct buffer *out, struct span path, bool quoted)
{
	for (size_t i = 0; i < path.length; i++) {
		uint8_t byte = path.data[i];
		bool special = byte == '*' || byte == '?' || byte == '[' || byte == '\\' || (i == 0 && (byte == '!' || byte == '#'));
		if (special) /* a backslash for the matcher, and one more for the quotes */
			buffer_append_text(out, quoted ? "\\\\" : "\\");
		if (quoted && (byte == '"' || byte == '\\'))
			buffer_append_byte(out, '\\');
		buffer_append_byte(out, byte);
	}
}

int attributes_add_lfs(struct buffer *out, struct span path)
{
	static const char rule[] = " filter=lfs diff=lfs merge=lfs -text\n";
	size_t start = out->length;
	bool quoted = memchr(path.data, ' ', path.length) || path.data[0] == '"' || path.data[0] == '#' || path.data[0] == '!' ||
		memchr(path.data, '\\', path.length);
	if (quoted)
		buffer_append_byte(out, '"');
	append_pattern(out, path, quoted);
	if (quoted)
		buffer_append_byte(out, '"');
	buffer_append_text(out, rule);
	bool failed = out->failed;
	if (failed || out->length - start > ATTRIBUTES_LINE_BYTES_MAX)
		out->length = start; /* whole lines only */
	return failed ? ERR_TOO_BIG : 0;
}

/* ------------------------------------------------------------------ defaults */

#define LFS(pattern) pattern " filter=lfs diff=lfs merge=lfs -text\n"

#define ARCHIVES_AND_MODELS                                                                                                                            \
	LFS("*.7z")                                                                                                                                    \
	LFS("*.arrow")                                                                                                                                 \
	LFS("*.bin")                                                                                                                                   \
	LFS("*.bz2")                                                                                                                                   \
	LFS("*.ckpt")                                                                                                                                  \
	LFS("*.ftz")                                                                                                                                   \
	LFS("*.gguf")                                                                                                                                  \
	LFS("*.gz")                                                                                                                                    \
	LFS("*.h5")                                                                                                                                    \
	LFS("*.joblib")                                                                                                                                \
	LFS("*.lfs.*")                                                                                                                                 \
	LFS("*.lz4")                                                                                                                                   \
	LFS("*.mlmodel")                                                                                                                               \
	LFS("*.model")                                                                                                                                 \
	LFS("*.msgpack")                                                                                                                               \
	LFS("*.npy")                                                                                                                                   \
	LFS("*.npz")                                                                                                                                   \
	LFS("*.onnx")                                                                                                                                  \
	LFS("*.ot")                                                                                                                                    \
	LFS("*.parquet")                                                                                                                               \
	LFS("*.pb")                                                                                                                                    \
	LFS("*.pickle")                                                                                                                                \
	LFS("*.pkl")                                                                                                                                   \
	LFS("*.pt")                                                                                                                                    \
	LFS("*.pth")                                                                                                                                   \
	LFS("*.rar")                                                                                                                                   \
	LFS("*.safetensors")                                                                                                                           \
	LFS("saved_model/**/*")                                                                                                                        \
	LFS("*.tar.*")                                                                                                                                 \
	LFS("*.tar")                                                                                                                                   \
	LFS("*.tflite")                                                                                                                                \
	LFS("*.tgz")                                                                                                                                   \
	LFS("*.wasm")                                                                                                                                  \
	LFS("*.xz")                                                                                                                                    \
	LFS("*.zip")                                                                                                                                   \
	LFS("*.zst")                                                                                                                                   \
	LFS("*tfevents*")

#define AUDIO_IMAGES_VIDEO                                                                                                                             \
	"# Audio files - uncompressed\n" LFS("*.pcm") LFS("*.sam") LFS("*.raw")                                                                        \
	"# Audio files - compressed\n" LFS("*.aac") LFS("*.flac") LFS("*.mp3") LFS("*.ogg") LFS("*.wav")                                               \
	"# Image files - uncompressed\n" LFS("*.bmp") LFS("*.gif") LFS("*.png") LFS("*.tiff")                                                          \
	"# Image files - compressed\n" LFS("*.jpg") LFS("*.jpeg") LFS("*.webp")                                                                        \
	"# Video files - compressed\n" LFS("*.mp4") LFS("*.webm")

static const char attributes_usual[] = ARCHIVES_AND_MODELS;
static const char attributes_dataset[] = ARCHIVES_AND_MODELS LFS("*.mds") AUDIO_IMAGES_VIDEO;

struct span attributes_default(enum repo_type type)
{
	return type == REPO_DATASET ? span_of(attributes_dataset, sizeof(attributes_dataset) - 1) : span_of(attributes_usual, sizeof(attributes_usual) - 1);
}
