/* device.c - POST /oauth/device: a code for a device, and one for the person who approves it. Declared in oauth.h. */
#include "gateway/oauth/oauth.h"

#include "gateway/answer.h"
#include "gateway/auth/device_login.h"
#include "gateway/process.h"
#include "schemas/json_writer.h"

enum { DEVICE_ANSWER_BYTES_MAX = 4096 };

static void reply_codes(struct http_request *request, const char *device_code, const char *user_code)
{
	const char *page = http_printf(request, "%s/device", http_base_url(request));
	struct buffer body;
	buffer_init(&body, DEVICE_ANSWER_BYTES_MAX);
	struct json_writer json;
	json_writer_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text(&json, "device_code", device_code);
	json_text(&json, "user_code", user_code);
	json_text(&json, "verification_uri", page);
	json_text(&json, "verification_uri_complete", http_printf(request, "%s?user_code=%s", page, user_code));
	json_i64(&json, "interval", DEVICE_POLL_S);
	json_i64(&json, "expires_in", DEVICE_LOGIN_MS / 1000);
	json_object_end(&json);
	http_add_header(request, "Cache-Control", "no-store");
	answer_json(request, 200, &body);
}

static void device_body(struct http_request *request, struct span form, void *context)
{
	(void)context;
	char device_code[DEVICE_CODE_BYTES], user_code[USER_CODE_BYTES];
	const char *client = http_form_value(request, form, "client_id", 0);
	if (!client || !*client) {
		http_reply_error(request, 400, NULL, "\"client_id\" is missing");
		return;
	}
	int err = device_login_begin(gateway_of(request)->device_logins, http_peer_address(request), unix_ms(), device_code, user_code);
	if (err)
		answer_err(request, err, &(struct why){ "Too many logins are waiting, try again later" });
	else
		reply_codes(request, device_code, user_code);
}

void oauth_device(struct http_request *request, const struct route_match *match)
{
	(void)match;
	http_collect(request, OAUTH_BODY_BYTES_MAX, device_body, NULL);
}
