/* inputs.h - what is known of a revision while its facts are made. Private to gateway/facts, and its tests. */
#ifndef CAIRN_GATEWAY_FACTS_INPUTS_H
#define CAIRN_GATEWAY_FACTS_INPUTS_H

#include <jansson.h>

#include "gateway/facts/facts.h"

/* JSON objects are borrowed and may be NULL. */
struct facts_inputs {
	enum repo_type type;
	const struct facts_files *files;
	const json_t *card, *config, *tokenizer, *adapter, *model_index;
	uint64_t parameters;            /* 0: unknown */
	const char *sdk;                /* of the repository's record */
	struct span readme;
};

#endif
