#include "gateway/hub/content.h"

#include <stdio.h>
#include <strings.h>

/* HTML, SVG and scripts go out as plain text: a repository's page must not run in the hub's origin. */
const char *content_type_of(struct span path)
{
	static const struct {
		const char *extension, *type;
	} types[] = {
		{ "json", "text/plain; charset=utf-8" }, { "txt", "text/plain; charset=utf-8" },
		{ "md", "text/plain; charset=utf-8" }, { "py", "text/plain; charset=utf-8" },
		{ "jsonl", "text/plain; charset=utf-8" }, { "csv", "text/plain; charset=utf-8" },
		{ "yaml", "text/plain; charset=utf-8" }, { "yml", "text/plain; charset=utf-8" },
		{ "html", "text/plain; charset=utf-8" }, { "js", "text/plain; charset=utf-8" },
		{ "css", "text/plain; charset=utf-8" }, { "svg", "text/plain; charset=utf-8" },
		{ "gitattributes", "text/plain; charset=utf-8" }, { "gitignore", "text/plain; charset=utf-8" },
		{ "png", "image/png" }, { "jpg", "image/jpeg" }, { "jpeg", "image/jpeg" }, { "gif", "image/gif" },
		{ "webp", "image/webp" }, { "wav", "audio/wav" }, { "mp3", "audio/mpeg" }, { "flac", "audio/flac" },
		{ "mp4", "video/mp4" },
	};
	size_t at = path.length;
	while (at > 0 && path.data[at - 1] != '.' && path.data[at - 1] != '/')
		at--;
	size_t length = path.length - at;
	if (at > 0 && path.data[at - 1] == '.')
		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
			if (strlen(types[i].extension) == length &&
				strncasecmp((const char *)path.data + at, types[i].extension, length) == 0)
				return types[i].type;
	return "application/octet-stream";
}

static void add_content_disposition(struct http_request *request, struct span path)
{
	size_t at = path.length;
	while (at > 0 && path.data[at - 1] != '/')
		at--;
	struct span name = span_of(path.data + at, path.length - at);
	const char *encoded = http_encode(request, name);
	size_t capacity = strlen(encoded) + name.length + 64;
	char *text = http_alloc(request, capacity);
	char *p = text + snprintf(text, capacity, "inline; filename*=UTF-8''%s", encoded);
	p += snprintf(p, 16, "; filename=\"");
	for (size_t i = 0; i < name.length; i++) {
		uint8_t c = name.data[i];
		*p++ = c < 0x20 || c >= 0x7f || c == '"' || c == '\\' ? '_' : (char)c;
	}
	snprintf(p, 3, "\";");
	http_add_header(request, "Content-Disposition", text);
}

void add_content_headers(struct http_request *request, struct span path)
{
	add_content_disposition(request, path);
	http_add_header(request, "X-Content-Type-Options", "nosniff");
	http_add_header(request, "Content-Security-Policy", "default-src 'none'; sandbox");
}
