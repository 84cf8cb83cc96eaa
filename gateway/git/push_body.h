/* push_body.h - the body of a push as it arrives: inflated if it is compressed, its head read, the pack behind it set aside. Private to gateway/git.
 *
 * On a bulk loop: nothing here waits for the disk beyond the page cache. Names alone are looked at (push_decide_early), once the head is whole; when nothing
 * of the push can succeed its pack is read and dropped, so that the client gets a report and not a broken connection. */
#ifndef CAIRN_GATEWAY_GIT_PUSH_BODY_H
#define CAIRN_GATEWAY_GIT_PUSH_BODY_H

#include "gateway/git/push.h"

struct push_body;

/* `encoding` is the Content-Encoding header, `announced` the body's length or UINT64_MAX. ERR_UNSUPPORTED: an encoding that is not gzip. */
int push_body_open(struct push_body **out, struct push *push, struct span encoding, uint64_t announced, struct why *why);
/* 0, ERR_CORRUPT, ERR_UNSUPPORTED, ERR_TOO_BIG, ERR_NO_SPACE, ERR_IO, ERR_NO_MEMORY. */
int push_body_write(struct push_body *body, const uint8_t *data, size_t length, struct why *why);
/* After the last byte: ERR_CORRUPT when the head is not whole, or the compressed stream ends early. */
int push_body_end(struct push_body *body, struct why *why);
void push_body_close(struct push_body *body);

#endif
