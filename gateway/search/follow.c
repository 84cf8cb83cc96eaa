/* follow.c - the thread that keeps the index up to date.
 *
 * Each round reads the streams from where the last one ended, gathers the repositories that they name, at most ROUND_REPOS_MAX, each once, brings these up to
 * date in one batch, and writes the batch with the new positions. Rounds are ROUND_PAUSE_MS apart while changes keep coming, so that a repository that gets a
 * hundred commits in that time costs one. A fresh index, and one that fell behind, first goes over all repositories; the positions it then begins at are
 * those from before. Once a day what happened thirty days ago leaves the sums: those repositories that have any are looked at again. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "gateway/process.h"
#include "gateway/search/follower.h"
#include "replication/changes.h"
#include "replication/downloads.h"

enum {
	ROUND_PAUSE_MS = 50,
	IDLE_WAIT_MS = 10 * 1000,
	FAILED_WAIT_MS = 1000,
	FAILURES_MAX = 10,  /* in a row: then the index is made anew */
	FOLLOW_NICE = 10, /* behind requests */
	RETRY_MS_FIRST = 5000, RETRY_MS_MAX = 600 * 1000, /* twice as long each time */
};

/* Disk space that the index leaves free: a database does not survive every write that fails. */
static const uint64_t room_bytes_min = UINT64_C(192) << 20;

bool round_add(struct round *round, const struct entity_id *repo)
{
	size_t at = (size_t)XXH3_64bits(repo->bytes, ENTITY_ID_BYTES) % ROUND_SLOTS;
	for (; round->slots[at]; at = (at + 1) % ROUND_SLOTS)
		if (memcmp(round->repos[round->slots[at] - 1].bytes, repo->bytes, ENTITY_ID_BYTES) == 0)
			return true;
	if (round->count == ROUND_REPOS_MAX)
		return false;
	round->repos[round->count++] = *repo;
	round->slots[at] = (uint16_t)round->count;
	return true;
}

void round_clear(struct round *round)
{
	round->count = 0;
	memset(round->slots, 0, sizeof(round->slots));
}

static bool is_closing(struct search *search)
{
	pthread_mutex_lock(&search->mutex);
	bool closing = search->closing;
	pthread_mutex_unlock(&search->mutex);
	return closing;
}

bool follower_is_closing(struct follower *follower)
{
	return is_closing(follower->search);
}

/* ------------------------------------------------------------------ weights that were read before */

static int weights_get(void *context, const struct hash *file, struct buffer *out)
{
	struct follower *follower = context;
	return search_base_weights(follower->base, file, out);
}

static void weights_put(void *context, const struct hash *file, struct span json)
{
	struct follower *follower = context;
	search_writer_weights(follower->writer, file, json);
}

/* ------------------------------------------------------------------ a batch */

static int update_one(struct follower *follower, const struct entity_id *repo)
{
	struct search *search = follower->search;
	int done = document_update(search->gateway, follower->writer, &follower->cache, repo, unix_ms());
	if (done == ERR_CORRUPT || done == ERR_NOT_FOUND) {
		char id[ENTITY_ID_TEXT_BYTES];
		hex_encode(id, repo->bytes, ENTITY_ID_BYTES);
		fprintf(stderr, "cairn: search: the head of repository %s cannot be read (%s)\n", id, err_name(done));
		return 0;
	}
	if (done < 0 && done != ERR_BUSY)
		return done;
	if (done == DOCUMENT_INCOMPLETE || done == ERR_BUSY) { /* what it is made of may be on nodes that cannot be asked now: the others do not wait for it */
		follower->retries[follower->retries_count++ % RETRIES_MAX] = *repo;
		follower->retry_ms = unix_ms() + (follower->retry_wait_ms ? follower->retry_wait_ms : RETRY_MS_FIRST);
	}
	if (done == ERR_BUSY)
		return 0;
	pthread_mutex_lock(&search->mutex);
	search->indexed += done != DOCUMENT_SAME;
	search->facts_made += done == DOCUMENT_FACTS_MADE;
	pthread_mutex_unlock(&search->mutex);
	return 0;
}

void follower_write_position(struct follower *follower, const struct position *position)
{
	search_writer_meta(follower->writer, "cluster", position->cluster);
	search_writer_meta(follower->writer, "repos", position->repos);
	search_writer_meta(follower->writer, "downloads", position->downloads);
}

int follower_update_round(struct follower *follower)
{
	int err = 0;
	for (size_t i = 0; i < follower->round.count && err == 0; i++) {
		err = update_one(follower, &follower->round.repos[i]);
		if (err == 0 && search_writer_is_full(follower->writer))
			err = search_writer_end(follower->writer);
	}
	return err;
}

/* ------------------------------------------------------------------ following */

