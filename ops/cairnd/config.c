#include "ops/cairnd/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

static const char help[] =
	"cairnd " CAIRN_VERSION " - a hub for models, datasets and Spaces, on this machine\n"
	"\n"
	"  cairnd                            serve ./data on http://127.0.0.1:8080\n"
	"  cairnd --data /srv/cairn --listen 0.0.0.0:8080 --base-url https://hub.example.org\n"
	"\n"
	"Where\n"
	"  --data DIR                 everything is kept below DIR, made if absent (./data)\n"
	"  --listen HOST:PORT         numeric address; port 0 takes any free one (127.0.0.1:8080)\n"
	"  --base-url URL             how clients reach this server, if not as they say in their requests\n"
	"  --trust-forwarded          believe X-Forwarded-Proto and -Host from a proxy on this machine\n"
	"\n"
	"Cluster (docs/cluster.md)\n"
	"  --cluster-listen HOST:PORT numeric address for the other nodes; encrypted (none: this hub is one node)\n"
	"  --cluster-address HOST:PORT how they reach it, if not as it listens\n"
	"  --join TOKEN               a new DIR becomes a node of the cluster that made TOKEN; @FILE reads it from a file\n"
	"  --node-url URL             how clients reach this very node; others send readers here for what they lack (they are not sent)\n"
	"  --node-name NAME           for people, in `cairn cluster status` (host name)\n"
	"  --copies N                 nodes that hold what is uploaded before the client is told so, at most as many as there are (2);\n"
	"                             `cairn cluster set --copies` says it for all nodes\n"
	"  --failure-domain NAME      what fails together with this node, as a rack or a zone (only itself)\n"
	"  --weight N                 this node's share of the bytes where not all have all, beside those of the others (100)\n"
	"  --copy-rate SIZE           bytes a second that a node far behind, or with missing copies, takes from each other one (no limit)\n"
	"\n"
	"TLS (SIGHUP reads both files again)\n"
	"  --tls-cert FILE            PEM certificate chain\n"
	"  --tls-key FILE             PEM private key\n"
	"\n"
	"Log\n"
	"  --access-log FILE          one JSON line per request; - is standard output (none)\n"
	"\n"
	"  --audit-log FILE           one JSON line per change; \"none\" for none (DIR/audit.log)\n"
	"  --audit-reads              also a line per request that reads from a repository\n"
	"\n"
	"Requests that one token may make in five minutes; half of it without a token, per address\n"
	"  --rate-limits MODE         on, off, or always: loopback too (on)\n"
	"  --rate-api N               calls of the API (10000)\n"
	"  --rate-resolve N           files by name (50000)\n"
	"  --rate-pages N             pages (2000)\n"
	"\n"
	"Limits. Sizes take K, M, G or T\n"
	"  --connections N            open connections (10000)\n"
	"  --connections-per-address N  of one peer (4096)\n"
	"  --requests N               requests being served (4096)\n"
	"  --workers N                threads that may wait for the disk (64)\n"
	"  --control-loops N          threads for heads and small answers (1 per 4 cores)\n"
	"  --bulk-loops N             threads for bodies (1 per core)\n"
	"  --volume-size SIZE         a volume file is closed at this size (1G)\n"
	"  --reserve SIZE             disk space that uploads leave free (256M)\n"
	"  --write-buffers SIZE       memory for bytes on their way to disk (24M)\n"
	"  --index-cache SIZE         memory for the store's index (16M)\n"
	"  --tree-cache SIZE          memory for directories of repositories (32M)\n"
	"  --git-cache-bytes SIZE     disk space for repositories as git reads them (a tenth of the disk, at most 20G)\n"
	"  --git-processes N          gits that serve clones and pushes at once (4 per core, 8 to 32)\n"
	"  --drain SECONDS            how long SIGTERM lets running transfers finish (60)\n"
	"  --scrub-every TIME         all that is stored is read and checked, this long after the last time: 30d, 12h; or never (30d)\n"
	"  --scrub-rate SIZE          bytes a second that this reads (32M)\n"
	"  --buffered-io              write volumes through the page cache (costs more CPU; what was just pushed is then read from memory)\n"
	"\n"
	"Access\n"
	"  --openid-issuer URL        people may sign in through this OpenID provider; the first time makes them a user\n"
	"  --openid-client-id ID      what it calls this hub; its redirect address there is BASE/login/openid/callback\n"
	"  --openid-client-secret-file FILE\n"
	"  --openid-name-claim CLAIM  what a new user is called (preferred_username)\n"
	"  --new-admin-token          mint another token for the user \"admin\" into DIR/admin-token\n"
	"\n"
	"  --help, --version\n"
	"\n"
	"The first start makes the user \"admin\" and writes its token to DIR/admin-token, readable by this user only.\n"
	"Signals: TERM and INT finish what runs and stop; HUP reads the certificate and opens the access and audit logs again.\n";

