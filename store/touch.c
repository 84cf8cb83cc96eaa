/* touch.c - xorbs that count as young again: somebody was told that they are here, and will lean on them. */
#include <stdlib.h>

#include "store/core.h"

int store_touch_xorbs(struct store *store, const struct hash *xorbs, size_t count, int64_t after_ms, struct why *why)
{
	struct journal_record *records = calloc(count + 1, sizeof(*records));
	uint8_t(*payloads)[TOUCH_RECORD_BYTES] = calloc(count + 1, sizeof(*payloads));
	size_t used = 0;
	int64_t now = store_now_ms();
	int err = records && payloads ? 0 : why_set(why, ERR_NO_MEMORY, "no memory to touch xorbs");
	pthread_rwlock_rdlock(&store->registration);
	for (size_t i = 0; i < count && err == 0; i++) {
		struct index_xorb entry;
		err = index_xorb(store->index, &xorbs[i], &entry);
		index_xorb_fini(&entry);
		if (err) {
			why_set(why, err, "the xorb cannot be found");
		} else if (now - entry.stored_ms > after_ms) {
			touch_record_encode(payloads[used], &(struct touch_record){ xorbs[i], now });
			records[used] = (struct journal_record){ .kind = VOLUME_TOUCH, .payload = span_of(payloads[used], TOUCH_RECORD_BYTES) };
			used++;
		}
	}
	if (err == 0 && used)
		err = journal_commit(store->journal, records, used, why);
	pthread_rwlock_unlock(&store->registration);
	free(records);
	free(payloads);
	return err;
}
