/* web.c - what a browser, a load balancer and a metrics collector ask for: /, /healthz, /readyz, /metrics.
 *
 * The page is made on the server, runs no scripts and loads nothing; everything that came from a user is escaped. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/answer.h"
#include "gateway/auth/auth.h"
#include "gateway/metric.h"
#include "gateway/process.h"
#include "gateway/search/search.h"
#include "gateway/web/html.h"
#include "gateway/web/login.h"
#include "gateway/web/tokens.h"
#include "replication/replica.h"

enum {
	PAGE_REPOS_MAX = 200, /* of a type */
	METRICS_BYTES_MAX = 1 << 20,
	READY_LAG_MS_MAX = 10 * 1000, /* since this node last knew that it was up to date */
	READY_INDEX_MS_MAX = 5 * 60 * 1000, /* after the start */
};

/* ------------------------------------------------------------------ the page */

struct page {
	struct buffer html, items;
	const struct actor *actor;
	bool own;    /* the caller's repositories, or everybody's public ones */
	int repos_count;
};

static const char *prefix_of(enum repo_type type)
{
	static const char *const prefixes[] = { "", "", "datasets/", "spaces/", "kernels/" };
	return type >= REPO_MODEL && type <= REPO_KERNEL ? prefixes[type] : "";
}

static int write_repo(void *context, const struct repo *repo)
{
	struct page *page = context;
	struct resource resource = { .repo = repo };
	if (page->own ? may(page->actor, ACTION_READ, &resource) != 0 : repo->private)
		return 0;
	if (page->repos_count == PAGE_REPOS_MAX)
		return 1;
	page->repos_count++;
	buffer_append_text(&page->items, "<li><code>");
	html_escaped(&page->items, prefix_of(repo->type));
	html_escaped(&page->items, repo->owner);
	buffer_append_byte(&page->items, '/');
	html_escaped(&page->items, repo->name);
	buffer_printf(&page->items, "</code>%s</li>\n", repo->private ? " (private)" : "");
	return 0;
}

/* Those of one type, under a heading with their count. */
static void write_group(struct page *page, struct namespace *ns, enum repo_type type, const char *title, const char *owner)
{
	page->repos_count = 0;
	buffer_init(&page->items, PAGE_BYTES_MAX);
	bool more = repo_list(ns, type, owner, NULL, write_repo, page) == 1;
	if (page->repos_count > 0 || type != REPO_KERNEL) /* hubs without any are not told of them */
		buffer_printf(&page->html, "<h3>%s (%s%d)</h3>\n", title, more ? "more than " : "", page->repos_count);
	if (page->repos_count > 0) {
		buffer_append_text(&page->html, "<ul>\n");
		buffer_append(&page->html, page->items.data, page->items.length);
		buffer_append_text(&page->html, more ? "<li>and more</li>\n</ul>\n" : "</ul>\n");
	}
	buffer_fini(&page->items);
}

static void write_list(struct page *page, struct namespace *ns, const char *title, const char *owner)
{
	page->own = owner != NULL;
	buffer_printf(&page->html, "<h2>%s</h2>\n", title);
	write_group(page, ns, REPO_MODEL, "Models", owner);
	write_group(page, ns, REPO_DATASET, "Datasets", owner);
	write_group(page, ns, REPO_SPACE, "Spaces", owner);
	write_group(page, ns, REPO_KERNEL, "Kernels", owner);
}

static void write_head(struct page *page, const char *base_url)
{
	struct buffer *html = &page->html;
	html_begin(html, "cairn");
	buffer_append_text(html, "<h1>cairn " CAIRN_VERSION "</h1>\n<p>A hub for models, datasets and Spaces, running here. Point a client at it:</p>\n"
		"<h2>Python and the command line</h2>\n<pre>export HF_ENDPOINT=");
	html_escaped(html, base_url);
	buffer_append_text(html, "\nhf auth login --token hf_...\nhf upload you/your-model ./folder\nhf download you/your-model</pre>\n"
		"<h2>JavaScript</h2>\n<pre>import { listFiles } from \"@huggingface/hub\";\n"
		"for await (const file of listFiles({ repo: \"you/your-model\", hubUrl: \"");
	html_escaped(html, base_url);
	buffer_append_text(html, "\" })) console.log(file.path);</pre>\n");
}

