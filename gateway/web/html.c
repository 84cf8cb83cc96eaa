#include "gateway/web/html.h"

#include "gateway/answer.h"

void html_escaped(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&': buffer_append_text(out, "&amp;"); break;
		case '<': buffer_append_text(out, "&lt;"); break;
		case '>': buffer_append_text(out, "&gt;"); break;
		case '"': buffer_append_text(out, "&quot;"); break;
		case '\'': buffer_append_text(out, "&#39;"); break;
		default: buffer_append_byte(out, (uint8_t)*text);
		}
	}
}

void html_begin(struct buffer *out, const char *title)
{
	buffer_append_text(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
	html_escaped(out, title);
	buffer_append_text(out, "</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
		"pre{background:#f4f4f4;padding:.7rem;overflow:auto}input{font:inherit;padding:.4rem;margin:.2rem 0}"
		"button{font:inherit;padding:.4rem 1rem;margin:.4rem .4rem .4rem 0}form.inline{display:inline}</style></head><body>\n");
}

static void reply(struct http_request *request, int status, struct buffer *page, const char *form_target)
{
	buffer_append_text(page, "</body></html>\n");
	http_add_headerf(request, "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'%s%s; frame-ancestors 'none'; base-uri 'none'",
		*form_target ? " " : "", form_target);
	http_add_header(request, "X-Content-Type-Options", "nosniff");
	http_add_header(request, "Referrer-Policy", "same-origin");
	http_add_header(request, "Cache-Control", "no-store");
	if (!page->failed) {
		http_reply_buffer(request, status, "text/html; charset=utf-8", page); /* takes it; `page` may be the request's memory, gone by now */
		return;
	}
	buffer_fini(page);
	answer_err(request, ERR_NO_MEMORY, NULL);
}

void html_reply(struct http_request *request, int status, struct buffer *page)
{
	reply(request, status, page, "");
}

void html_reply_to(struct http_request *request, int status, struct buffer *page, const char *form_target)
{
	reply(request, status, page, form_target);
}

void html_reply_text(struct http_request *request, int status, const char *title, const char *text)
{
	struct buffer page;
	buffer_init(&page, PAGE_BYTES_MAX);
	html_begin(&page, title);
	buffer_append_text(&page, "<h1>");
	html_escaped(&page, title);
	buffer_append_text(&page, "</h1>\n<p>");
	html_escaped(&page, text);
	buffer_append_text(&page, "</p>\n");
	html_reply(request, status, &page);
}

void html_redirect(struct http_request *request, const char *location)
{
	http_add_header(request, "Location", location);
	http_add_header(request, "Cache-Control", "no-store");
	http_reply(request, 303, "text/plain; charset=utf-8", span_text("See Other\n"));
}

bool html_visitor(struct http_request *request, struct actor *out)
{
	if (auth_identify(request, out) == 0)
		return true;
	if (http_header(request, "Authorization").data) {
		answer_bad_token(request);
		return false;
	}
	*out = (struct actor){ .anonymous = true };
	return true;
}
