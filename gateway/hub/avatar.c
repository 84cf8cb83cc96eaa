/* avatar.c - pictures of users and organisations: their initial on a colour of their own. They depend on the name alone, so asking tells nothing. */
#include "gateway/hub/call.h"
#include "gateway/hub/json_body.h"
#include "gateway/hub/person.h"
#include "schemas/json_writer.h"

enum { AVATAR_BYTES_MAX = 1024, HUES = 360 };

const char *avatar_url(struct http_request *request, const char *name)
{
	return http_printf(request, "%s/avatars/%s.svg", http_base_url(request), name);
}

static const char *name_in(struct http_request *request, struct span raw, const char *tail)
{
	char *name = http_decode(request, raw, false);
	size_t length = name ? strlen(name) : 0, tail_length = strlen(tail);
	if (!name || length <= tail_length || strcmp(name + length - tail_length, tail) != 0)
		return NULL;
	name[length - tail_length] = 0;
	return name_valid(span_text(name)) ? name : NULL;
}

void avatar_image(struct http_request *request, const struct route_match *match)
{
	const char *name = name_in(request, match->captures[0], ".svg");
	if (!name) {
		http_reply_error(request, 404, NULL, "not found");
		return;
	}
	unsigned hue = 0;
	for (const char *p = name; *p; p++)
		hue = (hue * 31 + ((unsigned char)*p | 0x20)) % HUES;
	char initial = name[0] >= 'a' && name[0] <= 'z' ? (char)(name[0] - 'a' + 'A') : name[0];
	const char *svg = http_printf(request, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"96\" height=\"96\" viewBox=\"0 0 96 96\">"
		"<rect width=\"96\" height=\"96\" fill=\"hsl(%u,45%%,45%%)\"/><text x=\"48\" y=\"48\" dy=\".36em\" text-anchor=\"middle\" "
		"font-family=\"sans-serif\" font-size=\"52\" fill=\"#fff\">%c</text></svg>\n", hue, initial);
	http_add_header(request, "Cache-Control", "public, max-age=86400");
	http_add_header(request, "Content-Security-Policy", "default-src 'none'; sandbox");
	http_add_header(request, "X-Content-Type-Options", "nosniff");
	http_reply(request, 200, "image/svg+xml", span_text(svg));
}

void person_avatar(struct http_request *request, const struct route_match *match)
{
	const char *name = name_in(request, match->captures[0], "");
	if (!name) {
		http_reply_error(request, 404, NULL, "not found");
		return;
	}
	const char *url = avatar_url(request, name);
	struct span wanted = http_header(request, "Sec-Fetch-Dest"), path = http_path(request);
	static const char redirecting[] = "/api/avatars/";
	bool redirects = path.length >= sizeof(redirecting) - 1 && memcmp(path.data, redirecting, sizeof(redirecting) - 1) == 0;
	if (redirects || span_equal(wanted, span_text("image"))) {
		http_add_header(request, "Location", url);
		http_reply(request, 307, "text/plain; charset=utf-8", span_text("Temporary Redirect\n"));
		return;
	}
	struct buffer body;
	buffer_init(&body, AVATAR_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "avatarUrl", url);
	json_object_end(&json);
	answer_json(request, 200, &body);
}
