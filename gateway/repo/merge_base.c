/* merge_base.c
 *
 * Both histories are walked at once, newest commit first, each commit marked with the sides it is reachable from. The first commit that comes off the queue with
 * both marks is shared, and no newer one is: so the walk ends where the histories meet instead of at their roots. Clocks that ran backwards can make it a
 * shared commit that is not the newest, which costs conflicts that need not be, never a wrong merge. */
#include "gateway/repo/merge_base.h"

#include <stdlib.h>

#include "gateway/repo/object.h"

enum { SIDE_A = 1, SIDE_B = 2, SIDES = 3 };

struct mark {
	struct oid oid;
	uint8_t sides;
	bool used;
};
struct queued {
	int64_t when_seconds;
	size_t mark; /* index; marks move when they grow, so no pointer */
};
struct search {
	struct gateway *gateway;
	const struct entity_id *repo;
	struct mark *marks;    /* open addressing, a power of two */
	size_t marks_capacity, marks_count;
	struct queued *queue;  /* a heap, newest first */
	size_t queue_count, queue_capacity;
};

static size_t slot_of(const struct search *search, const struct oid *oid)
{
	uint64_t hash;
	memcpy(&hash, oid->bytes, sizeof(hash));
	size_t slot = (size_t)hash & (search->marks_capacity - 1);
	while (search->marks[slot].used && !git_oid_equal(&search->marks[slot].oid, oid))
		slot = (slot + 1) & (search->marks_capacity - 1);
	return slot;
}

/* Room is made before the walk: queue entries hold indexes into the marks. */
static int init(struct search *search)
{
	search->marks_capacity = 1;
	while (search->marks_capacity < 2 * (MERGE_BASE_COMMITS_MAX + 1))
		search->marks_capacity *= 2;
	search->marks = calloc(search->marks_capacity, sizeof(*search->marks));
	return search->marks ? 0 : ERR_NO_MEMORY;
}

static int push(struct search *search, struct queued item)
{
	if (search->queue_count == search->queue_capacity) {
		size_t capacity = search->queue_capacity ? search->queue_capacity * 2 : 64;
		struct queued *queue = realloc(search->queue, capacity * sizeof(*queue));
		if (!queue)
			return ERR_NO_MEMORY;
		search->queue = queue;
		search->queue_capacity = capacity;
	}
	size_t at = search->queue_count++;
	for (; at > 0 && search->queue[(at - 1) / 2].when_seconds < item.when_seconds; at = (at - 1) / 2)
		search->queue[at] = search->queue[(at - 1) / 2];
	search->queue[at] = item;
	return 0;
}

static struct queued pop(struct search *search)
{
	struct queued top = search->queue[0], last = search->queue[--search->queue_count];
	size_t at = 0;
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= search->queue_count)
			break;
		if (child + 1 < search->queue_count && search->queue[child + 1].when_seconds > search->queue[child].when_seconds)
			child++;
		if (search->queue[child].when_seconds <= last.when_seconds)
			break;
		search->queue[at] = search->queue[child];
		at = child;
	}
	if (search->queue_count)
		search->queue[at] = last;
	return top;
}

static int load(struct search *search, const struct oid *oid, struct git_commit *out, struct commit **commit)
{
	int err = commit_load(search->gateway, search->repo, oid, REPO_MAY_WAIT, true, commit);
	if (err)
		return err;
	err = git_commit_decode(out, span_of((*commit)->payload, (*commit)->length));
	if (err)
		cached_release(&(*commit)->cached);
	return err;
}

/* Marks a commit; queued (again) when that was news. */
static int reach(struct search *search, const struct oid *oid, uint8_t sides)
{
	size_t slot = slot_of(search, oid);
	struct mark *mark = &search->marks[slot];
	if (mark->used && (mark->sides | sides) == mark->sides)
		return 0;
	if (!mark->used && search->marks_count++ >= MERGE_BASE_COMMITS_MAX)
		return ERR_TOO_BIG;
	mark->used = true;
	mark->oid = *oid;
	mark->sides |= sides;
	struct git_commit parsed;
	struct commit *commit;
	int err = load(search, oid, &parsed, &commit);
	if (err)
		return err;
	struct queued item = { .when_seconds = parsed.committer.when_seconds, .mark = slot };
	cached_release(&commit->cached);
	return push(search, item);
}

static int reach_parents(struct search *search, const struct mark *mark)
{
	struct git_commit parsed;
	struct commit *commit;
	int err = load(search, &mark->oid, &parsed, &commit);
	if (err)
		return err;
	for (size_t i = 0; i < parsed.parents_count && err == 0; i++)
		err = reach(search, &parsed.parents[i], mark->sides);
	cached_release(&commit->cached);
	return err;
}

static int run(struct search *search, const struct oid *a, const struct oid *b, struct oid *out)
{
	int err = init(search);
	if (err == 0)
		err = reach(search, a, SIDE_A);
	if (err == 0)
		err = reach(search, b, SIDE_B);
	while (err == 0) {
		if (search->queue_count == 0)
			return ERR_NOT_FOUND;
		struct mark mark = search->marks[pop(search).mark];
		if (mark.sides == SIDES) {
			*out = mark.oid;
			return 0;
		}
		err = reach_parents(search, &mark);
	}
	return err;
}

int repo_merge_base(struct gateway *gateway, const struct repo *repo, const struct oid *a, const struct oid *b, struct oid *out, struct why *why)
{
	struct search search = { .gateway = gateway, .repo = &repo->id };
	int err = run(&search, a, b, out);
	free(search.marks);
	free(search.queue);
	if (err == ERR_NOT_FOUND)
		return why_set(why, err, "The two histories have no commit in common");
	if (err == ERR_TOO_BIG)
		return why_set(why, err, "The two histories part too far back");
	return err ? why_set(why, err, "A commit of the history cannot be read") : 0;
}
