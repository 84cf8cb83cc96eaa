#include "gateway/http/server.h"

#include "gateway/http/access_log.h"
#include "gateway/http/tls.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

bool server_is_empty(struct http_server *server)
{
	return atomic_load(&server->draining) &&
		atomic_load(&server->listeners_count) + atomic_load(&server->connections_count) + atomic_load(&server->refused_count) == 0;
}

static void wake_loops(struct http_server *server)
{
	for (unsigned i = 0; i < server->loops_count; i++)
		if (!atomic_exchange(&server->loops[i].memory_posted, true))
			loop_post(&server->loops[i], &server->loops[i].memory);
}

void server_wake_if_empty(struct http_server *server)
{
	if (server_is_empty(server))
		wake_loops(server);
}

void server_memory_released(struct http_server *server)
{
	if (atomic_load(&server->memory_waiters) > 0)
		wake_loops(server);
}

/* ---- configuration ---- */

static char *copy(const char *text, bool *failed)
{
	char *out = text ? strdup(text) : NULL;
	*failed |= text && !out;
	return out;
}

static void set_default(unsigned *value, unsigned fallback)
{
	if (*value == 0)
		*value = fallback;
}

/* Never more connections than descriptors, with some left for files. */
static unsigned connections_possible(unsigned wanted)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return wanted;
	rlim_t possible = limit.rlim_cur > 2 * DESCRIPTORS_RESERVED ? limit.rlim_cur - DESCRIPTORS_RESERVED : DESCRIPTORS_RESERVED;
	return possible < wanted ? (unsigned)possible : wanted;
}

static int take_config(struct http_server *server, const struct http_config *config, struct why *why)
{
	struct http_config *own = &server->config;
	bool failed = false;
	*own = *config;
	own->host = copy(config->host, &failed);
	own->port = copy(config->port, &failed);
	own->tls_certificate_file = copy(config->tls_certificate_file, &failed);
	own->tls_key_file = copy(config->tls_key_file, &failed);
	own->base_url = copy(config->base_url, &failed);
	own->access_log_file = copy(config->access_log_file, &failed);
	if (failed)
		return why_set(why, ERR_NO_MEMORY, "no memory for the server's configuration");
	if (!own->port || !own->handler || (own->tls_certificate_file != NULL) != (own->tls_key_file != NULL))
		return why_set(why, ERR_INVALID, "the server needs a port, a handler, and a certificate with its key or neither");
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned cores_count = cores < 1 ? 1 : (unsigned)cores;
	set_default(&own->control_loops, (cores_count + 3) / 4);
	set_default(&own->bulk_loops, cores_count);
	set_default(&own->workers, WORKERS_DEFAULT);
	set_default(&own->connections_max, CONNECTIONS_DEFAULT);
	set_default(&own->connections_per_address_max, CONNECTIONS_PER_ADDRESS_DEFAULT);
	set_default(&own->requests_in_flight_max, REQUESTS_IN_FLIGHT_DEFAULT);
	own->connections_max = connections_possible(own->connections_max);
	if (own->control_loops > LOOPS_MAX || own->bulk_loops > LOOPS_MAX)
		return why_set(why, ERR_INVALID, "at most %d loops of a kind", LOOPS_MAX);
	own->head_ms_max = own->head_ms_max ? own->head_ms_max : HEAD_MS_DEFAULT;
	own->idle_ms_max = own->idle_ms_max ? own->idle_ms_max : IDLE_MS_DEFAULT;
	own->stall_ms_max = own->stall_ms_max ? own->stall_ms_max : RATE_WINDOW_MS;
	return 0;
}

static void free_config(struct http_config *config)
{
	free((char *)config->host);
	free((char *)config->port);
	free((char *)config->tls_certificate_file);
	free((char *)config->tls_key_file);
	free((char *)config->base_url);
	free((char *)config->access_log_file);
}

/* ---- start ---- */

