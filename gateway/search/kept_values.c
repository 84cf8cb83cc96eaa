#include "gateway/search/kept_values.h"

#include <stdlib.h>

void kept_values_init(struct kept_values *kept)
{
	for (size_t i = 0; i < KEPT_VALUES_LOCKS; i++)
		pthread_mutex_init(&kept->locks[i], NULL);
	kept->slots = calloc(KEPT_VALUES_MAX, sizeof(*kept->slots));
}

void kept_values_fini(struct kept_values *kept)
{
	for (size_t i = 0; i < KEPT_VALUES_LOCKS; i++)
		pthread_mutex_destroy(&kept->locks[i]);
	free(kept->slots);
}

static int read_values(const struct search_db *db, uint32_t number, struct doc_values *out)
{
	struct key key;
	struct span value;
	int err;
	search_key_doc(&key, 'c', number);
	rocksdb_pinnableslice_t *slice = search_get(db, NULL, &key, &value, &err);
	if (err == 0 && !doc_values_decode(out, value))
		err = slice ? ERR_CORRUPT : ERR_NOT_FOUND;
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	return err;
}

int kept_values_get(struct kept_values *kept, const struct search_db *db, uint32_t number, struct doc_values *out)
{
	if (!kept->slots)
		return read_values(db, number, out);
	struct kept_value *slot = &kept->slots[number % KEPT_VALUES_MAX];
	pthread_mutex_t *lock = &kept->locks[number % KEPT_VALUES_LOCKS];
	unsigned version = atomic_load(&db->doc_versions[search_doc_slot(number)]);
	pthread_mutex_lock(lock);
	bool known = slot->number == number + 1 && slot->version == version;
	if (known)
		*out = slot->values;
	pthread_mutex_unlock(lock);
	int err = known ? 0 : read_values(db, number, out);
	if (known || err)
		return err;
	pthread_mutex_lock(lock);
	*slot = (struct kept_value){ .number = number + 1, .version = version, .values = *out };
	pthread_mutex_unlock(lock);
	return 0;
}
