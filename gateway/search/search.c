#include "gateway/search/search.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "gateway/search/base.h"
#include "replication/changes.h"

enum { OPEN_WAIT_MS = 2000 };

/* ------------------------------------------------------------------ generations */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info, (void)kind, (void)ftw;
	return remove(path);
}

static void remove_directory(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int search_base_open(struct search_base **out, const char *dir, unsigned generation, struct why *why)
{
	struct search_base *base = calloc(1, sizeof(*base));
	*out = base;
	if (!base)
		return why_set(why, ERR_NO_MEMORY, "no memory for the search index");
	snprintf(base->dir, sizeof(base->dir), "%s/%u", dir, generation);
	base->generation = generation;
	base->references = 1;
	term_sets_init(&base->sets);
	kept_values_init(&base->values);
	int err = search_db_open(&base->db, base->dir, why);
	if (err) {
		term_sets_fini(&base->sets);
		kept_values_fini(&base->values);
		free(base);
		*out = NULL;
	}
	return err;
}

void search_base_release(struct search_base *base)
{
	if (!base || atomic_fetch_sub(&base->references, 1) != 1)
		return;
	term_sets_fini(&base->sets);
	kept_values_fini(&base->values);
	search_db_close(&base->db);
	if (base->obsolete)
		remove_directory(base->dir);
	free(base);
}

struct search_base *search_base_take(struct search *search)
{
	pthread_mutex_lock(&search->mutex);
	struct search_base *base = search->base;
	atomic_fetch_add(&base->references, 1);
	pthread_mutex_unlock(&search->mutex);
	return base;
}

/* Generations below `dir`, highest first. */
static size_t list_generations(const char *dir, unsigned *out, size_t max)
{
	size_t count = 0;
	DIR *handle = opendir(dir);
	for (struct dirent *entry; handle && count < max && (entry = readdir(handle)) != NULL;) {
		char *end;
		unsigned long number = strtoul(entry->d_name, &end, 10);
		if (*end || end == entry->d_name || number > UINT32_MAX / 2)
			continue;
		size_t at = count++;
		for (; at > 0 && out[at - 1] < number; at--)
			out[at] = out[at - 1];
		out[at] = (unsigned)number;
	}
	if (handle)
		closedir(handle);
	return count;
}

int search_base_open_newest(struct search_base **out, const char *dir, struct why *why)
{
	unsigned generations[64];
	size_t count = list_generations(dir, generations, 64);
	*out = NULL;
	for (size_t i = 0; i < count; i++) {
		struct search_base *base = NULL;
		uint64_t complete = 0;
		char path[4096];
		int err = *out ? ERR_NOT_FOUND : search_base_open(&base, dir, generations[i], NULL);
		if (err == 0)
			err = search_meta(&base->db, NULL, "complete", &complete);
		if (err == 0 && (complete || i + 1 == count)) {
			*out = base;
			continue;
		}
		search_base_release(base);
		snprintf(path, sizeof(path), "%s/%u", dir, generations[i]);
		remove_directory(path); /* a view: whatever is wrong with it, another one is made */
	}
	return *out ? 0 : search_base_open(out, dir, count ? generations[0] + 1 : 1, why);
}

int search_base_weights(struct search_base *base, const struct hash *file, struct buffer *out)
{
	struct key key;
	struct span value;
	int err;
	search_key_weights(&key, file);
	rocksdb_pinnableslice_t *slice = search_get(&base->db, NULL, &key, &value, &err);
	if (slice) {
		err = buffer_append(out, value.data, value.length);
		rocksdb_pinnableslice_destroy(slice);
		return err;
	}
	return err ? err : ERR_NOT_FOUND;
}

/* ------------------------------------------------------------------ life */

bool search_is_whole(struct search *search)
{
	pthread_mutex_lock(&search->mutex);
	bool whole = search->whole;
	pthread_mutex_unlock(&search->mutex);
	return whole;
}

int search_need_whole(struct search *search, struct why *why)
{
	return search_is_whole(search) ? 0 : why_set(why, ERR_BUSY, "This node does not know all repositories yet, try again or ask another");
}

int search_begin_whole(struct search *search)
{
	uint64_t cluster = 0, repos = 0;
	int err = changes_last(search->gateway->ns, GROUP_CLUSTER, &cluster);
	if (err == 0)
		err = changes_last(search->gateway->ns, GROUP_REPOS, &repos);
	pthread_mutex_lock(&search->mutex);
	search->whole = false;
	search->begin_cluster = cluster;
	search->begin_repos = repos;
	pthread_mutex_unlock(&search->mutex);
	return err;
}

static void until_after(struct timespec *until, int64_t timeout_ms)
{
	clock_gettime(CLOCK_MONOTONIC, until);
	until->tv_nsec += timeout_ms % 1000 * 1000000;
	until->tv_sec += timeout_ms / 1000 + until->tv_nsec / 1000000000;
	until->tv_nsec %= 1000000000;
}

/* Mostly nothing is missing, and the first requests need not be told otherwise. */
static void wait_for_whole(struct search *search)
{
	struct timespec until;
	until_after(&until, OPEN_WAIT_MS);
	pthread_mutex_lock(&search->mutex);
	while (!search->whole && pthread_cond_timedwait(&search->caught_up, &search->mutex, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&search->mutex);
}

int search_open(struct search **out, struct gateway *gateway, struct why *why)
{
	struct search *search = calloc(1, sizeof(*search));
	*out = search;
	if (!search)
		return why_set(why, ERR_NO_MEMORY, "no memory for the search index");
	search->gateway = gateway;
	pthread_mutex_init(&search->mutex, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&search->caught_up, &attributes);
	pthread_condattr_destroy(&attributes);
	snprintf(search->dir, sizeof(search->dir), "%s/search", gateway->data_dir);
	int err = mkdir(search->dir, 0700) != 0 && errno != EEXIST ? why_set(why, ERR_IO, "cannot make %s: %s", search->dir, strerror(errno)) : 0;
	if (err == 0)
		err = search_base_open_newest(&search->base, search->dir, why);
	if (err == 0 && search_begin_whole(search) != 0)
		err = why_set(why, ERR_IO, "the streams of changes cannot be read");
	if (err == 0 && pthread_create(&search->thread, NULL, search_follow, search) != 0)
		err = why_set(why, ERR_NO_MEMORY, "cannot start the search index");
	search->started = err == 0;
	if (err) {
		search_close(search);
		*out = NULL;
		return err;
	}
	wait_for_whole(search);
	return 0;
}

void search_close(struct search *search)
{
	if (!search)
		return;
	pthread_mutex_lock(&search->mutex);
	search->closing = true;
	pthread_mutex_unlock(&search->mutex);
	if (search->started) {
		changes_wake(search->gateway->ns);
		pthread_join(search->thread, NULL);
	}
	search_base_release(search->base);
	pthread_cond_destroy(&search->caught_up);
	pthread_mutex_destroy(&search->mutex);
	free(search);
}

bool search_catch_up(struct search *search, int64_t timeout_ms)
{
	struct namespace *ns = search->gateway->ns;
	uint64_t cluster, repos;
	struct timespec until;
	if (changes_last(ns, GROUP_CLUSTER, &cluster) != 0 || changes_last(ns, GROUP_REPOS, &repos) != 0)
		return false;
	until_after(&until, timeout_ms);
	pthread_mutex_lock(&search->mutex);
	int timed_out = 0;
	while (!timed_out && (search->cluster < cluster || search->repos < repos))
		timed_out = pthread_cond_timedwait(&search->caught_up, &search->mutex, &until) == ETIMEDOUT;
	bool caught_up = search->cluster >= cluster && search->repos >= repos;
	pthread_mutex_unlock(&search->mutex);
	return caught_up;
}

int search_rebuild(struct search *search, struct why *why)
{
	pthread_mutex_lock(&search->mutex);
	int err = search->rebuilding || search->rebuild_wanted ? why_set(why, ERR_EXISTS, "the search index is being made anew already") : 0;
	if (err == 0)
		search->rebuild_wanted = true;
	pthread_mutex_unlock(&search->mutex);
	changes_wake(search->gateway->ns);
	return err;
}

void search_status(struct search *search, struct search_status *out)
{
	uint64_t cluster = 0, repos = 0;
	changes_last(search->gateway->ns, GROUP_CLUSTER, &cluster);
	changes_last(search->gateway->ns, GROUP_REPOS, &repos);
	pthread_mutex_lock(&search->mutex);
	*out = (struct search_status){ .documents = search->documents, .rebuilding = search->rebuilding || search->rebuild_wanted,
		.generation = search->base->generation,
		.indexed = search->indexed, .facts_made = search->facts_made };
	out->behind = (cluster > search->cluster ? cluster - search->cluster : 0) + (repos > search->repos ? repos - search->repos : 0);
	pthread_mutex_unlock(&search->mutex);
}

/* ------------------------------------------------------------------ one repository */

static int read_document(const struct search_view *view, uint32_t number, struct doc_found *out, struct facts *facts)
{
	struct key key;
	struct span value, small;
	int err;
	out->number = number;
	search_key_doc(&key, 'd', number);
	rocksdb_pinnableslice_t *slice = search_get(view->db, view, &key, &value, &err);
	if (err == 0)
		err = slice ? doc_row_decode(&out->doc, &out->values, value, &small) : ERR_NOT_FOUND;
	if (err == 0 && facts)
		err = facts_decode(facts, small);
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	if (err || !facts)
		return err;
	search_key_doc(&key, 'f', number);
	slice = search_get(view->db, view, &key, &value, &err);
	if (err == 0)
		err = slice ? facts_decode(facts, value) : ERR_NOT_FOUND;
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	return err;
}

int search_find(struct search *search, const struct entity_id *repo, struct doc_found *out, struct facts *facts)
{
	struct search_base *base = search_base_take(search);
	struct search_view view;
	struct key key;
	struct span value;
	*out = (struct doc_found){ 0 };
	int err = search_view_open(&view, &base->db);
	if (err == 0) {
		search_key_repo(&key, repo);
		rocksdb_pinnableslice_t *slice = search_get(&base->db, &view, &key, &value, &err);
		if (err == 0)
			err = value.length == 4 ? 0 : ERR_NOT_FOUND;
		uint32_t number = err ? 0 : (uint32_t)get_big_endian(value.data, 4);
		if (slice)
			rocksdb_pinnableslice_destroy(slice);
		if (err == 0)
			err = read_document(&view, number, out, facts);
		search_view_close(&view);
	}
	search_base_release(base);
	return err;
}

int search_weights(struct search *search, const struct hash *file, struct buffer *out)
{
	struct search_base *base = search_base_take(search);
	int err = search_base_weights(base, file, out);
	search_base_release(base);
	return err;
}

int search_hit_facts(const struct search_result *result, const struct search_hit *hit, struct facts *facts)
{
	struct key key;
	struct span value;
	int err;
	search_key_doc(&key, 'f', hit->number);
	rocksdb_pinnableslice_t *slice = search_get(&result->base->db, NULL, &key, &value, &err);
	if (err == 0)
		err = slice ? facts_decode(facts, value) : ERR_NOT_FOUND;
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	return err;
}