static int open_parts(struct http_server *server, struct why *why)
{
	const struct http_config *config = &server->config;
	server->addresses = address_table_make();
	server->workers = worker_pool_make(config->workers);
	server->loops = calloc(config->control_loops + config->bulk_loops, sizeof(server->loops[0]));
	if (!server->addresses || !server->workers || !server->loops)
		return why_set(why, ERR_NO_MEMORY, "no memory for the server");
	if (config->tls_certificate_file) {
		int err = tls_config_make(&server->tls, config->tls_certificate_file, config->tls_key_file, why);
		if (err)
			return err;
	}
	return config->access_log_file ? access_log_open(&server->log, config->access_log_file, why) : 0;
}

static int open_loops(struct http_server *server, struct why *why)
{
	const struct http_config *config = &server->config;
	server->control_count = config->control_loops;
	for (unsigned i = 0; i < config->control_loops + config->bulk_loops; i++) {
		struct loop *loop = &server->loops[i];
		int err = loop_init(loop, server, i >= server->control_count, why);
		if (err)
			return err;
		server->loops_count++;
		if (!loop->bulk) {
			err = listener_open(loop, &server->port, why);
			if (err)
				return err;
		}
	}
	/* Watched only when all could be opened: nobody is let in to be thrown out. */
	for (unsigned i = 0; i < server->control_count; i++) {
		int err = listener_watch(&server->loops[i], why);
		if (err)
			return err;
	}
	return 0;
}

static void close_all(struct http_server *server)
{
	atomic_store(&server->draining, true);
	for (unsigned i = server->started_count; i < server->loops_count; i++)
		listener_close(&server->loops[i]);
	for (unsigned i = 0; i < server->started_count; i++)
		loop_post(&server->loops[i], &server->loops[i].drain);
	for (unsigned i = 0; i < server->started_count; i++)
		loop_join(&server->loops[i]);
	for (unsigned i = 0; i < server->loops_count; i++) {
		if (i < server->started_count)
			loop_free(&server->loops[i]);
		else
			loop_discard(&server->loops[i]);
	}
	worker_pool_free(server->workers);
	access_log_close(server->log);
	tls_config_free(server->tls);
	address_table_free(server->addresses);
	free(server->loops);
	free_config(&server->config);
	free(server);
}

int http_server_start(struct http_server **out, const struct http_config *config, struct why *why)
{
	struct http_server *server = calloc(1, sizeof(*server));
	if (!server)
		return why_set(why, ERR_NO_MEMORY, "no memory for the server");
	signal(SIGPIPE, SIG_IGN); /* sendfile has no flag against it */
	int err = take_config(server, config, why);
	if (!err)
		err = open_parts(server, why);
	if (!err)
		err = open_loops(server, why);
	while (!err && server->started_count < server->loops_count) {
		err = loop_start(&server->loops[server->started_count], why);
		if (!err)
			server->started_count++;
	}
	if (err) {
		close_all(server);
		return err;
	}
	*out = server;
	return 0;
}

unsigned http_server_port(const struct http_server *server)
{
	return server->port;
}

int http_server_reload(struct http_server *server, struct why *why)
{
	int err = server->log ? access_log_reopen(server->log, why) : 0;
	if (server->tls && !err)
		err = tls_config_reload(server->tls, why);
	return err;
}

/* ---- stop ---- */

void http_server_stop(struct http_server *server, uint64_t grace_ms)
{
	atomic_store(&server->draining, true);
	for (unsigned i = 0; i < server->loops_count; i++)
		loop_post(&server->loops[i], &server->loops[i].drain);
	enum { STEP_MS = 10 };
	for (uint64_t waited_ms = 0; !server_is_empty(server) && waited_ms < grace_ms; waited_ms += STEP_MS)
		usleep(STEP_MS * 1000);
	atomic_store(&server->cutting, true);
	for (unsigned i = 0; i < server->loops_count; i++)
		loop_post(&server->loops[i], &server->loops[i].cut);
	for (unsigned i = 0; i < server->loops_count; i++)
		loop_join(&server->loops[i]);
	server->started_count = 0;
	for (unsigned i = 0; i < server->loops_count; i++)
		loop_free(&server->loops[i]);
	server->loops_count = 0;
	close_all(server);
}

void http_server_metrics(struct http_server *server, struct buffer *out)
{
	metrics_write(server, out);
}
