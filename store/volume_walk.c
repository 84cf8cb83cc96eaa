/* volume_walk.c - reads a volume record by record, past whatever is damaged. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/volume.h"

enum { LOOK_BYTES_MIN = VOLUME_BLOCK_BYTES };

struct walk {
	struct volume *volume;
	uint64_t at, end;
	uint8_t *window;        /* VOLUME_READ_BYTES */
	uint64_t window_offset;
	size_t window_length;
	size_t ahead;           /* how much to read: little after a leap over a fragment, more and more while all of it is looked at */
	bool unreadable;        /* the disk refused bytes that were asked for */
	uint64_t damage_start;  /* UINT64_MAX: none open */
	uint64_t damage_end;    /* behind the last byte of it that is not zero */
	const struct volume_visit *visit;
};

/* The bytes at `offset`, or NULL when the file ends before. */
static const uint8_t *look(struct walk *walk, uint64_t offset, size_t length)
{
	uint64_t window_end = walk->window_offset + walk->window_length;
	if (offset < walk->window_offset || offset + length > window_end) {
		walk->ahead = offset > window_end ? LOOK_BYTES_MIN : 2 * walk->ahead < VOLUME_READ_BYTES ? 2 * walk->ahead : VOLUME_READ_BYTES;
		size_t wanted = length > walk->ahead ? length : walk->ahead;
		walk->window_offset = offset;
		walk->window_length = 0;
		while (walk->window_length < wanted) {
			ssize_t done = pread(walk->volume->fd, walk->window + walk->window_length, wanted - walk->window_length, (off_t)(offset + walk->window_length));
			if (done < 0 && errno == EINTR)
				continue;
			if (done < 0 && walk->window_length < length)
				walk->unreadable = true;
			if (done <= 0)
				break;
			walk->window_length += (size_t)done;
		}
	}
	return offset + length <= walk->window_offset + walk->window_length ? walk->window + (offset - walk->window_offset) : NULL;
}

void volume_damage_text(char out[VOLUME_DAMAGE_TEXT_BYTES], const struct volume *volume, uint64_t offset, uint64_t length, const char *what)
{
	snprintf(out, VOLUME_DAMAGE_TEXT_BYTES, "volume %08x at %llu: %s (%llu bytes)", volume->id, (unsigned long long)offset, what,
		(unsigned long long)length);
}

static void end_damage(struct walk *walk)
{
	if (walk->damage_start != UINT64_MAX && walk->damage_end > walk->damage_start && walk->visit->damage)
		walk->visit->damage(walk->visit->context, walk->volume, walk->damage_start, walk->damage_end - walk->damage_start,
			"bytes that belong to no record");
	walk->damage_start = UINT64_MAX;
}

/* No record begins here: on to the next block. Zeros are the rest of a block, or space that was never written. */
static void pass_block(struct walk *walk)
{
	uint64_t next = volume_align(walk->at + 1, VOLUME_BLOCK_BYTES);
	size_t length = (size_t)((next < walk->end ? next : walk->end) - walk->at);
	const uint8_t *bytes = look(walk, walk->at, length);
	for (size_t i = 0; bytes && i < length; i++) {
		if (bytes[i] == 0)
			continue;
		if (walk->damage_start == UINT64_MAX)
			walk->damage_start = walk->at + i;
		walk->damage_end = walk->at + i + 1;
	}
	walk->at = next;
}

static int read_payload(struct walk *walk, const struct volume_record *record, uint8_t **out)
{
	uint64_t offset = record->offset + VOLUME_RECORD_HEADER_BYTES;
	uint8_t check[16];
	uint8_t *payload = malloc(record->payload_length ? record->payload_length : 1);
	if (!payload)
		return ERR_NO_MEMORY;
	for (size_t have = 0; have < record->payload_length;) {
		size_t want = record->payload_length - have < VOLUME_READ_BYTES ? record->payload_length - have : VOLUME_READ_BYTES;
		const uint8_t *bytes = look(walk, offset + have, want);
		if (!bytes) {
			free(payload);
			return ERR_CORRUPT;
		}
		memcpy(payload + have, bytes, want);
		have += want;
	}
	volume_record_check(check, payload, record->payload_length);
	if (memcmp(check, record->check, sizeof(check)) != 0) {
		free(payload);
		return ERR_CORRUPT;
	}
	*out = payload;
	return 0;
}

static int visit_record(struct walk *walk, const struct volume_record *record, bool *good)
{
	uint8_t *payload = NULL;
	*good = true;
	if (record->kind == VOLUME_FRAGMENT)
		return walk->visit->record(walk->visit->context, walk->volume, record, span_of(NULL, 0));
	int err = read_payload(walk, record, &payload);
	if (err == ERR_CORRUPT) {
		*good = false;
		if (walk->visit->damage)
			walk->visit->damage(walk->visit->context, walk->volume, record->offset, record->payload_length, "a record whose checksum is wrong");
		return 0;
	}
	if (err == 0)
		err = walk->visit->record(walk->visit->context, walk->volume, record, span_of(payload, record->payload_length));
	free(payload);
	return err;
}

int volume_walk(struct volume *volume, uint64_t start, uint64_t end, const struct volume_visit *visit, uint64_t *end_out, struct why *why)
{
	struct walk walk = { .volume = volume, .at = start, .end = end, .visit = visit, .damage_start = UINT64_MAX };
	walk.window = malloc(VOLUME_READ_BYTES);
	if (!walk.window)
		return why_set(why, ERR_NO_MEMORY, "no memory to read a volume");
	uint64_t good_end = start;
	int err = 0;
	while (err == 0 && walk.at + VOLUME_RECORD_HEADER_BYTES <= end) {
		struct volume_record record;
		const uint8_t *header = look(&walk, walk.at, VOLUME_RECORD_HEADER_BYTES);
		uint64_t before = walk.at;
		if (visit->cancel && *visit->cancel) {
			err = why_set(why, ERR_CLOSED, "cancelled");
			break;
		}
		if (!header && !walk.unreadable)
			break;
		if (!header) {
			if (visit->damage)
				visit->damage(visit->context, volume, walk.at, VOLUME_BLOCK_BYTES - walk.at % VOLUME_BLOCK_BYTES, "bytes that the disk cannot read");
			walk.at = volume_align(walk.at + 1, VOLUME_BLOCK_BYTES);
		} else if (volume_record_decode(&record, header, volume->id, walk.at, volume->salt) == 0) {
			end_damage(&walk);
			bool good;
			err = visit_record(&walk, &record, &good);
			walk.at += volume_record_bytes(record.payload_length);
			if (good)
				good_end = walk.at;
		} else {
			pass_block(&walk);
		}
		if (err == 0 && walk.unreadable && !visit->pass_unreadable)
			err = why_set(why, ERR_IO, "volume %08x cannot be read at %llu", volume->id, (unsigned long long)before);
		walk.unreadable = false;
		if (visit->done_bytes)
			*visit->done_bytes += walk.at - before;
	}
	end_damage(&walk);
	free(walk.window);
	if (end_out)
		*end_out = good_end;
	return err;
}
