/* api.h - calls to a running hub: JSON out, JSON in.
 *
 * A failure is told on stderr, with the hub's own sentence where there is one, so that a command needs only to return EXIT_FAILED.
 * Redirects are not followed: the token goes to the host that was named and to no other. */
#ifndef CAIRN_OPS_CAIRN_API_H
#define CAIRN_OPS_CAIRN_API_H

#include <jansson.h>

#include "ops/cairn/settings.h"

enum {
	API_ANSWER_BYTES_MAX = 32 << 20,
	API_CONNECT_S_MAX = 10,
	API_CALL_S_MAX = 600,    /* a listing of everything may read much */
	API_TOKEN_BYTES_MAX = 1024,
	API_PATH_BYTES_MAX = 4096,
};

struct api;

/* The first line of the token file; wipe it after use. 0 or EXIT_FAILED: told. */
int api_token(const struct settings *settings, char out[API_TOKEN_BYTES_MAX]);

/* NULL: told already. */
struct api *api_open(const struct settings *settings);
void api_close(struct api *api);

/* `body` (stolen, may be NULL) goes out as JSON. The answer, to be json_decref'ed, or NULL: told already. */
json_t *api_call(struct api *api, const char *method, const char *path, json_t *body);
/* GET of something that may be absent: then NULL with *is_missing, and nothing is told. */
json_t *api_find(struct api *api, const char *path, bool *is_missing);
/* A call of its own: opens, calls, closes. `body` is stolen, may be NULL. Each %s of `path` is an argument, escaped; nothing else may follow a %. */
json_t *api_once(const struct settings *settings, const char *method, json_t *body, const char *path, ...) __attribute__((format(printf, 4, 5)));
/* A piece of a path or query with everything but letters, digits and -._~ escaped; free with api_free. */
char *api_escape(struct api *api, const char *text);
void api_free(char *text);

#endif