enum option_id {
	OPTION_DATA = 256, OPTION_LISTEN, OPTION_BASE_URL, OPTION_TRUST, OPTION_CERT, OPTION_KEY, OPTION_ACCESS_LOG, OPTION_CONNECTIONS,
	OPTION_PER_ADDRESS, OPTION_REQUESTS, OPTION_WORKERS, OPTION_CONTROL, OPTION_BULK, OPTION_VOLUME, OPTION_RESERVE, OPTION_BUFFERS,
	OPTION_INDEX, OPTION_TREES, OPTION_GIT_CACHE, OPTION_GIT_PROCESSES, OPTION_DRAIN, OPTION_BUFFERED, OPTION_NEW_TOKEN, OPTION_CLUSTER_LISTEN, OPTION_CLUSTER_ADDRESS, OPTION_JOIN,
	OPTION_NODE_NAME, OPTION_NODE_URL, OPTION_COPIES, OPTION_COPY_RATE, OPTION_DOMAIN, OPTION_WEIGHT, OPTION_RATE_LIMITS, OPTION_RATE_API, OPTION_RATE_RESOLVE, OPTION_RATE_PAGES, OPTION_AUDIT_LOG, OPTION_AUDIT_READS,
	OPTION_SCRUB_EVERY, OPTION_SCRUB_RATE, OPTION_OPENID_ISSUER, OPTION_OPENID_CLIENT, OPTION_OPENID_SECRET, OPTION_OPENID_NAME,
	OPTION_HELP, OPTION_VERSION,
};