static void page_work(struct http_request *request, void *context)
{
	const struct actor *actor = context;
	struct gateway *gateway = gateway_of(request);
	struct page page = { .actor = actor };
	buffer_init(&page.html, PAGE_BYTES_MAX);
	write_head(&page, http_base_url(request));
	if (!actor->anonymous) {
		buffer_append_text(&page.html, "<form method=\"post\" action=\"/logout\"><p>You are <strong>");
		html_escaped(&page.html, actor->name);
		buffer_append_text(&page.html, "</strong>. <button>Sign out</button> <a href=\"/settings/tokens\">Tokens</a></p></form>\n");
		write_list(&page, gateway->ns, "Your repositories", actor->name);
	} else {
		buffer_append_text(&page.html, "<p><a href=\"/login\">Sign in</a></p>\n");
	}
	write_list(&page, gateway->ns, "Public repositories", NULL);
	html_reply(request, 200, &page.html);
}

static void front_page(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct actor *actor = http_alloc(request, sizeof(*actor));
	if (html_visitor(request, actor))
		http_work(request, page_work, actor);
}

/* ------------------------------------------------------------------ health */

static void healthz(struct http_request *request, const struct route_match *match)
{
	(void)match;
	http_reply(request, 200, "text/plain; charset=utf-8", span_text("ok\n"));
}

/* A node that is new has its index to make first; but while others may wait for this one, it is no reason to serve nothing. */
static bool waits_for_index(struct gateway *gateway)
{
	return gateway->search && !consensus_alone(namespace_consensus(gateway->ns)) && unix_ms() - gateway->started_ms < READY_INDEX_MS_MAX &&
		!search_is_whole(gateway->search);
}

static void readyz(struct http_request *request, const struct route_match *match)
{
	(void)match;
	struct gateway *gateway = gateway_of(request);
	struct consensus_status status;
	consensus_status(namespace_consensus(gateway->ns), &status);
	/* A node that does not lead serves as well, as long as one that does confirms that it is up to date; so must one that believes to lead be confirmed. */
	bool alone = consensus_alone(namespace_consensus(gateway->ns));
	bool confirmed = alone ? status.leader : consensus_lag_ms(namespace_consensus(gateway->ns)) < READY_LAG_MS_MAX;
	const char *unready = gateway->draining ? "stopping\n" : status.removed ? "removed\n" : !confirmed ? "no leader\n" :
		waits_for_index(gateway) ? "indexing\n" : NULL;
	http_reply(request, unready ? 503 : 200, "text/plain; charset=utf-8", span_text(unready ? unready : "ready\n"));
}

/* ------------------------------------------------------------------ metrics */

static void store_metrics(struct buffer *out, struct store *store)
{
	struct store_stats stats;
	store_stats(store, &stats);
	metric_write(out, "cairn_store_chunks", "gauge", "Unique chunks stored.", stats.chunks);
	metric_write(out, "cairn_store_xorbs", "gauge", "Xorbs stored.", stats.xorbs);
	metric_write(out, "cairn_store_files", "gauge", "Files known to the store.", stats.files);
	metric_write(out, "cairn_store_volumes", "gauge", "Volume files.", stats.volumes);
	metric_write(out, "cairn_store_stored_bytes", "gauge", "Bytes of stored xorb bodies.", stats.stored_bytes);
	metric_write(out, "cairn_store_disk_bytes", "gauge", "Bytes of volume files, dead records included.", stats.disk_bytes);
	metric_write(out, "cairn_store_raw_bytes", "gauge", "Raw bytes of unique chunks.", stats.raw_bytes);
	metric_write(out, "cairn_store_logical_bytes", "gauge", "Bytes of all files, once per claim.", stats.logical_bytes);
	metric_write(out, "cairn_store_syncs_total", "counter", "fdatasync calls of the store.", stats.syncs);
	metric_write(out, "cairn_store_acknowledged_total", "counter", "Durable commits of the store.", stats.acknowledged);
	metric_write(out, "cairn_store_scrubs_total", "counter", "Scrubs that the store did by itself.", stats.scrubs);
	metric_write(out, "cairn_store_scrub_corrupt_total", "counter", "What those found damaged.", stats.scrub_corrupt);
}

