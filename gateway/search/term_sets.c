#include "gateway/search/term_sets.h"

#include <string.h>

void term_sets_init(struct term_sets *sets)
{
	memset(sets, 0, sizeof(*sets));
	for (size_t i = 0; i < TERM_SETS_MAX; i++)
		pthread_mutex_init(&sets->slots[i].lock, NULL);
}

void term_sets_fini(struct term_sets *sets)
{
	for (size_t i = 0; i < TERM_SETS_MAX; i++) {
		doc_set_fini(&sets->slots[i].set);
		pthread_mutex_destroy(&sets->slots[i].lock);
	}
}

/* Of so many documents only so many sets fit. NULL: none. */
static struct term_set *slot_of(struct term_sets *sets, const struct key *prefix, const struct doc_set *set)
{
	size_t bytes = (set->blocks_count + 1) * sizeof(*set->blocks), usable = TERM_SETS_BYTES_MAX / bytes;
	if (usable > TERM_SETS_MAX)
		usable = TERM_SETS_MAX;
	return usable ? &sets->slots[search_term_slot(prefix) % usable] : NULL;
}

bool term_sets_add(struct term_sets *sets, const struct key *prefix, unsigned version, struct doc_set *out)
{
	struct term_set *slot = slot_of(sets, prefix, out);
	if (!slot)
		return false;
	pthread_mutex_lock(&slot->lock);
	bool known = slot->version == version && slot->set.blocks_count == out->blocks_count && slot->key_length == prefix->length &&
		memcmp(slot->key, prefix->bytes, prefix->length) == 0;
	if (known)
		doc_set_or(out, &slot->set);
	pthread_mutex_unlock(&slot->lock);
	return known;
}

void term_sets_keep(struct term_sets *sets, const struct key *prefix, unsigned version, const struct doc_set *set)
{
	struct doc_set copy;
	struct term_set *slot = slot_of(sets, prefix, set);
	if (!slot || prefix->length > sizeof(slot->key) || doc_set_init(&copy, set->docs) != 0)
		return;
	doc_set_or(&copy, set);
	pthread_mutex_lock(&slot->lock);
	struct doc_set old = slot->set;
	slot->set = copy;
	memcpy(slot->key, prefix->bytes, prefix->length);
	slot->key_length = prefix->length;
	slot->version = version;
	pthread_mutex_unlock(&slot->lock);
	doc_set_fini(&old);
}
