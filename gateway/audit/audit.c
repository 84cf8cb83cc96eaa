#include "gateway/audit/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "gateway/audit/entry.h"
#include "gateway/process.h"
#include "schemas/json_writer.h"

enum { GROUPS = 2, CHANGES_PER_WRITE = 1024, LINES_BYTES_MAX = 4 << 20, POSITION_BYTES_MAX = 64, RESUME_BYTES = 256 << 10 };

struct audit {
	struct gateway *gateway;
	char *file, *position_file;
	bool reads;
	int fd;
	bool starts_in_a_line;       /* a crash cut the last line of the file */
	pthread_t thread;
	_Atomic bool stopping;
	uint64_t written[GROUPS], synced[GROUPS]; /* numbers of changes; the thread's */
	int64_t synced_ms;
	bool complained;

	pthread_mutex_t file_mutex;  /* `fd`, while it is used or exchanged */
	pthread_mutex_t mutex;       /* what follows: never held while the disk is waited for */
	struct buffer pending;       /* lines of reads */
	uint64_t dropped;
};

/* ------------------------------------------------------------------ the file */

static int open_file(struct audit *audit, struct why *why)
{
	int fd = open(audit->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return why_set(why, ERR_IO, "cannot open %s: %s", audit->file, strerror(errno));
	off_t length = lseek(fd, 0, SEEK_END);
	char last = '\n';
	int back = length > 0 ? open(audit->file, O_RDONLY | O_CLOEXEC) : -1;
	if (back >= 0 && pread(back, &last, 1, length - 1) != 1)
		last = '\n';
	if (back >= 0)
		close(back);
	audit->starts_in_a_line = last != '\n';
	audit->fd = fd;
	return 0;
}

static int write_all(int fd, struct span bytes)
{
	while (bytes.length) {
		ssize_t n = write(fd, bytes.data, bytes.length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR_IO;
		bytes = span_of(bytes.data + n, bytes.length - (size_t)n);
	}
	return 0;
}

/* On the thread, or while it does not run. */
static int append(struct audit *audit, struct span lines)
{
	int err = 0;
	if (lines.length == 0)
		return 0;
	pthread_mutex_lock(&audit->file_mutex);
	if (audit->starts_in_a_line)
		err = write_all(audit->fd, span_text("\n"));
	if (err == 0)
		err = write_all(audit->fd, lines);
	audit->starts_in_a_line = err != 0;
	pthread_mutex_unlock(&audit->file_mutex);
	if (err && !audit->complained)
		fprintf(stderr, "cairnd: cannot write %s: %s; changes wait\n", audit->file, strerror(errno));
	audit->complained = err != 0;
	return err;
}

/* How far the log is, once it is on disk. Losing this file costs nothing but looking through the log's end. */
static void sync_log(struct audit *audit)
{
	char text[POSITION_BYTES_MAX], temporary[4200];
	if (memcmp(audit->written, audit->synced, sizeof(audit->synced)) == 0)
		return;
	pthread_mutex_lock(&audit->file_mutex);
	int failed = fdatasync(audit->fd);
	pthread_mutex_unlock(&audit->file_mutex);
	if (failed)
		return;
	int length = snprintf(text, sizeof(text), "%llu %llu\n", (unsigned long long)audit->written[0], (unsigned long long)audit->written[1]);
	snprintf(temporary, sizeof(temporary), "%s.new", audit->position_file);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	bool good = write_all(fd, span_of(text, (size_t)length)) == 0;
	close(fd);
	if (good && rename(temporary, audit->position_file) == 0)
		memcpy(audit->synced, audit->written, sizeof(audit->synced));
}

/* ------------------------------------------------------------------ where to go on */

static void read_position(struct audit *audit)
{
	char text[POSITION_BYTES_MAX] = "";
	unsigned long long numbers[GROUPS] = { 0 };
	int fd = open(audit->position_file, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof(text) - 1);
		close(fd);
		if (n > 0 && sscanf(text, "%llu %llu", &numbers[0], &numbers[1]) != 2)
			numbers[0] = numbers[1] = 0;
	}
	for (int i = 0; i < GROUPS; i++)
		audit->written[i] = audit->synced[i] = numbers[i];
}

/* The file's end, from the beginning of a line: malloc'ed. NULL: nothing there. */
static char *read_tail(const struct audit *audit, size_t bytes_max, size_t *length)
{
	int fd = open(audit->file, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	off_t start = end > (off_t)bytes_max ? end - (off_t)bytes_max : 0;
	char *text = end > 0 ? malloc((size_t)(end - start) + 1) : NULL;
	ssize_t n = text ? pread(fd, text, (size_t)(end - start), start) : -1;
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = 0;
	char *first = start ? memchr(text, '\n', (size_t)n) : NULL;
	size_t skipped = first ? (size_t)(first + 1 - text) : 0;
	memmove(text, text + skipped, (size_t)n - skipped + 1);
	*length = (size_t)n - skipped;
	return text;
}

/* Lines may be newer than the position. */
static void read_newest_lines(struct audit *audit)
{
	size_t length = 0;
	char *text = read_tail(audit, RESUME_BYTES, &length);
	for (char *at = text; text && at < text + length;) {
		char *end = memchr(at, '\n', length - (size_t)(at - text));
		if (!end)
			break;
		json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);
		const json_t *number = json_object_get(line, "number"), *group = json_object_get(line, "group");
		json_int_t g = json_integer_value(group);
		if (json_is_integer(number) && json_is_integer(group) && g >= 0 && g < GROUPS && (uint64_t)json_integer_value(number) > audit->written[g])
			audit->written[g] = (uint64_t)json_integer_value(number);
		json_decref(line);
		at = end + 1;
	}
	free(text);
}

/* A hub that was made anew from a backup has fewer changes than its log tells of. */
static void rewind_to_state(struct audit *audit)
{
	for (uint32_t group = 0; group < GROUPS; group++) {
		uint64_t last = 0;
		if (changes_last(audit->gateway->ns, group, &last) == 0 && audit->written[group] > last)
			audit->written[group] = last;
	}
}

/* ------------------------------------------------------------------ following */

struct batch {
	struct audit *audit;
	uint32_t group;
	struct buffer lines;
	uint64_t last;
	unsigned count;
};

static int add_change(void *context, const struct change *change)
{
	struct batch *batch = context;
	if (audit_wants(change))
		audit_write_change(&batch->lines, batch->group, change, batch->audit->gateway->ns);
	batch->last = change->number;
	return ++batch->count == CHANGES_PER_WRITE || batch->lines.length > LINES_BYTES_MAX / 2;
}

/* What is no longer kept is told as missing. */
static int skip_gap(struct batch *batch)
{
	uint64_t last = 0;
	int err = changes_last(batch->audit->gateway->ns, batch->group, &last);
	uint64_t from = batch->audit->written[batch->group] + 1, to = last > CHANGES_KEPT / 2 ? last - CHANGES_KEPT / 2 : 0;
	if (err || to < from)
		return err;
	audit_write_gap(&batch->lines, batch->group, from, to, unix_ms());
	batch->last = to;
	batch->count = CHANGES_PER_WRITE;
	return 0;
}

/* *more: there may be. */
static int follow_group(struct audit *audit, uint32_t group, bool *more)
{
	struct batch batch = { .audit = audit, .group = group, .last = audit->written[group] };
	buffer_init(&batch.lines, LINES_BYTES_MAX);
	int err = changes_read(audit->gateway->ns, group, audit->written[group], add_change, &batch);
	if (err == ERR_RANGE)
		err = skip_gap(&batch);
	*more = err > 0 || batch.count == CHANGES_PER_WRITE;
	if (err >= 0 && batch.count)
		err = batch.lines.failed ? ERR_NO_MEMORY : append(audit, buffer_span(&batch.lines));
	if (err >= 0)
		audit->written[group] = batch.last;
	buffer_fini(&batch.lines);
	return err > 0 ? 0 : err;
}

static void write_reads(struct audit *audit)
{
	struct buffer lines;
	buffer_init(&lines, AUDIT_READS_BUFFER_BYTES + 256);
	pthread_mutex_lock(&audit->mutex);
	struct buffer taken = audit->pending;
	audit->pending = lines;
	uint64_t dropped = audit->dropped;
	audit->dropped = 0;
	pthread_mutex_unlock(&audit->mutex);
	if (dropped)
		buffer_printf(&taken, "{\"event\":\"reads-dropped\",\"missing\":%llu}\n", (unsigned long long)dropped);
	append(audit, buffer_span(&taken));
	buffer_fini(&taken);
}

static void follow(struct audit *audit)
{
	for (uint32_t group = 0; group < GROUPS; group++) {
		bool more = true;
		while (more && follow_group(audit, group, &more) == 0)
			;
	}
	write_reads(audit);
	int64_t now = unix_ms();
	if (now - audit->synced_ms < AUDIT_SYNC_MS && now >= audit->synced_ms && !audit->stopping)
		return;
	sync_log(audit);
	audit->synced_ms = now;
}

static void *run(void *context)
{
	struct audit *audit = context;
	while (!audit->stopping) {
		uint64_t version = namespace_version(audit->gateway->ns);
		follow(audit);
		if (!audit->stopping)
			changes_wait(audit->gateway->ns, version, AUDIT_SYNC_MS);
	}
	follow(audit);
	return NULL;
}

/* ------------------------------------------------------------------ outside */

int audit_open(struct audit **out, struct gateway *gateway, const char *file, bool reads, struct why *why)
{
	*out = NULL;
	if (!file)
		return 0;
	struct audit *audit = calloc(1, sizeof(*audit));
	if (!audit || !(audit->file = strdup(file)) || asprintf(&audit->position_file, "%s/audit-position", gateway->data_dir) < 0) {
		free(audit ? audit->file : NULL);
		free(audit);
		return why_set(why, ERR_NO_MEMORY, "no memory for the audit log");
	}
	audit->gateway = gateway;
	audit->reads = reads;
	audit->fd = -1;
	pthread_mutex_init(&audit->mutex, NULL);
	pthread_mutex_init(&audit->file_mutex, NULL);
	buffer_init(&audit->pending, AUDIT_READS_BUFFER_BYTES + 256);
	int err = open_file(audit, why);
	if (err == 0) {
		read_position(audit);
		read_newest_lines(audit);
		rewind_to_state(audit);
		if (pthread_create(&audit->thread, NULL, run, audit) != 0)
			err = why_set(why, ERR_NO_MEMORY, "cannot start the thread of the audit log");
	}
	if (err == 0) {
		*out = audit;
		return 0;
	}
	if (audit->fd >= 0)
		close(audit->fd);
	free(audit->file);
	free(audit->position_file);
	free(audit);
	return err;
}

void audit_close(struct audit *audit)
{
	if (!audit)
		return;
	audit->stopping = true;
	changes_wake(audit->gateway->ns);
	pthread_join(audit->thread, NULL);
	close(audit->fd);
	buffer_fini(&audit->pending);
	pthread_mutex_destroy(&audit->mutex);
	pthread_mutex_destroy(&audit->file_mutex);
	free(audit->file);
	free(audit->position_file);
	free(audit);
}

int audit_reopen(struct audit *audit, struct why *why)
{
	if (!audit)
		return 0;
	pthread_mutex_lock(&audit->file_mutex);
	int old = audit->fd;
	fdatasync(old);
	int err = open_file(audit, why);
	if (err == 0)
		close(old);
	pthread_mutex_unlock(&audit->file_mutex);
	return err;
}

/* Routes whose answers show what is in a repository; their paths hold no secrets. */
static bool is_read(const struct http_answered *answered)
{
	static const char *const routes[] = { "hub-resolve", "hub-raw", "hub-resolve-cache", "hub-tree", "hub-info", "hub-paths-info", "hub-commits", "hub-refs",
		"hub-compare", "hub-xet-token", "lfs-batch", "git-upload-pack", "git-bundle-list", "hub-repo-duplicate" };
	if (answered->status < 200 || answered->status >= 400 || !answered->route)
		return false;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(answered->route, routes[i]) == 0)
			return true;
	return false;
}

