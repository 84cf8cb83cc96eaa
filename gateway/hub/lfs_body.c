#include "gateway/hub/lfs_body.h"

#include <stdlib.h>
#include <string.h>

/* A status, with its sentence. */
static int refuse(struct why *why, int status, const char *text)
{
	why_set(why, ERR_INVALID, "%s", text);
	return status;
}

int lfs_oid_read(const char *text, struct sha256 *out)
{
	if (strlen(text) != 2 * HASH_BYTES || strspn(text, "0123456789abcdef") != 2 * HASH_BYTES)
		return ERR_INVALID;
	return hex_decode(out->bytes, HASH_BYTES, text, 2 * HASH_BYTES);
}

/* ref.name; "" when there is none. False: something that is no ref. */
static bool read_ref(const json_t *root, const char **name)
{
	const json_t *ref = json_object_get(root, "ref"), *text = json_object_get(ref, "name");
	*name = text && json_is_string(text) ? json_string_value(text) : "";
	return (!ref || json_is_null(ref) || json_is_object(ref)) && (!text || json_is_null(text) || json_is_string(text));
}

static bool is_absent(const json_t *value)
{
	return !value || json_is_null(value);
}

/* ------------------------------------------------------------------ batch */

static int by_text(const void *a, const void *b)
{
	const struct lfs_object *const *left = a, *const *right = b;
	int order = strcmp((*left)->text, (*right)->text);
	return order ? order : *left < *right ? -1 : *left > *right;
}

/* Keeps the first of those that name the same oid. */
static int drop_repeated(struct lfs_batch_body *body)
{
	size_t count = body->objects_count, kept = 0;
	const struct lfs_object **sorted = malloc((count + 1) * sizeof(*sorted));
	bool *repeated = calloc(count + 1, 1);
	if (!sorted || !repeated) {
		free(sorted);
		free(repeated);
		return ERR_NO_MEMORY;
	}
	for (size_t i = 0; i < count; i++)
		sorted[i] = &body->objects[i];
	qsort(sorted, count, sizeof(*sorted), by_text);
	for (size_t i = 1; i < count; i++)
		repeated[sorted[i] - body->objects] = strcmp(sorted[i]->text, sorted[i - 1]->text) == 0;
	for (size_t i = 0; i < count; i++)
		if (!repeated[i])
			body->objects[kept++] = body->objects[i];
	body->objects_count = kept;
	free(sorted);
	free(repeated);
	return 0;
}

static int read_objects(struct lfs_batch_body *body, const json_t *list, struct why *why)
{
	size_t count = json_array_size(list), i;
	if (!json_is_array(list))
		return refuse(why, 422, "\"objects\" must be a list");
	if (count > LFS_BATCH_OBJECTS_MAX)
		return refuse(why, 413, "A batch may name 1000 objects at most");
	body->objects = calloc(count + 1, sizeof(*body->objects));
	if (!body->objects)
		return refuse(why, 503, "The server is out of memory, try again");
	const json_t *item;
	json_array_foreach(list, i, item) {
		struct lfs_object *object = &body->objects[body->objects_count++];
		const json_t *size = json_object_get(item, "size");
		if (!json_is_object(item))
			return refuse(why, 422, "Each of \"objects\" must be an object with \"oid\" and \"size\"");
		object->text = json_body_text(item, "oid", "");
		object->size = json_integer_value(size);
		object->valid = lfs_oid_read(object->text, &object->oid) == 0 && json_is_integer(size) && object->size >= 0 &&
			(uint64_t)object->size <= LFS_OBJECT_BYTES_MAX;
	}
	return drop_repeated(body) == 0 ? 0 : refuse(why, 503, "The server is out of memory, try again");
}

static int read_transfers(struct lfs_batch_body *body, const json_t *list, struct why *why)
{
	if (is_absent(list))
		return 0;
	if (!json_is_array(list))
		return refuse(why, 422, "\"transfers\" must be a list");
	size_t i;
	const json_t *item;
	json_array_foreach(list, i, item) {
		const char *name = json_string_value(item);
		body->offers_multipart |= name && strcmp(name, "multipart") == 0;
		body->offers_xet |= name && strcmp(name, "xet") == 0;
	}
	return 0;
}

int lfs_batch_body_read(struct span text, struct lfs_batch_body *out, struct why *why)
{
	const char *ref;
	*out = (struct lfs_batch_body){ .root = json_body_parse(text, why) };
	if (!out->root)
		return 422;
	const char *operation = json_body_text(out->root, "operation", "");
	const json_t *algorithm = json_object_get(out->root, "hash_algo");
	const char *algorithm_name = is_absent(algorithm) ? "sha256" : json_string_value(algorithm);
	out->is_upload = strcmp(operation, "upload") == 0;
	if (!out->is_upload && strcmp(operation, "download") != 0)
		return refuse(why, 422, "The operation must be \"upload\" or \"download\"");
	if (!algorithm_name || (strcmp(algorithm_name, "sha256") != 0 && strcmp(algorithm_name, "sha_256") != 0))
		return refuse(why, 409, "The only hash algorithm here is sha256");
	if (!read_ref(out->root, &ref))
		return refuse(why, 422, "\"ref\" must be an object with a \"name\"");
	int status = read_transfers(out, json_object_get(out->root, "transfers"), why);
	return status ? status : read_objects(out, json_object_get(out->root, "objects"), why);
}

void lfs_batch_body_fini(struct lfs_batch_body *body)
{
	free(body->objects);
	json_decref(body->root);
	*body = (struct lfs_batch_body){ 0 };
}

/* ------------------------------------------------------------------ locks */

/* A text or nothing. */
static bool read_text(const json_t *root, const char *key, const char **out)
{
	const json_t *value = json_object_get(root, key);
	*out = json_is_string(value) ? json_string_value(value) : "";
	return is_absent(value) || json_is_string(value);
}

int lfs_lock_body_read(struct span text, struct lfs_lock_body *out, struct why *why)
{
	*out = (struct lfs_lock_body){ .path = "", .ref = "", .cursor = "", .limit = LFS_LOCKS_PAGE };
	out->root = json_body_parse(text.length ? text : span_text("{}"), why);
	if (!out->root)
		return 422;
	const json_t *force = json_object_get(out->root, "force"), *limit = json_object_get(out->root, "limit");
	if (!read_text(out->root, "path", &out->path) || !read_text(out->root, "cursor", &out->cursor))
		return refuse(why, 422, "\"path\" and \"cursor\" must be texts");
	if (!read_ref(out->root, &out->ref))
		return refuse(why, 422, "\"ref\" must be an object with a \"name\"");
	if (!is_absent(force) && !json_is_boolean(force))
		return refuse(why, 422, "\"force\" must be true or false");
	if (!is_absent(limit) && (!json_is_integer(limit) || json_integer_value(limit) < 0))
		return refuse(why, 422, "\"limit\" must be a whole number");
	json_int_t number = json_integer_value(limit);
	if (number > 0) /* 0 is how some clients say "as you like" */
		out->limit = number < LFS_LOCKS_PAGE_MAX ? (long)number : LFS_LOCKS_PAGE_MAX;
	out->force = json_is_true(force);
	return 0;
}

void lfs_lock_body_fini(struct lfs_lock_body *body)
{
	json_decref(body->root);
	*body = (struct lfs_lock_body){ 0 };
}
