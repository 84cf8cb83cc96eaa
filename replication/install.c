#include "replication/install.h"

#include "replication/node.h"
#include "replication/peer_calls.h"
#include "schemas/little_endian.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void install_dir(char out[PATH_MAX], const char *dir, uint32_t group)
{
	if (snprintf(out, PATH_MAX, "%s/install-%u", dir, group) >= PATH_MAX)
		out[0] = 0; /* longer than the system takes: every use fails */
}

void install_discard(const char *dir, uint32_t group)
{
	char path[PATH_MAX], file[PATH_MAX + 256];
	install_dir(path, dir, group);
	DIR *list = opendir(path);
	if (!list)
		return;
	for (const struct dirent *entry; (entry = readdir(list)) != NULL;) {
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(file);
	}
	closedir(list);
	rmdir(path);
}

static uint64_t seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

/* ---- the source ---- */

static int send_error(struct peer_stream *stream, uint32_t group, int err, const char *sentence)
{
	struct buffer body;
	buffer_init(&body, 1024);
	pack_array(&body, 2);
	pack_i64(&body, err);
	pack_text(&body, span_text(sentence));
	peer_stream_send(stream, FRAME_ERROR, group, buffer_span(&body), NULL);
	buffer_fini(&body);
	return err;
}

static int applied_in(rocksdb_t *db, const rocksdb_readoptions_t *options, uint32_t group, uint64_t *applied)
{
	struct key key;
	struct buffer unused;
	size_t length;
	char *error = NULL;
	applier_record_key(&key, group);
	char *value = rocksdb_get(db, options, (const char *)key.bytes, key.length, &length, &error);
	buffer_init(&unused, 4096);
	int err = value ? applier_record_restate(span_of(value, length), 0, &unused, applied) : ERR_NOT_FOUND;
	buffer_fini(&unused);
	rocksdb_free(value);
	rocksdb_free(error);
	return err;
}

static int send_pairs(struct peer_stream *stream, rocksdb_iterator_t *iterator, uint32_t group, const atomic_bool *stop, uint64_t *pairs, struct why *why)
{
	struct buffer body;
	int err = 0;
	uint64_t until = seconds() + INSTALL_MS_MAX / 1000;
	buffer_init(&body, PEER_FRAME_BYTES_MAX - 4096);
	while (err == 0 && rocksdb_iter_valid(iterator)) {
		size_t key_length, length;
		const char *key = rocksdb_iter_key(iterator, &key_length), *value = rocksdb_iter_value(iterator, &length);
		uint8_t header[8];
		le_write_u32(header, (uint32_t)key_length);
		le_write_u32(header + 4, (uint32_t)length);
		buffer_append(&body, header, sizeof(header));
		buffer_append(&body, key, key_length);
		buffer_append(&body, value, length);
		(*pairs)++;
		rocksdb_iter_next(iterator);
		if (body.length < STATE_PAIRS_BYTES_MAX && rocksdb_iter_valid(iterator))
			continue;
		if (body.failed)
			err = why_set(why, ERR_TOO_BIG, "a record of the state is larger than a frame");
		else if (atomic_load(stop) || seconds() > until)
			err = why_set(why, ERR_CLOSED, "the transfer of a state takes too long");
		else
			err = peer_stream_send(stream, FRAME_STATE_PAIRS, group, buffer_span(&body), why);
		buffer_clear(&body);
	}
	buffer_fini(&body);
	char *error = NULL;
	rocksdb_iter_get_error(iterator, &error);
	if (error && err == 0)
		err = why_set(why, ERR_IO, "cannot read the state: %s", error);
	rocksdb_free(error);
	return err;
}