static const struct option options[] = {
	{ "data", required_argument, NULL, OPTION_DATA },
	{ "listen", required_argument, NULL, OPTION_LISTEN },
	{ "base-url", required_argument, NULL, OPTION_BASE_URL },
	{ "trust-forwarded", no_argument, NULL, OPTION_TRUST },
	{ "tls-cert", required_argument, NULL, OPTION_CERT },
	{ "tls-key", required_argument, NULL, OPTION_KEY },
	{ "access-log", required_argument, NULL, OPTION_ACCESS_LOG },
	{ "audit-log", required_argument, NULL, OPTION_AUDIT_LOG },
	{ "audit-reads", no_argument, NULL, OPTION_AUDIT_READS },
	{ "rate-limits", required_argument, NULL, OPTION_RATE_LIMITS },
	{ "rate-api", required_argument, NULL, OPTION_RATE_API },
	{ "rate-resolve", required_argument, NULL, OPTION_RATE_RESOLVE },
	{ "rate-pages", required_argument, NULL, OPTION_RATE_PAGES },
	{ "connections", required_argument, NULL, OPTION_CONNECTIONS },
	{ "connections-per-address", required_argument, NULL, OPTION_PER_ADDRESS },
	{ "requests", required_argument, NULL, OPTION_REQUESTS },
	{ "workers", required_argument, NULL, OPTION_WORKERS },
	{ "control-loops", required_argument, NULL, OPTION_CONTROL },
	{ "bulk-loops", required_argument, NULL, OPTION_BULK },
	{ "volume-size", required_argument, NULL, OPTION_VOLUME },
	{ "reserve", required_argument, NULL, OPTION_RESERVE },
	{ "write-buffers", required_argument, NULL, OPTION_BUFFERS },
	{ "index-cache", required_argument, NULL, OPTION_INDEX },
	{ "tree-cache", required_argument, NULL, OPTION_TREES },
	{ "git-cache-bytes", required_argument, NULL, OPTION_GIT_CACHE },
	{ "git-processes", required_argument, NULL, OPTION_GIT_PROCESSES },
	{ "drain", required_argument, NULL, OPTION_DRAIN },
	{ "scrub-every", required_argument, NULL, OPTION_SCRUB_EVERY },
	{ "scrub-rate", required_argument, NULL, OPTION_SCRUB_RATE },
	{ "buffered-io", no_argument, NULL, OPTION_BUFFERED },
	{ "openid-issuer", required_argument, NULL, OPTION_OPENID_ISSUER },
	{ "openid-client-id", required_argument, NULL, OPTION_OPENID_CLIENT },
	{ "openid-client-secret-file", required_argument, NULL, OPTION_OPENID_SECRET },
	{ "openid-name-claim", required_argument, NULL, OPTION_OPENID_NAME },
	{ "new-admin-token", no_argument, NULL, OPTION_NEW_TOKEN },
	{ "cluster-listen", required_argument, NULL, OPTION_CLUSTER_LISTEN },
	{ "cluster-address", required_argument, NULL, OPTION_CLUSTER_ADDRESS },
	{ "join", required_argument, NULL, OPTION_JOIN },
	{ "node-name", required_argument, NULL, OPTION_NODE_NAME },
	{ "node-url", required_argument, NULL, OPTION_NODE_URL },
	{ "copies", required_argument, NULL, OPTION_COPIES },
	{ "failure-domain", required_argument, NULL, OPTION_DOMAIN },
	{ "weight", required_argument, NULL, OPTION_WEIGHT },
	{ "copy-rate", required_argument, NULL, OPTION_COPY_RATE },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

static int wrong(const char *what, const char *value)
{
	fprintf(stderr, "cairnd: %s: \"%s\" (see --help)\n", what, value);
	return ERR_INVALID;
}

/* `wants` follows the name of the option. */
static int wrong_value(int option, const char *wants, const char *value)
{
	const struct option *named = options;
	while (named->name && named->val != option)
		named++;
	fprintf(stderr, "cairnd: --%s wants %s: \"%s\" (see --help)\n", named->name ? named->name : "", wants, value);
	return ERR_INVALID;
}

/* "HOST:PORT", "[::1]:PORT", ":PORT" (every address) or "PORT". */
static int read_listen(struct config *config, const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	size_t host_length = colon ? (size_t)(colon - text) : 0;
	if (host_length >= 2 && text[0] == '[' && text[host_length - 1] == ']') {
		text++;
		host_length -= 2;
	}
	char *end;
	unsigned long number = strtoul(port, &end, 10);
	if (!isdigit((unsigned char)port[0]) || *end || number > 65535 || host_length >= sizeof(config->host))
		return wrong("--listen wants HOST:PORT", text);
	snprintf(config->port, sizeof(config->port), "%lu", number);
	if (!colon)
		snprintf(config->host, sizeof(config->host), "127.0.0.1");
	else if (host_length == 0)
		snprintf(config->host, sizeof(config->host), "0.0.0.0");
	else
		snprintf(config->host, sizeof(config->host), "%.*s", (int)host_length, text);
	if (strcasecmp(config->host, "localhost") == 0)
		snprintf(config->host, sizeof(config->host), "127.0.0.1");
	return 0;
}

static int read_count(int option, unsigned *out, const char *text)
{
	char *end;
	errno = 0;
	unsigned long number = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || number == 0 || number > 1000000)
		return wrong_value(option, "a number from 1 to 1000000", text);
	*out = (unsigned)number;
	return 0;
}

static int read_size(int option, uint64_t *out, const char *text)
{
	char *end;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	const char *units = "KMGT", *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	unsigned shift = unit ? 10u * (unsigned)(unit - units + 1) : 0;
	if (!isdigit((unsigned char)text[0]) || errno || number == 0 || (*end && (!unit || end[1])) || number > UINT64_MAX >> 1 >> shift)
		return wrong_value(option, "a size such as 500M or 10G", text);
	*out = (uint64_t)number << shift;
	return 0;
}

