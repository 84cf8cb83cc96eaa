/* json_scan.h - reads JSON in place, member by member, building nothing.
 *
 * For lines that may hold megabytes in one string. Strings are unescaped where they lie, so a text can be scanned once only. Depth is
 * bounded; every function fails by setting `failed` and from then on returns the end of whatever is asked. */
#ifndef CAIRN_GATEWAY_HUB_JSON_SCAN_H
#define CAIRN_GATEWAY_HUB_JSON_SCAN_H

#include "schemas/buffer.h"

enum { JSON_SCAN_DEPTH_MAX = 32 };

struct json_scan {
	uint8_t *at, *end;
	bool failed;
};

void json_scan_init(struct json_scan *scan, uint8_t *text, size_t length);
/* True: an object begins and has been entered. False (not failed): another kind of value, untouched. */
bool json_scan_object(struct json_scan *scan);
bool json_scan_array(struct json_scan *scan);
/* Inside an object: the next key, or false at its end. `*first` starts true. */
bool json_scan_key(struct json_scan *scan, bool *first, struct span *key);
/* Inside an array: true when another element follows. */
bool json_scan_element(struct json_scan *scan, bool *first);
/* A string value, unescaped; null gives length 0 and data NULL. Anything else fails. */
struct span json_scan_string(struct json_scan *scan);
/* A whole number; null gives `fallback`. Anything else fails. */
uint64_t json_scan_u64(struct json_scan *scan, uint64_t fallback);
/* Passes over one value of any kind. */
void json_scan_skip(struct json_scan *scan);
/* True when nothing but blanks is left and nothing failed. */
bool json_scan_done(struct json_scan *scan);

#endif