int install_serve(struct peer_stream *stream, rocksdb_t *db, uint32_t group, uint64_t index, const atomic_bool *stop, struct why *why)
{
	const rocksdb_snapshot_t *snapshot = rocksdb_create_snapshot(db);
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	uint8_t from[4], to[4];
	uint64_t applied = 0, pairs = 0;
	put_big_endian(from, group, 4);
	put_big_endian(to, (uint64_t)group + 1, 4);
	rocksdb_readoptions_set_snapshot(options, snapshot);
	rocksdb_readoptions_set_fill_cache(options, 0);
	rocksdb_readoptions_set_iterate_upper_bound(options, (const char *)to, sizeof(to));
	int err = applied_in(db, options, group, &applied);
	if (err || applied < index) {
		err = send_error(stream, group, ERR_BUSY, "this node has not come that far");
	} else {
		rocksdb_iterator_t *iterator = rocksdb_create_iterator(db, options);
		rocksdb_iter_seek(iterator, (const char *)from, sizeof(from));
		err = send_pairs(stream, iterator, group, stop, &pairs, why);
		rocksdb_iter_destroy(iterator);
	}
	if (err == 0) {
		struct buffer body;
		buffer_init(&body, 64);
		pack_array(&body, 2);
		pack_u64(&body, pairs);
		pack_u64(&body, applied);
		err = peer_stream_send(stream, FRAME_STATE_END, group, buffer_span(&body), why);
		buffer_fini(&body);
	}
	rocksdb_readoptions_destroy(options);
	rocksdb_release_snapshot(db, snapshot);
	return err;
}

/* ---- the receiver ---- */

struct staging {
	char dir[PATH_MAX];
	uint32_t group;
	uint64_t index;        /* asked for: what the log will begin behind */
	uint64_t pairs, applied, file_bytes;
	unsigned files;
	bool writing, has_record;
	struct key record_key;
	struct buffer last_key;
	rocksdb_options_t *options;
	rocksdb_envoptions_t *environment;
	rocksdb_sstfilewriter_t *writer;
};

static int take_error(char *error, struct why *why)
{
	if (!error)
		return 0;
	int err = why_set(why, strstr(error, "No space") ? ERR_NO_SPACE : ERR_IO, "cannot stage a state: %s", error);
	rocksdb_free(error);
	return err;
}

static int open_file(struct staging *staging, struct why *why)
{
	char path[PATH_MAX + 32], *error = NULL;
	snprintf(path, sizeof(path), "%s/%06u.sst", staging->dir, staging->files);
	rocksdb_sstfilewriter_open(staging->writer, path, &error);
	staging->writing = error == NULL;
	staging->files++;
	staging->file_bytes = 0;
	return take_error(error, why);
}

static int finish_file(struct staging *staging, struct why *why)
{
	char *error = NULL;
	if (!staging->writing)
		return 0;
	rocksdb_sstfilewriter_finish(staging->writer, &error);
	staging->writing = false;
	return take_error(error, why);
}

/* The first file: what the group had before goes. */
static int write_deletion(struct staging *staging, struct why *why)
{
	uint8_t from[4], to[4];
	char *error = NULL;
	put_big_endian(from, staging->group, 4);
	put_big_endian(to, (uint64_t)staging->group + 1, 4);
	int err = open_file(staging, why);
	if (err == 0)
		rocksdb_sstfilewriter_delete_range(staging->writer, (const char *)from, sizeof(from), (const char *)to, sizeof(to), &error);
	if (err == 0)
		err = take_error(error, why);
	return err ? err : finish_file(staging, why);
}

static int write_pair(struct staging *staging, struct span key, struct span value, struct why *why)
{
	struct buffer restated;
	char *error = NULL;
	int err = 0;
	bool ascends = staging->last_key.length == 0 || memcmp(staging->last_key.data, key.data,
		key.length < staging->last_key.length ? key.length : staging->last_key.length) < 0 ||
		(key.length > staging->last_key.length && memcmp(staging->last_key.data, key.data, staging->last_key.length) == 0);
	if (key.length < KEY_PREFIX_BYTES || key.length > KEY_BYTES_MAX || get_big_endian(key.data, 4) != staging->group || !ascends)
		return why_set(why, ERR_CORRUPT, "a state comes with keys that are not its own or not in order");
	buffer_clear(&staging->last_key);
	buffer_append(&staging->last_key, key.data, key.length);
	buffer_init(&restated, 4096);
	if (span_equal(key, span_of(staging->record_key.bytes, staging->record_key.length))) {
		err = applier_record_restate(value, staging->index, &restated, &staging->applied);
		value = buffer_span(&restated);
		staging->has_record = true;
	}
	if (err)
		why_set(why, err, "the state is of a version that this program does not know");
	if (err == 0 && !staging->writing)
		err = open_file(staging, why);
	if (err == 0) {
		rocksdb_sstfilewriter_put(staging->writer, (const char *)key.data, key.length, (const char *)value.data, value.length, &error);
		err = take_error(error, why);
	}
	staging->pairs++;
	staging->file_bytes += key.length + value.length;
	buffer_fini(&restated);
	return err == 0 && staging->file_bytes >= INSTALL_FILE_BYTES ? finish_file(staging, why) : err;
}

