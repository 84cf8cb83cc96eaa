#include "gateway/http/access_log.h"

#include "schemas/json_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 16 << 10 };

struct access_log {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	pthread_t thread;
	char *file;              /* NULL: standard output */
	int fd;
	struct buffer filling, writing; /* `writing` is the thread's */
	bool stopping;
	_Atomic uint64_t dropped;
};

static void write_all(int fd, const struct buffer *buffer)
{
	for (size_t done = 0; done < buffer->length;) {
		ssize_t written = write(fd, buffer->data + done, buffer->length - done);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return; /* a full log disk stops the log, not the server */
		done += (size_t)written;
	}
}

/* With the mutex held: gathers what comes into one write, but not until the buffer is full. */
static void gather(struct access_log *log)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += LOG_FLUSH_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!log->stopping && log->filling.length < LOG_BUFFER_BYTES / 2)
		if (pthread_cond_timedwait(&log->wake, &log->mutex, &until) != 0)
			return;
}

static void *log_run(void *context)
{
	struct access_log *log = context;
	pthread_mutex_lock(&log->mutex);
	while (!log->stopping || log->filling.length > 0) {
		if (log->filling.length == 0) {
			pthread_cond_wait(&log->wake, &log->mutex);
			continue;
		}
		gather(log);
		struct buffer swap = log->writing;
		log->writing = log->filling;
		log->filling = swap;
		int fd = log->fd;
		pthread_mutex_unlock(&log->mutex);
		write_all(fd, &log->writing);
		buffer_clear(&log->writing);
		pthread_mutex_lock(&log->mutex);
	}
	pthread_mutex_unlock(&log->mutex);
	return NULL;
}

static int open_file(const char *file, struct why *why)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	return fd >= 0 ? fd : why_set(why, ERR_IO, "cannot open the access log %s: %s", file, strerror(errno));
}

int access_log_open(struct access_log **out, const char *file, struct why *why)
{
	struct access_log *log = calloc(1, sizeof(*log));
	if (!log)
		return why_set(why, ERR_NO_MEMORY, "no memory for the access log");
	bool standard = strcmp(file, "-") == 0;
	log->fd = standard ? STDOUT_FILENO : open_file(file, why);
	log->file = standard ? NULL : strdup(file);
	if (log->fd < 0 || (!standard && !log->file)) {
		int err = log->fd < 0 ? log->fd : ERR_NO_MEMORY;
		free(log->file);
		free(log);
		return err;
	}
	buffer_init(&log->filling, LOG_BUFFER_BYTES);
	buffer_init(&log->writing, LOG_BUFFER_BYTES);
	pthread_mutex_init(&log->mutex, NULL);
	pthread_cond_init(&log->wake, NULL);
	if (pthread_create(&log->thread, NULL, log_run, log) != 0) {
		if (!standard)
			close(log->fd);
		free(log->file);
		free(log);
		return why_set(why, ERR_NO_MEMORY, "cannot start the access log's thread");
	}
	*out = log;
	return 0;
}

/* Signed grants stand in paths: a segment as long as a signature and made of its letters is blanked. */
static void blank_secrets(char *path)
{
	for (char *segment = path; *segment;) {
		size_t length = strspn(segment, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
		char *end = segment + length;
		bool whole = *end == 0 || *end == '/';
		if (whole && length >= LOG_SECRET_BYTES_MIN) {
			*segment++ = '*';
			memmove(segment, end, strlen(end) + 1);
			end = segment;
		}
		segment = strchr(end, '/');
		if (!segment)
			return;
		segment++;
	}
}

static void make_line(struct buffer *out, const struct log_line *line)
{
	char path[LOG_PATH_BYTES_MAX + 1];
	size_t length = line->path.length < LOG_PATH_BYTES_MAX ? line->path.length : LOG_PATH_BYTES_MAX;
	if (length > 0)
		memcpy(path, line->path.data, length);
	path[length] = 0;
	blank_secrets(path);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct json_writer json;
	json_writer_init(&json, out);
	json_object_begin(&json, NULL);
	json_date(&json, "time", (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	json_text(&json, "id", line->request_id);
	json_text(&json, "actor", line->actor[0] ? line->actor : NULL);
	json_text(&json, "peer", line->peer);
	json_text(&json, "method", line->method);
	json_text(&json, "path", path);
	json_u64(&json, "status", (uint64_t)line->status);
	json_u64(&json, "bytes_in", line->bytes_in);
	json_u64(&json, "bytes_out", line->bytes_out);
	char ms[32];
	int ms_length = snprintf(ms, sizeof(ms), "%.3f", (double)line->microseconds / 1000);
	json_raw(&json, "ms", span_of(ms, (size_t)ms_length));
	json_object_end(&json);
	buffer_append_byte(out, '\n');
}

void access_log_write(struct access_log *log, const struct log_line *line)
{
	static __thread uint8_t memory[LINE_BYTES_MAX];
	/* A buffer over memory that is there already: its limit keeps it from growing. */
	struct buffer text = { .data = memory, .capacity = sizeof(memory), .limit = sizeof(memory) };
	make_line(&text, line);
	bool fits = !text.failed;
	if (fits) {
		pthread_mutex_lock(&log->mutex);
		size_t before = log->filling.length;
		fits = buffer_append(&log->filling, text.data, text.length) == 0;
		if (before == 0 || (before < LOG_BUFFER_BYTES / 2 && log->filling.length >= LOG_BUFFER_BYTES / 2))
			pthread_cond_signal(&log->wake);
		pthread_mutex_unlock(&log->mutex);
	}
	if (!fits)
		atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
}

int access_log_reopen(struct access_log *log, struct why *why)
{
	if (!log->file)
		return 0;
	int fd = open_file(log->file, why);
	if (fd < 0)
		return fd;
	/* Under the same number, so that a write under way on the old one is not torn. */
	pthread_mutex_lock(&log->mutex);
	dup3(fd, log->fd, O_CLOEXEC);
	pthread_mutex_unlock(&log->mutex);
	close(fd);
	return 0;
}

void access_log_close(struct access_log *log)
{
	if (!log)
		return;
	pthread_mutex_lock(&log->mutex);
	log->stopping = true;
	pthread_cond_signal(&log->wake);
	pthread_mutex_unlock(&log->mutex);
	pthread_join(log->thread, NULL);
	if (log->file)
		close(log->fd);
	free(log->file);
	buffer_fini(&log->filling);
	buffer_fini(&log->writing);
	pthread_cond_destroy(&log->wake);
	pthread_mutex_destroy(&log->mutex);
	free(log);
}

uint64_t access_log_dropped(const struct access_log *log)
{
	return atomic_load(&log->dropped);
}
