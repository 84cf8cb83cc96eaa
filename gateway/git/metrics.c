/* metrics.c - what serving git adds to /metrics. */
#include "gateway/git/bundler.h"
#include "gateway/git/cache.h"
#include "gateway/git/gate.h"
#include "gateway/git/service.h"
#include "gateway/git/stored_answer.h"
#include "gateway/metric.h"

static void cache_metrics(struct buffer *out, struct git_cache *cache)
{
	struct git_cache_stats stats;
	git_cache_stats(cache, &stats);
	metric_write(out, "cairn_git_cache_repositories", "gauge", "Repositories in the cache for git.", stats.repositories);
	metric_write(out, "cairn_git_cache_bytes", "gauge", "Bytes of the cache for git, stored answers included.", stats.bytes);
	metric_write(out, "cairn_git_cache_bytes_max", "gauge", "What the cache for git may grow to.", stats.bytes_max);
	metric_write(out, "cairn_git_cache_leases_total", "counter", "Uses of a repository in the cache.", stats.leases);
	metric_write(out, "cairn_git_cache_builds_total", "counter", "Times that a repository was brought up to date.", stats.builds);
	metric_write(out, "cairn_git_cache_rebuilds_total", "counter", "Times that what was there had to be thrown away.", stats.rebuilds);
	metric_write(out, "cairn_git_cache_evictions_total", "counter", "Repositories that made room.", stats.evictions);
	metric_write(out, "cairn_git_bitmaps_made_total", "counter", "Times that bitmaps of a repository in the cache were made.", stats.bitmaps);
	metric_write(out, "cairn_git_bitmaps_failed_total", "counter", "Bitmaps that could not be made.", stats.bitmaps_failed);
}

static void answer_metrics(struct buffer *out, struct stored_answers *answers)
{
	struct stored_answers_stats stats;
	stored_answers_stats(answers, &stats);
	metric_write(out, "cairn_git_stored_answers", "gauge", "Answers of git that are kept.", stats.answers);
	metric_write(out, "cairn_git_stored_answers_bytes", "gauge", "Bytes of answers of git that are kept.", stats.bytes);
	metric_write(out, "cairn_git_stored_answers_made_total", "counter", "Answers of git that were kept.", stats.made);
	metric_write(out, "cairn_git_stored_answers_given_again_total", "counter", "Requests that needed no git of their own.", stats.given_again);
}

void git_metrics(struct gateway *gateway, struct buffer *out)
{
	if (gateway->git_cache)
		cache_metrics(out, gateway->git_cache);
	if (!gateway->git)
		return;
	answer_metrics(out, gateway->git->answers);
	metric_write(out, "cairn_git_processes", "gauge", "Places for gits that are taken.", gate_running(gateway->git->gate));
	struct bundler_stats bundles;
	bundler_stats(gateway->git->bundler, &bundles);
	metric_write(out, "cairn_git_bundles_made_total", "counter", "Bundles that clones were the reason for.", bundles.made);
	metric_write(out, "cairn_git_bundles_failed_total", "counter", "Bundles that could not be made.", bundles.failed);
}
