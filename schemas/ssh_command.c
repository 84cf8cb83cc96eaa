#include "schemas/ssh_command.h"

static bool is_path_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' || c == '/';
}

/* The next word without its quotes; false when there is none or it has a byte that no word may have. */
static bool take_word(struct span *text, struct span *out)
{
	size_t at = 0;
	bool is_quoted = text->length && text->data[0] == '\'';
	if (is_quoted)
		at++;
	size_t begin = at;
	while (at < text->length && is_path_byte(text->data[at]))
		at++;
	*out = span_of(text->data + begin, at - begin);
	if (is_quoted && (at == text->length || text->data[at++] != '\''))
		return false;
	if (at < text->length && (text->data[at] != ' ' || ++at == text->length))
		return false;
	*text = span_of(text->data + at, text->length - at);
	return out->length > 0;
}

static bool begins(struct span text, const char *prefix)
{
	return text.length >= strlen(prefix) && memcmp(text.data, prefix, strlen(prefix)) == 0;
}

static struct span without_first(struct span text, size_t count)
{
	return span_of(text.data + count, text.length - count);
}

static int parse_path(struct ssh_command *out, struct span path, struct why *why)
{
	static const struct {
		const char *prefix, *type;
	} types[] = { { "datasets/", "dataset" }, { "spaces/", "space" }, { "kernels/", "kernel" } };
	if (begins(path, "/"))
		path = without_first(path, 1);
	if (path.length && path.data[path.length - 1] == '/')
		path.length--;
	out->type = "model";
	const uint8_t *slash = path.length ? memchr(path.data, '/', path.length) : NULL;
	for (size_t i = 0; slash && i < sizeof(types) / sizeof(types[0]); i++) {
		if (!begins(path, types[i].prefix))
			continue;
		out->type = types[i].type;
		path = without_first(path, strlen(types[i].prefix));
		slash = path.length ? memchr(path.data, '/', path.length) : NULL;
		break;
	}
	if (slash) {
		out->owner = span_of(path.data, (size_t)(slash - path.data));
		out->name = without_first(path, out->owner.length + 1);
		if (out->name.length > 4 && memcmp(out->name.data + out->name.length - 4, ".git", 4) == 0)
			out->name.length -= 4;
	}
	if (!slash || out->owner.length == 0 || out->name.length == 0 || memchr(out->name.data, '/', out->name.length))
		return why_set(why, ERR_INVALID, "a repository is named OWNER/NAME, datasets/OWNER/NAME or spaces/OWNER/NAME");
	return 0;
}

static int parse_lfs(struct ssh_command *out, struct span text, struct why *why)
{
	struct span path, operation;
	if (!take_word(&text, &path) || !take_word(&text, &operation) || text.length)
		return why_set(why, ERR_INVALID, "git-lfs-authenticate wants a repository and \"upload\" or \"download\"");
	if (span_equal(operation, span_text("upload")))
		out->service = SSH_LFS_UPLOAD;
	else if (span_equal(operation, span_text("download")))
		out->service = SSH_LFS_DOWNLOAD;
	else
		return why_set(why, ERR_INVALID, "git-lfs-authenticate knows the operations \"upload\" and \"download\"");
	return parse_path(out, path, why);
}

int ssh_command_parse(struct ssh_command *out, struct span text, struct why *why)
{
	*out = (struct ssh_command){ .service = SSH_GREETING };
	if (text.length == 0)
		return 0;
	if (text.length > SSH_COMMAND_BYTES_MAX)
		return why_set(why, ERR_INVALID, "the command is too long");
	struct span word, path;
	if (begins(text, "git ")) /* "git upload-pack": the same command in two words */
		text = without_first(text, 4);
	else if (begins(text, "git-"))
		text = without_first(text, 4);
	else
		return why_set(why, ERR_UNSUPPORTED, "this hub gives no shell; it serves git clone, fetch and push, and git-lfs");
	const uint8_t *blank = memchr(text.data, ' ', text.length);
	word = span_of(text.data, blank ? (size_t)(blank - text.data) : text.length);
	text = without_first(text, blank ? word.length + 1 : word.length);
	if (span_equal(word, span_text("lfs-authenticate")))
		return parse_lfs(out, text, why);
	if (span_equal(word, span_text("upload-pack")))
		out->service = SSH_UPLOAD_PACK;
	else if (span_equal(word, span_text("receive-pack")))
		out->service = SSH_RECEIVE_PACK;
	else if (span_equal(word, span_text("upload-archive")))
		return why_set(why, ERR_UNSUPPORTED, "this hub does not make archives; clone with --depth 1 instead");
	else if (span_equal(word, span_text("lfs-transfer")))
		return why_set(why, ERR_UNSUPPORTED, "this hub serves LFS objects over HTTP, with git-lfs-authenticate");
	else
		return why_set(why, ERR_UNSUPPORTED, "this hub serves git clone, fetch and push, and git-lfs; not this command");
	if (!take_word(&text, &path) || text.length)
		return why_set(why, ERR_INVALID, "the command wants one repository: OWNER/NAME, datasets/OWNER/NAME or spaces/OWNER/NAME");
	return parse_path(out, path, why);
}
