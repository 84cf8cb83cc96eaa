/* library.h - which library loads a model and what it is for, told from the card and, where that is silent, from its files. Pure. */
#ifndef CAIRN_GATEWAY_FACTS_LIBRARY_H
#define CAIRN_GATEWAY_FACTS_LIBRARY_H

#include "gateway/facts/inputs.h"

/* "transformers", "diffusers", ...; NULL: unknown. */
const char *facts_library(const struct facts_inputs *inputs);
/* "text-generation", ...; NULL: unknown. `library` as above. */
const char *facts_pipeline_tag(const struct facts_inputs *inputs, const char *library);
/* {auto_model, pipeline_tag?, processor?, custom_class?}, or NULL: nothing that is known to load it. New reference. */
json_t *facts_transformers_info(const struct facts_inputs *inputs, const char *library);
/* Local programs that can run it: array of text, or NULL when there are none. New reference. */
json_t *facts_apps(const struct facts_inputs *inputs, const char *library, const char *pipeline_tag);

/* The kinds of tasks there are, by id; ends with .id NULL. */
struct task {
	const char *id, *label, *modality;
};
extern const struct task tasks[];

#endif
