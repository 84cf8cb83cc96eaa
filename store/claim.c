/* claim.c - many claims at once: a few thousand records share one sync. And who is about to name what they are for. */
#include <stdlib.h>

#include "schemas/volume_record.h"
#include "store/core.h"
#include "store/journal.h"

enum { CLAIMS_PER_COMMIT = 1024 };

struct claims {
	struct journal_record records[CLAIMS_PER_COMMIT];
	uint8_t payloads[CLAIMS_PER_COMMIT][CLAIM_RECORD_BYTES];
	size_t count;
};

/* Under `registration`. */
static int add(struct claims *claims, struct store *store, const struct entity_id *owner, const struct hash *file, struct why *why)
{
	struct index_file entry;
	int64_t claimed_ms, now = store_now_ms();
	int err = index_file(store->index, file, &entry);
	if (err)
		return why_set(why, err, "the file is not stored");
	if (index_claim(store->index, file, owner, &claimed_ms) == 0 && store_claim_is_fresh(store, claimed_ms, now))
		return 0;
	uint8_t *payload = claims->payloads[claims->count];
	claim_record_encode(payload, &(struct claim_record){ *file, *owner, now, entry.record.length });
	claims->records[claims->count++] = (struct journal_record){ .kind = VOLUME_CLAIM, .payload = span_of(payload, CLAIM_RECORD_BYTES) };
	return 0;
}

int store_claim_many(struct store *store, const struct entity_id *owner, const struct hash *files, size_t count, struct why *why)
{
	struct claims *claims = malloc(sizeof(*claims));
	int err = claims ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for claims");
	for (size_t at = 0; at < count && err == 0;) {
		claims->count = 0;
		for (size_t i = at; i < count && i < at + CLAIMS_PER_COMMIT; i++)
			store_want_file(store, &files[i]);
		pthread_rwlock_rdlock(&store->registration);
		for (size_t i = 0; i < CLAIMS_PER_COMMIT && at < count && err == 0; i++)
			err = add(claims, store, owner, &files[at++], why);
		if (err == 0 && claims->count)
			err = journal_commit(store->journal, claims->records, claims->count, why);
		pthread_rwlock_unlock(&store->registration);
	}
	free(claims);
	if (err == 0)
		err = store_settle_files(store, files, count, why);
	return err ? err : store_await_copies(store, why);
}

/* ------------------------------------------------------------------ naming */

void store_naming_begin(struct store *store, struct upload_entry *naming)
{
	*naming = (struct upload_entry){ 0 };
	upload_list_add(&store->namings, naming);
}

void store_naming_end(struct store *store, struct upload_entry *naming)
{
	upload_list_remove(&store->namings, naming);
}

bool store_is_collecting(struct store *store)
{
	return store->collecting_since_ms != 0;
}

uint64_t store_collections(struct store *store)
{
	return store->collections;
}
