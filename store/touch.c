/* touch.c - xorbs that count as young again: somebody was told that they are here, and will lean on them.
 *
 * What another node asks for becomes as young as it is there and no younger. So nodes that ask each other again and again keep no garbage for ever: what nobody
 * sends grows old everywhere. */
#include <stdlib.h>

#include "store/core.h"

struct touches {
	struct journal_record *records;
	uint8_t (*payloads)[TOUCH_RECORD_BYTES];
	size_t used;
};

/* And holds off garbage collections. */
static int begin(struct touches *touches, struct store *store, size_t count, struct why *why)
{
	touches->records = calloc(count + 1, sizeof(*touches->records));
	touches->payloads = calloc(count + 1, sizeof(*touches->payloads));
	touches->used = 0;
	pthread_rwlock_rdlock(&store->registration);
	return touches->records && touches->payloads ? 0 : why_set(why, ERR_NO_MEMORY, "no memory to touch xorbs");
}

static int stored_at(struct store *store, const struct hash *xorb, int64_t *out)
{
	struct index_xorb entry = { 0 };
	int err = index_xorb(store->index, xorb, &entry);
	*out = entry.stored_ms;
	index_xorb_fini(&entry);
	return err;
}

static void add(struct touches *touches, const struct hash *xorb, int64_t at_ms)
{
	uint8_t *payload = touches->payloads[touches->used];
	touch_record_encode(payload, &(struct touch_record){ *xorb, at_ms });
	touches->records[touches->used++] = (struct journal_record){ .kind = VOLUME_TOUCH, .payload = span_of(payload, TOUCH_RECORD_BYTES) };
}

static int end(struct touches *touches, struct store *store, int err, struct why *why)
{
	if (err == 0 && touches->used)
		err = journal_commit(store->journal, touches->records, touches->used, why);
	pthread_rwlock_unlock(&store->registration);
	free(touches->records);
	free(touches->payloads);
	return err;
}

int store_touch_xorbs(struct store *store, const struct hash *xorbs, size_t count, int64_t after_ms, struct why *why)
{
	struct touches touches;
	int64_t now = store_now_ms(), stored_ms;
	int err = begin(&touches, store, count, why);
	for (size_t i = 0; i < count && err == 0; i++) {
		err = stored_at(store, &xorbs[i], &stored_ms);
		if (err)
			why_set(why, err, "the xorb cannot be found");
		else if (now - stored_ms > after_ms)
			add(&touches, &xorbs[i], now);
	}
	return end(&touches, store, err, why);
}

int store_make_as_young(struct store *store, const struct hash *xorbs, const uint64_t *ages_ms, size_t count, struct why *why)
{
	struct touches touches;
	int64_t now = store_now_ms(), stored_ms;
	int err = begin(&touches, store, count, why);
	for (size_t i = 0; i < count && err == 0; i++) {
		int64_t age_ms = ages_ms[i] < (uint64_t)now ? (int64_t)ages_ms[i] : now;
		err = stored_at(store, &xorbs[i], &stored_ms);
		if (err == 0 && now - stored_ms > age_ms + TOUCH_SLACK_MS)
			add(&touches, &xorbs[i], now - age_ms);
		err = err == ERR_NOT_FOUND ? 0 : err;
	}
	return end(&touches, store, err, why);
}
