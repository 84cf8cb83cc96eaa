#include "gateway/xet/batch_body.h"

#include <jansson.h>

int batch_add_file(const char *text, size_t count_max, struct hash *files, size_t *count)
{
	struct hash file;
	if (*count == count_max || hash_from_text(&file, text, strlen(text)) != 0)
		return ERR_INVALID;
	for (size_t i = 0; i < *count; i++)
		if (hash_equal(&files[i], &file))
			return 0;
	files[(*count)++] = file;
	return 0;
}

int batch_body_parse(struct span json, size_t count_max, struct hash *files, size_t *count)
{
	json_t *body = json_loadb((const char *)json.data, json.length, JSON_REJECT_DUPLICATES, NULL);
	int err = json_is_array(body) && json_array_size(body) > 0 ? 0 : ERR_INVALID;
	for (size_t i = 0; err == 0 && i < json_array_size(body); i++) {
		const char *hash = json_string_value(json_object_get(json_array_get(body, i), "hash"));
		err = hash ? batch_add_file(hash, count_max, files, count) : ERR_INVALID;
	}
	json_decref(body);
	return err;
}