void audit_answered(struct audit *audit, const struct http_answered *answered)
{
	if (!audit || !audit->reads || !is_read(answered))
		return;
	struct span path = answered->path;
	pthread_mutex_lock(&audit->mutex);
	if (audit->pending.length > AUDIT_READS_BUFFER_BYTES - 4 * AUDIT_PATH_BYTES_MAX) {
		audit->dropped++;
	} else {
		struct json_writer json;
		json_writer_init(&json, &audit->pending);
		json_object_begin(&json, NULL);
		json_date(&json, "time", unix_ms());
		json_text(&json, "event", "read");
		json_text(&json, "actor", answered->actor);
		json_text(&json, "address", answered->peer);
		json_text(&json, "method", answered->method);
		json_span(&json, "path", span_of(path.data, path.length < AUDIT_PATH_BYTES_MAX ? path.length : AUDIT_PATH_BYTES_MAX));
		json_i64(&json, "status", answered->status);
		json_text(&json, "request_id", answered->request_id);
		json_object_end(&json);
		buffer_append_byte(&audit->pending, '\n');
	}
	pthread_mutex_unlock(&audit->mutex);
}

/* ------------------------------------------------------------------ looking back */

static bool is_text(const json_t *value, const char *wanted)
{
	const char *text = json_string_value(value);
	return !wanted || (text && strcmp(text, wanted) == 0);
}

