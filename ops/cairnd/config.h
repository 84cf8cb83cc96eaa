/* config.h - what the daemon is told on its command line. */
#ifndef CAIRN_OPS_CAIRND_CONFIG_H
#define CAIRN_OPS_CAIRND_CONFIG_H

#include "gateway/auth/openid_provider.h"
#include "gateway/http/http.h"
#include "replication/consensus.h"
#include "replication/replica.h"
#include "gateway/rate_limit.h"
#include "store/store.h"

struct config {
	const char *data_dir;
	char host[256], port[8];
	struct http_config http;   /* host and port point above */
	struct store_config store; /* dir is the caller's to set */
	uint64_t tree_cache_bytes;
	uint64_t git_cache_bytes;  /* 0: a share of the disk */
	unsigned git_processes;    /* 0: by the number of processors */
	struct cluster_config cluster; /* listen NULL: alone */
	char cluster_url[512];
	unsigned copies;               /* 0: the replica's default */
	uint64_t copy_bytes_per_s;     /* 0: no limit */
	uint64_t drain_s;
	bool new_admin_token;
	struct rate_config rate;
	const char *audit_log_file; /* NULL: DIR/audit.log; "none" */
	bool audit_reads;
	struct openid_provider_config openid; /* issuer NULL: none */
};

/* Fills *out. 0: go on; 1: --help or --version was answered; ERR_INVALID: said on stderr what is wrong. */
int config_read(struct config *out, int argc, char **argv);

#endif
