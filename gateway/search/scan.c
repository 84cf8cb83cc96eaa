/* scan.c - what the index looks at without having been told of a change. */
#include <stdio.h>

#include "gateway/process.h"
#include "gateway/search/follower.h"
#include "replication/changes.h"
#include "replication/downloads.h"

/* ------------------------------------------------------------------ going over everything */

struct page {
	struct follower *follower;
	char after[REPO_ID_BYTES_MAX + 16];
};

static int see_repo(void *context, const struct repo *repo)
{
	struct page *page = context;
	if (!round_add(&page->follower->round, &repo->id))
		return STOP_ROUND_FULL;
	snprintf(page->after, sizeof(page->after), "%u/%s/%s", (unsigned)repo->type, repo->owner, repo->name);
	return 0;
}

/* Every repository that there is. */
static int scan_repos(struct follower *follower)
{
	struct page page = { .follower = follower };
	for (enum repo_type type = REPO_MODEL; type <= REPO_KERNEL; type++) {
		page.after[0] = 0;
		for (int stop = STOP_ROUND_FULL; stop == STOP_ROUND_FULL;) {
			if (follower_is_closing(follower))
				return ERR_CLOSED;
			round_clear(&follower->round);
			stop = repo_list(follower->search->gateway->ns, type, NULL, page.after[0] ? page.after : NULL, see_repo, &page);
			int err = stop < 0 ? stop : follower_update_round(follower);
			if (err == 0)
				err = search_writer_end(follower->writer);
			if (err)
				return err;
		}
	}
	return 0;
}

static int see_indexed(void *context, struct span key, struct span value)
{
	(void)value;
	struct page *page = context;
	struct entity_id repo;
	struct repo found;
	if (key.length != 1 + ENTITY_ID_BYTES)
		return ERR_CORRUPT;
	memcpy(repo.bytes, key.data + 1, ENTITY_ID_BYTES);
	if (repo_get(page->follower->search->gateway->ns, NULL, &repo, &found) != ERR_NOT_FOUND)
		return 0;
	return round_add(&page->follower->round, &repo) ? 0 : STOP_ROUND_FULL;
}

/* What is in the index and is no repository any more. */
static int scan_gone(struct follower *follower)
{
	struct page page = { .follower = follower };
	struct key prefix = { .length = 1, .bytes = { 'i' } };
	for (int stop = STOP_ROUND_FULL; stop == STOP_ROUND_FULL;) {
		struct search_view view;
		round_clear(&follower->round);
		int err = search_view_open(&view, &follower->base->db);
		if (err)
			return err;
		stop = search_scan(&view, &prefix, NULL, see_indexed, &page);
		search_view_close(&view);
		err = stop < 0 ? stop : follower_update_round(follower);
		if (err == 0)
			err = search_writer_end(follower->writer);
		if (err)
			return err;
	}
	return 0;
}

static int last_download(void *context, const struct entity_id *repo, uint64_t index)
{
	(void)repo;
	*(uint64_t *)context = index;
	return 0;
}

int follower_scan_all(struct follower *follower)
{
	struct namespace *ns = follower->search->gateway->ns;
	struct position begin = { 0 };
	int err = changes_last(ns, GROUP_CLUSTER, &begin.cluster);
	if (err == 0)
		err = changes_last(ns, GROUP_REPOS, &begin.repos);
	if (err == 0)
		err = downloads_changed(ns, 0, NULL, last_download, &begin.downloads);
	begin.downloads_known = begin.downloads;
	if (err == 0)
		err = scan_repos(follower);
	if (err == 0)
		err = scan_gone(follower);
	if (err)
		return err;
	follower_write_position(follower, &begin);
	search_writer_meta(follower->writer, "complete", 1);
	search_writer_meta(follower->writer, "day", day_of_ms(unix_ms()));
	err = search_writer_end(follower->writer);
	if (err == 0)
		follower->position = begin;
	return err;
}

/* ------------------------------------------------------------------ once a day */

struct sweep {
	struct follower *follower;
	uint64_t value; /* of the last one seen; the next page begins there */
	uint32_t doc;
	bool full;
};

static int see_counted(void *context, struct span key, struct span value)
{
	(void)value;
	struct sweep *sweep = context;
	if (key.length != 1 + 1 + 1 + 8 + 4)
		return ERR_CORRUPT;
	uint64_t count = ~get_big_endian(key.data + 3, 8);
	if (count == 0)
		return 1; /* the rest has none */
	if (sweep->follower->round.count == ROUND_REPOS_MAX) {
		sweep->full = true;
		return 1;
	}
	sweep->value = count;
	sweep->doc = ~(uint32_t)get_big_endian(key.data + 11, 4);
	struct key doc_key;
	struct span row, facts;
	struct doc doc;
	struct doc_values values;
	int err;
	search_key_doc(&doc_key, 'd', sweep->doc);
	rocksdb_pinnableslice_t *slice = search_get(&sweep->follower->base->db, NULL, &doc_key, &row, &err);
	if (err == 0 && slice && doc_row_decode(&doc, &values, row, &facts) == 0)
		round_add(&sweep->follower->round, &doc.repo);
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	return err;
}

static int sweep_order(struct follower *follower, enum sort sort, enum repo_type type)
{
	struct sweep sweep = { .follower = follower, .full = true };
	struct key prefix, start;
	search_key_sort_prefix(&prefix, sort, type);
	for (bool first = true; sweep.full; first = false) {
		struct search_view view;
		sweep.full = false;
		round_clear(&follower->round);
		int err = search_view_open(&view, &follower->base->db);
		if (err)
			return err;
		if (!first)
			search_key_sort(&start, sort, type, sweep.value, sweep.doc - 1); /* documents count down among equals */
		err = search_scan(&view, &prefix, first ? NULL : &start, see_counted, &sweep);
		search_view_close(&view);
		if (err >= 0)
			err = follower_update_round(follower);
		if (err == 0)
			err = search_writer_end(follower->writer);
		if (err)
			return err;
	}
	return 0;
}

int follower_sweep_daily(struct follower *follower)
{
	uint64_t day, today = day_of_ms(unix_ms());
	int err = search_meta(&follower->base->db, NULL, "day", &day);
	if (err || day == today)
		return err;
	for (enum repo_type type = REPO_MODEL; type <= REPO_KERNEL && err == 0; type++) {
		err = sweep_order(follower, SORT_DOWNLOADS, type);
		if (err == 0)
			err = sweep_order(follower, SORT_LIKES_RECENT, type);
	}
	if (err)
		return err;
	search_writer_meta(follower->writer, "day", today);
	return search_writer_end(follower->writer);
}

