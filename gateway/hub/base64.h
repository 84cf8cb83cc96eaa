/* base64.h - decodes base64 over itself: for content that is too long to be held twice. */
#ifndef CAIRN_GATEWAY_HUB_BASE64_H
#define CAIRN_GATEWAY_HUB_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Standard alphabet, padding optional, line ends between groups are passed over. Returns the decoded length, or SIZE_MAX when the
 * text is not base64. */
size_t base64_decode_in_place(uint8_t *text, size_t length);

#endif
