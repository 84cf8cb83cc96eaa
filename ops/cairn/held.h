/* held.h - what nodes of a cluster hold, as `GET /api/admin/cluster` tells it, for a person. */
#ifndef CAIRN_OPS_CAIRN_HELD_H
#define CAIRN_OPS_CAIRN_HELD_H

#include <jansson.h>

/* A line for each node: what it holds, how far that is from what it should hold, and how far the work on it is; then how many copies there should be. */
void print_held(const json_t *answer);

#endif
