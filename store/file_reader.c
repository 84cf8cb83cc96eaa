/* file_reader.c - a range of a file as a stream: read, checked, decoded, in order. */
#include <stdlib.h>

#include "store/chunk_run.h"
#include "store/file_terms.h"
#include "store/other_terms.h"
#include "store/remote_xorb.h"

enum { CACHED_STRETCH_BYTES = 512 << 10 };

struct file_reader {
	struct store *store;
	struct file_terms terms;
	bool placed;               /* the current term holds `at` */
	uint64_t at, end;          /* bytes of the file */
	struct stored_xorb *xorb;  /* of the current term; NULL: not opened yet */
	uint32_t chunk;            /* the one that holds `at` */
	uint64_t chunk_start;      /* in the file */
	struct chunk_run run;
	uint8_t *raw;              /* CHUNK_BYTES_MAX: a chunk that is handed out piecemeal */
	bool raw_valid;            /* holds the current chunk */
	bool repaired;             /* the xorb of the current term was looked for once more */
	bool mended;               /* a damaged record of the file was replaced while reading */
	bool switched;             /* a xorb could not be had, and the file is read by other terms since */
	const struct volume *cached_volume; /* where a stretch was found in the page cache; NULL: nowhere */
	uint64_t cached_from, cached_until;
};

int file_reader_open(struct file_reader **out, struct store *store, const struct hash *file, uint64_t start, uint64_t end, struct why *why)
{
	struct file_reader *reader = calloc(1, sizeof(*reader));
	if (!reader)
		return why_set(why, ERR_NO_MEMORY, "no memory to read a file");
	reader->store = store;
	int err = file_terms_open(&reader->terms, store, file, why);
	if (err == ERR_CORRUPT && store_repair_file(store, file) == 0)
		err = file_terms_open(&reader->terms, store, file, why);
	uint64_t length = reader->terms.file.record.length;
	if (err == 0 && (start > length || start > end))
		err = why_set(why, ERR_RANGE, "the file has %llu bytes", (unsigned long long)length);
	if (err) {
		file_reader_close(reader);
		return err;
	}
	reader->at = start;
	reader->end = end < length ? end : length;
	*out = reader;
	return 0;
}

void file_reader_close(struct file_reader *reader)
{
	if (!reader)
		return;
	file_terms_close(&reader->terms);
	stored_xorb_release(reader->xorb);
	chunk_run_fini(&reader->run);
	free(reader->raw);
	free(reader);
}

static void leave_term(struct file_reader *reader)
{
	stored_xorb_release(reader->xorb);
	reader->xorb = NULL;
	reader->run.xorb = NULL;
	reader->raw_valid = false;
	reader->cached_volume = NULL; /* another may come to lie at its address */
}

static int find_term(struct file_reader *reader, bool may_block, struct why *why)
{
	if (!reader->placed) {
		int err = file_terms_seek(&reader->terms, reader->at, may_block, why);
		reader->placed = err == 0;
		return err;
	}
	if (reader->at < reader->terms.raw_start + reader->terms.term.raw_length)
		return 0;
	int more = file_terms_next(&reader->terms, may_block, why);
	if (more == 1) {
		leave_term(reader);
		reader->repaired = false;
	}
	return more == 1 ? 0 : more ? more : why_set(why, ERR_CORRUPT, "a file's terms are shorter than the file");
}

/* Goes on at the same byte by the terms that the file has now. */
static int begin_anew(struct file_reader *reader, struct why *why)
{
	struct hash file = reader->terms.file.record.file;
	leave_term(reader);
	file_terms_close(&reader->terms);
	reader->placed = false;
	int err = file_terms_open(&reader->terms, reader->store, &file, why);
	return err ? err : find_term(reader, true, why);
}

/* A record that is damaged here may be whole elsewhere. 0: it is now, and its terms may be others; else the error as it was. */
static int mend(struct file_reader *reader, int err, struct why *why)
{
	if (reader->mended || store_repair_file(reader->store, &reader->terms.file.record.file) != 0)
		return err;
	reader->mended = true; /* once, as in repair */
	return begin_anew(reader, why);
}

/* The xorb of the current term, or of other terms. */
static int open_xorb(struct file_reader *reader, bool may_block, struct why *why)
{
	struct store *store = reader->store;
	const struct hash *xorb = &reader->terms.term.xorb;
	int err = store_open_xorb(store, xorb, may_block, &reader->xorb, why);
	if (err == 0 || !may_block || reader->switched || other_terms_switch(store, &reader->terms.file.record.file, xorb) != 0)
		return err;
	reader->switched = true;
	err = begin_anew(reader, why);
	return err ? err : store_open_xorb(store, &reader->terms.term.xorb, true, &reader->xorb, why);
}

