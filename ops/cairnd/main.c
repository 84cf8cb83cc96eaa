/* main.c - cairnd: opens names, then bytes, then the door; closes them in the other order.
 *
 * All signals are blocked before the first thread starts, so that this thread alone waits for them: TERM and INT drain and stop, HUP
 * opens the access and audit logs and reads the certificate again. A second TERM or INT while draining stops at once. Exit status: 0 stopped as asked, 64 bad command line, 1 could not start. */
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "gateway/admin/admin.h"
#include "gateway/admin/operation.h"
#include "gateway/audit/audit.h"
#include "gateway/auth/device_login.h"
#include "gateway/auth/grant.h"
#include "gateway/git/compaction.h"
#include "gateway/git/cache.h"
#include "gateway/git/lease_watch.h"
#include "gateway/git/service.h"
#include "gateway/http/worker.h"
#include "gateway/hub/list_items.h"
#include "gateway/downloads.h"
#include "gateway/auth/openid_provider.h"
#include "gateway/notifications/notifications.h"
#include "gateway/oauth/keys.h"
#include "gateway/process.h"
#include "gateway/rate_limit.h"
#include "gateway/repo/repo.h"
#include "gateway/search/search.h"
#include "gateway/repo/scratch_dir.h"
#include "gateway/webhooks/webhooks.h"
#include "ops/cairnd/bootstrap.h"
#include "ops/cairnd/config.h"
#include "ops/cairnd/data_dir.h"
#include "ops/cairnd/sync_probe.h"

enum { LONG_WORKS_PART = 4 /* of the workers may do long work: one of so many */ };
enum { EXIT_USAGE_STATUS = 64, EXIT_FAILED_STATUS = 1, UNREADY_S = 5, STEP_DOWN_MS = 5000 };

struct daemon {
	struct config config;
	struct data_dir dir;
	bool has_dir, is_new_token;
	struct gateway gateway;
	struct http_server *http;
};

static int open_disk(struct daemon *daemon, struct why *why)
{
	int err = data_dir_open(&daemon->dir, daemon->config.data_dir, why);
	if (err)
		return err;
	daemon->has_dir = true;
	scratch_dir_sweep(daemon->dir.path);
	struct sync_probe probe;
	err = sync_probe(&probe, daemon->dir.tmp, why);
	if (err)
		return err;
	printf("fsync of this disk: p50 %llu us, p99 %llu us\n", (unsigned long long)probe.p50_us, (unsigned long long)probe.p99_us);
	if (probe.p50_us < SYNC_FAST_US)
		printf("warning: syncs are suspiciously fast; a cache may be answering for the disk, and a power cut may lose acknowledged data\n");
	if (probe.p99_us > SYNC_SLOW_US)
		printf("warning: syncs are slow; so will be every commit\n");
	return 0;
}

/* Signals are blocked: they wait. */
static bool told_to_stop(void *context)
{
	(void)context;
	sigset_t waiting;
	return sigpending(&waiting) == 0 && (sigismember(&waiting, SIGTERM) || sigismember(&waiting, SIGINT));
}

static int open_audit(struct daemon *daemon, struct why *why)
{
	const char *file = daemon->config.audit_log_file;
	char standard[PATH_MAX + 16];
	snprintf(standard, sizeof(standard), "%s/audit.log", daemon->dir.path);
	if (!file)
		file = standard;
	return audit_open(&daemon->gateway.audit, &daemon->gateway, strcmp(file, "none") == 0 ? NULL : file, daemon->config.audit_reads, why);
}

