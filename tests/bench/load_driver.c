/* load_driver - sends prepared requests over blocking sockets, one thread per client, and counts.
 *
 * Usage: load_driver [--tls] [--clients N] [--seconds S | --repeat N] [--think-us N] [--expect STATUS] PORT JOBS
 *
 * JOBS is a file of lines METHOD<tab>TARGET<tab>BODY<tab>HEADERS. BODY is "-", "file:OFFSET:LENGTH:PATH", or "weights:SEED:LENGTH" and
 * "text:SEED:LENGTH", which are made while they are sent. HEADERS is "-" or fields separated by "|". Of N clients, client i takes the lines
 * i, i+N, i+2N, ... in order on one connection that is kept, all of them `repeat` times or until the time is up.
 * Prints one line of JSON. Answers are thrown away unread by the kernel (MSG_TRUNC), so that a measured server shares
 * the machine with as little as possible. Loopback only. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/content.h"

enum { CLIENTS_MAX = 256, HEAD_BYTES_MAX = 16384, STEP_BYTES = 1 << 20 };

struct job {
	char *method, *target, *headers;
	bool has_body, is_made;
	enum content_kind kind;
	uint64_t seed;
	const uint8_t *data; /* mapped */
	uint64_t length;
};

struct client {
	pthread_t thread;
	int index, fd;
	SSL *ssl;
	uint8_t *block;          /* for made bodies and TLS answers */
	uint64_t requests, failed, sent, received;
	char failure[256];
	uint32_t *latencies_us;
	size_t latencies_capacity;
};

static struct {
	int port, clients, think_us, expect, repeat;
	double seconds;
	SSL_CTX *tls;
	struct job *jobs;
	size_t jobs_count;
	double stop_at;
} run = { .clients = 1, .expect = 0, .repeat = 1 };

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ------------------------------------------------------------------ jobs */

static const uint8_t *map_file(const char *path, uint64_t *length)
{
	static char last_path[4096];
	static const uint8_t *last;
	static uint64_t last_length;
	if (strcmp(path, last_path) != 0) {
		struct stat status;
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &status) != 0)
			die(path);
		last_length = (uint64_t)status.st_size;
		last = mmap(NULL, last_length ? last_length : 1, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
		if (last == MAP_FAILED)
			die(path);
		close(fd);
		snprintf(last_path, sizeof(last_path), "%s", path);
	}
	*length = last_length;
	return last;
}

static void parse_body(struct job *job, char *text)
{
	unsigned long long first, length;
	int used = 0;
	char *colon = strchr(text, ':');
	if (!colon)
		return;
	*colon = 0;
	job->has_body = true;
	if (sscanf(colon + 1, "%llu:%llu%n", &first, &length, &used) != 2) {
		fprintf(stderr, "bad body: %s\n", colon + 1);
		exit(2);
	}
	job->length = length;
	if (content_kind_parse(text, &job->kind) == 0) {
		job->is_made = true;
		job->seed = first;
		return;
	}
	uint64_t file_length;
	const uint8_t *data = map_file(colon + 1 + used + 1, &file_length);
	if (first + length > file_length) {
		fprintf(stderr, "body past the end of %s\n", colon + 2 + used);
		exit(2);
	}
	job->data = data + first;
}

static void read_jobs(const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t capacity = 0, jobs_capacity = 0;
	if (!file)
		die(path);
	for (ssize_t length; (length = getline(&line, &capacity, file)) > 0;) {
		line[strcspn(line, "\n")] = 0;
		char *rest = line, *fields[4];
		for (int i = 0; i < 4; i++)
			if (!(fields[i] = strsep(&rest, "\t"))) {
				fprintf(stderr, "a job needs four fields: %s\n", line);
				exit(2);
			}
		if (run.jobs_count == jobs_capacity)
			run.jobs = realloc(run.jobs, (jobs_capacity = jobs_capacity * 2 + 64) * sizeof(*run.jobs));
		struct job *job = &run.jobs[run.jobs_count++];
		*job = (struct job){ .method = strdup(fields[0]), .target = strdup(fields[1]) };
		parse_body(job, fields[2]);
		char *headers = calloc(1, 2 * strlen(fields[3]) + 3), *out = headers;
		if (strcmp(fields[3], "-") != 0) {
			for (const char *p = fields[3]; *p; p++) {
				if (*p == '|')
					*out++ = '\r', *out++ = '\n';
				else
					*out++ = *p;
			}
			strcpy(out, "\r\n");
		}
		job->headers = headers;
	}
	free(line);
	fclose(file);
}

/* ------------------------------------------------------------------ one connection */