static int see_cluster(void *context, const struct change *change)
{
	static const struct entity_id nothing;
	struct follower *follower = context;
	bool of_repo = memcmp(&change->repo, &nothing, sizeof(nothing)) != 0;
	if (of_repo && !round_add(&follower->round, &change->repo))
		return STOP_ROUND_FULL;
	follower->next.cluster = change->number;
	return 0;
}

static int see_repos(void *context, const struct change *change)
{
	struct follower *follower = context;
	if (change->type == COMMAND_DOWNLOADS_ADD)
		follower->next.downloads_known = change->item;
	else if (!round_add(&follower->round, &change->repo))
		return STOP_ROUND_FULL;
	follower->next.repos = change->number;
	return 0;
}

static int see_downloads(void *context, const struct entity_id *repo, uint64_t index)
{
	struct follower *follower = context;
	if (!round_add(&follower->round, repo))
		return STOP_ROUND_FULL;
	follower->downloads_seen = index;
	follower->next.downloads = index - 1; /* more of this one may follow */
	follower->next.within = true;
	follower->next.downloads_repo = *repo;
	return 0;
}

/* Fills the round. *more: it is not all. ERR_RANGE: too far behind. */
static int gather(struct follower *follower, bool *more)
{
	struct namespace *ns = follower->search->gateway->ns;
	round_clear(&follower->round);
	follower->next = follower->position;
	if (follower->retries_count == 0)
		follower->retry_wait_ms = 0;
	if (follower->retries_count && unix_ms() >= follower->retry_ms) {
		int64_t wait_ms = follower->retry_wait_ms ? 2 * follower->retry_wait_ms : 2 * RETRY_MS_FIRST;
		follower->retry_wait_ms = wait_ms < RETRY_MS_MAX ? wait_ms : RETRY_MS_MAX;
		size_t count = follower->retries_count < RETRIES_MAX ? follower->retries_count : RETRIES_MAX;
		follower->retries_count = 0;
		for (size_t i = 0; i < count; i++)
			round_add(&follower->round, &follower->retries[i]);
	}
	int stop = changes_read(ns, GROUP_CLUSTER, follower->position.cluster, see_cluster, follower);
	if (stop == 0)
		stop = changes_read(ns, GROUP_REPOS, follower->position.repos, see_repos, follower);
	if (stop == 0 && (follower->next.downloads_known > follower->position.downloads || !follower->has_begun)) {
		const struct position *at = &follower->position;
		stop = downloads_changed(ns, at->within ? at->downloads + 1 : at->downloads, at->within ? &at->downloads_repo : NULL, see_downloads, follower);
		if (stop == 0) {
			uint64_t known = follower->next.downloads_known;
			follower->next.downloads = known > follower->downloads_seen ? known : follower->downloads_seen;
			follower->next.downloads_known = follower->next.downloads;
			follower->next.within = false;
			follower->has_begun = true;
		}
	}
	*more = stop == STOP_ROUND_FULL;
	return stop < 0 ? stop : 0;
}

static void publish(struct follower *follower)
{
	struct search *search = follower->search;
	uint64_t documents = 0;
	search_meta(&follower->base->db, NULL, "docs", &documents);
	pthread_mutex_lock(&search->mutex);
	search->cluster = follower->position.cluster;
	search->repos = follower->position.repos;
	search->whole = search->whole || (search->cluster >= search->begin_cluster && search->repos >= search->begin_repos);
	search->documents = documents;
	pthread_cond_broadcast(&search->caught_up);
	pthread_mutex_unlock(&search->mutex);
}

/* One round. *more: another one should follow at once. */
static int follow_once(struct follower *follower, bool *more)
{
	int err = gather(follower, more);
	if (err)
		return err;
	bool moved = follower->next.cluster != follower->position.cluster || follower->next.repos != follower->position.repos;
	if (!moved && follower->round.count == 0)
		return 0;
	err = follower_update_round(follower);
	if (err)
		return err;
	follower_write_position(follower, &follower->next);
	err = search_writer_end(follower->writer);
	if (err == 0) {
		follower->position = follower->next;
		publish(follower);
	}
	return err;
}

/* ------------------------------------------------------------------ the thread */

static int begin(struct follower *follower, struct search *search, struct search_base *base)
{
	*follower = (struct follower){ .search = search, .base = base, .cache = { follower, weights_get, weights_put } };
	int err = search_writer_open(&follower->writer, &base->db);
	if (err == 0)
		err = search_meta(&base->db, NULL, "cluster", &follower->position.cluster);
	if (err == 0)
		err = search_meta(&base->db, NULL, "repos", &follower->position.repos);
	if (err == 0)
		err = search_meta(&base->db, NULL, "downloads", &follower->position.downloads);
	follower->position.downloads_known = follower->downloads_seen = follower->position.downloads;
	return err;
}