/* Seconds of "90s", "15m", "12h" or "30d"; 0 of "never". */
static int read_time(int option, uint64_t *out, const char *text)
{
	static const uint64_t seconds[] = { 1, 60, 3600, 86400 };
	const char *units = "smhd";
	char *end;
	unsigned long number = strtoul(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;
	*out = 0;
	if (strcmp(text, "never") == 0)
		return 0;
	if (!isdigit((unsigned char)text[0]) || !unit || end[1] || number == 0 || number > 100000)
		return wrong_value(option, "a time such as 90s, 12h or 30d, or never", text);
	*out = number * seconds[unit - units];
	return 0;
}

/* `option` names the option. Slashes at the end go. */
static int read_url(const char **out, const char *option, char *text)
{
	size_t length = strlen(text);
	while (length && text[length - 1] == '/')
		text[--length] = 0;
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || strchr("\"<>?#", *p))
			return wrong(option, text);
	if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
		return wrong(option, text);
	*out = text;
	return 0;
}

static int read_node_url(struct config *config, char *text)
{
	int err = read_url(&config->cluster.node_url, "--node-url wants a plain URL that begins with http:// or https://", text);
	return err == 0 && strlen(text) >= NODE_ADDRESS_BYTES_MAX ? wrong("--node-url wants at most 255 bytes", text) : err;
}

/* The first line of a file. */
static int read_openid_secret(struct config *config, const char *path)
{
	static char secret[1024];
	FILE *file = fopen(path, "re");
	bool has_line = file && fgets(secret, sizeof(secret), file);
	if (file)
		fclose(file);
	secret[strcspn(secret, "\r\n")] = 0;
	config->openid.client_secret = secret;
	return has_line && secret[0] ? 0 : wrong("--openid-client-secret-file cannot read this file", path);
}

static int read_join(struct config *config, char *text)
{
	static char token[8192];
	config->cluster.join_token = text;
	if (text[0] != '@')
		return 0;
	FILE *file = fopen(text + 1, "re");
	size_t length = file ? fread(token, 1, sizeof(token) - 1, file) : 0;
	if (file)
		fclose(file);
	token[length] = 0;
	config->cluster.join_token = token;
	return length > 0 ? 0 : wrong("--join cannot read this file", text + 1);
}

static int read_rate_mode(struct rate_config *rate, const char *mode)
{
	rate->off = strcmp(mode, "off") == 0;
	rate->loopback_too = strcmp(mode, "always") == 0;
	return rate->off || rate->loopback_too || strcmp(mode, "on") == 0 ? 0 : wrong("--rate-limits wants on, off or always", mode);
}

static int read_limit(struct config *config, int option, char *value)
{
	unsigned seconds;
	int err;
	switch (option) {
	case OPTION_CONNECTIONS: return read_count(option, &config->http.connections_max, value);
	case OPTION_PER_ADDRESS: return read_count(option, &config->http.connections_per_address_max, value);
	case OPTION_REQUESTS: return read_count(option, &config->http.requests_in_flight_max, value);
	case OPTION_WORKERS: return read_count(option, &config->http.workers, value);
	case OPTION_CONTROL: return read_count(option, &config->http.control_loops, value);
	case OPTION_BULK: return read_count(option, &config->http.bulk_loops, value);
	case OPTION_VOLUME: return read_size(option, &config->store.volume_bytes_max, value);
	case OPTION_RESERVE: return read_size(option, &config->store.reserve_bytes, value);
	case OPTION_BUFFERS: return read_size(option, &config->store.buffer_bytes_max, value);
	case OPTION_INDEX: return read_size(option, &config->store.index_cache_bytes, value);
	case OPTION_TREES: return read_size(option, &config->tree_cache_bytes, value);
	case OPTION_GIT_CACHE: return read_size(option, &config->git_cache_bytes, value);
	case OPTION_GIT_PROCESSES: return read_count(option, &config->git_processes, value);
	case OPTION_COPY_RATE: return read_size(option, &config->copy_bytes_per_s, value);
	case OPTION_COPIES:
		err = read_count(option, &config->copies, value);
		return err == 0 && config->copies > REPLICA_COPIES_MAX ? wrong("--copies wants 1 to 5", value) : err;
	case OPTION_WEIGHT:
		err = read_count(option, &config->cluster.weight, value);
		return err == 0 && config->cluster.weight > NODE_WEIGHT_MAX ? wrong("--weight wants 1 to 1000000", value) : err;
	case OPTION_SCRUB_EVERY: return read_time(option, &config->store.scrub_every_s, value);
	case OPTION_SCRUB_RATE: return read_size(option, &config->store.scrub_bytes_per_s, value);
	case OPTION_RATE_LIMITS: return read_rate_mode(&config->rate, value);
	case OPTION_RATE_API: return read_count(option, &config->rate.quota[RATE_API], value);
	case OPTION_RATE_RESOLVE: return read_count(option, &config->rate.quota[RATE_RESOLVE], value);
	case OPTION_RATE_PAGES: return read_count(option, &config->rate.quota[RATE_PAGES], value);
	case OPTION_DRAIN:
		err = read_count(option, &seconds, value);
		config->drain_s = err ? config->drain_s : seconds;
		return err;
	}
	return ERR_INVALID; /* getopt named the option */
}

