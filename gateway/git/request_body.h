/* request_body.h - the body of a git request, inflated and set aside. Private to gateway/git.
 *
 * git compresses requests over 1 KiB and sends large ones chunked. Inflated bytes are counted against a limit, so a small body cannot become a large one. What is
 * small stays in memory; more goes to an unnamed file in DIR/tmp. All of them together are bounded. One thread at a time. */
#ifndef CAIRN_GATEWAY_GIT_REQUEST_BODY_H
#define CAIRN_GATEWAY_GIT_REQUEST_BODY_H

#include "gateway/http/http.h"

enum {
	REQUEST_BODY_MEMORY_BYTES_MAX = 16 << 10, /* of one body */
	REQUEST_BODIES_BYTES_MAX = 512 << 20,     /* all files together */
};

struct request_body;

/* `encoding` is the Content-Encoding header; `bytes_max` counts inflated bytes. ERR_UNSUPPORTED (an encoding that is not gzip), ERR_NO_MEMORY. */
int request_body_open(struct request_body **out, const char *data_dir, struct span encoding, uint64_t bytes_max, struct why *why);
/* 0, ERR_TOO_BIG, ERR_CORRUPT (does not inflate), ERR_BUSY, ERR_NO_SPACE, ERR_IO. May wait for the page cache, not for the disk. */
int request_body_write(struct request_body *body, const void *data, size_t length, struct why *why);
/* After the last byte. ERR_CORRUPT: the compressed stream ends early. */
int request_body_end(struct request_body *body, struct why *why);
/* All inflated bytes; valid until close. */
int request_body_bytes(struct request_body *body, struct span *out, struct why *why);
/* A descriptor to read them from, at its beginning; the body keeps it. */
int request_body_fd(struct request_body *body, int *out, struct why *why);
void request_body_close(struct request_body *body);

#endif