static int open_core(struct daemon *daemon, struct why *why)
{
	struct gateway *gateway = &daemon->gateway;
	gateway->data_dir = daemon->dir.path;
	gateway->started_ms = unix_ms();
	daemon->config.store.dir = daemon->dir.store;
	unsigned workers = daemon->config.http.workers ? daemon->config.http.workers : WORKERS_DEFAULT;
	daemon->config.store.long_works_max = workers > LONG_WORKS_PART ? workers / LONG_WORKS_PART : 1;
	struct cluster_config *cluster = &daemon->config.cluster;
	bool v6 = strchr(daemon->config.host, ':') != NULL;
	snprintf(daemon->config.cluster_url, sizeof(daemon->config.cluster_url), "%s://%s%s%s:%s", daemon->config.http.tls_key_file ? "https" : "http",
		v6 ? "[" : "", daemon->config.host, v6 ? "]" : "", daemon->config.port);
	cluster->url = daemon->config.http.base_url ? daemon->config.http.base_url : daemon->config.cluster_url;
	cluster->give_up = told_to_stop;
	cluster->is_not_new = data_dir_has_bytes(&daemon->dir);
	int err = namespace_open_cluster(&gateway->ns, daemon->dir.meta, cluster, why);
	if (err == 0)
		err = store_open(&gateway->store, &daemon->config.store, why);
	if (err == 0 && !cluster->listen)
		err = store_note_absent(gateway->store, why);
	if (err == 0 && cluster->listen)
		err = replica_open(&gateway->replica, &(struct replica_config){ .consensus = namespace_consensus(gateway->ns), .store = gateway->store,
			.ns = gateway->ns, .copies = daemon->config.copies, .bytes_per_s = daemon->config.copy_bytes_per_s }, why);
	if (err == 0)
		err = repo_cache_open(&gateway->trees, daemon->config.tree_cache_bytes);
	if (err == 0) {
		struct git_cache_config config = { .data_dir = daemon->dir.path, .bytes_max = daemon->config.git_cache_bytes,
			.reserve_bytes = daemon->config.store.reserve_bytes };
		err = git_cache_open(&gateway->git_cache, gateway, &config, why);
	}
	if (err == 0)
		err = git_service_open(&gateway->git, gateway, &(struct git_service_config){ .processes_max = daemon->config.git_processes,
			.workers = workers }, why);
	if (err == 0)
		err = compactor_open(&gateway->compactor, gateway, why);
	if (err == 0)
		err = lease_watch_open(&gateway->lease_watch, gateway, why);
	if (err == 0)
		err = grant_keys_load(gateway, why);
	if (err == 0)
		err = device_logins_open(&gateway->device_logins);
	if (err == 0)
		err = openid_keys_open(&gateway->openid_keys);
	if (err == 0 && daemon->config.openid.issuer)
		err = openid_provider_open(&gateway->openid_provider, &daemon->config.openid, why);
	if (err == 0)
		err = rate_limit_open(&gateway->rate_limit, &daemon->config.rate);
	if (err == 0)
		err = open_audit(daemon, why);
	if (err == 0)
		err = search_open(&gateway->search, gateway, why);
	if (err == 0)
		gateway->list_items = list_items_make();
	if (err == 0)
		err = downloads_open(&gateway->downloads, gateway->ns, why);
	if (err == 0)
		err = webhooks_open(&gateway->webhooks, gateway, why);
	if (err == 0)
		err = notifications_open(&gateway->notifications, gateway, why);
	if (err == 0)
		err = admin_open(&gateway->admin, gateway, why);
	if (err == 0)
		err = backup_desk_open(&gateway->backups, gateway, why);
	if (err)
		return err;
	replica_set_names(gateway->replica, operation_needs, gateway);
	return bootstrap_admin(gateway->ns, daemon->dir.admin_token, daemon->config.new_admin_token, &daemon->is_new_token, why);
}

static void answered(void *user_data, const struct http_answered *answered)
{
	const struct gateway *gateway = user_data;
	audit_answered(gateway->audit, answered);
}

static int open_door(struct daemon *daemon, struct why *why)
{
	daemon->config.http.handler = gateway_handle;
	daemon->config.http.answered = answered;
	daemon->config.http.user_data = &daemon->gateway;
	return http_server_start(&daemon->http, &daemon->config.http, why);
}

static void close_all(struct daemon *daemon)
{
	struct gateway *gateway = &daemon->gateway;
	replica_set_names(gateway->replica, NULL, NULL);
	backup_desk_close(gateway->backups);
	device_logins_close(gateway->device_logins);
	openid_keys_close(gateway->openid_keys);
	openid_provider_close(gateway->openid_provider);
	notifications_close(gateway->notifications);
	webhooks_close(gateway->webhooks);
	rate_limit_close(gateway->rate_limit);
	audit_close(gateway->audit);
	if (gateway->admin)
		admin_close(gateway->admin);
	compactor_close(gateway->compactor);
	lease_watch_close(gateway->lease_watch);
	git_service_close(gateway->git);
	if (gateway->git_cache)
		git_cache_close(gateway->git_cache);
	downloads_close(gateway->downloads);
	search_close(gateway->search);
	list_items_free(gateway->list_items);
	if (gateway->trees)
		repo_cache_close(gateway->trees);
	replica_close(gateway->replica);
	if (gateway->store)
		store_close(gateway->store);
	if (gateway->ns)
		namespace_close(gateway->ns);
	if (daemon->has_dir)
		data_dir_close(&daemon->dir);
	sodium_memzero(gateway->grant_secret_key, sizeof(gateway->grant_secret_key));
}