/* A new base beside the one in use, whole before it takes its place. */
static int rebuild(struct follower *follower)
{
	struct search *search = follower->search;
	struct search_base *base;
	struct why why = { 0 };
	struct follower *other = calloc(1, sizeof(*other));
	int err = other ? search_base_open(&base, search->dir, follower->base->generation + 1, &why) : ERR_NO_MEMORY;
	if (err == 0) {
		err = begin(other, search, base);
		if (err == 0)
			err = follower_scan_all(other);
		if (err) {
			search_writer_close(other->writer);
			base->obsolete = true;
			search_base_release(base);
		}
	}
	if (err == 0) {
		search_writer_close(follower->writer);
		struct search_base *old = follower->base;
		*follower = *other;
		follower->cache.context = follower;
		pthread_mutex_lock(&search->mutex);
		search->base = base;
		pthread_mutex_unlock(&search->mutex);
		old->obsolete = true;
		search_base_release(old);
		publish(follower);
	} else {
		fprintf(stderr, "cairn: search: the index cannot be made anew: %s\n", why.text[0] ? why.text : err_name(err));
	}
	free(other);
	pthread_mutex_lock(&search->mutex);
	search->rebuilding = false;
	pthread_mutex_unlock(&search->mutex);
	return err;
}

static bool wants_rebuild(struct search *search)
{
	pthread_mutex_lock(&search->mutex);
	bool wanted = search->rebuild_wanted;
	search->rebuild_wanted = false;
	search->rebuilding = search->rebuilding || wanted;
	pthread_mutex_unlock(&search->mutex);
	return wanted;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static bool has_room(const struct search *search)
{
	struct statvfs info;
	return statvfs(search->dir, &info) != 0 || (uint64_t)info.f_bavail * info.f_frsize >= room_bytes_min;
}

/* What is there has to do: there is no room for what is missing. */
static void settle_for(struct search *search)
{
	pthread_mutex_lock(&search->mutex);
	search->whole = true;
	pthread_cond_broadcast(&search->caught_up);
	pthread_mutex_unlock(&search->mutex);
}

/* The streams no longer say what is missing. */
static int start_over(struct follower *follower)
{
	struct search *search = follower->search;
	int err = consensus_alone(namespace_consensus(search->gateway->ns)) ? 0 : search_begin_whole(search);
	return err ? err : follower_scan_all(follower);
}

static int follow_on(struct follower *follower, bool *more)
{
	uint64_t complete;
	int err = search_meta(&follower->base->db, NULL, "complete", &complete);
	if (!has_room(follower->search)) {
		if (err == 0 && complete)
			settle_for(follower->search);
		return ERR_NO_SPACE;
	}
	if (err == 0 && !complete)
		err = follower_scan_all(follower);
	if (err == 0)
		err = follow_once(follower, more);
	if (err == ERR_RANGE)
		err = start_over(follower);
	return err ? err : follower_sweep_daily(follower);
}

/* Said once for each kind of failure in a row. */
static void tell_failure(int err, int last)
{
	if (err && err != ERR_CLOSED && err != last)
		fprintf(stderr, "cairn: search: the index cannot be brought up to date: %s\n", err_name(err));
}

/* One turn; what went wrong. */
static int turn(struct follower *follower, struct search *search)
{
	uint64_t version = namespace_version(search->gateway->ns);
	bool more = false;
	int err = follower->writer ? 0 : begin(follower, search, search->base);
	if (wants_rebuild(search) && rebuild(follower) == 0)
		err = 0; /* whatever was wrong with the old one */
	if (err == 0)
		err = follow_on(follower, &more);
	if (err) { /* next time from what is on the disk */
		search_writer_close(follower->writer);
		follower->writer = NULL;
		return err;
	}
	publish(follower);
	if (!more && !is_closing(search))
		changes_wait(search->gateway->ns, version, follower->retries_count ? RETRY_MS_FIRST : IDLE_WAIT_MS);
	pause_ms(more ? 0 : ROUND_PAUSE_MS);
	return 0;
}

void *search_follow(void *context)
{
	struct search *search = context;
	struct follower *follower = calloc(1, sizeof(*follower));
	int last = 0;
	pthread_setname_np(pthread_self(), "search");
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), FOLLOW_NICE);
	for (unsigned failures = 0; follower && !is_closing(search);) {
		int err = turn(follower, search);
		tell_failure(err, last);
		last = err;
		failures = err == 0 || err == ERR_NO_SPACE ? 0 : failures + 1;
		if (failures == FAILURES_MAX) {
			search_rebuild(search, NULL);
			failures = 0;
		}
		if (err && !is_closing(search))
			pause_ms(FAILED_WAIT_MS);
	}
	if (follower)
		search_writer_close(follower->writer);
	free(follower);
	return NULL;
}
