#include "gateway/repo/attributes.h"

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

static bool pattern_matches(struct span pattern, struct span path, struct span name)
{
	if (pattern.length == 0 || pattern.data[0] == '!' || pattern.data[pattern.length - 1] == '/')
		return false;
	if (!memchr(pattern.data, '/', pattern.length)) {
		/* Most rules are "*.suffix": the last byte tells most of them apart. */
		uint8_t last = pattern.data[pattern.length - 1];
		bool plain = last != '*' && last != '?' && last != ']' && last != '\\';
		if (plain && (name.length == 0 || name.data[name.length - 1] != last))
			return false;
		return wildmatch_name(pattern, name);
	}
	if (pattern.data[0] == '/')
		pattern = span_of(pattern.data + 1, pattern.length - 1);
	return wildmatch_path(pattern, path);
}

/* What one line says about the path: as filter_of. */
static int line_says(struct span line, struct span path, struct span name)
{
	uint8_t unquoted[ATTRIBUTES_LINE_BYTES_MAX];
	while (line.length && is_blank(line.data[0]))
		line = span_of(line.data + 1, line.length - 1);
	if (line.length == 0 || line.length > ATTRIBUTES_LINE_BYTES_MAX || line.data[0] == '#')
		return -1;
	struct span pattern;
	if (line.data[0] == '"') {
		size_t length = unquote(&line, unquoted);
		if (length == SIZE_MAX)
			return -1;
		pattern = span_of(unquoted, length);
	} else {
		pattern = take_word(&line);
		if (pattern.length > 6 && memcmp(pattern.data, "[attr]", 6) == 0)
			return -1;
	}
	return pattern_matches(pattern, path, name) ? filter_of(line) : -1;
}

bool attributes_lfs(struct span attributes, struct span path)
{
	size_t folder = path.length;
	while (folder && path.data[folder - 1] != '/')
		folder--;
	struct span name = span_of(path.data + folder, path.length - folder);
	/* From the last line backwards: the first that says something wins. */
	size_t end = attributes.length;
	while (end > 0) {
		const uint8_t *newline = memrchr(attributes.data, '\n', end - (attributes.data[end - 1] == '\n'));
		size_t start = newline ? (size_t)(newline - attributes.data) + 1 : 0;
		size_t line_end = attributes.data[end - 1] == '\n' ? end - 1 : end;
		int says = line_says(span_of(attributes.data + start, line_end - start), path, name);
		if (says >= 0)
			return says == 1;
		end = start;
	}
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
	if (out->failed)
		return ERR_TOO_BIG;
	if (out->length - start > ATTRIBUTES_LINE_BYTES_MAX)
		out->length = start;
	return 0;
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