static void greet(const struct daemon *daemon)
{
	const struct config *config = &daemon->config;
	char url[512];
	const char *host = config->host;
	if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
		host = "127.0.0.1";
	bool v6 = strchr(host, ':') != NULL;
	snprintf(url, sizeof(url), "%s://%s%s%s:%u", config->http.tls_key_file ? "https" : "http", v6 ? "[" : "", host, v6 ? "]" : "",
		http_server_port(daemon->http));
	const char *shown = config->http.base_url ? config->http.base_url : url;
	printf("cairn " CAIRN_VERSION " serves %s at %s\n", daemon->dir.path, url);
	if (daemon->is_new_token)
		printf("A new token of the user \"admin\" is in %s\n", daemon->dir.admin_token);
	printf("Point a client at it:\n  export HF_ENDPOINT=%s\n", shown);
	if (access(daemon->dir.admin_token, R_OK) == 0)
		printf("  hf auth login --token \"$(cat %s)\"\n", daemon->dir.admin_token);
	else /* moved away, or a node that joined: the cluster's token is in the directory of its first node */
		printf("  hf auth login\n");
	fflush(stdout);
}

static void reload(struct daemon *daemon)
{
	struct why why = { 0 };
	int err = http_server_reload(daemon->http, &why);
	if (err == 0)
		err = audit_reopen(daemon->gateway.audit, &why);
	if (err == 0)
		printf("certificate, access log and audit log were opened again\n");
	else
		fprintf(stderr, "cairnd: what was open stays in use: %s\n", why.text);
	fflush(stdout);
}

/* Readiness fails first, so that a load balancer looks elsewhere; nobody balances a loopback address. */
static void drain(struct daemon *daemon, const sigset_t *signals)
{
	printf("stopping; running transfers have %llu s (a second signal stops at once)\n", (unsigned long long)daemon->config.drain_s);
	fflush(stdout);
	daemon->gateway.draining = true;
	consensus_step_down(namespace_consensus(daemon->gateway.ns), STEP_DOWN_MS);
	uint64_t grace_s = daemon->config.drain_s;
	bool loopback = strncmp(daemon->config.host, "127.", 4) == 0 || strcmp(daemon->config.host, "::1") == 0;
	struct timespec wait = { .tv_sec = loopback ? 0 : UNREADY_S };
	int signal_number = sigtimedwait(signals, NULL, &wait);
	if (signal_number == SIGTERM || signal_number == SIGINT)
		grace_s = 0;
	sigset_t again;
	sigemptyset(&again);
	sigaddset(&again, SIGTERM);
	sigaddset(&again, SIGINT);
	signal(SIGTERM, SIG_DFL); /* everything acknowledged is durable: dying now loses nothing */
	signal(SIGINT, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &again, NULL);
	http_server_stop(daemon->http, grace_s * 1000);
}

static void serve(struct daemon *daemon, const sigset_t *signals)
{
	for (;;) {
		int signal_number;
		if (sigwait(signals, &signal_number) != 0)
			continue;
		if (signal_number != SIGHUP)
			break;
		reload(daemon);
	}
	drain(daemon, signals);
}

/* Every connection and every volume holds a descriptor: take as many as the system gives. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Buffers come and go by the megabyte on many threads: let the allocator keep few heaps and give large blocks back at once. */
static void keep_memory_low(void)
{
	mallopt(M_ARENA_MAX, 4);
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

static void block_signals(sigset_t *signals)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
}

int main(int argc, char **argv)
{
	static struct daemon daemon;
	struct why why = { 0 };
	sigset_t signals;
	umask(077);
	int err = config_read(&daemon.config, argc, argv);
	if (err)
		return err > 0 ? 0 : EXIT_USAGE_STATUS;
	block_signals(&signals);
	raise_descriptor_limit();
	keep_memory_low();
	if (sodium_init() < 0) {
		fprintf(stderr, "cairnd: no source of randomness\n");
		return EXIT_FAILED_STATUS;
	}
	err = open_disk(&daemon, &why);
	if (err == 0)
		err = open_core(&daemon, &why);
	if (err == 0)
		err = open_door(&daemon, &why);
	if (err) {
		fprintf(stderr, "cairnd: %s\n", why.text[0] ? why.text : err_name(err));
		close_all(&daemon);
		return EXIT_FAILED_STATUS;
	}
	greet(&daemon);
	serve(&daemon, &signals);
	close_all(&daemon);
	printf("stopped\n");
	return 0;
}
