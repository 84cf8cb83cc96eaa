/* html.h - pages made on the server: no scripts, nothing loaded, everything from outside escaped. */
#ifndef CAIRN_GATEWAY_WEB_HTML_H
#define CAIRN_GATEWAY_WEB_HTML_H

#include "gateway/auth/auth.h"

enum { PAGE_BYTES_MAX = 1 << 20 };

/* Appends with & < > " ' escaped. */
void html_escaped(struct buffer *out, const char *text);
void html_begin(struct buffer *out, const char *title);
/* Ends the page, answers with it and frees it. Forms may post to this site only, and nobody may frame it. */
void html_reply(struct http_request *request, int status, struct buffer *page);
/* The same; what a form is answered with may also lead to `form_target`, a source of a content security policy. */
void html_reply_to(struct http_request *request, int status, struct buffer *page, const char *form_target);
/* A page of a title and a sentence. */
void html_reply_text(struct http_request *request, int status, const char *title, const char *text);
void html_redirect(struct http_request *request, const char *location); /* 303 */

/* Like auth_identify, but whoever shows a cookie that no longer opens anything is nobody rather than refused. False: answered already. */
bool html_visitor(struct http_request *request, struct actor *out);

#endif