/* Finds the term and the chunk that hold `at`. */
static int place(struct file_reader *reader, bool may_block, struct why *why)
{
	int err = find_term(reader, may_block, why);
	if (err == ERR_CORRUPT && may_block)
		err = mend(reader, err, why);
	if (err)
		return err;
	const struct file_term *term = &reader->terms.term;
	if (reader->xorb)
		return 0;
	err = open_xorb(reader, may_block, why);
	if (err)
		return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
	if (term->chunk_start >= term->chunk_end || term->chunk_end > reader->xorb->table.count) {
		leave_term(reader); /* the next call finds the same */
		return why_set(why, ERR_CORRUPT, "a term names chunks that its xorb does not have");
	}
	reader->chunk = term->chunk_start;
	reader->chunk_start = reader->terms.raw_start;
	return 0;
}

static uint32_t raw_length_of(const struct stored_xorb *xorb, uint32_t chunk)
{
	return xorb->table.chunks[chunk].raw_end - stored_chunk_raw_start(xorb, chunk);
}

/* Moves on to the chunk that holds `at`, in the current term. */
static int settle(struct file_reader *reader, bool may_block, struct why *why)
{
	int err = place(reader, may_block, why);
	if (err == 0 && reader->chunk >= reader->terms.term.chunk_end)
		return why_set(why, ERR_CORRUPT, "a term is longer than its chunks");
	while (err == 0 && reader->at >= reader->chunk_start + raw_length_of(reader->xorb, reader->chunk)) {
		reader->chunk_start += raw_length_of(reader->xorb, reader->chunk);
		reader->chunk++;
		reader->raw_valid = false;
		if (reader->chunk >= reader->terms.term.chunk_end)
			return why_set(why, ERR_CORRUPT, "a term is longer than its chunks");
	}
	return err;
}

/* A xorb that is damaged here may be whole elsewhere; one that is read from elsewhere may have moved, even to this node. ERR_AGAIN: the reader looks again;
 * else the error as it was. */
static int repair(struct file_reader *reader, int err, struct why *why)
{
	struct hash hash = reader->xorb->table.xorb;
	if (reader->xorb->remote)
		remote_xorb_drop(reader->store->remotes, &hash);
	else
		damaged_list_add(&reader->store->damaged, &hash);
	if (reader->repaired)
		return err;
	int fetched = reader->xorb->remote ? 0 : store_fetch_xorb(reader->store, &hash, NULL);
	if (fetched)
		return store_unless_busy(err, fetched, why);
	reader->repaired = true; /* once: it would not end on a disk that damages what is written */
	leave_term(reader);
	return ERR_AGAIN;
}