static void disconnect(struct client *client)
{
	if (client->ssl)
		SSL_free(client->ssl);
	client->ssl = NULL;
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

static int connect_to_server(struct client *client)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)run.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return -1;
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!run.tls)
		return 0;
	client->ssl = SSL_new(run.tls);
	SSL_set_fd(client->ssl, client->fd);
	return SSL_connect(client->ssl) == 1 ? 0 : -1;
}

static int send_all(struct client *client, const void *data, size_t length, int flags)
{
	const uint8_t *at = data;
	client->sent += length;
	while (length > 0) {
		size_t step = length < STEP_BYTES ? length : STEP_BYTES;
		ssize_t sent = client->ssl ? SSL_write(client->ssl, at, (int)step) : send(client->fd, at, step, flags | MSG_NOSIGNAL);
		if (sent <= 0)
			return -1;
		at += sent;
		length -= (size_t)sent;
	}
	return 0;
}

static int send_body(struct client *client, const struct job *job)
{
	if (!job->is_made)
		return send_all(client, job->data, job->length, 0);
	for (uint64_t at = 0, index = 0; at < job->length; at += CONTENT_BLOCK_BYTES, index++) {
		size_t size = job->length - at < CONTENT_BLOCK_BYTES ? (size_t)(job->length - at) : CONTENT_BLOCK_BYTES;
		content_block(client->block, size, job->kind, job->seed, index);
		if (send_all(client, client->block, size, 0) != 0)
			return -1;
	}
	return 0;
}

static ssize_t receive(struct client *client, void *out, size_t length, bool discard)
{
	if (client->ssl)
		return SSL_read(client->ssl, discard ? client->block : out, (int)(discard && length > STEP_BYTES ? STEP_BYTES : length));
	return discard ? recv(client->fd, NULL, length < (8 << 20) ? length : 8 << 20, MSG_TRUNC) : recv(client->fd, out, length, 0);
}

static const char *field_of(const char *head, const char *name)
{
	size_t length = strlen(name);
	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':')
			return line + 3 + length + strspn(line + 3 + length, " ");
	return NULL;
}

/* Reads one answer; its status, or -1. */
static int read_answer(struct client *client, const struct job *job)
{
	char head[HEAD_BYTES_MAX + 1];
	size_t have = 0;
	char *end = NULL;
	while (!end) {
		ssize_t got = have < HEAD_BYTES_MAX ? receive(client, head + have, HEAD_BYTES_MAX - have, false) : -1;
		if (got <= 0)
			return -1;
		have += (size_t)got;
		head[have] = 0;
		end = strstr(head, "\r\n\r\n");
	}
	int status = atoi(head + strcspn(head, " "));
	size_t body_have = have - (size_t)(end + 4 - head);
	const char *length_text = field_of(head, "content-length"), *connection = field_of(head, "connection");
	uint64_t length = length_text ? strtoull(length_text, NULL, 10) : 0;
	bool close_after = connection && strncasecmp(connection, "close", 5) == 0;
	if (strcmp(job->method, "HEAD") == 0 || status == 204 || status == 304)
		length = 0;
	else if (!length_text)
		return -1; /* every answer that is measured has a length */
	if (status >= 400 && !client->failure[0])
		snprintf(client->failure, sizeof(client->failure), "%.60s: %.180s", job->target, body_have ? end + 4 : head);
	client->received += have;
	for (uint64_t left = length - (body_have < length ? body_have : length); left > 0;) {
		ssize_t got = receive(client, NULL, left, true);
		if (got <= 0)
			return -1;
		left -= (uint64_t)got;
		client->received += (uint64_t)got;
	}
	if (close_after)
		disconnect(client);
	return status;
}

static int exchange(struct client *client, const struct job *job)
{
	char head[HEAD_BYTES_MAX];
	if (client->fd < 0 && connect_to_server(client) != 0)
		return -1;
	int length = job->has_body ?
		snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%sContent-Length: %llu\r\n\r\n", job->method, job->target, run.port,
			job->headers, (unsigned long long)job->length) :
		snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n", job->method, job->target, run.port, job->headers);
	if (length >= (int)sizeof(head))
		return -1;
	int sent = send_all(client, head, (size_t)length, job->length ? MSG_MORE : 0);
	if (sent == 0 && job->length)
		sent = send_body(client, job);
	int status = read_answer(client, job); /* also after a cut upload: the answer says why */
	if (sent != 0 || status < 0)
		disconnect(client);
	return sent != 0 && status < 400 ? -1 : status;
}

