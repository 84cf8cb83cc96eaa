#include "gateway/search/revision_facts.h"

#include <pthread.h>
#include <stdlib.h>

#include "gateway/search/search.h"

static struct {
	pthread_mutex_t lock;
	struct revision_facts *slots[REVISION_FACTS_SLOTS];
	size_t bytes;
	size_t hand; /* next slot to give up when the table is too heavy */
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

static size_t slot_of(const struct entity_id *repo, const struct oid *commit)
{
	uint32_t a, b;
	memcpy(&a, repo->bytes, sizeof(a));
	memcpy(&b, commit->bytes, sizeof(b));
	return (a ^ b * 0x9e3779b1u) % REVISION_FACTS_SLOTS;
}

static void release_locked(struct revision_facts *facts)
{
	if (--facts->references > 0)
		return;
	facts_fini(&facts->facts);
	free(facts);
}

static void drop_slot_locked(size_t slot)
{
	if (!table.slots[slot])
		return;
	table.bytes -= table.slots[slot]->bytes;
	release_locked(table.slots[slot]);
	table.slots[slot] = NULL;
}

static struct revision_facts *find(const struct entity_id *repo, const struct oid *commit)
{
	pthread_mutex_lock(&table.lock);
	struct revision_facts *found = table.slots[slot_of(repo, commit)];
	if (found && memcmp(&found->repo, repo, sizeof(*repo)) == 0 && memcmp(&found->commit, commit, sizeof(*commit)) == 0)
		found->references++;
	else
		found = NULL;
	pthread_mutex_unlock(&table.lock);
	return found;
}

static void add(struct revision_facts *facts)
{
	facts->bytes = sizeof(*facts);
	for (size_t i = 0; i < FACTS_COUNT; i++)
		facts->bytes += facts->facts.json[i] ? strlen(facts->facts.json[i]) + 1 : 0;
	if (facts->bytes > REVISION_FACTS_BYTES_MAX / 8)
		return;
	pthread_mutex_lock(&table.lock);
	size_t slot = slot_of(&facts->repo, &facts->commit);
	drop_slot_locked(slot);
	while (table.bytes + facts->bytes > REVISION_FACTS_BYTES_MAX) {
		drop_slot_locked(table.hand);
		table.hand = (table.hand + 1) % REVISION_FACTS_SLOTS;
	}
	facts->references++;
	table.slots[slot] = facts;
	table.bytes += facts->bytes;
	pthread_mutex_unlock(&table.lock);
}

void revision_facts_release(struct revision_facts *facts)
{
	if (!facts)
		return;
	pthread_mutex_lock(&table.lock);
	release_locked(facts);
	pthread_mutex_unlock(&table.lock);
}

static int weights_get(void *context, const struct hash *file, struct buffer *out)
{
	return search_weights(context, file, out);
}

static void weights_put(void *context, const struct hash *file, struct span json)
{
	(void)context, (void)file, (void)json; /* only the index writes */
}

static int read_or_make(struct gateway *gateway, const struct repo *repo, const struct oid *commit, struct facts *out)
{
	struct search *search = gateway->search;
	struct facts_cache cache = { search, weights_get, weights_put };
	struct doc_found found;
	if (search && commit) {
		if (search_find(search, &repo->id, &found, out) == 0 && found.doc.has_commit && out->json[FACT_TAGS] &&
			memcmp(&found.doc.commit, commit, sizeof(*commit)) == 0)
			return 0;
		facts_fini(out);
	}
	int err = facts_make(gateway, repo, commit, search ? &cache : NULL, out);
	buffer_fini(&out->text);
	return err;
}

int revision_facts_get(struct gateway *gateway, const struct repo *repo, const struct oid *commit, enum repo_wait wait, struct revision_facts **out)
{
	static const struct oid nothing;
	*out = find(&repo->id, commit ? commit : &nothing);
	if (*out)
		return 0;
	if (wait == REPO_NO_WAIT)
		return ERR_AGAIN;
	struct revision_facts *made = calloc(1, sizeof(*made));
	if (!made)
		return ERR_NO_MEMORY;
	made->references = 1;
	made->repo = repo->id;
	made->commit = commit ? *commit : nothing;
	int err = read_or_make(gateway, repo, commit, &made->facts);
	if (err) {
		revision_facts_release(made);
		return err;
	}
	if (!made->facts.incomplete)
		add(made);
	*out = made;
	return 0;
}
