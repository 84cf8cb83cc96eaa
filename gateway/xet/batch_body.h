/* batch_body.h - the files that a batch reconstruction asks for. Pure. */
#ifndef CAIRN_GATEWAY_XET_BATCH_BODY_H
#define CAIRN_GATEWAY_XET_BATCH_BODY_H

#include "schemas/buffer.h"
#include "schemas/error.h"
#include "schemas/hash.h"

/* Adds a hash in text form; one that is there already is not added twice. 0 or ERR_INVALID. */
int batch_add_file(const char *text, size_t count_max, struct hash *files, size_t *count);
/* JSON: [{"prefix": ..., "hash": text}, ...], not empty. 0 or ERR_INVALID. */
int batch_body_parse(struct span json, size_t count_max, struct hash *files, size_t *count);

#endif
