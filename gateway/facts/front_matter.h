/* front_matter.h - the YAML block at the head of a README.md, turned into JSON.
 *
 * Limits: bytes, depth, values, and aliases counted at the size they expand to, so that no card can grow in memory. Scalars follow the
 * YAML 1.2 core schema ("no" is a word, not false), as the public Hub reads them. */
#ifndef CAIRN_GATEWAY_FACTS_FRONT_MATTER_H
#define CAIRN_GATEWAY_FACTS_FRONT_MATTER_H

#include <jansson.h>

#include "schemas/buffer.h"
#include "schemas/error.h"

enum {
	FRONT_MATTER_BYTES_MAX = 512 << 10,
	FRONT_MATTER_VALUES_MAX = 20000,
	FRONT_MATTER_DEPTH_MAX = 24,
};

/* The text between the opening and the closing "---" line; length 0 when `readme` begins with none (or they enclose nothing). */
struct span front_matter_find(struct span readme);
/* 0 and *out: an object (json_decref it), NULL when there is no front matter; ERR_INVALID or ERR_TOO_BIG with a sentence. */
int front_matter_parse(struct span readme, json_t **out, struct why *why);
/* The same of a bare YAML text. */
int yaml_to_json(struct span text, json_t **out, struct why *why);

#endif