/* Times are ISO 8601 of one form, so that their order is that of their texts. */
static bool fits(const json_t *line, const struct audit_query *query, const char *since)
{
	const char *time = json_string_value(json_object_get(line, "time"));
	return is_text(json_object_get(line, "actor"), query->actor) && is_text(json_object_get(line, "event"), query->event) &&
		is_text(json_object_get(json_object_get(line, "repo"), "name"), query->repo) && (!since[0] || (time && strcmp(time, since) >= 0));
}

static void since_text(int64_t since_ms, char out[64])
{
	struct buffer text;
	struct json_writer json;
	out[0] = 0;
	if (since_ms <= 0)
		return;
	buffer_init(&text, 64);
	json_writer_init(&json, &text);
	json_date(&json, NULL, since_ms);
	if (text.length > 2 && text.length < 64) { /* without its quotes */
		memcpy(out, text.data + 1, text.length - 2);
		out[text.length - 2] = 0;
	}
	buffer_fini(&text);
}

int audit_look_back(struct audit *audit, const struct audit_query *query, struct buffer *out, struct why *why)
{
	if (!audit)
		return why_set(why, ERR_NOT_FOUND, "this hub keeps no audit log");
	char since[64];
	size_t length = 0;
	unsigned limit = query->limit && query->limit < AUDIT_ENTRIES_MAX ? query->limit : AUDIT_ENTRIES_MAX, count = 0;
	since_text(query->since_ms, since);
	char *text = read_tail(audit, AUDIT_TAIL_BYTES, &length);
	struct span *found = calloc(AUDIT_ENTRIES_MAX, sizeof(*found));
	if (!found) {
		free(text);
		return ERR_NO_MEMORY;
	}
	for (char *end = text ? text + length : NULL; text && end > text && count < limit;) {
		char *stop = end;
		while (end > text && end[-1] != '\n')
			end--;
		json_t *line = stop > end ? json_loadb(end, (size_t)(stop - end), 0, NULL) : NULL;
		if (line && fits(line, query, since))
			found[count++] = span_of(end, (size_t)(stop - end));
		json_decref(line);
		end--;
	}
	buffer_append_byte(out, '[');
	for (unsigned i = count; i > 0; i--) {
		buffer_append(out, found[i - 1].data, found[i - 1].length);
		if (i > 1)
			buffer_append_byte(out, ',');
	}
	buffer_append_byte(out, ']');
	free(found);
	free(text);
	return out->failed ? ERR_TOO_BIG : 0;
}