static void count(struct client *client, const struct job *job, double start, int status)
{
	bool ok = run.expect ? status == run.expect : status >= 200 && status < 400;
	if (client->requests == client->latencies_capacity) {
		client->latencies_capacity = client->latencies_capacity * 2 + 1024;
		client->latencies_us = realloc(client->latencies_us, client->latencies_capacity * sizeof(uint32_t));
	}
	client->latencies_us[client->requests++] = (uint32_t)((now_s() - start) * 1e6);
	if (ok)
		return;
	client->failed++;
	if (!client->failure[0])
		snprintf(client->failure, sizeof(client->failure), "%.100s: status %d, errno %s", job->target, status, strerror(errno));
}

static void *client_run(void *context)
{
	struct client *client = context;
	client->block = malloc(STEP_BYTES);
	for (int round = 0; run.seconds > 0 || round < run.repeat; round++) {
		for (size_t i = (size_t)client->index; i < run.jobs_count; i += (size_t)run.clients) {
			double start = now_s();
			if (run.seconds > 0 && start >= run.stop_at)
				goto done;
			count(client, &run.jobs[i], start, exchange(client, &run.jobs[i]));
			if (run.think_us)
				usleep((useconds_t)run.think_us);
		}
		if ((size_t)client->index >= run.jobs_count)
			break;
	}
done:
	disconnect(client);
	free(client->block);
	return NULL;
}

/* ------------------------------------------------------------------ the whole run */

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	return (left > right) - (left < right);
}

static void print_escaped(const char *text)
{
	for (; *text; text++)
		putchar(isprint((unsigned char)*text) && *text != '"' && *text != '\\' ? *text : ' ');
}

static void report(struct client *clients, double seconds)
{
	uint64_t requests = 0, failed = 0, sent = 0, received = 0;
	const char *failure = "";
	for (int i = 0; i < run.clients; i++) {
		requests += clients[i].requests;
		failed += clients[i].failed;
		sent += clients[i].sent;
		received += clients[i].received;
		if (clients[i].failed && clients[i].failure[0])
			failure = clients[i].failure;
	}
	uint32_t *all = malloc((requests + 1) * sizeof(*all));
	size_t have = 0;
	for (int i = 0; i < run.clients; i++) {
		memcpy(all + have, clients[i].latencies_us, clients[i].requests * sizeof(*all));
		have += clients[i].requests;
	}
	all[have] = 0;
	qsort(all, have, sizeof(*all), compare);
	printf("{\"requests\": %llu, \"failed\": %llu, \"sent\": %llu, \"received\": %llu, \"seconds\": %.6f, \"p50_us\": %u, \"p99_us\": %u, "
		"\"max_us\": %u, \"failure\": \"", (unsigned long long)requests, (unsigned long long)failed, (unsigned long long)sent,
		(unsigned long long)received, seconds, all[have / 2], all[have * 99 / 100], all[have ? have - 1 : 0]);
	print_escaped(failure);
	printf("\"}\n");
}

static int usage(void)
{
	fprintf(stderr, "usage: load_driver [--tls] [--clients N] [--seconds S | --repeat N] [--think-us N] [--expect STATUS] PORT JOBS\n");
	return 2;
}

static int parse(int argc, char **argv)
{
	static const struct option options[] = { { "tls", no_argument, NULL, 't' }, { "clients", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' }, { "repeat", required_argument, NULL, 'r' }, { "think-us", required_argument, NULL, 'u' },
		{ "expect", required_argument, NULL, 'e' }, { 0 } };
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (option) {
		case 't': run.tls = SSL_CTX_new(TLS_client_method()); break;
		case 'c': run.clients = atoi(optarg); break;
		case 's': run.seconds = atof(optarg); break;
		case 'r': run.repeat = atoi(optarg); break;
		case 'u': run.think_us = atoi(optarg); break;
		case 'e': run.expect = atoi(optarg); break;
		default: return -1;
		}
	}
	if (argc - optind != 2 || run.clients < 1 || run.clients > CLIENTS_MAX)
		return -1;
	run.port = atoi(argv[optind]);
	read_jobs(argv[optind + 1]);
	return 0;
}

int main(int argc, char **argv)
{
	static struct client clients[CLIENTS_MAX];
	signal(SIGPIPE, SIG_IGN);
	if (parse(argc, argv) != 0)
		return usage();
	double start = now_s();
	run.stop_at = start + run.seconds;
	for (int i = 0; i < run.clients; i++) {
		clients[i].index = i;
		clients[i].fd = -1;
		if (pthread_create(&clients[i].thread, NULL, client_run, &clients[i]) != 0)
			die("pthread_create");
	}
	for (int i = 0; i < run.clients; i++)
		pthread_join(clients[i].thread, NULL);
	report(clients, now_s() - start);
	return 0;
}
