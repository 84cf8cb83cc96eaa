#include "gateway/http/metrics.h"

#include "gateway/http/access_log.h"
#include "gateway/http/server.h"

static const uint64_t bucket_us[METRICS_BUCKETS] = { 500, 1000, 5000, 10000, 50000, 100000, 500000, 1000000, 10000000 };
static const char *const bucket_names[METRICS_BUCKETS + 1] = { "0.0005", "0.001", "0.005", "0.01", "0.05", "0.1", "0.5", "1", "10", "+Inf" };
static const char *const class_names[METRICS_CLASSES] = { "1xx", "2xx", "3xx", "4xx", "5xx", "cut" };
static const char no_name[] = "none", other_name[] = "other";

/* The row of that route, taken on first use. */
static struct route_metrics *row_of(struct metrics *metrics, const char *name)
{
	size_t first = ((uintptr_t)name >> 3) * 0x9e3779b97f4a7c15u % METRICS_ROUTES_MAX;
	for (size_t i = 0; i < METRICS_ROUTES_MAX; i++) {
		struct route_metrics *row = &metrics->routes[(first + i) % METRICS_ROUTES_MAX];
		const char *owner = atomic_load_explicit(&row->name, memory_order_acquire);
		if (!owner && atomic_compare_exchange_strong(&row->name, &owner, name))
			return row;
		if (owner == name)
			return row;
	}
	struct route_metrics *last = &metrics->routes[METRICS_ROUTES_MAX];
	atomic_store(&last->name, other_name);
	return last;
}

void metrics_count_request(struct metrics *metrics, const char *route, int status, uint64_t microseconds)
{
	struct route_metrics *row = row_of(metrics, route ? route : no_name);
	size_t class = status >= 100 && status < 600 ? (size_t)status / 100 - 1 : METRICS_CLASSES - 1, bucket = 0;
	while (bucket < METRICS_BUCKETS && microseconds > bucket_us[bucket])
		bucket++;
	metrics_add(&row->requests[class], 1);
	metrics_add(&row->buckets[bucket], 1);
	metrics_add(&row->microseconds, microseconds);
}

/* ---- text ---- */

static void write_value(struct buffer *out, const char *name, const char *type, const char *help, uint64_t value)
{
	buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name, (unsigned long long)value);
}

static void write_requests(struct buffer *out, struct metrics *metrics)
{
	buffer_printf(out, "# HELP cairn_http_requests_total Requests answered, by route and status class.\n"
		"# TYPE cairn_http_requests_total counter\n");
	for (size_t i = 0; i <= METRICS_ROUTES_MAX; i++) {
		struct route_metrics *row = &metrics->routes[i];
		const char *name = atomic_load(&row->name);
		for (size_t class = 0; name && class < METRICS_CLASSES; class++) {
			unsigned long long count = atomic_load(&row->requests[class]);
			if (count > 0)
				buffer_printf(out, "cairn_http_requests_total{route=\"%s\",class=\"%s\"} %llu\n", name, class_names[class], count);
		}
	}
}

static void write_seconds(struct buffer *out, struct metrics *metrics)
{
	buffer_printf(out, "# HELP cairn_http_request_seconds Time from a whole head to the end of the answer.\n"
		"# TYPE cairn_http_request_seconds histogram\n");
	for (size_t i = 0; i <= METRICS_ROUTES_MAX; i++) {
		struct route_metrics *row = &metrics->routes[i];
		const char *name = atomic_load(&row->name);
		unsigned long long sum = 0;
		for (size_t bucket = 0; name && bucket <= METRICS_BUCKETS; bucket++) {
			sum += atomic_load(&row->buckets[bucket]);
			buffer_printf(out, "cairn_http_request_seconds_bucket{route=\"%s\",le=\"%s\"} %llu\n", name, bucket_names[bucket], sum);
		}
		if (name)
			buffer_printf(out, "cairn_http_request_seconds_sum{route=\"%s\"} %.6f\ncairn_http_request_seconds_count{route=\"%s\"} %llu\n",
				name, (double)atomic_load(&row->microseconds) / 1e6, name, sum);
	}
}

void metrics_write(struct http_server *server, struct buffer *out)
{
	struct metrics *metrics = &server->metrics;
	write_value(out, "cairn_http_connections", "gauge", "Open connections.", atomic_load(&server->connections_count));
	write_value(out, "cairn_http_connections_accepted_total", "counter", "Connections accepted.", atomic_load(&metrics->accepted));
	write_value(out, "cairn_http_connections_refused_total", "counter", "Connections over a limit.", atomic_load(&metrics->refused));
	write_value(out, "cairn_http_connections_moved_total", "counter", "Moves of a connection between loops.", atomic_load(&metrics->moved));
	write_value(out, "cairn_http_timeouts_total", "counter", "Connections cut for being too slow.", atomic_load(&metrics->timed_out));
	write_value(out, "cairn_http_requests_in_flight", "gauge", "Requests not answered yet.", atomic_load(&server->requests_in_flight));
	write_value(out, "cairn_http_worker_queue", "gauge", "Work waiting for a thread.", worker_queue_length(server->workers));
	write_value(out, "cairn_http_body_memory_bytes", "gauge", "Memory of gathered request bodies.", atomic_load(&server->collect_bytes));
	write_value(out, "cairn_http_answer_memory_bytes", "gauge", "Memory of answers being sent.",
		atomic_load(&server->source_bytes) + atomic_load(&server->answers_bytes));
	write_value(out, "cairn_http_received_bytes_total", "counter", "Bytes of requests.", atomic_load(&metrics->bytes_in));
	write_value(out, "cairn_http_sent_bytes_total", "counter", "Bytes of answers.", atomic_load(&metrics->bytes_out));
	write_value(out, "cairn_http_log_lines_dropped_total", "counter", "Access log lines dropped because the log was slow.",
		server->log ? access_log_dropped(server->log) : 0);
	write_requests(out, metrics);
	write_seconds(out, metrics);
}