/* Where the chunks of the current term end that hold what is wanted of it. */
static uint32_t wanted_end(const struct file_reader *reader)
{
	const struct file_term *term = &reader->terms.term;
	uint32_t low = reader->chunk + 1, high = term->chunk_end;
	if (reader->end >= reader->terms.raw_start + term->raw_length)
		return high;
	uint64_t end = stored_chunk_raw_start(reader->xorb, term->chunk_start) + (reader->end - reader->terms.raw_start); /* in the xorb */
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (stored_chunk_raw_start(reader->xorb, middle) < end)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What was found whole a moment ago is not looked at again while it is in the page cache. ERR_AGAIN: it may not be. */
static int read_seen_chunk(struct file_reader *reader, uint8_t *out, uint32_t skip, size_t length)
{
	if (stored_chunk_seen(reader->xorb, reader->chunk) != CHUNK_PLAIN)
		return ERR_AGAIN;
	uint32_t body = stored_chunk_start(reader->xorb, reader->chunk) + XORB_CHUNK_HEADER_BYTES + skip;
	return stored_xorb_read(reader->xorb, body, length, out, false, NULL) == 0 ? 0 : ERR_AGAIN;
}

/* Puts the rest of the current chunk, at most `length` bytes of it, into `out`; *done says how many. */
static int read_chunk(struct file_reader *reader, uint8_t *out, size_t length, size_t *done, bool may_block, struct why *why)
{
	uint32_t raw_length = raw_length_of(reader->xorb, reader->chunk), skip = (uint32_t)(reader->at - reader->chunk_start);
	size_t want = raw_length - skip < length ? raw_length - skip : length;
	*done = want;
	if (!reader->raw_valid && read_seen_chunk(reader, out, skip, want) == 0)
		return 0;
	if (!reader->raw_valid) {
		const uint8_t *bytes;
		struct xorb_chunk_header header;
		int err = chunk_run_read(&reader->run, reader->xorb, reader->chunk, wanted_end(reader), may_block, &bytes, &header, why);
		if (err == ERR_CORRUPT || err == ERR_IO || (reader->xorb->remote && err && err != ERR_AGAIN))
			return may_block ? repair(reader, err, why) : ERR_AGAIN;
		if (err)
			return err;
		const uint8_t *payload = bytes + XORB_CHUNK_HEADER_BYTES;
		if (header.scheme == XORB_NONE) {
			memcpy(out, payload + skip, want);
			return 0;
		}
		if (want == raw_length)
			return xorb_chunk_decode(out, &header, payload, why);
		if (!reader->raw && !(reader->raw = malloc(CHUNK_BYTES_MAX)))
			return why_set(why, ERR_NO_MEMORY, "no memory to read a file");
		err = xorb_chunk_decode(reader->raw, &header, payload, why);
		if (err)
			return err;
		reader->raw_valid = true;
	}
	memcpy(out, reader->raw + skip, want);
	return 0;
}

int file_reader_begin(struct file_reader *reader, struct why *why)
{
	return reader->at < reader->end ? place(reader, true, why) : 0;
}

int64_t file_reader_read(struct file_reader *reader, void *out, size_t length, bool may_block, struct why *why)
{
	size_t total = 0;
	if (length > reader->end - reader->at)
		length = (size_t)(reader->end - reader->at);
	while (total < length) {
		size_t done = 0;
		int err = settle(reader, may_block, why);
		if (err == 0)
			err = read_chunk(reader, (uint8_t *)out + total, length - total, &done, may_block, why);
		if (err == ERR_AGAIN && may_block)
			continue;
		if (err)
			return total ? (int64_t)total : err; /* what is good goes out first; the error comes back with the next call */
		total += done;
		reader->at += done;
	}
	return (int64_t)total;
}

/* Looks at the end of a stretch beyond the extent; what lies between that and what was looked at before has come and goes with it. */
static bool is_cached(struct file_reader *reader, const struct stored_fragment *fragment, uint64_t offset, uint64_t length)
{
	uint64_t fragment_end = fragment->offset + (fragment->end - fragment->start), end = offset + length;
	if (reader->cached_volume == fragment->volume && offset >= reader->cached_from && end <= reader->cached_until)
		return true;
	uint64_t far = fragment_end - offset > CACHED_STRETCH_BYTES ? offset + CACHED_STRETCH_BYTES : fragment_end;
	if (!volume_is_cached(fragment->volume, offset))
		return false;
	if (far < end || !volume_is_cached(fragment->volume, far - 1))
		far = end;
	if (far == end && !volume_is_cached(fragment->volume, end - 1))
		return false;
	reader->cached_volume = fragment->volume;
	reader->cached_from = offset;
	reader->cached_until = far;
	return true;
}

int file_reader_next_extent(struct file_reader *reader, size_t length, int *fd, uint64_t *offset, size_t *extent_length)
{
	if (reader->at >= reader->end || settle(reader, false, NULL) != 0 || stored_chunk_seen(reader->xorb, reader->chunk) != CHUNK_PLAIN)
		return ERR_AGAIN;
	uint32_t skip = (uint32_t)(reader->at - reader->chunk_start);
	uint32_t body = stored_chunk_start(reader->xorb, reader->chunk) + XORB_CHUNK_HEADER_BYTES + skip;
	const struct stored_fragment *fragment = stored_xorb_locate(reader->xorb, body);
	uint64_t have = raw_length_of(reader->xorb, reader->chunk) - skip;
	if (have > reader->end - reader->at)
		have = reader->end - reader->at;
	if (have > length)
		have = length;
	if (!fragment)
		return ERR_AGAIN;
	if (have > fragment->end - body)
		have = fragment->end - body;
	*offset = fragment->offset + (body - fragment->start);
	if (!is_cached(reader, fragment, *offset, have))
		return ERR_AGAIN;
	*fd = fragment->volume->fd;
	*extent_length = (size_t)have;
	reader->at += have;
	return 0;
}

int store_file_read_all(struct store *store, const struct hash *file, struct buffer *out, struct why *why)
{
	struct file_reader *reader;
	int err = file_reader_open(&reader, store, file, 0, UINT64_MAX, why);
	if (err)
		return err;
	uint64_t length = reader->end;
	uint8_t *to = length <= out->limit ? buffer_reserve(out, (size_t)length) : NULL;
	if (!to && length > 0) {
		file_reader_close(reader);
		return why_set(why, ERR_TOO_BIG, "the file has %llu bytes", (unsigned long long)length);
	}
	for (uint64_t have = 0; have < length;) {
		int64_t some = file_reader_read(reader, to + have, (size_t)(length - have), true, why);
		if (some <= 0) {
			err = some < 0 ? (int)some : ERR_CORRUPT;
			break;
		}
		have += (uint64_t)some;
	}
	if (err == 0)
		out->length += (size_t)length;
	file_reader_close(reader);
	return err;
}