static void consensus_metrics(struct buffer *out, struct consensus *consensus)
{
	struct consensus_status status;
	consensus_status(consensus, &status);
	metric_write(out, "cairn_consensus_term", "gauge", "Highest term of the groups.", status.term);
	metric_write(out, "cairn_consensus_applied", "counter", "Applied log entries of all groups.", status.applied);
	metric_write(out, "cairn_consensus_committed", "counter", "Committed log entries of all groups.", status.committed);
	metric_write(out, "cairn_consensus_leader", "gauge", "1 when this node leads every group.", status.leader);
	metric_write(out, "cairn_consensus_voters", "gauge", "Voters of the cluster.", status.voters);
	metric_write(out, "cairn_consensus_lag_ms", "gauge", "How long ago this node last knew that it was up to date.", consensus_lag_ms(consensus));
	metric_write(out, "cairn_consensus_log_syncs_total", "counter", "Syncs of the log.", status.log_syncs);
	metric_write(out, "cairn_consensus_commands_total", "counter", "Commands applied since start.", status.commands);
}

/* What this node looks after, and how far it is. */
static void care_metrics(struct buffer *out, const struct replica_care *care)
{
	const struct backlog_status *const works[] = { &care->catching_up, &care->fetching, &care->giving_up };
	static const char *const work_names[] = { "catch_up", "fetch", "give_up" }, *const pass_names[] = { "none", "count", "fetch", "offer", "give_up" };
	static const struct { const char *name, *help; } values[] = {
		{ "cairn_replica_work_done_bytes",
			"Done of the work under way, or of the last: catch_up, of records of others; fetch, of what is missing; give_up, of surplus." },
		{ "cairn_replica_work_left_bytes", "Left of it." },
		{ "cairn_replica_work_bytes_per_second", "Its speed in the last 10 to 20 seconds; 0 when nothing is left or it stands still." },
	};
	metric_write(out, "cairn_replica_missing_xorbs", "gauge", "Xorbs that should be here and are not, and may be on other nodes.", care->missing_xorbs);
	metric_write(out, "cairn_replica_missing_bytes", "gauge", "Bytes of their bodies, as far as other nodes tell.", care->fetching.left_bytes);
	metric_write(out, "cairn_replica_lost_xorbs", "gauge", "Xorbs that should be here, that files name and no node has.", care->lost_xorbs);
	metric_write(out, "cairn_replica_surplus_bytes", "gauge", "Bytes of xorbs that are here and should be elsewhere.", care->surplus_bytes);
	metric_write(out, "cairn_replica_part_bytes", "gauge", "Bytes of parts of coded xorbs that are here.", care->part_bytes);
	if (care->counted_ms != UINT64_MAX)
		metric_write(out, "cairn_replica_counted_age_seconds", "gauge", "Since missing, surplus and parts were counted.", care->counted_ms / 1000);
	metric_write(out, "cairn_replica_complete", "gauge", "1 when this node has what it should, and has handed on what no file names yet.", care->complete);
	metric_write(out, "cairn_replica_walking", "gauge", "1 while this node goes over what it holds and should hold.", care->walking);
	buffer_printf(out, "# HELP cairn_replica_walk_pass_ratio How far the pass of that walk is: count, fetch, offer, give_up.\n"
		"# TYPE cairn_replica_walk_pass_ratio gauge\n");
	if (care->pass != PASS_NONE)
		buffer_printf(out, "cairn_replica_walk_pass_ratio{pass=\"%s\"} %u.%03u\n", pass_names[care->pass], care->pass_permille / 1000, care->pass_permille % 1000);
	metric_write(out, "cairn_replica_walks_total", "counter", "Such walks that have ended.", care->walks);
	metric_write(out, "cairn_replica_walk_fetched_xorbs_total", "counter", "Xorbs that walks found missing here, and fetched or made.", care->fetched_xorbs);
	metric_write(out, "cairn_replica_walk_fetched_bytes_total", "counter", "Bytes of their bodies.", care->fetched_bytes);
	metric_write(out, "cairn_replica_given_up_bytes_total", "counter", "Bytes of copies that were given up, as others have them.", care->given_up_bytes);
	metric_write(out, "cairn_replica_coded_bytes_total", "counter", "Bytes of parts that this node has made of cold xorbs.", care->coded_bytes);
	for (size_t value = 0; value < 3; value++) {
		buffer_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", values[value].name, values[value].help, values[value].name);
		for (size_t i = 0; i < 3; i++) {
			uint64_t number = value == 0 ? works[i]->done_bytes : value == 1 ? works[i]->left_bytes : works[i]->bytes_per_s;
			buffer_printf(out, "%s{work=\"%s\"} %llu\n", values[value].name, work_names[i], (unsigned long long)number);
		}
	}
}

