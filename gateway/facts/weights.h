/* weights.h - what safetensors and GGUF files hold, from their headers. */
#ifndef CAIRN_GATEWAY_FACTS_WEIGHTS_H
#define CAIRN_GATEWAY_FACTS_WEIGHTS_H

#include "gateway/facts/inputs.h"

/* [blocks] {parameters: {dtype: n}, total}: of model.safetensors, else of all shards that the index names, else of the only safetensors file or of an
 * adapter's. NULL: there are none, or not all can be read. New reference. */
json_t *facts_safetensors(struct gateway *gateway, const struct repo *repo, const struct oid *commit, const struct facts_files *files,
	const struct facts_cache *cache, bool *unread);
/* [blocks] {total, architecture?, context_length?, bos_token?, eos_token?, chat_template?, quantize_imatrix_file?} of the first GGUF file, all its
 * parts added up. NULL: there is none that can be read. New reference. */
json_t *facts_gguf(struct gateway *gateway, const struct facts_files *files, const struct facts_cache *cache, bool *unread);

#endif
