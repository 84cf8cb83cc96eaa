/* http_bench - the server alone, for a load generator to compare with another one.
 *
 * Usage: http_bench PORT [FILE [CERTIFICATE KEY]]. Serves GET /json (a small document), GET /work (the same from a worker), PUT /sink (any length,
 * thrown away), GET /file (FILE by extents) and GET /read (FILE through memory) until standard input ends or a signal comes; then prints the
 * CPU seconds that it took. */
#include "gateway/http/http.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int file_fd = -1;
static uint64_t file_length;

static const char document[] = "{\"name\":\"cairn\",\"version\":\"0.1.0\",\"items\":[1,2,3,4,5,6,7,8],\"ok\":true}";

struct reading {
	uint64_t offset, end;
};

static int64_t reading_read(void *context, void *out, size_t length, bool may_block)
{
	struct reading *reading = context;
	(void)may_block;
	size_t left = (size_t)(reading->end - reading->offset);
	ssize_t got = pread(file_fd, out, length < left ? length : left, (off_t)reading->offset);
	if (got < 0)
		return ERR_IO;
	reading->offset += (uint64_t)got;
	return got;
}

static int reading_extent(void *context, size_t length, int *fd, uint64_t *offset, size_t *extent_length)
{
	struct reading *reading = context;
	*fd = file_fd;
	*offset = reading->offset;
	*extent_length = length;
	reading->offset += length;
	return 0;
}

static void reading_close(void *context)
{
	(void)context;
}

static void send_file(struct http_request *request, bool by_extent)
{
	struct reading *reading = http_alloc(request, sizeof(*reading));
	reading->end = file_length;
	struct http_source source = { .read = reading_read, .extent = by_extent ? reading_extent : NULL, .close = reading_close, .context = reading };
	http_reply_source(request, 200, "application/octet-stream", file_length, source);
}

static int sink_write(struct http_request *request, const uint8_t *data, size_t length, void *context)
{
	(void)request, (void)data;
	*(uint64_t *)context += length;
	return 0;
}

static void sink_end(struct http_request *request, int err, void *context)
{
	char *text = http_printf(request, "{\"received\":%llu,\"error\":%d}\n", (unsigned long long)*(uint64_t *)context, err);
	http_reply(request, 200, "application/json", span_text(text));
}

static void send_document(struct http_request *request, void *context)
{
	(void)context;
	http_reply(request, 200, "application/json", span_of(document, sizeof(document) - 1));
}

static void handle(struct http_request *request)
{
	static const struct http_sink sink = { .write = sink_write, .end = sink_end };
	struct span path = http_path(request);
	http_set_route_name(request, "bench");
	if (span_equal(path, span_text("/json")))
		send_document(request, NULL);
	else if (span_equal(path, span_text("/work")))
		http_work(request, send_document, NULL);
	else if (span_equal(path, span_text("/sink")))
		http_sink(request, UINT64_MAX, &sink, http_alloc(request, sizeof(uint64_t)));
	else if (file_fd >= 0 && (span_equal(path, span_text("/file")) || span_equal(path, span_text("/read"))))
		send_file(request, path.data[1] == 'f');
	else
		http_reply_error(request, 404, NULL, "not found");
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct http_server *server;
	struct why why = { 0 };
	struct stat status;
	if (argc > 2 && argv[2][0]) {
		file_fd = open(argv[2], O_RDONLY);
		if (file_fd < 0 || fstat(file_fd, &status) != 0) {
			perror(argv[2]);
			return 1;
		}
		file_length = (uint64_t)status.st_size;
	}
	struct http_config config = { .host = "127.0.0.1", .port = argc > 1 ? argv[1] : "0", .handler = handle, .connections_per_address_max = 20000,
		.connections_max = 20000, .access_log_file = getenv("HTTP_BENCH_LOG") };
	if (argc > 4) {
		config.tls_certificate_file = argv[3];
		config.tls_key_file = argv[4];
	}
	if (http_server_start(&server, &config, &why) != 0) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	printf("listening on 127.0.0.1:%u\n", http_server_port(server));
	fflush(stdout);
	char byte;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	http_server_stop(server, 1000);
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	printf("cpu %.3f s user, %.3f s system, %ld KiB\n", seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss);
	return 0;
}