static void replica_metrics(struct buffer *out, const struct gateway *gateway)
{
	struct cluster_view *view = gateway->replica ? malloc(sizeof(*view)) : NULL;
	struct replica_status status;
	struct replica_care care;
	struct cluster_node self;
	if (!view)
		return;
	replica_status(gateway->replica, &status);
	metric_write(out, "cairn_replica_members", "gauge", "Nodes of the cluster.", status.members);
	metric_write(out, "cairn_replica_copies_needed", "gauge", "Copies that an acknowledgement waits for.", status.copies_needed);
	metric_write(out, "cairn_replica_awaiting", "gauge", "Acknowledgements that wait for copies.", status.awaiting);
	metric_write(out, "cairn_replica_awaited_total", "counter", "Acknowledgements that waited for copies.", status.awaited);
	metric_write(out, "cairn_replica_refused_total", "counter", "Acknowledgements refused for want of copies.", status.refused);
	metric_write(out, "cairn_replica_fetched_files_total", "counter", "Files that a reader missed here, asked of other nodes.", status.fetched_files);
	metric_write(out, "cairn_replica_fetched_xorbs_total", "counter", "Xorbs that a reader or a walk missed here, taken from other nodes.", status.fetched_xorbs);
	metric_write(out, "cairn_replica_read_xorbs_total", "counter", "Xorbs that belong on other nodes and were opened here by readers.", status.read_xorbs);
	metric_write(out, "cairn_replica_read_runs_total", "counter", "Runs of chunks of such xorbs that were asked of other nodes.", status.read_runs);
	metric_write(out, "cairn_replica_linked_files_total", "counter", "Files that are not here, for which clients were sent to another node.", status.linked_files);
	metric_write(out, "cairn_replica_linked_xorbs_total", "counter", "Xorbs that are not here, for which Xet clients were sent to another node.", status.linked_xorbs);
	metric_write(out, "cairn_replica_repaired_xorbs_total", "counter", "Damaged xorbs replaced by copies of other nodes.", status.repaired_xorbs);
	metric_write(out, "cairn_replica_rounds_total", "counter", "Comparisons of what is known with another node.", status.rounds);
	metric_write(out, "cairn_replica_rounds_failed_total", "counter", "Those that did not come to their end.", status.rounds_failed);
	metric_write(out, "cairn_replica_ranges_differed_total", "counter", "Ranges that differed in comparisons.", status.ranges_differed);
	metric_write(out, "cairn_replica_records_taken_total", "counter", "Records that were lost here and taken again from other nodes.", status.records_taken);
	replica_care(gateway->replica, &care);
	metric_write(out, "cairn_replica_coded_xorbs_total", "counter", "Cold xorbs that this node has cut into parts.", status.coded_xorbs);
	metric_write(out, "cairn_replica_received_xorbs_total", "counter", "Whole xorbs taken from other nodes, for whatever reason.", status.received_xorbs);
	metric_write(out, "cairn_replica_received_bytes_total", "counter", "Bytes of their bodies.", status.received_bytes);
	metric_write(out, "cairn_replica_limit_bytes_per_second", "gauge", "Set with --copy-rate; 0: no limit.", status.limit_bytes_per_s);
	care_metrics(out, &care);
	consensus_view(namespace_consensus(gateway->ns), view);
	consensus_self(namespace_consensus(gateway->ns), &self);
	const struct cluster_node *me = cluster_view_find(view, self.node_id);
	metric_write(out, "cairn_replica_drained", "gauge", "1 when an operator wants this node to hold nothing.", me && me->drained);
	static const char *const names[] = { "cairn_replica_lacks_bytes", "cairn_replica_behind_bytes", "cairn_replica_current" };
	static const char *const helps[] = { "Bytes of volumes here that the other node has not acknowledged.",
		"Bytes of its volumes that this node has not gone over yet.", "1 when all of them were here at its last answer." };
	for (size_t kind = 0; kind < 3; kind++) {
		buffer_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", names[kind], helps[kind], names[kind]);
		for (size_t i = 0; i < view->count; i++) {
			struct replica_peer_status peer;
			if (view->nodes[i].node_id == self.node_id || view->nodes[i].role == NODE_REMOVED)
				continue;
			replica_peer_status(gateway->replica, view->nodes[i].node_id, &peer);
			uint64_t value = kind == 0 ? peer.lacks_bytes : kind == 1 ? peer.behind_bytes : peer.current;
			if (value != UINT64_MAX)
				buffer_printf(out, "%s{node=\"%016llx\"} %llu\n", names[kind], (unsigned long long)view->nodes[i].node_id, (unsigned long long)value);
		}
	}
	free(view);
}