static int read_option(struct config *config, int option, char *value)
{
	switch (option) {
	case OPTION_DATA: config->data_dir = value; return 0;
	case OPTION_LISTEN: return read_listen(config, value);
	case OPTION_BASE_URL: return read_url(&config->http.base_url, "--base-url wants a plain URL that begins with http:// or https://", value);
	case OPTION_TRUST: config->http.trust_forwarded = config->rate.trust_forwarded = true; return 0;
	case OPTION_CERT: config->http.tls_certificate_file = value; return 0;
	case OPTION_KEY: config->http.tls_key_file = value; return 0;
	case OPTION_ACCESS_LOG: config->http.access_log_file = value; return 0;
	case OPTION_AUDIT_LOG: config->audit_log_file = value; return 0;
	case OPTION_AUDIT_READS: config->audit_reads = true; return 0;
	case OPTION_OPENID_ISSUER: config->openid.issuer = value; return 0;
	case OPTION_OPENID_CLIENT: config->openid.client_id = value; return 0;
	case OPTION_OPENID_SECRET: return read_openid_secret(config, value);
	case OPTION_OPENID_NAME: config->openid.name_claim = value; return 0;
	case OPTION_BUFFERED: config->store.direct_io = false; return 0;
	case OPTION_NEW_TOKEN: config->new_admin_token = true; return 0;
	case OPTION_CLUSTER_LISTEN: config->cluster.listen = value; return 0;
	case OPTION_CLUSTER_ADDRESS: config->cluster.advertise = value; return 0;
	case OPTION_JOIN: return read_join(config, value);
	case OPTION_NODE_URL: return read_node_url(config, value);
	case OPTION_NODE_NAME: config->cluster.name = value; return 0;
	case OPTION_DOMAIN:
		config->cluster.domain = value;
		return strlen(value) < NODE_DOMAIN_BYTES_MAX ? 0 : wrong("--failure-domain wants at most 63 bytes", value);
	case OPTION_HELP: fputs(help, stdout); return 1;
	case OPTION_VERSION: puts("cairnd " CAIRN_VERSION); return 1;
	default: return read_limit(config, option, value);
	}
}

int config_read(struct config *out, int argc, char **argv)
{
	*out = (struct config){ .data_dir = "./data", .host = "127.0.0.1", .port = "8080", .tree_cache_bytes = 32 << 20, .drain_s = 60, .openid.name_claim = "preferred_username",
		.store = { .direct_io = true, .scrub_every_s = 30 * 86400, .scrub_bytes_per_s = 32 << 20 } };
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int err = read_option(out, option, optarg);
		if (err)
			return err;
	}
	if (optind < argc)
		return wrong("cairnd takes options only", argv[optind]);
	if (!out->http.tls_certificate_file != !out->http.tls_key_file) {
		fprintf(stderr, "cairnd: --tls-cert and --tls-key go together\n");
		return ERR_INVALID;
	}
	if (!out->cluster.listen && (out->cluster.join_token || out->cluster.advertise || out->cluster.node_url)) {
		fprintf(stderr, "cairnd: --join, --cluster-address and --node-url go with --cluster-listen\n");
		return ERR_INVALID;
	}
	static char host_name[NODE_NAME_BYTES_MAX];
	if (!out->cluster.name && gethostname(host_name, sizeof(host_name) - 1) == 0)
		out->cluster.name = host_name;
	out->http.host = out->host;
	out->http.port = out->port;
	return 0;
}
