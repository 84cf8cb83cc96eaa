/* file_record.c - whether the record of a file is whole on disk, and putting another in its place when it is not.
 *
 * Few terms lie in the index too: such a record is written again from there. Many are only in the record: then another node's is taken, whose terms may be others,
 * which is the same to whoever reads the file. A file that was found damaged is remembered (core.h, damaged_files) until its record is whole. */
#include <stdlib.h>

#include "store/core.h"
#include "store/file_terms.h"

enum { CHECK_TRIES = 2 };

int store_file_record(struct store *store, const struct hash *file, struct buffer *out, struct why *why)
{
	struct file_terms terms;
	struct index_file known;
	int err = index_file(store->index, file, &known);
	if (err)
		return why_set(why, err, "the file is not stored here");
	err = file_terms_open(&terms, store, file, why);
	if (err)
		return err;
	uint32_t count = terms.file.record.terms_count;
	struct file_term *all = malloc((count ? count : 1) * sizeof(*all));
	err = all ? 0 : why_set(why, ERR_NO_MEMORY, "no memory for the terms of a file");
	if (err == 0 && count > 0) {
		err = file_terms_seek(&terms, 0, true, why);
		for (int more = err == 0; more == 1; more = file_terms_next(&terms, true, why))
			all[terms.index] = terms.term;
		if (err == 0 && terms.index + 1 != count)
			err = why_set(why, ERR_CORRUPT, "a file's terms cannot be read");
	}
	if (err == 0)
		err = file_record_encode(out, &terms.file.record, all);
	free(all);
	file_terms_close(&terms);
	return err;
}

static int read_payload(struct volume *volume, const struct volume_record *record, const struct hash *file, struct buffer *out)
{
	struct file_record decoded;
	uint8_t check[16], *payload = buffer_reserve(out, record->payload_length);
	if (!payload)
		return ERR_NO_MEMORY;
	int err = volume_read(volume, payload, record->payload_length, record->offset + VOLUME_RECORD_HEADER_BYTES, NULL);
	volume_record_check(check, payload, record->payload_length);
	if (err == 0 && (memcmp(check, record->check, sizeof(check)) != 0 || file_record_decode(&decoded, span_of(payload, record->payload_length)) != 0 ||
		!hash_equal(&decoded.file, file)))
		err = ERR_CORRUPT;
	out->length += err ? 0 : record->payload_length;
	return err;
}

int store_file_record_at(struct store *store, const struct hash *file, const struct record_place *place, struct buffer *out)
{
	uint8_t header[VOLUME_RECORD_HEADER_BYTES];
	struct volume_record record;
	struct volume *volume = volumes_get(store->volumes, place->volume);
	if (!volume)
		return ERR_CORRUPT;
	int err = volume_read(volume, header, sizeof(header), place->offset, NULL);
	if (err == 0 && (volume_record_decode(&record, header, volume->id, place->offset, volume->salt) != 0 || record.kind != VOLUME_FILE))
		err = ERR_CORRUPT;
	if (err == 0)
		err = read_payload(volume, &record, file, out);
	volume_release(volume);
	return err == ERR_IO ? ERR_CORRUPT : err; /* what the disk cannot read is damaged like any other */
}

static int check_at(struct store *store, const struct hash *file, const struct record_place *place)
{
	struct buffer payload;
	buffer_init(&payload, VOLUME_PAYLOAD_BYTES_MAX);
	int err = store_file_record_at(store, file, place, &payload);
	buffer_fini(&payload);
	return err;
}

int store_check_file_record(struct store *store, const struct hash *file, struct record_place *place)
{
	int err = 0;
	/* Once more: it may have moved while it was looked at. */
	for (int i = 0; i < CHECK_TRIES; i++) {
		struct index_file known;
		err = index_file(store->index, file, &known);
		if (err)
			break;
		*place = known.place;
		err = check_at(store, file, place);
		if (err != ERR_CORRUPT)
			break;
	}
	if (err == ERR_CORRUPT)
		damaged_list_add(&store->damaged_files, file);
	else if (err == 0 || err == ERR_NOT_FOUND)
		damaged_list_remove(&store->damaged_files, file);
	return err;
}

/* From what the index knows of it; ERR_NOT_FOUND: that is not all. */
static int write_again(struct store *store, const struct hash *file)
{
	struct index_file known;
	struct buffer payload;
	buffer_init(&payload, VOLUME_PAYLOAD_BYTES_MAX);
	pthread_rwlock_rdlock(&store->registration);
	int err = index_file(store->index, file, &known);
	if (err == 0 && !known.terms_inline)
		err = ERR_NOT_FOUND;
	if (err == 0)
		err = file_record_encode(&payload, &known.record, known.terms);
	struct journal_record record = { .kind = VOLUME_FILE, .payload = buffer_span(&payload) };
	if (err == 0)
		err = journal_commit(store->journal, &record, 1, NULL);
	pthread_rwlock_unlock(&store->registration);
	buffer_fini(&payload);
	return err;
}

int store_repair_file(struct store *store, const struct hash *file)
{
	struct record_place place;
	int err = store_check_file_record(store, file, &place);
	if (err != ERR_CORRUPT || !store->journal)
		return err;
	err = write_again(store, file);
	if (err == ERR_NOT_FOUND)
		err = store_fetch_file(store, file, NULL);
	return err ? err : store_check_file_record(store, file, &place);
}