static void metrics_work(struct http_request *request, void *context)
{
	(void)context;
	struct gateway *gateway = gateway_of(request);
	struct buffer out;
	buffer_init(&out, METRICS_BYTES_MAX);
	http_server_metrics(http_server_of(request), &out);
	store_metrics(&out, gateway->store);
	consensus_metrics(&out, namespace_consensus(gateway->ns));
	replica_metrics(&out, gateway);
	gateway_write_metrics(gateway, &out);
	metric_write(&out, "process_resident_memory_bytes", "gauge", "Resident memory.", process_resident_bytes());
	metric_write(&out, "process_start_time_seconds", "gauge", "Start of the process.", (uint64_t)gateway->started_ms / 1000);
	if (out.failed)
		answer_err(request, ERR_NO_MEMORY, NULL);
	else
		http_reply_buffer(request, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
	buffer_fini(&out);
}

static void metrics(struct http_request *request, const struct route_match *match)
{
	(void)match;
	http_work(request, metrics_work, NULL);
}

const struct route web_routes[] = {
	{ HTTP_GET | HTTP_HEAD, "/", front_page, "web-page" },
	{ HTTP_GET | HTTP_HEAD, "/login", login_page, "web-login" },
	{ HTTP_POST, "/login", login_post, "web-login" },
	{ HTTP_POST, "/logout", logout_post, "web-login" },
	{ HTTP_GET | HTTP_HEAD, "/settings/tokens", tokens_page, "web-tokens" },
	{ HTTP_POST, "/settings/tokens", tokens_post, "web-tokens" },
	{ HTTP_GET | HTTP_HEAD, "/device", device_page, "web-device" },
	{ HTTP_POST, "/device", device_post, "web-device" },
	{ HTTP_GET, "/login/openid", openid_login_start, "web-login" },
	{ HTTP_GET, "/login/openid/callback", openid_login_back, "web-login" },
	{ HTTP_GET | HTTP_HEAD, "/oauth/authorize", authorize_page, "web-authorize" },
	{ HTTP_POST, "/oauth/authorize", authorize_post, "web-authorize" },
	{ HTTP_GET | HTTP_HEAD, "/settings/connected-applications", connected_page, "web-connected" },
	{ HTTP_POST, "/settings/connected-applications", connected_post, "web-connected" },
	{ HTTP_GET | HTTP_HEAD | ROUTE_ANY_STATE, "/healthz", healthz, "web-healthz" },
	{ HTTP_GET | HTTP_HEAD | ROUTE_ANY_STATE, "/readyz", readyz, "web-readyz" },
	{ HTTP_GET | ROUTE_ANY_STATE, "/metrics", metrics, "web-metrics" },
	{ 0, NULL, NULL, NULL },
};