static int take_pairs(struct staging *staging, struct span body, struct why *why)
{
	while (body.length > 0) {
		if (body.length < 8)
			return why_set(why, ERR_CORRUPT, "a state is cut short");
		uint64_t key_length = le_read_u32(body.data), length = le_read_u32(body.data + 4);
		if (key_length + length > body.length - 8)
			return why_set(why, ERR_CORRUPT, "a state is cut short");
		int err = write_pair(staging, span_of(body.data + 8, key_length), span_of(body.data + 8 + key_length, length), why);
		if (err)
			return err;
		body = span_of(body.data + 8 + key_length + length, body.length - 8 - key_length - length);
	}
	return 0;
}

static int take_end(const struct staging *staging, struct span body, struct why *why)
{
	struct cursor cursor = cursor_of(body);
	cursor_array(&cursor, 2);
	uint64_t pairs = cursor_u64(&cursor), applied = cursor_u64(&cursor);
	if (!cursor_done(&cursor) || pairs != staging->pairs || !staging->has_record || applied != staging->applied || applied < staging->index)
		return why_set(why, ERR_CORRUPT, "a state did not come whole");
	return 0;
}

static int take_refusal(struct span body, struct why *why)
{
	struct cursor cursor = cursor_of(body);
	cursor_array(&cursor, 2);
	int64_t err = cursor_i64(&cursor);
	struct span sentence = cursor_text(&cursor, WHY_BYTES_MAX - 1);
	return why_set(why, err < 0 && err > -64 ? (int)err : ERR_CORRUPT, "%.*s", (int)sentence.length, sentence.data ? (const char *)sentence.data : "");
}

static int sync_dir(const char *dir, struct why *why)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = fd < 0 || fsync(fd) != 0;
	if (fd >= 0)
		close(fd);
	return failed ? why_set(why, ERR_IO, "cannot sync %s: %s", dir, strerror(errno)) : 0;
}

static int receive(struct staging *staging, struct peer_stream *stream, const atomic_bool *stop, struct why *why)
{
	struct buffer body;
	buffer_init(&body, 64);
	pack_array(&body, 1);
	pack_u64(&body, staging->index);
	int err = peer_stream_send(stream, FRAME_STATE, staging->group, buffer_span(&body), why);
	buffer_fini(&body);
	if (err == 0)
		err = write_deletion(staging, why);
	while (err == 0) {
		struct peer_frame frame;
		err = atomic_load(stop) ? ERR_CLOSED : peer_stream_receive(stream, &frame, why);
		if (err)
			break;
		if (frame.type == FRAME_STATE_END) {
			err = take_end(staging, frame.body, why);
			break;
		}
		err = frame.type == FRAME_STATE_PAIRS && frame.group == staging->group ? take_pairs(staging, frame.body, why) :
			frame.type == FRAME_ERROR ? take_refusal(frame.body, why) : why_set(why, ERR_CORRUPT, "a state was expected");
	}
	int finish_err = finish_file(staging, why);
	return err ? err : finish_err ? finish_err : sync_dir(staging->dir, why);
}

int install_fetch(struct peer_stream *stream, const char *dir, uint32_t group, uint64_t index, const atomic_bool *stop, struct why *why)
{
	struct staging *staging = must_alloc(sizeof(*staging));
	staging->group = group;
	staging->index = index;
	install_discard(dir, group);
	install_dir(staging->dir, dir, group);
	applier_record_key(&staging->record_key, group);
	buffer_init(&staging->last_key, KEY_BYTES_MAX);
	staging->options = rocksdb_options_create();
	rocksdb_options_set_compression(staging->options, rocksdb_lz4_compression);
	staging->environment = rocksdb_envoptions_create();
	staging->writer = rocksdb_sstfilewriter_create(staging->environment, staging->options);
	int err = mkdir(staging->dir, 0700) == 0 ? 0 : why_set(why, ERR_IO, "cannot create %s: %s", staging->dir, strerror(errno));
	if (err == 0)
		err = receive(staging, stream, stop, why);
	if (err == 0)
		err = sync_dir(dir, why);
	rocksdb_sstfilewriter_destroy(staging->writer);
	rocksdb_envoptions_destroy(staging->environment);
	rocksdb_options_destroy(staging->options);
	buffer_fini(&staging->last_key);
	free(staging);
	if (err)
		install_discard(dir, group);
	return err;
}
