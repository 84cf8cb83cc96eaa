/* tags.h - the tags of a repository: those of its card, and those that follow from what it holds. Pure. */
#ifndef CAIRN_GATEWAY_FACTS_TAGS_H
#define CAIRN_GATEWAY_FACTS_TAGS_H

#include "gateway/facts/inputs.h"

/* Array of text without duplicates, at most FACTS_TAGS_MAX; NULL: no memory. New reference. */
json_t *facts_tags(const struct facts_inputs *inputs, const char *library, const char *pipeline_tag);
/* {relation, models: [{id}]}, or NULL: none named. New reference. */
json_t *facts_base_models(const struct facts_inputs *inputs);

#endif
