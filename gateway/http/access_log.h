/* access_log.h - one JSON line per request, written by a thread of its own.
 *
 * DESIGN. A loop must never wait for a log disk: lines go into a bounded buffer, and when that is full they are dropped and counted. The path is
 * logged, never the query, and long signed segments of the path are blanked: neither grants nor tokens may be read from a log. */
#ifndef CAIRN_GATEWAY_HTTP_ACCESS_LOG_H
#define CAIRN_GATEWAY_HTTP_ACCESS_LOG_H

#include "gateway/http/http.h"

enum {
	LOG_BUFFER_BYTES = 1 << 20,
	LOG_PATH_BYTES_MAX = 1024,
	LOG_SECRET_BYTES_MIN = 86, /* base64url of an Ed25519 signature alone */
	LOG_FLUSH_MS = 200,
};

struct access_log;

struct log_line {
	const char *request_id, *actor, *peer, *method;
	struct span path;
	int status; /* 0: cut */
	uint64_t bytes_in, bytes_out, microseconds;
};

int access_log_open(struct access_log **out, const char *file, struct why *why);
void access_log_write(struct access_log *log, const struct log_line *line);
/* After the file was renamed away. */
int access_log_reopen(struct access_log *log, struct why *why);
void access_log_close(struct access_log *log);
uint64_t access_log_dropped(const struct access_log *log);

#endif
